/**
 * A cron as the contract tells it, by looking at every minute: slow and plain, so that nobody can doubt it. The model's
 * second half, which imports nothing at all.
 */

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;
/** They have every date on every weekday. */
const YEARS_28 = 28 * 366 * DAY;

/** Windows names that stories use; every other name is taken for one of IANA. */
const WINDOWS: Record<string, string> = {
  'India Standard Time': 'Asia/Kolkata',
  'W. Europe Standard Time': 'Europe/Berlin',
};

const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const WEEKDAYS = 'sun mon tue wed thu fri sat'.split(' ');

interface Cron {
  minutes: Set<number>;
  hours: Set<number>;
  days: Set<number>;
  months: Set<number>;
  weekdays: Set<number>;
  everyHour: boolean;
  everyDay: boolean;
  everyWeekday: boolean;
}

/** How far the clocks of a zone are ahead of UTC at an instant; null where nobody knows the zone. */
export function offsetOf(zone: string, at: number): number | null {
  const quarter = Math.floor(at / (15 * MINUTE)) * 15 * MINUTE;
  const key = `${zone} ${quarter}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const format = formatOf(WINDOWS[zone] ?? zone);
  if (format === null) return null;
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(quarter)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0 } = parts;
  const offset = Date.UTC(year, month - 1, day, hour, minute) - quarter;
  offsets.set(key, offset);
  return offset;
}

/** The rule that an expression breaks, or null for one that may be put; `days` is the switch cron_days. */
export function refusalOf(expression: string, days: string): string | null {
  const key = `${expression}|${days}`;
  const known = refusals.get(key);
  if (known !== undefined) return known;
  const refusal = judge(expression, days);
  refusals.set(key, refusal);
  return refusal;
}

/** The first instant after another at which a cron fires; infinity where it never does. */
export function nextOf(
  expression: string,
  zone: string,
  after: number,
  days: string,
  gap: string,
  repeat: string,
): number {
  const key = `${expression}|${zone}|${after}|${days}|${gap}|${repeat}`;
  const known = nexts.get(key);
  if (known !== undefined) return known;
  const cron = read(expression);
  if (typeof cron === 'string') throw new Error(`This cron was refused: ${expression}`);
  const ahead = (at: number) => offsetOf(zone, at) ?? 0;
  const dayFits = (at: number) => fitsDay(cron, new Date(at + ahead(at)), days);
  const end = after + YEARS_28;
  for (let at = Math.floor(after / MINUTE) * MINUTE + MINUTE; at < end; at += MINUTE) {
    // A whole stretch of days that do not fit is passed in steps of two hours.
    while (at < end && !dayFits(at) && !dayFits(at + 3 * HOUR)) at += 2 * HOUR;
    if (!firesAt(cron, at, ahead, days, gap, repeat)) continue;
    nexts.set(key, at);
    return at;
  }
  nexts.set(key, Number.POSITIVE_INFINITY);
  return Number.POSITIVE_INFINITY;
}

function firesAt(
  cron: Cron,
  at: number,
  ahead: (at: number) => number,
  days: string,
  gap: string,
  repeat: string,
): boolean {
  const offset = ahead(at);
  // cron/clock-goes-forward: what a change skips fires once, at the change.
  const skipped = offset - ahead(at - MINUTE);
  if (skipped > 0 && !cron.everyHour && gap === 'after')
    for (let missed = at - skipped; missed < at; missed += MINUTE)
      if (fits(cron, new Date(missed + offset), days)) return true;
  if (!fits(cron, new Date(at + offset), days)) return false;
  // cron/clock-goes-back: what a change repeats fires the first time; one of every hour goes by what the clock shows.
  const again = ahead(at - HOUR) === offset + HOUR;
  return !again || cron.everyHour || repeat === 'both';
}

function fits(cron: Cron, local: Date, days: string): boolean {
  return (
    cron.minutes.has(local.getUTCMinutes()) &&
    cron.hours.has(local.getUTCHours()) &&
    fitsDay(cron, local, days)
  );
}

/** cron/day-rule: where both day fields say something, either is enough. */
function fitsDay(cron: Cron, local: Date, days: string): boolean {
  if (!cron.months.has(local.getUTCMonth() + 1)) return false;
  const day = cron.days.has(local.getUTCDate());
  const weekday = cron.weekdays.has(local.getUTCDay());
  return days === 'or' && !cron.everyDay && !cron.everyWeekday ? day || weekday : day && weekday;
}

function judge(expression: string, days: string): string | null {
  const cron = read(expression);
  if (typeof cron === 'string') return cron;
  const dayStart = Date.UTC(2024, 0, 1);
  const times = [...Array(24 * 60).keys()].filter(
    (time) => cron.minutes.has(time % 60) && cron.hours.has(Math.floor(time / 60)),
  );
  const dates = [...Array(YEARS_28 / DAY).keys()].filter((day) =>
    fitsDay(cron, new Date(dayStart + day * DAY), days),
  );
  if (dates.length === 0) return 'cron/fires-at-all';
  const close = times.some((time, index) => index > 0 && time - (times[index - 1] ?? 0) < 5);
  const midnight = (times[0] ?? 0) + 24 * 60 - (times.at(-1) ?? 0) < 5;
  const twoDays = dates.some((day, index) => index > 0 && day - (dates[index - 1] ?? 0) === 1);
  return close || (midnight && twoDays) ? 'routine/cron-at-least-five-minutes' : null;
}

function read(expression: string): Cron | string {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5) return 'routine/cron-has-five-fields';
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  const minutes = readField(minute, 0, 59);
  const hours = readField(hour, 0, 23);
  const days = readField(day, 1, 31);
  const months = readField(month, 1, 12, MONTHS, 1);
  const weekdays = readField(weekday, 0, 7, WEEKDAYS, 0);
  // cron/grammar says what a field may be; what is none is told as no cron of five fields.
  if (!minutes || !hours || !days || !months || !weekdays) return 'routine/cron-has-five-fields';
  // 7 is Sunday like 0.
  if (weekdays.has(7)) weekdays.add(0);
  const every = { everyHour: hour === '*', everyDay: day === '*', everyWeekday: weekday === '*' };
  return { minutes, hours, days, months, weekdays, ...every };
}

/** The values of a list of stars, numbers, ranges and steps; null for anything else. */
function readField(
  field: string,
  from: number,
  to: number,
  names: string[] = [],
  first = 0,
): Set<number> | null {
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const [, range = '', step = '1'] = /^([^/]+)(?:\/(\d+))?$/.exec(part) ?? [];
    const [low = '', high = low, ...more] = range === '*' ? [`${from}`, `${to}`] : range.split('-');
    const [start, end] = [low, high].map((word) => {
      const named = names.indexOf(word.toLowerCase());
      return named >= 0 ? named + first : /^\d+$/.test(word) ? Number(word) : Number.NaN;
    });
    if (start === undefined || end === undefined || more.length > 0) return null;
    if (!(start >= from && end <= to && start <= end && Number(step) > 0)) return null;
    for (let value = start; value <= end; value += Number(step)) values.add(value);
  }
  return values;
}

function formatOf(zone: string): Intl.DateTimeFormat | null {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  let format: Intl.DateTimeFormat | null = null;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  formats.set(zone, format);
  return format;
}

const offsets = new Map<string, number>();
const formats = new Map<string, Intl.DateTimeFormat | null>();
const refusals = new Map<string, string | null>();
const nexts = new Map<string, number>();
