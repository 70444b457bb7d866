import { get } from 'node:http';
import { describe, onTestFinished } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import type { EmulatorOptions } from '../emulator/emulator.ts';
import { replayJournal } from '../emulator/replay.ts';
import { serve } from '../emulator/server.ts';
import { expect, type Foundry, lid, openFoundry, START, scratchFolder, test } from './fixture.ts';

const SESSIONS = '/agents/digest/endpoint/sessions';
const LOGS = '/agents/digest/sessions/with-logs:logstream';
const BEARER = { authorization: 'Bearer tests' };

async function withSession({ settings, ...options }: EmulatorOptions = {}): Promise<Foundry> {
  const foundry = openFoundry({ ...options, settings: { provisioning_time: 0, ...settings } });
  await foundry.agent('digest');
  await foundry.post(SESSIONS, { agent_session_id: 'with-logs' });
  return foundry;
}

/** A stream that is read when it is asked for. */
class Stream {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();

  constructor(response: Response) {
    if (!response.body) throw new Error('the answer has no body');
    this.#reader = response.body.getReader();
  }

  /** The messages of so many frames, or of all until the end. */
  async messages(count = Number.POSITIVE_INFINITY): Promise<string[]> {
    const messages: string[] = [];
    while (messages.length < count) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      const frames = this.#decoder.decode(value).matchAll(/^data: (.*)$/gm);
      for (const [, data = ''] of frames) messages.push(JSON.parse(data).message);
    }
    return messages;
  }

  async drop(): Promise<void> {
    await this.#reader.cancel();
  }
}

async function open(foundry: Foundry, query = ''): Promise<Stream> {
  const response = await foundry.fetch(`${foundry.endpoint}${LOGS}${query}`, { headers: BEARER });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  return new Stream(response);
}

async function say(foundry: Foundry, message: string): Promise<void> {
  await foundry.steer(
    'POST',
    foundry.control('/sessions/with-logs/log').slice(foundry.control('').length),
    { message },
  );
}

function due(foundry: Foundry): number {
  const { store } = foundry.project.world;
  return (store.sql("SELECT count(*) AS n FROM due WHERE kind = 'log'").get() as { n: number }).n;
}

/** What open streams hold: listeners of the world, due rows, and whoever must be told when it ends. */
function held(foundry: Foundry): () => { listeners: number; due: number; streams: number } {
  const { world, engine } = foundry.project;
  const onTurn = world.onTurn.bind(world);
  let listeners = 0;
  world.onTurn = (listener) => {
    listeners += 1;
    const off = onTurn(listener);
    return () => {
      listeners -= 1;
      off();
    };
  };
  return () => ({ listeners, due: due(foundry), streams: engine.waits.streams });
}

const NOTHING = { listeners: 0, due: 0, streams: 0 };

describe('a thousand streams that are dropped', () => {
  test('leave no listener and nothing due behind', async () => {
    const foundry = await withSession();
    const counts = held(foundry);

    for (let n = 0; n < 1_000; n += 1) await (await open(foundry)).drop();

    expect(counts()).toEqual(NOTHING);
  });

  test('leave no socket and no timer behind', async () => {
    const foundry = await withSession({ rate: 1, skip: false });
    const counts = held(foundry);
    const server = await serve({ fetch: foundry.emulator.fetch, host: '127.0.0.1', port: 0 });
    onTestFinished(() => server.close());
    const url = `${server.url}/api/projects/${foundry.name}${LOGS}`;
    const before = resources();

    for (let batch = 0; batch < 20; batch += 1)
      await Promise.all(Array.from({ length: 50 }, () => dropped(url)));

    await expect.poll(counts, { timeout: 5_000 }).toEqual(NOTHING);
    const sockets = () => resources().TCPSocketWrap ?? 0;
    await expect.poll(sockets, { timeout: 5_000 }).toBe(before.TCPSocketWrap ?? 0);
    expect(resources().Timeout ?? 0).toBeLessThanOrEqual((before.Timeout ?? 0) + 2);
  }, 120_000);
});

/** A client on a connection of its own, which goes away at the first frame. */
function dropped(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { headers: BEARER, agent: false }, (response) => {
      response.once('data', () => response.destroy());
      response.once('close', () => resolve());
    });
    request.on('error', reject);
  });
}

/** What keeps this process busy, by its kind. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

describe('a reader that does not read', () => {
  test('holds nobody up, and is told how many lines it missed', async () => {
    const foundry = await withSession();
    const stream = await open(foundry);

    for (let n = 1; n <= 2_000; n += 1) await say(foundry, `line ${n}`);
    await foundry.request('DELETE', `${SESSIONS}/none`);

    const messages = await stream.messages(64 + 1_000);
    const dropped = messages.findIndex((message) =>
      message.endsWith('they were not read in time.'),
    );
    const told = Number(/^\d+/.exec(messages[dropped] ?? '')?.[0]);
    expect(messages[dropped - 1]).toBe(`line ${1_000 - told}`);
    expect(messages[dropped + 1]).toBe('line 1001');
    await stream.drop();
  });
});

describe('a stream ends', () => {
  test.for([
    ['a reset', (foundry: Foundry) => foundry.steer('POST', ':reset', {})],
    [
      'the end of its project',
      (foundry: Foundry) => foundry.request('DELETE', foundry.control('')),
    ],
    ['the end of the emulator', (foundry: Foundry) => foundry.emulator.close()],
    ['the port that is about to close', async (foundry: Foundry) => foundry.emulator.endPolls()],
  ] as const)('with %s', async ([, end]) => {
    const foundry = await withSession();
    const { world, engine } = foundry.project;
    const stream = await open(foundry);
    await stream.messages(3);

    await end(foundry);

    expect(await stream.messages()).toEqual([]);
    expect(engine.waits.streams).toBe(0);
    if (!engine.closed)
      expect(world.store.sql("SELECT 1 FROM due WHERE kind = 'log'").get()).toBeUndefined();
  });

  test('after two minutes and not a tick before, keep-alives or not', async () => {
    const foundry = await withSession({ skip: false });
    const stream = await open(foundry);
    await foundry.advance('119s');
    expect(due(foundry)).toBe(1);

    await foundry.advance('1s');

    expect(due(foundry)).toBe(0);
    expect((await stream.messages()).slice(3)).toEqual([
      'No logs since last 60 seconds',
      'Nothing was logged for 2m.',
    ]);
  });

  test("at the host's pace too", async () => {
    const host = lid(START);
    const foundry = await withSession({ rate: 1, skip: false, host });
    const stream = await open(foundry);

    await host.sleep(60_000);
    await host.sleep(60_000);

    expect((await stream.messages()).slice(3)).toEqual([
      'No logs since last 60 seconds',
      'Nothing was logged for 2m.',
    ]);
  });

  test('in a world that was restarted without it, with nothing left due', async () => {
    const dataDir = scratchFolder();
    const foundry = await withSession({ dataDir, skip: false });
    await open(foundry);
    await foundry.emulator.close();

    const again = openFoundry({ dataDir, skip: false });

    expect(due(again)).toBe(0);
  });
});

describe('time', () => {
  test('is not moved by an open stream, nor by who waits beside it', async () => {
    const foundry = await withSession();
    const stream = await open(foundry);

    await foundry.get(`${SESSIONS}/with-logs`);
    await foundry.get(`${SESSIONS}/with-logs`);

    expect(foundry.project.world.now).toBe(START);
    await stream.drop();
  });

  test('is moved by a stream of a sandbox that is still coming', async () => {
    const foundry = await withSession({ settings: { cold_start: '20s' } });

    const stream = await open(foundry);

    expect(await stream.messages(3)).toEqual([
      "Connecting to the container 'agent-container'...",
      "Successfully connected to container: 'agent-container'",
      expect.stringContaining('/readiness'),
    ]);
    expect(foundry.project.world.now).toBe(START + 20_000);
    await stream.drop();
  });

  test('gives the same journal twice, with streams, files and lines in it', async () => {
    const foundry = await withSession({ skip: false });
    const put = {
      method: 'PUT',
      headers: { ...BEARER, 'content-type': 'image/png' },
      body: Buffer.from([0, 255, 7]),
    };
    await foundry.fetch(`${foundry.endpoint}${SESSIONS}/with-logs/files/content?path=a.png`, put);
    const stream = await open(foundry, '?kind=console');
    await say(foundry, 'hello');
    await foundry.advance('90s');
    await stream.drop();
    await foundry.post('/agents/digest/endpoint/protocols/openai/responses', { input: 'hello' });
    await foundry.advance('10m');
    const lines = canonicalLines(foundry.project);

    expect(await replayJournal(lines)).toEqual(lines);
  });
});
