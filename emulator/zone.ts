/**
 * Time zones: their names, and what their clocks show at an instant. What Intl says is kept as
 * spans of constant offset, because one question to Intl costs a hundred times a comparison.
 */
import { createRequire } from 'node:module';
import { DAY, HOUR, INSTANT_MAX, type Instant, SECOND } from './clock.ts';

const require = createRequire(import.meta.url);

/**
 * What a zone's clock would show at an instant, as milliseconds since 1970-01-01T00:00 on that
 * clock.
 */
export type LocalTime = number;

/** A stretch of time in which a zone's offset does not change. */
export interface Span {
  from: Instant;
  /** The first instant after the span. */
  until: Instant;
  offsetMs: number;
  /**
   * The first local time that the clock had not shown before `from`. Earlier than the span's own
   * first local time: the clock went forward, and what lies between was never shown. Later: it went
   * back, and is being shown again.
   */
  reached: LocalTime;
}

export interface Zone {
  /** The IANA name, as Intl writes it. */
  id: string;
  format: Intl.DateTimeFormat;
  blocks: Map<number, readonly Span[]>;
  /** The span asked for last; the next question is nearly always about the same one. */
  span: Span;
}

/** No name is longer; also keeps a huge one out of the cache. */
export const ZONE_NAME_LENGTH_MAX = 256;
/** No zone was ever further from UTC (Manila until 1844 was 15:56 behind). */
export const OFFSET_MAX_MS = 16 * HOUR;

/**
 * The shortest stay of any zone in an offset, there and back, is seven days (Brazil's north-east in
 * October 2000).
 */
const PROBE_MS = 6 * DAY;
/**
 * Spans are found one block at a time: a block costs about ten probes, and a change in it twenty
 * more.
 */
const BLOCK_MS = 8 * PROBE_MS;
/**
 * How far around a block a change still matters in it: the longest repeat was a day (Samoa 1892).
 */
const BLOCK_MARGIN_MS = 2 * DAY;
/** Sixty years of one zone; the oldest block goes first. */
const BLOCKS_MAX = 460;
const NAMES_MAX = 1_000;
/** Before this, every zone keeps its own mean time, and years need no era. */
const FIRST_CHANGE: Instant = Date.UTC(1800, 0, 1);

/**
 * Intl also takes ICU's own three-letter names, in which BST is Dhaka. These are the ones that IANA
 * has.
 */
const IANA_THREE_LETTERS = new Set(
  'CET EET EST GMT HST MET MST PRC ROC ROK UCT UTC WET'.split(' '),
);

let windowsNames: Map<string, string> | undefined;

function windowsName(name: string): string | undefined {
  if (!windowsNames) {
    // Loaded with the first zone: a start needs none of it.
    const { WINDOWS_TO_IANA_MAP } = require('windows-iana') as typeof import('windows-iana');
    const worldwide = WINDOWS_TO_IANA_MAP.filter(({ territory }) => territory === '001');
    windowsNames = new Map(
      worldwide.map(({ windowsName, iana }) => [windowsName.toLowerCase(), iana[0]]),
    );
  }
  return windowsNames.get(name.toLowerCase());
}

const names = new Map<string, string | undefined>();
const zones = new Map<string, Zone>();

/**
 * The IANA name of a zone given by its IANA or Windows name, in any case; undefined when it is
 * neither. Offsets such as `+02:00` are not names, though Intl takes them.
 */
export function readZone(name: string): string | undefined {
  if (name.length > ZONE_NAME_LENGTH_MAX) return undefined;
  if (names.has(name)) return names.get(name);
  if (names.size >= NAMES_MAX) names.clear();
  const id = resolve(name);
  names.set(name, id);
  return id;
}

function resolve(name: string): string | undefined {
  if (!/^[a-z]/i.test(name)) return undefined;
  if (name.length === 3 && !IANA_THREE_LETTERS.has(name.toUpperCase())) return undefined;
  try {
    const timeZone = windowsName(name) ?? name;
    return new Intl.DateTimeFormat('en-US', { timeZone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

/** The zone that `readZone` named. There are no more of them than Intl knows, so they are kept. */
export function zoneNamed(id: string): Zone {
  const known = zones.get(id);
  if (known) return known;
  const two = '2-digit';
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: id,
    hourCycle: 'h23',
    year: 'numeric',
    month: two,
    day: two,
    hour: two,
    minute: two,
    second: two,
  });
  const fixed = format.resolvedOptions().timeZone === 'UTC';
  const edge = fixed ? Infinity : 0;
  const span = { from: -edge, until: edge, offsetMs: 0, reached: -edge };
  const zone = { id, format, blocks: new Map(), span };
  zones.set(id, zone);
  return zone;
}

export function spanAt(zone: Zone, at: Instant): Span {
  if (at >= zone.span.from && at < zone.span.until) return zone.span;
  const block = Math.floor(at / BLOCK_MS);
  const spans = zone.blocks.get(block) ?? loadBlock(zone, block);
  for (const span of spans) {
    if (at < span.until) {
      zone.span = span;
      return span;
    }
  }
  throw new Error(`No span of ${zone.id} holds the instant ${at}`);
}

/**
 * The instant at which a zone's clock first shows a local time or, if it went forward over it, the
 * instant of that change. So of a time shown twice this is the first, and `02:30` on a spring night
 * is 03:00.
 */
export function instantOf(zone: Zone, local: LocalTime): Instant {
  let span = spanAt(zone, local - OFFSET_MAX_MS);
  while (local >= span.until + span.offsetMs) span = spanAt(zone, span.until);
  return Math.max(span.from, local - span.offsetMs);
}

function loadBlock(zone: Zone, block: number): readonly Span[] {
  const start = block * BLOCK_MS;
  const end = start + BLOCK_MS;
  const spans: Span[] = [];
  let reached = -Infinity;
  let from = start - BLOCK_MARGIN_MS;
  let offsetMs = offsetAt(zone, from);
  const close = (until: Instant): void => {
    const clipped = Math.max(from, start);
    if (clipped < Math.min(until, end)) {
      // A span cut off by its block begins with nothing new: its own clock ran up to the cut.
      if (clipped > from) reached = Math.max(reached, clipped + offsetMs);
      spans.push({ from: clipped, until: Math.min(until, end), offsetMs, reached });
    }
    reached = Math.max(reached, until + offsetMs);
  };
  for (let probe = from; probe < end + BLOCK_MARGIN_MS; ) {
    probe = Math.min(probe + PROBE_MS, end + BLOCK_MARGIN_MS);
    const probeOffsetMs = offsetAt(zone, probe);
    while (offsetMs !== probeOffsetMs) {
      const change = firstChange(zone, from, probe, offsetMs);
      close(change);
      from = change;
      offsetMs = offsetAt(zone, change);
    }
  }
  close(end + BLOCK_MARGIN_MS);
  for (const oldest of zone.blocks.keys()) {
    if (zone.blocks.size < BLOCKS_MAX) break;
    zone.blocks.delete(oldest);
  }
  zone.blocks.set(block, spans);
  return spans;
}

/**
 * The first second after `low` that no longer has the offset of `low`; `high` is one that has not.
 */
function firstChange(zone: Zone, low: Instant, high: Instant, offsetMs: number): Instant {
  while (high - low > SECOND) {
    const middle = low + Math.floor((high - low) / (2 * SECOND)) * SECOND;
    if (offsetAt(zone, middle) === offsetMs) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * Asks Intl. Instants are whole seconds; what lies outside what it can answer has the offset of the
 * nearest edge.
 */
function offsetAt(zone: Zone, at: Instant): number {
  const asked = Math.min(Math.max(at, FIRST_CHANGE), INSTANT_MAX);
  const [month, day, year, hour, minute, second] = zone.format.format(asked).match(/\d+/g) ?? [];
  return (
    Date.UTC(
      Number(year),
      Number(month) - 1,
      Number(day),
      Number(hour),
      Number(minute),
      Number(second),
    ) - asked
  );
}
