/** Who may ask for what (design 11): the port, control, hosts, pages, and what leaves for other servers. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CONTROL_CALLS } from '../contracts/control.ts';
import { isSecret } from '../emulator/identity.ts';
import { openFoundry, refusal, scratchFolder } from './fixture.ts';
import { BIN, type Started, start } from './started.ts';

/** An address of this machine that others can reach, where it has one. */
const [outside] = Object.values(networkInterfaces())
  .flat()
  .filter((one) => one?.family === 'IPv4' && !one.internal)
  .map((one) => one?.address);

async function started(...args: string[]): Promise<Started> {
  const emulator = await start(...args);
  onTestFinished(() => emulator.end());
  return emulator;
}

/** Whether anybody answers there. */
function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    onTestFinished(() => void socket.destroy());
  });
}

/** A raw request, and the whole answer. */
function raw(url: string, head: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host: hostname, port: Number(port) }, () =>
      socket.write(`${head}\r\nConnection: close\r\n\r\n`),
    );
    socket.setEncoding('utf8').on('data', (chunk) => (text += chunk));
    socket.once('close', () => resolve(text)).once('error', reject);
  });
}

/** A server that nobody was told of, or that an agent runs on; what it was asked. */
async function other(answer: { status: number; headers?: Record<string, string> }) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    response.writeHead(answer.status, answer.headers).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { asked, port, url: `http://127.0.0.1:${port}` };
}

describe('the port', () => {
  test('is open on loopback alone, unless another host is named', async () => {
    const { url } = await started();
    const port = Number(new URL(url).port);

    expect(new URL(url).hostname).toBe('127.0.0.1');
    expect(await isOpen('127.0.0.1', port)).toBe(true);
    expect(await isOpen('::1', port)).toBe(false);
    if (outside !== undefined) expect(await isOpen(outside, port)).toBe(false);
  });

  const hosts = ['0.0.0.0', '::', '', '127.1', 'example.com', ...(outside ? [outside] : [])];
  const ways: [string, string[], Record<string, string>, string][] = [
    ...hosts.map((host): (typeof ways)[number] => [`--host '${host}'`, ['--host', host], {}, '']),
    ['FOUNDRITE_HOST', [], { FOUNDRITE_HOST: '0.0.0.0' }, ''],
    ['foundrite.yaml', [], {}, 'host: 0.0.0.0\n'],
    ['--no-control undone', ['--host', '::'], { FOUNDRITE_CONTROL: 'true' }, 'control: false\n'],
  ];
  const starts = ways.map((way) => ['start', ...way] as const);
  test.each([...starts, ...starts.slice(-3).map(([, ...way]) => ['exec', ...way] as const)])(
    '%s refuses another host by %s without a token, in one sentence',
    (verb, _what, flags, env, yaml) => {
      const cwd = scratchFolder();
      writeFileSync(join(cwd, 'foundrite.yaml'), yaml);
      const command = verb === 'exec' ? ['--', process.execPath, '-e', 'console.log("ran")'] : [];

      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [BIN, verb, '--port', '0', ...flags, ...command],
        { cwd, env: { PATH: process.env.PATH, FOUNDRITE_HOME: cwd, ...env }, encoding: 'utf8' },
      );

      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
      expect(stderr).toMatch(/^foundrite: [^\n]*--control-token[^\n]*\n$/);
    },
  );

  test.each([[['--control-token', 'secret']], [['--no-control']]])(
    'is open to all with %j',
    async (guard) => {
      const { url } = await started('--host', '0.0.0.0', ...guard);
      const port = Number(new URL(url).port);

      expect(await isOpen(outside ?? '127.0.0.1', port)).toBe(true);
      const answer = await fetch(`${url}/_emulator/projects`);
      expect(answer.status).toBe(guard.length === 2 ? 401 : 404);
    },
  );
});

describe('control', () => {
  const guarded = CONTROL_CALLS.filter(({ open }) => !open);
  const pathOf = (path: string) =>
    `/_emulator${path
      .replace('{p}', 'tests')
      .replace('{rule}', 'routine/list')
      .replace(/\{\w+\}/, 'x')}`;

  test.each(guarded)('$method $path needs the token', async ({ method, path }) => {
    const foundry = openFoundry({ controlToken: 'secret' });
    const said = ['', 'secret', 'Bearer', 'Bearer secre', 'Bearer secrets', 'Basic secret'];

    for (const authorization of said) {
      const answer = await foundry.request(method, pathOf(path), { headers: { authorization } });
      expect([answer.status, answer.rule], authorization).toEqual([401, 'control/token']);
    }
    const right = { authorization: 'Bearer secret' };
    const answer = await foundry.request(method, pathOf(path), { headers: right });
    expect(answer.status).not.toBe(401);
  });

  test.each(guarded)('$method $path is not there without control', async ({ method, path }) => {
    const foundry = openFoundry({ control: false, controlToken: 'secret' });
    const authorization = 'Bearer secret';

    for (const each of [method, 'TRACE-NOT', 'POST']) {
      const answer = await foundry.request(each, pathOf(path), { headers: { authorization } });
      expect([answer.status, answer.rule], each).toEqual([404, 'control/off']);
    }
  });

  test('compares secrets whole', () => {
    expect(isSecret('secret', 'secret')).toBe(true);
    for (const given of ['', 'secre', 'secret ', 'Secret', 'secrets'])
      expect(isSecret(given, 'secret'), given).toBe(false);
  });
});

describe('hosts and pages', () => {
  let emulator: Started;
  beforeAll(async () => {
    emulator = await start();
  });
  afterAll(() => emulator.end());

  test.each([
    ['example.com', 421],
    ['127.0.0.1.nip.io', 421],
    ['localhost.example.com', 421],
    ['services.ai.azure.com.example.com', 421],
    ['169.254.169.254', 421],
    ['LOCALHOST:99', 200],
    ['[::1]', 200],
    ['x.services.ai.azure.com', 200],
  ])('a request for %s is answered %i, by control and identity too', async (host, status) => {
    const { url } = emulator;

    for (const path of ['/_emulator/health', '/_emulator/projects', '/_emulator/ca.pem']) {
      const answer = await raw(url, `GET ${path} HTTP/1.1\r\nHost: ${host}`);
      expect(answer, path).toContain(`HTTP/1.1 ${status} `);
    }
    const identity =
      '/_emulator/identity?resource=https://ai.azure.com&api-version=2019-08-01 HTTP/1.1\r\nX-IDENTITY-HEADER: x';
    expect(await raw(url, `GET ${identity}\r\nHost: ${host}`)).toContain(`HTTP/1.1 ${status} `);
  });

  test('no page may read anything unless asked, and then those of one origin', async () => {
    const [closed, open] = [emulator, await started('--cors', 'https://page.example')];
    const ask = async (url: string, origin: string, method: string, path: string) => {
      const headers = { origin, 'access-control-request-method': 'PUT', authorization: 'Bearer x' };
      const answer = await fetch(url + path, { method, headers });
      return [answer.status, answer.headers.get('access-control-allow-origin')];
    };
    const [ours, theirs] = ['https://page.example', 'https://evil.example'];
    const [advance, list] = ['/_emulator/projects/local:reset', '/api/projects/local/routines'];

    expect(await ask(closed.url, ours, 'OPTIONS', list)).toEqual([404, null]);
    expect(await ask(closed.url, ours, 'GET', list)).toEqual([200, null]);
    expect(await ask(closed.url, ours, 'POST', advance)).toEqual([403, null]);
    expect(await ask(closed.url, 'null', 'POST', advance)).toEqual([403, null]);
    expect(await ask(closed.url, closed.url, 'POST', advance)).toEqual([200, null]);
    expect(await ask(open.url, ours, 'OPTIONS', list)).toEqual([204, ours]);
    expect(await ask(open.url, ours, 'GET', list)).toEqual([200, ours]);
    expect(await ask(open.url, ours, 'POST', advance)).toEqual([200, ours]);
    expect(await ask(open.url, theirs, 'OPTIONS', list)).toEqual([204, null]);
    expect(await ask(open.url, theirs, 'GET', list)).toEqual([200, null]);
    expect(await ask(open.url, theirs, 'POST', advance)).toEqual([403, null]);
  });
});

describe('what leaves', () => {
  const calls = ['openai/responses', 'openai/v1/responses', 'invocations'];

  test.each(calls)('%s takes no header of the caller along', async (protocol) => {
    const agent = await other({ status: 200, headers: { 'access-control-allow-origin': '*' } });
    const foundry = openFoundry({ agents: { digest: {} } });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const canary = 'canary-7391';
    const headers = {
      authorization: `Bearer ${canary}`,
      cookie: `a=${canary}`,
      'api-key': canary,
      'x-ms-client-request-id': canary,
      'x-forwarded-for': canary,
      'x-custom': canary,
    };

    const path = `/agents/digest/endpoint/protocols/${protocol}?x=..%2F%26y%3D1%23`;
    const answer = await foundry.post(path, {}, headers);

    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    const [asked] = agent.asked;
    expect(JSON.stringify(asked?.rawHeaders)).not.toContain(canary);
    const own = ['content-type', 'x-ms-client-request-id', 'host', 'connection', 'accept'];
    const fetchs = ['accept-language', 'sec-fetch-mode', 'user-agent', 'accept-encoding'];
    const platforms = ['x-agent-session-id', 'x-agent-foundry-call-id'];
    expect([...own, ...fetchs, ...platforms, 'content-length']).toEqual(
      expect.arrayContaining(Object.keys(asked?.headers ?? {})),
    );
    const session = asked?.headers['x-agent-session-id'];
    expect(asked?.url).toBe(
      protocol === 'invocations' ? `/invocations?agent_session_id=${session}` : '/responses',
    );
  });

  test('follows no redirect', async () => {
    const beyond = await other({ status: 200 });
    const agent = await other({ status: 307, headers: { location: `${beyond.url}/x` } });
    const foundry = openFoundry({ agents: { digest: {} } });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });

    const answer = await foundry.post('/agents/digest/endpoint/protocols/invocations', {});

    expect([answer.status, agent.asked.length, beyond.asked.length]).toEqual([307, 1, 0]);
  });

  test('a name and password in an address are authorization, and said nowhere else', async () => {
    const agent = await other({ status: 200 });
    const url = agent.url.replace('//', '//me:h%40sh@');
    const foundry = openFoundry({ agents: { digest: { reply: { kind: 'forward', url } } } });

    await foundry.post('/agents/digest/endpoint/protocols/invocations', {});

    const basic = `Basic ${Buffer.from('me:h@sh').toString('base64')}`;
    expect(agent.asked[0]?.headers.authorization).toBe(basic);
  });

  const NO_ADDRESSES = [
    'file:///etc/passwd',
    'ftp://h/',
    'javascript:1',
    '//h',
    'http://',
    'http://[',
  ];
  test.each(NO_ADDRESSES)('goes to no address such as %s', async (url) => {
    const foundry = openFoundry({ agents: { digest: {} } });

    const path = '/_emulator/projects/tests/agents/digest/reply';
    const answer = await foundry.put(path, { kind: 'forward', url });

    expect([answer.status, refusal(answer).rule]).toEqual([400, 'reply/url-is-http']);
    expect(() => openFoundry({ agents: { x: { reply: { kind: 'forward', url } } } })).toThrow(
      /url/,
    );
  });

  test('no request can name where it goes', async () => {
    const agent = await other({ status: 200 });
    const beyond = await other({ status: 200 });
    const emulator = await started();
    const local = '/_emulator/projects/local/agents/demo-agent/reply';
    await emulator.ask('PUT', local, { kind: 'forward', url: `${agent.url}/base` });
    const at = `127.0.0.1:${beyond.port}`;
    const protocols = '/api/projects/local/agents/demo-agent/endpoint/protocols';
    const tricks = [
      `GET http://${at}/ HTTP/1.1\r\nHost: localhost`,
      `GET http://${at}/api/projects/local/routines HTTP/1.1\r\nHost: ${at}`,
      `CONNECT ${at} HTTP/1.1\r\nHost: ${at}`,
      `POST ${protocols}/invocations/../../../../../x HTTP/1.1\r\nHost: localhost`,
      `POST ${protocols}/invocations/..%2f..%2fx HTTP/1.1\r\nHost: localhost`,
      `POST ${protocols}/invocations@${at}/ HTTP/1.1\r\nHost: localhost`,
      `POST ${protocols}//${at}/invocations HTTP/1.1\r\nHost: localhost`,
      `POST ${protocols.replace('demo-agent', `demo-agent@${at}`)}/invocations HTTP/1.1\r\nHost: localhost`,
      `POST ${protocols.replace('demo-agent', '..%2fx')}/invocations HTTP/1.1\r\nHost: localhost`,
      `POST ${protocols}/invocations HTTP/1.1\r\nHost: ${at}@localhost`,
      `POST ${protocols}/invocations HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: ${at}`,
    ];
    for (const trick of tricks)
      await raw(emulator.url, `${trick}\r\nAuthorization: Bearer x\r\nContent-Length: 0`);

    expect(beyond.asked).toEqual([]);
    const paths = agent.asked.map(({ url = '' }) =>
      url.replace(/\?agent_session_id=[0-9a-f-]+$/, ''),
    );
    expect(new Set(paths)).toEqual(new Set(['/base/invocations']));
    expect((await emulator.ask('GET', '/_emulator/health')).status).toBe(200);
  });
});
