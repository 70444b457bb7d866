/** Refusals that no single mutation of the bench's world comes to: what must be arranged first, and what is then asked. */
import type { Refusal } from './refusal.ts';
import { REFUSALS_OF_AGENTS } from './refusals-agents.ts';
import { REFUSALS_OF_CONTROL } from './refusals-control.ts';
import { REFUSALS_OF_THREADS } from './refusals-threads.ts';
import { ask, WORLD } from './world.ts';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;
const ACTION = { type: 'invoke_agent_responses_api', agent_name: 'digest' };
const SCHEDULE = { type: 'schedule', cron_expression: '0 7 * * *', time_zone: 'UTC' };

function put(trigger: object, action: object = ACTION, name = 'r', key = 't') {
  const body = { triggers: { [key]: trigger }, action };
  return { method: 'PUT', path: `${API}/routines/${name}`, body };
}

const dispatch = { method: 'POST', path: `${API}/routines/daily:dispatch_async` };
const timer = (at: unknown) => ({ type: 'timer', at });
const payload = (input: unknown, type = ACTION.type) => ({ payload: { type, input } });

export const REFUSALS: readonly Refusal[] = [
  ...REFUSALS_OF_AGENTS,
  ...REFUSALS_OF_CONTROL,
  ...REFUSALS_OF_THREADS,
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
    rule: 'routine/delete-missing',
    status: 404,
    switches: { delete_missing: '404' },
    method: 'DELETE',
    path: `${API}/routines/x`,
  },
  {
    rule: 'routine/disabled-does-not-fire',
    status: 409,
    arrange: (emulator) => ask(emulator, 'POST', `${API}/routines/daily:disable`),
    method: 'POST',
    path: `${CONTROL}/routines/daily:fire`,
  },
];
