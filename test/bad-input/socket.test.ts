/** Bytes that are no request, or hardly one: each is answered as far as HTTP lets us, and the next good request is answered too. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkResponse } from '../../contracts/openapi.ts';
import { type Certificate, loadCertificate } from '../../emulator/certificate.ts';
import { systemClock } from '../../emulator/clock.ts';
import { createEmulator, type Emulator } from '../../emulator/emulator.ts';
import { type Serving, serve } from '../../emulator/server.ts';
import { HEADER_BYTES_MAX } from '../../emulator/unasked.ts';
import { BAD_UTF8 } from './mutate-body.ts';
import { type RawAnswer, readAnswer } from './wire.ts';
import { ask } from './world.ts';

/** What has not ended after this long hangs. */
const HANG_MS = 5_000;
const MIB = 1024 * 1024;

const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
const notices: string[] = [];
let certificate: Certificate;
let emulator: Emulator;
let serving: Serving;
/** With little patience. */
let hasty: Serving;

beforeAll(async () => {
  certificate = await loadCertificate({ home });
  emulator = createEmulator({
    now: Date.parse('2026-06-01T00:00:00Z'),
    notice: (notice) => notices.push(notice),
  });
  const options = {
    fetch: (request: Request, env: unknown) => emulator.fetch(request, env),
    host: '127.0.0.1',
    port: 0,
    tls: () => certificate,
  };
  serving = await serve(options);
  hasty = await serve({ ...options, headersMs: 150, requestMs: 200, lookMs: 20 });
});

beforeEach(() => void notices.splice(0));

afterAll(async () => {
  // Every connection has ended by itself, before anything is closed.
  const connections = () =>
    process.getActiveResourcesInfo().filter((kind) => /^(TCPSocketWrap|TLSWrap)$/.test(kind));
  const start = performance.now();
  while (connections().length > 0 && performance.now() - start < HANG_MS)
    await new Promise((resolve) => setImmediate(resolve));
  const left = connections();
  await Promise.all([serving.close(), hasty.close()]);
  await emulator.close();
  rmSync(home, { recursive: true, force: true });
  expect(left).toEqual([]);
});

function open(secure: boolean, port = serving.port): Socket {
  const to = { port, host: '127.0.0.1' };
  const socket = secure ? tlsConnect({ ...to, ca: certificate.caPem }) : connect(to);
  // A connection that was reset shows as answers that are missing.
  return socket.on('error', () => {});
}

/** Writes bytes, and hands back all answers once the other side has closed the connection. */
async function talk(
  bytes: string | Buffer,
  { secure = false, halfClose = false, port = serving.port } = {},
): Promise<RawAnswer[]> {
  const socket = open(secure, port);
  if (halfClose) socket.end(bytes);
  else socket.write(bytes);
  const received = await readToEnd(socket);
  const answers: RawAnswer[] = [];
  for (let rest = received; rest.length > 0; ) {
    const whole = readAnswer(rest, 'GET', true);
    if (whole === undefined) throw new Error(`half an answer: ${rest.toString('latin1')}`);
    answers.push(whole.answer);
    rest = whole.rest;
  }
  return answers;
}

async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = await new Promise<boolean>((resolve) => {
    const cancel = systemClock.after(HANG_MS, () => resolve(false), true);
    socket.once('close', () => {
      cancel();
      resolve(true);
    });
    socket.once('end', () => socket.end());
  });
  socket.destroy();
  if (!ended) throw new Error(`hangs after ${Buffer.concat(chunks).toString('latin1')}`);
  return Buffer.concat(chunks);
}

const HEAD = 'Host: localhost\r\nAuthorization: Bearer x\r\n';
const READY = '/_emulator/ready';
const PUT = `PUT /api/projects/p/routines/r HTTP/1.1\r\n${HEAD}Connection: close\r\n`;
const ROUTINE = JSON.stringify({
  triggers: { t: { type: 'custom', provider: 'p', parameters: {} } },
  action: { type: 'invoke_agent_responses_api', agent_name: 'a' },
});

function get(path: string, more = ''): string {
  return `GET ${path} HTTP/1.1\r\n${HEAD}${more}Connection: close\r\n\r\n`;
}

function put(body: string | Buffer, more = ''): Buffer {
  const bytes = Buffer.from(body);
  const head = `${PUT}${more}Content-Length: ${bytes.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}

function chunked(...lines: string[]): string {
  return `${PUT}Transfer-Encoding: chunked\r\n\r\n${lines.join('\r\n')}\r\n`;
}

/** A good request on a new connection, after whatever came before. */
async function isFine(secure = false): Promise<void> {
  const [answer] = await talk(get(READY), { secure });
  expect(answer?.status).toBe(200);
  expect(notices).toEqual([]);
}

/** An answer of ours: the error envelope where it is a refusal, and nothing else. */
function expectRefusal(answer: RawAnswer | undefined, status: number): void {
  expect([answer?.status, answer?.text]).toEqual([status, expect.any(String)]);
  const { headers, text } = answer as RawAnswer;
  expect(checkResponse('GET', '/none', status, headers, text)).toEqual([]);
  const { message } = JSON.parse(text).error;
  expect(message).toMatch(/[A-Z].*\.$/);
  expect(text).not.toMatch(/node_modules|\.[jt]s:|\/work\//);
}

const many = (count: number) =>
  Array.from({ length: count }, (_, index) => `x-${index}: ${index}\r\n`).join('');

/** Everything that is refused, by the status that it gets. */
const REFUSED: Record<string, readonly [status: number, bytes: string | Buffer]> = {
  words: [400, 'hello\r\n\r\n'],
  'HTTP/0.9': [400, 'GET /_emulator/ready\r\n\r\n'],
  'the preface of HTTP/2': [400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  'another version': [400, `GET ${READY} HTTP/3.0\r\n${HEAD}\r\n`],
  'bare line feeds': [400, get(READY).replaceAll('\r\n', '\n')],
  'a folded header': [400, get(READY, 'x-a: 1\r\n 2\r\n')],
  'a space before the colon': [400, get(READY, 'x-a : 1\r\n')],
  'a header without a name': [400, get(READY, ': 1\r\n')],
  'NUL in a header': [400, get(READY, 'x-a: \0\r\n')],
  'NUL in the path': [400, get(`${READY}\0`)],
  'a space in the path': [400, get(`${READY} x`)],
  'a backslash in the path': [400, get('/_emulator\\ready')],
  'a method of its own': [400, get(READY).replace('GET', 'FOO')],
  'a method in lower case': [400, get(READY).replace('GET', 'get')],
  'an asterisk': [400, get('*').replace('GET', 'OPTIONS')],
  'the form of a proxy': [400, get('localhost:80')],
  CONNECT: [405, `CONNECT localhost:80 HTTP/1.1\r\n${HEAD}\r\n`],
  TRACE: [404, get('/api/projects/p/routines').replace('GET', 'TRACE')],
  'no host': [400, `GET ${READY} HTTP/1.1\r\nConnection: close\r\n\r\n`],
  'two hosts': [400, get(READY, 'Host: localhost\r\n')],
  'another host': [421, get(READY).replace('localhost', 'evil.test')],
  'another host in an absolute target': [421, get(`http://evil.test${READY}`)],
  'a host that is none': [400, get(READY).replace('localhost', 'a b')],
  'an expectation that is unknown': [417, get(READY, 'Expect: x\r\n')],
  'a length and chunks': [
    400,
    `${PUT}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  'two lengths': [400, `${PUT}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
  'one length twice': [400, `${PUT}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`],
  'a negative length': [400, `${PUT}Content-Length: -1\r\n\r\n{}`],
  'chunks within gzip': [400, `${PUT}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
  'almost chunks': [400, `${PUT}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  'a chunk of no size': [400, chunked('zz', '{}', '0', '')],
  'a chunk of too great a size': [400, chunked('fffffffffffffffff', '{}', '0', '')],
  'a chunk longer than it says': [400, chunked('1', '{}', '0', '')],
  'headers past the limit': [431, get(READY, `x-a: ${'x'.repeat(HEADER_BYTES_MAX)}\r\n`)],
  'a path past the limit': [431, get(`/${'x'.repeat(HEADER_BYTES_MAX)}`)],
  'too many headers': [431, get(READY, many(10_000))],
  'extensions of chunks': [413, chunked(`2;${'x'.repeat(20_000)}`, '{}', '0', '')],
  'broken JSON': [400, put('{"triggers":')],
  'two JSON values': [400, put('{}{}')],
  'JSON in UTF-16': [400, put(Buffer.from(`\ufeff${ROUTINE}`, 'utf16le'))],
  'a body in gzip': [400, put(gzipSync(ROUTINE), 'Content-Encoding: gzip\r\n')],
  'a body that is said to be gzip': [400, put(ROUTINE, 'Content-Encoding: gzip\r\n')],
  'a body that is too long': [413, `${PUT}Content-Length: ${16 * MIB + 1}\r\n\r\n`],
  'a path that climbs out': [404, get('/_emulator/../../etc/passwd')],
  'a path that climbs out, encoded': [404, get('/_emulator/%2e%2e/%2e%2e/etc/passwd')],
  'an encoded slash': [404, get('/_emulator%2fready')],
  'two slashes': [404, get(`/${READY}`)],
  'a long path': [404, get(`/${'x'.repeat(60_000)}`)],
};
for (const [index, bytes] of BAD_UTF8.entries()) {
  const body = Buffer.concat([Buffer.from('{"a":"'), bytes, Buffer.from('"}')]);
  REFUSED[`UTF-8 that is none, ${index}`] = [400, put(body)];
}

/** Odd, and yet good. */
const TAKEN: Record<string, string | Buffer> = {
  'a dot in the path': get('/_emulator/./ready'),
  'a way there and back': get('/x/../_emulator/ready'),
  'a fragment of a query': get(`${READY}?`),
  'an absolute target': get(`http://localhost${READY}`),
  'HTTP/1.0 without a host': `GET ${READY} HTTP/1.0\r\n\r\n`,
  'an upgrade that is not taken': get(READY, 'Upgrade: websocket\r\n'),
  'hundreds of headers': get(READY, many(900)),
  'an empty line before': `\r\n${get(READY)}`,
  'another media type': put(ROUTINE, 'Content-Type: application/xml\r\n'),
  'a byte order mark': put(`\ufeff${ROUTINE}`),
  chunks: chunked(ROUTINE.length.toString(16), ROUTINE, '0', ''),
  'chunks with extensions and a trailer': chunked(
    `${ROUTINE.length.toString(16)};a=b`,
    ROUTINE,
    '0',
    'x-a: b',
    '',
  ),
  'a body that waits for 100': put(ROUTINE, 'Expect: 100-continue\r\n'),
};

beforeAll(async () => {
  await ask(emulator, 'POST', '/api/projects/p/agents/a/versions', {
    definition: { kind: 'prompt', model: 'm' },
  });
});

describe.for([
  ['plain', false],
  ['TLS', true],
] as const)('over %s', ([, secure]) => {
  test.for(Object.entries(REFUSED))('%s', async ([, [status, bytes]]) => {
    const answers = await talk(bytes, { secure });
    expect(answers.length).toBe(1);
    expectRefusal(answers[0], status);
    await isFine(secure);
  });

  test.for(Object.entries(TAKEN))('%s', async ([, bytes]) => {
    const [answer] = await talk(bytes, { secure });
    expect([answer?.status, answer?.text]).toEqual([200, expect.any(String)]);
    await isFine(secure);
  });

  test('requests that come at once are answered in order, up to the one that is none', async () => {
    const keep = get(READY).replace('Connection: close\r\n', '');
    const bytes = `${keep}${keep.replace('ready', 'x')}${keep}hello\r\n\r\n`;
    const answers = await talk(bytes, { secure });
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 200, 400]);
    await isFine(secure);
  });

  test.for([
    ['the headers', `GET ${READY} HTTP/1.1\r\nHost: loc`],
    ['the body', `${PUT}Content-Length: 10\r\n\r\n{`],
    ['a chunk', `${PUT}Transfer-Encoding: chunked\r\n\r\n5\r\n{`],
  ] as const)('who is slow within %s is told so', async ([, bytes]) => {
    const [answer] = await talk(bytes, { secure, port: hasty.port });
    expectRefusal(answer, 408);
    await isFine(secure);
  });

  test.for([
    ['the headers', `GET ${READY} HTTP/1.1\r\nHost: loc`],
    ['the body', `${PUT}Content-Length: 10\r\n\r\n{`],
    ['a chunk', `${PUT}Transfer-Encoding: chunked\r\n\r\n5\r\n{`],
  ] as const)('who goes away within %s leaves nothing behind', async ([, bytes]) => {
    const half = await talk(bytes, { secure, halfClose: true });
    for (const answer of half) expectRefusal(answer, 400);
    const socket = open(secure);
    await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
    socket.destroy();
    await isFine(secure);
  });

  test('who closes its own half is answered', async () => {
    const [answer] = await talk(get(READY), { secure, halfClose: true });
    expect(answer?.status).toBe(200);
  });
});

test('a handshake that is none ends the connection', async () => {
  const socket = open(false);
  socket.write(Buffer.concat([Buffer.from([0x16, 0x03, 0x01]), Buffer.alloc(100, 0xff)]));
  // An alert of TLS, and no HTTP.
  expect((await readToEnd(socket)).toString('latin1')).not.toContain('HTTP');
  await isFine();
});

test('a body without an end is refused, and never held', async () => {
  // Both ends are in this process. When it is kept waiting for half a second at the wrong moment, the connection is over before
  // the answer is read, and TCP drops the answer with it: then once more.
  let answer: RawAnswer | undefined;
  for (let tries = 0; answer === undefined && tries < 5; tries += 1)
    answer = await sendWithoutEnd();
  expectRefusal(answer, 413);
  await isFine();
});

async function sendWithoutEnd(): Promise<RawAnswer | undefined> {
  const socket = open(false);
  const received = readToEnd(socket);
  socket.write(`${PUT}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = Buffer.concat([
    Buffer.from(`${MIB.toString(16)}\r\n`),
    Buffer.alloc(MIB, 0x20),
    Buffer.from('\r\n'),
  ]);
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  let sent = 0;
  while (!socket.destroyed && socket.writable && sent < 256) {
    const taken = new Promise((resolve) => socket.write(chunk, resolve));
    const gone = new Promise((resolve) => socket.once('close', resolve));
    await Promise.race([taken, gone]);
    socket.removeAllListeners('drain');
    sent += 1;
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  // It is cut off long before that.
  expect(sent).toBeLessThan(200);
  expect(most / MIB).toBeLessThan(64);
  return readAnswer(await received, 'PUT', true)?.answer;
}

test('who hangs up while the clock is moved stops it, and nothing is lost', async () => {
  await ask(emulator, 'PUT', '/api/projects/p/routines/often', {
    triggers: { t: { type: 'schedule', cron_expression: '0 * * * *', time_zone: 'UTC' } },
    action: { type: 'invoke_agent_responses_api', agent_name: 'a' },
  });
  for (const [call, body, accept] of [
    ['POST /_emulator/projects/p/clock:advance', { by: '3000d' }, 'application/x-ndjson'],
    ['POST /_emulator/projects/p/clock:advance', { by: '3000d' }, 'application/json'],
    ['PUT /_emulator/projects/p/clock', { now: '9000-01-01T00:00:00Z' }, 'application/json'],
  ] as const) {
    const { engine } = emulator.project('p');
    const text = JSON.stringify(body);
    const socket = open(false);
    socket.write(
      `${call} HTTP/1.1\r\n${HEAD}Accept: ${accept}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    while (!engine.advancing) await new Promise((resolve) => setImmediate(resolve));
    socket.resetAndDestroy();
    while (engine.advancing) await new Promise((resolve) => setImmediate(resolve));
    const moved = await ask(emulator, 'POST', '/_emulator/projects/p/clock:advance', { by: '2h' });
    expect([moved.body.reached, moved.body.fired.length]).toEqual([true, 2]);
    await isFine();
  }
});
