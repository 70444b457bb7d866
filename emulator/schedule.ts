/** When a cron fires in a zone: the next instant, stepped over minute sets and zone offsets. Pure. */
import { INSTANT_MAX, type Instant, MINUTE } from './clock.ts';
import { type Cron, DAY_MINUTES, nextDay } from './cron.ts';
import { OFFSET_MAX_MS, type Span, spanAt, type Zone, zoneNamed } from './zone.ts';

/**
 * What a clock change does to a cron that names hours, such as `30 2 * * *`. Both rules are
 * assumed.
 *
 * `gap`, local times that the clock goes forward over: `after`, they fire once, at the instant of
 * the change; `skip`, they do not fire. `repeat`, local times that it shows again: `first`, they
 * fire the first time; `both`, each time. Local times that fall on one instant are one firing.
 *
 * A cron of every hour (`*` or `0-23`) goes by what the clock shows, whatever the rules, so that
 * one of every five minutes fires every five real minutes through both changes. Vixie cron does the
 * same for a minute or hour written with a star; we ask what the hour field means, so that ten past
 * and forty past two (`10-59/30 2 * * *`) survive the spring and do not double in autumn.
 */
export interface ClockChangeRules {
  gap: 'after' | 'skip';
  repeat: 'first' | 'both';
}

export const CLOCK_CHANGE_RULES: ClockChangeRules = { gap: 'after', repeat: 'first' };

export interface Schedule {
  cron: Cron;
  zone: Zone;
  firesAfterGap: boolean;
  firesOnceInRepeat: boolean;
}

/** A cron on the clock of a zone, named as `readZone` answers it. */
export function schedule(cron: Cron, zone: string, rules = CLOCK_CHANGE_RULES): Schedule {
  return {
    cron,
    zone: zoneNamed(zone),
    firesAfterGap: rules.gap === 'after' && !cron.everyHour,
    firesOnceInRepeat: rules.repeat === 'first' && !cron.everyHour,
  };
}

/** The first firing strictly after an instant; undefined when it lies beyond the last instant. */
export function nextFireAt(plan: Schedule, after: Instant): Instant | undefined {
  let at = Math.floor(after) + 1;
  while (at <= INSTANT_MAX) {
    const span = spanAt(plan.zone, at);
    const firing = firingIn(plan, span, at);
    if (firing !== undefined) return firing <= INSTANT_MAX ? firing : undefined;
    if (span.until > INSTANT_MAX) return undefined;
    // No clock is further from UTC than this, so a rare cron leaps over what lies between.
    const local = nextMinute(plan.cron, Math.ceil((span.until - OFFSET_MAX_MS) / MINUTE)) * MINUTE;
    at = Math.max(span.until, local - OFFSET_MAX_MS);
  }
  return undefined;
}

/** The first firing at or after `at`, an instant of the span, and before the span ends. */
function firingIn(plan: Schedule, span: Span, at: Instant): Instant | undefined {
  const shown = span.from + span.offsetMs;
  if (plan.firesAfterGap && at <= span.from && span.reached < shown) {
    const missed = nextMinute(plan.cron, Math.ceil(span.reached / MINUTE)) * MINUTE;
    if (missed < shown) return span.from;
  }
  let local = at + span.offsetMs;
  if (plan.firesOnceInRepeat && local < span.reached) local = span.reached;
  const firing = nextMinute(plan.cron, Math.ceil(local / MINUTE)) * MINUTE - span.offsetMs;
  return firing < span.until ? firing : undefined;
}

/**
 * The first minute of a cron at or after a local one, both counted from 1970; Infinity beyond the
 * calendar.
 */
function nextMinute(cron: Cron, from: number): number {
  const day = Math.floor(from / DAY_MINUTES);
  if (cron.everyDay || nextDay(cron, day, day) === day) {
    const minuteOfDay = from - day * DAY_MINUTES;
    const hour = Math.floor(minuteOfDay / 60);
    if (cron.hourFrom[hour] === hour) {
      const minute = cron.minuteFrom[minuteOfDay - hour * 60] ?? -1;
      if (minute >= 0) return day * DAY_MINUTES + hour * 60 + minute;
    }
    const later = cron.hourFrom[hour + 1] ?? -1;
    if (later >= 0) return day * DAY_MINUTES + later * 60 + cron.firstMinute;
  }
  return nextDay(cron, day + 1) * DAY_MINUTES + cron.firstOfDay;
}
