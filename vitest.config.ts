import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/clients/**', 'test/bench/**', '**/node_modules/**'],
    setupFiles: ['test/traps.ts'],
    testTimeout: 20_000,
  },
});
