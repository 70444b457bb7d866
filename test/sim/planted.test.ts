import { describe, expect, it } from 'vitest';
import { PLANTED } from './planted.ts';
import { PLANTED_IN_AGENTS } from './planted-agents.ts';
import { type Failure, playSeed, report } from './seeds.ts';

/** What needs a rare story is looked for where one is near, so that not all before it are told. */
const FROM: Record<string, number> = {
  'the second wait is one second where the answer was a 429': 81,
  'a run that failed keeps the status of its first attempt': 31,
  'a routine that is disabled within five minutes of its instant fires all the same': 41,
  'what fires at the very end of an advance fires a moment later': 51,
  'a timer that has fired fires again when its world is brought back': 741,
  'the number of a release that was deleted comes again': 121,
  'an agent that gets a version is enabled again': 81,
};

describe('a planted fault', () => {
  it.each(Object.entries({ ...PLANTED, ...PLANTED_IN_AGENTS }))(
    'is found by one of 200 stories, and told in a few steps: %s',
    { timeout: 120_000 },
    async (name, planted) => {
      let found: Failure | undefined;
      const from = FROM[name] ?? 1;
      for (let seed = from; seed < from + 200 && !found; seed += 1)
        found = await playSeed(seed, new Map(), planted);

      expect(found).toBeDefined();
      if (!found) return;
      expect(found.error.name, report(found)).toBe('Difference');
      expect(found.steps, report(found)).toBeLessThanOrEqual(8);
      expect(report(found)).toContain(`npm run test:sim -- --seed ${found.seed}`);
    },
  );
});
