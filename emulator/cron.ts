/** Five-field crons: read, refused, and how close together they fire. Pure. */
import { createRequire } from 'node:module';
import { INSTANT_MAX, MINUTE } from './clock.ts';

const require = createRequire(import.meta.url);

export type ScheduleReason =
  | 'cron-syntax'
  | 'cron-too-frequent'
  | 'cron-never-fires'
  | 'zone-unknown'
  | 'timer-syntax'
  | 'timer-needs-zone'
  | 'timer-not-positive'
  | 'timer-out-of-range';

/** Why a trigger cannot be used, and a sentence that says what to do. */
export interface ScheduleProblem {
  kind: 'problem';
  reason: ScheduleReason;
  message: string;
}

/** Whether a day must match either of two restricted day fields (Vixie), or both. */
export type DayRule = 'or' | 'and';

/** A cron that fires. Sets are sorted; months count from 1, weekdays from Sunday = 0. */
export interface Cron {
  kind: 'cron';
  expression: string;
  minutes: readonly number[];
  hours: readonly number[];
  days: readonly number[];
  months: readonly number[];
  weekdays: readonly number[];
  /** One of the two day fields is enough. */
  eitherDay: boolean;
  everyDay: boolean;
  everyHour: boolean;
  firstMinute: number;
  /** Minutes from midnight. */
  firstOfDay: number;
  lastOfDay: number;
  /** The least member that is not less than the index, or -1. */
  minuteFrom: Int8Array;
  hourFrom: Int8Array;
  /** Bit n is set when n is a member. */
  dayBits: number;
  monthBits: number;
  weekdayBits: number;
}

/** A list of all sixty minutes has 169 characters, and no timer comes near. */
export const TRIGGER_TEXT_LENGTH_MAX = 256;

/** Crons kept after reading: a world fires few different ones, many times. */
const CRONS_MAX = 1_000;

export const DAY_MINUTES = 1_440;

/** The calendar repeats after this: 400 years, a whole number of weeks. */
const CALENDAR_DAYS = 146_097;

const DAY_MAX = INSTANT_MAX / MINUTE / DAY_MINUTES;

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];

const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

const FIELDS = [
  { name: 'minute', words: 'minute', range: '0 to 59', item: itemPattern([]) },
  { name: 'hour', words: 'hour', range: '0 to 23', item: itemPattern([]) },
  { name: 'dayOfMonth', words: 'day of month', range: '1 to 31', item: itemPattern([]) },
  { name: 'month', words: 'month', range: '1 to 12 or JAN to DEC', item: itemPattern(MONTHS) },
  {
    name: 'dayOfWeek',
    words: 'day of week',
    range: '0 to 7 (0 and 7 are Sunday) or SUN to SAT',
    item: itemPattern(WEEKDAYS),
  },
] as const;

type Field = (typeof FIELDS)[number];

const crons = new Map<string, Cron | ScheduleProblem>();

/**
 * Reads a five-field cron. Two day fields are combined by `dayRule` when neither begins with `*`.
 */
export function readCron(expression: string, dayRule: DayRule = 'or'): Cron | ScheduleProblem {
  if (expression.length > TRIGGER_TEXT_LENGTH_MAX) {
    return problem(
      'cron-syntax',
      `The cron expression ${quoted(expression)} has ${expression.length} characters. ` +
        `Write at most ${TRIGGER_TEXT_LENGTH_MAX}.`,
    );
  }
  const key = `${dayRule} ${expression}`;
  const known = crons.get(key);
  if (known) return known;
  if (crons.size >= CRONS_MAX) crons.clear();
  const cron = parseCron(expression, dayRule);
  crons.set(key, cron);
  return cron;
}

function parseCron(expression: string, dayRule: DayRule): Cron | ScheduleProblem {
  const texts = expression.trim().split(/\s+/);
  const sets: number[][] = [];
  if (texts.length !== FIELDS.length) {
    return problem(
      'cron-syntax',
      `The cron expression ${quoted(expression)} does not have five fields. ` +
        'Write minute, hour, day of month, month and day of week, such as "0 7 * * 1-5".',
    );
  }
  for (const [index, field] of FIELDS.entries()) {
    const text = texts[index] ?? '';
    const set = readField(field, text);
    if (!set) {
      return problem(
        'cron-syntax',
        `The cron expression ${quoted(expression)} has ${quoted(text)} as its ${field.words}. ` +
          `Write ${field.range}, as "*", a list "1,2", a range "1-3" or a step "*/2".`,
      );
    }
    sets.push(set);
  }
  const [minutes = [], hours = [], days = [], months = [], weekdays = []] = sets;
  const bothRestricted = !texts[2]?.startsWith('*') && !texts[4]?.startsWith('*');
  const eitherDay = dayRule === 'or' && bothRestricted;
  if (!eitherDay && !months.some((month) => (days[0] ?? 0) <= monthLength(2000, month))) {
    return problem(
      'cron-never-fires',
      `The cron expression ${quoted(expression)} never fires: ` +
        `no month that it names has a day ${days[0]}. Change its day of month or its month.`,
    );
  }
  return cronOf(expression, minutes, hours, days, months, weekdays, eitherDay);
}

function cronOf(
  expression: string,
  minutes: number[],
  hours: number[],
  days: number[],
  months: number[],
  weekdays: number[],
  eitherDay: boolean,
): Cron {
  const everyDate = days.length === 31;
  const everyWeekday = weekdays.length === 7;
  const firstMinute = minutes[0] ?? 0;
  return {
    kind: 'cron',
    expression,
    minutes,
    hours,
    days,
    months,
    weekdays,
    eitherDay,
    everyDay:
      months.length === 12 && (eitherDay ? everyDate || everyWeekday : everyDate && everyWeekday),
    everyHour: hours.length === 24,
    firstMinute,
    firstOfDay: (hours[0] ?? 0) * 60 + firstMinute,
    lastOfDay: (hours.at(-1) ?? 0) * 60 + (minutes.at(-1) ?? 0),
    minuteFrom: nextMembers(minutes, 60),
    hourFrom: nextMembers(hours, 24),
    dayBits: bitsOf(days),
    monthBits: bitsOf(months),
    weekdayBits: bitsOf(weekdays),
  };
}

/**
 * The members of one field. cron-parser is handed one item of it at a time, because it refuses
 * lists that overlap (`1-5,3`, `0,7`), and only items of our own grammar, because it also takes
 * `?`, `L`, `#` and a random `H`.
 */
function readField(field: Field, text: string): number[] | undefined {
  // Loaded with the first cron: it brings a calendar library that a start does not need.
  const { CronExpressionParser } = require('cron-parser') as typeof import('cron-parser');
  const members = new Set<number>();
  for (const item of text.split(',')) {
    if (!field.item.test(item)) return undefined;
    try {
      const fields = FIELDS.map((each) => (each === field ? item : '*')).join(' ');
      const parsed = CronExpressionParser.parse(fields, { tz: 'UTC', currentDate: 0 });
      for (const value of parsed.fields[field.name].values) {
        members.add(field.name === 'dayOfWeek' ? Number(value) % 7 : Number(value));
      }
    } catch {
      return undefined;
    }
  }
  return [...members].sort((a, b) => a - b);
}

function itemPattern(words: readonly string[]): RegExp {
  const value = `(?:${['\\d{1,2}', ...words].join('|')})`;
  return new RegExp(`^(?:\\*|${value}(?:-${value})?)(?:/\\d{1,2})?$`, 'i');
}

function nextMembers(members: readonly number[], size: number): Int8Array {
  const table = new Int8Array(size);
  for (let index = 0; index < size; index++) {
    table[index] = members.find((member) => member >= index) ?? -1;
  }
  return table;
}

function bitsOf(members: readonly number[]): number {
  return members.reduce((bits, member) => bits | (1 << member), 0);
}

/**
 * Refuses a cron two of whose firings are closer than the minimum, on a clock that never changes.
 */
export function checkInterval(cron: Cron, intervalMinMs: number): ScheduleProblem | undefined {
  // Most crons need no calendar: even on neighbouring days they would keep the distance.
  const atLeast = Math.min(shortestWithinDay(cron), DAY_MINUTES + cron.firstOfDay - cron.lastOfDay);
  if (atLeast * MINUTE >= intervalMinMs) return undefined;
  const minutes = shortestIntervalMinutes(cron);
  if (minutes * MINUTE >= intervalMinMs) return undefined;
  return problem(
    'cron-too-frequent',
    `The cron expression ${quoted(cron.expression)} has firings ${counted(minutes)} apart. ` +
      `Leave at least ${counted(intervalMinMs / MINUTE)} between any two firings.`,
  );
}

/**
 * The shortest time between two firings, by arithmetic on the sets, on a clock that never changes.
 */
export function shortestIntervalMinutes(cron: Cron): number {
  const withinDay = shortestWithinDay(cron);
  const overnight = cron.firstOfDay - cron.lastOfDay;
  if (DAY_MINUTES + overnight >= withinDay) return withinDay;
  return Math.min(withinDay, shortestDays(cron) * DAY_MINUTES + overnight);
}

function shortestWithinDay({ minutes, hours, firstMinute }: Cron): number {
  const acrossHour = firstMinute - (minutes.at(-1) ?? 0);
  return Math.min(shortestStep(minutes), shortestStep(hours) * 60 + acrossHour);
}

function shortestStep(members: readonly number[]): number {
  return members.reduce(
    (least, member, index) => Math.min(least, member - (members[index - 1] ?? -Infinity)),
    Infinity,
  );
}

/** The fewest days from one day of a cron to the next, over the whole calendar. */
function shortestDays(cron: Cron): number {
  let least = cron.everyDay ? 1 : Infinity;
  let day = nextDay(cron, 0);
  for (const end = day + CALENDAR_DAYS; day < end && least > 1; ) {
    const next = nextDay(cron, day + 1);
    least = Math.min(least, next - day);
    day = next;
  }
  return least;
}

/**
 * The first day of a cron at or after one counted from 1970; Infinity when none is as early as
 * `until`.
 */
export function nextDay(cron: Cron, from: number, until = DAY_MAX): number {
  if (cron.everyDay) return from <= until ? from : Infinity;
  const { dayBits, monthBits, weekdayBits, eitherDay } = cron;
  const date = civilDate(from);
  let year = date >> 9;
  let month = (date >> 5) & 15;
  let dayOfMonth = date & 31;
  for (let day = from; day <= until; dayOfMonth = 1) {
    const length = monthLength(year, month);
    if (((monthBits >> month) & 1) === 0) {
      day += length - dayOfMonth + 1;
    } else {
      for (; dayOfMonth <= length && day <= until; dayOfMonth++, day++) {
        const byDate = (dayBits >> dayOfMonth) & 1;
        // 1970 began on a Thursday. The remainder is kept positive before it.
        const byWeekday = (weekdayBits >> ((((day + 4) % 7) + 7) % 7)) & 1;
        if ((eitherDay ? byDate | byWeekday : byDate & byWeekday) === 1) return day;
      }
    }
    if (++month > 12) {
      month = 1;
      year++;
    }
  }
  return Infinity;
}

/**
 * The date of a day counted from 1970, as `year << 9 | month << 5 | day`, without a Date. Years run
 * from March, in eras of 400 years, so that the leap day comes last (Hinnant's civil_from_days).
 */
function civilDate(day: number): number {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / CALENDAR_DAYS);
  const dayOfEra = shifted - era * CALENDAR_DAYS;
  const leapDays =
    Math.floor(dayOfEra / 1_460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return (year << 9) | (month << 5) | dayOfMonth;
}

export function monthLength(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

export function zoneUnknown(name: string): ScheduleProblem {
  return problem(
    'zone-unknown',
    `There is no time zone ${quoted(name)}. Write an IANA name such as "Europe/Berlin" ` +
      'or a Windows name such as "W. Europe Standard Time".',
  );
}

export function problem(reason: ScheduleReason, message: string): ScheduleProblem {
  return { kind: 'problem', reason, message };
}

function counted(minutes: number): string {
  return minutes === 1 ? '1 minute' : `${minutes} minutes`;
}

export function quoted(value: unknown): string {
  // Cut first: what is refused for its length should not be written out in full.
  const cut = typeof value === 'string' ? value.slice(0, 80) : value;
  const text = JSON.stringify(cut) ?? String(cut);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
