/** For people: a story for each scenario that did not pass, the others counted. On GitHub, with annotations. */
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { breakingTold } from '../contracts/ledger.ts';
import type { Played } from './play.ts';
import type { ReportContext, Reporter, Summary } from './report.ts';
import { field, flat, visible, widthOf, wrap } from './report-columns.ts';
import { complaintOf, indented, painter, placeOf, storyOf } from './report-story.ts';
import { filesOf, passedByArea, summaryLine } from './report-summary.ts';
import type { FileProblem } from './scenario.ts';

export function prettyReporter(context: ReportContext): Reporter {
  const paint = painter(context.color);
  return {
    bad(problems) {
      const files = filesOf(problems);
      const told =
        files.length === 1
          ? 'This file has mistakes; nothing was played'
          : 'These files have mistakes; nothing was played';
      const lines = problems.map((one) => problemTold(one, context.columns));
      context.write(`${paint('red', '✗')} ${told}:\n${indented(lines.join('\n'))}\n\n`);
    },
    played(played) {
      if (played.outcome !== 'passed') context.write(`${storyOf(played, context)}\n\n`);
    },
    end(summary) {
      const areas = passedByArea(summary.played);
      const nameWidth = Math.max(0, ...areas.map(([area]) => widthOf(area)));
      const lines = areas.map(
        ([area, passed]) => `${paint('green', '✓')} ${area.padEnd(nameWidth)}  ${passed} passed`,
      );
      if (context.broken)
        lines.push(...(lines.length > 0 ? [''] : []), ...brokenTold(summary, context));
      const { played, bad } = summary;
      const well = bad.length === 0 && played.every(({ outcome }) => !isBad(outcome));
      const last = paint(well ? 'green' : 'red', summaryLine(summary, context.target));
      context.write(`${[...lines, ...(lines.length > 0 ? [''] : []), last].join('\n')}\n`);
    },
  };
}

/** The same text, and a workflow command for all that shall be marked in the files. */
export function githubReporter(context: ReportContext): Reporter {
  const pretty = prettyReporter({
    ...context,
    write: (text) => context.write(disarmed(text)),
  });
  return {
    bad(problems) {
      pretty.bad(problems);
      for (const problem of problems)
        context.write(command(problem, 'not a scenario', visible(problem.message)));
    },
    played(played) {
      pretty.played(played);
      if (!isBad(played.outcome)) return;
      const { title, proves } = played.scenario;
      const lines = [
        complaintOf(played),
        `proves ${proves.join(', ')}`,
        `play it again: ${context.again(played)}`,
      ];
      context.write(command(placeOf(played), flat(title), lines.join('\n')));
    },
    end(summary) {
      pretty.end(summary);
    },
  };
}

function isBad(outcome: Played['outcome']): boolean {
  return outcome === 'failed' || outcome === 'stuck';
}

function problemTold({ file, line, column, message }: FileProblem, columns: number): string {
  const text = indented(wrap(visible(message), Math.max(columns, 40) - 4).join('\n'));
  return `${file}:${line}:${column}\n${text}`;
}

function brokenTold({ played }: Summary, { broken, columns }: ReportContext): string[] {
  if (!broken) return [];
  const citing = played.filter(({ scenario }) => scenario.proves.includes(broken.id));
  const noticed = citing.filter(({ outcome }) => outcome === 'failed');
  const counted =
    citing.length === 0
      ? 'No scenario that was played proves it.'
      : noticed.length > 0
        ? `Scenarios that prove it: ${citing.length}, of which ${noticed.length} failed.`
        : 'No scenario that proves it failed: what is broken is not what they look at. Look closer, or cite another rule.';
  return [
    'This promise was broken on purpose (--break):',
    field('promise', broken.id, columns),
    field('says', broken.statement, columns),
    field('broken', breakingTold(broken.broken_by), columns),
    counted,
  ];
}

type Marked = Omit<FileProblem, 'message'>;

function command({ file, line, column }: Marked, title: string, message: string): string {
  const path = relative('.', resolve(file)).replaceAll('\\', '/');
  const properties = {
    file: path,
    line: String(Math.min(Math.max(line, 1), linesIn(file))),
    col: String(Math.max(column, 1)),
    title,
  };
  const written = Object.entries(properties).map(([key, value]) => `${key}=${property(value)}`);
  return `::error ${written.join(',')}::${data(message)}\n`;
}

/** A mark on a line that is not there is shown nowhere. */
function linesIn(file: string): number {
  try {
    return Math.max(readFileSync(file, 'utf8').replace(/\n$/, '').split('\n').length, 1);
  } catch {
    return 1;
  }
}

/** What an agent answers shall be no command of its own. */
function disarmed(text: string): string {
  return text.replace(/^(\s*)::/gm, '$1\\::').replaceAll('##[', '#\\#[');
}

function data(text: string): string {
  return disarmed(text).replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
