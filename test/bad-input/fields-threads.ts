/** Rules of assistants, threads, messages, runs and steps that one field or one id breaks. */
import type { Broken, Request } from './refusal.ts';
import { WORLD } from './world.ts';
import { ASSISTANT, LOOK } from './world-threads.ts';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;
const THREADS = `${API}/threads`;
const THREAD = `${THREADS}/{thread}`;
const RUN = `${THREAD}/runs/{run}`;

const get = (path: string): Request => ({ method: 'GET', path });
const post = (path: string, body?: unknown): Request => ({ method: 'POST', path, body });
const assistant = (more: object) => post(`${API}/assistants`, { ...ASSISTANT, ...more });
const tool = (one: object) => assistant({ tools: [one] });
const thread = (body: unknown) => post(THREADS, body);
const message = (more: object) =>
  post(`${THREAD}/messages`, { role: 'user', content: 'x', ...more });
const run = (more: object) => post(`${THREAD}/runs`, { assistant_id: '{assistant}', ...more });
const begun = (more: object) => post(`${THREADS}/runs`, { assistant_id: '{assistant}', ...more });
const submit = (body: unknown) =>
  post(`${THREADS}/{waiting}/runs/{asking}/submit_tool_outputs`, body);
const reply = (body: unknown, of = '{assistant}'): Request => ({
  method: 'PUT',
  path: `${CONTROL}/agents/${of}/reply`,
  body,
});
const turn = (one: object) => reply({ kind: 'script', turns: [one] });
const step = (id: string, to?: string) =>
  post(`${CONTROL}/runs/${id}:step`, to === undefined ? undefined : { to });
const struck = (more: object): Request => ({
  method: 'PUT',
  path: `${CONTROL}/faults`,
  body: { faults: [{ at: 'transition', of: 'thread_run', ...more }] },
});

export const FIELDS_OF_THREADS: readonly Broken[] = [
  ['assistant/id-form', get(`${API}/assistants/x`)],
  ['assistant/id-form', get(`${API}/assistants/asst%3A7`)],
  ['assistant/id-form', run({ assistant_id: 'helper' })],
  ['assistant/unknown-answers-404', get(`${API}/assistants/asst_x`), 404],
  ['assistant/unknown-answers-404', begun({ assistant_id: 'asst_x' }), 404],
  ['assistant/body-is-object', post(`${API}/assistants`, [])],
  ['assistant/model-required', assistant({ model: undefined })],
  ['assistant/text-limits', assistant({ name: 'x'.repeat(257) })],
  ['assistant/text-limits', assistant({ instructions: 'x'.repeat(256_001) })],
  ['assistant/tools-max-128', assistant({ tools: Array(129).fill(LOOK) })],
  ['assistant/tool-form', tool({ type: 'function' })],
  ['assistant/tool-form', tool({ type: 'file_search', file_search: { max_num_results: 51 } })],
  ['assistant/tool-form', run({ tools: [{}] })],
  ['assistant/tool-resources', assistant({ tool_resources: { file_search: 1 } })],
  ['assistant/sampling-ranges', assistant({ temperature: 2.1 })],
  ['assistant/sampling-ranges', run({ top_p: -1 })],
  ['assistant/response-format', assistant({ response_format: { type: 'json_schema' } })],
  ['thread/id-form', get(`${THREADS}/x`)],
  ['thread/id-form', get(`${THREADS}/runs`)],
  ['thread/unknown-answers-404', get(`${THREADS}/{gone}`), 404],
  ['thread/unknown-answers-404', get(`${THREADS}/{gone}/messages`), 404],
  ['thread/unknown-answers-404', get(`${THREADS}/{gone}/runs/{run}`), 404],
  ['thread/body-is-object', thread([])],
  ['thread/body-is-object', begun({ thread: 1 })],
  ['thread/metadata-limits', thread({ metadata: { a: 1 } })],
  ['thread/metadata-limits', thread({ metadata: { ['x'.repeat(65)]: '' } })],
  ['thread/list-order', get(`${THREADS}?order=up`)],
  ['thread/list-limit', get(`${THREADS}?limit=101`)],
  ['thread/list-limit', get(`${RUN}/steps?limit=x`)],
  ['thread/list-cursor-known', get(`${THREADS}?after=thread_x`)],
  ['thread/list-cursor-known', get(`${THREAD}/messages?before={going}`)],
  ['message/list-of-new', thread({ messages: 1 })],
  ['message/body-is-object', post(`${THREAD}/messages`, [])],
  ['message/role-known', message({ role: 'human' })],
  ['message/role-known', begun({ thread: { messages: [{ role: 'x', content: '' }] } })],
  ['message/content-form', message({ content: [] })],
  ['message/content-form', message({ content: [{ type: 'text', text: {} }] })],
  ['message/attachments', message({ attachments: [{ tools: [{ type: 'x' }] }] })],
  ['message/id-form', get(`${THREAD}/messages/x`)],
  ['message/unknown-answers-404', get(`${THREADS}/{busy}/messages/{message}`), 404],
  ['message/locked-by-a-run', post(`${THREADS}/{busy}/messages`, { role: 'user', content: 'x' })],
  ['thread-run/id-form', get(`${THREAD}/runs/x`)],
  ['thread-run/unknown-answers-404', get(`${THREADS}/{busy}/runs/{run}`), 404],
  ['thread-run/body-is-object', post(`${THREAD}/runs`, [])],
  ['thread-run/assistant-required', post(`${THREAD}/runs`, {})],
  ['thread-run/one-active', post(`${THREADS}/{busy}/runs`, { assistant_id: '{assistant}' })],
  ['thread-run/fields', run({ model: '' })],
  ['thread-run/stream-is-boolean', run({ stream: 'true' })],
  ['thread-run/token-caps', run({ max_prompt_tokens: 255 })],
  ['thread-run/truncation-strategy', run({ truncation_strategy: { type: 'x' } })],
  ['thread-run/tool-choice', run({ tool_choice: 'x' })],
  ['thread-run/response-format', run({ response_format: 'none' })],
  ['thread-run/cancel-needs-going', post(`${RUN}/cancel`)],
  ['thread-run/submit-needs-requires-action', post(`${RUN}/submit_tool_outputs`, {})],
  ['thread-run/tool-outputs', submit({ tool_outputs: 1 })],
  ['thread-run/tool-call-id-required', submit({ tool_outputs: [{ output: 'x' }] })],
  ['thread-run/outputs-of-all-calls', submit({ tool_outputs: [] })],
  ['thread-run/after-in-progress', step('{going}', 'queued'), 409],
  ['thread-run/after-requires-action', step('{asking}', 'completed'), 409],
  ['thread-run/after-its-end', step('{run}'), 409],
  ['control/step', step('run_x'), 404],
  ['control/step', step('{going}', 'x')],
  ['run-step/id-form', get(`${RUN}/steps/x`)],
  ['run-step/unknown-answers-404', get(`${THREADS}/{busy}/runs/{going}/steps/{step}`), 404],
  ['fault/transition-known', struck({ from: 'queued', to: 'completed' })],
  ['fault/transition-known', struck({ to: 'active' })],
  ['reply/assistant-is-there', reply({ kind: 'echo' }, 'asst_x'), 404],
  ['reply/assistant-kind-known', reply({ kind: 'forward', url: 'http://127.0.0.1:1' })],
  ['reply/run-turn-known', turn({ text: 'x', takes: 'x' })],
  ['reply/run-turn-known', turn({ tool_calls: [], next: { stuck: false } })],
];
