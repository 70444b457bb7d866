/** The assistants and threads of the world that every bad request meets. */
import type { Json } from '../started.ts';
import type { Must } from './world.ts';

export const LOOK = {
  type: 'function',
  function: { name: 'look', description: 'd', parameters: { type: 'object' } },
};
export const ASSISTANT = {
  model: 'gpt-4.1',
  name: 'helper',
  description: 'd',
  instructions: 'Be brief.',
  tools: [LOOK, { type: 'code_interpreter' }, { type: 'file_search', file_search: {} }],
  tool_resources: {
    code_interpreter: { file_ids: ['file-1'], data_sources: [{ uri: 'u', type: 'id_asset' }] },
    file_search: { vector_store_ids: ['vs_1'] },
    azure_ai_search: { indexes: [{ index_name: 'i' }] },
  },
  temperature: 1,
  top_p: 0.5,
  response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {} } },
  metadata: { team: 'a' },
};
export const RUN_SCRIPT = {
  kind: 'script',
  turns: [
    {
      text: 'one two',
      annotations: [{ type: 'file_path', text: 'o', file_path: { file_id: 'file-1' } }],
      takes: '2s',
    },
    {
      tool_calls: [{ name: 'look', arguments: { a: 1 } }],
      next: { text: 'seen', every: '10ms' },
    },
    { failed: { code: 'server_error', message: 'm' }, text: 'half', chunk: 2 },
    { text: 'cut', incomplete: 'max_completion_tokens' },
    { stuck: true },
  ],
  repeat: 'cycle',
};

/** What a request may name of assistants and threads. */
export interface KnownThreads {
  assistant: string;
  /** One that has said nothing yet, and one whose runs call a function and wait. */
  other: string;
  caller: string;
  /** Nothing runs on it; its messages, in their order, and a run that has ended with its step. */
  thread: string;
  messages: string[];
  message: string;
  run: string;
  step: string;
  /** On it a run waits for the output of a call. */
  waiting: string;
  asking: string;
  call: string;
  /** On it a run is in progress. */
  busy: string;
  going: string;
  /** One that was deleted. */
  gone: string;
}

/** Nothing comes due: the runs are moved by hand, at the instant that stands. */
export async function buildThreads(
  must: Must,
  { api: API, control: CONTROL }: { api: string; control: string },
): Promise<KnownThreads> {
  const step = (run: string) => must('POST', `${CONTROL}/runs/${run}:step`);
  const assistantOf = async (body: object, turns?: object[]) => {
    const { id } = await must('POST', `${API}/assistants`, body);
    const reply = { kind: 'script', turns, repeat: 'cycle' };
    if (turns) await must('PUT', `${CONTROL}/agents/${id}/reply`, reply);
    return id;
  };
  const runOf = async (assistant_id: string, steps: number, messages: object[]) => {
    const thread = { messages, metadata: { topic: 'a' } };
    const run = await must('POST', `${API}/threads/runs`, { assistant_id, thread });
    for (let moved = 0; moved < steps; moved += 1) await step(run.id);
    return await must('GET', `${API}/threads/${run.thread_id}/runs/${run.id}`);
  };
  const assistant = await assistantOf(ASSISTANT);
  const other = await assistantOf({ model: 'gpt-4.1' });
  const caller = await assistantOf({ model: 'm', tools: [LOOK] }, [
    { tool_calls: [{ name: 'look' }] },
  ]);
  const ended = await runOf(assistant, 2, [
    { role: 'user', content: 'One' },
    { role: 'assistant', content: [{ type: 'text', text: 'Two' }] },
  ]);
  const asking = await runOf(caller, 2, [{ role: 'user', content: 'Look' }]);
  const going = await runOf(assistant, 1, [{ role: 'user', content: 'Go' }]);
  const gone = await must('POST', `${API}/threads`);
  await must('DELETE', `${API}/threads/${gone.id}`);
  const said = await must('GET', `${API}/threads/${ended.thread_id}/messages?order=asc`);
  const steps = await must('GET', `${API}/threads/${ended.thread_id}/runs/${ended.id}/steps`);
  const messages = said.data.map(({ id }: Json) => id);
  return {
    assistant,
    other,
    caller,
    thread: ended.thread_id,
    messages,
    message: messages[0],
    run: ended.id,
    step: steps.data[0].id,
    waiting: asking.thread_id,
    asking: asking.id,
    call: asking.required_action.submit_tool_outputs.tool_calls[0].id,
    busy: going.thread_id,
    going: going.id,
    gone: gone.id,
  };
}
