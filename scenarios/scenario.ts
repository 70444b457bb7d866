/** Scenario files: read, checked against scenario.schema.json and the ledger, with the place of everything that is wrong. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { readConfigured } from '../contracts/configuration.ts';
import type { Configured } from '../contracts/configured.ts';
import { formProblems, meaningProblems, START } from './check.ts';
import type { Key } from './match.ts';
import { type Place, placeIn } from './place.ts';
import type { Step } from './step.ts';

export type { Place } from './place.ts';

export interface Scenario {
  /** As it was named on the command line. */
  file: string;
  /** Of the file's name: decides project and seed. */
  name: string;
  /** The sentence. */
  title: string;
  proves: readonly string[];
  now: number;
  seed: string;
  skip: boolean;
  empty: boolean;
  profile: string | undefined;
  switches: Record<string, string>;
  settings: Record<string, string | number>;
  agents: Configured['agents'];
  assistants: Configured['assistants'];
  faults: readonly unknown[] | undefined;
  steps: readonly Step[];
  /** Line and column, from 1, of the value at a path, or of the nearest one around it. */
  placeOf(path: readonly Key[]): Place;
}

export interface FileProblem extends Place {
  file: string;
  message: string;
}

/** A file that is no scenario, with all that is wrong with it. */
export class BadScenario extends Error {
  override name = 'BadScenario';
  readonly problems: readonly FileProblem[];

  constructor(problems: readonly FileProblem[]) {
    super(problems.map((one) => `${one.file}:${one.line}:${one.column} ${one.message}`).join('\n'));
    this.problems = problems;
  }
}

const FILE_NAME = /^[a-z0-9-]{1,80}\.yaml$/;
/** Reads a file; throws BadScenario with every problem found. */
export function readScenario(file: string): Scenario {
  return parseScenario(readFileSync(file, 'utf8'), file);
}

export function parseScenario(text: string, file: string): Scenario {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    uniqueKeys: true,
    lineCounter: lines,
    prettyErrors: false,
  });
  const placeOf = (path: readonly Key[]) => placeIn(document, lines, path);
  const problem = (path: readonly Key[], message: string): FileProblem => ({
    file,
    ...placeOf(path),
    message,
  });
  if (document.errors.length > 0) {
    throw new BadScenario(
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { file, line: Math.max(line, 1), column: Math.max(col, 1), message: error.message };
      }),
    );
  }
  const written = valueOfDocument(document, (message) => problem([], message));
  const problems = formProblems(written).map(({ path, message }) => problem(path, message));
  if (!FILE_NAME.test(basename(file)))
    problems.unshift(
      problem(
        [],
        `the file is named "${basename(file)}"; use small letters, digits and hyphens, at most 80, and .yaml`,
      ),
    );
  if (problems.length > 0) throw new BadScenario(problems);
  const fields = written as Omit<Scenario, 'title' | 'now'> & { scenario: string; now?: string };
  const found = meaningProblems(fields).map(({ path, message }) => problem(path, message));
  if (found.length > 0) throw new BadScenario(found);
  const name = basename(file, '.yaml');
  const { agents, assistants } = readConfigured(fields).configured;
  return {
    file,
    name,
    title: fields.scenario,
    proves: fields.proves,
    now: Date.parse(fields.now ?? START),
    seed: fields.seed ?? name,
    skip: fields.skip ?? false,
    empty: fields.empty ?? true,
    profile: fields.profile,
    switches: fields.switches ?? {},
    settings: fields.settings ?? {},
    agents,
    assistants,
    faults: fields.faults,
    steps: fields.steps,
    placeOf,
  };
}

/** An alias without its anchor is noticed only here. */
function valueOfDocument(document: Document, problem: (message: string) => FileProblem): unknown {
  try {
    const value = document.toJS() as unknown;
    // What contains itself has no end.
    JSON.stringify(value);
    return value;
  } catch (error) {
    const [message = ''] = (error as Error).message.split('\n');
    throw new BadScenario([problem(message)]);
  }
}
