/** @azure/ai-projects as npm has it, four versions, signed in by DefaultAzureCredential. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { DefaultAzureCredential } from '@azure/identity';
import { beforeAll, describe, expect, test } from 'vitest';
import { AGENT, type Entry, makeWorld, NOW, type World } from './world.ts';

interface Version {
  version: string;
  /** The Foundry-Features header that it sends of its own accord. */
  features: string | undefined;
  /** Follows `next_link`. */
  pages: boolean;
  /** Decodes `trigger_event_payload`. */
  events: boolean;
}

const VERSIONS: Version[] = [
  { version: '2.2.0', features: undefined, pages: false, events: false },
  { version: '2.3.1', features: 'Routines=V1Preview', pages: false, events: true },
  { version: '2.6.0', features: 'Routines=V2Preview', pages: true, events: true },
  { version: '2.10.0', features: 'Routines=V2Preview', pages: true, events: true },
];

type Fields = Record<string, unknown>;

interface Listed extends AsyncIterable<Fields> {
  byPage(): AsyncIterable<Fields[]>;
}

/** What the four versions have in common. */
interface Routines {
  createOrUpdate(name: string, body: Fields): Promise<Fields>;
  get(name: string): Promise<Fields>;
  list(options?: Fields): Listed;
  delete(name: string): Promise<void>;
  enable(name: string): Promise<Fields>;
  disable(name: string): Promise<Fields>;
  dispatch(name: string, body?: Fields): Promise<Fields>;
  listRuns(name: string, options?: Fields): Listed;
}

interface Client {
  beta: { routines: Routines };
}

type ClientClass = new (endpoint: string, credential: unknown, options?: Fields) => Client;

const require = createRequire(import.meta.url);

const RESPONSES = { type: 'invoke_agent_responses_api', agent_name: AGENT };
const INVOCATIONS = { type: 'invoke_agent_invocations_api', agent_name: AGENT };
const WEEKDAYS = {
  'weekday-morning': { type: 'schedule', cron_expression: '0 7 * * 1-5', time_zone: 'UTC' },
};
const CUSTOM = {
  hook: {
    type: 'custom',
    provider: 'sample-provider',
    event_name: 'opened',
    parameters: { x: [1] },
  },
};
const start = new Date(NOW);
const after = (seconds: number) => new Date(start.getTime() + seconds * 1_000);

describe.each(VERSIONS)('@azure/ai-projects $version', ({ version, features, pages, events }) => {
  let AIProjectClient: ClientClass;

  beforeAll(async () => {
    ({ AIProjectClient } = await import(`ai-projects-${version}`));
  });

  async function make(name: string, options: Fields = {}, clientOptions: Fields = {}) {
    const world = await makeWorld(`js-${version.replaceAll('.', '-')}-${name}`, options);
    return { world, routines: clientOf(world, new DefaultAzureCredential(), clientOptions) };
  }

  function clientOf(world: World, credential: unknown, options: Fields = {}): Routines {
    return new AIProjectClient(world.endpoint, credential, options).beta.routines;
  }

  const sentBy = (world: World): Promise<Entry[]> =>
    world.requestsOf(new RegExp(`azsdk-js-ai-projects/${version.replaceAll('.', '\\.')} `));

  test('is the published package of this version', () => {
    const manifest = JSON.parse(
      readFileSync(require.resolve(`ai-projects-${version}/package.json`), 'utf8'),
    );
    expect(manifest).toMatchObject({ name: '@azure/ai-projects', version });
  });

  test('creates, reads, disables, enables, replaces and deletes a routine', async () => {
    const { world, routines } = await make('crud');
    const made = {
      name: 'daily-summary',
      description: 'Runs a daily summary agent on weekday mornings.',
      enabled: true,
      triggers: WEEKDAYS,
      action: {
        ...RESPONSES,
        input: { city: 'Oslo', days: [1, 2.5, null] },
        conversation: 'conv_1',
      },
      created_at: start,
      updated_at: start,
    };
    const { name, created_at: _created, updated_at: _updated, ...body } = made;

    expect(await routines.createOrUpdate(name, body)).toEqual(made);
    expect(await routines.get(name)).toEqual(made);
    await world.advance('1h');
    expect(await routines.disable(name)).toEqual({
      ...made,
      enabled: false,
      updated_at: after(3_600),
    });
    await world.advance('1s');
    expect(await routines.enable(name)).toEqual({ ...made, updated_at: after(3_601) });
    await world.advance('1s');
    const replaced = { triggers: WEEKDAYS, action: { ...INVOCATIONS, session_id: 's-1' } };
    expect(await routines.createOrUpdate(name, replaced)).toEqual({
      ...replaced,
      name,
      description: '',
      enabled: true,
      created_at: start,
      updated_at: after(3_602),
    });
    expect(await all(routines.list())).toEqual([await routines.get(name)]);

    expect(await routines.delete(name)).toBeUndefined();
    expect(await all(routines.list())).toEqual([]);
    expect(await routines.delete(name)).toBeUndefined();
  });

  test('writes and reads the instant of a timer as a Date', async () => {
    const { world, routines } = await make('timer');
    const at = new Date('2026-09-01T09:00:00Z');
    const made = await routines.createOrUpdate('once', {
      triggers: { t: { type: 'timer', at } },
      action: RESPONSES,
    });
    expect(made.triggers).toEqual({ t: { type: 'timer', at } });
    expect((await routines.get('once')).triggers).toEqual({ t: { type: 'timer', at } });
    const [put] = await sentBy(world);
    expect(put?.body).toMatchObject({
      triggers: { t: { type: 'timer', at: '2026-09-01T09:00:00.000Z' } },
    });
  });

  test('refuses the string of the page as the instant of a timer by itself', async () => {
    const { world, routines } = await make('timer-text');
    const body = {
      triggers: { t: { type: 'timer', at: '2026-09-01T09:00:00Z' } },
      action: RESPONSES,
    };
    await expect(routines.createOrUpdate('once', body)).rejects.toThrow(
      'toISOString is not a function',
    );
    expect(await sentBy(world)).toEqual([]);
  });

  test('reads event triggers back as it wrote them', async () => {
    const { routines } = await make('events');
    const issue = {
      type: 'github_issue',
      connection_id: 'c',
      owner: 'o',
      repository: 'r',
      issue_event: 'opened',
    };
    for (const triggers of [CUSTOM, { issue }]) {
      expect(
        (await routines.createOrUpdate('e', { triggers, action: RESPONSES })).triggers,
      ).toEqual(triggers);
    }
  });

  test('reaches a routine whose name holds separators and spaces', async () => {
    const { routines } = await make('names');
    const name = 'a:b c/d:enable%é';
    const made = await routines.createOrUpdate(name, { triggers: WEEKDAYS, action: RESPONSES });
    expect(made.name).toBe(name);
    expect(await routines.disable(name)).toEqual({ ...made, enabled: false });
    expect(await routines.enable(name)).toEqual(made);
    expect(await routines.get(name)).toEqual(made);
    expect(await routines.dispatch(name)).toMatchObject({ dispatch_id: expect.any(String) });
    expect(await all(routines.listRuns(name))).toHaveLength(1);
    await routines.delete(name);
    await expect(routines.get(name)).rejects.toMatchObject({ statusCode: 404 });
  });

  test('dispatches, and sees the run end when it asks again', async () => {
    const { world, routines } = await make('dispatch');
    await world.arm({ agent: AGENT, attempts: [503, 'ok'] });
    const conversation = (await world.api('POST', '/openai/v1/conversations', { body: {} })).body
      .id;
    await routines.createOrUpdate('r', {
      triggers: WEEKDAYS,
      action: { ...RESPONSES, conversation },
    });
    const payload = { type: RESPONSES.type, input: 'Run the daily summary for testing.' };
    const dispatched = await routines.dispatch('r', { payload });
    expect(dispatched).toEqual({
      dispatch_id: expect.stringMatching(/^disp-/),
      action_correlation_id: expect.any(String),
      task_id: expect.stringMatching(/^task-/),
    });

    const run = {
      id: expect.stringMatching(/^run-/),
      attempt_source: 'queued_dispatch',
      action_type: RESPONSES.type,
      agent_id: AGENT,
      conversation_id: conversation,
      triggered_at: start,
      ...dispatched,
    };
    const first = await all(routines.listRuns('r'));
    expect(first).toEqual([{ ...run, status: 'RUNNING', phase: 'queued' }]);
    let runs = first;
    while (runs[0]?.phase === 'queued' || runs[0]?.phase === 'dispatching')
      runs = await all(routines.listRuns('r'));
    expect(runs).toEqual([
      {
        ...run,
        id: first[0]?.id,
        status: 'FINISHED',
        phase: 'completed',
        started_at: start,
        ended_at: after(1),
        response_id: dispatched.action_correlation_id,
      },
    ]);
  });

  test('reads of a failed run why it failed', async () => {
    const { world, routines } = await make('failed');
    await world.arm({ agent: AGENT, fault: 400 });
    await routines.createOrUpdate('r', {
      triggers: WEEKDAYS,
      action: { ...INVOCATIONS, session_id: 's-1' },
    });
    await routines.dispatch('r');
    await world.control('POST', '/clock:advance', { until: 'idle' });
    expect(await all(routines.listRuns('r'))).toMatchObject([
      {
        status: 'FAILED',
        phase: 'failed',
        action_type: INVOCATIONS.type,
        session_id: 's-1',
        started_at: start,
        ended_at: start,
        error_status_code: 400,
        error_type: expect.any(String),
        error_message: expect.stringContaining('400'),
      },
    ]);
  });

  test('reads of a run what fired it', async () => {
    const { world, routines } = await make('fired');
    const at = after(1_800);
    await routines.createOrUpdate('t', {
      triggers: { once: { type: 'timer', at } },
      action: RESPONSES,
    });
    await routines.createOrUpdate('s', { triggers: WEEKDAYS, action: RESPONSES });
    await routines.createOrUpdate('e', { triggers: CUSTOM, action: RESPONSES });
    await world.control('POST', '/routines/e:fire', { payload: { issue: { number: 7 } } });
    await world.advance('8h');

    const common = { status: 'FINISHED', phase: 'completed' };
    const [timed] = await all(routines.listRuns('t'));
    const timer = { trigger_type: 'timer', trigger_name: 'once', attempt_source: 'timer_delivery' };
    expect(timed).toMatchObject({
      ...common,
      ...timer,
      triggered_at: at,
      scheduled_fire_at: at,
      started_at: at,
    });
    const [scheduled] = await all(routines.listRuns('s'));
    const seven = after(7 * 3_600);
    const schedule = {
      trigger_type: 'schedule',
      trigger_name: 'weekday-morning',
      attempt_source: 'schedule_delivery',
    };
    expect(scheduled).toMatchObject({
      ...common,
      ...schedule,
      triggered_at: seven,
      scheduled_fire_at: seven,
    });
    const [happened] = await all(routines.listRuns('e'));
    const event = { trigger_type: 'custom', trigger_name: 'hook', attempt_source: 'event_fire' };
    expect(happened).toMatchObject({
      ...common,
      ...event,
      triggered_at: start,
      scheduled_fire_at: undefined,
    });
    expect(happened?.trigger_event_payload).toEqual(events ? { issue: { number: 7 } } : undefined);
  });

  test(
    pages
      ? 'pages through three pages'
      : 'gets the first page whole, and never asks for the second',
    async () => {
      const { world, routines } = await make('pages');
      const names = ['r1', 'r2', 'r3', 'r4', 'r5'];
      for (const name of names)
        await routines.createOrUpdate(name, { triggers: WEEKDAYS, action: RESPONSES });
      for (const _ of names) await routines.dispatch('r1');
      await world.control('POST', '/clock:advance', { until: 'idle' });
      const ids = (await all(routines.listRuns('r1'))).map((run) => run.id);

      expect(ids).toHaveLength(5);
      expect((await all(routines.list())).map((routine) => routine.name)).toEqual(names);
      for (const order of ['asc', 'desc']) {
        const ordered = <T>(list: T[]) => (order === 'asc' ? list : list.toReversed());
        const threePages = <T>(list: T[]) => {
          const [a, b, c, d, e] = ordered(list);
          return pages ? [[a, b], [c, d], [e]] : [[a, b]];
        };
        expect(await pagesOf(routines.list({ limit: 2, order }), 'name')).toEqual(
          threePages(names),
        );
        expect(await pagesOf(routines.listRuns('r1', { limit: 2, order }), 'id')).toEqual(
          threePages(ids),
        );
      }
      const finished = { limit: 2, filter: "attributes.status = 'FINISHED'" };
      expect(await all(routines.listRuns('r1', finished))).toHaveLength(pages ? 5 : 2);
    },
  );

  test('throws what was refused, with its status, code and parameter', async () => {
    const { routines } = await make('refused', { switches: { dispatch_when_disabled: 'refuse' } });
    const often = { w: { type: 'schedule', cron_expression: '*/4 * * * *', time_zone: 'UTC' } };
    const tooOften = routines.createOrUpdate('r', { triggers: often, action: RESPONSES });
    await expect(tooOften).rejects.toMatchObject({
      name: 'RestError',
      statusCode: 400,
      code: 'invalid_request',
      message: expect.stringContaining('*/4 * * * *'),
      details: {
        error: {
          code: 'invalid_request',
          param: 'triggers.w.cron_expression',
          type: 'invalid_request_error',
        },
      },
    });

    const unknown = [
      () => routines.get('none'),
      () => routines.enable('none'),
      () => routines.disable('none'),
      () => routines.dispatch('none'),
    ];
    for (const ask of unknown) {
      await expect(ask()).rejects.toMatchObject({
        name: 'RestError',
        statusCode: 404,
        code: 'not_found',
        message:
          "There is no routine 'none' in project 'js-" +
          version.replaceAll('.', '-') +
          "-refused'.",
        details: { error: { code: 'not_found' } },
      });
    }
    await expect(all(routines.listRuns('none'))).rejects.toMatchObject({
      statusCode: 404,
      code: 'not_found',
    });
    const sideways = all(routines.list({ order: 'sideways' }));
    await expect(sideways).rejects.toMatchObject({ statusCode: 400, code: 'invalid_request' });

    await routines.createOrUpdate('r', { enabled: false, triggers: WEEKDAYS, action: RESPONSES });
    await expect(routines.dispatch('r')).rejects.toMatchObject({
      name: 'RestError',
      statusCode: 409,
      code: 'routine_disabled',
      message: expect.stringContaining("'r' is disabled"),
    });
  });

  test('throws 401 without a token, and with one for somebody else', async () => {
    const { world } = await make('signed-out', { switches: { token_audience: 'checked' } });
    const claims = Buffer.from(
      JSON.stringify({ aud: 'https://management.azure.com', sub: 'me' }),
    ).toString('base64url');
    for (const token of ['', `e30.${claims}.`]) {
      const credential = {
        getToken: async () => ({ token, expiresOnTimestamp: Date.parse('2100-01-01T00:00:00Z') }),
      };
      await expect(clientOf(world, credential).get('r')).rejects.toMatchObject({
        name: 'RestError',
        statusCode: 401,
        code: 'Unauthorized',
        message: expect.stringContaining('audience is incorrect (https://ai.azure.com)'),
      });
    }
    const ours = clientOf(world, new DefaultAzureCredential());
    await expect(ours.get('r')).rejects.toMatchObject({ statusCode: 404 });
  });

  test.each([429, 503])('asks again after %i, as the answer says', async (status) => {
    const { world, routines } = await make(`again-${status}`);
    const fault = { status, headers: { 'Retry-After': '0' } };
    await world.arm(
      { operation: 'createOrUpdateRoutine', times: 2, fault },
      { operation: 'dispatchRoutineAsync', times: 3, fault },
      { operation: 'getRoutine', times: 4, fault },
    );
    const made = await routines.createOrUpdate('r', { triggers: WEEKDAYS, action: RESPONSES });
    expect(made).toMatchObject({ name: 'r', created_at: start });
    await routines.dispatch('r');
    expect(await all(routines.listRuns('r'))).toHaveLength(1);
    await expect(routines.get('r')).rejects.toMatchObject({
      name: 'RestError',
      statusCode: status,
      code: 'injected_fault',
      details: { error: { code: 'injected_fault', type: 'injected_fault' } },
    });
    expect(await world.timesFired()).toEqual([2, 3, 4]);
  });

  test('throws 500 and a lost connection when it may not ask again', async () => {
    const { world, routines } = await make('lost', {}, { retryOptions: { maxRetries: 0 } });
    await world.arm(
      { operation: 'getRoutine', fault: 500 },
      { operation: 'listRoutines', fault: 502 },
      { operation: 'enableRoutine', fault: 'disconnect' },
      { operation: 'dispatchRoutineAsync', fault: 'lose_response' },
    );
    await routines.createOrUpdate('r', { triggers: WEEKDAYS, action: RESPONSES });
    await expect(routines.get('r')).rejects.toMatchObject({
      statusCode: 500,
      code: 'injected_fault',
    });
    await expect(all(routines.list())).rejects.toMatchObject({
      statusCode: 502,
      code: 'injected_fault',
    });
    const cut = { name: 'RestError', code: 'ECONNRESET', statusCode: undefined };
    await expect(routines.enable('r')).rejects.toMatchObject(cut);
    await expect(routines.dispatch('r')).rejects.toMatchObject(cut);
    expect(await all(routines.listRuns('r'))).toHaveLength(1);
  });

  test('repeats a dispatch whose answer was lost, and so makes two runs', async () => {
    const { world, routines } = await make('twice', {}, { retryOptions: { retryDelayInMs: 1 } });
    await world.arm({ operation: 'dispatchRoutineAsync', times: 1, fault: 'lose_response' });
    await routines.createOrUpdate('r', { triggers: WEEKDAYS, action: RESPONSES });
    const dispatched = await routines.dispatch('r');
    const runs = await all(routines.listRuns('r'));
    expect(runs.map((run) => run.dispatch_id)).toEqual([
      expect.any(String),
      dispatched.dispatch_id,
    ]);
    const ids = (await sentBy(world)).filter(
      ({ operation }) => operation === 'dispatchRoutineAsync',
    );
    expect(new Set(ids.map((entry) => entry.client_request_id)).size).toBe(1);
  });

  test('is in the journal with TLS, our token and its own user agent', async () => {
    const { world, routines } = await make('journal');
    await routines.createOrUpdate('r', { triggers: WEEKDAYS, action: RESPONSES });
    await routines.disable('r');
    await routines.enable('r');
    await routines.dispatch('r');
    await routines.delete('r');
    const sent = await sentBy(world);
    const operations = [
      'createOrUpdateRoutine',
      'disableRoutine',
      'enableRoutine',
      'dispatchRoutineAsync',
      'deleteRoutine',
    ];
    expect(sent.map((entry) => entry.operation)).toEqual(operations);
    for (const entry of sent) {
      expect(entry).toMatchObject({
        tls: true,
        principal: 'foundrite',
        query: { 'api-version': 'v1' },
      });
      expect(entry.client_request_id).toMatch(/^[0-9a-f-]{36}$/);
      expect(entry.headers?.['foundry-features']).toBe(features);
    }
    expect(sent.map((entry) => entry.body)).toEqual([
      { triggers: WEEKDAYS, action: RESPONSES },
      undefined,
      undefined,
      {},
      undefined,
    ]);
  });
});

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of list) found.push(item);
  return found;
}

async function pagesOf(list: Listed, field: string): Promise<unknown[][]> {
  return (await all(list.byPage())).map((page) => page.map((item) => item[field]));
}
