import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest goes first, so that nobody waits for one of these alone in the end. */
const LONGEST = [
  'test/honesty.test.ts',
  'test/thread-model/thread-model.test.ts',
  'test/sim/planted.test.ts',
  'test/bad-input/mutations.test.ts',
  'test/kill.test.ts',
  'test/play.test.ts',
  'test/disk.test.ts',
  'test/cli.test.ts',
  'test/security.test.ts',
  'test/sim/sim.test.ts',
  'test/verbs.test.ts',
  'test/schedule.test.ts',
  'test/clients/schemathesis.test.ts',
  'test/clients/seed-blocks.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((file) => moduleId.endsWith(file));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((one, other) => place(one) - place(other));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/clients/**', 'test/bench/**', '**/node_modules/**'],
    setupFiles: ['test/traps.ts'],
    // On two cores vitest would use one.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    sequence: { sequencer: LongestFirst },
    testTimeout: 20_000,
  },
});
