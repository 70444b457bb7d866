/** Refusals that no single mutation of the bench's world comes to: what must be arranged first, and what is then asked. */
import type { Emulator, EmulatorOptions } from '../../emulator/emulator.ts';
import { ask, WORLD } from './world.ts';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;
export interface Refusal {
  rule: string;
  status: number;
  options?: EmulatorOptions;
  /** Switches and settings that are in force. */
  switches?: Record<string, string>;
  settings?: Record<string, unknown>;
  arrange?: (emulator: Emulator) => Promise<unknown>;
  method: string;
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
}

const ACTION = { type: 'invoke_agent_responses_api', agent_name: 'digest' };
const SCHEDULE = { type: 'schedule', cron_expression: '0 7 * * *', time_zone: 'UTC' };

function put(trigger: object, action: object = ACTION, name = 'r', key = 't') {
  const body = { triggers: { [key]: trigger }, action };
  return { method: 'PUT', path: `${API}/routines/${name}`, body };
}

const dispatch = { method: 'POST', path: `${API}/routines/daily:dispatch_async` };
const respond = {
  method: 'POST',
  path: `${API}/agents/digest/endpoint/protocols/openai/responses`,
  body: {},
};
const arm = (entry: object) => ({
  method: 'PUT',
  path: `${CONTROL}/faults`,
  body: { faults: [entry] },
});
const timer = (at: unknown) => ({ type: 'timer', at });
const payload = (input: unknown, type = ACTION.type) => ({ payload: { type, input } });

export const REFUSALS: readonly Refusal[] = [
  { rule: 'request/body-max', status: 413, ...dispatch, headers: { 'content-length': '16777217' } },
  {
    rule: 'request/api-version',
    status: 400,
    switches: { require_api_version: 'on' },
    ...dispatch,
  },
  {
    rule: 'request/api-version-known',
    status: 400,
    switches: { unknown_api_version: 'refuse' },
    method: 'GET',
    path: `${API}/routines?api-version=v2`,
  },
  {
    rule: 'request/preview-header',
    status: 404,
    switches: { require_preview_header: 'on' },
    ...dispatch,
  },
  {
    rule: 'request/token-audience',
    status: 401,
    switches: { token_audience: 'checked' },
    ...dispatch,
  },
  {
    rule: 'routine/name-max-128',
    status: 400,
    ...put(SCHEDULE, ACTION, 'x'.repeat(129)),
  },
  {
    rule: 'routine/name-characters',
    status: 400,
    switches: { routine_names: 'plain' },
    ...put(SCHEDULE, ACTION, 'a%20b'),
  },
  {
    rule: 'routine/trigger-name-characters',
    status: 400,
    switches: { trigger_names: 'plain' },
    ...put(SCHEDULE, ACTION, 'r', 'a b'),
  },
  {
    rule: 'routine/schedule-needs-time-zone',
    status: 400,
    ...put({ ...SCHEDULE, time_zone: undefined }),
  },
  { rule: 'routine/time-zone-known', status: 400, ...put({ ...SCHEDULE, time_zone: 'X/Y' }) },
  {
    rule: 'routine/cron-has-five-fields',
    status: 400,
    ...put({ ...SCHEDULE, cron_expression: '@daily' }),
  },
  {
    rule: 'routine/cron-at-least-five-minutes',
    status: 400,
    ...put({ ...SCHEDULE, cron_expression: '* * * * *' }),
  },
  {
    rule: 'cron/fires-at-all',
    status: 400,
    ...put({ ...SCHEDULE, cron_expression: '0 0 31 2 *' }),
  },
  { rule: 'routine/timer-forms', status: 400, ...put(timer('soon')) },
  { rule: 'routine/timer-duration-positive', status: 400, ...put(timer('-5m')) },
  { rule: 'routine/timer-is-future', status: 400, ...put(timer('2020-01-01T00:00:00Z')) },
  {
    rule: 'routine/local-timer-needs-time-zone',
    status: 400,
    ...put(timer('2027-01-01T00:00:00')),
  },
  {
    rule: 'routine/timer-time-zone',
    status: 400,
    switches: { timer_zone: 'refuse' },
    ...put({ ...timer('1h'), time_zone: 'UTC' }),
  },
  {
    rule: 'routine/event-triggers',
    status: 400,
    switches: { event_triggers: 'refuse' },
    ...put({ type: 'custom', provider: 'p', parameters: {} }),
  },
  {
    rule: 'routine/agent-has-identity',
    status: 400,
    switches: { require_agent_identity: 'on' },
    ...put(SCHEDULE, { ...ACTION, agent_name: 'writer' }),
  },
  {
    rule: 'routine/workflow-agents',
    status: 400,
    switches: { workflow_agents: 'refuse' },
    ...put(SCHEDULE, { ...ACTION, agent_name: 'flow' }),
  },
  {
    rule: 'action/endpoint-id',
    status: 400,
    switches: { agent_endpoint_id: 'refuse' },
    ...put(SCHEDULE, { type: ACTION.type, agent_endpoint_id: 'digest' }),
  },
  {
    rule: 'action/conversation-conflict',
    status: 400,
    ...put(SCHEDULE, { ...ACTION, conversation: 'a', conversation_id: 'b' }),
  },
  {
    rule: 'dispatch/when-disabled',
    status: 409,
    switches: { dispatch_when_disabled: 'refuse' },
    arrange: (emulator) => ask(emulator, 'POST', `${API}/routines/daily:disable`),
    ...dispatch,
  },
  {
    rule: 'dispatch/payload-type-matches',
    status: 400,
    ...dispatch,
    body: payload(1, 'invoke_agent_invocations_api'),
  },
  {
    rule: 'dispatch/input',
    status: 400,
    switches: { dispatch_input: 'string' },
    ...dispatch,
    body: payload(1),
  },
  {
    rule: 'dispatch/input-max-32768',
    status: 400,
    ...dispatch,
    body: payload('x'.repeat(32_769)),
  },
  {
    rule: 'agent/disabled-answers-403',
    status: 403,
    arrange: (emulator) => ask(emulator, 'POST', `${API}/agents/digest:disable`),
    ...respond,
  },
  {
    rule: 'agent/creating-answers-400',
    status: 400,
    settings: { provisioning_time: '1h' },
    arrange: (emulator) =>
      ask(emulator, 'POST', `${API}/agents/digest/versions`, {
        definition: { kind: 'hosted', cpu: '4' },
      }),
    ...respond,
  },
  {
    rule: 'agent/unreachable-answers-424',
    status: 424,
    arrange: (emulator) =>
      ask(emulator, 'PUT', `${CONTROL}/agents/digest/reply`, { kind: 'forward', url: 'http://x' }),
    ...respond,
  },
  {
    rule: 'clock/ends',
    status: 400,
    method: 'POST',
    path: `${CONTROL}/clock:advance`,
    body: { by: '99999999d' },
  },
  {
    rule: 'clock/never-goes-back',
    status: 400,
    method: 'PUT',
    path: `${CONTROL}/clock`,
    body: { now: '2020-01-01T00:00:00Z' },
  },
  {
    rule: 'clock/never-skips-due-work',
    status: 409,
    settings: { instant_turns_max: 10, first_wait: 0, attempts_max: 50 },
    arrange: async (emulator) => {
      await ask(emulator, 'PUT', `${CONTROL}/faults`, { faults: [{ agent: '*', fault: 503 }] });
      await ask(emulator, 'POST', dispatch.path);
    },
    method: 'PUT',
    path: `${CONTROL}/clock`,
    body: { now: '2026-06-02T00:00:00Z' },
  },
  {
    rule: 'routine/delete-missing',
    status: 404,
    switches: { delete_missing: '404' },
    method: 'DELETE',
    path: `${API}/routines/x`,
  },
  {
    rule: 'clock/stop',
    status: 409,
    arrange: async (emulator) => {
      const { engine } = emulator.project(WORLD);
      const stopping = async () => {
        while (!engine.advancing) await new Promise((resolve) => setImmediate(resolve));
        await ask(emulator, 'POST', `${CONTROL}/clock:stop`);
      };
      void stopping();
    },
    method: 'PUT',
    path: `${CONTROL}/clock`,
    body: { now: '9000-01-01T00:00:00Z' },
  },
  {
    rule: 'clock/one-advance-at-a-time',
    status: 409,
    arrange: async (emulator) => {
      // Long enough to be under way still; ended with the emulator.
      void ask(emulator, 'PUT', `${CONTROL}/clock`, { now: '9000-01-01T00:00:00Z' }).catch(
        () => {},
      );
      while (!emulator.project(WORLD).engine.advancing)
        await new Promise((resolve) => setImmediate(resolve));
    },
    method: 'POST',
    path: `${CONTROL}/clock:advance`,
    body: { by: '1h' },
  },
  {
    rule: 'routine/disabled-does-not-fire',
    status: 409,
    arrange: (emulator) => ask(emulator, 'POST', `${API}/routines/daily:disable`),
    method: 'POST',
    path: `${CONTROL}/routines/daily:fire`,
  },
  {
    rule: 'control/fire-payload-for-events',
    status: 400,
    method: 'POST',
    path: `${CONTROL}/routines/daily:fire`,
    body: { payload: {} },
  },
  {
    rule: 'control/project-name-max-128',
    status: 400,
    method: 'PUT',
    path: `/_emulator/projects/${'x'.repeat(129)}`,
  },
  {
    rule: 'control/projects-max-256',
    status: 409,
    arrange: async (emulator) => {
      for (let count = 1; count < 256; count += 1)
        await ask(emulator, 'PUT', `/_emulator/projects/p${count}`);
    },
    method: 'PUT',
    path: '/_emulator/projects/one-more',
  },
  { rule: 'control/ca', status: 404, options: {}, method: 'GET', path: '/_emulator/ca.pem' },
  {
    rule: 'control/off',
    status: 404,
    options: { control: false },
    method: 'GET',
    path: '/_emulator/projects',
  },
  {
    rule: 'control/token',
    status: 401,
    options: { controlToken: 'secret' },
    method: 'GET',
    path: '/_emulator/projects',
  },
  {
    rule: 'fault/slow-body-bytes',
    status: 400,
    ...arm({ agent: 'a', fault: { kind: 'slow_body', every: '1s', bytes: 0 } }),
  },
  { rule: 'fault/transition-named', status: 400, ...arm({ at: 'transition', of: '', to: 'x' }) },
  {
    rule: 'reply/model-is-text',
    status: 400,
    method: 'PUT',
    path: `${CONTROL}/agents/digest/reply`,
    body: { kind: 'model', url: 'http://x', model: 1 },
  },
  {
    rule: 'journal/cursor-is-a-seq',
    status: 400,
    method: 'GET',
    path: `${CONTROL}/journal?after=x`,
  },
  {
    rule: 'journal/wait-is-a-duration',
    status: 400,
    method: 'GET',
    path: `${CONTROL}/journal?wait=x&kind=none`,
  },
  {
    rule: 'journal/limit-1-to-10000',
    status: 400,
    method: 'GET',
    path: `${CONTROL}/journal?limit=0`,
  },
];
