import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { serve } from '../emulator/server.ts';
import { openFoundry } from './fixture.ts';
import { start } from './started.ts';

const MEGABYTE = 1_048_576;
const PIECE = Buffer.alloc(65_536, `data: ${'x'.repeat(1_016)}\n\n`);
const STREAMS = 10;
const PIECES = (10 * MEGABYTE) / PIECE.length;
const DROPPED = 1_000;
/** Each takes a few seconds, but not on a machine that has other things to do. */
const MOST_MS = 180_000;
/** How many are read at once. */
const READERS = 50;

const INIT = {
  method: 'POST',
  headers: { authorization: 'Bearer t', 'content-type': 'application/json' },
  body: JSON.stringify({ input: 'x', stream: true }),
};

/** An agent of the user's own that streams; gone when the test ends. */
async function agent(
  speak: (response: ServerResponse) => void,
): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    speak(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** As much as there is room for, and no more. */
function speakLong(response: ServerResponse, spoken: () => void): void {
  function* pieces(): Generator<Buffer> {
    for (let piece = 0; piece < PIECES; piece += 1) {
      spoken();
      yield PIECE;
    }
  }
  pipeline(Readable.from(pieces(), { highWaterMark: 1 }), response, () => {});
}

function residentBytes(pid: number): number {
  return (
    Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1_024
  );
}

test.skipIf(process.platform === 'win32')(
  'ten streams of 10 MB at once, read slowly, grow the emulator by less than 20 MB',
  async () => {
    let pieces = 0;
    const { url } = await agent(
      (response) =>
        void speakLong(response, () => {
          pieces += 1;
        }),
    );
    const emulator = await start('--rate', '0');
    onTestFinished(() => emulator.end('SIGKILL'));
    const reply = { kind: 'forward', url };
    await fetch(`${emulator.url}/_emulator/projects/local/agents/demo-agent/reply`, {
      ...INIT,
      method: 'PUT',
      body: JSON.stringify(reply),
    });
    const path = '/api/projects/local/agents/demo-agent/endpoint/protocols/openai/responses';
    const open = async () => {
      const answer = await fetch(emulator.url + path, INIT);
      return (answer.body as ReadableStream<Uint8Array>).getReader();
    };
    const read = async (reader: ReadableStreamDefaultReader<Uint8Array>, bytes: number) => {
      let left = bytes;
      while (left > 0) {
        const { done, value } = await reader.read();
        if (done) return;
        left -= value.length;
      }
    };
    // One after another, until the process has the size that it works at.
    for (let warm = 0; warm < 5; warm += 1) await read(await open(), Number.POSITIVE_INFINITY);
    const before = residentBytes(emulator.child.pid ?? 0);
    pieces = 0;

    const readers = await Promise.all(Array.from({ length: STREAMS }, open));
    const grown: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(readers.map((reader) => read(reader, MEGABYTE)));
      grown.push((residentBytes(emulator.child.pid ?? 0) - before) / MEGABYTE);
      // What nobody reads is not said either.
      if (round === 0) expect(pieces).toBeLessThan(STREAMS * PIECES * 0.9);
    }

    expect(pieces).toBe(STREAMS * PIECES);
    expect(Math.max(...grown), `MB after each megabyte: ${grown.map(Math.round)}`).toBeLessThan(20);
  },
  MOST_MS,
);

test(
  'after 1,000 dropped streams all timers, sockets and listeners are gone',
  async () => {
    let closed = 0;
    let allClosed = () => {};
    const { url, server } = await agent((response) => {
      response.write('data: {"n":1}\n\n');
      response.on('close', () => {
        closed += 1;
        if (closed === DROPPED) allClosed();
      });
    });
    const foundry = openFoundry({ settings: { provisioning_time: 0 } });
    await foundry.agent('digest');
    await foundry.agent('script');
    await foundry.reply('digest', { kind: 'forward', url });
    await foundry.reply('script', { kind: 'script', turns: [{ text: 'one two', every: '1h' }] });
    const port = await serve({ fetch: foundry.emulator.fetch, host: '127.0.0.1', port: 0 });
    onTestFinished(() => port.close());
    const { world, engine } = foundry.project;
    let listeners = 0;
    const onTurn = world.onTurn.bind(world);
    world.onTurn = (listener) => {
      const off = onTurn(listener);
      let on = true;
      listeners += 1;
      return () => {
        if (on) listeners -= 1;
        on = false;
        return off();
      };
    };

    const gone = new Promise<void>((resolve) => {
      allClosed = resolve;
    });
    const drop = async (name: string) => {
      const path = `/api/projects/tests/agents/${name}/endpoint/protocols/openai/responses`;
      // Without a pool, which would open connections of its own accord.
      const sent = request(port.url + path, {
        method: INIT.method,
        headers: INIT.headers,
        agent: false,
      });
      sent.end(INIT.body);
      const [answer] = (await once(sent, 'response')) as [IncomingMessage];
      await once(answer, 'data');
      answer.destroy();
    };
    for (let dropped = 0; dropped < DROPPED; dropped += READERS) {
      await Promise.all(Array.from({ length: READERS }, () => drop('digest')));
    }

    await gone;
    for (let dropped = 0; dropped < READERS; dropped += 1) await drop('script');

    await becomes(() => ({ streams: engine.waits.streams, ...resources() }), {
      streams: 0,
      Timeout: 0,
      TCPSocketWrap: 0,
    });
    expect(listeners).toBe(0);
    expect(engine.waits.list()).toEqual([]);
    const connections = await new Promise((resolve) =>
      server.getConnections((_, count) => resolve(count)),
    );
    expect(connections).toBe(0);
  },
  MOST_MS,
);

/** Waits for a value, without a timer while it is looked at. */
async function becomes(look: () => object, value: object): Promise<void> {
  for (let round = 0; round < 100 && !isDeepStrictEqual(look(), value); round += 1)
    await sleep(100);
  expect(look()).toEqual(value);
}

/** How many timers and sockets keep the process up. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = { Timeout: 0, TCPSocketWrap: 0 };
  for (const name of process.getActiveResourcesInfo())
    if (name in counts) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
