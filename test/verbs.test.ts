/** The verbs as they meet a real emulator, somebody else in its place, or nobody who reads on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { JOURNAL_KINDS } from '../contracts/control.ts';
import { BIN, every, start as startNow } from './started.ts';

const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function start(...args: string[]) {
  const running = await startNow(...args);
  onTestFinished(() => running.end('SIGKILL'));
  return running;
}

function verb(...args: string[]) {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { PATH: process.env.PATH, FOUNDRITE_HOME: home },
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const ended = once(child, 'close').then(([status]) => ({ status, stdout, stderr }));
  return { child, ended };
}

/** Answers everything alike. */
async function somebody(status: number, body: string, headers: Record<string, string> = {}) {
  const server = createServer((_, response) => response.writeHead(status, headers).end(body));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const CALLS = [['clock'], ['journal'], ['env'], ['fire', 'x']];

test.each([
  [404, '<html>not here</html>'],
  [200, '<html>welcome</html>'],
  [200, '{}'],
])(
  'a server that is no Foundrite and answers %i %s gives 12, and none of its words',
  async (status, body) => {
    const url = await somebody(status, body);
    for (const call of CALLS) {
      const { ended } = verb(...call, '--url', url);
      const { stderr, ...rest } = await ended;
      expect(rest, call[0]).toEqual({ status: 12, stdout: '' });
      expect(stderr).toContain(`What answers at ${url} (${status}) is no Foundrite.`);
      expect(stderr).not.toContain('html');
    }
  },
);

test('control that is off gives 12 and its sentence; an authority is given all the same', async () => {
  const { url } = await start('--no-control');

  const clock = await verb('clock', '--url', url).ended;
  const env = await verb('env', '--url', url).ended;

  expect(clock).toEqual({
    status: 12,
    stdout: '',
    stderr: expect.stringMatching(/^foundrite: Control is off/),
  });
  expect(env.status).toBe(0);
});

test('an emulator whose disk is full gives 14 and its sentence', async () => {
  const body = '{"error":{"message":"The disk of x is full. Make room on it."}}';
  const url = await somebody(507, body, { 'x-foundrite-now': '2026-06-01T07:00:00.000Z' });

  expect(await verb('clock', 'advance', '1m', '--url', url).ended).toEqual({
    status: 14,
    stdout: '',
    stderr: 'foundrite: The disk of x is full. Make room on it.\n',
  });
});

test('an emulator is called by https without a word about its authority', async () => {
  const { url } = await start('--rate', '0');
  const https = url.replace('http:', 'https:');

  const clock = await verb('clock', '--url', https).ended;
  const fired = await verb('fire', 'none', '--url', https).ended;

  expect(clock).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(/^now /) });
  expect(fired).toMatchObject({ status: 2, stderr: expect.stringContaining(': 404 ') });
});

test('what env prints leads to the emulator, with its token', async () => {
  const { url } = await start('--control-token', 'hush');

  const args = ['--shell', 'dotenv', '--project', 'mine', '--control-token', 'hush', '--url', url];
  const { stdout } = await verb('env', ...args).ended;

  expect(stdout).toContain(`FOUNDRITE_URL=${url}\nFOUNDRITE_PROJECT=mine\n`);
  expect(stdout).toContain('\nFOUNDRITE_CONTROL_TOKEN=hush\n');
});

test('clock stop says whether there was an advance to stop', async () => {
  const { url } = await start('--rate', '0');
  const busy = await somebody(200, '{"advancing":true}', { 'x-foundrite-now': 'x' });

  const idle = await verb('clock', 'stop', '--url', url).ended;
  const stopped = await verb('clock', 'stop', '--url', busy).ended;

  expect(idle).toMatchObject({ status: 0, stdout: 'no advance is under way\n' });
  expect(stopped).toMatchObject({ status: 0, stdout: 'the advance stops at the next instant\n' });
});

test.each(['start', 'exec'])(
  'a ready file that cannot be written ends %s with 14',
  async (name) => {
    const command = name === 'exec' ? ['--', process.execPath, '-e', ''] : [];
    for (const path of [join(home, 'nope', 'ready'), home]) {
      const { ended } = verb(name, '--port', '0', '--ready-file', path, ...command);
      const { status, stderr } = await ended;
      expect(status).toBe(14);
      expect(stderr).toContain(`--ready-file is "${path}": it cannot be written (E`);
    }
    expect(existsSync(join(home, 'nope'))).toBe(false);
    expect(readdirSync(tmpdir()).filter((file) => file.startsWith(`${home}.`))).toEqual([]);
  },
);

test.skipIf(process.platform === 'win32').each([
  ['ledger', ['ledger']],
  ['journal', ['journal']],
  ['journal -f', ['journal', '-f']],
  ['play', ['play', '--list']],
])('%s ends quietly when its reader has gone', async (_, args) => {
  const more: string[] = [];
  if (args[0] === 'journal') {
    const { url, ask } = await start('--rate', '0');
    await ask('PUT', '/api/projects/local/routines/r', every('* * * * *'));
    await ask('POST', '/_emulator/projects/local/clock:advance', { by: '12h' });
    more.push('--url', url);
  }
  const { child, ended } = verb(...args, ...more);
  child.stdout.destroy();

  expect(await ended).toMatchObject({ status: 0, stderr: '' });
});

test('journal knows its kinds, and says so of another', async () => {
  const { status, stderr } = await verb('journal', '--kind', 'attempt,faults').ended;

  expect(status).toBe(2);
  expect(stderr).toMatch(/no line is of the kind "faults"\. Near it: fault\. Known are: world, /);
  const recorded = readdirSync(new URL('../emulator/', import.meta.url), { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [
      ...readFileSync(new URL(`../emulator/${file}`, import.meta.url), 'utf8').matchAll(
        /\brecord\(\s*\{\s*kind: '(\w+)'/g,
      ),
    ])
    .map(([, kind]) => kind);
  expect([...JOURNAL_KINDS]).toEqual(expect.arrayContaining(recorded));
  expect(recorded.length).toBeGreaterThan(10);
});

test('whoever follows the journal is let go at once when the emulator ends, and told', async () => {
  const running = await start('--rate', '0');
  const { child, ended } = verb('journal', '-f', '--url', running.url);
  await once(child.stdout, 'data');
  const poll = fetch(`${running.url}/_emulator/projects/local/journal?after=99&wait=25`);
  for (let asks = 0; asks < 3; asks += 1) await running.ask('GET', '/_emulator/health');

  await running.end();

  // Who is cut off when the time to finish is over gets no answer.
  expect((await poll).headers.get('connection')).toBe('close');
  expect(await ended).toMatchObject({
    status: 0,
    stderr: `foundrite: the emulator at ${running.url} has ended.\n`,
  });
});
