import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PLANTED_IN_THREADS } from '../sim/planted-threads.ts';
import { type Failure, playSeed, report } from '../sim/seeds.ts';
import { stepsOf } from '../sim/story.ts';

const SEEDS = 1_000;
const FOLDER = new URL('.', import.meta.url);

function partsOf(): string[] {
  return readdirSync(FOLDER).filter((file) => !file.endsWith('.test.ts'));
}

describe('the model of threads and runs', () => {
  it('is told from the contract alone: it imports nothing but its own parts', () => {
    const outside = partsOf().flatMap((file) => {
      const text = readFileSync(new URL(file, FOLDER), 'utf8');
      const imported = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)];
      return imported
        .map(([, path = '']) => path)
        .filter((path) => !partsOf().includes(path.slice(2)));
    });

    expect(partsOf()).toContain('model.ts');
    expect(outside).toEqual([]);
  });

  it(`agrees with the emulator in ${SEEDS} stories, and no run leaves its table`, {
    timeout: 240_000,
  }, async () => {
    const figures = new Map<string, number>();
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const failure = await playSeed(seed, figures, undefined, 'threads');
      expect(failure && report(failure)).toBeUndefined();
    }

    // Nobody takes trivial stories for proof.
    const least: Record<string, number> = {
      'steps about threads': 10_000,
      'add message 400': 100,
      'start run 200': 1_500,
      'start run 400': 1_000,
      'cancel run 200': 200,
      'cancel run 400': 200,
      'submit outputs 200': 200,
      'submit outputs 400': 1_000,
      'step run 200': 50,
      'step run 409': 100,
      'delete thread 200': 10,
      'leaf through 200': 60,
      'journals replayed': 100,
      'thread run requires_action': 20,
      'thread run completed': 500,
      'thread run failed': 100,
      'thread run cancelled': 100,
      'thread run expired': 100,
      'thread run incomplete': 20,
    };
    const trivial = Object.entries(least).filter(
      ([what, times]) => (figures.get(what) ?? 0) < times,
    );
    expect(trivial.map(([what]) => `${what}: ${figures.get(what) ?? 0}`)).toEqual([]);
  });

  it.each(Object.entries(PLANTED_IN_THREADS))(
    `notices within ${SEEDS} stories, and tells in a few steps: %s`,
    { timeout: 120_000 },
    async (_, planted) => {
      let found: Failure | undefined;
      for (let seed = 1; seed <= SEEDS && !found; seed += 1)
        found = await playSeed(seed, new Map(), planted, 'threads');

      expect(found).toBeDefined();
      if (!found) return;
      expect(found.error.name, report(found)).toBe('Difference');
      expect(stepsOf(found.story).length, report(found)).toBeLessThanOrEqual(9);
      expect(report(found)).toContain(`--seed ${found.seed} --of threads`);
    },
  );
});
