/**
 * Booby traps in the process's own time and chance: product code that reaches for them anywhere but in clock.ts and ids.ts
 * fails the test that made it do so. Set up before anything of ours is loaded.
 */
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const PRODUCT = ['emulator', 'contracts', 'scenarios', 'cli'].map((folder) => `${ROOT}${folder}/`);
const ALLOWED = [`${ROOT}emulator/clock.ts`, `${ROOT}emulator/ids.ts`];

/** The file that called the trapped function: the first frame outside this file. */
function caller(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 4;
  const stack = new Error('trap').stack ?? '';
  Error.stackTraceLimit = limit;
  const frames = stack
    .split('\n')
    .slice(1)
    .filter((frame) => !frame.includes('test/traps.ts'));
  return frames[0] ?? '';
}

function trap<Fn extends (...args: never[]) => unknown>(name: string, original: Fn): Fn {
  const trapped = (...args: never[]) => {
    const frame = caller();
    const ours = PRODUCT.some((folder) => frame.includes(folder));
    if (ours && !ALLOWED.some((file) => frame.includes(file))) {
      throw new Error(
        `${name} was called from ${frame.trim()}: time and chance come from clock.ts and ids.ts`,
      );
    }
    return original(...args);
  };
  return Object.assign(trapped, original) as unknown as Fn;
}

globalThis.setTimeout = trap('setTimeout', globalThis.setTimeout);
globalThis.setInterval = trap('setInterval', globalThis.setInterval);
// biome-ignore lint/plugin: the trap itself must take what it replaces.
Date.now = trap('Date.now', Date.now);
// biome-ignore lint/plugin: the trap itself must take what it replaces.
Math.random = trap('Math.random', Math.random);
