/** Rules of sessions, their files and logs, of responses, conversations and invocations that one field breaks. */
import type { Broken, Request } from './refusal.ts';
import { DELETED, SESSION, WORLD } from './world.ts';

const API = `/api/projects/${WORLD}`;
const DIGEST = `${API}/agents/digest`;
const ENDPOINT = `${DIGEST}/endpoint/protocols`;
const SESSIONS = `${DIGEST}/endpoint/sessions`;
const FILES = `${SESSIONS}/${SESSION}/files`;
const RESPONSES = `${API}/openai/v1/responses`;
const CONVERSATIONS = `${API}/openai/v1/conversations`;
const REFERENCE = { type: 'agent_reference', name: 'digest' };

const get = (path: string, headers?: Record<string, string>): Request => ({
  method: 'GET',
  path,
  ...(headers === undefined ? {} : { headers }),
});
const post = (path: string, body?: unknown): Request => ({ method: 'POST', path, body });
const session = (body: unknown) => post(SESSIONS, body);
const file = (method: string, query: string): Request => ({
  method,
  path: `${FILES}${query}`,
  ...(method === 'PUT' ? { body: Buffer.from('x') } : {}),
});
const respond = (body: unknown) => post(`${ENDPOINT}/openai/responses`, body);
const reply = (body: unknown) => post(RESPONSES, body);
const converse = (body: unknown) => post(CONVERSATIONS, body);
const logs = (query: string) => get(`${DIGEST}/sessions/${SESSION}:logstream?${query}`);

export const FIELDS_OF_SESSIONS: readonly Broken[] = [
  ['session/body-is-object', session([])],
  ['session/id-form', session({ agent_session_id: 'x' })],
  ['session/id-once', session({ agent_session_id: SESSION }), 409],
  ['session/version-indicator-form', session({ version_indicator: { type: 'x' } })],
  ['session/unknown-answers-404', get(`${SESSIONS}/${DELETED}`), 404],
  ['session/hosted-only', get(`${API}/agents/writer/endpoint/sessions`)],
  ['session/user-identity-form', get(SESSIONS, { 'x-ms-user-identity': 'a b' })],
  ['session/ended-answers-404', respond({ agent_session_id: DELETED }), 404],
  ['file/path-required', file('GET', '/content')],
  ['file/path-stays-inside', file('GET', '/content?path=..%2Fx')],
  ['file/unknown-answers-404', file('GET', '/stat?path=x'), 404],
  ['file/only-files-are-read', file('GET', '/content?path=data')],
  ['file/only-folders-are-listed', file('GET', '?path=notes.txt')],
  ['file/no-file-over-folder', file('PUT', '/content?path=data'), 409],
  ['file/folder-not-empty', file('DELETE', '?path=data'), 409],
  ['file/mkdir-names-path', post(`${FILES}/mkdir`, {})],
  ['log/kind-known', logs('kind=x')],
  ['log/follow-is-boolean', logs('follow=x')],
  ['log/tail-1-to-300', logs('tail=301')],
  [
    'log/version-of-session',
    get(`${DIGEST}/versions/1/sessions/${SESSION}:logstream?follow=false`),
    404,
  ],
  [
    'control/session-log-line',
    post(`/_emulator/projects/${WORLD}/sessions/${SESSION}/log`, { message: 1 }),
  ],
  ['request/body-matches-schema', respond({ agent_session_id: 5 })],
  ['response/body-is-object', respond([])],
  ['response/input-is-string-or-items', respond({ input: 1 })],
  ['response/stream-is-boolean', respond({ stream: 1 })],
  ['response/conversation-is-id-or-object', respond({ conversation: 1 })],
  ['response/fields', respond({ store: 1 })],
  ['response/metadata-limits', respond({ metadata: { a: 1 } })],
  ['response/agent-reference', reply({ agent_reference: {} })],
  ['response/agent-is-deprecated', reply({ agent: REFERENCE })],
  ['response/agent-is-not-overridden', reply({ agent_reference: REFERENCE, model: 'm' })],
  ['response/model-or-agent', reply({ input: 'Hi' })],
  ['response/previous-is-known', respond({ previous_response_id: 'x' }), 404],
  ['response/unknown-answers-404', get(`${RESPONSES}/x`), 404],
  ['response/background-is-stored', respond({ background: true, store: false })],
  ['response/cancel-needs-background', post(`${RESPONSES}/{response}/cancel`)],
  ['conversation/body-is-object', converse([])],
  ['conversation/metadata-limits', converse({ metadata: { a: 1 } })],
  ['conversation/item-is-object', converse({ items: [1] })],
  ['conversation/items-max-20', converse({ items: Array(21).fill({}) })],
  ['conversation/unknown-answers-404', get(`${CONVERSATIONS}/x`), 404],
  ['conversation/unknown-item-answers-404', get(`${CONVERSATIONS}/{conversation}/items/x`), 404],
  ['invocation/unknown-answers-404', get(`${ENDPOINT}/invocations/x`), 404],
  [
    'invocation/docs-need-an-agent-of-ones-own',
    get(`${ENDPOINT}/invocations/docs/openapi.json`),
    404,
  ],
];
