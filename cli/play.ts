/** `foundrite play`: scenarios against the emulator in this process, or against one by URL. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { type Rule, rule } from '../contracts/ledger.ts';
import { type Target, Unreachable } from '../contracts/target.ts';
import { type Played, play as playOne } from '../scenarios/play.ts';
import {
  createReporter,
  REPORTERS,
  type ReportContext,
  type Reporter,
  type ReporterName,
} from '../scenarios/report.ts';
import {
  BadScenario,
  type FileProblem,
  readScenario,
  type Scenario,
} from '../scenarios/scenario.ts';
import { EXIT, Exit, usage } from './exit.ts';
import { keepAlive, showProgress } from './progress.ts';
import { type ReachFlags, targetOf } from './reach.ts';
import { coloured } from './start.ts';
import { filesIn, watchFiles } from './watch.ts';

export interface PlayFlags extends ReachFlags {
  grep?: string;
  rule?: string;
  reporter?: string[];
  seed?: string;
  break?: string;
  jobs?: string;
  keep?: boolean;
  prefix?: string;
  list?: boolean;
  watch?: boolean;
}

const JOBS = 8;
const JOBS_MAX = 64;

export async function play(paths: string[], flags: PlayFlags): Promise<number | undefined> {
  const broken = brokenRule(flags.break);
  const jobs = jobsOf(flags.jobs);
  if (flags.prefix !== undefined && !/^[a-z0-9-]{1,20}$/.test(flags.prefix))
    throw usage(`--prefix is "${flags.prefix}": write 1 to 20 small letters, digits and hyphens.`);
  const outputs = (flags.reporter ?? []).map(outputOf);
  // Reports in files leave the terminal to people.
  if (outputs.every(({ file }) => file !== undefined))
    outputs.unshift({ name: 'pretty', file: undefined });
  const files = filesIn(paths);
  if (flags.list) return list(wanted(files, flags).scenarios);
  const { target, close } = await targetOf(flags);
  const round = async (some: readonly string[]) => {
    const reporters = outputs.map((output) => reporterOf(output, { flags, broken, target }));
    return playAll(wanted(some, flags), target, { flags, jobs, reporters, broken });
  };
  if (flags.watch) {
    await round(files);
    watchFiles(paths, round);
    return undefined;
  }
  try {
    return await round(files);
  } finally {
    await close();
  }
}

function brokenRule(id: string | undefined): Rule | undefined {
  if (id === undefined) return undefined;
  const found = rule(id);
  if (!found) throw usage(`--break: there is no rule "${id}"; foundrite ledger lists them.`);
  if (!found.broken_by) throw usage(`--break: the ledger does not say how to break "${id}".`);
  return found;
}

function jobsOf(text: string | undefined): number {
  if (text === undefined) return JOBS;
  const jobs = /^\d+$/.test(text) ? Number(text) : 0;
  if (jobs < 1 || jobs > JOBS_MAX)
    throw usage(`--jobs is "${text}": write a whole number from 1 to ${JOBS_MAX}.`);
  return jobs;
}

interface Wanted {
  scenarios: Scenario[];
  bad: FileProblem[];
}

function wanted(files: readonly string[], { grep, rule: id }: PlayFlags): Wanted {
  const bad: FileProblem[] = [];
  const all = files.flatMap((file) => {
    try {
      return [readScenario(file)];
    } catch (error) {
      if (!(error instanceof BadScenario)) throw error;
      bad.push(...error.problems);
      return [];
    }
  });
  const text = grep?.toLowerCase();
  const scenarios = all.filter(
    ({ file, title, proves }) =>
      (text === undefined || `${file} ${title}`.toLowerCase().includes(text)) &&
      (id === undefined || proves.some((one) => one === id || one.startsWith(`${id}/`))),
  );
  if (scenarios.length === 0 && bad.length === 0)
    throw usage('No scenario fits what was asked for; foundrite play --list shows what there is.');
  const twice = all.find((one, index) => all.findIndex(({ name }) => name === one.name) < index);
  if (twice) {
    const message = `another scenario is named ${twice.name} too; give each its own file name`;
    bad.push({ file: twice.file, line: 1, column: 1, message });
  }
  return { scenarios, bad };
}

function list(scenarios: readonly Scenario[]): number {
  for (const { file, title, proves } of scenarios)
    process.stdout.write(`${file}\n  ${title}\n  ${proves.join(', ')}\n`);
  process.stdout.write(`${scenarios.length} scenarios\n`);
  return EXIT.ok;
}

interface Output {
  name: ReporterName;
  file: string | undefined;
}

function outputOf(written: string): Output {
  const [name = '', file] = written.split(/=(.*)/s);
  if (!(REPORTERS as readonly string[]).includes(name))
    throw usage(`--reporter is "${written}": write one of ${REPORTERS.join(', ')}, or NAME=FILE.`);
  if (file !== undefined && (file === '' || !existsSync(dirname(resolve(file)))))
    throw usage(`--reporter is "${written}": the folder of that file is not there.`);
  if (file !== undefined && statSync(file, { throwIfNoEntry: false })?.isDirectory())
    throw usage(`--reporter is "${written}": that is a folder, not a file.`);
  return { name: name as ReporterName, file };
}

interface Reporting {
  flags: PlayFlags;
  broken: Rule | undefined;
  target: Target;
}

function reporterOf({ name, file }: Output, { flags, broken, target }: Reporting): Reporter {
  let written = '';
  const toFile = (text: string) => {
    written += text;
    writeFileSync(file as string, written);
  };
  const context: ReportContext = {
    write: file === undefined ? (text) => process.stdout.write(text) : toFile,
    columns: (file === undefined && process.stdout.columns) || 100,
    color: file === undefined && coloured(process.env, process.stdout.isTTY === true),
    again: (played) => againOf(played, flags),
    ...(broken === undefined ? {} : { broken }),
    target: target.name,
  };
  return createReporter(name, context);
}

/** The one command that plays a scenario again, as it was played now. */
function againOf({ scenario }: Played, flags: PlayFlags): string {
  const near = relative('.', scenario.file);
  const words = ['npx foundrite play', near.startsWith('..') ? resolve(near) : near];
  if (flags.seed !== undefined) words.push('--seed', flags.seed);
  if (flags.url !== undefined) words.push('--url', flags.url);
  if (flags.ca !== undefined) words.push('--ca', flags.ca);
  if (flags.prefix !== undefined) words.push('--prefix', flags.prefix);
  if (flags.break !== undefined) words.push('--break', flags.break);
  return words.map((word, index) => (index > 0 ? quoted(word) : word)).join(' ');
}

/** As a shell reads it. */
function quoted(word: string): string {
  return /^[\w./:@=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

interface Round {
  flags: PlayFlags;
  jobs: number;
  reporters: readonly Reporter[];
  broken: Rule | undefined;
}

async function playAll(
  { scenarios, bad }: Wanted,
  target: Target,
  { flags, jobs, reporters, broken }: Round,
): Promise<number> {
  const began = performance.now();
  const all: Played[] = [];
  if (bad.length > 0) {
    for (const reporter of reporters) reporter.bad(bad);
  } else {
    const progress = showProgress(scenarios.length);
    // A call in this process that is never answered keeps nothing alive: without these the play would end in silence, and well.
    process.exitCode = EXIT.bug;
    const letGo = keepAlive();
    const queue = [...scenarios];
    const worker = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        progress.began(next);
        const played = await playOne(next, target, {
          ...(flags.seed === undefined ? {} : { seed: flags.seed }),
          ...(flags.keep ? { keep: true } : {}),
          ...(flags.prefix === undefined ? {} : { prefix: flags.prefix }),
          ...(broken?.broken_by ? { breaking: broken.broken_by } : {}),
        });
        all.push(played);
        progress.ended(next);
        for (const reporter of reporters) reporter.played(played);
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(jobs, scenarios.length) }, worker));
    } catch (error) {
      // What was played until then is told all the same.
      const summary = { played: all, bad, realMs: performance.now() - began };
      for (const reporter of reporters) reporter.end(summary);
      throw error instanceof Unreachable ? new Exit(EXIT.unreachable, error.message) : error;
    } finally {
      process.exitCode = undefined;
      letGo();
      progress.close();
    }
  }
  const summary = { played: all, bad, realMs: performance.now() - began };
  for (const reporter of reporters) reporter.end(summary);
  if (bad.length > 0) return EXIT.usage;
  if (all.some(({ outcome }) => outcome === 'stuck')) return EXIT.bug;
  return all.some(({ outcome }) => outcome === 'failed') ? EXIT.broken : EXIT.ok;
}
