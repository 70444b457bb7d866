/** A world that has some of everything: what every bad request meets. */
import type { Emulator } from '../../emulator/emulator.ts';
import type { Json } from '../started.ts';

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
  code_configuration: { runtime: 'python' },
  protocol_versions: [
    { protocol: 'responses', version: '1.0.0' },
    { protocol: 'invocations', version: '1.0.0' },
  ],
  container_protocol_versions: [{ protocol: 'responses', version: '1.0.0' }],
  environment_variables: { LEVEL: 'info' },
};
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
  conversation: 'conv_1',
};
export const INVOCATIONS = {
  type: 'invoke_agent_invocations_api',
  agent_endpoint_id: 'digest',
  input: { a: { b: [1, null, 'c'] } },
  session_id: 's1',
};
export const SCRIPT = {
  kind: 'script',
  turns: [
    { text: 'one' },
    { tool_calls: [{ name: 'f', arguments: { a: 1 } }] },
    { failed: { code: 'x', message: 'y' } },
    { accepted: { after: '5s', text: 'later' } },
    { accepted: { after: '5s', failed: { code: 'x', message: 'y' } } },
    { status: 503, headers: { 'retry-after': '7', 'x-tea': 'b' }, body: { error: 1 } },
    { status: 200, body: 'text' },
  ],
  repeat: 'cycle',
};
export const PLAN = {
  faults: [
    { agent: 'digest', protocol: 'responses', attempts: [503, 'timeout', 'ok'] },
    {
      agent: '*',
      fault: { status: 429, headers: { 'Retry-After': '7' }, body: 'no', delay: '1s' },
    },
    { operation: 'getRoutine', times: 2, fault: { kind: 'slow_body', every: '1s', bytes: 8 } },
    { operation: 'listRoutines', probability: 0.5, fault: { delay: 'PT2S' } },
    { operation: 'getAgent', fault: { kind: 'rewrite', set: { '/name': 'z' }, remove: ['/id'] } },
    {
      operation: 'getRoutine',
      fault: { status: 418, headers: { 'x-tea': 'b', allow: 'x' }, body: { a: 1 } },
    },
    { agent: 'writer', fault: { kind: 'gate', name: 'g' } },
    { agent: 'writer', fault: { kind: 'disconnect', delay: '1s' } },
  ],
};

/** Asks in the process itself; only what is arranged, never what is tested. */
export async function ask(
  emulator: Emulator,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Json }> {
  const init = {
    method,
    headers: { authorization: 'Bearer test' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const answer = await emulator.fetch(new Request(`http://localhost${path}`, init));
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

/** What a request may name that only this world knows. */
export interface Known {
  runs: string[];
}

/** Fills the world and keeps it; the clock stands still, and no advance may last. */
export async function build(emulator: Emulator): Promise<Known> {
  const must = async (method: string, path: string, body?: unknown): Promise<Json> => {
    const answer = await ask(emulator, method, path, body);
    if (answer.status < 300) return answer.body;
    throw new Error(
      `${method} ${path} was answered ${answer.status} ${JSON.stringify(answer.body)}`,
    );
  };
  const settings = { fired_max: 20, wall_max: '500ms', skip_max: '1h' };
  await must('PUT', CONTROL, { rate: 0, skip: false, seed: WORLD, settings });
  for (const [name, definition] of Object.entries({
    digest: HOSTED,
    writer: PROMPT,
    flow: { kind: 'workflow', workflow: 'x' },
    off: PROMPT,
  }))
    await must('POST', `${API}/agents/${name}/versions`, { definition });
  await must('POST', `${API}/agents/off:disable`);
  await must('PUT', `${CONTROL}/agents/writer/reply`, SCRIPT);
  const routines = { daily: SCHEDULE, once: TIMER, issue: ISSUE, hook: CUSTOM };
  for (const [name, trigger] of Object.entries(routines)) {
    const action = name === 'hook' ? INVOCATIONS : RESPONSES;
    await must('PUT', `${API}/routines/${name}`, { triggers: { t: trigger }, action });
  }
  await must('POST', `${API}/routines/daily:dispatch_async`, {});
  await must('POST', `${API}/routines/daily:dispatch_async`, {});
  await must('POST', `${CONTROL}/clock:advance`, { until: 'idle' });
  await must('POST', `${API}/routines/hook:dispatch_async`, {});
  const { data } = await must('GET', `${API}/routines/daily/runs`);
  await must('PUT', `${CONTROL}/snapshots/${SNAPSHOT}`);
  return { runs: data.map((run: Json) => run.id) };
}
