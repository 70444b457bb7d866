/** Every operation of assistants, threads, messages, runs and steps, in the ways in which their answers differ. */
import type { Foundry } from './fixture.ts';

const LOOK = { type: 'function', function: { name: 'look' } };
const ANNOTATIONS = [
  { type: 'url_citation', text: 'a', url_citation: { url: 'https://a.test', title: 't' } },
  { type: 'file_citation', text: 'b', file_citation: { file_id: 'file-1', quote: 'q' } },
  { type: 'file_path', text: 'c', file_path: { file_id: 'file-1' } },
];
/** A run can end in each of these ways, and one waits for outputs before. */
const TURNS = [
  { text: 'a b c', annotations: ANNOTATIONS },
  { tool_calls: [{ name: 'look', arguments: { a: 1 } }] },
  { text: 'half', failed: { code: 'server_error', message: 'm' } },
  { text: 'half', incomplete: 'max_completion_tokens' },
];
const SAID = {
  role: 'user',
  content: [
    { type: 'text', text: 'x' },
    { type: 'image_file', image_file: { file_id: 'file-1', detail: 'low' } },
    { type: 'image_url', image_url: { url: 'https://a.test/b.png' } },
  ],
  attachments: [
    { file_id: 'file-1', tools: [{ type: 'code_interpreter' }] },
    { data_source: { uri: 'u', type: 'id_asset' }, tools: [{ type: 'file_search' }] },
  ],
  metadata: { a: 'b' },
};

export async function walkThreads(foundry: Foundry): Promise<void> {
  const assistant = await assistants(foundry);
  await threads(foundry);
  for (const stream of [false, true])
    for (const turn of TURNS) await ran(foundry, assistant, turn, stream);
  await moved(foundry, assistant);
  await deleted(foundry, assistant);
}

async function assistants(foundry: Foundry): Promise<string> {
  await foundry.post('/assistants', { model: 'm' });
  const { body } = await foundry.post('/assistants', {
    model: 'm',
    name: 'helper',
    description: 'd',
    instructions: 'i',
    tools: [LOOK, { type: 'file_search', file_search: { max_num_results: 5 } }],
    tool_resources: { file_search: { vector_store_ids: ['vs_1'] } },
    response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {} } },
    metadata: { a: 'b' },
  });
  for (const query of ['', '?limit=1']) await foundry.get(`/assistants${query}`);
  await foundry.get(`/assistants/${body.id}`);
  await foundry.post(`/assistants/${body.id}`, { response_format: 'auto', tools: [LOOK] });
  await foundry.get('/assistants/asst_x');
  return body.id;
}

async function threads(foundry: Foundry): Promise<void> {
  await foundry.post('/threads');
  const { body } = await foundry.post('/threads', {
    messages: [SAID],
    tool_resources: { code_interpreter: { file_ids: ['file-1'] } },
    metadata: { a: 'b' },
  });
  for (const query of ['', '?limit=1']) await foundry.get(`/threads${query}`);
  await foundry.get(`/threads/${body.id}`);
  await foundry.post(`/threads/${body.id}`, { metadata: null });
  const messages = `/threads/${body.id}/messages`;
  const { body: said } = await foundry.post(messages, { role: 'assistant', content: 'x' });
  for (const query of ['', '?limit=1', '?limit=100&order=asc'])
    await foundry.get(`${messages}${query}`);
  await foundry.get(`${messages}/${said.id}`);
  await foundry.post(`${messages}/${said.id}`, { metadata: { a: 'b' } });
  await foundry.delete(`${messages}/${said.id}`);
}

/** A run from its creation to its end, looked at on its way. */
async function ran(foundry: Foundry, assistant: string, turn: object, stream: boolean) {
  await foundry.reply(assistant, { kind: 'script', turns: [turn] });
  const { body: thread } = await foundry.post('/threads', { messages: [SAID] });
  const runs = `/threads/${thread.id}/runs`;
  const asked = {
    assistant_id: assistant,
    stream,
    truncation_strategy: { type: 'last_messages', last_messages: 1 },
    tool_choice: LOOK,
    metadata: { a: 'b' },
  };
  await told(foundry, runs, asked);
  const { body: list } = await foundry.get(runs);
  const { id, status, required_action: wanted } = list.data[0];
  if (status === 'requires_action') {
    const [{ id: tool_call_id }] = wanted.submit_tool_outputs.tool_calls;
    await foundry.get(`${runs}/${id}/steps`);
    const submitted = { tool_outputs: [{ tool_call_id, output: '21' }], stream };
    await told(foundry, `${runs}/${id}/submit_tool_outputs`, submitted);
  }
  await foundry.get(`${runs}?limit=1`);
  await foundry.get(`${runs}/${id}`);
  await foundry.post(`${runs}/${id}`, { metadata: { a: 'c' } });
  await foundry.get(`/threads/${thread.id}/messages?run_id=${id}`);
  const { body: steps } = await foundry.get(`${runs}/${id}/steps`);
  await foundry.get(`${runs}/${id}/steps?limit=1`);
  await foundry.get(`${runs}/${id}/steps/${steps.data[0].id}`);
}

/** What is streamed is answered once time has gone by, and what is not goes on meanwhile. */
async function told(foundry: Foundry, path: string, body: { stream: boolean }): Promise<void> {
  const answered = body.stream ? foundry.inFlight('POST', path, { body }) : undefined;
  if (answered === undefined) await foundry.post(path, body);
  await foundry.advance('1m');
  await answered;
}

/** Runs that are moved by hand, cancelled, or left until they expire. */
async function moved(foundry: Foundry, assistant: string): Promise<void> {
  await foundry.reply(assistant, { kind: 'script', turns: [{ stuck: true }] });
  const begun = async () => {
    const asked = { assistant_id: assistant, thread: { messages: [SAID] } };
    const { body } = await foundry.post('/threads/runs', asked);
    return { id: body.id, path: `/threads/${body.thread_id}/runs/${body.id}` };
  };
  const cancelled = await begun();
  await foundry.steer('POST', `/runs/${cancelled.id}:step`);
  await foundry.post(`${cancelled.path}/cancel`);
  const expired = await begun();
  const failed = await begun();
  await foundry.steer('POST', `/runs/${failed.id}:step`, { to: 'failed' });
  await foundry.post(`${failed.path}/cancel`);
  await foundry.advance('11m');
  for (const { path } of [cancelled, expired, failed]) await foundry.get(path);
}

async function deleted(foundry: Foundry, assistant: string): Promise<void> {
  const { body } = await foundry.post('/threads');
  await foundry.delete(`/threads/${body.id}`);
  await foundry.get(`/threads/${body.id}/messages`);
  await foundry.delete(`/assistants/${assistant}`);
}
