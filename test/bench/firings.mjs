// (a) Firings per second through engine, delivery, in-process agent and rows, beside the loop.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchError, inOrder, runScript, summary } from './measure.mjs';

const CHILD = new URL('./firing-child.mjs', import.meta.url);

export const AIM_RATIO = 0.5;
export const AIM_GROWTH = 1.5;

function cases(quick) {
  const all = [];
  for (const store of ['memory', 'file'])
    for (const zone of ['UTC', 'Europe/Berlin'])
      for (const routines of quick ? [1, 100] : [1, 100, 10_000])
        all.push({ store, zone, routines, spread: false });
  all.push({ store: 'memory', zone: 'UTC', routines: 100, spread: true });
  return all;
}

export async function benchFirings({ quick, say }) {
  const rounds = quick ? 1 : 3;
  const firings = quick ? 2_000 : 20_000;
  const warm = quick ? 500 : 4_000;
  const results = cases(quick).map((one) => ({ ...one, engine: [], loop: [], fired: 0 }));
  for (let round = 0; round < rounds; round += 1) {
    for (const result of results) {
      const left = new Set();
      for (const by of inOrder(['engine', 'loop'], round)) {
        const { fired, ms, left: digest } = await once({ ...result, by, firings, warm });
        result.fired = fired;
        result[by].push((fired / ms) * 1_000);
        left.add(digest);
      }
      if (left.size !== 1)
        throw new BenchError(
          `Engine and loop do not leave the same runs, attempts, sessions, responses, journal lines and due rows (${nameOf(result)}): the comparison is void. See test/bench/loop.mjs.`,
        );
    }
    say(`firings: round ${round + 1} of ${rounds}`);
  }
  const rows = results.map(({ engine, loop, ...one }) => ({
    name: nameOf(one),
    ...one,
    engine: summary(engine),
    loop: summary(loop),
    // Of each round by itself: both halves then met the same weather.
    ratio: summary(engine.map((value, round) => value / loop[round])),
  }));
  return { rounds, firings, rows, aims: aims(rows) };
}

async function once({ store, routines, zone, spread, by, firings, warm }) {
  const dataDir = store === 'file' ? mkdtempSync(join(tmpdir(), 'foundrite-bench-')) : undefined;
  try {
    return await runScript(CHILD, { by, dataDir, routines, zone, spread, firings, warm });
  } finally {
    if (dataDir !== undefined) rmSync(dataDir, { recursive: true, force: true });
  }
}

function nameOf({ store, zone, routines, spread }) {
  return `${routines.toLocaleString('en')} ${spread ? 'spread over the hour' : 'at once'}, ${zone}, ${store}`;
}

function aims(rows) {
  const find = (routines) =>
    rows.find(
      (row) =>
        row.routines === routines && row.zone === 'UTC' && row.store === 'memory' && !row.spread,
    );
  const hundred = find(100);
  const many = find(10_000);
  const list = [
    {
      what: 'firings, of the loop, 100 routines, UTC, memory',
      value: hundred.ratio.median,
      atLeast: AIM_RATIO,
    },
  ];
  if (many)
    list.push({
      what: 'cost of a firing at 10,000 routines, of that at 100',
      // Round by round, as the ratios.
      value: summary(many.engine.values.map((value, round) => hundred.engine.values[round] / value))
        .median,
      atMost: AIM_GROWTH,
    });
  return list;
}
