/**
 * Scenarios played with a rule broken: all that the rule reaches, each anew. With a sample, what rewritten answers come to is
 * read from the baseline; of what only an emulator can tell, who cites the rule is played, then a sample of the others, and
 * who else is needed to tell two scenarios apart.
 */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Breaking, Rule } from '../contracts/ledger.ts';
import type { Target } from '../contracts/target.ts';
import { inProcess } from '../emulator/in-process.ts';
import { type Played, play } from '../scenarios/play.ts';
import { readScenario, type Scenario } from '../scenarios/scenario.ts';
import { type Baseline, playRecorded, reaches } from './baseline.ts';

/** Every scenario of ours. */
export function ownScenarios(): Scenario[] {
  const folder = fileURLToPath(new URL('../scenarios', import.meta.url));
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => readScenario(relative('.', join(folder, file))));
}

export function areaOf(rule: string): string {
  return rule.split('/')[0] ?? '';
}

/** A play that did not pass. */
export interface Failed {
  file: string;
  proves: readonly string[];
  /** Failed at an expectation, not in its setup, not by a bug, not by the form of an answer. */
  noticed: boolean;
  stuck: boolean;
  said: string;
}

function failedOf(played: Played): Failed {
  const { file, proves } = played.scenario;
  const first = played.failure?.mismatches[0]?.where;
  const noticed = played.outcome === 'failed' && first !== 'setup' && first !== 'openapi.yaml';
  return { file, proves, noticed, stuck: played.outcome === 'stuck', said: shownPlay(played) };
}

export function shownPlay({ scenario, failure, reason, outcome }: Played): string {
  const first = failure?.mismatches[0];
  const what = first
    ? `${failure?.step}: ${first.where} expected ${first.expected}, got ${first.actual.slice(0, 160)}`
    : reason;
  return `${scenario.file}:${failure?.line ?? 1} ${outcome} ${what ?? ''}`;
}

/** One rule that is broken, and the scenarios that it reaches. */
export class Broken {
  readonly rule: string;
  /** By file. */
  readonly failed = new Map<string, Failed>();
  /** Those that were not played so far. */
  readonly open: Set<Baseline>;
  readonly #breaking: Breaking;
  readonly #area: string;

  constructor(rule: Rule, all: readonly Baseline[]) {
    this.rule = rule.id;
    this.#area = areaOf(rule.id);
    const breaking = rule.broken_by ?? {};
    this.#breaking = breaking;
    const met = all.filter(({ seen }) => reaches(breaking, seen));
    // The few slow ones are played for their own rules only.
    this.open = new Set(met.filter((one) => !isSlow(one) || this.isCitedBy(one)));
  }

  isCitedBy({ scenario }: Baseline): boolean {
    return scenario.proves.includes(this.rule);
  }

  /** Whether it might fail: of another area it must not, which is a matter of its own. */
  isOpen(one: Baseline): boolean {
    return this.open.has(one) && one.scenario.proves.some((other) => areaOf(other) === this.#area);
  }

  fails({ scenario }: Baseline): boolean {
    return this.failed.has(scenario.file);
  }

  /** Plays those of them that are open. */
  async play(some: readonly Baseline[], target: Target): Promise<void> {
    for (const { scenario } of some.filter((one) => this.open.delete(one)))
      this.#note(await play(scenario, target, { breaking: this.#breaking }));
  }

  /** Plays all that cite the rule, and all of which the baseline can tell. */
  async playTold(target: Target): Promise<void> {
    for (const one of this.open) {
      const played = await playRecorded(one, this.#breaking);
      if (played === undefined) continue;
      this.open.delete(one);
      this.#note(played);
    }
    const citing = [...this.open].filter((one) => this.isCitedBy(one));
    await this.play(citing, target);
  }

  #note(played: Played): void {
    if (played.outcome !== 'passed') this.failed.set(played.scenario.file, failedOf(played));
  }
}

/** Most scenarios have some tens of calls and attempts, and a few have thousands. */
const CALLS_MAX = 150;

function isSlow({ seen, played }: Baseline): boolean {
  return Math.max(seen.answers.length, played.attempts.length) > CALLS_MAX;
}

/** `sample`: how many scenarios are played anew for each rule beside those that cite it. */
export async function playEachBroken(
  rules: readonly Rule[],
  all: readonly Baseline[],
  sample?: number,
): Promise<Broken[]> {
  const { target, close } = inProcess();
  const each = rules.map((rule) => new Broken(rule, all));
  const times = new Map<Baseline, number>();
  const timesOf = (one: Baseline) => times.get(one) ?? 0;
  try {
    for (const broken of each) {
      if (sample !== undefined) await broken.playTold(target);
      // Those that were drawn least, so that in the end all were.
      const drawn = [...broken.open]
        .sort((one, other) => timesOf(one) - timesOf(other))
        .slice(0, sample);
      for (const one of drawn) times.set(one, timesOf(one) + 1);
      await broken.play(drawn, target);
    }
    await tellApart(each, all, target);
    return each;
  } finally {
    await close();
  }
}

/** Plays what is open, until each scenario fails for a rule and no two for the same ones, or nothing is open. */
async function tellApart(
  each: readonly Broken[],
  all: readonly Baseline[],
  target: Target,
): Promise<void> {
  const closed = each.filter((broken) => !all.some((one) => broken.isOpen(one)));
  const groups = new Map<string, Baseline[]>();
  for (const one of all) {
    const rules = closed.flatMap((broken) => (broken.fails(one) ? [broken.rule] : [])).join(' ');
    groups.set(rules, [...(groups.get(rules) ?? []), one]);
  }
  for (const group of groups.values()) {
    for (const [index, one] of group.entries()) {
      await playUntil((broken) => broken.fails(one), each, [one], target);
      for (const other of group.slice(index + 1)) {
        const apart = (broken: Broken) => broken.fails(one) !== broken.fails(other);
        await playUntil(apart, each, [one, other], target);
      }
    }
  }
}

/** First by those rules that one of them fails for. */
async function playUntil(
  isEnough: (broken: Broken) => boolean,
  each: readonly Broken[],
  some: readonly Baseline[],
  target: Target,
): Promise<void> {
  const open = each.filter((broken) => some.some((one) => broken.isOpen(one)));
  if (each.some((broken) => isEnough(broken) && !open.includes(broken))) return;
  const telling = (broken: Broken) => some.some((one) => broken.fails(one));
  for (const broken of [...open.filter(telling), ...open.filter((one) => !telling(one))]) {
    await broken.play(
      some.filter((one) => broken.isOpen(one)),
      target,
    );
    if (isEnough(broken)) return;
  }
}
