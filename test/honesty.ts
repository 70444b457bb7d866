/**
 * The suite's own honesty (design 10): every rule is broken in turn, and the scenarios that cite it must notice while those
 * of other areas do not. Run by itself it tells authors what is missing: `node test/honesty.ts [area or rule]`.
 */
import { fileURLToPath } from 'node:url';
import { type Rule, rules } from '../contracts/ledger.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { STATUS, type Step, wordOf } from '../scenarios/step.ts';
import { playWhole } from './baseline.ts';
import { areaOf, type Broken, ownScenarios, playEachBroken, shownPlay } from './broken-plays.ts';

/** What is dishonest about one broken rule, in sentences. */
export function problemsOf({ rule, failed }: Broken): string[] {
  const failures = [...failed.values()];
  const citing = failures.filter(({ proves }) => proves.includes(rule));
  const problems: string[] = [];
  if (!citing.some((one) => one.noticed)) {
    const seen = citing.length > 0 ? `: ${citing.map(({ said }) => said).join('; ')}` : '';
    problems.push(
      `${rule} is broken, and no scenario that cites it fails at an expectation${seen}`,
    );
  }
  for (const { stuck, said, proves } of failures) {
    if (stuck) problems.push(`${rule} broken makes the emulator fail: ${said}`);
    if (!proves.some((other) => areaOf(other) === areaOf(rule)))
      problems.push(`${rule} broken fails a scenario of another area: ${said}`);
  }
  return problems;
}

/** Scenarios that no broken rule tells apart, and those that none makes fail. */
export function redundant(scenarios: readonly Scenario[], broken: readonly Broken[]): string[] {
  const rulesOf = new Map(scenarios.map(({ file }) => [file, [] as string[]]));
  for (const { rule, failed } of broken) {
    for (const file of failed.keys()) rulesOf.get(file)?.push(rule);
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

export function breakable(): Rule[] {
  return rules().filter(({ broken_by }) => broken_by !== undefined);
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

if (process.argv[1] === fileURLToPath(import.meta.url)) await tell(process.argv[2]);
