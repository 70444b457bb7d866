/** Durations as people write them, in every file and on every command line of this project. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** No duration reaches past the last instant that a JavaScript Date can hold, in milliseconds. */
const DURATION_MAX_MS = 8_640_000_000_000_000;

const ISO = /^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/;
const SHORT = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d{1,3})?)s)?$/;

/** `P30D`, `PT0S`, `2m`, `1h30m` or `500ms` in milliseconds; undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const ms = /^(\d+)ms$/.exec(text);
  if (ms) return Number(ms[1]) <= DURATION_MAX_MS ? Number(ms[1]) : undefined;
  const iso = ISO.exec(text);
  if (iso && text !== 'P' && !text.endsWith('T')) {
    const [, w, d, h, m, s] = iso;
    return sum(Number(w ?? 0) * 7 + Number(d ?? 0), h, m, s);
  }
  const short = text === '' ? null : SHORT.exec(text);
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
  return ms <= DURATION_MAX_MS ? ms : undefined;
}

/** `1m30s`: the shortest form that `parseDuration` reads back; the sign, if any, comes first. */
export function showDuration(ms: number): string {
  if (ms < 0) return `-${showDuration(-ms)}`;
  const parts: string[] = [];
  let rest = ms;
  for (const [unit, size] of [
    ['d', DAY],
    ['h', HOUR],
    ['m', MINUTE],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  if (rest > 0 || parts.length === 0) parts.push(`${rest / SECOND}s`);
  return parts.join('');
}
