/** Reporters: they tell what was played, to people and to machines. */
import { type Rule, rule } from '../contracts/ledger.ts';
import type { Played } from './play.ts';
import { junitReporter } from './report-junit.ts';
import { githubReporter, prettyReporter } from './report-pretty.ts';
import { sourcesOf } from './report-story.ts';
import { countOf, inOrder } from './report-summary.ts';
import type { FileProblem } from './scenario.ts';

export type ReporterName = 'pretty' | 'junit' | 'json' | 'github';

export const REPORTERS: readonly ReporterName[] = ['pretty', 'junit', 'json', 'github'];

export interface ReportContext {
  write(text: string): void;
  /** Width of the terminal. */
  columns: number;
  color: boolean;
  /** The one command that plays a scenario again. */
  again(played: Played): string;
  /** The rule that is broken on purpose, if one is (`--break`). */
  broken?: Rule;
  /** Where it was played: `in-process` or a URL. */
  target: string;
}

export interface Reporter {
  /** Files that are no scenarios. */
  bad(problems: readonly FileProblem[]): void;
  played(played: Played): void;
  end(summary: Summary): void;
}

export interface Summary {
  played: readonly Played[];
  bad: readonly FileProblem[];
  realMs: number;
}

export function createReporter(name: ReporterName, context: ReportContext): Reporter {
  switch (name) {
    case 'pretty':
      return prettyReporter(context);
    case 'junit':
      return junitReporter(context);
    case 'json':
      return jsonReporter(context);
    case 'github':
      return githubReporter(context);
  }
}

/** One document at the end. */
function jsonReporter(context: ReportContext): Reporter {
  return {
    bad() {},
    played() {},
    end({ played, bad, realMs }) {
      const document = {
        target: context.target,
        ...(context.broken === undefined ? {} : { broken: context.broken.id }),
        passed: countOf(played, 'passed'),
        failed: countOf(played, 'failed'),
        skipped: countOf(played, 'skipped'),
        stuck: countOf(played, 'stuck'),
        realMs,
        bad,
        scenarios: inOrder(played).map((one) => plain(one, context)),
      };
      context.write(`${JSON.stringify(document, null, 2)}\n`);
    },
  };
}

function plain(played: Played, context: ReportContext): object {
  const { placeOf: _, ...scenario } = played.scenario;
  const notKept = played.outcome === 'failed' || played.outcome === 'stuck';
  return {
    ...played,
    scenario,
    ...(notKept ? { rules: scenario.proves.map(ruleTold) } : {}),
    again: context.again(played),
  };
}

function ruleTold(id: string): object {
  const known = rule(id);
  if (!known) return { id };
  const { basis, statement } = known;
  return { id, basis, statement, source: sourcesOf(known) };
}
