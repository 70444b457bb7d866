import { describe, expect, it } from 'vitest';
import { PLANTED } from './planted.ts';
import { PLANTED_IN_AGENTS } from './planted-agents.ts';
import { type Failure, playSeed, report } from './seeds.ts';

describe('a planted fault', () => {
  it.each(Object.entries({ ...PLANTED, ...PLANTED_IN_AGENTS }))(
    'is found by one of 200 stories, and told in a few steps: %s',
    { timeout: 120_000 },
    async (_name, planted) => {
      let found: Failure | undefined;
      for (let seed = 1; seed <= 200 && !found; seed += 1)
        found = await playSeed(seed, new Map(), planted);

      expect(found).toBeDefined();
      if (!found) return;
      expect(found.error.name, report(found)).toBe('Difference');
      expect(found.steps, report(found)).toBeLessThanOrEqual(8);
      expect(report(found)).toContain(`npm run test:sim -- --seed ${found.seed}`);
    },
  );
});
