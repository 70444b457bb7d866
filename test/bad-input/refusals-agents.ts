/** Refusals of agents, their sessions and calls that need something arranged. */
import type { Refusal } from './refusal.ts';
import { ask, CODED, HOSTED, PROMPT, SESSION, SILENT, WORLD, ZIP } from './world.ts';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;
const DIGEST = `${API}/agents/digest`;
const SESSIONS = `${DIGEST}/endpoint/sessions`;

const respond = {
  method: 'POST',
  path: `${API}/agents/digest/endpoint/protocols/openai/responses`,
  body: {},
};

export const REFUSALS_OF_AGENTS: readonly Refusal[] = [
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
        definition: { kind: 'hosted', cpu: '0.5', memory: '1Gi', image: 'i' },
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
    rule: 'agent/failed-answers-400',
    status: 400,
    settings: { provisioning_time: 0 },
    arrange: async (emulator) => {
      const failing = { at: 'transition', of: 'version', to: 'failed' };
      await ask(emulator, 'PUT', `${CONTROL}/faults`, { faults: [failing] });
      await ask(emulator, 'POST', `${DIGEST}/versions`, { definition: HOSTED });
      await ask(emulator, 'POST', `${CONTROL}/clock:advance`, { until: 'idle' });
    },
    ...respond,
  },
  {
    rule: 'agent/create-again-makes-a-version',
    status: 409,
    switches: { conflict_on_existing_agent: 'conflict' },
    method: 'POST',
    path: `${API}/agents`,
    body: { name: 'digest', definition: HOSTED },
  },
  {
    rule: 'agent/delete-ends-sessions',
    status: 409,
    switches: { delete_with_sessions: 'refuse' },
    method: 'DELETE',
    path: DIGEST,
  },
  {
    rule: 'agent/preview-header',
    status: 403,
    switches: { require_preview_header: 'on' },
    method: 'GET',
    path: SESSIONS,
  },
  {
    rule: 'version/at-most-1000',
    status: 400,
    settings: { versions_max: 3 },
    method: 'POST',
    path: `${DIGEST}/versions`,
    body: { definition: HOSTED },
  },
  {
    rule: 'version/first-may-be-a-draft',
    status: 400,
    switches: { first_draft: 'refuse' },
    method: 'POST',
    path: `${API}/agents/new/versions`,
    body: { definition: PROMPT, draft: true },
  },
  {
    rule: 'code/size-max',
    status: 413,
    settings: { code_bytes_max: 10 },
    method: 'POST',
    path: `${API}/agents/coded/versions`,
    body: { definition: CODED },
    code: ZIP,
  },
  {
    rule: 'call/protocol-is-exposed',
    status: 404,
    arrange: (emulator) =>
      ask(emulator, 'PATCH', DIGEST, { agent_endpoint: { protocols: ['invocations'] } }),
    ...respond,
  },
  {
    rule: 'stream/silence-ends-it',
    status: 408,
    arrange: (emulator) =>
      ask(emulator, 'PUT', `${CONTROL}/agents/digest/reply`, { kind: 'forward', url: SILENT }),
    ...respond,
    body: { stream: true },
  },
  {
    rule: 'session/none-while-disabled',
    status: 403,
    arrange: (emulator) => ask(emulator, 'POST', `${DIGEST}:disable`),
    method: 'POST',
    path: SESSIONS,
  },
  {
    rule: 'session/not-ready-answers-424',
    status: 424,
    arrange: (emulator) =>
      ask(emulator, 'PUT', `${CONTROL}/faults`, {
        faults: [{ at: 'transition', of: 'session', to: 'failed' }],
      }),
    method: 'POST',
    path: SESSIONS,
  },
  {
    rule: 'session/kept-apart',
    status: 403,
    switches: { session_isolation: 'on' },
    method: 'GET',
    path: `${SESSIONS}/${SESSION}`,
    headers: { 'x-ms-user-identity': 'another' },
  },
  {
    rule: 'file/max-50-mb',
    status: 413,
    method: 'PUT',
    path: `${SESSIONS}/${SESSION}/files/content?path=large`,
    headers: { 'content-length': '52428801' },
  },
  {
    rule: 'response/project-api-version',
    status: 400,
    switches: { openai_v1_api_version: 'refuse' },
    method: 'GET',
    path: `${API}/openai/v1/responses?api-version=v1`,
  },
  {
    rule: 'invocation/cancel-needs-work',
    status: 404,
    arrange: (emulator) => ask(emulator, 'POST', `${CONTROL}/clock:advance`, { until: 'idle' }),
    method: 'POST',
    path: `${API}/agents/coded/endpoint/protocols/invocations/{invocation}/cancel`,
  },
];
