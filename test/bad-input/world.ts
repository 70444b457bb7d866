/** A world that has some of everything: what every bad request meets. */
import { createHash } from 'node:crypto';
import type { Emulator } from '../../emulator/emulator.ts';
import type { Json } from '../started.ts';
import { buildThreads, type KnownThreads } from './world-threads.ts';

/** The project that is asked, and the snapshot that it is put back to. */
export const WORLD = 'w';
export const SNAPSHOT = 'base';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;

export const HOSTED = {
  kind: 'hosted',
  cpu: '1',
  memory: '2Gi',
  image: 'example.azurecr.io/agent:1',
  container_configuration: { image: 'example.azurecr.io/agent:1', registry_connection_id: 'c' },
  protocol_versions: [
    { protocol: 'responses', version: '1.0.0' },
    { protocol: 'invocations', version: '1.0.0' },
  ],
  environment_variables: { LEVEL: 'info' },
  session_configuration: { idle_timeout_seconds: 600 },
};
export const CODED = {
  kind: 'hosted',
  cpu: '0.5',
  memory: '1Gi',
  code_configuration: { runtime: 'python_3_13', entry_point: ['python', 'main.py'] },
};
/** The end of a zip that holds nothing but a comment, which is no UTF-8. */
export const ZIP = Buffer.concat([
  Buffer.from('PK\u0005\u0006'),
  Buffer.alloc(16),
  Buffer.from('0200fffe', 'hex'),
]);
export const PROMPT = {
  kind: 'prompt',
  model: 'gpt-4o',
  instructions: 'Be brief.',
  temperature: 0.5,
  top_p: 1,
  tools: [{ type: 'function', name: 'f', parameters: {} }],
};
export const SCHEDULE = { type: 'schedule', cron_expression: '0 7 * * 1-5', time_zone: 'UTC' };
export const TIMER = { type: 'timer', at: '2026-09-01T09:00:00', time_zone: 'Europe/Berlin' };
export const ISSUE = {
  type: 'github_issue',
  connection_id: 'c',
  owner: 'o',
  repository: 'r',
  issue_event: 'opened',
};
export const CUSTOM = {
  type: 'custom',
  provider: 'p',
  event_name: 'e',
  parameters: { a: [1, 'x'] },
};
export const RESPONSES = {
  type: 'invoke_agent_responses_api',
  agent_name: 'digest',
  input: [{ role: 'user', content: 'Hello' }],
};
export const INVOCATIONS = {
  type: 'invoke_agent_invocations_api',
  agent_endpoint_id: 'digest',
  input: { a: { b: [1, null, 'c'] } },
  session_id: 'session-1',
};
export const SCRIPT = {
  kind: 'script',
  turns: [
    { text: 'one', chunk: 2 },
    { tool_calls: [{ name: 'f', arguments: { a: 1 } }] },
    { failed: { code: 'x', message: 'y' } },
    { accepted: { after: '5s', text: 'later' } },
    { accepted: { after: '5s', failed: { code: 'x', message: 'y' } } },
    { status: 503, headers: { 'retry-after': '7', 'x-tea': 'b' }, body: { error: 1 } },
    { status: 200, body: 'text' },
    { events: [{ type: 'note', n: 1 }] },
  ],
  repeat: 'cycle',
};

/** Beside the fields of a form, or around them. */
export const BOUNDARY = 'edge-of-a-part';

export interface Part {
  name: string;
  content: Buffer;
  /** After its name in the content disposition. */
  more?: string;
}

/** The parts of an upload, in the order in which they come. */
export function uploadOf(metadata: Buffer, code: Buffer): Part[] {
  return [
    { name: 'metadata', content: metadata, more: '\r\ncontent-type: application/json' },
    {
      name: 'code',
      content: code,
      more: '; filename="code.zip"\r\ncontent-type: application/octet-stream',
    },
  ];
}

/** A form as it goes on the wire. */
export function formOf(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, content, more = '' }) => [
    Buffer.from(`--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n`),
    content,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

export const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Asks in the process itself; only what is arranged, never what is tested. A buffer is sent as it is. */
export async function ask(
  emulator: Emulator,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Json }> {
  const sent = Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body);
  const init = {
    method,
    headers: { authorization: 'Bearer test', ...headers },
    ...(body === undefined ? {} : { body: sent }),
  };
  const answer = await emulator.fetch(new Request(`http://localhost${path}`, init));
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

export type Must = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Json>;

/** What a request may name that only this world knows. */
export interface Known extends KnownThreads {
  runs: string[];
  /** One that has ended and is of a session, and one in the background that has not. */
  response: string;
  background: string;
  conversation: string;
  /** In the order in which they were said. */
  items: string[];
  /** Its work goes on. */
  invocation: string;
  draft: string;
}

/** Where the agent `outer` runs, the only address that answers; and one that never says anything. */
export const OUTSIDE = 'http://agent.test/';
export const SILENT = 'http://silent.test/';

/** Sessions of the agent `digest`: one at work, one stopped and one that was deleted. */
export const SESSION = 'session-1';
export const STOPPED = 'session-2';
export const DELETED = 'session-3';

/** Fills the world and keeps it; the clock stands still, and no advance may last. */
export async function build(emulator: Emulator): Promise<Known> {
  const must: Must = async (method, path, body, headers) => {
    const answer = await ask(emulator, method, path, body, headers);
    if (answer.status < 300) return answer.body;
    throw new Error(
      `${method} ${path} was answered ${answer.status} ${JSON.stringify(answer.body)}`,
    );
  };
  const settings = { fired_max: 20, wall_max: '500ms', skip_max: '1h' };
  await must('PUT', CONTROL, { rate: 0, skip: false, seed: WORLD, settings });
  const draft = await buildAgents(must);
  await buildSessions(must);
  const { id: conversation } = await must('POST', `${API}/openai/v1/conversations`, {
    metadata: { team: 'a' },
    items: [
      { type: 'message', role: 'user', content: 'One' },
      { role: 'user', content: 'Two' },
    ],
  });
  const runs = await buildRoutines(must, conversation);
  const said = await buildCalls(must, conversation);
  const threads = await buildThreads(must, { api: API, control: CONTROL });
  await must('PUT', `${CONTROL}/snapshots/${SNAPSHOT}`);
  return { runs, draft, ...said, ...threads };
}

async function buildAgents(must: Must): Promise<string> {
  for (const [name, definition] of Object.entries({
    digest: HOSTED,
    writer: PROMPT,
    flow: { kind: 'workflow', workflow: 'x' },
    ext: { kind: 'external', otel_agent_id: 'o' },
    off: PROMPT,
    outer: HOSTED,
  }))
    await must('POST', `${API}/agents/${name}/versions`, { definition });
  const second = { definition: { ...HOSTED, cpu: '2', memory: '4Gi' } };
  const { version } = await must('POST', `${API}/agents/digest/versions`, {
    ...second,
    draft: true,
  });
  await must('POST', `${API}/agents/digest/versions`, second);
  const metadata = Buffer.from(JSON.stringify({ definition: CODED }));
  await must('POST', `${API}/agents/coded/versions`, formOf(uploadOf(metadata, ZIP)), {
    'content-type': FORM_TYPE,
  });
  await must('POST', `${CONTROL}/clock:advance`, { until: 'idle' });
  await must('POST', `${API}/agents/off:disable`);
  await must('PUT', `${CONTROL}/agents/writer/reply`, SCRIPT);
  await must('PUT', `${CONTROL}/agents/outer/reply`, { kind: 'forward', url: OUTSIDE });
  return version;
}

async function buildSessions(must: Must): Promise<void> {
  const sessions = `${API}/agents/digest/endpoint/sessions`;
  for (const id of [SESSION, STOPPED, DELETED])
    await must('POST', sessions, { agent_session_id: id });
  const bytes = { 'content-type': 'application/octet-stream' };
  for (const path of ['data/in.csv', 'notes.txt'])
    await must('PUT', `${sessions}/${SESSION}/files/content?path=${path}`, ZIP, bytes);
  await must('POST', `${sessions}/${SESSION}/files/mkdir`, { path: 'empty' });
  await must('POST', `${sessions}/${STOPPED}:stop`);
  await must('DELETE', `${sessions}/${DELETED}`);
  await must('POST', `${CONTROL}/sessions/${SESSION}/log`, { message: 'hello' });
}

async function buildRoutines(must: Must, conversation: string): Promise<string[]> {
  const routines = { daily: SCHEDULE, once: TIMER, issue: ISSUE, hook: CUSTOM };
  for (const [name, trigger] of Object.entries(routines)) {
    const action = name === 'hook' ? INVOCATIONS : { ...RESPONSES, conversation };
    await must('PUT', `${API}/routines/${name}`, { triggers: { t: trigger }, action });
  }
  await must('POST', `${API}/routines/daily:dispatch_async`, {});
  await must('POST', `${API}/routines/daily:dispatch_async`, {});
  await must('POST', `${CONTROL}/clock:advance`, { until: 'idle' });
  await must('POST', `${API}/routines/hook:dispatch_async`, {});
  const { data } = await must('GET', `${API}/routines/daily/runs`);
  return data.map((run: Json) => run.id);
}

/** What is under way stays so: nothing comes due before the clock moves. */
async function buildCalls(
  must: Must,
  conversation: string,
): Promise<Omit<Known, 'runs' | 'draft' | keyof KnownThreads>> {
  const endpoint = `${API}/agents/digest/endpoint/protocols`;
  const called = { input: 'Hi', agent_session_id: SESSION, conversation };
  const { id: response } = await must('POST', `${endpoint}/openai/responses`, called);
  const { id: background } = await must('POST', `${endpoint}/openai/responses`, {
    input: [{ role: 'user', content: 'Later' }],
    background: true,
  });
  const { data } = await must(
    'GET',
    `${API}/openai/v1/conversations/${conversation}/items?order=asc`,
  );
  const accepted = { kind: 'script', turns: [{ accepted: { after: '5s', text: 'later' } }] };
  await must('PUT', `${CONTROL}/agents/coded/reply`, accepted);
  const { invocation_id: invocation } = await must(
    'POST',
    `${API}/agents/coded/endpoint/protocols/invocations`,
    { message: 'Hi' },
  );
  return {
    response,
    background,
    conversation,
    items: data.map((item: Json) => item.id),
    invocation,
  };
}
