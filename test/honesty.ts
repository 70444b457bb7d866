/**
 * The suite's own honesty (design 10): every rule is broken in turn, and the scenarios that cite it must notice while those
 * of other areas do not. Run by itself it tells authors what is missing: `node test/honesty.ts [area or rule]`.
 */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Breaking, type Rule, rules } from '../contracts/ledger.ts';
import { findOperation } from '../contracts/openapi.ts';
import type { Target } from '../contracts/target.ts';
import { inProcess } from '../emulator/in-process.ts';
import { brokenTarget } from '../scenarios/broken.ts';
import { type Played, play } from '../scenarios/play.ts';
import { readScenario, type Scenario, STATUS, type Step, wordOf } from '../scenarios/scenario.ts';

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

/** What a play came across: that alone can be rewritten for it. */
interface Seen {
  operations: Set<string>;
  rules: Set<string>;
}

export interface Baseline {
  scenario: Scenario;
  played: Played;
  seen: Seen;
}

export async function playWhole(scenarios: readonly Scenario[]): Promise<Baseline[]> {
  const { target, close } = inProcess();
  try {
    const all: Baseline[] = [];
    for (const scenario of scenarios) {
      const seen: Seen = { operations: new Set(), rules: new Set() };
      const played = await play(scenario, watched(target, seen), { journal: true });
      all.push({ scenario, played, seen });
    }
    return all;
  } finally {
    await close();
  }
}

function watched(target: Target, seen: Seen): Target {
  return {
    ...target,
    async send(sent) {
      const answer = await target.send(sent);
      const operation = findOperation(sent.method, sent.path);
      if (operation) seen.operations.add(operation.operationId);
      const rule = answer.headers.get('x-foundrite-rule');
      if (rule) seen.rules.add(rule);
      return answer;
    },
  };
}

/** Whether a breaking can reach a scenario at all: other values may always, a rewrite only what it meets. */
function reaches(breaking: Breaking, { operations, rules: met }: Seen): boolean {
  if (breaking.switches || breaking.settings) return true;
  return (breaking.rewrite ?? []).some(
    (one) =>
      (one.operation === undefined ||
        [one.operation].flat().some((each) => operations.has(each))) &&
      (one.rule === undefined || met.has(one.rule)),
  );
}

/** Failed at an expectation, not in its setup, not by a bug, not by the form of an answer. */
export function noticed(played: Played): boolean {
  const first = played.failure?.mismatches[0]?.where;
  return played.outcome === 'failed' && first !== 'setup' && first !== 'openapi.yaml';
}

export interface Broken {
  rule: Rule;
  /** The plays that did not pass. */
  failed: Played[];
}

export async function playBroken(rule: Rule, baseline: readonly Baseline[]): Promise<Broken> {
  const breaking = rule.broken_by;
  if (!breaking) return { rule, failed: [] };
  const { target, close } = inProcess();
  try {
    const broken = brokenTarget(target, breaking);
    const failed: Played[] = [];
    for (const { scenario, seen } of baseline) {
      if (!reaches(breaking, seen)) continue;
      const played = await play(scenario, broken);
      if (played.outcome !== 'passed') failed.push(played);
    }
    return { rule, failed };
  } finally {
    await close();
  }
}

/** What is dishonest about one broken rule, in sentences. */
export function problemsOf({ rule, failed }: Broken): string[] {
  const citing = failed.filter(({ scenario }) => scenario.proves.includes(rule.id));
  const problems: string[] = [];
  if (!citing.some(noticed)) {
    const seen = citing.map(shownPlay);
    problems.push(
      `${rule.id} is broken, and no scenario that cites it fails at an expectation${seen.length > 0 ? `: ${seen.join('; ')}` : ''}`,
    );
  }
  for (const played of failed) {
    if (played.outcome === 'stuck')
      problems.push(`${rule.id} broken makes the emulator fail: ${shownPlay(played)}`);
    const { proves } = played.scenario;
    if (!proves.some((other) => areaOf(other) === areaOf(rule.id)))
      problems.push(`${rule.id} broken fails a scenario of another area: ${shownPlay(played)}`);
  }
  return problems;
}

function shownPlay({ scenario, failure, reason, outcome }: Played): string {
  const first = failure?.mismatches[0];
  const what = first
    ? `${failure?.step}: ${first.where} expected ${first.expected}, got ${first.actual.slice(0, 160)}`
    : reason;
  return `${scenario.file}:${failure?.line ?? 1} ${outcome} ${what ?? ''}`;
}

/** Scenarios that no broken rule tells apart, and those that none makes fail. */
export function redundant(scenarios: readonly Scenario[], broken: readonly Broken[]): string[] {
  const setOf = new Map(scenarios.map((scenario) => [scenario.file, [] as string[]]));
  for (const { rule, failed } of broken) {
    for (const { scenario } of failed) setOf.get(scenario.file)?.push(rule.id);
  }
  const byset = new Map<string, string[]>();
  for (const [file, set] of setOf) {
    const key = set.sort().join(' ');
    byset.set(key, [...(byset.get(key) ?? []), file]);
  }
  return [...byset].flatMap(([set, files]) => {
    if (set === '') return files.map((file) => `${file} fails whatever rule is broken: none`);
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

/** For authors: everything that is wrong with one area or rule. */
async function tell(only: string | undefined): Promise<void> {
  const scenarios = ownScenarios();
  const chosen = rules().filter(
    ({ id }) => only === undefined || id === only || areaOf(id) === only,
  );
  const began = performance.now();
  const baseline = await playWhole(scenarios);
  const base = performance.now() - began;
  const mine = scenarios.filter(
    ({ proves }) => only === undefined || proves.some((id) => id === only || areaOf(id) === only),
  );
  const problems = [
    ...baseline
      .filter(({ played }) => played.outcome !== 'passed')
      .map(({ played }) => `fails with nothing broken: ${shownPlay(played)}`),
    ...unproven(chosen, scenarios),
    ...effectless(mine),
  ];
  const broken: Broken[] = [];
  for (const rule of chosen.filter((one) => one.broken_by))
    broken.push(await playBroken(rule, baseline));
  problems.push(...broken.flatMap(problemsOf));
  const sets = redundant(mine, broken);
  for (const problem of [...problems, ...sets]) console.log(problem);
  console.log(
    `${chosen.length} rules, ${scenarios.length} scenarios in ${Math.round(base)} ms, ${broken.length} broken in ${Math.round(performance.now() - began - base)} ms; ${problems.length} problems, ${sets.length} alike (of the rules looked at)`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await tell(process.argv[2]);
