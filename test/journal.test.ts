import { describe } from 'vitest';
import { manualClock } from '../emulator/clock.ts';
import {
  CUSTOM,
  EVERY_5_MINUTES,
  expect,
  type Foundry,
  type Json,
  localAgent,
  openFoundry,
  refusal,
  responses,
  routine,
  START,
  test,
} from './fixture.ts';

async function kinds(foundry: Foundry, query = ''): Promise<string[]> {
  return (await foundry.journal(query)).map((line) => line.kind);
}

describe('the journal', () => {
  test('begins with what its world was made with', async ({ foundry }) => {
    const [first] = await foundry.journal();

    expect(first).toMatchObject({
      seq: 1,
      at: '2026-06-01T00:00:00.000Z',
      kind: 'world',
      made: { project: 'tests', now: START, rate: 0, skip: true, seed: 'tests', faults: [] },
    });
  });

  test('tells what came in and what it did, in order', async ({ foundry }) => {
    await foundry.request('PUT', '/routines/r?api-version=v1', {
      body: routine(EVERY_5_MINUTES),
      headers: {
        'foundry-features': 'Routines=V1Preview',
        'user-agent': 'azsdk-js',
        'x-ms-client-request-id': 'mine',
      },
    });
    await foundry.post('/routines/ghost:enable');
    await foundry.faults({ agent: 'digest', attempts: [503] });
    await foundry.advance('PT6M');

    const [, , put, refused, armed, fire, fault, first, second, advance, ...more] =
      await foundry.journal();

    const about = { routine: 'r', run: expect.stringMatching(/^run-/) };
    expect(more).toEqual([]);
    expect(put).toEqual({
      seq: 3,
      at: '2026-06-01T00:00:00.000Z',
      kind: 'request',
      routine: 'r',
      operation: 'createOrUpdateRoutine',
      params: { routine_name: 'r' },
      query: { 'api-version': 'v1' },
      body: routine(EVERY_5_MINUTES),
      headers: { 'foundry-features': 'Routines=V1Preview' },
      status: 200,
      tls: false,
      principal: expect.any(String),
      user_agent: 'azsdk-js',
      client_request_id: 'mine',
    });
    expect(refused).toMatchObject({
      kind: 'request',
      operation: 'enableRoutine',
      status: 404,
      code: 'not_found',
      rule: 'routine/unknown-answers-404',
    });
    expect(armed).toMatchObject({
      kind: 'control',
      operation: 'setFaults',
      body: { faults: [{ agent: 'digest', attempts: [503] }] },
    });
    expect(fire).toEqual({
      seq: 6,
      at: '2026-06-01T00:05:00.000Z',
      kind: 'fire',
      ...about,
      trigger: 't',
      source: 'schedule_delivery',
    });
    expect(fault).toMatchObject({ kind: 'fault', ...about, agent: 'digest', attempt: 1, entry: 0 });
    expect(first).toEqual({
      seq: 8,
      at: '2026-06-01T00:05:00.000Z',
      kind: 'attempt',
      ...about,
      attempt: 1,
      outcome: 'answered',
      status: 503,
      next: 'retry',
      retry_at: '2026-06-01T00:05:01.000Z',
    });
    expect(second).toEqual({
      seq: 9,
      at: '2026-06-01T00:05:01.000Z',
      kind: 'attempt',
      ...about,
      attempt: 2,
      outcome: 'answered',
      status: 200,
      next: 'complete',
      sent: {
        agent: 'digest',
        protocol: 'responses',
        body: { input: '' },
        request_id: expect.stringMatching(/^disp-/),
      },
    });
    expect(advance).toMatchObject({
      seq: 10,
      at: '2026-06-01T00:06:00.000Z',
      kind: 'advance',
      to: '2026-06-01T00:06:00.000Z',
    });
  });

  test('never holds a token', async ({ foundry }) => {
    await foundry.put('/routines/r', routine(), { authorization: 'Bearer very-secret-token' });

    expect(JSON.stringify(await foundry.journal())).not.toContain('very-secret-token');
  });

  test('does not write down what only looks', async ({ foundry }) => {
    await foundry.routine('r', routine());
    const before = await foundry.journal();

    for (const path of [
      '/routines',
      '/routines/r',
      '/routines/r/runs',
      '/agents/digest',
      '/routines/ghost',
    ])
      await foundry.get(path);
    await foundry.clock();
    await foundry.get('/_emulator/health');

    expect(await foundry.journal()).toEqual(before);
  });

  test('counts a body in bytes, and cuts no character', async ({ foundry }) => {
    await foundry.routine('r', routine());
    const payload = { type: 'invoke_agent_responses_api', input: 'é'.repeat(10_000) };
    await foundry.dispatch('r', { payload });
    await foundry.advance('PT0S');

    const request = (await foundry.journal('kind=request')).at(-1);
    const attempt = (await foundry.journal('kind=attempt')).at(-1);

    for (const text of [request.raw, attempt.sent.body]) {
      expect(Buffer.byteLength(text)).toBeGreaterThan(16 * 1024 - 2);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(16 * 1024);
      expect(text).toMatch(/é$/);
    }
    expect(attempt.sent.cut).toBe(JSON.stringify({ input: payload.input }).length);
  });

  test('keeps 16 KiB of a body, and says how long it was', async ({ foundry }) => {
    await foundry.routine('r', routine());
    const body = { payload: { type: 'invoke_agent_responses_api', input: 'x'.repeat(20_000) } };
    await foundry.dispatch('r', body);

    const line = (await foundry.journal('kind=request')).at(-1);

    expect(line.raw).toHaveLength(16 * 1024);
    expect(line).toMatchObject({
      operation: 'dispatchRoutineAsync',
      cut: JSON.stringify(body).length,
    });
    expect(line).not.toHaveProperty('body');
  });

  test('keeps a body that is no JSON as it came', async ({ foundry }) => {
    await foundry.request('PUT', '/routines/r', { raw: '{"a":' });

    expect((await foundry.journal('kind=request')).at(-1)).toMatchObject({
      raw: '{"a":',
      status: 400,
      rule: 'request/body-is-json',
    });
  });

  test('is read by kind, routine and run, page by page', async ({ foundry }) => {
    for (const name of ['a', 'b']) await foundry.routine(name, routine(EVERY_5_MINUTES));
    await foundry.advance('PT10M');
    const [run] = await foundry.runs('b');

    const first = await foundry.steer('GET', '/journal?kind=fire,attempt&limit=3');
    const second = await foundry.steer(
      'GET',
      `/journal?kind=fire,attempt&limit=3&after=${first.cursor}`,
    );

    expect(first.entries.map((line: Json) => `${line.kind} ${line.routine}`)).toEqual([
      'fire a',
      'fire b',
      'attempt a',
    ]);
    expect(second.entries.map((line: Json) => `${line.kind} ${line.routine}`)).toEqual([
      'attempt b',
      'fire a',
      'fire b',
    ]);
    expect(first).toMatchObject({
      cursor: first.entries[2].seq,
      oldest: 1,
      interleaved: false,
      canonical: false,
    });
    expect(first).not.toHaveProperty('hash');
    expect(await kinds(foundry, 'kind=attempt&routine=b')).toEqual(['attempt', 'attempt']);
    expect(await kinds(foundry, `run=${run.id}`)).toEqual(['fire', 'attempt']);
    expect(await foundry.journal('kind=nothing')).toEqual([]);
    expect((await foundry.steer('GET', '/journal?after=9999')).cursor).toBe(9999);
  });

  test('still holds the runs of a deleted routine', async ({ foundry }) => {
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    await foundry.advance('PT1S');
    await foundry.delete('/routines/r');

    expect(await kinds(foundry, 'routine=r&kind=attempt')).toEqual(['attempt']);
  });

  test('is a ring that keeps the newest lines', async ({ foundry }) => {
    await foundry.set({ settings: { journal_max: 100 } });
    for (let n = 0; n < 1_100; n += 1) await foundry.post('/routines/ghost:enable');

    const { entries, oldest } = await foundry.steer('GET', '/journal?limit=1');

    expect(oldest).toBeGreaterThan(900);
    expect(entries[0].seq).toBe(oldest);
  });

  test('is canonical without what differs between two hosts, with its hash', async ({
    foundry,
  }) => {
    await foundry.request('PUT', '/routines/r', {
      body: routine(),
      headers: { 'user-agent': 'one', 'x-ms-client-request-id': 'one' },
    });
    const other = openFoundry();
    await other.agent('digest');
    await other.request('PUT', '/routines/r', {
      body: routine(),
      headers: { 'user-agent': 'two', authorization: 'Bearer two' },
    });

    const [one, two] = [
      await foundry.steer('GET', '/journal?canonical=true'),
      await other.steer('GET', '/journal?canonical=true'),
    ];
    const lines = await foundry.get(foundry.control('/journal?canonical=true'), {
      accept: 'application/x-ndjson',
    });

    expect(one).toEqual(two);
    expect(one).toMatchObject({ canonical: true, hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(lines.body).toEqual(one.entries);
    expect(lines.text.endsWith('\n')).toBe(true);
    await other.post('/routines/r:enable');
    expect((await other.steer('GET', '/journal?canonical=true')).hash).not.toBe(one.hash);
  });

  test('has the same lines for another order of the same ids', async ({ foundry }) => {
    const ids = async (world: Foundry, names: string[]) => {
      await world.agent('digest');
      for (const name of names) {
        await world.routine(name, routine());
        await world.dispatch(name);
      }
      return Object.fromEntries(
        await Promise.all(names.map(async (name) => [name, (await world.runs(name))[0].id])),
      );
    };

    expect(await ids(foundry.in('one'), ['a', 'b'])).toEqual(
      await ids(foundry.in('two'), ['b', 'a']),
    );
  });

  test('has the ids of its seed, and another seed others', async () => {
    const run = async (seed: string) => {
      const foundry = openFoundry({ seed });
      await foundry.agent('digest');
      await foundry.routine('r', routine());
      const ids = await foundry.dispatch('r');
      return { ...ids, run: (await foundry.runs('r'))[0].id };
    };

    const [one, again, other] = [await run('one'), await run('one'), await run('other')];

    expect(again).toEqual(one);
    for (const [key, id] of Object.entries(other)) expect(id).not.toBe((one as Json)[key]);
  });

  test('writes down the outcome of a real call as an input', async ({ foundry }) => {
    const agent = await localAgent((response) => response.end('{"id":"resp_1"}'));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine(CUSTOM, { action: responses('digest') }));
    await foundry.dispatch('r');
    await foundry.advance('PT1S');

    expect(await foundry.journal('kind=outcome')).toMatchObject([
      {
        routine: 'r',
        attempt: 1,
        arrival: { kind: 'answered', status: 200, body: '{"id":"resp_1"}' },
      },
    ]);
  });
});

describe('a wait for the journal', () => {
  test('answers what is there at once, and does not move time', async ({ foundry }) => {
    await foundry.routine('r', routine());
    await foundry.set({ settings: { queue_delay: '1m' } });
    await foundry.dispatch('r');

    expect(await kinds(foundry, 'kind=world&wait=60')).toEqual(['world']);
    expect(await foundry.now()).toBe('2026-06-01T00:00:00.000Z');
  });

  test('ends when a line comes', async () => {
    const foundry = openFoundry({ host: manualClock(START), skip: false });
    const wait = foundry.journal('kind=request&wait=60');
    await foundry.now();

    await foundry.agent('digest');

    expect(await wait).toMatchObject([{ kind: 'request', operation: 'createAgentVersion' }]);
  });

  test.for([
    ['30', 30_000],
    ['PT30S', 30_000],
    ['10m', 60_000],
  ] as [string, number][])('of %s comes back empty after %i ms', async ([wait, ms]) => {
    const host = manualClock(START);
    const foundry = openFoundry({ host, skip: false });
    let over = false;
    const answer = foundry.steer('GET', `/journal?kind=fire&wait=${wait}`).finally(() => {
      over = true;
    });
    await foundry.now();

    host.tick(ms - 1);
    await foundry.now();
    const early = over;
    host.tick(1);

    expect(await answer).toMatchObject({ entries: [], cursor: 0 });
    expect(early).toBe(false);
  });

  test('that peeks does not move time', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host });
    await foundry.agent('digest');
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    const wait = foundry.get(foundry.control('/journal?kind=attempt&wait=30'), {
      'x-foundrite-peek': '1',
    });
    await foundry.now();
    host.tick(30_000);

    expect((await wait).body.entries).toEqual([]);
  });
});

describe('a question to the journal', () => {
  test.for([
    ['limit=0', 'limit', 'journal/limit-1-to-10000'],
    ['limit=10001', 'limit', 'journal/limit-1-to-10000'],
    ['limit=many', 'limit', 'journal/limit-1-to-10000'],
    ['after=-1', 'after', 'journal/cursor-is-a-seq'],
    ['after=x', 'after', 'journal/cursor-is-a-seq'],
    ['after=99&wait=soon', 'wait', expect.stringMatching(/^journal\//)],
  ] as [string, string, string][])('%s is refused', async ([query, param, rule], { foundry }) => {
    const answer = await foundry.get(foundry.control(`/journal?${query}`));

    expect(refusal(answer)).toMatchObject({ status: 400, param, rule });
  });
});
