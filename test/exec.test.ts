import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mergedBundle } from '../cli/bundle.ts';
import { applyChanges, type ChangeOptions, changesFor, describeChanges } from '../cli/changes.ts';
import { inShell } from '../cli/env.ts';
import { loadCertificate } from '../emulator/certificate.ts';

const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));

beforeAll(() => loadCertificate({ home }));
afterAll(() => rmSync(home, { recursive: true, force: true }));

async function exec(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [BIN, 'exec', ...args], {
    env: { PATH: process.env.PATH, FOUNDRITE_HOME: home, TMPDIR: home, ...env },
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

const node = (script: string) => ['--', process.execPath, '-e', script];

test('the child reaches the emulator by HTTPS, past a proxy, and stdout is its own', async () => {
  const script = `
    const { origin } = new URL(process.env.AZURE_AI_PROJECT_ENDPOINT);
    fetch(origin + '/_emulator/health').then((answer) => console.log(origin.slice(0, 6), answer.status))`;
  // Nothing listens on port 9; Node follows these variables when told so.
  const proxy = {
    HTTPS_PROXY: 'http://127.0.0.1:9',
    HTTP_PROXY: 'http://127.0.0.1:9',
    NODE_USE_ENV_PROXY: '1',
  };

  const { code, stdout, stderr } = await exec(node(script), proxy);

  expect({ code, stdout }).toEqual({ code: 0, stdout: 'https: 200\n' });
  expect(
    stderr
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('foundrite exec: set ')),
  ).toHaveLength(1);
});

test('the child gets a token, and credentials from outside do not reach it', async () => {
  const script = `
    const { env } = process;
    const url = env.IDENTITY_ENDPOINT + '?resource=https://ai.azure.com&api-version=2019-08-01';
    fetch(url, { headers: { 'X-IDENTITY-HEADER': env.IDENTITY_HEADER } }).then(async (answer) => {
      const { token_type: type } = await answer.json();
      console.log(JSON.stringify([answer.status, type, env.AZURE_TOKEN_CREDENTIALS, env.AZURE_CLIENT_SECRET, env.AGENT_NAME]));
    })`;

  const { stdout, stderr } = await exec(node(script), {
    AZURE_CLIENT_SECRET: 'hidden',
    AGENT_NAME: 'mine',
  });

  expect(JSON.parse(stdout)).toEqual([200, 'Bearer', 'prod', null, 'mine']);
  expect(stderr).toContain('unset AZURE_CLIENT_SECRET');
  expect(stderr).not.toContain('hidden');
});

test('the bundle is private, holds the roots of the system, and is gone afterwards', async () => {
  const extra = join(home, 'company.pem');
  writeFileSync(extra, rootCertificates[3] as string);
  const script = `
    const fs = require('fs'), path = process.env.SSL_CERT_FILE, pem = fs.readFileSync(path, 'utf8');
    const same = ['NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'].every((name) => process.env[name] === path);
    console.log(JSON.stringify([path, same, fs.statSync(path).mode & 0o77, pem.split('BEGIN CERTIFICATE').length - 1]))`;

  const { stdout } = await exec(node(script), { REQUESTS_CA_BUNDLE: extra });
  const [path, same, others, count] = JSON.parse(stdout);

  expect([same, others]).toEqual([true, 0]);
  expect(count).toBeGreaterThan(rootCertificates.length);
  expect(existsSync(dirname(path))).toBe(false);
});

test('exec ends with the exit code of the child', async () => {
  expect((await exec(node('process.exit(7)'))).code).toBe(7);
});

test.skipIf(process.platform === 'win32')(
  'a child that a signal ended gives 128 and its number',
  async () => {
    expect((await exec(node("process.kill(process.pid, 'SIGKILL')"))).code).toBe(137);
  },
);

test('a command that is not there gives 127, and its name', async () => {
  const { code, stderr } = await exec(['--', 'foundrite-no-such-command']);

  expect(code).toBe(127);
  expect(stderr).toContain('foundrite-no-such-command');
});

test.skipIf(process.platform === 'win32')('a signal goes to the child, which decides', async () => {
  const script =
    "process.on('SIGTERM', () => process.exit(5)); setInterval(() => {}, 1e6); console.log('up')";
  const child = spawn(process.execPath, [BIN, 'exec', ...node(script)], {
    env: { PATH: process.env.PATH, FOUNDRITE_HOME: home },
    cwd: home,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGTERM');

  expect(await once(child, 'exit')).toEqual([5, null]);
});

const given: ChangeOptions = {
  env: {},
  url: 'http://127.0.0.1:1',
  httpsUrl: 'https://127.0.0.1:1',
  project: 'local',
  bundlePath: '/b.pem',
  identityHeader: 'h',
  demoAgent: true,
  keepAzureEnv: false,
  identity: true,
};

test('hosts that are to be reached without a proxy are kept, in both spellings', () => {
  const { set } = changesFor({
    ...given,
    env: { NO_PROXY: 'corp.example, localhost', no_proxy: '.intra' },
  });

  expect(set.NO_PROXY).toBe('corp.example,localhost,.intra,127.0.0.1,::1');
  expect(set.no_proxy).toBe(set.NO_PROXY);
});

test('the host of the emulator is reached without a proxy, whichever it is', () => {
  const list = (url: string) => changesFor({ ...given, url }).set.no_proxy;

  expect(list('http://192.0.2.7:4880')).toBe('localhost,127.0.0.1,::1,192.0.2.7');
  expect(list('http://[2001:db8::7]:4880')).toBe('localhost,127.0.0.1,::1,2001:db8::7');
});

test('the child finds the emulator by our own verbs, its token included, which is not shown', async () => {
  const clock = ['--', process.execPath, BIN, 'clock', 'advance', '2m'];

  const { code, stdout, stderr } = await exec([
    '--rate=0',
    '--project=mine',
    '--control-token=hush',
    ...clock,
  ]);

  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('reached') });
  expect(stderr).toMatch(/FOUNDRITE_URL = http:\/\/127\.0\.0\.1:\d+.*FOUNDRITE_PROJECT = mine/);
  expect(stderr).toMatch(/FOUNDRITE_CONTROL_TOKEN.* = \(secret\)/);
  expect(stderr).not.toContain('hush');
});

test('--keep-azure-env and --no-identity undo what they name', () => {
  const kept = changesFor({ ...given, keepAzureEnv: true });
  const alone = changesFor({ ...given, identity: false });

  expect(kept.unset).toEqual([]);
  expect(kept.set).toMatchObject({ IDENTITY_HEADER: 'h' });
  expect(kept.set).not.toHaveProperty('AZURE_TOKEN_CREDENTIALS');
  expect(alone.unset).toEqual([]);
  expect(Object.keys(alone.set).filter((name) => /IDENTITY|TOKEN/.test(name))).toEqual([]);
});

test('the endpoint names the project, and a project without demo agents names no agent', () => {
  const { set } = changesFor({ ...given, project: 'a b', demoAgent: false });

  expect(set.FOUNDRY_PROJECT_ENDPOINT).toBe('https://127.0.0.1:1/api/projects/a%20b');
  expect(set).not.toHaveProperty('AGENT_NAME');
});

test('the line that names the changes hides what was removed', () => {
  const env = { AZURE_PASSWORD: 'hidden' };
  const changes = changesFor({ ...given, env });

  const line = describeChanges(env, changes);

  for (const name of Object.keys(changes.set)) expect(line).toContain(name);
  expect(line).toMatch(/; unset AZURE_PASSWORD$/);
  expect(line).not.toContain('hidden');
  expect(applyChanges(env, changes)).not.toHaveProperty('AZURE_PASSWORD');
});

test('a bundle holds a certificate once, ours first, and names what it could not read', async () => {
  const { caPem } = await loadCertificate({ home });
  const mine = join(home, 'mine.pem');
  writeFileSync(mine, `${caPem}\n${rootCertificates[0]?.replaceAll('\n', '\r\n')}`);

  const { pem, unreadable } = mergedBundle(
    { SSL_CERT_FILE: mine, CURL_CA_BUNDLE: '/no/such' },
    caPem,
  );

  const bodies = pem
    .split('-----END CERTIFICATE-----')
    .map((one) => one.replace(/-----BEGIN.*|\s/g, ''));
  expect(new Set(bodies).size).toBe(bodies.length);
  expect(pem.startsWith(caPem.trim())).toBe(true);
  expect(unreadable).toEqual(['CURL_CA_BUNDLE=/no/such']);
});

test('values are quoted so that no shell reads more into them', () => {
  const changes = { set: { A: "it's $(x) `y`", B: 'plain/1' }, unset: ['C'] };

  expect(inShell('bash', changes)).toBe(
    "export A='it'\\''s $(x) `y`'\nexport B='plain/1'\nunset C\n",
  );
  expect(inShell('pwsh', { set: { A: "it's \u2019 $x" }, unset: ['C'] })).toBe(
    "$env:A = 'it''s \u2019\u2019 $x'\nRemove-Item Env:C -ErrorAction SilentlyContinue\n",
  );
  expect(inShell('dotenv', changes)).toBe('A="it\'s \\$(x) `y`"\nB=plain/1\nC=\n');
  expect(inShell('github', { set: { A: '1\nB=2' }, unset: ['C'] })).toMatch(
    /^A<<(end_\w{16})\n1\nB=2\n\1\nC=\n$/,
  );
});

test.skipIf(process.platform === 'win32')(
  'what is printed for bash means to bash what it says',
  async () => {
    const value = 'a\'b"c $(touch nope) `touch nope` \\ \n!';
    const script = `${inShell('bash', { set: { A: value }, unset: ['B'] })}printf '%s|%s' "$A" "\${B-unset}"`;
    const child = spawn('sh', ['-c', script], {
      env: { PATH: process.env.PATH, B: '1' },
      cwd: home,
    });
    let stdout = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    await once(child, 'close');

    expect(stdout).toBe(`${value}|unset`);
    expect(existsSync(join(home, 'nope'))).toBe(false);
  },
);

test('bin.mjs can be read by an old Node', () => {
  expect(readFileSync(BIN, 'utf8')).not.toMatch(/\?\.|\?\?|^\s*await /m);
});
