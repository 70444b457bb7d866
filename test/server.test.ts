import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Certificate, loadCertificate } from '../emulator/certificate.ts';
import { ListenError, type ServeOptions, type Serving, serve } from '../emulator/server.ts';
import { HEADER_BYTES_MAX } from '../emulator/unasked.ts';

const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
let certificate: Certificate;

beforeAll(async () => {
  certificate = await loadCertificate({ home });
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function serving(options: Partial<ServeOptions> = {}): Promise<Serving> {
  const server = await serve({
    fetch: (request) => Response.json({ url: request.url }),
    host: '127.0.0.1',
    port: 0,
    tls: () => certificate,
    ...options,
  });
  onTestFinished(() => server.close());
  return server;
}

function get(url: string, options: object = {}): Promise<{ status: number; text: string }> {
  const send = url.startsWith('https') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(url, { ca: certificate.caPem, ...options }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    request.on('error', reject).end();
  });
}

test('one port speaks HTTP and TLS', async () => {
  const { url, httpsUrl, port } = await serving();

  const plain = await get(`${url}/a?b=1`);
  const secure = await get(`${httpsUrl}/a?b=1`);

  expect(JSON.parse(plain.text)).toEqual({ url: `http://127.0.0.1:${port}/a?b=1` });
  expect(JSON.parse(secure.text)).toEqual({ url: `https://127.0.0.1:${port}/a?b=1` });
});

test('the certificate holds for a name of the live service', async () => {
  const { port } = await serving();

  const socket = tlsConnect({
    port,
    host: '127.0.0.1',
    servername: 'x.services.ai.azure.com',
    ca: certificate.caPem,
  });
  await once(socket, 'secureConnect');

  expect(socket.authorized).toBe(true);
  socket.destroy();
});

test('the certificate is not asked for before somebody speaks TLS', async () => {
  let asked = 0;
  const { url, httpsUrl } = await serving({
    tls: () => {
      asked += 1;
      return certificate;
    },
  });

  await get(url);
  const before = asked;
  await get(httpsUrl);
  await get(httpsUrl);

  expect([before, asked]).toEqual([0, 1]);
});

test('a certificate that cannot be read costs the connection, not the server', async () => {
  const { url, httpsUrl } = await serving({ tls: () => ({ cert: 'none', key: 'none' }) });

  await expect(get(httpsUrl)).rejects.toThrow();
  expect((await get(url)).status).toBe(200);
});

test('the app is handed the socket beside the request', async () => {
  let keys: string[] = [];
  const { url } = await serving({
    fetch: (_request, env) => {
      keys = Object.keys(env as object);
      return new Response('');
    },
  });

  await get(url);

  expect(keys).toEqual(['incoming', 'outgoing']);
});

test('a connection that says nothing is dropped', async () => {
  const { port } = await serving({ firstByteMs: 20 });

  const socket = connect(port, '127.0.0.1');
  socket.resume();
  await once(socket, 'close');

  expect(socket.bytesRead).toBe(0);
});

test('a connection that closes without a word leaves nothing behind', async () => {
  const { port, url } = await serving();

  const socket = connect(port, '127.0.0.1');
  socket.on('connect', () => socket.end());
  socket.resume();
  await once(socket, 'close');

  expect((await get(url)).status).toBe(200);
});

test('a request that arrives byte by byte is answered', async () => {
  const { port } = await serving();

  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  for (const byte of 'GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n') {
    await new Promise((resolve) => socket.write(byte, resolve));
  }
  let text = '';
  socket.on('data', (chunk) => (text += chunk));
  await once(socket, 'close');

  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(text).toContain('http://localhost/slow');
});

test('a client that leaves in the middle of a handshake leaves nothing behind', async () => {
  const server = await serving();

  // The first bytes of a handshake that never goes on.
  const socket = connect(server.port, '127.0.0.1', () =>
    socket.write(Buffer.from([0x16, 3, 1, 2, 0])),
  );
  await once(socket, 'connect');
  socket.end();
  await once(socket.on('error', () => {}).resume(), 'close');
  const startedAt = performance.now();
  await server.close();

  expect(performance.now() - startedAt).toBeLessThan(100);
});

test('a malformed host gets 400 in the error envelope', async () => {
  const { url } = await serving();

  const { status, text } = await get(url, { headers: { host: 'a b' } });

  expect(status).toBe(400);
  expect(JSON.parse(text)).toMatchObject({ error: { code: 'invalid_request' } });
});

test('headers are limited', async () => {
  const { url } = await serving();

  const fits = await get(url, { headers: { authorization: 'x'.repeat(HEADER_BYTES_MAX / 2) } });
  const tooMany = await get(url, { headers: { authorization: 'x'.repeat(HEADER_BYTES_MAX + 1) } });

  expect([fits.status, tooMany.status]).toEqual([200, 431]);
});

test('a client that refuses the certificate is reported', async () => {
  const reasons: string[] = [];
  const { httpsUrl } = await serving({ onTlsRefused: (reason) => reasons.push(reason) });

  await get(httpsUrl);
  await expect(get(httpsUrl, { ca: [] })).rejects.toThrow();

  await expect.poll(() => reasons).toEqual(['it hung up during the handshake']);
});

test('close ends idle and silent connections at once, on HTTP and on TLS', async () => {
  const server = await serving();
  const agent = new HttpAgent({ keepAlive: true });
  await get(server.url, { agent });
  const silent = connect(server.port, '127.0.0.1');
  const idle = tlsConnect({ port: server.port, host: '127.0.0.1', ca: certificate.caPem });
  // The ticket comes when the server, too, takes the handshake for done.
  await Promise.all([once(silent, 'connect'), once(idle, 'session')]);
  const ended = [silent, idle].map((socket) =>
    once(socket.on('error', () => {}).resume(), 'close'),
  );

  const startedAt = performance.now();
  await server.close();
  await Promise.all(ended);

  expect(performance.now() - startedAt).toBeLessThan(100);
  agent.destroy();
});

test('close lets an answer finish that is on its way', async () => {
  let finish = () => {};
  const arrived = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let answer = (_response: Response) => {};
  const server = await serving({
    fetch: () => {
      finish();
      return new Promise<Response>((resolve) => {
        answer = resolve;
      });
    },
  });

  const asked = get(server.url, { agent: new HttpAgent({ keepAlive: true }) });
  await arrived;
  const closed = server.close();
  answer(new Response('done'));

  expect((await asked).text).toBe('done');
  await closed;
});

test('a port in use is an error that names it', async () => {
  const { port } = await serving();

  const second = serve({ fetch: () => new Response(''), host: '127.0.0.1', port });

  await expect(second).rejects.toThrow(ListenError);
  await expect(second).rejects.toThrow(`Port ${port} on 127.0.0.1 is in use`);
});

test('localhost listens on both loopback addresses, where there are two', async () => {
  const { port, url } = await serving({ host: 'localhost' });

  expect(url).toBe(`http://127.0.0.1:${port}`);
  expect((await get(url)).status).toBe(200);
  const six = await get(`http://[::1]:${port}`).catch((error) => error.code);
  expect([{ status: 200 }, 'EADDRNOTAVAIL', 'ENETUNREACH', 'ECONNREFUSED']).toContainEqual(
    typeof six === 'string' ? six : { status: six.status },
  );
});
