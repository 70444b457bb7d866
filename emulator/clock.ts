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
    return () => systemClearTimeout(handle);
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
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** An instant as control and journal write it: ISO with milliseconds, `Z`. */
export function isoInstant(at: Instant): string {
  return new Date(at).toISOString();
}

/** Unix seconds, as the live service writes instants (contract/routines.md 6). */
export function unixSeconds(at: Instant): number {
  return Math.floor(at / SECOND);
}

const DURATION = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/;
const SHORT_DURATION = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d{1,3})?)s)?$/;

/** `P30D`, `PT0S`, `2m`, `1h30m` or `500ms` in milliseconds; undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const ms = /^(\d+)ms$/.exec(text);
  if (ms) return Number(ms[1]);
  const iso = DURATION.exec(text);
  if (iso && text !== 'P' && !text.endsWith('T')) {
    const [, w, d, h, m, s] = iso;
    return sum(Number(w ?? 0) * 7 + Number(d ?? 0), h, m, s);
  }
  const short = text === '' ? null : SHORT_DURATION.exec(text);
  if (short) {
    const [, d, h, m, s] = short;
    return sum(Number(d ?? 0), h, m, s);
  }
  return undefined;
}

function sum(days: number, h?: string, m?: string, s?: string): number | undefined {
  const ms =
    days * DAY +
    Number(h ?? 0) * HOUR +
    Number(m ?? 0) * MINUTE +
    Math.round(Number(s ?? 0) * SECOND);
  return ms <= INSTANT_MAX ? ms : undefined;
}
