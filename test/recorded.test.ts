import { lossesOf, operations, responseSchema } from '../contracts/openapi.ts';
import {
  type Answered,
  CURL,
  CUSTOM,
  EVERY_5_MINUTES,
  expect,
  type Foundry,
  invocations,
  openFoundry,
  responses,
  routine,
  test,
} from './fixture.ts';
import { walkAgents } from './walk-agents.ts';
import { walkThreads } from './walk-threads.ts';

const RESPONSES = '/endpoint/protocols/openai/responses';

/** Every operation, in the ways in which its answers differ. */
async function walk(foundry: Foundry): Promise<void> {
  await agents(foundry);
  await routines(foundry);
  await walkAgents(foundry);
  await walkThreads(foundry);
  await control(foundry);
  await refusals(foundry);
}

async function agents(foundry: Foundry): Promise<void> {
  await foundry.agent('digest');
  await foundry.agent('prompted', { kind: 'prompt', model: 'm' });
  for (const name of ['digest', 'prompted']) await foundry.get(`/agents/${name}`);
  await foundry.post('/agents/prompted:disable');
  await foundry.post('/agents/prompted:enable');
  const turns = [
    { text: 'a' },
    { tool_calls: [{ name: 'look' }] },
    { failed: { code: 'c', message: 'm' } },
    { accepted: { after: '1m' } },
    { status: 418 },
  ];
  await foundry.reply('prompted', { kind: 'script', turns });
  for (const _ of turns) await foundry.post(`/agents/prompted${RESPONSES}`, { input: 'x' });
  await foundry.post('/agents/digest/endpoint/protocols/openai/v1/responses', { input: 'x' });
  await foundry.post('/agents/digest/endpoint/protocols/invocations', { x: 1 });
  await foundry.delete('/agents/prompted');
}

async function routines(foundry: Foundry): Promise<void> {
  const github = {
    type: 'github_issue',
    connection_id: 'c',
    owner: 'o',
    repository: 'r',
    issue_event: 'opened',
  };
  const bodies = [
    routine(EVERY_5_MINUTES),
    routine({ type: 'timer', at: '2026-06-01T00:01:00', time_zone: 'UTC' }),
    routine(
      { type: 'timer', at: '30m' },
      { action: responses('digest', { conversation: 'c', input: { a: [1] } }) },
    ),
    routine(github, {
      action: { type: 'invoke_agent_responses_api', agent_endpoint_id: 'digest' },
    }),
    routine(
      { ...CUSTOM, event_name: 'e', parameters: { a: 1 } },
      { action: invocations('digest', { input: 5, session_id: 's' }) },
    ),
  ];
  for (const [index, body] of bodies.entries()) {
    for (const headers of [CURL, {}]) await foundry.put(`/routines/r${index}`, body, headers);
    await foundry.get(`/routines/r${index}`);
    await foundry.dispatch(`r${index}`);
    await foundry.runs(`r${index}`);
  }
  await foundry.steer('POST', '/routines/r4:fire', { payload: { issue: 1 } });
  await foundry.faults(
    { agent: 'digest', times: 1, fault: { kind: 'gate', name: 'g' } },
    { agent: 'digest', times: 1, fault: 400 },
    { agent: 'digest', times: 3, fault: 'timeout' },
  );
  await foundry.advance('PT0S');
  for (const [index] of bodies.entries()) await foundry.runs(`r${index}`);
  await foundry.clock();
  await foundry.steer('GET', '/faults');
  await foundry.get('/_emulator/health');
  await foundry.release('g');
  await foundry.advance('PT10M');
  await foundry.post('/routines/r0:disable');
  await foundry.post('/routines/r0:enable');
  for (const [index] of bodies.entries()) await foundry.runs(`r${index}`);
  for (const envelope of ['superset', 'v1', 'v2']) {
    await foundry.set({ switches: { envelope } });
    for (const query of ['', '?limit=2', '?limit=2&after=r3'])
      await foundry.get(`/routines${query}`);
    for (const query of ['', '?limit=1', '?filter=phase%3D%27none%27'])
      await foundry.get(`/routines/r0/runs${query}`);
  }
  await foundry.set({ switches: { put_create_status: '201' } });
  await foundry.put('/routines/new', routine());
  await foundry.delete('/routines/new');
}

async function control(foundry: Foundry): Promise<void> {
  await foundry.steer('PUT', '/snapshots/s');
  await foundry.steer('GET', '/snapshots');
  await foundry.steer('PUT', '/clock', { skip: true });
  await foundry.steer('POST', '/clock:stop');
  await foundry.request('POST', foundry.control('/clock:advance'), {
    body: { by: 'PT10M' },
    headers: { accept: 'application/x-ndjson' },
  });
  await foundry.set({ settings: { fired_max: 1 } });
  await foundry.advance('PT1H');
  await foundry.request('POST', foundry.control('/clock:advance'), { body: { by: 'PT0S' } });
  for (const query of ['', '?canonical=true', '?after=99999'])
    await foundry.get(foundry.control(`/journal${query}`));
  await foundry.get(foundry.control('/journal?canonical=true'), { accept: 'application/x-ndjson' });
  await foundry.in('made').steer('PUT', '', { empty: true });
  await foundry.get('/_emulator/projects');
  await foundry.in('made').steer('DELETE', '');
  await foundry.steer('DELETE', '/faults');
  await foundry.get('/_emulator/health');
  await foundry.get('/_emulator/ready');
  for (const path of ['/_emulator/health', '/_emulator/ready']) await foundry.request('HEAD', path);
  for (const path of ['?area=list', '?area=none', '/list%2Forder-known', '/list/order-known', '/x'])
    await foundry.get(`/_emulator/ledger${path}`);
  await foundry.get('/_emulator/ca.pem');
  const identity = '/_emulator/identity?api-version=2019-08-01&resource=https://ai.azure.com';
  await foundry.get(identity, { 'x-identity-header': 'secret' });
  await foundry.get(identity);
  await foundry.get('/_emulator/identity?api-version=1', { 'x-identity-header': 'secret' });
}

async function refusals(foundry: Foundry): Promise<void> {
  await foundry.put('/routines/bad', {});
  await foundry.get('/routines/ghost');
  await foundry.get('/nowhere');
  await foundry.post('/agents:import');
  await foundry.get('/routines', { authorization: '' });
  await foundry.steer('PUT', '/agents/digest/reply', {
    kind: 'forward',
    url: 'http://127.0.0.1:1',
  });
  await foundry.post(`/agents/digest${RESPONSES}`, { input: 'x' });
  await foundry.request('PUT', foundry.control(''), { body: {} });
  await foundry.post('/agents/digest:disable');
  await foundry.post(`/agents/digest${RESPONSES}`, { input: 'x' });
  await foundry.steer('POST', ':reset', { snapshot: 's' });
}

/** The JSON values of an answer with the schema that they keep to. */
function values(
  answer: Answered,
): { schema: NonNullable<ReturnType<typeof responseSchema>>; value: unknown }[] {
  const { method, path, status, headers, body } = answer;
  if (headers.has('x-foundrite-body-by') || body === undefined) return [];
  const type = headers.get('content-type') ?? '';
  const schema = responseSchema(method, path, status, type);
  if (schema === undefined) return [];
  return (type.includes('ndjson') ? body : [body]).map((value: unknown) => ({ schema, value }));
}

async function recorded(): Promise<Answered[]> {
  const foundry = openFoundry({ identitySecret: 'secret', caPem: () => 'PEM' });
  await walk(foundry);
  return foundry.answers;
}

test('the walk meets every operation in success, and every kind of refusal', async () => {
  const answers = await recorded();

  const met = new Set<string>();
  for (const { method, path, status } of answers) {
    const bare = path.replace(/\?.*$/, '');
    for (const operation of operations()) {
      const pattern = operation.path
        .split(/\{[^}]*\}/)
        .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
      if (operation.method !== method || status >= 400) continue;
      if (new RegExp(`^${pattern.join('[^/:]+')}$`).test(bare)) met.add(operation.operationId);
    }
  }
  const missing = operations().map(({ operationId }) => operationId);
  expect(missing.filter((id) => !met.has(id))).toEqual([]);
  const refused = [...new Set(answers.map(({ status }) => status))].filter(
    (status) => status >= 400,
  );
  expect(refused.sort()).toEqual([400, 401, 403, 404, 409, 418, 424, 501]);
});

test('a recorded answer may lose nothing that openapi.yaml does not excuse', async () => {
  const answers = await recorded();

  const unnoticed = new Set<string>();
  let looked = 0;
  for (const answer of answers) {
    for (const { schema, value } of values(answer)) {
      looked += 1;
      for (const pointer of lossesOf(schema, value).unnoticed) {
        unnoticed.add(`${answer.method} ${answer.path.split('?')[0]} ${answer.status} ${pointer}`);
      }
    }
  }
  expect([...unnoticed]).toEqual([]);
  expect(looked).toBeGreaterThan(100);
}, 60_000);

test('a recorded answer says its instant, and a refusal its rule', async () => {
  const answers = await recorded();

  const silent: string[] = [];
  for (const { method, path, status, text, headers } of answers) {
    const label = `${method} ${path} ${status}`;
    if ((status === 204 || method === 'HEAD') && text !== '') silent.push(`${label} has a body`);
    if (path.startsWith('/_emulator/identity') || headers.has('x-foundrite-body-by')) continue;
    if (!headers.has('x-foundrite-now')) silent.push(`${label} has no x-foundrite-now`);
    const rule = headers.get('x-foundrite-rule') ?? '';
    if (status >= 400 && !/^[a-z-]+\/[a-z0-9-]+$/.test(rule)) silent.push(`${label} has no rule`);
  }
  expect(silent).toEqual([]);
});
