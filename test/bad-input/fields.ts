/** For every rule of a single field, a request that breaks it and nothing else. */
import { FIELDS_OF_AGENTS } from './fields-agents.ts';
import { FIELDS_OF_SESSIONS } from './fields-sessions.ts';
import { FIELDS_OF_THREADS } from './fields-threads.ts';
import type { Broken, Refusal, Request } from './refusal.ts';
import { WORLD } from './world.ts';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;
const LONG = 'x'.repeat(1_025);

const SCHEDULE = { type: 'schedule', cron_expression: '0 7 * * *', time_zone: 'UTC' };
const CUSTOM = { type: 'custom', provider: 'p', parameters: {} };
const CALLS = { type: 'invoke_agent_responses_api', agent_name: 'digest' };

const put = (more: object): Request => ({
  method: 'PUT',
  path: `${API}/routines/r`,
  body: { triggers: { t: SCHEDULE }, action: CALLS, ...more },
});
const trigger = (one: object) => put({ triggers: { t: one } });
const action = (one: object) => put({ action: one });
const dispatch = (body: unknown): Request => ({
  method: 'POST',
  path: `${API}/routines/daily:dispatch_async`,
  body,
});
const project = (body: unknown, name = 'fields'): Request => ({
  method: 'PUT',
  path: `/_emulator/projects/${name}`,
  body,
});
const clock = (body: unknown): Request => ({ method: 'PUT', path: `${CONTROL}/clock`, body });
const advance = (body: unknown): Request => ({
  method: 'POST',
  path: `${CONTROL}/clock:advance`,
  body,
});
const fire = (body: unknown): Request => ({
  method: 'POST',
  path: `${CONTROL}/routines/issue:fire`,
  body,
});
const plan = (faults: unknown): Request => ({
  method: 'PUT',
  path: `${CONTROL}/faults`,
  body: { faults },
});
const arm = (more: object) => plan([{ agent: 'a', ...more }]);
const fault = (one: unknown) => arm({ fault: one });
const reply = (body: unknown): Request => ({
  method: 'PUT',
  path: `${CONTROL}/agents/digest/reply`,
  body,
});
const script = (more: object) => reply({ kind: 'script', turns: [{ text: 't' }], ...more });
const model = (more: object) => reply({ kind: 'model', url: 'http://x', ...more });
const get = (path: string, headers?: Record<string, string>): Request => ({
  method: 'GET',
  path,
  ...(headers === undefined ? {} : { headers }),
});
const identity = (query: string, headers = { 'x-identity-header': 'secret' }) =>
  get(`/_emulator/identity?api-version=2019-08-01&${query}`, headers);

/** Answered 400 unless a status stands beside it. */
const BROKEN: readonly Broken[] = [
  ['request/route-known', get('/api'), 404],
  ['request/not-emulated', get(`${API}/vector_stores`), 501],
  ['request/path-decodes', get(`${API}/routines/%zz`)],
  ['request/known-host', get(`${API}/routines`, { host: 'evil.test' }), 421],
  ['request/bearer-token', get(`${API}/routines`, { authorization: 'Basic x' }), 401],
  ['request/body-required', { ...put({}), body: undefined }],
  ['request/body-is-json', { ...put({}), headers: { 'content-encoding': 'gzip' } }],
  ['list/order-known', get(`${API}/routines?order=up`)],
  ['list/limit-1-to-100', get(`${API}/routines?limit=x`)],
  ['list/after-known', get(`${API}/routines?after=x`)],
  ['run/filter', get(`${API}/routines/daily/runs?filter=x`)],
  ['routine/unknown-answers-404', get(`${API}/routines/x`), 404],
  ['routine/body-is-object', { ...put({}), body: [] }],
  ['routine/description-max-1024', put({ description: LONG })],
  ['routine/enabled-is-boolean', put({ enabled: 1 })],
  ['routine/exactly-one-trigger', put({ triggers: {} })],
  ['routine/action-required', put({ action: undefined })],
  ['routine/authorization-known', put({ authorization: { identity: 'x' } })],
  ['routine/cron-required', trigger({ type: 'schedule' })],
  ['routine/time-zone-is-string', trigger({ ...SCHEDULE, time_zone: 1 })],
  ['routine/timer-at-required', trigger({ type: 'timer' })],
  ['routine/agent-exists', action({ ...CALLS, agent_name: 'x' })],
  ['trigger/type-known', trigger({ type: 'x' })],
  ['trigger/custom-fields', trigger({ ...CUSTOM, provider: 1 })],
  ['trigger/github-issue-fields', trigger({ type: 'github_issue', connection_id: 'c' })],
  ['action/type-known', action({ type: 'x' })],
  ['action/exactly-one-selector', action({ type: CALLS.type })],
  ['action/agent-name-max-256', action({ ...CALLS, agent_name: LONG })],
  ['action/agent-endpoint-id-max-256', action({ type: CALLS.type, agent_endpoint_id: LONG })],
  ['action/conversation-max-256', action({ ...CALLS, conversation: LONG })],
  [
    'action/session-id-max-256',
    action({ type: 'invoke_agent_invocations_api', agent_name: 'digest', session_id: LONG }),
  ],
  ['dispatch/body-is-object', dispatch([])],
  ['dispatch/payload-is-object', dispatch({ payload: 1 })],
  ['dispatch/payload-type-known', dispatch({ payload: { type: 'x' } })],
  ['control/body-has-known-fields', project({ x: 1 })],
  ['control/project-is-made-once', project({}, WORLD), 409],
  ['control/seed-is-text-or-integer', project({ seed: 1.5 })],
  ['control/profile-known', project({ profile: 'x' })],
  ['control/switch-known', project({ switches: { x: 'y' } })],
  ['control/setting-known', project({ settings: { x: 1 } })],
  ['control/fire-payload-is-object', fire({ payload: 1 })],
  ['control/ledger-filter-known', get('/_emulator/ledger?basis=x')],
  ['control/ledger-rule-known', get('/_emulator/ledger/x/y'), 404],
  [
    'control/own-pages-only',
    { ...clock({ rate: 0 }), headers: { origin: 'https://evil.test' } },
    403,
  ],
  ['snapshot/name-form', { method: 'PUT', path: `${CONTROL}/snapshots/.a` }],
  ['snapshot/known', { method: 'POST', path: `${CONTROL}:reset`, body: { snapshot: 'x' } }, 404],
  ['clock/now-is-an-instant', clock({ now: 'x' })],
  ['clock/rate-is-0-or-1', clock({ rate: 2 })],
  ['clock/skip-is-boolean', clock({ skip: 1 })],
  ['clock/advance-by-to-or-until', advance({ by: 'x' })],
  ['fault/first-match-wins', plan(1)],
  ['fault/one-boundary', plan([{}])],
  ['fault/attempts-or-fault', arm({})],
  ['fault/attempts-by-number', arm({ attempts: [] })],
  ['fault/protocol-known', arm({ protocol: 'x', fault: 503 })],
  ['fault/times-at-least-1', arm({ fault: 503, times: 0 })],
  ['fault/probability-0-to-1', arm({ fault: 503, probability: 2 })],
  ['fault/transition-known', plan([{ at: 'transition', of: 'x', to: 'failed' }])],
  ['fault/kind-known', fault('x')],
  ['fault/status-200-to-599', fault(600)],
  ['fault/headers-are-text', fault({ status: 503, headers: { a: 1 } })],
  ['fault/delay-is-a-duration', fault({ delay: 'x' })],
  ['fault/rewrite-by-pointer', fault({ kind: 'rewrite' })],
  ['fault/gate-holds-until-released', fault({ kind: 'gate', name: '' })],
  ['fault/operation-known', plan([{ operation: 'x', fault: 503 }])],
  ['reply/kind-known', reply({ kind: 'x' })],
  ['reply/script-has-turns', script({ turns: [] })],
  ['reply/turn-known', script({ turns: [{ text: 1 }] })],
  ['reply/repeat-known', script({ repeat: 'x' })],
  ['reply/url-is-http', reply({ kind: 'forward', url: 'x' })],
  ['reply/model-api-known', model({ api: 'x' })],
  ['reply/model-key-one-way', model({ api_key: 'a', api_key_env: 'B' })],
  ['identity/needs-its-header', identity('resource=x', { 'x-identity-header': 'x' }), 401],
  ['identity/foundry-audience-only', identity('resource=x')],
];

export const FIELDS: readonly Refusal[] = [
  ...BROKEN,
  ...FIELDS_OF_AGENTS,
  ...FIELDS_OF_SESSIONS,
  ...FIELDS_OF_THREADS,
].map(([rule, request, status = 400]) => ({ rule, status, ...request }));
