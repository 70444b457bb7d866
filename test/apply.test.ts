/** `foundrite apply`: azd's manifests on an emulator, on somebody else, and what is wrong with them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type ApplyFlags, apply as applyVerb } from '../cli/apply.ts';
import type { Exit } from '../cli/exit.ts';
import { readManifests } from '../cli/manifest.ts';
import { BIN, type Started, start } from './started.ts';

const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
let running: Started;
beforeAll(async () => {
  running = await start(
    '--rate',
    '0',
    '--now',
    '2026-05-01T00:00:00Z',
    '--switch',
    'token_audience=checked',
  );
});
afterAll(async () => {
  await running.end('SIGKILL');
  rmSync(home, { recursive: true, force: true });
});

/** In this process; what it prints is not printed. */
async function apply(args: string[], env: Record<string, string> = {}) {
  for (const [name, value] of Object.entries({ FOUNDRITE_URL: running.url, ...env }))
    vi.stubEnv(name, value);
  let stdout = '';
  const print = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  try {
    await applyVerb(flagsOf(args));
    return { status: 0, stdout, stderr: '' };
  } catch (error) {
    const { exitCode, message } = error as Exit;
    return {
      status: exitCode,
      stdout,
      stderr: `foundrite: ${message.replaceAll(`${home}/`, '')}\n`,
    };
  } finally {
    print.mockRestore();
    vi.unstubAllEnvs();
  }
}

function flagsOf(args: string[]): ApplyFlags {
  const pairs = args.flatMap((arg, index) => (index % 2 === 0 ? [[arg, args[index + 1]]] : []));
  const files = pairs.filter(([flag]) => flag === '-f').map(([, file]) => join(home, String(file)));
  const rest = pairs
    .filter(([flag]) => flag !== '-f')
    .map(([flag, value]) => [flag?.slice(2), value]);
  return { ...Object.fromEntries(rest), file: files };
}

/** As who types it. */
async function verb(args: string[], input: string) {
  const child = spawn(process.execPath, [BIN, 'apply', ...args], {
    env: { PATH: process.env.PATH, FOUNDRITE_HOME: home, FOUNDRITE_URL: running.url },
    cwd: home,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  child.stdin.end(input);
  const [status] = await once(child, 'close');
  return { status, stdout, stderr };
}

function write(name: string, text: string): string {
  writeFileSync(join(home, name), text);
  return name;
}

/** The token that the switch wants: what the emulator itself would give. */
const TOKEN = `x.${Buffer.from(JSON.stringify({ aud: 'https://ai.azure.com' })).toString('base64url')}.x`;

async function routine(name: string, project = 'local') {
  const answer = await fetch(`${running.url}/api/projects/${project}/routines/${name}`, {
    headers: { authorization: `Bearer ${TOKEN}`, 'user-agent': 'curl/8' },
  });
  return JSON.parse(await answer.text());
}

/** As the page prints it, with an agent's name in its place. */
const SCHEDULE = `# routine.yaml
name: daily-summary
description: Runs a daily summary agent on weekday mornings.
enabled: true
triggers:
  weekday-morning:
    type: schedule
    cron: "0 7 * * 1-5"
    time_zone: UTC
action:
  type: invoke_agent_responses_api
  agent_name: demo-agent
`;
const TIMER = `# routine.yaml
name: once-on-release-day
description: Runs the agent once on release day.
enabled: true
triggers:
  release-day:
    type: timer
    time_zone: UTC
    at: 2026-09-01T09:00:00Z
action:
  type: invoke_agent_responses_api
  agent_name: demo-agent
`;

describe('apply', () => {
  test('makes the routines of the manifests that the page prints, and updates them', async () => {
    const schedule = write('schedule.yaml', SCHEDULE);
    const timer = write('timer.yaml', TIMER);

    const made = await apply(['-f', schedule, '-f', timer]);
    const again = await apply(['-f', schedule, '-f', timer]);
    const changed = await verb(['--file', '-'], SCHEDULE.replace('0 7', '0 8'));

    expect([made, again, changed]).toEqual(
      [
        'created daily-summary\ncreated once-on-release-day\n',
        'unchanged daily-summary\nunchanged once-on-release-day\n',
        'updated daily-summary\n',
      ].map((stdout) => ({ status: 0, stdout, stderr: '' })),
    );
    expect(await routine('daily-summary')).toMatchObject({
      description: 'Runs a daily summary agent on weekday mornings.',
      triggers: {
        'weekday-morning': { type: 'schedule', cron_expression: '0 8 * * 1-5', time_zone: 'UTC' },
      },
      action: { type: 'invoke_agent_responses_api', agent_name: 'demo-agent' },
    });
    expect((await routine('once-on-release-day')).triggers).toEqual({
      'release-day': { type: 'timer', at: '2026-09-01T09:00:00Z', time_zone: 'UTC' },
    });
  });

  test('goes to the project that is named, by flag, variable or address', async () => {
    const file = write('project.yaml', SCHEDULE.replace('demo-agent', 'nobody'));
    const url = running.url.replace('http:', 'https:');

    const all = [
      await apply(['-f', file, '--project', 'one']),
      await apply(['-f', file], { FOUNDRITE_PROJECT: 'two' }),
      await apply(['-f', file, '--url', `${url}/api/projects/three/`]),
    ];

    expect(
      all.map(({ status, stderr }) => [status, /in project '(\w+)'/.exec(stderr)?.[1]]),
    ).toEqual(['one', 'two', 'three'].map((name) => [2, name]));
  });

  test('tells a refusal with the place of the field, and applies the rest', async () => {
    const often = SCHEDULE.replace('0 7 * * 1-5', '* * * * *').replace('daily-summary', 'often');
    const file = write('often.yaml', `${often}---\n${SCHEDULE.replace('daily-summary', 'fine')}`);

    const { status, stdout, stderr } = await apply(['-f', file]);

    expect({ status, stdout }).toEqual({ status: 2, stdout: 'created fine\n' });
    expect(stderr).toMatch(
      /^foundrite: often\.yaml:8:5: routine "often": 400 The cron expression /,
    );
  });

  test('sends nothing when a manifest is wrong, and tells all that is', async () => {
    const good = write('good.yaml', SCHEDULE.replace('daily-summary', 'unsent'));
    const wrong = write('wrong.yaml', 'name: x\ntriggers: {}\nactions: {}\n---\n- 1\n');

    const { status, stdout, stderr } = await apply(['-f', good, '-f', wrong]);

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(
        /^foundrite: wrong\.yaml:3:1: actions is not a field here; .* Near it: action\.$/,
      ),
      expect.stringMatching(/^foundrite: wrong\.yaml:1:1: action must be provided/),
      expect.stringMatching(/^foundrite: wrong\.yaml:5:1: a manifest is a mapping/),
      '',
    ]);
    expect((await routine('unsent')).error.code).toBe('not_found');
  });

  test.each([
    [[], /apply needs a manifest: foundrite apply -f routine\.yaml\.$/],
    [['-f', 'none.yaml'], /"none\.yaml" \(-f\) cannot be read: ENOENT/],
    [['-f', 'two.yaml', '--name', 'x'], /--name is "x", and there are 2 routines/],
    [['-f', 'two.yaml', '-f', 'two.yaml'], /two\.yaml:2:1: "daily-summary" is there twice/],
    [['-f', 'two.yaml', '--url', 'nowhere'], /--url is "nowhere"/],
    [['-f', 'two.yaml', '--url', 'http://127.0.0.1:1/api'], /end it with the port, or with/],
    [
      ['-f', 'two.yaml', '--url', 'http://127.0.0.1:1/api/projects/p', '--project', 'q'],
      /names a project already/,
    ],
    [['-f', 'two.yaml', '--token', 'a b'], /--token holds blanks/],
    [['-f', 'two.yaml', '--url', 'https://a.services.ai.azure.com'], /needs a token: --token or/],
    [
      ['-f', 'two.yaml', '--token', 'hush', '--url', 'http://192.0.2.1'],
      /--token would be readable/,
    ],
  ])('%j is refused', async (args, message) => {
    write('two.yaml', `${SCHEDULE}---\n${TIMER}`);

    const { status, stdout, stderr } = await apply(args);

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr.trimEnd()).toMatch(message);
    expect(stderr).not.toContain('hush');
  });

  test('takes the name from a flag', async () => {
    const file = write('unnamed.yaml', SCHEDULE.replace('name: daily-summary\n', ''));

    expect(await apply(['-f', file])).toMatchObject({
      status: 2,
      stderr:
        'foundrite: unnamed.yaml:2:1: name must be a text; write name: daily-summary, or give --name.\n',
    });
    expect(await apply(['-f', file, '--name', 'by/flag'])).toMatchObject({
      status: 0,
      stdout: 'created by/flag\n',
    });
    expect((await routine('by%2Fflag')).name).toBe('by/flag');
  });

  test('bears the token that it is given, and tells who refuses it', async () => {
    const file = write('token.yaml', SCHEDULE.replace('daily-summary', 'token'));

    const refused = await apply(['-f', file, '--token', 'hush']);
    const taken = await apply(['-f', file], { FOUNDRITE_TOKEN: TOKEN });

    expect(refused).toMatchObject({ status: 12, stdout: '' });
    expect(refused.stderr).toMatch(
      / refuses us: 401 Unauthorized\..* \(--token, or FOUNDRITE_TOKEN\)$/m,
    );
    expect(refused.stderr).not.toContain('hush');
    expect(taken).toMatchObject({ status: 0, stdout: 'created token\n' });
  });

  test('works on any target of the API, and ends as design says where it cannot', async () => {
    const file = write('any.yaml', SCHEDULE);
    const asked: string[] = [];
    const answers: [number, string][] = [
      [404, '{}'],
      [201, '{"name":"daily-summary"}'],
      [503, '<html>busy</html>'],
    ];
    const server = createServer((request: IncomingMessage, response) => {
      request.resume();
      const { method, url, headers } = request;
      asked.push(`${method} ${url} ${headers.authorization} ${headers['foundry-features']}`);
      const [status, body] = answers.shift() ?? [500, ''];
      response.writeHead(status).end(body);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

    const made = await apply(['-f', file, '--url', url, '--token', 't']);
    const busy = await apply(['-f', file, '--url', url, '--token', 't']);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const gone = await apply(['-f', file, '--url', url]);

    expect(made).toEqual({ status: 0, stdout: 'created daily-summary\n', stderr: '' });
    const path = '/api/projects/local/routines/daily-summary?api-version=v1';
    expect(asked.slice(0, 2)).toEqual(
      ['GET', 'PUT'].map((method) => `${method} ${path} Bearer t Routines=V1Preview`),
    );
    expect(busy).toMatchObject({
      status: 12,
      stderr: `foundrite: ${url} answers 503 to the routine "daily-summary": <html>busy</html>\n`,
    });
    expect(gone).toMatchObject({ status: 11, stdout: '' });
  });
});

describe('a manifest', () => {
  async function read(text: string) {
    const { manifests, problems } = await readManifests(text, 'm.yaml');
    return { bodies: manifests.map(({ body }) => body), problems };
  }

  test('has its cron in each spelling, its words in two, and UTC unless it says otherwise', async () => {
    const action = { type: 'invoke_agent_responses_api', agent_name: 'a' };
    const body = (time_zone: string) => ({
      triggers: { 't.x': { type: 'schedule', cron_expression: '0 7 * * *', time_zone } },
      action,
    });

    expect(
      await read(`
name: a
triggers: { t.x: { type: schedule, cron: 0 7 * * * } }
action: { type: invoke_agent_responses_api, agent_name: a }
---
name: b
triggers: { t.x: { type: recurring, cronExpression: 0 7 * * *, timeZone: Europe/Berlin } }
action: { type: agent-response, agentName: a }
---
{ "name": "c", "created_at": 1, "updated_at": 2, "action": { "type": "invoke_agent_responses_api", "agent_name": "a" },
  "triggers": { "t.x": { "type": "schedule", "cron_expression": "0 7 * * *" } } }
`),
    ).toEqual({ bodies: [body('UTC'), body('Europe/Berlin'), body('UTC')], problems: [] });
  });

  test.each([
    ['', '1:1: there is no routine'],
    ['a: [', '1:5: this is not YAML: '],
    ['name: a\nname: b', '2:1: the key name is there twice; '],
    ['name: 7\ntriggers: {}\naction: {}', '1:1: name must be a text; '],
    ['name: a\ntriggers: []\naction: {}', '2:1: triggers is []; send an object.'],
    [
      'name: a\ntriggers:\n  t.x: { type: schedule, cron: 7 }\naction: { type: agent-response, agentName: a }',
      '3:26: triggers.t.x.cron_expression is 7; send a string.',
    ],
    [
      'name: a\ntriggers:\n  t.x: { type: schedule, cron: 7, cron_expression: "0 7 * * *" }\naction: {}',
      '3:35: cron_expression is there in two spellings; ',
    ],
    [
      'name: a\ntriggers: { t: { type: timer, at: 5m, timeZne: x } }\naction: {}',
      '2:39: triggers.t.timeZne is not a field here; use one of type, at, time_zone, or remove it.',
    ],
  ])('%j is refused with its place', async (text, message) => {
    const { problems } = await read(text);

    expect(problems[0]?.slice(0, `m.yaml:${message}`.length)).toBe(`m.yaml:${message}`);
  });
});
