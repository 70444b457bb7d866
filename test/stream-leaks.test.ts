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
/** Far more than the sockets on the way hold, which is up to 10 MB each. */
const OFFERED = (256 * MEGABYTE) / PIECE.length;
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

/** An emulator that forwards to an agent which says so many pieces, each as soon as there is room for it. */
async function forwarding(pieces: number) {
  const told = { pieces: 0 };
  function* speech(): Generator<Buffer> {
    for (let piece = 0; piece < pieces; piece += 1) {
      told.pieces += 1;
      yield PIECE;
    }
  }
  const { url } = await agent(
    (response) => void pipeline(Readable.from(speech(), { highWaterMark: 1 }), response, () => {}),
  );
  const emulator = await start('--rate', '0');
  onTestFinished(() => emulator.end('SIGKILL'));
  await fetch(`${emulator.url}/_emulator/projects/local/agents/demo-agent/reply`, {
    ...INIT,
    method: 'PUT',
    body: JSON.stringify({ kind: 'forward', url }),
  });
  const path = '/api/projects/local/agents/demo-agent/endpoint/protocols/openai/responses';
  const open = async () => {
    const answer = await fetch(emulator.url + path, INIT);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    // A connection that nobody reads does not end with the emulator.
    onTestFinished(() => reader.cancel());
    return reader;
  };
  return { told, pid: emulator.child.pid ?? 0, open };
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>, bytes: number) {
  let left = bytes;
  while (left > 0) {
    const { done, value } = await reader.read();
    if (done) return;
    left -= value.length;
  }
}

function residentBytes(pid: number): number {
  return (
    Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1_024
  );
}

test.skipIf(process.platform === 'win32')(
  'ten streams of 10 MB at once, read slowly, grow the emulator by less than 20 MB',
  async () => {
    const { told, pid, open } = await forwarding(PIECES);
    // One after another, until the process has the size that it works at.
    for (let warm = 0; warm < 5; warm += 1) await read(await open(), Number.POSITIVE_INFINITY);
    const before = residentBytes(pid);
    told.pieces = 0;

    const readers = await Promise.all(Array.from({ length: STREAMS }, open));
    const grown: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(readers.map((reader) => read(reader, MEGABYTE)));
      grown.push((residentBytes(pid) - before) / MEGABYTE);
    }

    expect(told.pieces).toBe(STREAMS * PIECES);
    expect(Math.max(...grown), `MB after each megabyte: ${grown.map(Math.round)}`).toBeLessThan(20);
  },
  MOST_MS,
);

test(
  'what nobody reads is not said either, beyond what sockets hold',
  async () => {
    const { told, open } = await forwarding(OFFERED);
    await read(await open(), MEGABYTE);
    // Until it says no more, or says all that it has.
    let before: number;
    do {
      before = told.pieces;
      await sleep(1_000);
    } while (told.pieces > before);

    expect(told.pieces).toBeLessThan(OFFERED / 2);
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
