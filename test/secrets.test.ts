/** What lies on disk and is said aloud (design 11): never who asked, never outside the folder, never for other users. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import { replayJournal } from '../emulator/replay.ts';
import { openFoundry, refusal, scratchFolder } from './fixture.ts';
import { every, type Started, startUnder } from './started.ts';

const CANARY = 'canary-4f1c7ab2';
const payload = Buffer.from(JSON.stringify({ sub: 'me', aud: 'https://ai.azure.com' }));
/** A token that nobody knows, one whose signature is the secret part, and no bearer token at all. */
const AUTHORIZATIONS = [
  `Bearer ${CANARY}`,
  `Bearer e30.${payload.toString('base64url')}.${CANARY}`,
  `Basic ${CANARY}`,
];

/** All files below a folder. */
function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file))
    .filter((file) => lstatSync(file).isFile());
}

function withCanary(folder: string): string[] {
  return files(folder).filter((file) => readFileSync(file).includes(CANARY));
}

/** Under the umask of most systems, with which a file that nobody thought of is for all to read. */
async function started(...args: string[]): Promise<Started> {
  const emulator = await startUnder(['sh', '-c', 'umask 022; exec "$@"', 'sh'], ...args);
  onTestFinished(() => emulator.end('SIGKILL'));
  return emulator;
}

/** What a client with a secret does in a day; everything that it was answered. */
async function useAll(url: string, agentUrl: string): Promise<string> {
  const said: string[] = [];
  const project = '/api/projects/local';
  const control = '/_emulator/projects/local';
  const invocations = `${project}/agents/demo-agent/endpoint/protocols/invocations`;
  const calls: [string, string, unknown?][] = [
    ['PUT', `${project}/routines/r`, every('0 7 * * *')],
    ['PUT', `${project}/routines/bad`, { triggers: {} }],
    ['GET', `${project}/routines/none`],
    ['GET', `${project}/nowhere`],
    ['GET', `${project}/agents`],
    ['GET', `${project}/assistants`],
    ['POST', `${project}/threads/runs`, { assistant_id: 'asst_DemoAssistant00000000001' }],
    ['POST', `${project}/routines/r:dispatch_async`],
    ['POST', invocations, { hello: 'world' }],
    ['PUT', `${control}/agents/demo-agent/reply`, { kind: 'forward', url: agentUrl }],
    ['POST', invocations, { hello: 'world' }],
    ['POST', `${project}/routines/r:dispatch_async`],
    ['PUT', `${control}/faults`, { faults: [{ operation: 'getRoutine', fault: 'garble' }] }],
    ['GET', `${project}/routines/r`],
    ['PUT', `${control}/snapshots/s`],
    ['POST', `${control}/clock:advance`, { by: '1m' }],
    ['PATCH', control, { settings: { queue_delay: 1 } }],
    ['GET', `${control}/journal`],
    ['GET', '/_emulator/health'],
    ['GET', '/_emulator/identity?resource=x&api-version=y'],
  ];
  for (const authorization of AUTHORIZATIONS) {
    for (const [method, path, body] of calls) {
      const headers = {
        authorization,
        'api-key': CANARY,
        cookie: `session=${CANARY}`,
        'x-identity-header': CANARY,
        'ocp-apim-subscription-key': CANARY,
        'proxy-authorization': CANARY,
      };
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await fetch(url + path, { method, headers, ...sent });
      said.push(JSON.stringify([...answer.headers]), await answer.text());
    }
  }
  return said.join('\n');
}

test('who asked is written nowhere: no answer, log, journal, database, snapshot or agent has it', async () => {
  const heard: string[] = [];
  const agent = createServer((request, response) => {
    heard.push(JSON.stringify(request.rawHeaders));
    request.on('data', (chunk) => heard.push(String(chunk)));
    response.end('{}');
  });
  await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    agent.closeAllConnections();
    agent.close();
  });
  const folder = scratchFolder();
  const ready = join(folder, 'ready');
  const emulator = await started(
    ...['--data-dir', join(folder, 'data'), '--log-level', 'debug', '--ready-file', ready],
  );

  const said = await useAll(
    emulator.url,
    `http://127.0.0.1:${(agent.address() as AddressInfo).port}`,
  );

  expect(said).toContain('"fired_truncated"');
  expect(said).not.toContain(CANARY);
  expect(heard.length).toBeGreaterThan(2);
  expect(heard.join()).not.toContain(CANARY);
  // While it runs the newest rows are in the log beside the database; after its end, in the database.
  expect(files(join(folder, 'data')).some((file) => file.endsWith('-wal'))).toBe(true);
  expect(withCanary(folder)).toEqual([]);
  await emulator.end();
  expect(withCanary(folder)).toEqual([]);
  expect(emulator.printed()).toContain('/routines/r');
  expect(emulator.printed()).not.toContain(CANARY);
  // The search finds what is there.
  writeFileSync(join(folder, 'found'), `a${CANARY}b`);
  expect(withCanary(folder)).toEqual([join(folder, 'found')]);
});

test('the control token is said nowhere', async () => {
  const folder = scratchFolder();
  const emulator = await started(
    ...['--data-dir', folder, '--log-level', 'debug', '--control-token', CANARY],
  );
  const headers = { authorization: `Bearer ${CANARY}` };
  const said: string[] = [];
  for (const path of [
    'health',
    'ready',
    'projects',
    'projects/local/journal',
    'projects/local/clock',
  ])
    said.push(await (await fetch(`${emulator.url}/_emulator/${path}`, { headers })).text());

  expect(said.join()).toContain('"local"');
  expect(said.join()).not.toContain(CANARY);
  await emulator.end();
  expect(emulator.printed()).not.toContain(CANARY);
  expect(withCanary(folder)).toEqual([]);
});

test('what the address of an agent holds of a secret is in no journal, which is played again all the same', async () => {
  const heard: (string | undefined)[] = [];
  const agent = createServer((request, response) => {
    heard.push(request.headers.authorization);
    response.end('{}');
  });
  await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    agent.closeAllConnections();
    agent.close();
  });
  const { port } = agent.address() as AddressInfo;
  const reply = { kind: 'forward', url: `http://me:${CANARY}@127.0.0.1:${port}` };
  const foundry = openFoundry({ agents: { digest: { reply }, other: {} } });
  await foundry.reply('other', reply);
  await foundry.reply('other', { ...reply, url: `http://127.0.0.1:${port}/?key=${CANARY}` });
  await foundry.put('/routines/r', every('0 7 * * *'));
  await foundry.post('/agents/digest/endpoint/protocols/invocations', {});
  await foundry.post('/_emulator/projects/tests:reset', {});
  await foundry.reply('other', reply);
  await foundry.post('/agents/digest/endpoint/protocols/invocations', {});
  await foundry.post('/agents/other/endpoint/protocols/invocations', {});

  const journal = await foundry.get('/_emulator/projects/tests/journal');
  const lines = canonicalLines(foundry.project);

  const authorization = `Basic ${Buffer.from(`me:${CANARY}`).toString('base64')}`;
  expect(heard).toEqual([authorization, authorization, authorization]);
  expect(JSON.stringify(journal.body)).toContain(`http://not-shown@127.0.0.1:${port}/`);
  expect(JSON.stringify(journal.body) + lines).not.toContain(CANARY);
  expect(await replayJournal(lines)).toEqual(lines);
});

test('the key of a model is heard by that model alone, whether an agent asks it or an assistant', async () => {
  const heard: (string | undefined)[] = [];
  const model = createServer((request, response) => {
    heard.push(request.headers.authorization);
    request.resume();
    const content = [{ type: 'output_text', text: 'ok', annotations: [] }];
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ output: [{ type: 'message', role: 'assistant', content }] }));
  });
  await new Promise<void>((resolve) => model.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    model.closeAllConnections();
    model.close();
  });
  const { port } = model.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const reply = { kind: 'model', url, api: 'responses', api_key: CANARY };
  const prompt = { kind: 'prompt', model: 'm' };
  const foundry = openFoundry({
    agents: { digest: { definition: prompt, reply }, other: { definition: prompt } },
    assistants: { clerk: { model: 'm', reply }, helper: { model: 'm' } },
  });
  const { clerk = '', helper = '' } = foundry.assistants;
  for (const of of ['other', helper]) await foundry.reply(of, reply);
  const said: unknown[] = [];
  for (const agent of ['digest', 'other'])
    said.push(
      await foundry.post(`/agents/${agent}/endpoint/protocols/openai/responses`, { input: 'x' }),
    );
  for (const assistant_id of [clerk, helper]) {
    const { body } = await foundry.post('/threads/runs', { assistant_id });
    await foundry.advance('1m');
    said.push(body, await foundry.get(`/threads/${body.thread_id}/runs/${body.id}`));
  }
  for (const path of ['/assistants', '/_emulator/projects/tests/journal', '/_emulator/health'])
    said.push(await foundry.get(path));

  const lines = canonicalLines(foundry.project);

  expect(heard).toEqual(Array(4).fill(`Bearer ${CANARY}`));
  expect(JSON.stringify(said)).toContain('"status":"completed"');
  expect(JSON.stringify(said) + lines + JSON.stringify(foundry.answers)).not.toContain(CANARY);
  expect(await replayJournal(lines)).toEqual(lines);
});

test.skipIf(process.platform === 'win32')('what it keeps is for its user alone', async () => {
  const folder = join(scratchFolder(), 'data');
  const emulator = await started('--data-dir', folder);
  await emulator.ask('PUT', '/api/projects/other/routines/r', every('0 7 * * *'));
  await emulator.ask('PUT', '/_emulator/projects/local/snapshots/s');

  const all = ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' })];
  const modes = all.map((file) => {
    const { mode } = lstatSync(join(folder, file));
    return [
      file,
      (mode & 0o777).toString(8),
      lstatSync(join(folder, file)).isDirectory() ? '700' : '600',
    ];
  });

  expect(all.length).toBeGreaterThan(6);
  expect(modes.filter(([, mode, wanted]) => mode !== wanted)).toEqual([]);
});

const ODD = ['../../out', '/etc/out', 'a\0b', 'C:\\out', 'con', '%2e%2e%2fout', 'é'.repeat(128)];

test('no name of a project or a snapshot leads out of the folder', async () => {
  const around = scratchFolder();
  const folder = join(around, 'data');
  const foundry = openFoundry({ dataDir: folder });

  // A URL cannot say these, but the folder must not care.
  for (const name of ['.', '..']) expect(foundry.in(name).project.world.project).toBe(name);
  for (const name of ODD) {
    const path = `/_emulator/projects/${encodeURIComponent(name)}`;
    expect((await foundry.put(path, {})).status, name).toBe(201);
    expect((await foundry.put(`${path}/snapshots/s`, undefined)).status, name).toBe(200);
    const odd = await foundry.put(`${path}/snapshots/${encodeURIComponent(name)}`, undefined);
    if (name !== 'con')
      expect([odd.status, refusal(odd).rule], name).toEqual([400, 'snapshot/name-form']);
    const reset = await foundry.post(`${path}:reset`, { snapshot: name });
    expect(reset.status, name).toBe(name === 'con' ? 200 : 400);
  }

  const outside = files(around).filter((file) => relative(folder, file).startsWith('..'));
  expect(outside).toEqual([]);
  expect(readdirSync(around)).toEqual(['data']);
  expect(
    new Set(
      files(folder)
        .filter((file) => file.endsWith('s.db'))
        .map((file) => join(file, '..')),
    ).size,
  ).toBe(ODD.length);
});

test('a link in the place of a snapshot is replaced, never followed', async () => {
  const around = scratchFolder();
  const victim = join(around, 'victim');
  writeFileSync(victim, 'mine');
  const foundry = openFoundry({ dataDir: join(around, 'data') });
  await foundry.put('/_emulator/projects/tests/snapshots/s', undefined);
  const [first = ''] = files(join(around, 'data')).filter((file) => file.endsWith('s.db'));
  const link = join(first, '..', 'l.db');
  mkdirSync(join(first, '..'), { recursive: true });
  symlinkSync(victim, link);

  const taken = await foundry.put('/_emulator/projects/tests/snapshots/l', undefined);

  expect(taken.status).toBe(200);
  expect([readFileSync(victim, 'utf8'), lstatSync(link).isSymbolicLink()]).toEqual(['mine', false]);
  expect(existsSync(link)).toBe(true);
});

test('a long body is kept in the journal up to 16 KiB, whoever sent it where', async () => {
  const foundry = openFoundry({ agents: { digest: {} } });
  const long = 'é'.repeat(15_000);
  await foundry.put('/routines/r', { ...every('0 7 * * *'), extra: long });
  await foundry.post('/agents/digest/endpoint/protocols/invocations', { long });

  const { body } = await foundry.get('/_emulator/projects/tests/journal?kind=request');

  expect(body.entries).toHaveLength(2);
  for (const { raw, body: whole } of body.entries) {
    expect(whole).toBeUndefined();
    expect(Buffer.byteLength(raw)).toBeLessThanOrEqual(16 * 1024);
    expect(Buffer.byteLength(raw)).toBeGreaterThan(16 * 1024 - 4);
  }
});
