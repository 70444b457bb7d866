/** `--watch`: foundrite.yaml is looked at again whenever it may have changed, and what is new in it is applied. */
import { readFileSync, statSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../emulator/clock.ts';
import type { Emulator } from '../emulator/emulator.ts';
import { placed } from './configuration.ts';
import type { Exit } from './exit.ts';
import { keyName } from './flags.ts';
import { optionProblems, worldOptions } from './launch.ts';
import { type Defaults, type ReadOptions, readOptions, type StartOptions } from './options.ts';
import { type Applied, reconfigure } from './reconfigure.ts';

/** Editors write a file more than once, and some write a part of it first: it counts once it has rested between two looks. */
const SETTLE_MS = 150;
/** What an emulator that runs can take over; all else counts from the next start. */
const APPLIED = [
  'agents',
  'assistants',
  'routines',
  'faults',
  'profile',
  'switches',
  'settings',
  'journalMax',
];

export interface Watching {
  emulator: Emulator;
  /** What it was started by, and the flags that go before the file. */
  read: ReadOptions;
  flags: Record<string, unknown>;
  defaults?: Defaults;
}

/** Ends when what it answers is called. */
export function watchConfiguration({ emulator, read, flags, defaults }: Watching): () => void {
  const { path } = read.configuration;
  let current = read;
  let seen = read.configuration.text;
  let cancel = () => {};
  let looking = Promise.resolve();
  let stateSeen: string | undefined;
  const look = async () => {
    const state = stateOf(path);
    if (state !== stateSeen) {
      stateSeen = state;
      return lookSoon();
    }
    const text = textOf(path);
    if (text === seen) return;
    // Emptied by who begins to write: an event comes with what is written.
    if (text === '') return;
    seen = text;
    if (text === undefined) return tell([`${path} is gone; all stays as it said.`]);
    const problems: Exit[] = [];
    const onProblem = (problem: Exit) => problems.push(problem);
    const next = await readOptions(flags, process.env, defaults, onProblem);
    problems.push(...(await optionProblems(next)));
    if (problems.length > 0) {
      return tell([
        ...problems.map(({ message }) => message),
        `${path} is not applied; all stays as it was.`,
      ]);
    }
    const [before, after] = [worldOptions(current.options), worldOptions(next.options)];
    const applied = await reconfigure(emulator, before, after);
    tell([
      ...applied.refused.map((problem) => placed(problem, next.configuration).message),
      `${path}: ${outcome(applied, laterOf(current.options, next.options))}.`,
    ]);
    current = next;
  };
  const lookSoon = () => {
    cancel();
    cancel = systemClock.after(SETTLE_MS, () => {
      looking = looking.then(look).catch((error: Error) => tell([error.stack ?? error.message]));
    });
  };
  // The folder, not the file: many editors, and links in containers, put another file in its place, of which its watcher would not hear.
  const watcher = watch(dirname(resolve(path)), lookSoon);
  watcher.on('error', (error) => tell([`${path} is watched no more: ${error.message}.`]));
  watcher.unref();
  // It may have changed since it was read.
  lookSoon();
  return () => {
    cancel();
    watcher.close();
  };
}

/** By which a file that is being written differs from one look to the next. */
function stateOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return 'gone';
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Gone, or not to be read: an event comes when it is back.
    return undefined;
  }
}

function laterOf(before: StartOptions, after: StartOptions): string[] {
  const [was, is] = [before, after] as unknown as Record<string, unknown>[];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => !APPLIED.includes(key) && !isDeepStrictEqual(was?.[key], is?.[key]))
    .map(keyName);
}

/** One line. */
function outcome({ changed, left, projects, refused }: Applied, later: string[]): string {
  const where =
    projects.length === 0 ? 'for new projects' : `in ${projects.slice(0, 5).join(', ')}`;
  const more = projects.length > 5 ? ` and ${projects.length - 5} more` : '';
  const said = [
    ...(changed.length > 0 ? [`applied ${changed.join(', ')} ${where}${more}`] : []),
    ...(left.length > 0 ? [`named no more, and left as it is: ${left.join(', ')}`] : []),
    ...(later.length > 0 ? [`from the next start: ${later.join(', ')}`] : []),
  ];
  if (said.length > 0) return said.join('; ');
  return refused.length > 0 ? 'nothing of it was taken' : 'nothing in it has changed';
}

function tell(lines: string[]): void {
  for (const line of lines) process.stderr.write(`foundrite: ${line}\n`);
}
