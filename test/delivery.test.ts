import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from 'vitest';
import { manualClock } from '../emulator/clock.ts';
import {
  CUSTOM,
  EVERY_5_MINUTES,
  expect,
  type Foundry,
  invocations,
  type Json,
  localAgent,
  openFoundry,
  responses,
  routine,
  START,
  scratchFolder,
  test,
} from './fixture.ts';

/** Dispatches one run under these faults and lets everything happen; its attempts, and the run. */
async function deliver(
  foundry: Foundry,
  ...faults: unknown[]
): Promise<{ attempts: string[]; run: Json }> {
  await foundry.routine('r', routine());
  await foundry.faults(...faults);
  await foundry.dispatch('r');
  await foundry.advance('PT10M');
  const [run] = await foundry.runs('r');
  return { attempts: await foundry.attempts(), run };
}

/** The routine `r` goes to an agent on a real port. */
async function forwarding(
  foundry: Foundry,
  url: string,
  action = responses('digest'),
): Promise<void> {
  await foundry.reply('digest', { kind: 'forward', url });
  await foundry.routine('r', routine(CUSTOM, { action }));
}

describe('an answer', () => {
  test.for([200, 201, 202, 204, 299])(
    '%i completes the run at once',
    async (status, { foundry }) => {
      const { attempts, run } = await deliver(foundry, { agent: 'digest', fault: status });

      expect(attempts).toEqual([`${status} @0s complete`]);
      expect(run).toMatchObject({
        status: 'FINISHED',
        phase: 'completed',
        started_at: '2026-06-01T00:00:00Z',
        ended_at: '2026-06-01T00:00:00Z',
      });
    },
  );

  test.for([408, 429, 500, 501, 502, 503, 504, 599])(
    '%i is retried after 1 s and 2 s, and then fails the run',
    async (status, { foundry }) => {
      const { attempts, run } = await deliver(foundry, { agent: 'digest', fault: status });

      expect(attempts).toEqual([
        `${status} @0s retry`,
        `${status} @1s retry`,
        `${status} @3s fail`,
      ]);
      expect(run).toMatchObject({
        status: 'FAILED',
        phase: 'failed',
        started_at: '2026-06-01T00:00:00Z',
        ended_at: '2026-06-01T00:00:03Z',
        error_type: 'downstream_status',
        error_status_code: status,
        error_message: `The agent endpoint answered ${status}. A fault of the plan answers ${status}.`,
      });
      expect(run).not.toHaveProperty('response_id');
    },
  );

  test.for([
    400, 401, 403, 404, 405, 409, 410, 413, 422, 424, 499, 300, 301, 302, 303, 304, 307, 308,
  ])('%i fails the run at once', async (status, { foundry }) => {
    const { attempts, run } = await deliver(foundry, { agent: 'digest', fault: status });

    expect(attempts).toEqual([`${status} @0s fail`]);
    expect(run).toMatchObject({
      phase: 'failed',
      ended_at: '2026-06-01T00:00:00Z',
      error_type: 'downstream_status',
      error_status_code: status,
    });
  });

  test.for([
    [
      'timeout',
      ['timeout @30s retry', 'timeout @61s retry', 'timeout @93s fail'],
      'timeout',
      'The agent endpoint did not answer within 30 seconds.',
    ],
    [
      'disconnect',
      ['connection_failed @0s retry', 'connection_failed @1s retry', 'connection_failed @3s fail'],
      'connection_failed',
      'The agent endpoint could not be reached: connection reset (fault disconnect)',
    ],
    [
      'lose_response',
      ['answer_lost @0s retry', 'answer_lost @1s retry', 'answer_lost @3s fail'],
      'answer_lost',
      'The connection to the agent endpoint broke before its answer arrived.',
    ],
  ] as [string, string[], string, string][])(
    'that never comes (%s) is retried, and then fails the run',
    async ([fault, attempts, type, message], { foundry }) => {
      const told = await deliver(foundry, { agent: 'digest', fault });

      expect(told.attempts).toEqual(attempts);
      expect(told.run).toMatchObject({ phase: 'failed', error_type: type, error_message: message });
      expect(told.run).not.toHaveProperty('error_status_code');
    },
  );

  test.for([
    [
      [503, 'timeout', 'ok'],
      ['503 @0s retry', 'timeout @31s retry', '200 @33s complete'],
    ],
    [
      [500, 500],
      ['500 @0s retry', '500 @1s retry', '200 @3s complete'],
    ],
    [
      [503, 400],
      ['503 @0s retry', '400 @1s fail'],
    ],
    [
      ['disconnect', 'lose_response', 408],
      ['connection_failed @0s retry', 'answer_lost @1s retry', '408 @3s fail'],
    ],
  ] as [unknown[], string[]][])(
    'of each attempt counts for itself: %j',
    async ([plan, attempts], { foundry }) => {
      expect((await deliver(foundry, { agent: 'digest', attempts: plan })).attempts).toEqual(
        attempts,
      );
    },
  );

  test.for([
    ['29s', ['200 @29s complete']],
    ['30s', ['200 @30s complete']],
    ['30001ms', ['timeout @30s retry', 'timeout @61s retry', 'timeout @93s fail']],
  ] as [string, string[]][])(
    'after %s comes in time, or does not',
    async ([delay, attempts], { foundry }) => {
      expect((await deliver(foundry, { agent: 'digest', fault: { delay } })).attempts).toEqual(
        attempts,
      );
    },
  );

  test('that the last attempt gave is the error of the run', async ({ foundry }) => {
    const { run } = await deliver(foundry, {
      agent: 'digest',
      attempts: ['timeout', 503, { status: 429, body: { error: { message: 'Slow down.' } } }],
    });

    expect(run).toMatchObject({
      error_type: 'downstream_status',
      error_status_code: 429,
      error_message: 'The agent endpoint answered 429. Slow down.',
    });
  });

  test('of many words is cut in the error of the run', async ({ foundry }) => {
    const { run } = await deliver(foundry, {
      agent: 'digest',
      fault: { status: 400, body: 'x'.repeat(5_000) },
    });

    expect(run.error_message).toHaveLength(1_024);
    expect(run.error_message).toMatch(/^The agent endpoint answered 400\. x+$/);
  });

  test('202 completes the run, whose later work may fail', async ({ foundry }) => {
    await foundry.reply('digest', {
      kind: 'script',
      turns: [{ accepted: { after: '1m', failed: { code: 'boom', message: 'm' } } }],
    });

    const { attempts, run } = await deliver(foundry);

    expect(attempts).toEqual(['202 @0s complete']);
    expect(run).toMatchObject({
      phase: 'completed',
      response_id: expect.stringMatching(/^caresp_/),
    });
  });

  test('that says it failed completes the run', async ({ foundry }) => {
    await foundry.reply('digest', {
      kind: 'script',
      turns: [{ failed: { code: 'boom', message: 'm' } }],
    });

    const { attempts, run } = await deliver(foundry);

    expect(attempts).toEqual(['200 @0s complete']);
    expect(run).toMatchObject({ phase: 'completed', response_id: run.action_correlation_id });
  });

  test('with an id of its own gives the run that id', async ({ foundry }) => {
    const ids: string[] = [];
    for (const body of [{ id: 'resp_mine' }, { invocation_id: 'inv_mine' }, 'no json', { id: 5 }]) {
      const fault = { status: 200, body };
      await foundry.routine('r', routine());
      await foundry.faults({ agent: 'digest', fault });
      await foundry.dispatch('r');
      await foundry.advance('PT1S');
      const run = (await foundry.runs('r')).at(-1);
      ids.push(run.response_id === run.action_correlation_id ? 'as promised' : run.response_id);
    }

    expect(ids).toEqual(['resp_mine', 'inv_mine', 'as promised', 'as promised']);
  });

  test('of an invocation gives the run its invocation id', async ({ foundry }) => {
    await foundry.routine('r', routine(CUSTOM, { action: invocations('digest') }));
    await foundry.dispatch('r');
    await foundry.advance('PT1S');

    const [run] = await foundry.runs('r');
    expect(run).toMatchObject({ phase: 'completed', response_id: run.action_correlation_id });
    expect(run.response_id).toMatch(/^inv_/);
  });
});

describe('a delivery', () => {
  test('is acknowledged before its call ends, which ends when its gate is released', async ({
    foundry,
  }) => {
    await foundry.routine('r', routine());
    await foundry.faults({ agent: 'digest', fault: { kind: 'gate', name: 'g' } });
    const phase = async () => (await foundry.runs('r'))[0].phase;

    const dispatched = await foundry.post('/routines/r:dispatch_async');
    const phases = [await phase()];
    await foundry.advance('PT0S');
    phases.push(await phase());
    const held = (await foundry.clock()).heldBy;
    await foundry.advance('PT10S');
    phases.push(await phase());
    const released = await foundry.release('g');
    await foundry.advance('PT0S');
    phases.push(await phase());

    expect(dispatched.status).toBe(200);
    expect(phases).toEqual(['queued', 'dispatching', 'dispatching', 'completed']);
    expect(held).toEqual([{ kind: 'gate', what: 'g' }]);
    expect(released).toEqual({ gate: 'g', released: 1 });
    expect(await foundry.attempts()).toEqual(['200 @10s complete']);
    expect((await foundry.clock()).heldBy).toEqual([]);
  });

  test('that a gate holds for 30 s runs out of time', async ({ foundry }) => {
    const { attempts } = await deliver(foundry);
    await foundry.faults({ agent: 'digest', fault: { kind: 'gate', name: 'g' } });

    await foundry.dispatch('r');
    const stops: Json[] = [];
    for (let n = 0; n < 4; n += 1)
      stops.push((await foundry.advance('2026-06-01T01:00:00Z')).stopped);

    expect(attempts).toEqual(['200 @0s complete']);
    expect(stops).toEqual([
      {
        reason: 'held',
        detail: "The gate 'g' holds a call. Release it, or advance again to go on without it.",
      },
      expect.objectContaining({ reason: 'held' }),
      expect.objectContaining({ reason: 'held' }),
      undefined,
    ]);
    expect((await foundry.attempts()).slice(1)).toEqual([
      'timeout @630s retry',
      'timeout @661s retry',
      'timeout @693s fail',
    ]);
  });

  test('that queues 60 s and is answered in 29 s completes on its first attempt', async ({
    foundry,
  }) => {
    await foundry.set({ settings: { queue_delay: '60s' } });

    const { attempts, run } = await deliver(foundry, { agent: 'digest', fault: { delay: '29s' } });

    expect(attempts).toEqual(['200 @89s complete']);
    expect(run).toMatchObject({
      triggered_at: '2026-06-01T00:00:00Z',
      started_at: '2026-06-01T00:01:00Z',
      ended_at: '2026-06-01T00:01:29Z',
    });
  });

  test.for([
    ['ignored', '7', ['429 @0s retry', '429 @1s retry', '429 @3s fail']],
    ['honoured', '7', ['429 @0s retry', '429 @7s retry', '429 @14s fail']],
    ['honoured', '0', ['429 @0s retry', '429 @1s retry', '429 @3s fail']],
    ['honoured', 'soon', ['429 @0s retry', '429 @1s retry', '429 @3s fail']],
    [
      'honoured',
      'Mon, 01 Jun 2026 00:00:20 GMT',
      ['429 @0s retry', '429 @20s retry', '429 @22s fail'],
    ],
  ] as [string, string, string[]][])(
    'with Retry-After %s: %s',
    async ([value, header, attempts], { foundry }) => {
      await foundry.set({ switches: { retry_after: value } });

      const told = await deliver(foundry, {
        agent: 'digest',
        fault: { status: 429, headers: { 'Retry-After': header } },
      });

      expect(told.attempts).toEqual(attempts);
    },
  );

  test.for([
    [{ attempts_max: 1 }, ['503 @0s fail']],
    [
      { attempts_max: 6 },
      [
        '503 @0s retry',
        '503 @1s retry',
        '503 @3s retry',
        '503 @7s retry',
        '503 @12s retry',
        '503 @17s fail',
      ],
    ],
    [{ first_wait: '4s', wait_max: '6s' }, ['503 @0s retry', '503 @4s retry', '503 @10s fail']],
    [{ first_wait: 0 }, ['503 @0s retry', '503 @0s retry', '503 @0s fail']],
    [{ wait_factor: 1 }, ['503 @0s retry', '503 @1s retry', '503 @2s fail']],
    [{ wait_factor: 1.5 }, ['503 @0s retry', '503 @1s retry', '503 @2.5s fail']],
    [{ wait_factor: '10' }, ['503 @0s retry', '503 @1s retry', '503 @6s fail']],
    [{ retry_on: '408 429 timeout' }, ['503 @0s fail']],
    [{ completes_on: '2xx 503' }, ['503 @0s complete']],
  ] as [object, string[]][])(
    'keeps to the settings %j',
    async ([settings, attempts], { foundry }) => {
      await foundry.set({ settings });

      expect((await deliver(foundry, { agent: 'digest', fault: 503 })).attempts).toEqual(attempts);
    },
  );

  test.for([
    ['408 5xx timeout', 429, ['429 @0s fail']],
    ['3xx', 302, ['302 @0s retry', '302 @1s retry', '302 @3s fail']],
    ['404', 404, ['404 @0s retry', '404 @1s retry', '404 @3s fail']],
    ['404', 403, ['403 @0s fail']],
    ['5xx', 'timeout', ['timeout @30s fail']],
    ['5xx', 'disconnect', ['connection_failed @0s fail']],
    ['5xx', 'lose_response', ['answer_lost @0s fail']],
  ] as [string, unknown, string[]][])(
    'that may be retried on %s alone meets %s',
    async ([words, fault, attempts], { foundry }) => {
      await foundry.set({ settings: { retry_on: words } });

      expect((await deliver(foundry, { agent: 'digest', fault })).attempts).toEqual(attempts);
    },
  );

  test('that completes on 200 and 404 alone fails on 202', async ({ foundry }) => {
    await foundry.set({ settings: { completes_on: '200 404' } });

    const { attempts, run } = await deliver(foundry, { agent: 'digest', fault: 404 });
    const failed = await deliver(foundry, { agent: 'digest', fault: 202 });

    expect(run).toMatchObject({ phase: 'completed', response_id: run.action_correlation_id });
    expect([...attempts, failed.attempts.at(-1)]).toEqual(['404 @0s complete', '202 @600s fail']);
    expect((await foundry.runs('r')).at(-1)).toMatchObject({
      phase: 'failed',
      error_type: 'downstream_status',
      error_status_code: 202,
    });
  });

  test('with wait_jitter waits a drawn share less, the same for the same seed', async () => {
    const waited = async (seed: string, more: object) => {
      const foundry = openFoundry({
        seed,
        settings: { wait_jitter: 0.5, wait_max: '1h', attempts_max: 4, ...more },
      });
      await foundry.agent('digest');
      await deliver(foundry, { agent: 'digest', fault: 503 });
      const at = (await foundry.journal('kind=attempt')).map((line) => Date.parse(line.at));
      return at.slice(1).map((instant, index) => instant - (at[index] as number));
    };

    const [waits, again, other, none] = [
      await waited('one', {}),
      await waited('one', {}),
      await waited('other', {}),
      await waited('one', { wait_jitter: 0 }),
    ];

    expect(none).toEqual([1_000, 2_000, 4_000]);
    for (const [index, whole] of none.entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(whole / 2);
      expect(waits[index]).toBeLessThan(whole);
    }
    expect(again).toEqual(waits);
    expect(other).not.toEqual(waits);
  });

  test('follows the policy that is in force when its attempt ends', async ({ foundry }) => {
    await foundry.routine('r', routine());
    await foundry.faults({ agent: 'digest', fault: { status: 503, delay: '10s' } });
    await foundry.dispatch('r');
    await foundry.advance('PT5S');

    await foundry.set({ settings: { retry_on: '408' } });
    await foundry.advance('PT1M');

    expect(await foundry.attempts()).toEqual(['503 @10s fail']);
  });

  test('has as much time as the setting attempt_timeout gives it', async ({ foundry }) => {
    await foundry.set({ settings: { attempt_timeout: '5s', attempts_max: 1 } });

    const { attempts, run } = await deliver(foundry, { agent: 'digest', fault: 'timeout' });

    expect(attempts).toEqual(['timeout @5s fail']);
    expect(run.error_message).toBe('The agent endpoint did not answer within 5 seconds.');
  });

  test.for([
    [
      'disabled',
      403,
      (foundry: Foundry) => foundry.post('/agents/digest:disable'),
      'The agent endpoint answered 403. Agent digest is disabled. Enable it with POST /agents/digest:enable.',
    ],
    [
      'deleted',
      404,
      (foundry: Foundry) => foundry.delete('/agents/digest'),
      "The agent endpoint answered 404. Agent digest doesn't exist",
    ],
  ] as [string, number, (foundry: Foundry) => Promise<unknown>, string][])(
    'to an agent that is %s fails with %i, and no retry',
    async ([, status, change, message], { foundry }) => {
      await foundry.routine('r', routine());
      await change(foundry);
      await foundry.dispatch('r');
      await foundry.advance('PT1M');

      expect(await foundry.attempts()).toEqual([`${status} @0s fail`]);
      expect(await foundry.runs('r')).toMatchObject([
        { phase: 'failed', error_status_code: status, error_message: message },
      ]);
    },
  );
});

describe('the agent hears', () => {
  const IN_A_SESSION = expect.stringMatching(/^\/invocations\?agent_session_id=[0-9a-f-]{36}$/);
  const CALLS: [string, object, unknown, unknown, string][] = [
    [
      'an empty text when nothing is configured',
      responses('digest'),
      undefined,
      { input: '' },
      '/responses',
    ],
    [
      'the input of the action',
      responses('digest', { input: 'a' }),
      undefined,
      { input: 'a' },
      '/responses',
    ],
    [
      'null, which is an input',
      responses('digest', { input: null }),
      undefined,
      { input: null },
      '/responses',
    ],
    [
      'the input of the dispatch before that of the action',
      responses('digest', { input: 'a' }),
      { payload: { type: 'invoke_agent_responses_api', input: 'b' } },
      { input: 'b' },
      '/responses',
    ],
    [
      'the null of the dispatch',
      responses('digest', { input: 'a' }),
      { payload: { type: 'invoke_agent_responses_api', input: null } },
      { input: null },
      '/responses',
    ],
    [
      'the action’s input when the dispatch has none',
      responses('digest', { input: 'a' }),
      { payload: { type: 'invoke_agent_responses_api' } },
      { input: 'a' },
      '/responses',
    ],
    [
      'an empty object when nothing is configured',
      invocations('digest'),
      undefined,
      {},
      IN_A_SESSION,
    ],
    [
      'an invocation as it is',
      invocations('digest', { input: [1, { a: null }] }),
      undefined,
      [1, { a: null }],
      IN_A_SESSION,
    ],
  ];

  test('its conversation', async ({ foundry }) => {
    const agent = await localAgent((response) => response.end('{}'));
    const { id } = (await foundry.post('/openai/v1/conversations', {})).body;
    await forwarding(foundry, agent.url, responses('digest', { input: 'a', conversation_id: id }));

    await foundry.dispatch('r');
    await foundry.advance('PT1S');

    const bodies = agent.heard.map((call) => JSON.parse(call.body));
    expect(bodies).toEqual([{ input: 'a', conversation: { id } }]);
  });

  test('its session', async ({ foundry }) => {
    const agent = await localAgent((response) => response.end('{}'));
    await forwarding(foundry, agent.url, invocations('digest', { session_id: 'session-1' }));
    await foundry.post('/agents/digest/endpoint/sessions', { agent_session_id: 'session-1' });

    await foundry.dispatch('r');
    await foundry.advance('PT1S');

    const urls = agent.heard.map((call) => call.url);
    expect(urls).toEqual(['/invocations?agent_session_id=session-1']);
  });

  test.for(CALLS)('%s', async ([, action, body, heard, url], { foundry }) => {
    const agent = await localAgent((response) => response.end('{}'));
    await forwarding(foundry, agent.url, action);

    const { dispatch_id } = await foundry.dispatch('r', body);
    await foundry.advance('PT1S');

    expect(agent.heard.map((call) => [call.url, JSON.parse(call.body)])).toEqual([[url, heard]]);
    expect(agent.heard[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-ms-client-request-id': dispatch_id,
    });
    expect(agent.heard[0]?.headers.authorization).toBeUndefined();
  });

  test('again in the sandbox that came up too late, and is answered when it is there', async ({
    foundry,
  }) => {
    await foundry.set({ settings: { cold_start: '40s' } });
    await foundry.routine('r', routine(undefined, { action: responses('digest', { input: 'a' }) }));

    const { action_correlation_id } = await foundry.dispatch('r');
    await foundry.advance('PT1M');

    const path = `/agents/digest/endpoint/protocols/openai/responses/${action_correlation_id}`;
    const attempts = (await foundry.journal('kind=attempt')).map(({ at, outcome }: Json) => [
      at,
      outcome,
    ]);
    expect(attempts).toEqual([
      [expect.stringContaining('00:00:30'), 'timeout'],
      [expect.stringContaining('00:00:40'), 'answered'],
    ]);
    expect((await foundry.get(path)).body).toMatchObject({ status: 'completed' });
    expect((await foundry.get('/agents/digest/endpoint/sessions')).body.data).toHaveLength(1);
  });

  describe('in a sandbox', () => {
    const cold = async (foundry: Foundry, settings: object): Promise<void> => {
      await foundry.set({ settings });
      await foundry.routine('r', routine(undefined, { action: responses('digest') }));
      await foundry.dispatch('r');
    };
    const SESSIONS = '/agents/digest/endpoint/sessions';

    test('that does not come, and fails with 424 when that is known', async ({ foundry }) => {
      await foundry.faults({ at: 'transition', of: 'session', from: 'creating', to: 'failed' });
      await cold(foundry, { cold_start: '10s' });
      await foundry.advance('PT1M');

      expect(await foundry.attempts()).toEqual(['424 @10s fail']);
      expect(await foundry.runs('r')).toMatchObject([{ phase: 'failed', error_status_code: 424 }]);
      expect((await foundry.get('/openai/v1/responses')).body.data).toEqual([]);
      expect((await foundry.journal('kind=attempt'))[0]).not.toHaveProperty('sent');
    });

    test('that takes longer than ready_timeout, and fails with 424 then', async ({ foundry }) => {
      await cold(foundry, { cold_start: '20s', ready_timeout: '5s' });
      await foundry.advance('PT1M');

      expect(await foundry.attempts()).toEqual(['424 @5s fail']);
      expect((await foundry.get(SESSIONS)).body.data).toMatchObject([{ status: 'active' }]);
    });

    test('that takes longer than an attempt, and is tried again until it is there', async ({
      foundry,
    }) => {
      await cold(foundry, { cold_start: '40s', ready_timeout: '35s' });
      await foundry.advance('PT1M');

      expect(await foundry.attempts()).toEqual(['timeout @30s retry', '200 @40s complete']);
    });

    test('that is deleted while it comes up, and fails with 404', async ({ foundry }) => {
      await cold(foundry, { cold_start: '10s' });
      await foundry.advance('PT5S');
      const [{ agent_session_id: id }] = (await foundry.get(SESSIONS)).body.data;
      expect((await foundry.delete(`${SESSIONS}/${id}`)).status).toBe(204);
      await foundry.advance('PT1M');

      expect(await foundry.attempts()).toEqual(['404 @10s fail']);
    });

    test('whose agent is disabled while it comes up, and fails with 403', async ({ foundry }) => {
      await cold(foundry, { cold_start: '10s' });
      await foundry.advance('PT5S');
      await foundry.post('/agents/digest:disable');
      await foundry.advance('PT1M');

      expect(await foundry.attempts()).toEqual(['403 @10s fail']);
    });
  });

  test('an object, whose words its conversation keeps as they are echoed', async ({ foundry }) => {
    const { id } = (await foundry.post('/openai/v1/conversations', {})).body;
    const action = responses('digest', { input: { a: [1] }, conversation_id: id });
    await foundry.routine('r', routine(CUSTOM, { action }));

    await foundry.dispatch('r');
    await foundry.advance('PT1S');

    const { data } = (await foundry.get(`/openai/v1/conversations/${id}/items`)).body;
    expect(data.map(({ role, content }: Json) => [role, content[0].text])).toEqual([
      ['assistant', '{"a":[1]}'],
      ['user', '{"a":[1]}'],
    ]);
  });

  test('the payload of an event before the input of the action', async ({ foundry }) => {
    const agent = await localAgent((response) => response.end('{}'));
    await forwarding(foundry, agent.url, responses('digest', { input: 'a' }));

    await foundry.steer('POST', '/routines/r:fire', { payload: { issue: 7 } });
    await foundry.advance('PT1S');

    expect(agent.heard.map((call) => JSON.parse(call.body))).toEqual([{ input: { issue: 7 } }]);
  });

  test('the same id with every attempt', async ({ foundry }) => {
    const agent = await localAgent((response, number) => {
      response.statusCode = number < 3 ? 503 : 200;
      response.end('{"id":"resp_1"}');
    });
    await forwarding(foundry, agent.url);

    const { dispatch_id } = await foundry.dispatch('r');
    await foundry.advance('PT1M');

    const ids = agent.heard.map((call) => call.headers['x-ms-client-request-id']);
    expect(ids).toEqual([dispatch_id, dispatch_id, dispatch_id]);
    expect(await foundry.attempts()).toEqual([
      '503 @0s retry',
      '503 @1s retry',
      '200 @3s complete',
    ]);
    expect(await foundry.runs('r')).toMatchObject([{ phase: 'completed', response_id: 'resp_1' }]);
  });
});

describe('a call over a real connection', () => {
  test('that is refused is retried', async ({ foundry }) => {
    const agent = await localAgent(() => {});
    await agent.close();
    await forwarding(foundry, agent.url);

    await foundry.dispatch('r');
    await foundry.advance('PT1M');

    expect(await foundry.attempts()).toEqual([
      'connection_failed @0s retry',
      'connection_failed @1s retry',
      'connection_failed @3s fail',
    ]);
    expect(await foundry.runs('r')).toMatchObject([
      {
        error_type: 'connection_failed',
        error_message: 'The agent endpoint could not be reached: ECONNREFUSED',
      },
    ]);
  });

  test('that is reset is retried', async ({ foundry }) => {
    const agent = await localAgent((response, number) => {
      if (number === 1) response.socket?.resetAndDestroy();
      else response.end('{}');
    });
    await forwarding(foundry, agent.url);

    await foundry.dispatch('r');
    await foundry.advance('PT1M');

    expect(await foundry.attempts()).toEqual(['connection_failed @0s retry', '200 @1s complete']);
  });

  test('that breaks inside the answer is retried', async ({ foundry }) => {
    const agent = await localAgent((response, number) => {
      if (number > 1) return void response.end('{}');
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"id":', () => response.socket?.resetAndDestroy());
    });
    await forwarding(foundry, agent.url);

    await foundry.dispatch('r');
    await foundry.advance('PT1M');

    expect((await foundry.attempts()).at(-1)).toBe('200 @1s complete');
    expect(agent.heard).toHaveLength(2);
  });

  test('is not redirected', async ({ foundry }) => {
    const agent = await localAgent((response) => {
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    await forwarding(foundry, agent.url);

    await foundry.dispatch('r');
    await foundry.advance('PT1M');

    expect(await foundry.attempts()).toEqual(['307 @0s fail']);
    expect(agent.heard.map((call) => call.url)).toEqual(['/responses']);
  });

  test('pins the clock to its instant until it has returned', async ({ foundry }) => {
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await forwarding(foundry, agent.url);
    await foundry.routine('alongside', routine(EVERY_5_MINUTES));
    await foundry.dispatch('r');

    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT1M' },
    });
    await agent.arrival(1);
    const clock = await foundry.clock();
    open[0].end('{}');
    const { body } = await advance;

    expect(clock).toMatchObject({
      now: '2026-06-01T00:00:00.000Z',
      advancing: true,
      heldBy: [{ kind: 'call' }],
    });
    expect(body).toMatchObject({ now: '2026-06-01T00:01:00.000Z', reached: true });
    expect(await foundry.attempts()).toEqual(['200 @0s complete']);
  });

  test('ends with the others of its instant, in the order in which they began', async ({
    foundry,
  }) => {
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await forwarding(foundry, agent.url);
    for (const name of ['a', 'b', 'c']) {
      await foundry.routine(name, routine());
      await foundry.dispatch(name);
    }

    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT1M' },
    });
    await agent.arrival(3);
    for (const response of open.toReversed()) response.end('{}');
    await advance;

    const lines = await foundry.journal('kind=attempt');
    expect(lines.map((line) => `${line.routine} ${line.at}`)).toEqual([
      'a 2026-06-01T00:00:00.000Z',
      'b 2026-06-01T00:00:00.000Z',
      'c 2026-06-01T00:00:00.000Z',
    ]);
  });

  test('that hangs ends at its start and 30 s, when its real ceiling has passed', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host });
    await foundry.agent('digest');
    const agent = await localAgent((response, number) => {
      if (number === 3) response.end('{}');
    });
    await forwarding(foundry, agent.url);
    await foundry.dispatch('r');

    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT5M' },
    });
    for (const number of [1, 2]) {
      await agent.arrival(number);
      host.tick(30_000);
    }
    await advance;

    expect(await foundry.attempts()).toEqual([
      'timeout @30s retry',
      'timeout @61s retry',
      '200 @63s complete',
    ]);
  });

  test('of a model that drips ends when its time is up', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host, settings: { attempts_max: 1 } });
    await foundry.agent('digest');
    let drip = () => {};
    const agent = await localAgent((response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      drip = () => void response.write(' ');
      drip();
    });
    await foundry.reply('digest', { kind: 'model', url: agent.url, model: 'm' });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT5M' },
    });
    await agent.arrival(1);
    for (let second = 0; second < 30; second += 1) {
      drip();
      await sleep(10);
      host.tick(1_000);
    }
    await advance;

    expect(await foundry.attempts()).toEqual(['timeout @30s fail']);
  });

  test('that answers without end is given up', async () => {
    const foundry = openFoundry({ settings: { attempts_max: 1 } });
    await foundry.agent('digest');
    const piece = Buffer.alloc(1_048_576, ' ');
    const agent = await localAgent((response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      for (let megabyte = 0; megabyte < 20; megabyte += 1) response.write(piece);
    });
    await forwarding(foundry, agent.url);
    await foundry.dispatch('r');
    await foundry.advance('PT1M');

    expect(await foundry.runs('r')).toMatchObject([
      { phase: 'failed', error_message: expect.stringContaining('more than 16777216 bytes') },
    ]);
    const path = '/agents/digest/endpoint/protocols/openai/responses';
    const { status, body } = await foundry.post(path, { input: 'x' });
    expect([status, body.error.message]).toEqual([
      424,
      expect.stringContaining('its answer has more than 16777216 bytes'),
    ]);
  });

  test('that was open when the emulator ended counts, and is retried after a restart', async () => {
    const dataDir = scratchFolder();
    const agent = await localAgent((response, number) => {
      if (number > 1) response.end('{}');
    });
    const before = openFoundry({ dataDir });
    await before.agent('digest');
    await forwarding(before, agent.url);
    await before.dispatch('r');
    before.inFlight('POST', before.control('/clock:advance'), {
      body: { by: 'PT5M' },
    });
    await agent.arrival(1);

    await before.emulator.close();
    const after = openFoundry({ dataDir });
    await after.advance('PT5M');

    expect(await after.attempts()).toEqual(['interrupted @0s retry', '200 @1s complete']);
    expect(await after.runs('r')).toMatchObject([{ phase: 'completed' }]);
  });
});

describe('workers', () => {
  test('take no more deliveries at once than worker_concurrency, and queueing costs no attempt', async ({
    foundry,
  }) => {
    await foundry.set({ settings: { worker_concurrency: 2 } });
    await foundry.faults({ agent: 'digest', fault: { delay: '29s' } });
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await foundry.routine(name, routine());
      await foundry.dispatch(name);
    }

    await foundry.advance('PT10M');

    const lines = await foundry.journal('kind=attempt');
    const told = lines.map((line) => `${line.routine} ${line.attempt} ${line.at.slice(14, 19)}`);
    expect(told).toEqual(['a 1 00:29', 'b 1 00:29', 'c 1 00:58', 'd 1 00:58', 'e 1 01:27']);
  });

  test('are free while a delivery waits for its next attempt', async ({ foundry }) => {
    await foundry.set({ settings: { worker_concurrency: 1 } });
    await foundry.faults({ agent: 'digest', times: 1, fault: 503 });
    for (const name of ['a', 'b']) {
      await foundry.routine(name, routine());
      await foundry.dispatch(name);
    }

    await foundry.advance('PT10M');

    const lines = await foundry.journal('kind=attempt');
    expect(lines.map((line) => `${line.routine} ${line.status} ${line.at.slice(17, 19)}`)).toEqual([
      'a 503 00',
      'b 200 00',
      'a 200 01',
    ]);
  });

  test.for([
    [
      'its routine is deleted',
      { on_delete: 'cancel' },
      (foundry: Foundry) => foundry.delete('/routines/a'),
    ],
    [
      'its routine is disabled',
      { on_disable: 'cancel' },
      (foundry: Foundry) => foundry.post('/routines/a:disable'),
    ],
    [
      'its routine is replaced',
      { on_replace: 'cancel' },
      (foundry: Foundry) => foundry.put('/routines/a', routine()),
    ],
    [
      'there are more workers',
      {},
      (foundry: Foundry) => foundry.set({ settings: { worker_concurrency: 2 } }),
    ],
    [
      'their number is limited no longer',
      {},
      (foundry: Foundry) => foundry.set({ settings: { worker_concurrency: 0 } }),
    ],
  ] as [string, object, (foundry: Foundry) => Promise<unknown>][])(
    'take the next delivery when %s',
    async ([, switches, change], { foundry }) => {
      await foundry.set({ settings: { worker_concurrency: 1 }, switches });
      await foundry.faults({ agent: 'digest', times: 1, fault: { kind: 'gate', name: 'g' } });
      for (const name of ['a', 'b']) {
        await foundry.routine(name, routine());
        await foundry.dispatch(name);
      }
      await foundry.advance('PT5S');

      await change(foundry);
      await foundry.advance('PT5S');

      expect(await foundry.runs('b')).toMatchObject([{ phase: 'completed' }]);
    },
  );
});

/** What a routine's unfinished delivery is doing when something happens to the routine. */
const STATES: Record<string, (foundry: Foundry) => Promise<void>> = {
  async queued(foundry) {
    await foundry.set({ settings: { queue_delay: '60s' } });
    await foundry.dispatch('r');
    await foundry.advance('PT10S');
  },
  async 'between attempts'(foundry) {
    await foundry.set({ settings: { first_wait: '60s', wait_max: '60s' } });
    await foundry.faults({ agent: '*', attempts: [503] });
    await foundry.dispatch('r');
    await foundry.advance('PT10S');
  },
  async 'in flight'(foundry) {
    await foundry.faults({ agent: '*', attempts: [{ kind: 'gate', name: 'g' }] });
    await foundry.dispatch('r');
    await foundry.advance('PT10S');
  },
};

const ON: [string, string, (foundry: Foundry) => Promise<unknown>][] = [
  ['on_delete', 'deleted', (foundry) => foundry.delete('/routines/r')],
  ['on_disable', 'disabled', (foundry) => foundry.post('/routines/r:disable')],
  [
    'on_disable',
    'disabled',
    (foundry) => foundry.put('/routines/r', { ...routine(), enabled: false }),
  ],
  ['on_replace', 'replaced', (foundry) => foundry.put('/routines/r', routine())],
];

describe.each(Object.keys(STATES))('a delivery that is %s', (state) => {
  const bring = STATES[state] as (foundry: Foundry) => Promise<void>;

  test.for(ON)(
    'is finished, whatever %s may say, when its routine is %s',
    async ([, , change], { foundry }) => {
      await foundry.routine('r', routine());
      await bring(foundry);

      await change(foundry);
      await foundry.release('g');
      await foundry.advance('PT5M');

      expect(await foundry.runs('r')).toMatchObject([{ phase: 'completed' }]);
    },
  );

  test.for(ON)(
    'is cancelled by %s when its routine is %s',
    async ([name, word, change], { foundry }) => {
      await foundry.set({ switches: { [name]: 'cancel' } });
      await foundry.routine('r', routine());
      await bring(foundry);
      const before = await foundry.attempts();

      await change(foundry);
      const cancelled = await foundry.runs('r');
      await foundry.release('g');
      await foundry.advance('PT5M');

      expect(cancelled).toMatchObject([
        {
          phase: 'failed',
          status: 'FAILED',
          ended_at: '2026-06-01T00:00:10Z',
          error_type: 'cancelled',
          error_message: `The routine was ${word} before its agent had answered.`,
        },
      ]);
      expect(await foundry.runs('r')).toEqual(cancelled);
      expect(await foundry.attempts()).toEqual(before);
      expect(await foundry.journal('kind=cancelled')).toMatchObject([{ routine: 'r', why: word }]);
      expect((await foundry.clock()).heldBy).toEqual([]);
    },
  );

  test.for([
    ['old_action', 'old'],
    ['new_action', state === 'in flight' ? 'old' : 'new'],
  ] as const)('goes with %s to the %s agent', async ([value, heardBy], { foundry }) => {
    const heard: string[] = [];
    for (const name of ['old', 'new']) {
      const agent = await localAgent((response) => {
        heard.push(name);
        response.end('{}');
      });
      await foundry.agent(name);
      await foundry.reply(name, { kind: 'forward', url: agent.url });
    }
    await foundry.set({ switches: { on_replace: value } });
    await foundry.routine('r', routine(CUSTOM, { action: responses('old') }));
    await bring(foundry);

    await foundry.routine('r', routine(CUSTOM, { action: responses('new') }));
    await foundry.release('g');
    await foundry.advance('PT5M');

    expect(heard).toEqual([heardBy]);
  });
});

describe('a delivery that goes to a new action', () => {
  test.for([
    [
      'of its dispatch',
      (foundry: Foundry) =>
        foundry.dispatch('r', { payload: { type: 'invoke_agent_responses_api', input: 'mine' } }),
      'mine',
    ],
    [
      'of its event',
      (foundry: Foundry) => foundry.steer('POST', '/routines/r:fire', { payload: { issue: 7 } }),
      { issue: 7 },
    ],
    ['of the new action', (foundry: Foundry) => foundry.dispatch('r'), 'new'],
  ] as [string, (foundry: Foundry) => Promise<unknown>, unknown][])(
    'carries the input %s',
    async ([, begin, input], { foundry }) => {
      const agent = await localAgent((response) => response.end('{}'));
      await foundry.set({
        switches: { on_replace: 'new_action' },
        settings: { queue_delay: '10s' },
      });
      await forwarding(foundry, agent.url, responses('digest', { input: 'old' }));
      await begin(foundry);

      await foundry.routine(
        'r',
        routine(CUSTOM, { action: responses('digest', { input: 'new' }) }),
      );
      await foundry.advance('PT1M');

      expect(agent.heard.map((call) => JSON.parse(call.body))).toEqual([{ input }]);
    },
  );
});

describe('deliveries that overlap', () => {
  test('wait for each other also where workers are few', async ({ foundry }) => {
    await foundry.set({ settings: { worker_concurrency: 2 }, switches: { overlap: 'queue' } });
    await foundry.faults(
      { agent: 'digest', times: 1, fault: { delay: '10s' } },
      { agent: 'digest', times: 1, fault: { delay: '2s' } },
    );
    for (const name of ['a', 'b']) await foundry.routine(name, routine());
    for (const name of ['a', 'a', 'b']) await foundry.dispatch(name);

    await foundry.advance('PT5S');
    const during = (await foundry.runs('a')).map((run) => run.phase);
    await foundry.advance('PT1M');

    expect(during).toEqual(['dispatching', 'queued']);
    expect(await foundry.attempts('routine=a')).toEqual(['200 @10s complete', '200 @10s complete']);
  });

  test('go on when they may overlap again', async ({ foundry }) => {
    await foundry.set({ switches: { overlap: 'queue' } });
    await foundry.faults({ agent: 'digest', times: 1, fault: { delay: '10s' } });
    await foundry.routine('r', routine());
    for (let n = 0; n < 2; n += 1) await foundry.dispatch('r');
    await foundry.advance('PT1S');

    await foundry.set({ switches: { overlap: 'allow' } });
    await foundry.advance('PT1M');

    expect((await foundry.runs('r')).map((run) => run.phase)).toEqual(['completed', 'completed']);
  });
});
