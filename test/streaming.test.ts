import { describe, onTestFinished, test } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import { manualClock } from '../emulator/clock.ts';
import type { EmulatorOptions } from '../emulator/emulator.ts';
import { replayJournal } from '../emulator/replay.ts';
import { serve } from '../emulator/server.ts';
import { expect, type Foundry, type Json, localAgent, openFoundry, START } from './fixture.ts';

const RESPONSES = '/agents/digest/endpoint/protocols/openai/responses';
const INVOCATIONS = '/agents/digest/endpoint/protocols/invocations';

/** A world with the agent `digest`, which is there at once. */
async function opened(options: EmulatorOptions = {}): Promise<Foundry> {
  const foundry = openFoundry({ settings: { provisioning_time: 0 }, ...options });
  await foundry.agent('digest');
  return foundry;
}

interface Reading {
  status: number;
  headers: Headers;
  /** The next piece as it came; undefined at the end. */
  next(): Promise<string | undefined>;
  leave(): Promise<void>;
  /** All that is left, as events. */
  rest(): Promise<Json[]>;
}

function eventsIn(text: string): Json[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? 'null'));
}

async function reading(answer: Response | Promise<Response>): Promise<Reading> {
  const { status, headers, body } = await answer;
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const next = async () => {
    const { value } = await reader.read();
    return value && Buffer.from(value).toString();
  };
  const rest = async () => {
    let text = '';
    for (let piece = await next(); piece !== undefined; piece = await next()) text += piece;
    return eventsIn(text);
  };
  return { status, headers, next, rest, leave: () => reader.cancel() };
}

/** A stream that is read piece by piece. */
function stream(foundry: Foundry, path = RESPONSES, more: object = {}): Promise<Reading> {
  const init = {
    method: 'POST',
    headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
    body: JSON.stringify({ input: 'x', stream: true, ...more }),
  };
  return reading(foundry.fetch(foundry.endpoint + path, init));
}

function types(events: Json[]): string[] {
  return events.map(({ type }) => type.replace(/^response\./, ''));
}

function script(...turns: unknown[]): object {
  return { kind: 'script', turns };
}

/** Reads up to the next delta. */
async function delta(from: Reading): Promise<string | undefined> {
  for (;;) {
    const piece = await from.next();
    if (piece === undefined) return undefined;
    const [event] = eventsIn(piece);
    if (event?.delta !== undefined) return event.delta;
  }
}

/** Lets everything that is under way settle. */
async function settled(): Promise<void> {
  for (let round = 0; round < 20; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('a script that takes its time', () => {
  test('has said its first piece before the last is made', async () => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'one two three', every: '10s' }));
    const answer = await stream(foundry);

    const first = delta(answer);
    await settled();
    await foundry.advance('10s');

    expect(await first).toBe('one');
    expect((await foundry.clock()).waiting).toEqual([]);
    const second = delta(answer);
    await settled();
    expect((await foundry.clock()).waiting).toMatchObject([
      { what: 'A stream of agent digest', until: '2026-06-01T00:00:20.000Z' },
    ]);
    await foundry.advance('1m');
    expect(await second).toBe(' two');
    expect(types(await answer.rest()).at(-1)).toBe('completed');
  });

  test('makes each piece at its instant, however far an advance goes', async () => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'abcdef', chunk: 2, every: '20s' }));
    const answer = await stream(foundry);

    await foundry.advance('1h');
    const events = await answer.rest();

    expect(events.filter((event) => event.delta).map((event) => event.delta)).toEqual([
      'ab',
      'cd',
      'ef',
    ]);
    expect(events.at(-1)?.response).toMatchObject({
      created_at: START / 1_000,
      completed_at: START / 1_000 + 60,
    });
  });

  test('goes on by itself where time skips', async () => {
    const foundry = await opened();
    await foundry.reply('digest', script({ text: 'one two three', every: '10s' }));

    const events = await (await stream(foundry)).rest();

    expect(types(events).filter((type) => type === 'output_text.delta')).toHaveLength(3);
    expect(await foundry.now()).toBe('2026-06-01T00:00:30.000Z');
    expect(await foundry.journal('kind=skip')).toMatchObject([
      { cause: 'A stream of agent digest' },
      { cause: 'A stream of agent digest' },
      { cause: 'A stream of agent digest' },
    ]);
  });

  test('comes to its end beside others, by an advance and where time skips', async () => {
    // More than share a turn, so that some wait at an instant at which they are still to be said.
    const others = Array.from({ length: 150 }, (_, index) => index);
    for (const skip of [false, true]) {
      const foundry = await opened({ skip });
      await foundry.agent('faster');
      await foundry.reply('digest', script({ text: 'one two three', every: '10s' }));
      await foundry.reply('faster', script({ text: 'one two', every: '7s' }));
      const path = RESPONSES.replace('digest', 'faster');
      const streams = await Promise.all([
        stream(foundry, path),
        ...others.map(() => stream(foundry)),
      ]);

      const read = Promise.all(streams.map((one) => one.rest()));
      if (!skip) await foundry.advance('1m');

      const ends = (await read).map((events) => types(events).at(-1));
      expect(new Set(ends)).toEqual(new Set(['completed']));
    }
  });

  test('is kept as it will be, and is in progress until then', async () => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'one two', every: '10s' }));
    const answer = await stream(foundry);
    const [created] = eventsIn((await answer.next()) ?? '');
    const path = `${RESPONSES}/${created?.response.id}`;

    expect((await foundry.get(path)).body).toMatchObject({ status: 'in_progress', output: [] });
    await foundry.advance('20s');

    const last = (await answer.rest()).at(-1);
    expect((await foundry.get(path)).body).toEqual(last?.response);
  });

  test('that nobody reads any more is said to its end all the same', async () => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'one two', every: '10s' }));
    const answer = await stream(foundry);
    const [created] = eventsIn((await answer.next()) ?? '');
    await answer.leave();

    await foundry.advance('1m');

    const kept = await foundry.get(`${RESPONSES}/${created?.response.id}`);
    expect(kept.body).toMatchObject({ status: 'completed' });
    expect(foundry.project.engine.waits.streams).toBe(0);
  });

  test('is cut short when its response in the background is cancelled', async () => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'one two three', every: '10s' }));
    const answer = await stream(foundry, RESPONSES, { background: true });
    const [created] = eventsIn((await answer.next()) ?? '');
    await foundry.advance('10s');

    expect((await foundry.post(`${RESPONSES}/${created?.response.id}/cancel`)).status).toBe(200);
    const events = await answer.rest();
    await foundry.advance('1m');

    expect(types(events).slice(-2)).toEqual(['output_text.delta', 'cancelled']);
    expect(events.at(-1)).toMatchObject({
      sequence_number: 5,
      response: { status: 'cancelled', output: [] },
    });
  });

  test('says nothing after it was cancelled, however late it is read', async () => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'one two three', every: '10s' }));
    const answer = await stream(foundry, RESPONSES, { background: true });
    const [created] = eventsIn((await answer.next()) ?? '');
    await foundry.post(`${RESPONSES}/${created?.response.id}/cancel`);
    await foundry.advance('1h');

    const events = types(await answer.rest());
    expect(events).not.toContain('output_text.delta');
    expect(events.at(-1)).toBe('cancelled');
  });

  test.for([
    ['at once', { text: 'one two' }, 0],
    ['piece by piece', { text: 'one two three', every: '1s' }, 3],
  ] as const)('has one history in the background too: said %s', async ([, turn, seconds]) => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script(turn));
    const answer = await stream(foundry, RESPONSES, { background: true });
    const [created] = eventsIn((await answer.next()) ?? '');
    const path = `${RESPONSES}/${created?.response.id}`;
    const told: string[] = [];
    for (let second = 0; second <= seconds; second += 1) {
      told.push((await foundry.get(path)).body.status);
      if (second < seconds) await foundry.advance('1s');
    }

    expect(told).toEqual([...Array(seconds).fill('in_progress'), 'completed']);
    expect((await answer.rest()).at(-1)?.response).toEqual((await foundry.get(path)).body);
    expect((await foundry.get(path)).body).toMatchObject({
      background: true,
      completed_at: START / 1_000 + seconds,
    });
  });

  test('has one history in the background of the project too', async () => {
    const foundry = await opened({ skip: false });
    const answer = await stream(foundry, '/openai/v1/responses', { model: 'm', background: true });
    const last = (await answer.rest()).at(-1)?.response;

    expect((await foundry.get(`/openai/v1/responses/${last?.id}`)).body).toEqual(last);
    expect(last).toMatchObject({ status: 'completed', background: true });
  });

  test('does not hold the clock of a world', async () => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'one two', every: '10s' }));
    await stream(foundry);

    expect(await foundry.advance('1h')).toMatchObject({ reached: true });
  });

  test('begins at once when its work is accepted, and says it after a while', async () => {
    const foundry = await opened();
    await foundry.reply('digest', script({ accepted: { after: '1m', text: 'done' } }));
    const answer = await stream(foundry);

    expect(types([...eventsIn((await answer.next()) ?? '')])).toEqual(['created']);
    expect(await foundry.now()).toBe('2026-06-01T00:00:00.000Z');
    expect((await answer.rest()).at(-1)?.response).toMatchObject({
      status: 'completed',
      completed_at: START / 1_000 + 60,
    });
    expect(await foundry.now()).toBe('2026-06-01T00:01:00.000Z');
  });
});

describe('a stream ends', () => {
  test.for([
    ['is reset', (foundry: Foundry) => foundry.steer('POST', ':reset', {})],
    ['is deleted', (foundry: Foundry) => foundry.steer('DELETE', '')],
    ['is closed', (foundry: Foundry) => foundry.emulator.close()],
  ] as const)('with its world: it %s', async ([, end]) => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'one two', every: '10s' }));
    const answer = await stream(foundry);
    const waiting = delta(answer);
    waiting.catch(() => {});
    await settled();

    await end(foundry);

    await expect(waiting).rejects.toThrow('terminated');
  });

  test.for(['/agents/digest', '/agents/digest/versions/1'])(
    'with its agent: DELETE %s',
    async (path) => {
      const foundry = await opened({ skip: false });
      await foundry.reply('digest', script({ text: 'one two', every: '10s' }));
      const waiting = delta(await stream(foundry));
      waiting.catch(() => {});
      await settled();

      await foundry.delete(`${path}?force=true`);

      await expect(waiting).rejects.toThrow('terminated');
      const { store } = foundry.project.world;
      expect(store.sql('SELECT count(*) AS left FROM session').get()).toEqual({ left: 0 });
    },
  );

  test('with its session, and not with another', async () => {
    const foundry = await opened({ skip: false });
    await foundry.reply('digest', script({ text: 'one two', every: '10s' }));
    const answers = await Promise.all([stream(foundry), stream(foundry)]);
    const waiting = answers.map(delta);
    for (const one of waiting) one.catch(() => {});
    await settled();

    const id = answers[0]?.headers.get('x-agent-session-id');
    await foundry.delete(`/agents/digest/endpoint/sessions/${id}`);
    await foundry.advance('10s');

    await expect(waiting[0]).rejects.toThrow('terminated');
    expect(await waiting[1]).toBe('one');
  });
});

describe('an agent of the user’s own', () => {
  const EVENTS = ': a comment\n\nevent: response.created\r\ndata: {"type":"x", "odd" : 1}\r\n\r\n';

  test('is passed on byte for byte, with its headers and the session’s', async () => {
    const foundry = await opened();
    const agent = await localAgent((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-mine': 'yes' });
      response.write(EVENTS.slice(0, 20));
      setImmediate(() => response.end(EVENTS.slice(20)));
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const answer = await stream(foundry);

    let text = '';
    for (let piece = await answer.next(); piece; piece = await answer.next()) text += piece;

    expect(text).toBe(EVENTS);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'x-mine': 'yes',
      'x-agent-session-id': expect.stringMatching(/./),
      'x-foundrite-body-by': 'reply',
    });
    expect(JSON.parse(agent.heard[0]?.body ?? '')).toMatchObject({ input: 'x', stream: true });
  });

  test('speaks as it speaks: its first piece arrives while it is still silent', async () => {
    const foundry = await opened();
    let goOn = () => {};
    const agent = await localAgent((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"n":1}\n\n');
      goOn = () => response.end('data: {"n":2}\n\n');
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const answer = await stream(foundry);

    expect(eventsIn((await answer.next()) ?? '')).toEqual([{ n: 1 }]);
    goOn();
    expect(await answer.rest()).toEqual([{ n: 2 }]);
  });

  test('that breaks off breaks its client’s stream off', async () => {
    const foundry = await opened();
    const agent = await localAgent((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"n":1}\n\n', () => response.destroy());
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const answer = await stream(foundry);

    expect(eventsIn((await answer.next()) ?? '')).toEqual([{ n: 1 }]);
    await expect(answer.next()).rejects.toThrow('terminated');
  });

  test('is left when its client goes away', async () => {
    const foundry = await opened();
    let left = () => {};
    const gone = new Promise<void>((resolve) => {
      left = resolve;
    });
    const agent = await localAgent((response) => {
      response.on('close', left);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"n":1}\n\n');
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const answer = await stream(foundry);
    await answer.next();

    await answer.leave();

    await gone;
    expect(foundry.project.engine.waits.streams).toBe(0);
  });

  test('that is silent for two minutes is given up: 408 before its first byte', async () => {
    const host = manualClock(START);
    const foundry = await opened({ host });
    const agent = await localAgent(() => {});
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const answer = foundry.post(RESPONSES, { input: 'x', stream: true });
    await agent.arrival(1);

    host.tick(119_999);
    await settled();
    host.tick(1);

    const { status, rule, body, headers } = await answer;
    expect({ status, rule, body }).toMatchObject({
      status: 408,
      rule: 'stream/silence-ends-it',
      body: { error: { message: expect.stringContaining('120 seconds') } },
    });
    expect(headers.get('x-agent-session-id')).toMatch(/./);
  });

  test('that is not there names the session of the stream that it does not give', async () => {
    const foundry = await opened();
    await foundry.reply('digest', { kind: 'forward', url: 'http://127.0.0.1:9' });

    const { status, headers } = await foundry.post(RESPONSES, { input: 'x', stream: true });

    expect(status).toBe(424);
    expect(headers.get('x-agent-session-id')).toMatch(/./);
  });

  test('is told whose call it is, where sessions are kept apart', async () => {
    const foundry = await opened({ switches: { session_isolation: 'on' } });
    const agent = await localAgent((response) => response.end('{}'));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });

    await foundry.post(RESPONSES, { input: 'x' }, { 'x-ms-user-identity': 'ada@example.com' });

    expect(agent.heard[0]?.headers['x-agent-user-id']).toBe('ada@example.com');
  });

  test('that is silent for two minutes is given up: a broken stream after it', async () => {
    const host = manualClock(START);
    const foundry = await opened({ host });
    let say = (_: string) => {};
    const agent = await localAgent((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      say = (text) => response.write(text);
      say('data: {"n":1}\n\n');
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const answer = await stream(foundry);
    await answer.next();

    const second = answer.next();
    host.tick(60_000);
    say('data: {"n":2}\n\n');
    expect(eventsIn((await second) ?? '')).toEqual([{ n: 2 }]);
    const third = answer.next();
    third.catch(() => {});
    await settled();
    host.tick(119_999);
    await settled();
    host.tick(1);

    await expect(third).rejects.toThrow();
  });

  test('has its answer kept when its stream ends with one', async () => {
    const foundry = await opened();
    const object = { id: 'resp_mine', object: 'response', status: 'completed', output: [] };
    const agent = await localAgent((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const event = { type: 'response.completed', response: object };
      response.end(`event: response.completed\ndata: ${JSON.stringify(event)}\n\n`);
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });

    await (await stream(foundry)).rest();
    await settled();

    expect((await foundry.get(`${RESPONSES}/resp_mine`)).body).toMatchObject(object);
  });

  test('answers an invocation with any bytes, and hears any', async () => {
    const foundry = await opened();
    const bytes = Buffer.from([0, 255, 128, 10, 13, 0]);
    const agent = await localAgent((response) => {
      response.writeHead(203, { 'content-type': 'image/x-odd' });
      response.end(bytes);
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const session = await foundry.post('/agents/digest/endpoint/sessions', {});
    const id = session.body.agent_session_id;

    const answer = await foundry.fetch(`${foundry.endpoint}${INVOCATIONS}?agent_session_id=${id}`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer hush',
        'content-type': 'text/plain; charset=utf-8',
        'x-client-color': 'blue',
      },
      body: 'plain words',
    });

    expect(answer.status).toBe(203);
    expect(answer.headers.get('content-type')).toBe('image/x-odd');
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(bytes);
    const [heard] = agent.heard;
    expect(heard?.url).toBe(`/invocations?agent_session_id=${id}`);
    expect(heard?.body).toBe('plain words');
    expect(heard?.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'x-client-color': 'blue',
      'x-agent-session-id': id,
      'x-agent-foundry-call-id': expect.stringMatching(/./),
    });
    expect(JSON.stringify(heard?.headers)).not.toContain('hush');
  });
});

describe('a fault of the answer', () => {
  test('that loses it breaks a stream off after its first piece', async () => {
    const foundry = await opened();
    await foundry.faults({ operation: 'createAgentResponse', times: 1, fault: 'lose_response' });
    const answer = await stream(foundry);

    expect(types(eventsIn((await answer.next()) ?? ''))).toEqual(['created']);
    await expect(answer.next()).rejects.toThrow('fetch failed');
    expect(foundry.project.engine.waits.streams).toBe(0);
  });

  test('that garbles it damages the second piece and ends there', async () => {
    const foundry = await opened();
    await foundry.faults({ operation: 'createAgentResponse', times: 1, fault: 'garble' });
    const answer = await stream(foundry);

    expect(types(eventsIn((await answer.next()) ?? ''))).toEqual(['created']);
    const rest = `${await answer.next()}${await answer.next()}`;
    expect(rest).toMatch(/^event: response\.in_progress\n/);
    expect(rest.endsWith('\u0000')).toBe(true);
    expect(await answer.next()).toBeUndefined();
  });

  test('that slows it lets world time pass before each piece', async () => {
    const foundry = await opened();
    const fault = { kind: 'slow_body', every: '1s', bytes: 1_000 };
    await foundry.faults({ operation: 'createAgentResponse', times: 1, fault });

    const events = await (await stream(foundry)).rest();

    expect(types(events).at(-1)).toBe('completed');
    const seconds = (Date.parse(await foundry.now()) - START) / 1_000;
    expect(seconds).toBeGreaterThanOrEqual(events.length);
  });

  test('that rewrites it rewrites each event that has the field', async () => {
    const foundry = await opened();
    const fault = { kind: 'rewrite', set: { '/response/status': 'odd' } };
    await foundry.faults({ operation: 'createAgentResponse', times: 1, fault });

    const events = await (await stream(foundry)).rest();

    expect(events.filter((event) => event.response).map((event) => event.response.status)).toEqual([
      'odd',
      'odd',
      'odd',
    ]);
  });

  test('that disconnects it does so before anything is said', async () => {
    const foundry = await opened();
    await foundry.faults({ operation: 'createAgentResponse', times: 1, fault: 'disconnect' });

    await expect(stream(foundry)).rejects.toThrow('fetch failed');
  });
});

test('streams are replayed: the same journal comes out', async () => {
  const agent = await localAgent((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const object = { id: 'resp_mine', object: 'response', status: 'completed', output: [] };
    const event = { type: 'response.completed', response: object };
    response.end(`data: ${JSON.stringify(event)}\n\n`);
  });
  const foundry = await opened();
  await (await stream(foundry)).rest();
  await foundry.reply('digest', script({ text: 'one two three', every: '10s' }));
  await (await stream(foundry)).rest();
  await (await stream(foundry)).leave();
  await foundry.reply('digest', { kind: 'forward', url: agent.url });
  await (await stream(foundry)).rest();
  await settled();
  expect((await foundry.delete(`${RESPONSES}/resp_mine`)).status).toBe(200);
  await foundry.advance('1h');

  const lines = canonicalLines(foundry.project);

  expect(await replayJournal(lines)).toEqual(lines);
});

test('a stream that breaks off ends its connection, after all that was said before', async () => {
  const foundry = await opened();
  await foundry.reply('digest', script({ text: 'one two', cut_after: 5 }));
  const server = await serve({ fetch: foundry.emulator.fetch, host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.close());
  const url = `${server.url}/api/projects/tests${RESPONSES}`;
  const init = {
    method: 'POST',
    headers: { authorization: 'Bearer t', 'content-type': 'application/json' },
    body: JSON.stringify({ input: 'x', stream: true }),
  };

  const answer = await reading(fetch(url, init));
  let text = '';
  const broken = (async () => {
    for (let piece = await answer.next(); piece; piece = await answer.next()) text += piece;
  })();

  await expect(broken).rejects.toThrow('terminated');
  expect(eventsIn(text).flatMap((event) => event.delta ?? [])).toEqual(['one', ' t']);
});
