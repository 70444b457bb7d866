import { describe } from 'vitest';
import {
  CURL,
  CUSTOM,
  expect,
  invocations,
  type Json,
  refusal,
  responses,
  routine,
  since,
  test,
} from './fixture.ts';

const timer = (at: unknown, more: object = {}) => routine({ type: 'timer', at, ...more });
const cron = (cron_expression: string, time_zone = 'UTC') =>
  routine({ type: 'schedule', cron_expression, time_zone });
const GITHUB = {
  type: 'github_issue',
  connection_id: 'c',
  owner: 'o',
  repository: 'r',
  issue_event: 'opened',
};

/** The instants of firings, in the order in which they are told. */
const instants = (advanced: Json): string[] => advanced.fired.map((firing: Json) => firing.at);

const TIMERS: [unknown, string | undefined, string][] = [
  // An instant with an offset, of any precision.
  ['2026-06-01T09:00:00Z', undefined, '2026-06-01T09:00:00.000Z'],
  ['2026-06-01T09:00:00.5Z', undefined, '2026-06-01T09:00:00.500Z'],
  ['2026-06-01T09:00:00.1234567+02:00', undefined, '2026-06-01T07:00:00.123Z'],
  ['2026-06-01T01:00:00-05:30', undefined, '2026-06-01T06:30:00.000Z'],
  ['2026-06-01T09:00Z', undefined, '2026-06-01T09:00:00.000Z'],
  ['2026-06-01T00:00:00.001Z', undefined, '2026-06-01T00:00:00.001Z'],
  ['2026-06-01T09:00:00Z', 'America/Los_Angeles', '2026-06-01T09:00:00.000Z'],
  // A local time in a zone.
  ['2026-06-01T09:00:00', 'America/Los_Angeles', '2026-06-01T16:00:00.000Z'],
  ['2026-06-01T09:00:00', 'Pacific Standard Time', '2026-06-01T16:00:00.000Z'],
  ['2026-06-01T09:00:00.25', 'UTC', '2026-06-01T09:00:00.250Z'],
  // A duration.
  ['30m', undefined, '2026-06-01T00:30:00.000Z'],
  ['2h', undefined, '2026-06-01T02:00:00.000Z'],
  ['90s', undefined, '2026-06-01T00:01:30.000Z'],
  ['1d', undefined, '2026-06-02T00:00:00.000Z'],
  ['PT2H', undefined, '2026-06-01T02:00:00.000Z'],
  ['P1DT1M', undefined, '2026-06-02T00:01:00.000Z'],
  ['43200m', undefined, '2026-07-01T00:00:00.000Z'],
  // Unix seconds.
  [1780304400, undefined, '2026-06-01T09:00:00.000Z'],
  [1780304400.25, undefined, '2026-06-01T09:00:00.250Z'],
];

describe('a timer', () => {
  test.for(TIMERS)('at %j in %s fires once, at %s', async ([at, zone, fires], { foundry }) => {
    const more = zone === undefined ? {} : { time_zone: zone };
    const made = await foundry.routine('r', timer(at, more));
    const before = await foundry.advance(new Date(Date.parse(fires) - 1).toISOString());

    const then = await foundry.advance(fires);
    const after = await foundry.advance('P60D');

    const seconds = `${fires.slice(0, 19)}Z`;
    expect(made.triggers.t).toEqual({ type: 'timer', at: seconds, ...more });
    expect([instants(before), instants(then), instants(after)]).toEqual([[], [fires], []]);
    expect(await foundry.runs('r')).toMatchObject([
      {
        phase: 'completed',
        trigger_type: 'timer',
        trigger_name: 't',
        attempt_source: 'timer_delivery',
        triggered_at: seconds,
        scheduled_fire_at: seconds,
      },
    ]);
  });

  test('keeps its routine as it was after it has fired', async ({ foundry }) => {
    const before = await foundry.routine('r', timer('30m'));
    await foundry.advance('PT1H');

    expect((await foundry.get('/routines/r', CURL)).body).toEqual(before);
  });

  test('that fired is put back by a client that changes the description, and stays over', async ({
    foundry,
  }) => {
    const before = await foundry.routine('r', timer('30m'));
    await foundry.advance('PT1H');

    const after = await foundry.routine('r', { ...before, description: 'new' });
    await foundry.post('/routines/r:disable');
    await foundry.post('/routines/r:enable');

    expect(after).toMatchObject({ description: 'new', triggers: before.triggers });
    expect((await foundry.advance('P1D')).fired).toEqual([]);
  });

  test('that fired may be set again', async ({ foundry }) => {
    await foundry.routine('r', timer('30m'));
    await foundry.advance('PT1H');

    await foundry.routine('r', timer('30m'));

    expect(instants(await foundry.advance('P1D'))).toEqual(['2026-06-01T01:30:00.000Z']);
  });

  test('may be dispatched before it fires, and fires all the same', async ({ foundry }) => {
    await foundry.routine('r', timer('30m'));

    await foundry.dispatch('r');
    await foundry.advance('PT1H');

    const sources = (await foundry.runs('r')).map((run) => run.attempt_source);
    expect(sources).toEqual(['queued_dispatch', 'timer_delivery']);
  });

  test('whose instant passes while it is disabled never fires', async ({ foundry }) => {
    await foundry.routine('r', { ...timer('30m'), enabled: false });
    await foundry.advance('PT1H');

    await foundry.post('/routines/r:enable');

    expect((await foundry.advance('P1D')).fired).toEqual([]);
    expect(await foundry.runs('r')).toEqual([]);
  });

  test.for([
    ['0m', 'routine/timer-duration-positive', /is not a positive duration/],
    ['-30m', 'routine/timer-duration-positive', /is not a positive duration/],
    ['PT0S', 'routine/timer-duration-positive', /is not a positive duration/],
    ['30', 'routine/timer-forms', /cannot be read/],
    ['30 m', 'routine/timer-forms', /cannot be read/],
    ['30M', 'routine/timer-forms', /cannot be read/],
    ['1.5h', 'routine/timer-forms', /cannot be read/],
    ['', 'routine/timer-forms', /cannot be read/],
    ['tomorrow', 'routine/timer-forms', /cannot be read/],
    ['2026-06-31T09:00:00Z', 'routine/timer-forms', /cannot be read/],
    ['2026-13-01T09:00:00Z', 'routine/timer-forms', /cannot be read/],
    ['2026-06-01T24:00:00Z', 'routine/timer-forms', /cannot be read/],
    ['2026-06-01', 'routine/timer-forms', /cannot be read/],
    ['2026-06-01T09:00:00+25:00', 'routine/timer-forms', /cannot be read/],
    [1780304400000, 'routine/timer-forms', /unix seconds, not milliseconds/],
    ['P99999999D', 'routine/timer-forms', /outside the years 1 to 9999/],
    [-1, 'routine/timer-is-future', /not after now/],
    [0, 'routine/timer-is-future', /not after now/],
  ] as [unknown, string, RegExp][])(
    'at %j is refused',
    async ([at, rule, message], { foundry }) => {
      expect(refusal(await foundry.put('/routines/r', timer(at)))).toEqual({
        status: 400,
        code: 'invalid_request',
        message: expect.stringMatching(message),
        param: 'triggers.t.at',
        rule,
      });
    },
  );
});

describe('a schedule', () => {
  test('of seed 001 fires at seven on weekday mornings', async ({ foundry }) => {
    await foundry.routine('r', cron('0 7 * * 1-5'));

    const week = await foundry.advance('P7D');

    expect(instants(week)).toEqual([
      '2026-06-01T07:00:00.000Z',
      '2026-06-02T07:00:00.000Z',
      '2026-06-03T07:00:00.000Z',
      '2026-06-04T07:00:00.000Z',
      '2026-06-05T07:00:00.000Z',
    ]);
    expect((await foundry.runs('r'))[0]).toEqual({
      id: expect.stringMatching(/^run-/),
      status: 'FINISHED',
      phase: 'completed',
      trigger_type: 'schedule',
      trigger_name: 't',
      attempt_source: 'schedule_delivery',
      action_type: 'invoke_agent_responses_api',
      agent_id: 'digest',
      triggered_at: '2026-06-01T07:00:00Z',
      scheduled_fire_at: '2026-06-01T07:00:00Z',
      started_at: '2026-06-01T07:00:00Z',
      ended_at: '2026-06-01T07:00:00Z',
      dispatch_id: expect.stringMatching(/^disp-/),
      action_correlation_id: expect.stringMatching(/^caresp_/),
      response_id: expect.stringMatching(/^caresp_/),
      task_id: expect.stringMatching(/^task-/),
    });
  });

  test.for([
    ['0 9 * * *', 'America/Los_Angeles', '2026-06-01T16:00:00.000Z'],
    ['0 9 * * *', 'Pacific Standard Time', '2026-06-01T16:00:00.000Z'],
    ['0 9 * * *', 'Asia/Kolkata', '2026-06-01T03:30:00.000Z'],
    ['15,45 */6 * JUN Mon', 'UTC', '2026-06-01T00:15:00.000Z'],
    ['0 0 * * 7', 'UTC', '2026-06-07T00:00:00.000Z'],
    ['0 0 29 2 *', 'UTC', '2028-02-29T00:00:00.000Z'],
  ] as const)(
    '%j in %s fires first at %s, and says its zone back',
    async ([text, zone, first], { foundry }) => {
      const made = await foundry.routine('r', cron(text, zone));

      const advanced = await foundry.advance(first);

      expect(made.triggers.t).toEqual({ type: 'schedule', cron_expression: text, time_zone: zone });
      expect(instants(advanced)).toEqual([first]);
    },
  );

  test('does not fire at the instant at which it is put', async ({ foundry }) => {
    await foundry.routine('r', cron('*/5 * * * *'));

    expect(instants(await foundry.advance('PT0S'))).toEqual([]);
    expect(instants(await foundry.advance('PT5M'))).toEqual(['2026-06-01T00:05:00.000Z']);
  });

  test('that is replaced fires by its new cron alone', async ({ foundry }) => {
    await foundry.routine('r', cron('*/5 * * * *'));

    await foundry.routine('r', cron('7 * * * *'));

    expect(instants(await foundry.advance('PT1H'))).toEqual(['2026-06-01T00:07:00.000Z']);
  });

  test('that is disabled does not fire, and makes nothing up when it is enabled', async ({
    foundry,
  }) => {
    await foundry.routine('r', cron('*/5 * * * *'));
    await foundry.post('/routines/r:disable');
    const disabled = await foundry.advance('PT12M');

    await foundry.post('/routines/r:enable');
    const enabled = await foundry.advance('PT5M');

    expect([instants(disabled), instants(enabled)]).toEqual([[], ['2026-06-01T00:15:00.000Z']]);
    expect(await foundry.runs('r')).toHaveLength(1);
  });

  test('that is enabled twice fires once', async ({ foundry }) => {
    await foundry.routine('r', cron('*/5 * * * *'));
    await foundry.post('/routines/r:enable');
    await foundry.post('/routines/r:enable');

    expect((await foundry.advance('PT5M')).fired).toHaveLength(1);
  });

  test('fires with others of its instant in the order in which they were armed', async ({
    foundry,
  }) => {
    for (const name of ['b', 'c', 'a']) await foundry.routine(name, cron('*/5 * * * *'));

    const { fired } = await foundry.advance('PT10M');

    expect(fired.map((firing: Json) => `${firing.routine} ${since(firing.at)}`)).toEqual([
      'b 300s',
      'c 300s',
      'a 300s',
      'b 600s',
      'c 600s',
      'a 600s',
    ]);
  });

  test.for([
    [
      '* * * * *',
      'routine/cron-at-least-five-minutes',
      /has firings 1 minute apart\. Leave at least 5 minutes/,
    ],
    ['*/4 * * * *', 'routine/cron-at-least-five-minutes', /4 minutes apart/],
    ['*/7 * * * *', 'routine/cron-at-least-five-minutes', /4 minutes apart/],
    ['0,3 * * * *', 'routine/cron-at-least-five-minutes', /3 minutes apart/],
    ['58,2 * * * *', 'routine/cron-at-least-five-minutes', /4 minutes apart/],
    ['0 7 * *', 'routine/cron-has-five-fields', /does not have five fields/],
    ['0 0 7 * * 1-5', 'routine/cron-has-five-fields', /does not have five fields/],
    ['@daily', 'routine/cron-has-five-fields', /does not have five fields/],
    ['', 'routine/cron-has-five-fields', /does not have five fields/],
    ['60 * * * *', 'routine/cron-has-five-fields', /has "60" as its minute\. Write 0 to 59/],
    ['0 24 * * *', 'routine/cron-has-five-fields', /has "24" as its hour/],
    ['0 0 0 * *', 'routine/cron-has-five-fields', /has "0" as its day of month/],
    ['0 0 L * *', 'routine/cron-has-five-fields', /has "L" as its day of month/],
    ['0 0 ? * *', 'routine/cron-has-five-fields', /has "\?" as its day of month/],
    ['H 0 * * *', 'routine/cron-has-five-fields', /has "H" as its minute/],
    ['0 0 * 13 *', 'routine/cron-has-five-fields', /has "13" as its month/],
    ['0 0 * * 1#2', 'routine/cron-has-five-fields', /has "1#2" as its day of week/],
    ['0 0 31 2 *', 'cron/fires-at-all', /never fires/],
    ['0 0 30 2 *', 'cron/fires-at-all', /never fires/],
    [
      `0 0 * * ${'1,'.repeat(130)}1`,
      'routine/cron-has-five-fields',
      /characters\. Write at most 256/,
    ],
  ] as [string, string, RegExp][])('%j is refused', async ([text, rule, message], { foundry }) => {
    expect(refusal(await foundry.put('/routines/r', cron(text)))).toEqual({
      status: 400,
      code: 'invalid_request',
      message: expect.stringMatching(message),
      param: 'triggers.t.cron_expression',
      rule,
    });
  });

  test('of thirty days gives 8,640 firings in order, and as many runs and attempts', async ({
    foundry,
  }) => {
    const expected = (offset: number) =>
      Array.from({ length: 8_640 }, (_, n) => 300_000 * n + offset);
    const ms = (advanced: Json) =>
      advanced.fired.map(
        (firing: Json) => Date.parse(firing.at) - Date.parse('2026-06-01T00:00:00Z'),
      );
    await foundry.routine('by-five', cron('*/5 * * * *'));

    const first = await foundry.advance('P30D');
    await foundry.steer('POST', ':reset');
    await foundry.agent('digest');
    await foundry.routine('by-two', cron('2-57/5 * * * *'));
    const second = await foundry.advance('P30D');

    expect([first.reached, second.reached]).toEqual([true, true]);
    expect(ms(first)).toEqual(expected(300_000));
    expect(ms(second)).toEqual(expected(120_000));
    const ids = new Set<string>();
    let after = '';
    for (;;) {
      const { body } = await foundry.get(`/routines/by-two/runs?order=asc${after}`, CURL);
      for (const run of body.data) ids.add(`${run.id} ${run.phase}`);
      if (!body.has_more) break;
      after = `&after=${body.last_id}`;
    }
    expect([ids.size, [...ids].filter((id) => !id.endsWith(' completed'))]).toEqual([8_640, []]);
    expect(await foundry.journal('kind=attempt&limit=10000')).toHaveLength(8_640);
  }, 60_000);
});

describe('an event trigger', () => {
  test.for([
    [{ ...CUSTOM, event_name: 'sample', parameters: { a: [1] } }, 'custom'],
    [CUSTOM, 'custom'],
    [GITHUB, 'github_issue'],
  ] as const)('%j is kept, and fires by control alone', async ([trigger, type], { foundry }) => {
    const made = await foundry.routine('r', routine(trigger));
    const idle = await foundry.advance('P30D');

    const fired = await foundry.steer('POST', '/routines/r:fire', { payload: { issue: 7 } });
    await foundry.advance('PT1S');

    const [run] = await foundry.runs('r');
    expect(made.triggers).toEqual({ t: trigger });
    expect(idle.fired).toEqual([]);
    expect(fired).toEqual({
      routine: 'r',
      trigger: 't',
      at: '2026-07-01T00:00:00.000Z',
      run: run.id,
      late: false,
    });
    expect(run).toMatchObject({
      phase: 'completed',
      trigger_type: type,
      trigger_name: 't',
      attempt_source: 'event_fire',
      trigger_event_payload: { issue: 7 },
      triggered_at: '2026-07-01T00:00:00Z',
    });
    expect(run).not.toHaveProperty('scheduled_fire_at');
  });

  test('without a payload carries an empty one', async ({ foundry }) => {
    await foundry.routine('r', routine());

    await foundry.steer('POST', '/routines/r:fire');

    expect(await foundry.runs('r')).toMatchObject([{ trigger_event_payload: {} }]);
  });

  test('has a name of the user’s own', async ({ foundry }) => {
    for (const name of ['', ' ', 'a.b[0]', '__proto__', 'constructor', '☕']) {
      const triggers = JSON.parse(`{${JSON.stringify(name)}:${JSON.stringify(CUSTOM)}}`);
      const made = await foundry.routine('r', { ...routine(), triggers });

      expect(Object.entries(made.triggers)).toEqual([[name, CUSTOM]]);
    }
  });
});

describe('firing by control', () => {
  test('makes a schedule’s run now, and its schedule goes on', async ({ foundry }) => {
    await foundry.routine('r', cron('*/5 * * * *'));

    const body = { scheduled_fire_at: '2026-05-31T23:55:00Z' };
    const fired = await foundry.steer('POST', '/routines/r:fire', body);
    const advanced = await foundry.advance('PT5M');

    const [byHand] = await foundry.runs('r');
    expect(fired.run).toBe(byHand.id);
    expect(byHand).toMatchObject({
      attempt_source: 'schedule_delivery',
      triggered_at: '2026-06-01T00:00:00Z',
      scheduled_fire_at: '2026-05-31T23:55:00Z',
      phase: 'completed',
    });
    expect(instants(advanced)).toEqual(['2026-06-01T00:05:00.000Z']);
  });

  test('of a timer is its one firing', async ({ foundry }) => {
    await foundry.routine('r', timer('30m'));

    await foundry.steer('POST', '/routines/r:fire');

    expect((await foundry.advance('PT1H')).fired).toEqual([]);
    expect(await foundry.runs('r')).toMatchObject([{ attempt_source: 'timer_delivery' }]);
  });

  test('gives each run an id of its own', async ({ foundry }) => {
    await foundry.routine('r', cron('*/5 * * * *'));

    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) ids.push((await foundry.steer('POST', '/routines/r:fire')).run);
    const { fired } = await foundry.advance('PT5M');

    expect(new Set([...ids, fired[0]?.run]).size).toBe(4);
  });

  test.for([
    ['a routine that is not there', 'ghost', undefined, 404, null, 'routine/unknown-answers-404'],
    ['a disabled routine', 'off', undefined, 409, null, 'routine/disabled-does-not-fire'],
    [
      'a payload for a schedule',
      'r',
      { payload: {} },
      400,
      'payload',
      'control/fire-payload-for-events',
    ],
    [
      'a payload that is no object',
      'hook',
      { payload: 1 },
      400,
      'payload',
      'control/fire-payload-is-object',
    ],
    [
      'an instant without an offset',
      'r',
      { scheduled_fire_at: '2026-06-01T00:00:00' },
      400,
      'scheduled_fire_at',
      'clock/now-is-an-instant',
    ],
    ['a field that is none', 'r', { payloda: {} }, 400, 'payloda', 'control/body-has-known-fields'],
  ] as [string, string, unknown, number, string | null, string][])(
    'is refused for %s',
    async ([, name, body, status, param, rule], { foundry }) => {
      await foundry.routine('r', cron('*/5 * * * *'));
      await foundry.routine('hook', routine());
      await foundry.routine('off', { ...routine(), enabled: false });

      const answer = await foundry.request('POST', foundry.control(`/routines/${name}:fire`), {
        body,
      });

      expect(refusal(answer)).toMatchObject({ status, param, rule });
      for (const each of ['r', 'hook', 'off']) expect(await foundry.runs(each)).toEqual([]);
    },
  );
});

describe('a run', () => {
  test.for([
    [responses('digest', { conversation_id: 'conv_1' }), { conversation_id: 'conv_1' }],
    [invocations('digest', { session_id: 's-1' }), { session_id: 's-1' }],
    [responses('digest'), {}],
  ] as [object, object][])(
    'of %j says what it goes on with',
    async ([action, fields], { foundry }) => {
      await foundry.routine('r', routine(CUSTOM, { action }));
      await foundry.dispatch('r');

      const [run] = await foundry.runs('r');

      const { conversation_id, session_id } = run;
      expect(JSON.parse(JSON.stringify({ conversation_id, session_id }))).toEqual(fields);
    },
  );
});
