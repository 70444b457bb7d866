/** Every operation of agents, sessions and the two protocols, in the ways in which their answers differ. */
import { type Foundry, localAgent } from './fixture.ts';

const PROMPT = { kind: 'prompt', model: 'm' };
const ENDPOINT = '/agents/digest/endpoint/protocols';

export async function walkAgents(foundry: Foundry): Promise<void> {
  await objects(foundry);
  await versions(foundry);
  await code(foundry);
  await sessions(foundry);
  await files(foundry);
  await calls(foundry);
  for (const base of [`${ENDPOINT}/openai`, '/openai/v1']) {
    await responses(foundry, base);
    await conversations(foundry, base);
  }
  await invocations(foundry);
}

async function objects(foundry: Foundry): Promise<void> {
  await foundry.post('/agents', {
    name: 'made',
    definition: PROMPT,
    description: 'd',
    metadata: { a: 'b' },
    blueprint_reference: { type: 'ManagedAgentIdentityBlueprint', blueprint_id: 'b' },
    agent_card: { version: '1', skills: [{ id: 'i', name: 'n', tags: ['t'], examples: ['e'] }] },
  });
  for (const query of ['', '?limit=1', '?kind=workflow']) await foundry.get(`/agents${query}`);
  await foundry.post('/agents/made', { definition: { ...PROMPT, model: 'other' } });
  await foundry.request('PATCH', '/agents/made', {
    body: { agent_endpoint: { protocols: ['responses'] }, agent_card: null },
  });
  await foundry.delete('/agents/made');
}

async function versions(foundry: Foundry): Promise<void> {
  const draft = { definition: { ...PROMPT, instructions: 'i' }, draft: true };
  await foundry.post('/agents/kept/versions', { definition: PROMPT });
  const { body } = await foundry.post('/agents/kept/versions', draft);
  await foundry.post('/agents/kept/versions', { definition: { kind: 'workflow', workflow: 'w' } });
  await foundry.post('/agents/kept/versions', { definition: { kind: 'external' } });
  for (const query of ['', '?include_drafts=true&limit=1'])
    await foundry.get(`/agents/kept/versions${query}`);
  await foundry.get(`/agents/kept/versions/${body.version}`);
  await foundry.delete(`/agents/kept/versions/${body.version}`);
}

async function code(foundry: Foundry): Promise<void> {
  const form = [
    '--x',
    'content-disposition: form-data; name="metadata"',
    'content-type: application/json',
    '',
    JSON.stringify({
      definition: {
        kind: 'hosted',
        cpu: '1',
        memory: '2Gi',
        code_configuration: { runtime: 'python_3_13', entry_point: ['python', 'main.py'] },
      },
    }),
    '--x',
    'content-disposition: form-data; name="code"; filename="code.zip"',
    'content-type: application/zip',
    '',
    'PK\u0005\u0006',
    '--x--',
    '',
  ].join('\r\n');
  const headers = { 'content-type': 'multipart/form-data; boundary=x' };
  await foundry.request('POST', '/agents/coded/versions', { raw: form, headers });
  await foundry.get('/agents/coded/code:download');
  await foundry.get('/agents/coded/versions/1/code:download');
}

async function sessions(foundry: Foundry): Promise<void> {
  const base = '/agents/digest/endpoint/sessions';
  await foundry.post(base, { agent_session_id: 'session-1' });
  await foundry.post(base, {
    agent_session_id: 'session-2',
    version_indicator: { type: 'version_ref', agent_version: '1' },
  });
  for (const query of ['', '?limit=1']) await foundry.get(`${base}${query}`);
  await foundry.post(`${base}/session-2:stop`);
  await foundry.get(`${base}/session-2`);
  await foundry.steer('POST', '/sessions/session-1/log', { message: 'hello' });
  await foundry.get('/agents/digest/sessions/session-1:logstream?follow=false');
  const stream = foundry.inFlight('GET', '/agents/digest/versions/1/sessions/session-1:logstream');
  await foundry.advance('31m');
  await stream;
  await foundry.delete(`${base}/session-2`);
}

async function files(foundry: Foundry): Promise<void> {
  const base = '/agents/digest/endpoint/sessions/session-1/files';
  await foundry.request('PUT', `${base}/content?path=a/b.txt`, {
    raw: 'text',
    headers: { 'content-type': 'application/octet-stream' },
  });
  await foundry.get(`${base}/content?path=a/b.txt`);
  await foundry.post(`${base}/mkdir`, { path: 'c' });
  for (const query of ['', '?path=a', '?limit=1']) await foundry.get(`${base}${query}`);
  for (const path of ['a', 'a/b.txt']) await foundry.get(`${base}/stat?path=${path}`);
  await foundry.delete(`${base}?path=a&recursive=true`);
}

/** What a response can be, streamed and whole. */
async function calls(foundry: Foundry): Promise<void> {
  const turns = [
    { text: 'a b' },
    { tool_calls: [{ name: 'look', arguments: { a: 1 } }] },
    { failed: { code: 'c', message: 'm' } },
    { text: 'a', incomplete: 'max_output_tokens' },
  ];
  await foundry.reply('digest', { kind: 'script', turns, repeat: 'cycle' });
  for (const stream of [false, true])
    for (const _ of turns)
      await foundry.post(`${ENDPOINT}/openai/responses`, { input: 'x', stream });
  await foundry.reply('digest', { kind: 'echo' });
}

async function responses(foundry: Foundry, base: string): Promise<void> {
  const agent_reference = { type: 'agent_reference', name: 'digest' };
  const whom = base.startsWith('/openai') ? { agent_reference } : {};
  const { body: kept } = await foundry.post(`${base}/responses`, { input: 'x', ...whom });
  await foundry.get(`${base}/responses/${kept.id}`);
  for (const query of ['', '?limit=1'])
    await foundry.get(`${base}/responses/${kept.id}/input_items${query}`);
  const { body: going } = await foundry.post(`${base}/responses`, {
    input: [{ role: 'user', content: 'x' }],
    background: true,
    ...whom,
  });
  await foundry.post(`${base}/responses/${going.id}/cancel`);
  if (base.startsWith('/openai')) {
    await foundry.post(`${base}/responses`, { input: 'x', model: 'm' });
    for (const query of ['', '?limit=1']) await foundry.get(`${base}/responses${query}`);
  }
  await foundry.delete(`${base}/responses/${kept.id}`);
}

async function conversations(foundry: Foundry, base: string): Promise<void> {
  const item = { role: 'user', content: 'x' };
  const { body } = await foundry.post(`${base}/conversations`, { items: [item] });
  const path = `${base}/conversations/${body.id}`;
  await foundry.get(path);
  await foundry.post(path, { metadata: { a: 'b' } });
  const { body: added } = await foundry.post(`${path}/items`, { items: [item, item] });
  for (const query of ['', '?limit=1']) await foundry.get(`${path}/items${query}`);
  await foundry.get(`${path}/items/${added.data[0].id}`);
  await foundry.delete(`${path}/items/${added.data[0].id}`);
  if (base.startsWith('/openai'))
    for (const query of ['', '?limit=1']) await foundry.get(`${base}/conversations${query}`);
  await foundry.delete(path);
}

async function invocations(foundry: Foundry): Promise<void> {
  const base = `${ENDPOINT}/invocations`;
  await foundry.post(base, { x: 1 });
  const turns = [{ accepted: { after: '1m' } }];
  await foundry.reply('digest', { kind: 'script', turns, repeat: 'cycle' });
  const { body } = await foundry.post(base, { x: 1 });
  await foundry.get(`${base}/${body.invocation_id}`);
  await foundry.post(`${base}/${body.invocation_id}/cancel`);
  const { url } = await localAgent((response) => response.end('{}'));
  await foundry.reply('digest', { kind: 'forward', url });
  await foundry.get(`${base}/docs/openapi.json`);
  await foundry.reply('digest', { kind: 'echo' });
}
