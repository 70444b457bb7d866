/**
 * What .NET and azd send and read, played request by request: contract/routines.md 5.2, 6 and 10.1. Neither can be installed
 * beside the others; their readers are written down here as strictly as they are.
 */
import { describe, expect, test } from 'vitest';
import { AGENT, type Answer, makeWorld, type SendOptions, type World } from './world.ts';

const NET = 'azsdk-net-AI.Projects/2.1.0-beta.1 (.NET 9.0.8; Debian GNU/Linux 12 (bookworm))';
const AZD = 'azsdk-go-azure-ai-routines/v0.1.0 (go1.24.1; linux) azd-ext-azure-ai-routines/0.1.0';

const NAMES = ['r1', 'r2', 'r3', 'r4', 'r5'];
const START = 1_780_272_000;
const ACTION = { type: 'invoke_agent_responses_api', agent_name: AGENT };
const WEEKDAYS = {
  default: { type: 'schedule', cron_expression: '0 7 * * 1-5', time_zone: 'UTC' },
};

type Call = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer>;
// What a reader makes of a body; each test states what it expects of it.
// biome-ignore lint/suspicious/noExplicitAny: answers are compared, not typed.
type Item = Record<string, any>;

/** Both add `api-version` to every address themselves. */
function caller(world: World, userAgent: string): Call {
  return (method, path, body, headers) => {
    const options: SendOptions = { body, headers: { ...headers, 'user-agent': userAgent } };
    return world.api(method, `${path}${path.includes('?') ? '&' : '?'}api-version=v1`, options);
  };
}

async function five(world: World, call: Call): Promise<string[]> {
  for (const name of NAMES)
    await call('PUT', `/routines/${name}`, { triggers: WEEKDAYS, action: ACTION });
  for (const _ of NAMES) await call('POST', '/routines/r1:dispatch_async', {});
  await world.control('POST', '/clock:advance', { until: 'idle' });
  const { body } = await world.api('GET', '/routines/r1/runs?limit=100');
  expect(body.data).toHaveLength(5);
  return body.data.map(({ id }: Item) => id);
}

/** `JsonElement.GetInt64`: a number without a fraction, or an exception. */
function getInt64(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new Error(`GetInt64 throws on ${JSON.stringify(value)}`);
}

/** `JsonElement.GetString` of a field that the reader then uses. */
function getString(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Error(`GetString throws on ${JSON.stringify(value)}`);
}

function netRoutine(item: Item) {
  const { name, description, enabled, triggers, action, created_at, updated_at } = item;
  if (typeof enabled !== 'boolean')
    throw new Error(`GetBoolean throws on ${JSON.stringify(enabled)}`);
  const dates = { created_at: getInt64(created_at), updated_at: getInt64(updated_at) };
  return { name: getString(name), description, enabled, triggers, action, ...dates };
}

const NET_INSTANTS = ['triggered_at', 'scheduled_fire_at', 'started_at', 'ended_at'];

function netRun(item: Item) {
  const instants = NET_INSTANTS.filter((field) => field in item).map((field) => [
    field,
    getInt64(item[field]),
  ]);
  return {
    ...item,
    id: getString(item.id),
    status: getString(item.status),
    ...Object.fromEntries(instants),
  } as Item;
}

type NetPage = (page: Item) => string | undefined;

/** The three readers that .NET had: the shipped one, the generated one before it, and the one that follows links. */
const NET_PAGES: Record<string, NetPage> = {
  'has_more and last_id': (page) =>
    page.has_more ? `after=${getString(page.last_id)}` : undefined,
  'last_id until there is none': (page) => (page.last_id ? `after=${page.last_id}` : undefined),
  next_link: (page) => page.next_link,
};

describe('.NET, played', () => {
  const make = async (name: string, options = {}) => {
    const world = await makeWorld(`net-${name}`, options);
    return { world, call: caller(world, NET) };
  };

  test('creates, reads, disables, enables and deletes a routine', async () => {
    const { call } = await make('crud');
    const body = {
      description: 'A routine that is only dispatched.',
      enabled: true,
      triggers: {
        sample: {
          type: 'custom',
          provider: 'sample-provider',
          event_name: 'sample-event',
          parameters: {},
        },
      },
      action: { ...ACTION, input: 'Hello' },
    };
    const made = await call('PUT', '/routines/sample', body, {
      'foundry-features': 'Routines=V1Preview',
    });
    expect(made.status).toBe(200);
    const routine = netRoutine(made.body);
    expect(routine).toEqual({ ...body, name: 'sample', created_at: START, updated_at: START });
    for (const [verb, enabled] of [
      ['disable', false],
      ['enable', true],
    ] as const) {
      const changed = await call('POST', `/routines/sample:${verb}`);
      expect(changed.status).toBe(200);
      expect(netRoutine(changed.body)).toEqual({ ...routine, enabled });
    }
    expect(netRoutine((await call('GET', '/routines/sample')).body)).toEqual(routine);
    const deleted = await call('DELETE', '/routines/sample');
    expect([deleted.status, deleted.body]).toEqual([204, undefined]);
    const gone = await call('GET', '/routines/sample');
    expect(gone.status).toBe(404);
    expect(gone.body).toEqual({
      error: expect.objectContaining({ code: 'not_found', message: expect.any(String) }),
    });
  });

  test('writes the instant of a timer with seven digits, or in seconds', async () => {
    const { world, call } = await make('timer');
    for (const at of ['2026-06-15T19:00:24.0000000+00:00', 1_781_550_024]) {
      const made = await call('PUT', '/routines/t', {
        triggers: { t: { type: 'timer', at } },
        action: ACTION,
      });
      expect(made.status).toBe(200);
      const { fired } = (
        await world.control('POST', '/clock:advance', { to: '2026-06-15T19:00:24Z' })
      ).body;
      expect(fired).toMatchObject([{ routine: 't', at: '2026-06-15T19:00:24.000Z' }]);
      await world.control('POST', ':reset', {});
      await world.api('POST', `/agents/${AGENT}/versions`, {
        body: { definition: { kind: 'hosted', cpu: '1', memory: '2Gi', image: 'i' } },
      });
    }
  });

  test('dispatches, and finds the three ids and the run', async () => {
    const { world, call } = await make('dispatch');
    await call('PUT', '/routines/r', { triggers: WEEKDAYS, action: ACTION });
    const { status, body } = await call('POST', '/routines/r:dispatch_async', {
      payload: { type: ACTION.type, input: 'Hello' },
    });
    expect(status).toBe(200);
    for (const id of ['dispatch_id', 'action_correlation_id', 'task_id'])
      expect(getString(body[id])).not.toBe('');

    const queued = netRun((await call('GET', '/routines/r/runs')).body.data[0]);
    expect(queued).toMatchObject({
      phase: 'queued',
      status: 'RUNNING',
      triggered_at: START,
      ...body,
    });
    const done = netRun((await call('GET', '/routines/r/runs')).body.data[0]);
    const ended = { phase: 'completed', status: 'FINISHED', started_at: START, ended_at: START };
    expect(done).toMatchObject({ ...ended, response_id: body.action_correlation_id, ...body });
    await world.advance('8h');
    const fired = netRun((await call('GET', '/routines/r/runs')).body.data[1]);
    expect(fired).toMatchObject({ trigger_type: 'schedule', scheduled_fire_at: START + 7 * 3_600 });
  });

  test.each(Object.entries(NET_PAGES))('pages by %s', async (name, next) => {
    const { world, call } = await make(`pages-${name.replaceAll(/\W/g, '-')}`);
    const ids = await five(world, call);
    const list = async (path: string) => {
      const found: Item[] = [];
      let asked: string | undefined = `${path}?limit=2&order=asc`;
      for (let count = 0; asked !== undefined && count < 10; count += 1) {
        const { body }: Answer = await call('GET', asked);
        found.push(...body.data);
        const more: string | undefined = next(body);
        if (more === undefined) return found;
        asked = more.startsWith('https:')
          ? pathOf(world, more)
          : `${path}?limit=2&order=asc&${more}`;
      }
      throw new Error('it goes round in circles');
    };
    expect((await list('/routines')).map((item) => netRoutine(item).name)).toEqual(NAMES);
    expect((await list('/routines/r1/runs')).map((item) => netRun(item).id)).toEqual(ids);
  });
});

/** Go reads a field of another type than its own as an error, and a missing one as the zero value. */
function goString(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value !== 'string')
    throw new Error(`cannot unmarshal ${JSON.stringify(value)} into a string`);
  return value;
}

/** Seconds or a string; milliseconds when the year would be beyond 3000. Written again as RFC 3339, always. */
function azdInstant(value: unknown): string {
  const ms =
    typeof value === 'number'
      ? value > 32_503_680_000
        ? value
        : value * 1_000
      : Date.parse(goString(value));
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

interface AzdTrigger {
  type: string;
  at?: unknown;
}

function azdRoutine(body: Item) {
  const triggers = Object.entries(body.triggers as Record<string, AzdTrigger>).map(
    ([key, trigger]) => [
      key,
      trigger.at === undefined ? trigger : { ...trigger, at: azdInstant(trigger.at) },
    ],
  );
  const { authorization: _, ...known } = body;
  return {
    ...known,
    name: goString(body.name),
    triggers: Object.fromEntries(triggers),
    created_at: azdInstant(body.created_at),
    updated_at: azdInstant(body.updated_at),
  } as Item;
}

describe('azd, played', () => {
  const make = async (name: string, options = {}) => {
    const world = await makeWorld(`azd-${name}`, options);
    return { world, call: caller(world, AZD) };
  };

  test('creates after it was told that there is none', async () => {
    const { call } = await make('create');
    const none = await call('GET', '/routines/daily');
    expect(none.status).toBe(404);
    expect(goString(none.body.error.code)).toBe('not_found');
    const body = { name: 'daily', enabled: true, triggers: WEEKDAYS, action: ACTION };
    const made = await call('PUT', '/routines/daily', body);
    expect([200, 201]).toContain(made.status);
    const dates = { created_at: '2026-06-01T00:00:00Z', updated_at: '2026-06-01T00:00:00Z' };
    expect(azdRoutine(made.body)).toEqual({ ...body, description: '', ...dates });
    expect(azdRoutine((await call('GET', '/routines/daily')).body)).toEqual(azdRoutine(made.body));
  });

  test('updates by putting back all that it read', async () => {
    const { world, call } = await make('update');
    const timer = { default: { type: 'timer', at: '2026-06-01T01:00:00Z' } };
    const made = azdRoutine(
      (await call('PUT', '/routines/t', { name: 't', triggers: timer, action: ACTION })).body,
    );
    expect(made.triggers).toEqual(timer);
    await world.advance('10m');
    const updated = await call('PUT', '/routines/t', { ...made, description: 'another' });
    expect(updated.status).toBe(200);
    expect(azdRoutine(updated.body)).toEqual({
      ...made,
      description: 'another',
      updated_at: '2026-06-01T00:10:00Z',
    });

    // Once it has fired, the instant that it puts back is past.
    await world.advance('1h');
    const again = await call('PUT', '/routines/t', { ...made, enabled: false });
    expect(again.status).toBe(200);
    expect(azdRoutine(again.body)).toMatchObject({ enabled: false, triggers: timer });
    await world.advance('1h');
    expect((await call('GET', '/routines/t/runs')).body.value).toHaveLength(1);
  });

  test('disables and enables by the verbs', async () => {
    const { call } = await make('verbs');
    await call('PUT', '/routines/r', { name: 'r', triggers: WEEKDAYS, action: ACTION });
    for (const [verb, enabled] of [
      ['disable', false],
      ['disable', false],
      ['enable', true],
    ] as const) {
      const { status, body } = await call('POST', `/routines/r:${verb}`);
      expect([status, azdRoutine(body).enabled]).toEqual([200, enabled]);
    }
    const unknown = await call('POST', '/routines/none:enable');
    expect([unknown.status, unknown.body.error.code]).toEqual([404, 'not_found']);
  });

  test('dispatches without a body, without an input, and with one', async () => {
    const { world, call } = await make('dispatch');
    await call('PUT', '/routines/r', {
      name: 'r',
      triggers: WEEKDAYS,
      action: { ...ACTION, input: 'by default' },
    });
    const { type } = (await call('GET', '/routines/r')).body.action;
    const payload = { type, input: 'Run the routine for testing.' };
    for (const body of [undefined, {}, { payload: { type } }, { payload }]) {
      const dispatched = await call('POST', '/routines/r:dispatch_async', body);
      expect([200, 202]).toContain(dispatched.status);
      expect(goString(dispatched.body.dispatch_id)).toMatch(/^disp-/);
      expect(goString(dispatched.body.task_id)).toMatch(/^task-/);
    }
    await world.control('POST', '/clock:advance', { until: 'idle' });
    const runs: Item[] = (await call('GET', '/routines/r/runs')).body.value;
    expect(runs.map((run) => run.phase)).toEqual(Array(4).fill('completed'));
    expect(runs.map((run) => azdInstant(run.started_at))).toEqual(
      Array(4).fill('2026-06-01T00:00:00Z'),
    );
  });

  test('lists by value and continuationToken, and runs by value and nextPageToken', async () => {
    const { world, call } = await make('lists', { settings: { page_default: 2 } });
    const ids = await five(world, call);
    const list = async (path: string, field: string, query = '', firstQuery = '') => {
      const pages: Item[][] = [];
      let asked = `${path}?${firstQuery}${query}`;
      for (let count = 0; count < 10; count += 1) {
        const { status, body } = await call('GET', asked);
        expect(status).toBe(200);
        pages.push(body.value);
        const token = goString(body[field]);
        if (token === '') return pages;
        asked = `${path}?after=${encodeURIComponent(token)}${query}`;
      }
      throw new Error('it goes round in circles');
    };
    const routines = await list('/routines', 'continuationToken');
    expect(routines.map((page) => page.map((item) => azdRoutine(item).name))).toEqual([
      ['r1', 'r2'],
      ['r3', 'r4'],
      ['r5'],
    ]);

    const filter = `&filter=${encodeURIComponent("attributes.status = 'FINISHED'")}`;
    const runs = await list('/routines/r1/runs', 'nextPageToken', filter, 'limit=3');
    expect(runs.map((page) => page.map((item) => item.id))).toEqual([
      ids.slice(0, 3),
      ids.slice(3),
    ]);
    const none = `&filter=${encodeURIComponent("attributes.status = 'FAILED'")}`;
    expect(await list('/routines/r1/runs', 'nextPageToken', none)).toEqual([[]]);
  });

  test('follows nextLink only to where it came from', async () => {
    const { world, call } = await make('links');
    await five(world, call);
    const { body } = await call('GET', '/routines?limit=2');
    expect(goString(body.nextLink)).toBe(body.next_link);
    expect(pathOf(world, body.nextLink)).toMatch(/^\/routines\?/);
  });

  test('deletes what is there, and what is not', async () => {
    const { call } = await make('delete');
    await call('PUT', '/routines/r', { name: 'r', triggers: WEEKDAYS, action: ACTION });
    for (const _ of ['there', 'gone'])
      expect((await call('DELETE', '/routines/r')).status).toBe(204);
  });

  test('is told about the manifest of the page, whose cron is of no use', async () => {
    const { call } = await make('manifest');
    // It knows no key `cron`, and so sends none.
    const triggers = { 'weekday-morning': { type: 'schedule', time_zone: 'UTC' } };
    const { status, body } = await call('PUT', '/routines/daily', {
      name: 'daily',
      triggers,
      action: ACTION,
    });
    expect([status, body.error.param]).toEqual([400, 'triggers.weekday-morning.cron_expression']);
  });
});

/** Below the project, without the api-version that the caller adds again. */
function pathOf(world: World, link: string): string {
  if (!link.startsWith(`${world.endpoint}/`))
    throw new Error(`${link} leads away from ${world.endpoint}`);
  const url = new URL(link);
  expect(url.searchParams.get('api-version')).toBe('v1');
  url.searchParams.delete('api-version');
  return url.href.slice(world.endpoint.length);
}
