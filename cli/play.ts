/** `foundrite play`: scenarios against the emulator in this process, or against one by URL. */
import { existsSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Rule, rule } from '../contracts/ledger.ts';
import { controlBelow, httpTarget, type Target, Unreachable } from '../contracts/target.ts';
import { systemClock } from '../emulator/clock.ts';
import { inProcess } from '../emulator/in-process.ts';
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

export interface PlayFlags {
  url?: string;
  controlToken?: string;
  ca?: string;
  grep?: string;
  rule?: string;
  reporter?: string[];
  seed?: string;
  break?: string;
  jobs?: string;
  keep?: boolean;
  list?: boolean;
  watch?: boolean;
}

const JOBS = 8;
const JOBS_MAX = 64;
/** Editors write a file more than once. */
const SETTLE_MS = 100;
const PROGRESS_MS = 500;
const ALIVE_MS = 60_000;

export async function play(paths: string[], flags: PlayFlags): Promise<number | undefined> {
  const broken = brokenRule(flags.break);
  const jobs = jobsOf(flags.jobs);
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

/** Files as they are named; folders with all that is in them; without any, `scenarios` here, or those of the package. */
function filesIn(paths: readonly string[]): string[] {
  const files = rootsOf(paths).flatMap((path) => {
    if (!existsSync(path)) throw usage(`"${path}" is not there: name scenario files or folders.`);
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.ya?ml$/.test(file))
      .map((file) => join(path, file))
      .sort();
  });
  if (files.length === 0)
    throw usage(`There is no scenario (*.yaml) in ${rootsOf(paths).join(', ')}.`);
  return [...new Set(files)];
}

function rootsOf(paths: readonly string[]): readonly string[] {
  if (paths.length > 0) return paths;
  return existsSync('scenarios') ? ['scenarios'] : [ownScenarios()];
}

/** One folder up in the checkout, two from what is compiled. */
function ownScenarios(): string {
  const near = fileURLToPath(new URL('../scenarios', import.meta.url));
  const below = fileURLToPath(new URL('../../scenarios', import.meta.url));
  return existsSync(join(near, 'scenario.schema.json')) ? near : below;
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

interface Reached {
  target: Target;
  close(): Promise<void> | void;
}

async function targetOf(flags: PlayFlags): Promise<Reached> {
  if (flags.url === undefined) {
    const notice = (message: string) => process.stderr.write(`foundrite: ${message}\n`);
    return inProcess({ notice });
  }
  const url = URL.parse(flags.url);
  if (!url || !/^https?:$/.test(url.protocol))
    throw usage(
      `--url is "${flags.url}": write where the emulator listens, like https://127.0.0.1:3686.`,
    );
  const token = flags.controlToken ?? (process.env.FOUNDRITE_CONTROL_TOKEN || undefined);
  const control = controlBelow(token === undefined ? undefined : `Bearer ${token}`);
  const ca = await authorityOf(url, flags.ca);
  const target = httpTarget(url.origin, { authorization: 'Bearer scenario', ca, control });
  try {
    await admitted(target);
  } catch (error) {
    target.close();
    throw error instanceof Unreachable
      ? new Exit(EXIT.unreachable, `${error.message} Start one with "foundrite start".`)
      : error;
  }
  return { target, close: () => target.close() };
}

/** An emulator gives its authority over plain HTTP on the same port; on one's own machine that may be believed. */
async function authorityOf(url: URL, file: string | undefined): Promise<string | undefined> {
  if (file !== undefined) {
    if (!existsSync(file)) throw usage(`--ca "${file}" is not there.`);
    return readFileSync(file, 'utf8');
  }
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' || !loopback) return undefined;
  const plain = httpTarget(`http://${url.host}`, { authorization: '' });
  try {
    const answer = await plain.send({ method: 'GET', path: '/_emulator/ca.pem', headers: {} });
    return answer.ok ? await answer.text() : undefined;
  } catch {
    // What is wrong is told by the first call over TLS.
    return undefined;
  } finally {
    plain.close();
  }
}

async function admitted(target: Target): Promise<void> {
  if (!target.control) return;
  const answer = await target.send(target.control.request('projects', {}));
  const text = await answer.text();
  if (answer.ok) return;
  if (answer.status === 401 || answer.status === 403)
    throw new Exit(
      EXIT.refused,
      `${target.name} refuses control calls (${answer.status}): name its token with --control-token or FOUNDRITE_CONTROL_TOKEN.`,
    );
  throw new Exit(
    EXIT.refused,
    `${target.name} does not answer control calls (${answer.status} ${text.slice(0, 200)}): it is no Foundrite emulator, or was started with --no-control.`,
  );
}

interface Output {
  name: ReporterName;
  file: string | undefined;
}

function outputOf(written: string): Output {
  const [name = '', file] = written.split(/=(.*)/s);
  if (!(REPORTERS as readonly string[]).includes(name))
    throw usage(`--reporter is "${written}": write one of ${REPORTERS.join(', ')}, or NAME=FILE.`);
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
    color: file === undefined && process.stdout.isTTY === true && !process.env.NO_COLOR,
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
  if (flags.break !== undefined) words.push('--break', flags.break);
  return words
    .map((word, index) => (index > 0 && /[^\w./:@=-]/.test(word) ? `'${word}'` : word))
    .join(' ');
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

/** Until it is let go, the process does not end by itself. */
function keepAlive(): () => void {
  let cancel = () => {};
  const again = () => {
    cancel = systemClock.after(ALIVE_MS, again, true);
  };
  again();
  return () => cancel();
}

interface Progress {
  began(scenario: Scenario): void;
  ended(scenario: Scenario): void;
  close(): void;
}

/** One line on a terminal that is written over; nothing where nobody looks. */
function showProgress(total: number): Progress {
  if (!process.stderr.isTTY) return { began() {}, ended() {}, close() {} };
  const under = new Map<Scenario, number>();
  let done = 0;
  let cancel = () => {};
  const print = () => {
    const [oldest] = under;
    const since = oldest ? Math.floor((performance.now() - oldest[1]) / 1_000) : 0;
    const what = oldest ? ` · ${oldest[0].name}${since > 0 ? ` (${since} s)` : ''}` : '';
    process.stderr.write(`\r\u001b[2K${done} of ${total}${what}`);
    cancel = systemClock.after(PROGRESS_MS, print);
  };
  cancel = systemClock.after(PROGRESS_MS, print);
  return {
    began: (scenario) => under.set(scenario, performance.now()),
    ended(scenario) {
      under.delete(scenario);
      done += 1;
      // What a reporter writes next begins on an empty line.
      process.stderr.write('\r\u001b[2K');
    },
    close() {
      cancel();
      process.stderr.write('\r\u001b[2K');
    },
  };
}

/** Plays again what was written; ends with the process. */
function watchFiles(
  paths: readonly string[],
  round: (files: readonly string[]) => Promise<number>,
): void {
  const changed = new Set<string>();
  let cancel = () => {};
  let playing = Promise.resolve();
  const settle = () => {
    const files = [...changed].filter((file) => existsSync(file));
    changed.clear();
    if (files.length === 0) return;
    playing = playing
      .then(() => round(files))
      .then(
        () => {},
        (error: unknown) => void process.stderr.write(`foundrite: ${(error as Error).message}\n`),
      );
  };
  // Folders, not files: many editors put a new file in the place of the old one, whose watcher would hear no more.
  const watched = new Set<string>();
  const watchFolder = (folder: string, wantedFile: (file: string) => boolean) => {
    if (watched.has(folder)) return;
    watched.add(folder);
    watch(folder, (_event, name) => {
      const file = join(folder, String(name));
      if (existsSync(file) && statSync(file).isDirectory()) watchTree(file);
      if (!/\.ya?ml$/.test(file) || !wantedFile(file)) return;
      changed.add(file);
      cancel();
      cancel = systemClock.after(SETTLE_MS, settle);
    });
  };
  const watchTree = (root: string) => {
    watchFolder(root, () => true);
    for (const entry of readdirSync(root, { withFileTypes: true, recursive: true }))
      if (entry.isDirectory()) watchFolder(join(entry.parentPath, entry.name), () => true);
  };
  for (const root of rootsOf(paths)) {
    if (statSync(root).isDirectory()) watchTree(root);
    else watchFolder(dirname(root), (file) => resolve(file) === resolve(root));
  }
  process.stdout.write('Watching; Ctrl-C ends.\n');
}
