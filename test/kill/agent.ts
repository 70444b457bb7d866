/**
 * The downstream of the kill test: a process of its own that outlives every kill and remembers each call by its delivery's id.
 * What a call gets follows from the seed, its id and how often that came: mostly an answer after a while, sometimes a 503, a
 * broken connection, or nothing at all. It prints its url, answers GET with the calls, and ends with its stdin.
 */
import { createHash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A call as its agent saw it; instants are milliseconds of the host, `to` is null while it is open. */
export interface Call {
  id: string;
  from: number;
  to: number | null;
}

const seed = process.argv[2] ?? '';
const calls: Call[] = [];
const counts = new Map<string, number>();

const now = () => performance.timeOrigin + performance.now();

/** From 0 to 255, drawn by key. */
function drawn(...key: (string | number)[]): number {
  return createHash('sha256').update(key.join(' ')).digest()[0] ?? 0;
}

async function answer(id: string, count: number, response: ServerResponse): Promise<void> {
  const fate = drawn(seed, 'fate', id, count);
  // Until the caller gives up, or is gone.
  if (fate < 8) return;
  await sleep(20 + drawn(seed, 'latency', id, count) / 2);
  if (fate < 24) {
    response.socket?.resetAndDestroy();
    return;
  }
  response.writeHead(fate < 90 ? 503 : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ id: `resp_${id}_${count}` }));
}

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify(calls));
    return;
  }
  const id = String(request.headers['x-ms-client-request-id']);
  const count = (counts.get(id) ?? 0) + 1;
  counts.set(id, count);
  const call: Call = { id, from: now(), to: null };
  calls.push(call);
  response.once('close', () => {
    call.to = now();
  });
  request.resume();
  void answer(id, count, response);
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.stdin.resume().once('end', () => process.exit(0));
