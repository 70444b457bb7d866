/** Bodies and answers that are no single JSON: cut off, too long, or read no further, on real sockets. */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Bench } from './bench.ts';
import { filledIn } from './refusal.ts';
import { bytesOf, Wire } from './wire.ts';
import { CODED, digestOf, FORM_TYPE, formOf, SESSION, uploadOf, WORLD, ZIP } from './world.ts';

const DIGEST = `/api/projects/${WORLD}/agents/digest`;
const FILE = `${DIGEST}/endpoint/sessions/${SESSION}/files/content?path=large`;
const HEADERS = [
  ['host', 'localhost'],
  ['authorization', 'Bearer x'],
] as const;
const MIB = 1024 * 1024;

let bench: Bench;

beforeAll(async () => {
  bench = new Bench();
  await bench.open();
});

beforeEach(() => bench.putBack());

afterAll(() => bench.close());

/** Everything that has been asked for is over, as far as the world knows. */
async function untilAtRest(): Promise<void> {
  await expect.poll(() => bench.changed, { timeout: 5_000 }).toBe(false);
  const answer = await bench.wire.send({ method: 'GET', path: DIGEST, headers: HEADERS });
  expect(answer?.status).toBe(200);
  expect(bench.printed()).toEqual([]);
}

function open(): Socket {
  return connect({ port: bench.port, host: '127.0.0.1' }).on('error', () => {});
}

test('a log that is read no further leaves nothing in the world', async () => {
  const readers = Array.from({ length: 20 }, () => new Wire(bench.port));
  const path = `${DIGEST}/sessions/${SESSION}:logstream`;
  const answers = await Promise.all(
    readers.map((reader) => reader.send({ method: 'GET', path, headers: HEADERS })),
  );
  for (const answer of answers) expect(answer?.text).toMatch(/^event: log\ndata: \{/);
  await untilAtRest();
});

test.for([
  ['a form', `${DIGEST}/versions`, FORM_TYPE, formOf(uploadOf(Buffer.from('{}'), ZIP))],
  ['a file', FILE, 'application/octet-stream', Buffer.alloc(MIB)],
] as const)('%s that is cut off changes nothing', async ([, path, type, body]) => {
  const method = path === FILE ? 'PUT' : 'POST';
  const headers = [...HEADERS, ['content-type', type]] as const;
  const bytes = bytesOf({ method, path, headers, body });
  const socket = open();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(bytes.subarray(0, bytes.length - 20), () => socket.destroy());
  await closed;
  await untilAtRest();
});

test.for([
  ['/threads/runs', { assistant_id: '{assistant}' }],
  ['/threads/{thread}/runs', { assistant_id: '{assistant}' }],
  [
    '/threads/{waiting}/runs/{asking}/submit_tool_outputs',
    { tool_outputs: [{ tool_call_id: '{call}' }] },
  ],
] as const)('a run goes on though nobody reads what %s tells of it', async ([path, asked]) => {
  const { engine, world } = bench.emulator.project(WORLD);
  const request = filledIn(
    { method: 'POST', path: `/api/projects/${WORLD}${path}`, body: { ...asked, stream: true } },
    bench.known,
  );
  const body = Buffer.from(JSON.stringify(request.body));
  const socket = open();
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  socket.write(bytesOf({ ...request, headers: HEADERS, body }));
  await expect.poll(() => received, { timeout: 5_000 }).toContain('event: thread.run.queued');
  const [, run] = /"id":"(run_\w+)"/.exec(received) ?? [];
  expect(engine.waits.streams).toBe(1);

  socket.destroy();

  await expect.poll(() => engine.waits.streams, { timeout: 5_000 }).toBe(0);
  expect(engine.waits.list()).toEqual([]);
  const due = world.store.sql('SELECT count(*) AS rows FROM due WHERE ref = ?');
  expect(due.get(`thread_run:${run}`)).toEqual({ rows: 2 });
});

test('a file in chunks is refused once it is too long, whatever it said of its length', async () => {
  const headers = [...HEADERS, ['transfer-encoding', 'chunked']] as const;
  const socket = open();
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    received += text;
  });
  socket.write(bytesOf({ method: 'PUT', path: FILE, headers }));
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(MIB), Buffer.from('\r\n')]);
  for (let sent = 0; sent < 80 && received === ''; sent += 1)
    await new Promise((resolve) => socket.write(chunk, resolve));
  await expect.poll(() => received, { timeout: 5_000 }).toMatch(/^HTTP\/1\.1 413 /);
  expect(received).toContain('x-foundrite-rule: file/max-50-mb');
  socket.destroy();
  await untilAtRest();
});

test('a file is read as it was written, whatever its bytes', async () => {
  const body = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const written = await bench.wire.send({ method: 'PUT', path: FILE, headers: HEADERS, body });
  expect(written?.status).toBe(201);
  const read = await bench.wire.send({ method: 'GET', path: FILE, headers: HEADERS });
  expect(read?.text).toBe(body.toString());
});

test('code is fetched as it was sent, whether its part has a file name or not', async () => {
  const metadata = Buffer.from(JSON.stringify({ definition: CODED }));
  const parts = uploadOf(metadata, ZIP).map(({ name, content }) => ({ name, content }));
  const path = `/api/projects/${WORLD}/agents/nameless`;
  const made = await bench.wire.send({
    method: 'POST',
    path: `${path}/versions`,
    headers: [
      ...HEADERS,
      ['content-type', FORM_TYPE],
      ['x-ms-code-zip-sha256', digestOf(ZIP).toUpperCase()],
    ],
    body: formOf(parts),
  });
  expect(made?.status, made?.text).toBe(200);
  const code = await bench.wire.send({
    method: 'GET',
    path: `${path}/code:download`,
    headers: HEADERS,
  });
  expect(code?.text).toBe(ZIP.toString());
});
