/** The suite's own honesty (design 10): what the scenarios say can fail, and fails for the right reason. */
import { beforeAll, describe, expect, test } from 'vitest';
import { rules } from '../contracts/ledger.ts';
import { controlBelow, httpTarget } from '../contracts/target.ts';
import { play } from '../scenarios/play.ts';
import { type Baseline, playWhole } from './baseline.ts';
import { type Broken, ownScenarios, playEachBroken, shownPlay } from './broken-plays.ts';
import { breakable, effectless, problemsOf, redundant, unproven } from './honesty.ts';
import { start } from './started.ts';

const MINUTES = 60_000;
/** For each rule, beside those that cite it: over all rules each scenario is drawn. */
const SAMPLE = 10;

const scenarios = ownScenarios();
let first: Baseline[];
let broken: Broken[];

beforeAll(async () => {
  first = await playWhole(scenarios);
  broken = await playEachBroken(breakable(), first, SAMPLE);
}, 8 * MINUTES);

describe('the scenarios', () => {
  test('all pass with nothing broken', () => {
    const failed = first.filter(({ played }) => played.outcome !== 'passed');

    expect(failed.map(({ played }) => shownPlay(played))).toEqual([]);
    expect(scenarios.length).toBeGreaterThan(100);
  });

  test('have a canonical journal', () => {
    const interleaved = first.filter(({ played }) => played.journal === undefined);

    // Their requests or answers come while an advance is under way, so that their order is chance.
    expect(interleaved.map(({ scenario }) => scenario.name)).toEqual([
      'a-client-waits-a-minute-for-a-sandbox',
      'a-second-advance-during-the-first-is-answered-409',
      'an-advance-can-be-stopped-and-keeps-what-it-has-done',
    ]);
  });

  test('have the same journal when another process plays them, by URL over TLS and eight at once', async () => {
    const emulator = await start();
    const ca = await (await fetch(`${emulator.url}/_emulator/ca.pem`)).text();
    const url = emulator.url.replace('http:', 'https:');
    const target = httpTarget(url, { authorization: 'Bearer any', ca, control: controlBelow() });
    const queue = [...first];
    const differ: string[] = [];
    const worker = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const played = await play(next.scenario, target, { journal: true });
        if (played.outcome !== 'passed') differ.push(shownPlay(played));
        else if (played.journal !== next.played.journal) differ.push(next.scenario.file);
      }
    };
    try {
      await Promise.all(Array.from({ length: 8 }, worker));
    } finally {
      target.close();
      await emulator.end();
    }

    expect(differ).toEqual([]);
  }, 120_000);

  test('prove every rule, and assert an effect', () => {
    expect(unproven(rules(), scenarios)).toEqual([]);
    expect(effectless(scenarios)).toEqual([]);
  });

  test('notice each broken rule at an expectation, where it is cited and not in other areas', () => {
    expect(broken.map(({ rule }) => rule)).toEqual(breakable().map(({ id }) => id));
    expect(broken.flatMap(problemsOf)).toEqual([]);
  });

  test('are told apart by the broken rules that make them fail', () => {
    expect(redundant(scenarios, broken)).toEqual([]);
  });
});
