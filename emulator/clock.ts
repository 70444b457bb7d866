/**
 * Time. This file and ids.ts are the only ones that may read the host's clock or chance; everything else is handed an instant.
 */
import { createRequire } from 'node:module';

/** A point in time, in milliseconds since the epoch. */
export type Instant = number;

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export { parseDuration } from '../contracts/duration.ts';

const require = createRequire(import.meta.url);

/** The last instant that a JavaScript Date can hold; nothing is due after it. */
export const INSTANT_MAX: Instant = 8_640_000_000_000_000;

/** Node fires a timer set further ahead than this at once. */
const TIMEOUT_MAX_MS = 2_147_483_647;

// Taken once, so that replacing the process's own functions later cannot move a world.
const systemNow = Date.now.bind(Date);
const systemSetTimeout = globalThis.setTimeout;
const systemClearTimeout = globalThis.clearTimeout;

/** What the wiring hands to everything that must know the host's time: TLS, tokens, keep-alives, ceilings, rate 1. */
export interface HostClock {
  /** The host's instant. */
  now(): Instant;
  /** Calls back once after `delayMs` (longer delays than Node can hold are clipped: the callee looks again). Returns its cancel. `keepsAlive`: somebody waits for it, so the process must not end before. */
  after(delayMs: number, callback: () => void, keepsAlive?: boolean): () => void;
}

export const systemClock: HostClock = {
  now: () => systemNow(),
  after(delayMs, callback, keepsAlive = false) {
    const handle = systemSetTimeout(callback, Math.min(Math.max(delayMs, 0), TIMEOUT_MAX_MS));
    if (!keepsAlive) handle.unref?.();
    return () => {
      // Node keeps a list for each delay until it is over, and throws an empty one away early for timers that keep alive only: a world
      // at rate 1 sets a timer of another delay after every turn.
      handle.ref?.();
      systemClearTimeout(handle);
    };
  },
};

/** A clock that moves only when told to: for tests of what depends on the host. Never installed over the globals. */
export function manualClock(startAt: Instant): HostClock & { tick(ms: number): void } {
  // Loaded here: a start needs none of it.
  const { createClock } = require('@sinonjs/fake-timers') as typeof import('@sinonjs/fake-timers');
  const clock = createClock(startAt);
  return {
    now: () => clock.now,
    after(delayMs, callback) {
      const handle = clock.setTimeout(callback, Math.max(delayMs, 0));
      return () => clock.clearTimeout(handle);
    },
    tick: (ms) => void clock.tick(ms),
  };
}

/** An instant as the API writes it in ISO: seconds precision, `Z`. */
export function isoSeconds(at: Instant): string {
  // From its end: years after 9999 have more digits.
  return `${new Date(at).toISOString().slice(0, -'.000Z'.length)}Z`;
}

/** An instant as control and journal write it: ISO with milliseconds, `Z`. */
export function isoInstant(at: Instant): string {
  if (at !== written.at) written = { at, text: new Date(at).toISOString() };
  return written.text;
}

/** Every answer carries an instant, and many answers the same one. */
let written: { at: Instant; text: string } = { at: 0, text: new Date(0).toISOString() };

/** Unix seconds, as the live service writes instants (contract/routines.md 6). */
export function unixSeconds(at: Instant): number {
  return Math.floor(at / SECOND);
}
