import { spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { entryLine } from '../cli/journal.ts';
import { ruleText } from '../cli/ledger.ts';
import { readStartOptions } from '../cli/options.ts';
import { rules } from '../contracts/ledger.ts';
import { viewRule } from '../emulator/api/ledger.ts';
import { loadCertificate } from '../emulator/certificate.ts';
import { oldNode } from './old-node.ts';

const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
const env = { PATH: process.env.PATH, FOUNDRITE_HOME: home };

beforeAll(() => loadCertificate({ home }));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(args: string[], more: Record<string, string> = {}) {
  const options = { env: { ...env, ...more }, cwd: home, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], options);
  return { status, stdout, stderr };
}

/** Like `run`, while this process goes on: it answers calls, or runs others. */
async function runBeside(args: string[]) {
  const child = spawn(process.execPath, [BIN, ...args], {
    env,
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [status] = await once(child, 'close');
  return { status, stdout, stderr };
}

async function start(args: string[]) {
  const child = spawn(process.execPath, [BIN, ...args], {
    env,
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += chunk));
  while (!stdout.includes('foundrite ready')) {
    const [chunk] = await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => [undefined]),
    ]);
    if (chunk === undefined) throw new Error(`ended before it was ready: ${stderr}`);
    stdout += chunk;
  }
  return { child, stdout, stderr: () => stderr, url: /url=(\S+)/.exec(stdout)?.[1] as string };
}

test('start says that it is ready on its last line, answers, and a signal ends it', async () => {
  const readyFile = join(home, 'ready');
  const { child, stdout, url } = await start([
    '--port',
    '0',
    '--seed',
    '7',
    '--ready-file',
    readyFile,
  ]);
  const last = stdout.trimEnd().split('\n').at(-1);

  expect(last).toBe(
    `foundrite ready url=${url} pid=${child.pid} store=memory rate=1 skip=false seed=7`,
  );
  expect(readFileSync(readyFile, 'utf8')).toBe(`${last}\n`);
  expect(stdout).toContain(
    `export AZURE_AI_PROJECT_ENDPOINT=${url.replace('http', 'https')}/api/projects/local`,
  );
  expect(stdout).toMatch(/\d+ assumed rules are in force/);
  expect(stdout).not.toContain('\x1b');
  expect((await fetch(`${url}/_emulator/health`)).status).toBe(200);

  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  expect(existsSync(readyFile)).toBe(false);
});

test('a port in use gives 14 and names the port', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;

  const { status, stderr, stdout } = run(['start', '--port', String(port)]);

  expect({ status, stdout }).toEqual({ status: 14, stdout: '' });
  expect(stderr).toContain(`Port ${port} on 127.0.0.1 is in use; "foundrite doctor" says by what.`);
});

test('an address that cannot be listened on does not stay in the certificate', () => {
  const names = () => {
    const kept = readFileSync(join(home, 'tls', 'server.pem'), 'utf8');
    return new X509Certificate(kept.slice(kept.indexOf('-----BEGIN CERT'))).subjectAltName;
  };
  const failed = [
    run(['--host', '192.0.2.1', '--no-control', '--port', '0']),
    run(['--host', 'localhots', '--no-control', '--port', '0']),
  ];

  expect(failed.map(({ status }) => status)).toEqual([14, 14]);
  expect(names()).not.toMatch(/192\.0\.2\.1|localhots/);
});

test('on every address it says by which names it is called', async () => {
  const { child, stderr } = await start([
    '--host',
    '0.0.0.0',
    '--no-control',
    '--port',
    '0',
    '--tls-name',
    'box.test',
  ]);
  child.kill('SIGTERM');
  await once(child, 'exit');

  expect(stderr()).toBe(
    'foundrite: It answers to localhost, 127.0.0.1, box.test; a call by another name or address gets 421. Add those that you use: --tls-name NAME.\n',
  );
});

test('a folder that another process uses gives 14', async () => {
  const folder = join(home, 'data');
  await start(['--port', '0', '--data-dir', folder]);

  const { status, stderr, stdout } = run(['--port', '0', '--data-dir', folder]);

  expect({ status, stdout }).toEqual({ status: 14, stdout: '' });
  expect(stderr).toContain('Another process is using');
});

test('a switch that there is not gives 2 and names it', () => {
  const { status, stderr } = run(['--port', '0', '--switch', 'no-such=1']);

  expect(status).toBe(2);
  expect(stderr).toContain('no-such');
});

test('a running emulator is moved, read, played again and fired', async () => {
  const { url } = await start(['--port', '0', '--rate', '0', '--now', '2026-06-01T06:59:00Z']);
  const routine = {
    triggers: { morning: { type: 'schedule', cron_expression: '0 7 * * *', time_zone: 'UTC' } },
    action: { type: 'invoke_agent_responses_api', agent_name: 'demo-agent' },
  };
  const put = await fetch(`${url}/api/projects/local/routines/digest?api-version=v1`, {
    method: 'PUT',
    headers: { authorization: 'Bearer x', 'content-type': 'application/json' },
    body: JSON.stringify(routine),
  });
  expect(await put.json()).toMatchObject({ name: 'digest' });

  const moved = run(['clock', 'advance', '2m', '--url', url]);
  const shown = run(['clock', '--url', url]);
  const canonical = run(['journal', '--canonical', '--url', url]);
  const file = join(home, 'journal.ndjson');
  writeFileSync(file, canonical.stdout);
  const replayed = run(['replay', file]);
  const fired = run(['fire', 'digest', '--url', url]);
  const idle = run(['clock', 'advance', '--until', 'idle', '--url', url]);

  expect(moved.stdout).toContain('fired digest (morning) at 2026-06-01T07:00:00.000Z: ');
  expect(shown.stdout).toContain('now 2026-06-01T07:01:00.000Z rate 0');
  expect(fired).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('fired digest (morning)'),
  });
  expect(idle.status).toBe(0);
  expect(canonical.stdout.split('\n').length).toBeGreaterThan(3);
  expect(replayed).toMatchObject({ status: 0, stdout: canonical.stdout });
});

test.skipIf(!oldNode)('an older Node is refused with one sentence', () => {
  const { status, stdout, stderr } = spawnSync(oldNode as string, [BIN, 'start'], {
    encoding: 'utf8',
    env,
  });

  expect({ status, stdout }).toEqual({ status: 14, stdout: '' });
  expect(stderr).toMatch(
    /^foundrite needs Node 22\.18 or newer and this is Node \d[^\n]+npx -p node@22[^\n]+\n$/,
  );
});

test.concurrent.each([
  [['nonsense'], /there is no "nonsense"; there are: start, exec/],
  [['start', '--nonsense'], /unknown option '--nonsense'/],
  [['start', '--port', '99999'], /--port is "99999": write a whole number from 0 to 65535/],
  [['start', '--host', '0.0.0.0'], /--host 0\.0\.0\.0 .*--control-token/],
  [['start', '--cert', 'x.pem'], /--cert needs --key/],
  [['start', '--cert', 'x.pem', '--key', 'x.pem'], /--cert is "x.pem": it cannot be read/],
  [['start', '--config', 'none.yaml'], /none\.yaml/],
  [['exec'], /exec needs a command/],
  [['env', '--shell', 'fish'], /--shell is "fish"/],
  [['clock', 'advance'], /needs one of/],
  [['clock', 'advance', 'soon'], /cannot read the duration "soon"/],
  [['clock', 'set', '--rate', '2'], /--rate is "2"/],
  [['fire', 'x', '--payload', '{'], /--payload is "\{"/],
  [['journal', '--url', 'nowhere'], /--url is "nowhere"/],
  [['replay', 'none.ndjson'], /cannot read "none.ndjson"/],
  [
    ['ledger', 'routin/put-replace'],
    /no rule "routin\/put-replace"\. Near it: routine\/put-replaces,/,
  ],
  [['ledger', 'zzzz'], /no rule "zzzz"\. "foundrite ledger" lists all/],
  [['ledger', 'cron'], /"cron" is an area: "foundrite ledger --area cron"/],
  [
    ['ledger', '--area', 'crn'],
    /--area is "crn", which is none\. Near it: cron\. There are: action,/,
  ],
  [['ledger', '--basis', 'toString'], /--basis is "toString": write one of documented, observed,/],
  [['ledger', 'cron/day-rule', '--basis', 'own'], /leave out --basis and --area, or the id/],
])('foundrite %j is a wrong use', async (args, message) => {
  const { status, stdout, stderr } = await runBeside(args);

  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(message);
});

test('no emulator gives 11', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));

  const { status, stderr } = run(['journal', '--url', `http://127.0.0.1:${port}`]);

  expect(status).toBe(11);
  expect(stderr).toContain('No emulator answers');
});

test('what is wrong with the flags is a sentence, and then where to look', () => {
  expect(run(['start', '--nope']).stderr).toMatch(
    /^foundrite: unknown option '--nope' \(did you mean --now\?\)\. See foundrite --help\.\n$/,
  );
});

test('help and version end well', () => {
  expect(run(['--help'])).toMatchObject({ status: 0, stdout: expect.stringContaining('exec') });
  expect(run(['--version'])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});

/** What a running emulator would answer, and what it was asked. */
async function answering(answers: Record<string, { status?: number; body: string }>) {
  const asked: { method: string; path: string; body: string; headers: Record<string, unknown> }[] =
    [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    asked.push({
      method: request.method ?? '',
      path: request.url ?? '',
      body,
      headers: request.headers,
    });
    const answer = answers[`${request.method} ${request.url}`] ?? {
      status: 404,
      body: '{"error":{"message":"none"}}',
    };
    response
      .writeHead(answer.status ?? 200, {
        'content-type': 'application/json',
        'x-foundrite-now': '2026-06-01T07:00:00.000Z',
      })
      .end(answer.body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test('the canonical journal is printed byte for byte, page after page, and never moves time', async () => {
  const [first, second] = ['{"seq":1}\n{"seq":2,"b":"é\\u0000"}\n', '{"seq":7}\n'];
  const path = 'GET /_emulator/projects/p/journal?kind=attempt&canonical=true';
  const { url, asked } = await answering({
    [path]: { body: first },
    [`${path}&after=2`]: { body: second },
    [`${path}&after=7`]: { body: '' },
  });

  const { stdout } = await runBeside([
    'journal',
    '--canonical',
    '--kind',
    'attempt',
    '--project',
    'p',
    '--url',
    url,
  ]);

  expect(stdout).toBe(first + second);
  expect(asked[0]?.headers).toMatchObject({ 'x-foundrite-peek': '1' });
});

test('the journal is read page by page to its end', async () => {
  const page = (seqs: number[], cursor: number) => ({
    body: JSON.stringify({ entries: seqs.map((seq) => ({ seq })), cursor }),
  });
  const { url } = await answering({
    'GET /_emulator/projects/local/journal': page([1, 2], 2),
    'GET /_emulator/projects/local/journal?after=2': page([3], 3),
    'GET /_emulator/projects/local/journal?after=3': page([], 3),
  });

  const { stdout, status } = await runBeside(['journal', '--url', url]);

  expect({ stdout, status }).toEqual({ stdout: '{"seq":1}\n{"seq":2}\n{"seq":3}\n', status: 0 });
});

test('a line of the journal is short enough for a terminal', () => {
  const at = '2026-06-01T07:00:00.000Z';
  const entry = {
    seq: 3,
    at,
    kind: 'attempt',
    routine: 'digest',
    run: 'run_1',
    status: 503,
    text: 'a b',
  };

  expect(entryLine(entry, false)).toBe(`    3 ${at} attempt    digest run_1 status=503 text="a b"`);
});

test('the ledger is printed by area, without an emulator, and counted on its last line', () => {
  const { status, stdout } = run(['ledger']);
  const cron = run(['ledger', '--area', 'cron', '--basis', 'assumed']);

  const ids = [...stdout.matchAll(/^ {2}(\S+\/\S+) {2}(\w+)$/gm)].map(([, id]) => id);
  expect({ status, ids: ids.sort() }).toEqual({
    status: 0,
    ids: rules()
      .map(({ id }) => id)
      .sort(),
  });
  expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  expect(stdout).toMatch(/\n\d+ rules: \d+ documented, \d+ observed, \d+ assumed, \d+ own\n$/);
  expect(stdout).not.toContain('\x1b');
  expect(cron.stdout).toMatch(
    /^cron\n {2}cron\/\S+ {2}assumed\n {4}[\s\S]+\n\n(\d+) rules: \1 assumed\n$/,
  );
});

test('the ledger is printed as JSON, in the form in which it is served', () => {
  const all = JSON.parse(run(['ledger', '--json']).stdout);
  const one = JSON.parse(run(['ledger', 'cron/day-rule', '--json']).stdout);

  expect(all).toEqual({ rules: rules().map(viewRule) });
  expect(one).toMatchObject({ id: 'cron/day-rule', switch: 'cron_days', values: ['or', 'and'] });
});

test('all of a rule is printed, its sources by their titles, as wide as the terminal', () => {
  const both = {
    id: 'a/b',
    statement: 'A short one.',
    source: ['HOW-TO › Schedule trigger fields "five"', 'design'],
    basis: 'assumed',
    switch: 'sw',
    values: ['x', 'y'],
    setting: 'number',
    default: 'x',
    tested_by: 'The clients.',
  } as const;
  const set = { id: 'a/c', statement: 'S.', source: ['design'], basis: 'own' } as const;
  const plain = (text: string) => text;

  expect(ruleText(both, 60, plain)).toBe(`a/b
  A short one.

  basis    assumed: nobody says, and its sources only come
           nearest
  source   HOW-TO: Microsoft Learn, "Automate agents with
           routines (preview)", 2026-06-01 › Schedule
           trigger fields "five"
  source   design: the design of Foundrite itself
  switch   sw: x (default), y
  setting  number
  tested   The clients.`);
  expect(ruleText({ ...set, setting: 'wait', default: '1s' }, 60, plain)).toContain(
    '\n  setting  wait: 1s (default)',
  );
  expect(ruleText({ ...set, no_values: 'There is none.' }, 60, plain)).toContain(
    '\n  fixed    There is none.',
  );
});

test('clock advance says what fired and where it stands', async () => {
  const fired = [
    {
      routine: 'digest',
      trigger: 'morning',
      at: '2026-06-01T07:00:00.000Z',
      run: 'run_1',
      late: false,
    },
  ];
  const { url, asked } = await answering({
    'POST /_emulator/projects/local/clock:advance': {
      body: JSON.stringify({ now: '2026-06-01T07:01:00.000Z', reached: true, fired, cursor: 4 }),
    },
  });

  const { stdout, status } = await runBeside([
    'clock',
    'advance',
    '2m',
    '--url',
    url,
    '--control-token',
    't',
  ]);

  expect(stdout).toBe(
    'fired digest (morning) at 2026-06-01T07:00:00.000Z: run_1\nnow 2026-06-01T07:01:00.000Z, 1 fired, reached\n',
  );
  expect(status).toBe(0);
  expect(asked[0]).toMatchObject({ body: '{"by":"2m"}', headers: { authorization: 'Bearer t' } });
});

test('an advance that stopped on the way gives 1 and says why', async () => {
  const stopped = { reason: 'held', detail: "The gate 'g' holds a call." };
  const { url } = await answering({
    'POST /_emulator/projects/local/clock:advance': {
      body: JSON.stringify({
        now: '2026-06-01T07:01:00.000Z',
        reached: false,
        stopped,
        fired: [],
        cursor: 4,
      }),
    },
  });

  const { stdout, status } = await runBeside(['clock', 'advance', '--until', 'idle', '--url', url]);

  expect(stdout).toContain("stopped (held): The gate 'g' holds a call.");
  expect(status).toBe(1);
});

test('an emulator that wants a token gives 12', async () => {
  const { url } = await answering({
    'GET /_emulator/projects/local/clock': {
      status: 401,
      body: '{"error":{"message":"a token is needed"}}',
    },
  });

  const { status, stderr } = await runBeside(['clock', '--url', url]);

  expect(status).toBe(12);
  expect(stderr).toContain('a token is needed');
});

test('a flag goes before a variable, a variable before the file, the file before the default', async () => {
  const config = join(home, 'precedence.yaml');
  writeFileSync(
    config,
    'port: 1\nhost: localhost\nseed: file\nswitches: { a: b }\ndata_dir: kept\nagents: { x: {} }\n',
  );

  const options = await readStartOptions(
    { port: '3', config, setting: ['skip_max=PT1M', 'wall_max=5'] },
    {
      FOUNDRITE_PORT: '2',
      FOUNDRITE_SEED: 'variable',
      FOUNDRITE_TLS_NAME: 'a.test,b.test',
      FOUNDRITE_PROFILE: '',
    },
  );

  expect(options).toEqual({
    port: 3,
    seed: 'variable',
    host: 'localhost',
    dataDir: join(home, 'kept'),
    switches: { a: 'b' },
    settings: { skip_max: 'PT1M', wall_max: 5 },
    tlsNames: ['a.test', 'b.test'],
    agents: { x: {} },
    durability: 'normal',
    rate: 1,
    skip: false,
    empty: false,
    control: true,
    logLevel: 'warn',
    watch: false,
  });
});

test.each([
  [{}, { FOUNDRITE_RATE: '7' }, /FOUNDRITE_RATE is "7": write one of 0, 1/],
  [{ now: 'tomorrow' }, {}, /--now is "tomorrow": write date, time and zone/],
  [{ now: '2026-06-01T07:00:00' }, {}, /--now is/],
  [{ switch: ['x'] }, {}, /--switch is \["x"\]: write name=value/],
  [{ tlsName: ['a b'] }, {}, /--tls-name is .*neither/],
  [{}, { FOUNDRITE_SKIP: 'maybe' }, /FOUNDRITE_SKIP is "maybe": write true or false/],
])('%j with %j is refused by name, value and remedy', async (flags, variables, message) => {
  await expect(readStartOptions(flags, variables)).rejects.toThrow(message);
});

test.each([
  ['potr: 1', /wrong\.yaml:1:1: there is no key "potr"\. Near it: port\./],
  ['port: 1\nport: 2', /wrong\.yaml:2:1: the key port is there twice; leave out the one/],
  ['port: 1\nagents: {', /wrong\.yaml:2:10: this is not YAML: /],
  ['- 1', /wrong\.yaml:1:1: this is no mapping/],
  ['a: 1\n---\nb: 2', /wrong\.yaml:3:1: a configuration is one document/],
  ['seed: 7\nrate: fast', /wrong\.yaml:2:1: rate is "fast": write one of 0, 1\.$/],
  ['agents: []', /wrong\.yaml:1:1: agents is a mapping/],
  ['assistants: []', /wrong\.yaml:1:1: assistants is a mapping/],
  ['faults: {}', /wrong\.yaml:1:1: faults is a list/],
  ['a: *b', /wrong\.yaml:1:1: Unresolved alias/],
])('a foundrite.yaml with %j is refused', async (text, message) => {
  const config = join(home, 'wrong.yaml');
  writeFileSync(config, text);

  await expect(readStartOptions({ config }, {})).rejects.toThrow(message);
});
