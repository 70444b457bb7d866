import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WINDOWS_TO_IANA_MAP } from 'windows-iana';
import { DAY, HOUR, INSTANT_MAX, type Instant, MINUTE, SECOND } from '../emulator/clock.ts';
import {
  type Cron,
  checkInterval,
  type DayRule,
  readCron,
  shortestIntervalMinutes,
  zoneUnknown,
} from '../emulator/cron.ts';
import {
  type ClockChangeRules,
  nextFireAt,
  type Schedule,
  schedule,
} from '../emulator/schedule.ts';
import { readTimer } from '../emulator/timer.ts';
import { readZone } from '../emulator/zone.ts';

/** Every property runs from this seed; fast-check prints it, with the path, when one fails. */
const SEED = 20_260_301;

describe('a cron expression', () => {
  it.each([
    ['*/5 * * * *', 'minutes', [0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]],
    ['2-57/5 * * * *', 'minutes', [2, 7, 12, 17, 22, 27, 32, 37, 42, 47, 52, 57]],
    ['5/20 * * * *', 'minutes', [5, 25, 45]],
    ['0,30,30,0-2 * * * *', 'minutes', [0, 1, 2, 30]],
    ['0 22-23,0 * * *', 'hours', [0, 22, 23]],
    ['0 0 * JAN,mar-May/2 *', 'months', [1, 3, 5]],
    ['0 0 * * MON-fri', 'weekdays', [1, 2, 3, 4, 5]],
    ['0 0 * * 7', 'weekdays', [0]],
    ['0 0 * * 0,7', 'weekdays', [0]],
    ['0 0 * * 5-7', 'weekdays', [0, 5, 6]],
    ['0 0 * * 1-5,3', 'weekdays', [1, 2, 3, 4, 5]],
    ['0 0 1,15,31 * *', 'days', [1, 15, 31]],
    ['  0\t7  * * *  ', 'hours', [7]],
  ] as const)('reads the sets of %j', (expression, field, members) => {
    expect(cron(expression)[field]).toEqual(members);
  });

  it.each([
    '',
    ' ',
    '*',
    '* * * *',
    '0 0 7 * * *',
    '@daily',
    '@every 5m',
    'H * * * *',
    'H/5 * * * *',
    '? * * * *',
    '0 0 ? * *',
    '0 0 L * *',
    '0 0 15W * *',
    '0 0 * * 5L',
    '0 0 * * 5#2',
    '60 * * * *',
    '0 24 * * *',
    '0 0 0 * *',
    '0 0 32 * *',
    '0 0 * 0 *',
    '0 0 * 13 *',
    '0 0 * * 8',
    '0 0 * * FRI-MON',
    '0 0 * MON *',
    '0 0 * * JAN',
    'MON * * * *',
    '5-1 * * * *',
    '*/0 * * * *',
    '*/-5 * * * *',
    '1,,2 * * * *',
    ',1 * * * *',
    '1-2-3 * * * *',
    '1/2/3 * * * *',
    '** * * * *',
    '1.5 * * * *',
    '-5 * * * *',
    '+5 * * * *',
    '0x5 * * * *',
    '007 * * * *',
    '٥ * * * *',
    'constructor * * * *',
  ])('is refused as %j, by its value', (expression) => {
    const read = readCron(expression);

    expect(read).toMatchObject({ kind: 'problem', reason: 'cron-syntax' });
    expect(read).toHaveProperty('message', expect.stringContaining(JSON.stringify(expression)));
  });

  it('is refused for its field, by the words of the field', () => {
    expect(readCron('0 24 * * *')).toEqual({
      kind: 'problem',
      reason: 'cron-syntax',
      message:
        'The cron expression "0 24 * * *" has "24" as its hour. ' +
        'Write 0 to 23, as "*", a list "1,2", a range "1-3" or a step "*/2".',
    });
  });

  it('is refused when huge, with a short message', () => {
    const read = readCron('1,'.repeat(5_000_000));

    expect(read).toMatchObject({ kind: 'problem', reason: 'cron-syntax' });
    expect((read as { message: string }).message.length).toBeLessThan(300);
  });

  it.each([
    ['0 0 31 2 *', 'or'],
    ['0 0 30,31 2 *', 'or'],
    ['0 0 30 FEB */2', 'or'],
    ['0 0 31 2,4,6,9,11 *', 'or'],
    ['0 0 30 2 1', 'and'],
  ] as const)('is refused when it never fires: %j', (expression, dayRule) => {
    const read = readCron(expression, dayRule);

    expect(read).toMatchObject({ kind: 'problem', reason: 'cron-never-fires' });
    expect(read).toHaveProperty('message', expect.stringContaining(JSON.stringify(expression)));
  });

  it.each([
    ['0 0 29 2 *', 'or', '2028-02-29T00:00:00.000Z'],
    ['0 0 30,29 2 *', 'or', '2028-02-29T00:00:00.000Z'],
    ['0 0 31 2 1', 'or', '2027-02-01T00:00:00.000Z'],
    ['0 0 29 2 MON', 'and', '2044-02-29T00:00:00.000Z'],
    ['0 0 31 1,2 *', 'or', '2027-01-31T00:00:00.000Z'],
  ] as const)('fires however rarely: %j', (expression, dayRule, firing) => {
    const plan = schedule(cron(expression, dayRule), 'UTC');

    expect(firings(plan, Date.UTC(2026, 2, 1), 1)).toEqual([firing]);
  });

  it.each([
    // Vixie: either of two restricted fields is enough; one that begins with a star is not.
    ['0 0 13 * FRI', 'or', ['2026-03-06', '2026-03-13', '2026-03-20']],
    ['0 0 13 * FRI', 'and', ['2026-03-13', '2026-11-13', '2027-08-13']],
    ['0 0 2 * TUE', 'or', ['2026-03-02', '2026-03-03', '2026-03-10']],
    ['0 0 * * TUE', 'or', ['2026-03-03', '2026-03-10', '2026-03-17']],
    ['0 0 2 * *', 'or', ['2026-03-02', '2026-04-02', '2026-05-02']],
    ['0 0 */2 * TUE', 'or', ['2026-03-03', '2026-03-17', '2026-03-31']],
    ['0 0 5 * */2', 'or', ['2026-03-05', '2026-04-05', '2026-05-05']],
  ] as const)('combines days of month and of week: %j by %s', (expression, dayRule, days) => {
    const plan = schedule(cron(expression, dayRule), 'UTC');

    const found = firings(plan, Date.UTC(2026, 2, 1), days.length);

    expect(found.map((firing) => firing.slice(0, 10))).toEqual(days);
  });
});

describe('the shortest interval', () => {
  it.each([
    ['* * * * *', 1],
    ['*/4 * * * *', 4],
    ['*/5 * * * *', 5],
    ['2-57/5 * * * *', 5],
    ['*/6 * * * *', 6],
    ['*/7 * * * *', 4],
    ['0,3 * * * *', 3],
    ['0,59 * * * *', 1],
    ['0,59 12 * * *', 59],
    ['0,59 12,14 * * *', 59],
    ['0,57 12,13 * * *', 3],
    ['10 * * * *', 60],
    ['0,58 0,23 * * *', 2],
    ['0,58 0,23 * * 1,2', 2],
    ['0,58 0,23 * * 1,3', 58],
    ['0,58 0,23 * * 6,0', 2],
    ['0,58 0,23 1,31 * *', 2],
    ['0,58 0,23 1,31 1 *', 58],
    ['0,58 0,23 31 12 *', 58],
    ['0,58 0,23 1,31 1,12 *', 2],
    ['0,58 0,23 28,1 2,3 *', 2],
    ['0,58 0,23 29 2 *', 58],
    ['59 23 31 12 *', 365 * 1_440],
    ['0 7 * * *', 1_440],
    ['0 7 * * 1-5', 1_440],
    ['0 7 * * 1,3', 2 * 1_440],
    ['0 7 * * 1', 7 * 1_440],
    ['0 7 1 * *', 28 * 1_440],
    ['0 7 31 * *', 31 * 1_440],
    ['0 7 29 2 *', 1_461 * 1_440],
    ['0 0,23 * * *', 60],
    ['0 0 13 * FRI', 1_440],
  ])('of %j is %d minutes', (expression, minutes) => {
    expect(shortestIntervalMinutes(cron(expression))).toBe(minutes);
  });

  it('is refused below the minimum, and accepted at it', () => {
    expect(checkInterval(cron('*/5 * * * *'), 5 * MINUTE)).toBeUndefined();
    expect(checkInterval(cron('0,58 0,23 31 12 *'), 5 * MINUTE)).toBeUndefined();
    expect(checkInterval(cron('* * * * *'), 0)).toBeUndefined();
    expect(checkInterval(cron('0 7 1 * *'), 28 * DAY)).toBeUndefined();
    expect(checkInterval(cron('0 7 1 * *'), 28 * DAY + 1)).toMatchObject({
      reason: 'cron-too-frequent',
    });
    expect(checkInterval(cron('*/7 * * * *'), 5 * MINUTE)).toEqual({
      kind: 'problem',
      reason: 'cron-too-frequent',
      message:
        'The cron expression "*/7 * * * *" has firings 4 minutes apart. ' +
        'Leave at least 5 minutes between any two firings.',
    });
  });

  it('is what 28 years of the calendar show', () => {
    const days = Array.from({ length: 28 * 366 }, (_, index) => new Date(index * DAY));

    check(
      fc.property(cronText, dayRules, (expression, dayRule) => {
        const read = readCron(expression, dayRule);
        fc.pre(read.kind === 'cron');
        const members = parts(expression);
        const times = range(1_440).filter(
          (time) =>
            members[0]?.has(Math.floor(time % 60)) && members[1]?.has(Math.floor(time / 60)),
        );
        let shortest = Infinity;
        let last = -Infinity;
        for (const [index, date] of days.entries()) {
          if (!matchesDay(expression, members, dayRule, date)) continue;
          for (const time of times) {
            shortest = Math.min(shortest, index * 1_440 + time - last);
            last = index * 1_440 + time;
          }
        }
        const longest = 366 * 1_440;

        expect(Math.min(shortestIntervalMinutes(read), longest)).toBe(Math.min(shortest, longest));
      }),
      300,
    );
  });
});

describe('a time zone', () => {
  it.each([
    ['Europe/Berlin', 'Europe/Berlin'],
    ['europe/berlin', 'Europe/Berlin'],
    ['W. Europe Standard Time', 'Europe/Berlin'],
    ['w. europe standard time', 'Europe/Berlin'],
    ['Pacific Standard Time', 'America/Los_Angeles'],
    ['US/Pacific', 'America/Los_Angeles'],
    ['UTC', 'UTC'],
    ['utc', 'UTC'],
    ['Etc/UTC', 'UTC'],
    ['Coordinated Universal Time', undefined],
    ['Etc/GMT+2', 'Etc/GMT+2'],
    ['UTC-11', 'Etc/GMT+11'],
    ['CET', 'Europe/Brussels'],
    ['+02:00', undefined],
    ['-0200', undefined],
    ['Z', undefined],
    ['GMT+2', undefined],
    ['BST', undefined],
    ['PST', undefined],
    ['Mars/Olympus', undefined],
    ['', undefined],
    [' UTC', undefined],
    ['constructor', undefined],
  ])('%j is %s', (name, id) => {
    expect(readZone(name)).toBe(id);
    expect(readZone(name)).toBe(id);
  });

  it('is unknown when huge, and the message shows its beginning', () => {
    const name = `Europe/${'x'.repeat(1_000_000)}`;

    expect(readZone(name)).toBeUndefined();
    expect(zoneUnknown(name)).toMatchObject({ kind: 'problem', reason: 'zone-unknown' });
    expect(zoneUnknown(name).message).toContain('"Europe/xxx');
    expect(zoneUnknown(name).message.length).toBeLessThan(250);
  });

  it('has every Windows name', () => {
    const windowsNames = WINDOWS_TO_IANA_MAP.map(({ windowsName }) => windowsName);

    expect(windowsNames.filter((name) => readZone(name) === undefined)).toEqual([]);
  });

  it('has every name that Intl lists', () => {
    const unread = Intl.supportedValuesOf('timeZone').filter(
      (name) => readZone(name) === undefined,
    );

    expect(unread).toEqual([]);
  });
});

describe('the next firing', () => {
  it.each([
    ['*/5 * * * *', 8_640],
    ['2-57/5 * * * *', 8_640],
    ['0 7 * * 1-5', 21],
  ])('of %j comes %d × in 30 days', (expression, count) => {
    const from = Date.UTC(2026, 2, 1);

    expect(between(schedule(cron(expression), 'UTC'), from, from + 30 * DAY)).toHaveLength(count);
  });

  it('is strictly later, to the millisecond', () => {
    const plan = schedule(cron('0 7 * * *'), 'UTC');
    const seven = Date.UTC(2026, 2, 1, 7);

    expect(nextFireAt(plan, seven - 1)).toBe(seven);
    expect(nextFireAt(plan, seven)).toBe(seven + DAY);
    expect(nextFireAt(plan, seven + 1)).toBe(seven + DAY);
  });

  it('exists until the last instant, and not after it', () => {
    const last = Math.floor(INSTANT_MAX / DAY) * DAY;

    for (const zone of ['UTC', 'Europe/Berlin', 'Pacific/Kiritimati', 'Etc/GMT+12']) {
      for (const expression of ['0 0 * * *', '0 0 29 2 *', '30 */5 * * MON']) {
        const plan = schedule(cron(expression), zone);
        expect(nextFireAt(plan, INSTANT_MAX)).toBeUndefined();
        expect(nextFireAt(plan, last - 9 * 366 * DAY)).toBeLessThanOrEqual(INSTANT_MAX);
      }
    }
  });

  it.each<[string, string, Partial<ClockChangeRules>, string, string[]]>([
    // The clock goes from 02:00 to 03:00, which is 01:00Z.
    ['30 2 * * *', 'Europe/Berlin', {}, '2026-03-28T12:00Z', ['29T01:00', '30T00:30']],
    ['30 2 * * *', 'Europe/Berlin', { gap: 'skip' }, '2026-03-28T12:00Z', ['30T00:30', '31T00:30']],
    ['0 2,3 * * *', 'Europe/Berlin', {}, '2026-03-29T00:00Z', ['29T01:00', '30T00:00']],
    ['*/20 2 * * *', 'Europe/Berlin', {}, '2026-03-29T00:00Z', ['29T01:00', '30T00:00']],
    ['*/30 * * * *', 'Europe/Berlin', {}, '2026-03-29T00:00Z', ['29T00:30', '29T01:00']],
    ['59 0-23 * * *', 'Europe/Berlin', {}, '2026-03-29T00:30Z', ['29T00:59', '29T01:59']],
    // It goes from 03:00 back to 02:00, which is 01:00Z.
    ['30 2 * * *', 'Europe/Berlin', {}, '2026-10-24T12:00Z', ['25T00:30', '26T01:30']],
    [
      '30 2 * * *',
      'Europe/Berlin',
      { repeat: 'both' },
      '2026-10-25T00:00Z',
      ['25T00:30', '25T01:30'],
    ],
    ['0 2,3 * * *', 'Europe/Berlin', {}, '2026-10-24T12:00Z', ['25T00:00', '25T02:00']],
    ['*/30 * * * *', 'Europe/Berlin', {}, '2026-10-25T00:15Z', ['25T00:30', '25T01:00']],
    // Half an hour, at 02:00.
    ['15 2 * * *', 'Australia/Lord_Howe', {}, '2026-10-03T12:00Z', ['03T15:30', '04T15:15']],
    ['45 1 * * *', 'Australia/Lord_Howe', {}, '2026-04-04T12:00Z', ['04T14:45', '05T15:15']],
    // At midnight, which a day then lacks.
    ['0 0 * * *', 'America/Havana', {}, '2026-03-07T12:00Z', ['08T05:00', '09T04:00']],
    // A day that there was not.
    ['0 7 * * *', 'Pacific/Apia', {}, '2011-12-29T12:00Z', ['29T17:00', '30T10:00', '30T17:00']],
    ['0 7 * * *', 'Pacific/Apia', { gap: 'skip' }, '2011-12-29T18:00Z', ['30T17:00', '31T17:00']],
    ['0 0 30 12 *', 'Pacific/Apia', { gap: 'skip' }, '2011-12-20T00:00Z', ['29T10:00']],
    // Ramadan.
    ['30 2 * * *', 'Africa/Casablanca', {}, '2026-02-14T12:00Z', ['15T01:30', '16T02:30']],
    ['0 9 * * *', 'Asia/Kathmandu', {}, '2026-01-31T12:00Z', ['01T03:15', '02T03:15']],
  ])(
    'of %j in %s by %j after %s keeps to the clock',
    (expression, zone, rules, after, expected) => {
      const plan = schedule(cron(expression), zone, { gap: 'after', repeat: 'first', ...rules });

      const found = firings(plan, Date.parse(after), expected.length);

      expect(found.map((firing) => firing.slice(8, 16))).toEqual(expected);
    },
  );

  it.each(['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Casablanca'])(
    'of a cron of every five minutes comes every five minutes all year in %s',
    (zone) => {
      for (const expression of ['*/5 * * * *', '2-57/5 0-23 * * *']) {
        const year = between(
          schedule(cron(expression), zone),
          Date.UTC(2026, 0, 1),
          Date.UTC(2027, 0, 1),
        );

        expect(new Set(year.slice(1).map((at, index) => at - (year[index] ?? 0)))).toEqual(
          new Set([5 * MINUTE]),
        );
      }
    },
  );

  it('is later than its question, and leaves nothing out', () => {
    const instants = fc.integer({ min: Date.UTC(1850, 0, 1), max: Date.UTC(2500, 0, 1) });
    check(
      fc.property(cronText, dayRules, zoneNames, changeRules, instants, fc.nat(), (...given) => {
        const [expression, dayRule, zone, rules, after, step] = given;
        const plan = planOf(expression, zone, rules, dayRule);
        fc.pre(plan !== undefined);

        const next = nextFireAt(plan, after);

        if (next === undefined) throw new Error('no firing');
        expect(next).toBeGreaterThan(after);
        expect(nextFireAt(plan, next - 1)).toBe(next);
        expect(nextFireAt(plan, after + (step % (next - after)))).toBe(next);
      }),
      2_000,
    );
  });

  it('is what every minute of a year of the calendar shows in UTC', () => {
    check(
      fc.property(
        cronText,
        dayRules,
        fc.integer({ min: 0, max: 600 }),
        (expression, dayRule, week) => {
          const plan = planOf(expression, 'UTC', undefined, dayRule);
          fc.pre(plan !== undefined);
          const from = Date.UTC(1965, 0, 1) + week * 91 * DAY;
          const members = parts(expression);
          const expected = range(14 * 1_440)
            .map((minute) => from + minute * MINUTE)
            .filter((at) => matches(expression, members, dayRule, new Date(at)));

          expect(between(plan, from - 1, from + 14 * DAY - 1)).toEqual(expected);
        },
      ),
      100,
    );
  });

  // Every zone: two days at any time, and both sides of one of its clock changes.
  it.each(zonesInGroups(8))('is what every minute of the clock shows in zones %#', (...zones) => {
    for (const [index, zone] of zones.entries()) {
      const windows = [Date.UTC(1972, 1, 1) + ((index * 7_919 + SEED) % 28_000) * DAY];
      const changes = clockChanges(zone, Date.UTC(1972, 1, 1), Date.UTC(2045, 0, 1));
      const change = changes[(index * 31) % Math.max(changes.length, 1)];
      if (change !== undefined) windows.push(change);
      for (const around of windows) compareWithClock(zone, around, 26 * HOUR, 6 * HOUR, MINUTE, 6);
    }
  });

  it.each([
    ['Pacific/Apia', Date.UTC(2011, 11, 30, 10), MINUTE],
    ['Pacific/Kwajalein', Date.UTC(1993, 7, 21, 12), MINUTE],
    ['Pacific/Kwajalein', Date.UTC(1969, 8, 30, 13), MINUTE],
    ['Australia/Lord_Howe', Date.UTC(2026, 3, 4, 15), MINUTE],
    ['Australia/Lord_Howe', Date.UTC(2026, 9, 3, 15, 30), MINUTE],
    ['Asia/Kathmandu', Date.UTC(1985, 11, 31, 18, 30), MINUTE],
    ['America/St_Johns', Date.UTC(2006, 9, 29, 2, 31), MINUTE],
    ['America/Boa_Vista', Date.UTC(2000, 9, 15, 3), MINUTE],
    ['Antarctica/Troll', Date.UTC(2026, 2, 29, 1), MINUTE],
    ['Asia/Manila', Date.UTC(1844, 11, 31, 16), 4 * SECOND],
    ['Europe/Amsterdam', Date.UTC(1937, 5, 30, 23, 40, 28), 4 * SECOND],
    ['Africa/Monrovia', Date.UTC(1972, 0, 7, 0, 44, 30), 10 * SECOND],
    ['Europe/Berlin', Date.UTC(1893, 2, 31, 23, 6, 32), 4 * SECOND],
  ])('is what the clock shows in %s around %d', (zone, around, step) => {
    const reach = step === MINUTE ? 50 * HOUR : 26 * HOUR;

    compareWithClock(zone, around, reach, reach + 3 * HOUR, step, 40);
  });
});

describe('a timer', () => {
  const now = Date.UTC(2026, 2, 1, 12);

  it.each<[unknown, string | undefined, string]>([
    ['2026-03-02T09:00:00Z', undefined, '2026-03-02T09:00:00.000Z'],
    ['2026-03-02t09:00:00z', undefined, '2026-03-02T09:00:00.000Z'],
    ['2026-03-02T09:00Z', undefined, '2026-03-02T09:00:00.000Z'],
    ['2026-03-02T09:00:00+02:00', undefined, '2026-03-02T07:00:00.000Z'],
    ['2026-03-02T09:00:00-0530', undefined, '2026-03-02T14:30:00.000Z'],
    ['2026-03-02T09:00+02', undefined, '2026-03-02T07:00:00.000Z'],
    ['2026-03-02T09:00:00-00:00', undefined, '2026-03-02T09:00:00.000Z'],
    ['2026-03-02T09:00:00.5Z', undefined, '2026-03-02T09:00:00.500Z'],
    ['2026-03-02T09:00:00.1234567Z', undefined, '2026-03-02T09:00:00.123Z'],
    ['2026-03-02T09:00:00.1239999999999+00:00', undefined, '2026-03-02T09:00:00.123Z'],
    ['2026-03-02T09:00:00,25Z', undefined, '2026-03-02T09:00:00.250Z'],
    ['2028-02-29T09:00:00Z', undefined, '2028-02-29T09:00:00.000Z'],
    ['1999-12-31T23:59:59Z', undefined, '1999-12-31T23:59:59.000Z'],
    ['0001-01-01T00:00:00Z', undefined, '0001-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999Z', undefined, '9999-12-31T23:59:59.999Z'],
    ['2026-03-02T09:00:00', 'Europe/Berlin', '2026-03-02T08:00:00.000Z'],
    ['2026-03-02T09:00', 'W. Europe Standard Time', '2026-03-02T08:00:00.000Z'],
    ['2026-07-02T09:00:00.25', 'Asia/Kathmandu', '2026-07-02T03:15:00.250Z'],
    ['2026-03-29T01:59:59', 'Europe/Berlin', '2026-03-29T00:59:59.000Z'],
    ['2026-03-29T02:30:00', 'Europe/Berlin', '2026-03-29T01:00:00.000Z'],
    ['2026-03-29T03:00:00', 'Europe/Berlin', '2026-03-29T01:00:00.000Z'],
    ['2026-10-25T02:30:00', 'Europe/Berlin', '2026-10-25T00:30:00.000Z'],
    ['2026-10-25T03:00:00', 'Europe/Berlin', '2026-10-25T02:00:00.000Z'],
    ['2011-12-30T09:00:00', 'Pacific/Apia', '2011-12-30T10:00:00.000Z'],
    ['2026-03-02T09:00:00+02:00', 'America/New_York', '2026-03-02T07:00:00.000Z'],
    ['30m', undefined, '2026-03-01T12:30:00.000Z'],
    ['2h', undefined, '2026-03-01T14:00:00.000Z'],
    ['90s', undefined, '2026-03-01T12:01:30.000Z'],
    ['1d', 'Europe/Berlin', '2026-03-02T12:00:00.000Z'],
    ['43200m', undefined, '2026-03-31T12:00:00.000Z'],
    ['PT2H', undefined, '2026-03-01T14:00:00.000Z'],
    ['P1DT30M', undefined, '2026-03-02T12:30:00.000Z'],
    ['PT0.5S', undefined, '2026-03-01T12:00:00.500Z'],
    [1_772_442_000, undefined, '2026-03-02T09:00:00.000Z'],
    [1_772_442_000.25, 'Europe/Berlin', '2026-03-02T09:00:00.250Z'],
    [0, undefined, '1970-01-01T00:00:00.000Z'],
  ])('%j with zone %s is %s', (at, zone, instant) => {
    expect(readTimer(at, zone, now)).toEqual({ kind: 'timer', at: Date.parse(instant) });
  });

  it.each<[unknown, string | undefined, string]>([
    ['', undefined, 'timer-syntax'],
    ['soon', undefined, 'timer-syntax'],
    ['30', undefined, 'timer-syntax'],
    ['30 m', undefined, 'timer-syntax'],
    ['30M', undefined, 'timer-syntax'],
    ['1.5h', undefined, 'timer-syntax'],
    ['1h30m', undefined, 'timer-syntax'],
    ['500ms', undefined, 'timer-syntax'],
    ['+30m', undefined, 'timer-syntax'],
    ['P', undefined, 'timer-syntax'],
    ['PT', undefined, 'timer-syntax'],
    ['P1Y', undefined, 'timer-syntax'],
    ['2026-03-02', 'UTC', 'timer-syntax'],
    ['2026-03-02 09:00:00Z', undefined, 'timer-syntax'],
    ['2026-02-29T09:00:00Z', undefined, 'timer-syntax'],
    ['2026-02-30T09:00:00Z', undefined, 'timer-syntax'],
    ['2026-04-31T09:00:00', 'UTC', 'timer-syntax'],
    ['2026-00-01T09:00:00Z', undefined, 'timer-syntax'],
    ['2026-13-01T09:00:00Z', undefined, 'timer-syntax'],
    ['2026-03-00T09:00:00Z', undefined, 'timer-syntax'],
    ['2026-03-02T24:00:00Z', undefined, 'timer-syntax'],
    ['2026-03-02T09:60:00Z', undefined, 'timer-syntax'],
    ['2026-03-02T09:00:60Z', undefined, 'timer-syntax'],
    ['2026-03-02T09:00:00.Z', undefined, 'timer-syntax'],
    ['2026-03-02T09:00:00+24:00', undefined, 'timer-syntax'],
    ['2026-03-02T09:00:00 Z', undefined, 'timer-syntax'],
    ['2026-03-02T09:00:00Z\n', undefined, 'timer-syntax'],
    ['2026-03-02T09:00:00Europe/Berlin', undefined, 'timer-syntax'],
    [undefined, undefined, 'timer-syntax'],
    [null, undefined, 'timer-syntax'],
    [true, undefined, 'timer-syntax'],
    [{ at: 1 }, undefined, 'timer-syntax'],
    ['0m', undefined, 'timer-not-positive'],
    ['-30m', undefined, 'timer-not-positive'],
    ['PT0S', undefined, 'timer-not-positive'],
    ['-PT2H', undefined, 'timer-not-positive'],
    ['2026-03-02T09:00:00', undefined, 'timer-needs-zone'],
    ['2026-03-02T09:00:00', 'Mars/Olympus', 'zone-unknown'],
    ['2026-03-02T09:00:00Z', 'Mars/Olympus', 'zone-unknown'],
    ['0000-12-31T00:00:00Z', undefined, 'timer-out-of-range'],
    ['9999-12-31T23:59:59-01:00', undefined, 'timer-out-of-range'],
    ['9999999d', undefined, 'timer-out-of-range'],
    [1_772_442_000_000, undefined, 'timer-out-of-range'],
    [Number.NaN, undefined, 'timer-out-of-range'],
    [Infinity, undefined, 'timer-out-of-range'],
  ])('%j with zone %s is refused: %s', (at, zone, reason) => {
    const read = readTimer(at, zone, now);

    expect(read).toMatchObject({ kind: 'problem', reason });
    const value = reason === 'zone-unknown' ? zone : at;
    const shown = (JSON.stringify(value) ?? String(value)).slice(0, 60);
    expect(read).toHaveProperty('message', expect.stringContaining(shown));
    expect((read as { message: string }).message.length).toBeLessThan(450);
  });

  it('is refused when huge, with a short message', () => {
    const read = readTimer(`2026-03-02T09:00:00.${'1'.repeat(5_000_000)}Z`, undefined, now);

    expect(read).toMatchObject({ kind: 'problem', reason: 'timer-syntax' });
    expect((read as { message: string }).message.length).toBeLessThan(450);
  });

  it('of a local time is the first instant at which the clock has reached it', () => {
    const changes = fc
      .tuple(zoneNames, fc.nat(), fc.integer({ min: -180, max: 180 }))
      .map(([zone, which, minutes]) => {
        const known = clockChanges(zone, Date.UTC(2000, 0, 1), Date.UTC(2030, 0, 1));
        return { zone, at: (known[which % Math.max(known.length, 1)] ?? now) + minutes * MINUTE };
      });
    check(
      fc.property(changes, ({ zone, at }) => {
        const local = clockOf(zone)(at);
        const text = new Date(local).toISOString().slice(0, 23);

        const read = readTimer(text, zone, now);

        if (read.kind === 'problem') throw new Error(read.message);
        expect(clockOf(zone)(read.at)).toBe(local);
        for (const before of range(52)) {
          expect(clockOf(zone)(read.at - 1 - before * 30 * MINUTE)).toBeLessThan(local);
        }
        expect(read.at).toBeLessThanOrEqual(at);
      }),
      300,
    );
  });
});

function cron(expression: string, dayRule?: DayRule): Cron {
  const read = readCron(expression, dayRule);
  if (read.kind === 'problem') throw new Error(read.message);
  return read;
}

function planOf(
  expression: string,
  zone: string,
  rules?: ClockChangeRules,
  dayRule?: DayRule,
): Schedule | undefined {
  const read = readCron(expression, dayRule);
  return read.kind === 'cron' ? schedule(read, readZone(zone) ?? 'UTC', rules) : undefined;
}

function between(plan: Schedule, after: Instant, until: Instant): Instant[] {
  const found: Instant[] = [];
  for (let at = nextFireAt(plan, after); at !== undefined && at <= until; ) {
    found.push(at);
    at = nextFireAt(plan, at);
  }
  return found;
}

function firings(plan: Schedule, after: Instant, count: number): string[] {
  const found: string[] = [];
  for (let at = nextFireAt(plan, after); at !== undefined && found.length < count; ) {
    found.push(new Date(at).toISOString());
    at = nextFireAt(plan, at);
  }
  return found;
}

// What follows knows nothing of schedule.ts or zone.ts: another reading of crons, and clocks that
// are asked every minute.

const BOUNDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
] as const;

const dayRules = fc.constantFrom<DayRule>('or', 'and');
const zoneNames = fc.constantFrom('UTC', ...Intl.supportedValuesOf('timeZone'));
const changeRules = fc.record<ClockChangeRules>({
  gap: fc.constantFrom('after', 'skip'),
  repeat: fc.constantFrom('first', 'both'),
});

function fieldText(index: number, stars: number): fc.Arbitrary<string> {
  const [min, max] = BOUNDS[index] ?? [0, 0];
  const value = fc.integer({ min, max });
  const span = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
  const step = fc.integer({ min: 1, max: Math.min(max, 20) });
  return fc.oneof(
    { weight: stars, arbitrary: fc.constant('*') },
    { weight: 3, arbitrary: fc.uniqueArray(value, { minLength: 1, maxLength: 4 }).map(String) },
    { weight: 1, arbitrary: span },
    { weight: 1, arbitrary: step.map((by) => `*/${by}`) },
    { weight: 1, arbitrary: fc.tuple(span, step).map(([over, by]) => `${over}/${by}`) },
  );
}

const cronText = fc
  .tuple(fieldText(0, 1), fieldText(1, 3), fieldText(2, 8), fieldText(3, 8), fieldText(4, 8))
  .map((fields) => fields.join(' '));

/** Firing often enough that a few days hold some: any day, few hours. */
const denseCronText = fc
  .tuple(fieldText(0, 1), fieldText(1, 3), fc.constantFrom('*', '*', '*/2', '1-20'))
  .map((fields) => `${fields.join(' ')} * *`);

function parts(expression: string): Set<number>[] {
  return expression.split(' ').map((text, index) => {
    const [min, max] = BOUNDS[index] ?? [0, 0];
    const members = new Set<number>();
    for (const item of text.split(',')) {
      const [span = '', step = '1'] = item.split('/');
      const [low = 0, high = low] = span === '*' ? [min, max] : span.split('-').map(Number);
      for (let value = low; value <= high; value += Number(step)) members.add(value);
    }
    return members;
  });
}

function matchesDay(
  expression: string,
  members: Set<number>[],
  dayRule: DayRule,
  date: Date,
): boolean {
  const [, , dayText = '', , weekdayText = ''] = expression.split(' ');
  const byDate = members[2]?.has(date.getUTCDate()) === true;
  const byWeekday = members[4]?.has(date.getUTCDay()) === true;
  const either = dayRule === 'or' && dayText[0] !== '*' && weekdayText[0] !== '*';
  if (members[3]?.has(date.getUTCMonth() + 1) !== true) return false;
  return either ? byDate || byWeekday : byDate && byWeekday;
}

function matches(
  expression: string,
  members: Set<number>[],
  dayRule: DayRule,
  date: Date,
): boolean {
  return (
    members[0]?.has(date.getUTCMinutes()) === true &&
    members[1]?.has(date.getUTCHours()) === true &&
    matchesDay(expression, members, dayRule, date)
  );
}

/**
 * What a zone's clock shows, asked of Intl each time, as the instant at which UTC's shows the same.
 */
function clockOf(zone: string): (at: Instant) => number {
  const known = clocks.get(zone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone,
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  const clock = (at: Instant): number =>
    Date.parse(`${format.format(at).replace(' ', 'T')}Z`) + (((at % SECOND) + SECOND) % SECOND);
  clocks.set(zone, clock);
  return clock;
}
const clocks = new Map<string, (at: Instant) => number>();

/** Where a zone's offset differs from a week before, to the minute. */
function clockChanges(zone: string, from: Instant, until: Instant): Instant[] {
  const known = changesKnown.get(`${zone} ${from}`);
  if (known) return known;
  const offset = (at: Instant): number => clockOf(zone)(at) - at;
  const changes: Instant[] = [];
  for (let at = from, was = offset(from); at < until; at += 14 * DAY) {
    const now = offset(at);
    if (now === was) continue;
    let [low, high] = [at - 14 * DAY, at];
    while (high - low > MINUTE) {
      const middle = low + Math.floor((high - low) / (2 * MINUTE)) * MINUTE;
      if (offset(middle) === was) low = middle;
      else high = middle;
    }
    changes.push(high);
    was = now;
  }
  changesKnown.set(`${zone} ${from}`, changes);
  return changes;
}
const changesKnown = new Map<string, Instant[]>();

/**
 * Looks at the clock every `step` of a window, and fires by the rules: at a minute that it shows;
 * at one that it has jumped over, when it jumps; at one that it shows again, not. Crons of every
 * hour only go by what it shows.
 */
function compareWithClock(
  zone: string,
  around: Instant,
  reach: number,
  lead: number,
  step: number,
  runs: number,
): void {
  const start = around - reach - lead;
  const clock = clockOf(zone);
  const looks: { at: Instant; shown: number; again: boolean; jumped: number[] }[] = [];
  const seen = new Set<number>();
  let last = clock(start) - step;
  for (let at = start; at <= around + reach; at += step) {
    const shown = clock(at);
    const jumped: number[] = [];
    for (
      let minute = Math.ceil((last + step) / MINUTE) * MINUTE;
      minute < shown;
      minute += MINUTE
    ) {
      if (!seen.has(minute)) jumped.push(minute);
    }
    for (const minute of jumped) seen.add(minute);
    if (shown % MINUTE === 0 || jumped.length > 0) {
      looks.push({ at, shown, again: seen.has(shown), jumped });
    }
    if (shown % MINUTE === 0) seen.add(shown);
    last = shown;
  }
  check(
    fc.property(denseCronText, changeRules, (expression, rules) => {
      const members = parts(expression);
      const everyHour = members[1]?.size === 24;
      const fires = (shown: number) =>
        shown % MINUTE === 0 && matches(expression, members, 'or', new Date(shown));
      const expected = looks
        .filter(({ at, shown, again, jumped }) => {
          if (at <= around - reach) return false;
          if (fires(shown) && (everyHour || rules.repeat === 'both' || !again)) return true;
          return !everyHour && rules.gap === 'after' && jumped.some(fires);
        })
        .map(({ at }) => at);

      const plan = schedule(cron(expression), readZone(zone) ?? 'none', rules);

      expect(between(plan, around - reach, around + reach)).toEqual(expected);
    }),
    runs,
  );
}

function zonesInGroups(count: number): string[][] {
  const zones = Intl.supportedValuesOf('timeZone');
  return range(count).map((group) => zones.filter((_, index) => index % count === group));
}

function check<T>(property: fc.IProperty<T>, numRuns: number): void {
  fc.assert(property, { seed: SEED, numRuns });
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}
