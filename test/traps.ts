/**
 * Booby traps in the process's own time and chance: product code that reaches for them anywhere but in clock.ts and ids.ts
 * fails the test that made it do so. Set up before anything of ours is loaded.
 */
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const PRODUCT = ['emulator', 'contracts', 'scenarios', 'cli'].map((folder) => `${ROOT}${folder}/`);
const ALLOWED = [`${ROOT}emulator/clock.ts`, `${ROOT}emulator/ids.ts`];

/** Where the trapped function was called: the first frame outside this file. Not as text, which takes longer than a whole turn. */
function caller(): NodeJS.CallSite | undefined {
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = 4;
  Error.prepareStackTrace = (_, sites) => sites;
  const { stack } = new Error('trap') as { stack?: unknown };
  Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  const frames = stack as NodeJS.CallSite[];
  return frames.find((frame) => !frame.getFileName()?.endsWith('test/traps.ts'));
}

function trap<Fn extends (...args: never[]) => unknown>(name: string, original: Fn): Fn {
  const trapped = (...args: never[]) => {
    const frame = caller();
    const file = frame?.getFileName() ?? '';
    const ours = PRODUCT.some((folder) => file.includes(folder));
    if (ours && !ALLOWED.some((allowed) => file.includes(allowed))) {
      throw new Error(
        `${name} was called from ${file}:${frame?.getLineNumber()}: time and chance come from clock.ts and ids.ts`,
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
