/** A timer's `at` in all its written forms. Pure: the present is handed in. */
import { type Instant, MINUTE, parseDuration, SECOND } from './clock.ts';
import {
  monthLength,
  problem,
  quoted,
  type ScheduleProblem,
  TRIGGER_TEXT_LENGTH_MAX,
  zoneUnknown,
} from './cron.ts';
import { instantOf, readZone, zoneNamed } from './zone.ts';

export interface Timer {
  kind: 'timer';
  at: Instant;
}

/**
 * The years that ISO 8601 writes with four digits. More is most likely milliseconds given as
 * seconds.
 */
const TIMER_MIN: Instant = -62_135_596_800_000;

const TIMER_MAX: Instant = 253_402_300_799_999;

const LOCAL = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(.*)$/i;

const OFFSET = /^([+-])([01]\d|2[0-3])(?::?([0-5]\d))?$/;

const SHORT_DURATION = /^\d+[smhd]$/;

const TIMER_FORMS =
  'Write an instant such as "2026-03-02T09:00:00Z", a local time such as "2026-03-02T09:00:00" ' +
  'with a time_zone, a duration such as "30m", "2h", "90s", "1d" or "PT2H", or a number of unix ' +
  'seconds.';

/**
 * Reads a timer's `at`; whether it is past is for the caller to judge. An offset in `at` wins over
 * a time zone (assumed). A local time that a clock change skips fires at the change, and one that
 * it repeats fires the first time, as a cron does.
 */
export function readTimer(
  at: unknown,
  timeZone: string | undefined,
  now: Instant,
): Timer | ScheduleProblem {
  const zone = timeZone === undefined ? undefined : readZone(timeZone);
  if (timeZone !== undefined && zone === undefined) return zoneUnknown(timeZone);
  if (typeof at === 'number') return timer(at, Math.round(at * SECOND));
  if (typeof at !== 'string' || at.length > TRIGGER_TEXT_LENGTH_MAX) return timerSyntax(at);
  const negative = at.startsWith('-');
  const duration = negative ? at.slice(1) : at;
  if (SHORT_DURATION.test(duration) || duration.startsWith('P')) {
    const ms = parseDuration(duration);
    if (ms === undefined) return timerSyntax(at);
    if (ms > 0 && !negative) return timer(at, now + ms);
    return problem(
      'timer-not-positive',
      `The timer's at ${quoted(at)} is not a positive duration. Write one such as "30m".`,
    );
  }
  const parts = LOCAL.exec(at);
  const local = parts && localTime(parts);
  if (local === undefined || local === null) return timerSyntax(at);
  const suffix = parts?.[8] ?? '';
  if (suffix !== '') {
    const offsetMs = readOffset(suffix);
    return offsetMs === undefined ? timerSyntax(at) : timer(at, local - offsetMs);
  }
  if (zone !== undefined) return timer(at, instantOf(zoneNamed(zone), local));
  return problem(
    'timer-needs-zone',
    `The timer's at ${quoted(at)} is a local time. Add a time_zone, or an offset such as "Z".`,
  );
}

/**
 * What the clock of the zone would show, in milliseconds; undefined for a date that does not exist.
 */
function localTime([, year, month, day, hour, minute, second, fraction]: string[]):
  | number
  | undefined {
  if (Number(hour) > 23 || Number(day) > monthLength(Number(year), Number(month))) return undefined;
  const ms = (fraction ?? '').slice(0, 3).padEnd(3, '0');
  const local = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second ?? '00'}.${ms}Z`);
  return Number.isNaN(local) ? undefined : local;
}

function readOffset(text: string): number | undefined {
  if (text === 'Z' || text === 'z') return 0;
  const [, sign, hours, minutes] = OFFSET.exec(text) ?? [];
  if (hours === undefined) return undefined;
  return (Number(hours) * 60 + Number(minutes ?? 0)) * (sign === '-' ? -MINUTE : MINUTE);
}

function timer(written: unknown, at: Instant): Timer | ScheduleProblem {
  if (at >= TIMER_MIN && at <= TIMER_MAX) return { kind: 'timer', at };
  return problem(
    'timer-out-of-range',
    `The timer's at ${quoted(written)} is outside the years 1 to 9999. ` +
      (typeof written === 'number'
        ? 'Numbers are unix seconds, not milliseconds.'
        : 'Write a nearer instant.'),
  );
}

function timerSyntax(at: unknown): ScheduleProblem {
  return problem('timer-syntax', `The timer's at ${quoted(at)} cannot be read. ${TIMER_FORMS}`);
}
