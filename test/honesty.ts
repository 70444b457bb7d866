/**
 * The suite's own honesty (design 10): every rule is broken in turn, and the scenarios that cite it must notice while those
 * of other areas do not. Run by itself it tells authors what is missing: `node test/honesty.ts [area or rule]`.
 */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Breaking, type Rule, rules } from '../contracts/ledger.ts';
import { findOperation } from '../contracts/openapi.ts';
import { controlCall, type Target } from '../contracts/target.ts';
import type { Emulator } from '../emulator/emulator.ts';
import { inProcess } from '../emulator/in-process.ts';
import type { Profile } from '../emulator/profile.ts';
import { isEventStream, isMeant, parsed, type Rewritable } from '../scenarios/broken.ts';
import { type Played, play } from '../scenarios/play.ts';
import { readScenario, type Scenario } from '../scenarios/scenario.ts';
import { STATUS, type Step, wordOf } from '../scenarios/step.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Every scenario of ours. */
export function ownScenarios(): Scenario[] {
  const folder = join(ROOT, 'scenarios');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => readScenario(relative('.', join(folder, file))));
}

export function areaOf(rule: string): string {
  return rule.split('/')[0] ?? '';
}

/** What a play came across: nothing else can break it. */
interface Seen {
  /** Every answer that a step may have seen. */
  answers: Rewritable[];
  /** Switches and settings that were read for it; `*` is all of them. */
  values: Set<string>;
}

export interface Baseline {
  scenario: Scenario;
  played: Played;
  seen: Seen;
}

export async function playWhole(scenarios: readonly Scenario[]): Promise<Baseline[]> {
  const { target, emulator, close } = inProcess();
  try {
    const all: Baseline[] = [];
    for (const scenario of scenarios) {
      const seen: Seen = { answers: [], values: new Set() };
      watching = seen.values;
      const played = await play(scenario, watched(target, emulator, seen, scenario), {
        journal: true,
      });
      all.push({ scenario, played, seen });
    }
    return all;
  } finally {
    await close();
  }
}

/** The control calls that a step makes. */
function controlled(step: Step): string[] {
  const word = wordOf(step);
  if (word === 'parallel') return (step.parallel as (Step | Step[])[]).flat().flatMap(controlled);
  // A poll moves time on.
  const polls = 'until' in step ? ['advanceClock'] : [];
  const path = String(step[word]).replace(/\{\{[^}]*\}\}/g, 'x');
  const known = controlCall(word)?.operation;
  const raw = path.startsWith('/_emulator') ? findOperation(word, path)?.operationId : undefined;
  return [...polls, ...[known, raw].filter((one) => one !== undefined)];
}

/** Where a world's values change or are read as a whole, all of them count as read. */
const READS_ALL = ['updateProject', 'resetProject', 'takeSnapshot', 'getHealth'];

function watched(target: Target, emulator: Emulator, seen: Seen, { steps }: Scenario): Target {
  const asked = new Set(steps.flatMap(controlled));
  return {
    ...target,
    async send(sent) {
      const operation = findOperation(sent.method, sent.path)?.operationId ?? '';
      const listening = watching;
      // The list of projects shows every value, and each play ends with it.
      if (operation === 'listProjects') watching = undefined;
      const answer = await target.send(sent);
      watching = listening;
      if (READS_ALL.includes(operation)) seen.values.add('*');
      const [, project] = /^\/(?:_emulator|api)\/projects\/([\w-]+)/.exec(sent.path) ?? [];
      if (project && answer.status < 300 && operation !== 'deleteProject')
        watchValues(emulator.project(project).world);
      // What the player asks for itself decides nothing.
      if (!sent.path.startsWith('/_emulator') || asked.has(operation)) {
        const { headers } = answer;
        const text = answer.clone().text();
        const push = (body: unknown) => void seen.answers.push({ sent, headers, body });
        // It ends when a later step lets it: each of its events is rewritten by itself.
        if (isEventStream(answer)) {
          push(undefined);
          void text.then((events) => dataOf(events).map(parsed).forEach(push));
        } else push(parsed(await text));
      }
      return answer;
    },
  };
}

function dataOf(events: string): string[] {
  return events.split('\n').flatMap((line) => /^data: ?(.*)$/.exec(line)?.[1] ?? []);
}

/** What reads of a watched world's values are noted in: one play goes on at a time. */
let watching: Set<string> | undefined;
const watchedProfiles = new WeakSet<object>();

function watchValues(world: { profile: Profile }): void {
  if (watchedProfiles.has(world.profile)) return;
  const watch = <Values extends object>(of: Values): Values =>
    new Proxy(of, {
      get(all, name) {
        watching?.add(String(name));
        return Reflect.get(all, name);
      },
    });
  const { name, switches, settings } = world.profile;
  world.profile = { name, switches: watch(switches), settings: watch(settings) };
  watchedProfiles.add(world.profile);
}

/** Whether a breaking can reach a scenario at all: it reads a value that changes, or meets an answer that is rewritten. */
function reaches(breaking: Breaking, { answers, values }: Seen): boolean {
  const changed = Object.keys({ ...breaking.switches, ...breaking.settings });
  if (changed.some((name) => values.has('*') || values.has(name))) return true;
  return (breaking.rewrite ?? []).some((one) => answers.some((answer) => isMeant(one, answer)));
}

/** Failed at an expectation, not in its setup, not by a bug, not by the form of an answer. */
export function noticed(played: Played): boolean {
  const first = played.failure?.mismatches[0]?.where;
  return played.outcome === 'failed' && first !== 'setup' && first !== 'openapi.yaml';
}

/** A play that did not pass, in plain data. */
export interface Failed {
  file: string;
  proves: readonly string[];
  noticed: boolean;
  stuck: boolean;
  said: string;
}

/** Most scenarios have some tens of calls and attempts, and a few have thousands: those are slow. */
const CALLS_MAX = 150;

export interface Broken {
  rule: string;
  failed: Failed[];
}

/** `othersMax`: how many scenarios of other areas are played at most, spread over all that the rule reaches. */
export async function playBroken(
  rule: Rule,
  all: readonly Baseline[],
  othersMax: number,
): Promise<Broken> {
  const breaking = rule.broken_by;
  if (!breaking) return { rule: rule.id, failed: [] };
  const baseline = reached(breaking, rule, all, othersMax);
  const { target, close } = inProcess();
  try {
    const failed: Failed[] = [];
    for (const { scenario, seen, played: whole } of baseline) {
      // The few slow ones are played for their own rules only.
      const slow = Math.max(seen.answers.length, whole.attempts.length) > CALLS_MAX;
      if (slow && !scenario.proves.includes(rule.id)) continue;
      const played = await play(scenario, target, { breaking });
      if (played.outcome !== 'passed') failed.push(failedOf(played));
    }
    return { rule: rule.id, failed };
  } finally {
    await close();
  }
}

function reached(
  breaking: Breaking,
  rule: Rule,
  all: readonly Baseline[],
  othersMax: number,
): Baseline[] {
  const met = all.filter(({ seen }) => reaches(breaking, seen));
  const isOwn = ({ scenario }: Baseline) =>
    scenario.proves.some((other) => areaOf(other) === areaOf(rule.id));
  const others = met.filter((one) => !isOwn(one));
  const every = Math.ceil(others.length / othersMax);
  return [...met.filter(isOwn), ...others.filter((_, index) => index % every === 0)];
}

function failedOf(played: Played): Failed {
  const { file, proves } = played.scenario;
  const stuck = played.outcome === 'stuck';
  return { file, proves, noticed: noticed(played), stuck, said: shownPlay(played) };
}

/** What is dishonest about one broken rule, in sentences. */
export function problemsOf({ rule, failed }: Broken): string[] {
  const citing = failed.filter(({ proves }) => proves.includes(rule));
  const problems: string[] = [];
  if (!citing.some((one) => one.noticed)) {
    const seen = citing.length > 0 ? `: ${citing.map(({ said }) => said).join('; ')}` : '';
    problems.push(
      `${rule} is broken, and no scenario that cites it fails at an expectation${seen}`,
    );
  }
  for (const { stuck, said, proves } of failed) {
    if (stuck) problems.push(`${rule} broken makes the emulator fail: ${said}`);
    if (!proves.some((other) => areaOf(other) === areaOf(rule)))
      problems.push(`${rule} broken fails a scenario of another area: ${said}`);
  }
  return problems;
}

export function shownPlay({ scenario, failure, reason, outcome }: Played): string {
  const first = failure?.mismatches[0];
  const what = first
    ? `${failure?.step}: ${first.where} expected ${first.expected}, got ${first.actual.slice(0, 160)}`
    : reason;
  return `${scenario.file}:${failure?.line ?? 1} ${outcome} ${what ?? ''}`;
}

/** Scenarios that no broken rule tells apart, and those that none makes fail. */
export function redundant(scenarios: readonly Scenario[], broken: readonly Broken[]): string[] {
  const rulesOf = new Map(scenarios.map(({ file }) => [file, [] as string[]]));
  for (const { rule, failed } of broken) {
    for (const { file } of failed) rulesOf.get(file)?.push(rule);
  }
  const alike = new Map<string, string[]>();
  for (const [file, set] of rulesOf) {
    const key = set.sort().join(' ');
    alike.set(key, [...(alike.get(key) ?? []), file]);
  }
  return [...alike].flatMap(([set, files]) => {
    if (set === '') return files.map((file) => `${file} passes whatever rule is broken`);
    return files.length === 1
      ? []
      : [`${files.join(' and ')} fail on the same broken rules: ${set}`];
  });
}

/** Rules that nothing proves, and what of them is not said. */
export function unproven(all: readonly Rule[], scenarios: readonly Scenario[]): string[] {
  const cited = new Set(scenarios.flatMap(({ proves }) => proves));
  return all.flatMap((rule) => {
    if (rule.tested_by !== undefined)
      return rule.basis === 'own' || rule.basis === 'assumed'
        ? []
        : [`${rule.id} is a promise of the service and needs a scenario, not a test`];
    const problems: string[] = [];
    if (!cited.has(rule.id)) problems.push(`${rule.id} is proven by no scenario`);
    if (!rule.broken_by) problems.push(`${rule.id} does not say how it is broken (broken_by)`);
    return problems;
  });
}

/** Scenarios that look at nothing but statuses and refusals. */
export function effectless(scenarios: readonly Scenario[]): string[] {
  return scenarios
    .filter(({ steps }) => !steps.some(looksAtAnEffect))
    .map(({ file }) => `${file} asserts no effect: look at what was made, changed or left alone`);
}

function looksAtAnEffect(step: Step): boolean {
  if (wordOf(step) === 'parallel')
    return (step.parallel as (Step | Step[])[]).flat().some(looksAtAnEffect);
  if (
    ['equals', 'fired', 'stopped', 'stream', 'until', 'answer_headers'].some((key) => key in step)
  )
    return true;
  return Object.entries(step).some(
    ([key, pattern]) => STATUS.test(key) && /^[23]/.test(key) && !isEmpty(pattern),
  );
}

function isEmpty(pattern: unknown): boolean {
  return pattern === null || JSON.stringify(pattern) === '{}';
}

/** The rules that can be broken, dealt out so that two processes have about the same to do. */
export function breakable(shard = 0, shards = 1): Rule[] {
  return rules().filter(({ broken_by }, index) => broken_by && index % shards === shard);
}

export async function playEachBroken(
  some: readonly Rule[],
  baseline: readonly Baseline[],
  othersMax = Number.MAX_SAFE_INTEGER,
): Promise<Broken[]> {
  const broken: Broken[] = [];
  for (const rule of some) broken.push(await playBroken(rule, baseline, othersMax));
  return broken;
}

/** For authors: everything that is wrong with one area or rule, or with all. */
async function tell(only: string | undefined): Promise<void> {
  const about = (id: string) => only === undefined || id === only || areaOf(id) === only;
  const scenarios = ownScenarios();
  const mine = scenarios.filter(({ proves }) => proves.some(about));
  const chosen = rules().filter(({ id }) => about(id));
  const began = performance.now();
  const baseline = await playWhole(scenarios);
  const wholeMs = Math.round(performance.now() - began);
  const broken = await playEachBroken(
    chosen.filter((rule) => rule.broken_by),
    baseline,
  );
  const brokenMs = Math.round(performance.now() - began) - wholeMs;
  const failing = baseline.filter(({ played }) => played.outcome !== 'passed');
  const problems = [
    ...failing.map(({ played }) => `fails with nothing broken: ${shownPlay(played)}`),
    ...unproven(chosen, scenarios),
    ...effectless(mine),
    ...broken.flatMap(problemsOf),
  ];
  const alike = redundant(mine, broken);
  for (const problem of [...problems, ...alike]) console.log(problem);
  console.log(
    `${chosen.length} rules, ${scenarios.length} scenarios in ${wholeMs} ms, ${broken.length} broken in ${brokenMs} ms; ${problems.length} problems, ${alike.length} alike (of the rules looked at)`,
  );
}

/** Of other areas the suite plays so many for each rule; by itself this file plays all. */
const OTHERS_MAX = 20;

/** For the suite: one share of the broken rules, as JSON. */
async function share(shard: number, shards: number): Promise<void> {
  const baseline = await playWhole(ownScenarios());
  const broken = await playEachBroken(breakable(shard, shards), baseline, OTHERS_MAX);
  process.stdout.write(JSON.stringify(broken));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , word, shard, shards] = process.argv;
  if (word === '--share') await share(Number(shard), Number(shards));
  else await tell(word);
}
