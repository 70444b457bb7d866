import { defineConfig } from 'vitest/config';
import { LongestFirst } from '../../vitest.config.ts';

export default defineConfig({
  test: {
    include: ['test/clients/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
