import { createHash } from 'node:crypto';
import { describe } from 'vitest';
import type { EmulatorOptions } from '../emulator/emulator.ts';
import { SESSION_TRANSITIONS, type SessionStatus } from '../emulator/lifecycle.ts';
import { checkRules, pickVersion, type Rule } from '../emulator/routing.ts';
import { findAgent } from '../emulator/store/agents.ts';
import { startSession } from '../emulator/work/sessions.ts';
import { expect, type Foundry, type Json, openFoundry, test } from './fixture.ts';

const SESSIONS = '/agents/digest/endpoint/sessions';
const MANY = 10_000;

function rules(...shares: [version: string, share: number][]): Rule[] {
  return shares.map(([agent_version, traffic_percentage]) => ({
    type: 'FixedRatio',
    agent_version,
    traffic_percentage,
  }));
}

async function route(foundry: Foundry, ...shares: [string, number][]): Promise<void> {
  const version_selector = { version_selection_rules: rules(...shares) };
  const patch = { body: { agent_endpoint: { version_selector } } };
  const { status, text } = await foundry.request('PATCH', '/agents/digest', patch);
  expect(status, text).toBe(200);
}

async function withVersions(foundry: Foundry, count: number): Promise<void> {
  for (let version = 2; version <= count; version += 1) {
    const definition = { kind: 'hosted', image: `digest:${version}`, cpu: '1', memory: '2Gi' };
    await foundry.post('/agents/digest/versions', { definition });
  }
}

/** The versions of so many new sessions, begun as a call begins them. */
function begun(foundry: Foundry, count: number, idOf?: (n: number) => string): string[] {
  const { world, faults } = foundry.project;
  const agent = findAgent(world.store, 'digest');
  if (!agent) throw new Error('there is no agent digest');
  const versions: string[] = [];
  // A hundred in a turn: what each costs is not what this is about.
  while (versions.length < count)
    world.turn(() => {
      for (let n = versions.length, end = Math.min(n + 100, count); n < end; n += 1)
        versions.push(startSession(world, faults, agent, { id: idOf?.(n) }).version);
    });
  return versions;
}

function countOf(versions: readonly string[], version: string): number {
  return versions.filter((one) => one === version).length;
}

/** With a hosted agent that is there at once. */
async function withAgent({ settings, ...options }: EmulatorOptions = {}): Promise<Foundry> {
  const foundry = openFoundry({ ...options, settings: { provisioning_time: 0, ...settings } });
  await foundry.agent('digest');
  return foundry;
}

async function routed(seed: string, ...shares: [string, number][]): Promise<string[]> {
  const foundry = await withAgent({ seed });
  await withVersions(foundry, shares.length);
  await route(foundry, ...shares);
  return begun(foundry, MANY);
}

describe('new sessions', () => {
  test('of an agent at 90 and 10 are spread so, the same ones to the same versions twice', async () => {
    const first = await routed('a seed', ['1', 90], ['2', 10]);
    const second = await routed('a seed', ['1', 90], ['2', 10]);
    const other = await routed('another seed', ['1', 90], ['2', 10]);

    expect(countOf(first, '1')).toBeGreaterThanOrEqual(8_900);
    expect(countOf(first, '1')).toBeLessThanOrEqual(9_100);
    expect(second).toEqual(first);
    expect(other).not.toEqual(first);
    expect(countOf(other, '1')).toBeGreaterThanOrEqual(8_900);
  });

  test('of an agent at 1 and 99 reach the rare version too', async () => {
    const versions = await routed('a seed', ['1', 1], ['2', 99]);

    expect(countOf(versions, '1')).toBeGreaterThan(60);
    expect(countOf(versions, '1')).toBeLessThan(140);
  });

  test('of an agent in thirds are spread over three versions', async () => {
    const versions = await routed('a seed', ['1', 33], ['2', 33], ['@latest', 34]);

    for (const version of ['1', '2']) {
      expect(countOf(versions, version)).toBeGreaterThan(3_100);
      expect(countOf(versions, version)).toBeLessThan(3_500);
    }
    expect(countOf(versions, '3') + countOf(versions, '2') + countOf(versions, '1')).toBe(MANY);
  });

  test('with ids of the caller are spread by their ids', async () => {
    const foundry = await withAgent();
    await withVersions(foundry, 2);
    await route(foundry, ['1', 90], ['2', 10]);

    const versions = begun(foundry, MANY, (n) => `customer-${String(n).padStart(6, '0')}`);

    expect(countOf(versions, '1')).toBeGreaterThanOrEqual(8_900);
    expect(countOf(versions, '1')).toBeLessThanOrEqual(9_100);
  });

  test('follow a change of the rules half-way, and those from before stay', async () => {
    const foundry = await withAgent();
    await withVersions(foundry, 2);
    await route(foundry, ['1', 90], ['2', 10]);
    const before = begun(foundry, MANY / 2, (n) => `before-${n}`);
    await route(foundry, ['1', 10], ['2', 90]);
    const after = begun(foundry, MANY / 2, (n) => `after-${n}`);

    expect(countOf(before, '1')).toBeGreaterThan(4_400);
    expect(countOf(after, '1')).toBeLessThan(600);
    for (const n of [0, 1, 2, 100, 4_999]) {
      const { body } = await foundry.get(`${SESSIONS}/before-${n}`);
      expect(body.version_indicator.agent_version).toBe(before[n]);
    }
  });

  test('over HTTP are those that a call begins', async () => {
    const foundry = await withAgent();
    await withVersions(foundry, 2);
    await route(foundry, ['1', 90], ['2', 10]);
    const over: string[] = [];
    for (let n = 0; n < 1_000; n += 1) {
      const { body } = await foundry.post(SESSIONS);
      over.push(body.version_indicator.agent_version);
    }

    expect(countOf(over, '1')).toBeGreaterThan(860);
    expect(countOf(over, '1')).toBeLessThan(940);
    const { body } = await foundry.get(`${SESSIONS}?limit=100`);
    expect(body.data.map((one: Json) => one.version_indicator.agent_version)).toEqual(
      over.slice(-100).reverse(),
    );
  });
});

test('rules are checked in their order', () => {
  const known = { releases: new Set(['1', '2']), drafts: new Set(['draft-1']) };
  const wrong = (list: Rule[]) => {
    const problem = checkRules(list, known);
    return problem && `${problem.rule} ${problem.at}`.trim();
  };

  expect(wrong(rules(['1', 90], ['2', 10]))).toBeUndefined();
  expect(wrong(rules(['@latest', 100]))).toBeUndefined();
  expect(wrong([])).toBe('routing/not-empty');
  expect(wrong(rules(['1', 99.9], ['2', 0.1]))).toBe(
    'routing/percentage-is-0-to-100 [0].traffic_percentage',
  );
  expect(wrong(rules(['1', 100], ['draft-1', 0]))).toBe('routing/no-drafts [1].agent_version');
  expect(wrong(rules(['1', 100], ['3', 0]))).toBe('routing/version-known [1].agent_version');
  expect(wrong(rules(['1', 50], ['1', 50]))).toBe('routing/version-once [1].agent_version');
  expect(wrong(rules(['1', 50], ['2', 49]))).toBe('routing/sum-is-100');
});

test('a version is picked by where a draw falls among the shares', () => {
  const list = rules(['1', 0], ['2', 90], ['3', 10]);

  expect([0, 0.5, 0.899_999, 0.9, 0.999_999].map((draw) => pickVersion(list, draw))).toEqual([
    '2',
    '2',
    '2',
    '3',
    '3',
  ]);
});

describe('sessions that are kept apart', () => {
  test('are their callers’ alone', async () => {
    const foundry = await withAgent({ switches: { session_isolation: 'on' } });
    const ada = { 'x-ms-user-identity': 'ada@example.com' };
    const own = { body: { agent_session_id: 'of-ada-only' }, headers: ada };
    expect((await foundry.request('POST', SESSIONS, own)).status).toBe(201);

    const others: Record<string, string>[] = [{}, { 'x-ms-user-isolation-key': 'bob' }];
    for (const headers of others) {
      const read = await foundry.request('GET', `${SESSIONS}/of-ada-only`, { headers });
      expect(read.body.error).toMatchObject({ code: 'session_not_accessible' });
      expect(read.status).toBe(403);
      expect((await foundry.request('DELETE', `${SESSIONS}/of-ada-only`, { headers })).status).toBe(
        403,
      );
      const list = await foundry.request('GET', SESSIONS, { headers });
      expect(list.body.data).toEqual([]);
    }

    const read = await foundry.request('GET', `${SESSIONS}/of-ada-only`, { headers: ada });
    expect(read.status).toBe(200);
    const call = { body: { input: 'hello', agent_session_id: 'of-ada-only' } };
    const path = '/agents/digest/endpoint/protocols/openai/responses';
    expect((await foundry.request('POST', path, { ...call, headers: ada })).status).toBe(200);
    expect((await foundry.request('POST', path, call)).status).toBe(403);
  });

  test('also where a conversation, a response or an invocation leads to them', async () => {
    const foundry = await withAgent({ switches: { session_isolation: 'on' } });
    const endpoint = '/agents/digest/endpoint/protocols';
    const as = (user: string, method: string, path: string, body?: unknown) =>
      foundry.request(method, endpoint + path, {
        body,
        headers: { 'x-ms-user-identity': user },
      });
    const { id: conversation } = (await as('ada', 'POST', '/openai/conversations', {})).body;
    const said = { input: 'hello', conversation };
    const { id } = (await as('ada', 'POST', '/openai/responses', said)).body;
    await foundry.reply('digest', { kind: 'script', turns: [{ accepted: { after: '1m' } }] });
    const { invocation_id: invocation } = (await as('ada', 'POST', '/invocations', {})).body;

    const asked: [method: string, path: string, body?: unknown][] = [
      ['GET', `/invocations/${invocation}`],
      ['POST', '/openai/responses', said],
      ['POST', '/openai/responses', { input: 'hello', previous_response_id: id }],
      ['POST', `/invocations/${invocation}/cancel`],
    ];
    for (const [method, path, body] of asked) {
      const refused = await as('bob', method, path, body);
      expect([refused.status, refused.body.error?.code], path).toEqual([
        403,
        'session_not_accessible',
      ]);
      expect((await as('ada', method, path, body)).status, path).toBeLessThan(300);
    }
  });
});

test('whatever happens to a session, its status goes as the table says', async () => {
  const foundry = await withAgent({
    skip: false,
    settings: { cold_start: '7s', session_idle: '20s', session_life: '2m' },
  });
  await foundry.faults({ at: 'transition', of: 'session', to: 'failed', probability: 0.1 });
  const steps = [
    (path: string) => foundry.post(`${path}:stop`),
    () => foundry.advance('5s'),
    () => foundry.advance('40s'),
    (path: string) =>
      foundry.inFlight('POST', '/agents/digest/endpoint/protocols/openai/responses', {
        body: { input: 'x', agent_session_id: path.slice(SESSIONS.length + 1) },
      }),
  ];
  const seen = new Set<string>();
  for (let n = 0; n < 60; n += 1) {
    const path = `${SESSIONS}/session-${n}`;
    await foundry.post(SESSIONS, { agent_session_id: `session-${n}` });
    let before: SessionStatus = (await foundry.get(path)).body.status;
    for (let step = 0; step < 12; step += 1) {
      const drawn = foundry.project.world.draw.fraction('step', String(n), step);
      // What waits for its sandbox is not waited for here.
      void steps[Math.floor(drawn * steps.length)]?.(path);
      await settled();
      const { status } = (await foundry.get(path)).body;
      if (status !== before) seen.add(`${before} ${status}`);
      before = status;
    }
  }
  const allowed = Object.entries(SESSION_TRANSITIONS).flatMap(([from, to]) =>
    to.map((one) => `${from} ${one}`),
  );

  expect([...seen].filter((one) => !allowed.includes(one))).toEqual([]);
  expect(seen.size).toBeGreaterThan(6);
});

async function settled(): Promise<void> {
  for (let round = 0; round < 10; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('a cold start', () => {
  test('is a due consequence, which a second reader waits for', async () => {
    const foundry = await withAgent({ settings: { cold_start: '20s' } });
    await foundry.post(SESSIONS, { agent_session_id: 'slow-one' });

    const first = await foundry.get(`${SESSIONS}/slow-one`);
    const second = await foundry.get(`${SESSIONS}/slow-one`);

    expect([first.body.status, second.body.status]).toEqual(['creating', 'active']);
    expect(await foundry.journal('kind=skip')).toMatchObject([
      { cause: expect.stringMatching(/^getSession session:/) },
    ]);
  });

  test('that is stopped on its way leaves nothing due, and the next call begins it anew', async () => {
    const foundry = await withAgent({ settings: { cold_start: '20s' }, skip: false });
    await foundry.post(SESSIONS, { agent_session_id: 'slow-one' });
    await foundry.post(`${SESSIONS}/slow-one:stop`);

    await foundry.advance('1m');

    const { body } = await foundry.get(`${SESSIONS}/slow-one`);
    expect(body.status).toBe('idle');
    expect(await foundry.journal('kind=transition')).toEqual([]);
  });

  test('may fail, and then the call that waits for it fails too', async () => {
    const foundry = await withAgent({ settings: { cold_start: '5s' } });
    await foundry.faults({ at: 'transition', of: 'session', from: 'creating', to: 'failed' });
    await foundry.post(SESSIONS, { agent_session_id: 'slow-one' });

    const answer = await foundry.post('/agents/digest/endpoint/protocols/openai/responses', {
      input: 'hello',
      agent_session_id: 'slow-one',
    });

    expect(answer.status).toBe(424);
    expect(answer.body.error.code).toBe('session_not_ready');
    expect(answer.headers.get('x-agent-session-id')).toBe('slow-one');
    expect((await foundry.get(`${SESSIONS}/slow-one`)).body.status).toBe('failed');
  });
});

describe('files', () => {
  const files = `${SESSIONS}/with-files/files`;

  test('keep their bytes, whatever they are, and the journal has them', async () => {
    const foundry = await withAgent();
    await foundry.post(SESSIONS, { agent_session_id: 'with-files' });
    const bytes = Uint8Array.from({ length: 4_096 }, (_, n) => (n * 31) % 256);
    const path = `${foundry.endpoint}${files}/content?path=${encodeURIComponent('data/ä ö?.bin')}`;
    const put = await foundry.fetch(path, { method: 'PUT', headers: OCTETS, body: bytes });
    expect(await put.json()).toEqual({ path: 'data/ä ö?.bin', bytes_written: 4_096 });

    const read = await foundry.fetch(path, { headers: BEARER });

    expect(digest(new Uint8Array(await read.arrayBuffer()))).toBe(digest(bytes));
    const [line] = await foundry.journal('kind=request&limit=100').then((all) => all.slice(-1));
    expect(line).toMatchObject({
      operation: 'putSessionFile',
      base64: Buffer.from(bytes).toString('base64'),
      headers: { 'content-type': 'application/octet-stream' },
    });
  });
});

const BEARER = { authorization: 'Bearer tests' };
const OCTETS = { ...BEARER, 'content-type': 'application/octet-stream' };

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
