/** Valid requests of assistants, threads, messages, runs and steps. */
import type { Collect } from './valid.ts';
import { type Known, WORLD } from './world.ts';
import { ASSISTANT, LOOK, RUN_SCRIPT } from './world-threads.ts';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;
const THREADS = `${API}/threads`;
const METADATA = { metadata: { team: 'b' } };
const RESOURCES = { tool_resources: { file_search: { vector_stores: [{ name: 'n' }] } } };
const MESSAGE = {
  role: 'user',
  content: [
    { type: 'text', text: 'Hi' },
    { type: 'image_file', image_file: { file_id: 'file-1', detail: 'low' } },
    { type: 'image_url', image_url: { url: 'https://a.test/b.png' } },
  ],
  attachments: [
    { file_id: 'file-1', tools: [{ type: 'code_interpreter' }] },
    { data_source: { uri: 'u', type: 'uri_asset' }, tools: [{ type: 'file_search' }] },
  ],
  metadata: { seen: 'yes' },
};
const OVERRIDES = {
  model: 'other',
  instructions: 'Be long.',
  tools: [LOOK, { type: 'file_search', file_search: { max_num_results: 5 } }],
  temperature: 0,
  top_p: 1,
  max_prompt_tokens: 256,
  max_completion_tokens: 1_000,
  truncation_strategy: { type: 'last_messages', last_messages: 3 },
  tool_choice: { type: 'function', function: { name: 'look' } },
  response_format: { type: 'json_object' },
  parallel_tool_calls: false,
  ...METADATA,
};

export function validThreads(collect: Collect, known: Known): void {
  validAssistants(collect, known);
  validObjects(collect, known);
  validMessages(collect, known);
  validRuns(collect, known);
  validMoves(collect, known);
  validSteps(collect, known);
}

function validAssistants({ of, add }: Collect, { assistant, other, caller }: Known): void {
  const ASSISTANTS = `${API}/assistants`;
  of('listAssistants');
  add('GET', ASSISTANTS);
  add('GET', `${ASSISTANTS}?api-version=v1&limit=2&order=asc&after=${assistant}`);
  add('GET', `${ASSISTANTS}?before=${caller}&after=${assistant}&order=asc`);
  of('createAssistant');
  add('POST', ASSISTANTS, ASSISTANT);
  add('POST', `${ASSISTANTS}?api-version=v1`, { model: 'm', response_format: 'none', name: null });
  of('getAssistant');
  add('GET', `${ASSISTANTS}/${assistant}`);
  add('GET', `${ASSISTANTS}/${other}?api-version=v1`);
  of('updateAssistant');
  add('POST', `${ASSISTANTS}/${other}`, { ...ASSISTANT, response_format: 'auto' });
  add('POST', `${ASSISTANTS}/${assistant}`, { name: null, tools: [] });
  of('deleteAssistant');
  add('DELETE', `${ASSISTANTS}/${assistant}`);
  add('DELETE', `${ASSISTANTS}/${other}?api-version=v1`);
}

function validObjects({ of, add }: Collect, { thread, waiting, gone }: Known): void {
  of('listThreads');
  add('GET', THREADS);
  add('GET', `${THREADS}?api-version=v1&limit=1&order=asc&after=${thread}`);
  add('GET', `${THREADS}?before=${gone}`);
  of('createThread');
  add('POST', THREADS);
  add('POST', `${THREADS}?api-version=v1`, { messages: [MESSAGE], ...RESOURCES, ...METADATA });
  of('getThread');
  add('GET', `${THREADS}/${thread}`);
  of('updateThread');
  add('POST', `${THREADS}/${thread}`, { ...RESOURCES, ...METADATA });
  add('POST', `${THREADS}/${waiting}?api-version=v1`, { metadata: null });
  of('deleteThread');
  add('DELETE', `${THREADS}/${thread}`);
  add('DELETE', `${THREADS}/${waiting}`);
}

function validMessages({ of, add }: Collect, { thread, messages, message, run }: Known): void {
  const base = `${THREADS}/${thread}/messages`;
  of('listMessages');
  add('GET', base);
  add('GET', `${base}?api-version=v1&limit=1&order=asc&after=${message}`);
  add('GET', `${base}?before=${messages[1]}&run_id=${run}`);
  of('createMessage');
  add('POST', base, { role: 'user', content: 'Hi' });
  add('POST', `${base}?api-version=v1`, MESSAGE);
  of('getMessage');
  add('GET', `${base}/${message}`);
  of('updateMessage');
  add('POST', `${base}/${message}`, METADATA);
  of('deleteMessage');
  add('DELETE', `${base}/${message}`);
}

function validRuns({ of, add }: Collect, { assistant, caller, thread, run }: Known): void {
  const base = `${THREADS}/${thread}/runs`;
  of('createThreadAndRun');
  add('POST', `${THREADS}/runs`, { assistant_id: assistant });
  add('POST', `${THREADS}/runs?include[]=x`, {
    assistant_id: caller,
    thread: { messages: [MESSAGE], ...RESOURCES, metadata: { topic: 'b' } },
    ...OVERRIDES,
  });
  of('listThreadRuns');
  add('GET', base);
  add('GET', `${base}?api-version=v1&limit=1&order=asc&before=${run}`);
  of('createThreadRun');
  add('POST', base, { assistant_id: assistant });
  add('POST', `${base}?include%5B%5D=x`, {
    assistant_id: caller,
    stream: false,
    additional_instructions: 'Now.',
    additional_messages: [{ role: 'assistant', content: 'Yes?' }, MESSAGE],
    ...OVERRIDES,
  });
  of('getThreadRun');
  add('GET', `${base}/${run}`);
  of('updateThreadRun');
  add('POST', `${base}/${run}`, METADATA);
}

function validMoves({ of, add }: Collect, { waiting, asking, call, busy, going }: Known): void {
  of('cancelThreadRun');
  add('POST', `${THREADS}/${waiting}/runs/${asking}/cancel`);
  add('POST', `${THREADS}/${busy}/runs/${going}/cancel?api-version=v1`);
  of('submitToolOutputs');
  const submit = `${THREADS}/${waiting}/runs/${asking}/submit_tool_outputs`;
  add('POST', submit, { tool_outputs: [{ tool_call_id: call, output: '21' }], stream: false });
  add('POST', `${submit}?api-version=v1`, { tool_outputs: [{ tool_call_id: call }] });
  of('stepRun');
  add('POST', `${CONTROL}/runs/${going}:step`);
  add('POST', `${CONTROL}/runs/${going}:step`, { to: 'completed' });
  const last_error = { code: 'rate_limit_exceeded', message: 'm' };
  add('POST', `${CONTROL}/runs/${going}:step`, { to: 'failed', last_error });
  add('POST', `${CONTROL}/runs/${asking}:step`, { to: 'queued' });
}

function validSteps({ of, add }: Collect, { thread, run, step, assistant }: Known): void {
  const base = `${THREADS}/${thread}/runs/${run}/steps`;
  of('listRunSteps');
  add('GET', base);
  add('GET', `${base}?api-version=v1&limit=1&order=asc&before=${step}&include[]=x`);
  of('getRunStep');
  add('GET', `${base}/${step}`);
  of('setAgentReply');
  const reply = `${CONTROL}/agents/${assistant}/reply`;
  add('PUT', reply, RUN_SCRIPT);
  for (const turn of RUN_SCRIPT.turns) add('PUT', reply, { kind: 'script', turns: [turn] });
}
