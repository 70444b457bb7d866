import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Finding } from '../cli/checks/finding.ts';
import { checkRoom } from '../cli/checks/folder.ts';
import { examine } from '../cli/doctor.ts';
import { loadCertificate } from '../emulator/certificate.ts';
import { DAY, systemClock } from '../emulator/clock.ts';
import { oldNode } from './old-node.ts';
import { start } from './started.ts';

const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));

beforeAll(() => loadCertificate({ home }));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** A folder of this test alone. */
function folder(): string {
  const path = mkdtempSync(join(home, 'part-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface Told {
  findings: Finding[];
  /** What was found of one check, but what is ok. */
  of(check: string): Finding[];
}

/** In this process: where it matters that it is one of its own, a test says so. Without `port` any free one. */
async function doctor(
  flags: Record<string, unknown>,
  env: Record<string, string> = {},
): Promise<Told> {
  const findings = await examine({ port: '0', ...flags }, { FOUNDRITE_HOME: home, ...env });
  const of = (check: string) =>
    findings.filter((each) => each.check === check && each.level !== 'ok');
  return { findings, of };
}

function run(...args: string[]) {
  return spawnSync(process.execPath, [BIN, 'doctor', '--port', '0', ...args], {
    env: { PATH: process.env.PATH, FOUNDRITE_HOME: home, FOUNDRITE_PROT: '1' },
    cwd: home,
    encoding: 'utf8',
  });
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** One finding of this level, whose words fit and that says what to do; nothing else is worse. */
function expectTold(told: Told, check: string, level: 'warning' | 'wrong', words: RegExp): void {
  expect(told.of(check)).toEqual([
    { check, level, found: expect.stringMatching(words), todo: expect.stringMatching(/^\S.*\.$/s) },
  ]);
  const wrong = told.findings.filter((each) => each.level === 'wrong');
  expect(wrong).toHaveLength(level === 'wrong' ? 1 : 0);
}

test('a sound machine: each thing is looked at, nothing is wrong, exit 0', async () => {
  const told = await doctor({});

  expect(told.findings.map(({ check, level }) => `${check} ${level}`)).toEqual([
    'node ok',
    'configuration ok',
    'port ok',
    'folder ok',
    'certificate ok',
    'trust ok',
    'proxy ok',
    'endpoint ok',
    'credentials ok',
    'variables ok',
  ]);
  expect(told.findings[0]?.found).toContain(process.versions.node);
});

test('people read a line for each thing, what to do below it, and the count', () => {
  const { status, stdout, stderr } = run();

  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^ok {7}node {10}Node \d+\.\d+\.\d+ on /);
  expect(stdout).toMatch(
    /\nwarning {2}variables {5}there is no variable FOUNDRITE_PROT, .* Near it: FOUNDRITE_PORT\b.*\n +→ Correct its name/,
  );
  expect(stdout).toMatch(/\n0 wrong, 1 warning, 9 ok\n$/);
});

test('what is wrong ends it with 14, and JSON holds all of it', () => {
  const { status, stdout } = run('--json', '--switch', 'x=y');
  const told = JSON.parse(stdout);

  expect(status).toBe(14);
  expect(told).toMatchObject({ wrong: 1, warning: 1, ok: 8 });
  expect(told.findings).toHaveLength(10);
  expect(told.findings[1]).toEqual({
    check: 'configuration',
    level: 'wrong',
    found: "switches.x: There is no switch 'x'.",
    todo: expect.stringContaining('Known are: '),
  });
});

test.skipIf(!oldNode)('on an old Node it says so, in the sentence of every verb', () => {
  const { status, stderr } = spawnSync(oldNode as string, [BIN, 'doctor'], { encoding: 'utf8' });

  expect(status).toBe(14);
  expect(stderr).toMatch(/^foundrite needs Node 22\.18 or newer and this is Node \d[^\n]+\n$/);
});

test('a port that another program holds: which one, where Linux tells', async () => {
  const web = createServer((_request, response) => response.end('hello'));
  const port = await listening(web);

  const told = await doctor({ port: String(port) });

  const who = process.platform === 'linux' ? `\\S+ \\(pid ${process.pid}\\)` : '.*';
  expectTold(
    told,
    'port',
    'wrong',
    new RegExp(`^${port} on 127.0.0.1 is held by ${who}, which is no`),
  );
});

test('a port whose holder says nothing is held all the same', async () => {
  const port = await listening(
    createNetServer((socket) => {
      onTestFinished(() => void socket.destroy());
    }),
  );

  expectTold(await doctor({ port: String(port) }), 'port', 'wrong', /is held by/);
});

test('a port where Foundrite runs already is named as that, and nothing is wrong', async () => {
  const running = await start();
  onTestFinished(() => running.end());
  const { port } = new URL(running.url);

  const told = await doctor({ port });

  expectTold(
    told,
    'port',
    'warning',
    new RegExp(`Foundrite \\d.* \\(pid ${running.child.pid}, store memory\\)`),
  );
});

test('an address of another machine', async () => {
  expectTold(
    await doctor({ host: '192.0.2.1', control: false, port: '3686' }),
    'port',
    'wrong',
    /not an address of this machine/,
  );
});

test('a folder that is used: by whom, and well when it is the emulator of that port', async () => {
  const dataDir = folder();
  const running = await start('--data-dir', dataDir);
  onTestFinished(() => running.end());
  const { port } = new URL(running.url);

  const elsewhere = await doctor({ dataDir });
  const there = await doctor({ dataDir, port });

  const who = process.platform === 'linux' ? `\\(pid ${running.child.pid}\\)` : 'process';
  expectTold(elsewhere, 'folder', 'wrong', new RegExp(`is used by another process ${who}`));
  expect(there.of('folder')).toEqual([]);
});

test('a folder that is a file, and one that would have to be made in a file', async () => {
  const file = join(folder(), 'file');
  writeFileSync(file, '');

  expectTold(await doctor({ dataDir: file }), 'folder', 'wrong', /is a file/);
  expectTold(await doctor({ dataDir: join(file, 'x') }), 'folder', 'wrong', /cannot be made/);
});

// Not even root may write there.
test.skipIf(!existsSync('/proc/self'))('a folder that cannot be written', async () => {
  const told = await doctor({ dataDir: '/proc/self' });

  expectTold(told, 'folder', 'wrong', /^\/proc\/self cannot be written \(E/);
});

test('a folder that is nearly full, and one that is', () => {
  expect(checkRoom('/f', 200 * 2 ** 20)).toMatchObject([{ level: 'ok' }]);
  expect(checkRoom('/f', 50 * 2 ** 20)).toMatchObject([
    { level: 'warning', found: '/f has 50 MiB left' },
  ]);
  expect(checkRoom('/f', 2 ** 20)).toMatchObject([{ level: 'wrong', found: '/f has 1 MiB left' }]);
});

/** A folder with the worlds of two projects, the way signal 9 leaves it. */
async function killedFolder(): Promise<string> {
  const dataDir = folder();
  const running = await start('--data-dir', dataDir);
  await running.ask('PUT', '/_emulator/projects/other', {});
  await running.end('SIGKILL');
  return dataDir;
}

function contents(dataDir: string): string[] {
  const files = readdirSync(dataDir).sort();
  return files.map((name) => `${name} ${readFileSync(join(dataDir, name)).toString('base64')}`);
}

test('worlds that signal 9 left are whole, and none of their files is touched', async () => {
  const dataDir = await killedFolder();
  const before = contents(dataDir);

  const told = await doctor({ dataDir });

  expect(told.of('folder')).toEqual([]);
  expect(
    told.findings.filter(({ found }) => /is whole \(project (local|other)\)/.test(found)),
  ).toHaveLength(2);
  expect(contents(dataDir)).toEqual(before);
});

test('a damaged world, one of another version, and a file that is none', async () => {
  const dataDir = await killedFolder();
  const worlds = readdirSync(dataDir).filter((name) => name.endsWith('.db'));
  const [damaged, newer] = worlds.map((name) => join(dataDir, name)) as [string, string];
  for (const path of [damaged, newer]) new Sqlite(path).close();
  const bytes = readFileSync(damaged);
  bytes.fill(0x5a, 4096, bytes.length);
  writeFileSync(damaged, bytes);
  const db = new Sqlite(newer);
  db.pragma('user_version = 99');
  db.close();
  writeFileSync(join(dataDir, 'zero.db'), 'not a database at all, but long enough to be looked at');

  const told = await doctor({ dataDir });

  expect(
    told.of('folder').map(({ level, found }) => `${level} ${found.replace(dataDir, '')}`),
  ).toEqual([
    expect.stringMatching(/^wrong \/\S+\.db is damaged: /),
    expect.stringMatching(/^wrong \/\S+\.db has format 99, and this Foundrite reads \d+$/),
    expect.stringMatching(/^wrong \/zero\.db is damaged: file is not a database/),
  ]);
});

test('an empty file, or one of another program, is no project; nobody calls it damaged', async () => {
  const dataDir = folder();
  writeFileSync(join(dataDir, 'empty.db'), '');
  const other = new Sqlite(join(dataDir, 'other.db'));
  other.exec('CREATE TABLE song (name TEXT)');
  other.close();

  const told = await doctor({ dataDir });

  expect(told.of('folder').map(({ level, found }) => [level, found])).toEqual(
    ['empty.db', 'other.db'].map((name) => [
      'wrong',
      `${join(dataDir, name)} holds no project of Foundrite's: it is empty, or another program's`,
    ]),
  );
});

/** Root passes every permission unless it lets go of that power. */
const POWERLESS =
  process.getuid?.() === 0
    ? ['setpriv', '--bounding-set', '-dac_override,-dac_read_search']
    : ['env'];

test.skipIf(process.platform !== 'linux')('a world that may not be written', async () => {
  const dataDir = await killedFolder();
  const world = join(dataDir, readdirSync(dataDir).find((name) => name.endsWith('.db')) ?? '');
  chmodSync(world, 0o400);

  const [command = '', ...words] = POWERLESS;
  const { status, stdout } = spawnSync(
    command,
    [...words, process.execPath, BIN, 'doctor', '--port', '0', '--data-dir', dataDir],
    { env: { PATH: process.env.PATH, FOUNDRITE_HOME: home }, cwd: home, encoding: 'utf8' },
  );

  expect(status).toBe(14);
  expect(stdout).toContain(`${world} cannot be read and written (EACCES)\n`);
  expect(stdout).toContain(`chmod 600 ${world}`);
});

test('no certificate yet is well; a home that cannot be written is told', async () => {
  const empty = await doctor({}, { FOUNDRITE_HOME: join(folder(), 'none') });
  const file = join(folder(), 'file');
  writeFileSync(file, '');

  expect(empty.of('certificate')).toEqual([]);
  expectTold(
    await doctor({}, { FOUNDRITE_HOME: file }),
    'certificate',
    'warning',
    /none can be kept in/,
  );
});

/** A home with a certificate, made at `now`. */
async function homeWith(now = systemClock.now()): Promise<{ FOUNDRITE_HOME: string; tls: string }> {
  const path = folder();
  await loadCertificate({ home: path, now });
  return { FOUNDRITE_HOME: path, tls: join(path, 'tls') };
}

test('a certificate that is cut short, lost, of another authority, or expired is made anew', async () => {
  const cut = await homeWith();
  writeFileSync(
    join(cut.tls, 'authority.pem'),
    readFileSync(join(cut.tls, 'authority.pem')).subarray(0, 400),
    { mode: 0o600 },
  );
  const lost = await homeWith();
  rmSync(join(lost.tls, 'server.pem'));
  const mixed = await homeWith();
  copyFileSync(join((await homeWith()).tls, 'authority.pem'), join(mixed.tls, 'authority.pem'));
  const expired = await homeWith(systemClock.now() - 400 * DAY);

  expectTold(
    await doctor({}, cut),
    'certificate',
    'warning',
    /authority\.pem holds no certificate/,
  );
  expectTold(await doctor({}, lost), 'certificate', 'warning', /server\.pem is not there/);
  expectTold(await doctor({}, mixed), 'certificate', 'warning', /signed by another authority/);
  expectTold(
    await doctor({}, expired),
    'certificate',
    'warning',
    /server\.pem is good from .* to /,
  );
});

test.skipIf(process.platform === 'win32')('a key that others can read', async () => {
  const open = await homeWith();
  chmodSync(join(open.tls, 'authority.pem'), 0o644);

  expectTold(
    await doctor({}, open),
    'certificate',
    'wrong',
    /authority\.pem holds a key and has mode 644/,
  );
});

test("a name that the certificate lacks, and one's own certificate that does not serve", async () => {
  const one = await homeWith();
  const other = await homeWith();
  const old = await homeWith(systemClock.now() - 400 * DAY);
  const own = (cert: string, key: string) => ({
    cert: join(cert, 'server.pem'),
    key: join(key, 'server.pem'),
  });

  expectTold(
    await doctor({ tlsName: ['my.test'] }),
    'certificate',
    'warning',
    /not for my\.test yet/,
  );
  expect((await doctor(own(one.tls, one.tls))).of('certificate')).toEqual([]);
  expectTold(
    await doctor(own(one.tls, other.tls)),
    'certificate',
    'wrong',
    /are no pair of PEM files/,
  );
  expectTold(
    await doctor(own(old.tls, old.tls)),
    'certificate',
    'wrong',
    /is good from .*, and not now/,
  );
  expectTold(
    await doctor(own(one.tls, 'none')),
    'certificate',
    'wrong',
    /--key is .* cannot be read/,
  );
  expectTold(
    await doctor({ ...own(one.tls, one.tls), tlsName: ['my.test'] }),
    'certificate',
    'warning',
    /is not for my\.test/,
  );
});

test('a bundle that is not there, one without our authority, and one with it', async () => {
  const bundle = join(folder(), 'bundle.pem');
  copyFileSync(join((await homeWith()).tls, 'ca.pem'), bundle);

  expectTold(
    await doctor({}, { NODE_EXTRA_CA_CERTS: '/none.pem' }),
    'trust',
    'wrong',
    /^NODE_EXTRA_CA_CERTS: \/none\.pem cannot be read/,
  );
  expectTold(
    await doctor({}, { SSL_CERT_FILE: bundle, REQUESTS_CA_BUNDLE: bundle }),
    'trust',
    'warning',
    /^SSL_CERT_FILE, REQUESTS_CA_BUNDLE: .* does not hold our authority/,
  );
  expect((await doctor({}, { CURL_CA_BUNDLE: join(home, 'tls', 'ca.pem') })).of('trust')).toEqual(
    [],
  );
});

test.each([
  [{ HTTPS_PROXY: 'http://p' }, /^HTTPS_PROXY set, and NO_PROXY is not$/],
  [
    { http_proxy: 'http://p', no_proxy: 'a.test' },
    /^http_proxy set, and no_proxy lacks localhost, 127\.0\.0\.1$/,
  ],
  [
    { HTTP_PROXY: 'http://p', NO_PROXY: 'localhost,127.0.0.1', no_proxy: 'localhost' },
    /and no_proxy lacks 127\.0\.0\.1$/,
  ],
  [{ ALL_PROXY: 'socks5://p', NO_PROXY: 'localhost,127.0.0.1:3686' }, undefined],
  [{ HTTP_PROXY: 'http://p', no_proxy: '*' }, undefined],
  [{ NO_PROXY: 'a.test' }, undefined],
])('a proxy that %j names', async (env: Record<string, string>, words) => {
  const told = await doctor({}, env);

  if (words) expectTold(told, 'proxy', 'wrong', words);
  else expect(told.of('proxy')).toEqual([]);
});

test('credentials that lead past the emulator, which is wrong where it is to be used', async () => {
  const secret = { AZURE_CLIENT_SECRET: 'hush' };
  const ours = { IDENTITY_ENDPOINT: 'http://127.0.0.1:3686/_emulator/identity' };
  const outside = await doctor({}, secret);

  expectTold(outside, 'credentials', 'warning', /^AZURE_CLIENT_SECRET set/);
  expect(JSON.stringify(outside.findings)).not.toContain('hush');
  expectTold(
    await doctor({}, { ...secret, ...ours }),
    'credentials',
    'wrong',
    /^AZURE_CLIENT_SECRET set/,
  );
  expectTold(
    await doctor({}, { ...ours, IDENTITY_SERVER_THUMBPRINT: 'x' }),
    'credentials',
    'wrong',
    /THUMBPRINT/,
  );
  expectTold(
    await doctor({}, { ...ours, AZURE_TOKEN_CREDENTIALS: 'dev' }),
    'credentials',
    'wrong',
    /is dev, which/,
  );
  expect(
    (await doctor({}, { ...ours, AZURE_TOKEN_CREDENTIALS: 'prod' })).of('credentials'),
  ).toEqual([]);
});

test('what is set for another identity, before exec or env take it away', async () => {
  const foreign = { IDENTITY_ENDPOINT: 'http://169.254.1.1/token', MSI_ENDPOINT: 'http://x' };

  expectTold(
    await doctor({}, foreign),
    'credentials',
    'warning',
    /^IDENTITY_ENDPOINT, MSI_ENDPOINT set, and not to the emulator/,
  );
  expectTold(
    await doctor({}, { AZURE_TOKEN_CREDENTIALS: 'dev' }),
    'credentials',
    'warning',
    /^AZURE_TOKEN_CREDENTIALS is dev, which/,
  );
  expectTold(
    await doctor({}, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }),
    'trust',
    'warning',
    /^NODE_TLS_REJECT_UNAUTHORIZED is 0/,
  );
});

test.each([
  ['https://a.services.ai.azure.com/api/projects/p', {}, false],
  ['https://127.0.0.1:3686/api/projects/local', {}, false],
  ['no address', {}, false],
  ['https://127.0.0.1:4999/api/projects/local', {}, true],
  ['https://[::1]:4999/api/projects/local', {}, true],
  ['https://10.1.2.3:5000/api/projects/local', { FOUNDRITE_URL: 'http://10.1.2.3:5000' }, true],
])('an endpoint %j with %j leads to the emulator of port 4999: %j', async (url, env, well) => {
  const told = await doctor({ port: '4999' }, { AZURE_AI_PROJECT_ENDPOINT: url, ...env });

  expect(told.of('endpoint')).toHaveLength(well ? 0 : 1);
  if (!well) expect(told.of('endpoint')[0]?.found).toMatch(/^AZURE_AI_PROJECT_ENDPOINT is "/);
});

test('a proxy that would be asked for the address of --host or FOUNDRITE_URL', async () => {
  const env = { HTTPS_PROXY: 'http://p', NO_PROXY: 'localhost,127.0.0.1' };

  const told = await doctor(
    { host: '192.0.2.1', control: false },
    { ...env, FOUNDRITE_URL: 'http://192.0.2.7:4880' },
  );

  expect(told.of('proxy')[0]?.found).toMatch(/NO_PROXY lacks 192\.0\.2\.1, 192\.0\.2\.7$/);
});

test('each wrong line of a configuration is told, and what is right still counts', async () => {
  const place = folder();
  const config = join(place, 'foundrite.yaml');
  mkdirSync(join(place, 'data'));
  writeFileSync(config, 'potr: 1\nrate: 7\nagents: []\ndata_dir: data\n');

  const told = await doctor({ config, switch: ['x=y'] }, { FOUNDRITE_SKIP: 'maybe' });

  expect(told.of('configuration').map(({ found, todo }) => `${found} | ${todo}`)).toEqual([
    expect.stringMatching(/yaml:1:1: there is no key "potr"\. \| Near it: port\./),
    expect.stringMatching(/yaml:3:1: agents is a mapping/),
    expect.stringMatching(/yaml:2:1: rate is 7 \| write one of 0, 1\.$/),
    'FOUNDRITE_SKIP is "maybe" | write true or false.',
    expect.stringMatching(/^switches\.x: There is no switch 'x'\. \| .*Known are: /),
  ]);
  expect(told.findings.find(({ check }) => check === 'folder')?.found).toContain(
    join(place, 'data'),
  );
});

test('a configuration that is not there, that is no YAML, that is a folder', async () => {
  const bad = join(folder(), 'bad.yaml');
  writeFileSync(bad, 'a: [\nb: ]');

  expectTold(
    await doctor({ config: '/none.yaml' }),
    'configuration',
    'wrong',
    /none\.yaml.* is not there/,
  );
  expectTold(await doctor({ config: bad }), 'configuration', 'wrong', /is not YAML: [^\n]+[^:]$/);
  expectTold(await doctor({ config: home }), 'configuration', 'wrong', /cannot be read/);
});
