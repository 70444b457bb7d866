/** Valid requests of the two protocols, at an agent's endpoint and of the project: responses, conversations, invocations. */
import type { Collect } from './valid.ts';
import { type Known, SESSION, WORLD } from './world.ts';

const API = `/api/projects/${WORLD}`;
const DIGEST = `${API}/agents/digest/endpoint/protocols`;
const WRITER = `${API}/agents/writer/endpoint/protocols`;
const ITEM = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] };

export function validResponses(collect: Collect, known: Known): void {
  validCalls(collect, known);
  for (const ends of ENDS) {
    validKept(collect, known, ends);
    validConversations(collect, known, ends);
  }
  validInvocations(collect, known);
}

/** The same operations at an agent's endpoint, where an older path has them too, and of the project. */
interface Ends {
  responses: string;
  of: 'Agent' | '';
  older: string | undefined;
}

const ENDS: readonly Ends[] = [
  { responses: `${DIGEST}/openai/responses`, of: 'Agent', older: `${DIGEST}/openai/v1` },
  { responses: `${API}/openai/v1/responses`, of: '', older: undefined },
];

function validCalls({ of, add }: Collect, { conversation, response, draft }: Known): void {
  of('createAgentResponse');
  add('POST', `${DIGEST}/openai/responses`, {
    input: 'Hi',
    model: 'm',
    stream: false,
    store: true,
    background: null,
    previous_response_id: response,
    agent_session_id: SESSION,
    conversation: { id: conversation },
    agent_reference: { type: 'agent_reference', name: 'digest' },
    metadata: { a: 'b' },
    structured_inputs: { a: 1 },
  });
  add('POST', `${WRITER}/openai/v1/responses?api-version=v1`, {
    input: [ITEM],
    conversation,
    store: false,
  });
  add('POST', `${DIGEST}/openai/responses`, { input: 'Hi', stream: true, session_id: SESSION });
  add('POST', `${WRITER}/openai/responses`, { input: 'Hi', stream: true });
  add('POST', `${DIGEST}/openai/responses`, { input: 'Hi', background: true });
  add('POST', `${API}/agents/outer/endpoint/protocols/openai/responses`, {
    input: 'Hi',
    stream: true,
  });
  of('createResponse');
  const responses = `${API}/openai/v1/responses`;
  const reference = { type: 'agent_reference', name: 'digest', version: '1' };
  add('POST', responses, { input: 'Hi', agent_reference: reference, conversation });
  add('POST', responses, {
    input: [ITEM],
    stream: true,
    agent_reference: { ...reference, version: draft },
  });
  add('POST', responses, { input: 'Hi', model: 'm', instructions: 'i', temperature: 1 });
  add('POST', responses, { input: 'Hi', model: 'm', stream: true, previous_response_id: response });
}

function validKept({ of, add }: Collect, known: Known, ends: Ends): void {
  const { response, background, conversation } = known;
  const { responses, older = responses.replace('/responses', '') } = ends;
  of(`get${ends.of}Response`);
  add('GET', `${responses}/${response}`);
  add('GET', `${older}/responses/${background}`);
  of(`delete${ends.of}Response`);
  add('DELETE', `${responses}/${response}`);
  add('DELETE', `${older}/responses/${background}`);
  of(`cancel${ends.of}Response`);
  add('POST', `${responses}/${background}/cancel`);
  of(`list${ends.of}ResponseItems`);
  add('GET', `${responses}/${response}/input_items`);
  add('GET', `${older}/responses/${background}/input_items?limit=1&order=asc`);
  if (ends.of === 'Agent') return;
  of('listResponses');
  add('GET', responses);
  add('GET', `${responses}?limit=1&order=asc&after=${response}&agent_name=digest`);
  add('GET', `${responses}?agent_id=digest:2&conversation_id=${conversation}`);
}

function validConversations({ of, add }: Collect, known: Known, ends: Ends): void {
  const { conversation, items } = known;
  const base = ends.responses.replace('/responses', '/conversations');
  const older = ends.older === undefined ? base : `${ends.older}/conversations`;
  const [first, second] = items;
  of(`create${ends.of}Conversation`);
  add('POST', base);
  add('POST', older, { metadata: { team: 'a' }, items: [ITEM, { role: 'user', content: 'Hi' }] });
  of(`get${ends.of}Conversation`);
  add('GET', `${base}/${conversation}`);
  of(`update${ends.of}Conversation`);
  add('POST', `${base}/${conversation}`, { metadata: { team: 'b' } });
  add('POST', `${older}/${conversation}`, { metadata: null });
  of(`delete${ends.of}Conversation`);
  add('DELETE', `${base}/${conversation}`);
  of(`create${ends.of}ConversationItems`);
  add('POST', `${base}/${conversation}/items`, { items: [ITEM] });
  of(`list${ends.of}ConversationItems`);
  add('GET', `${base}/${conversation}/items`);
  add('GET', `${older}/${conversation}/items?limit=1&order=asc&after=${first}&item_type=message`);
  of(`get${ends.of}ConversationItem`);
  add('GET', `${base}/${conversation}/items/${first}`);
  of(`delete${ends.of}ConversationItem`);
  add('DELETE', `${base}/${conversation}/items/${second}`);
  if (ends.of === 'Agent') return;
  of('listConversations');
  add('GET', base);
  add('GET', `${base}?agent_name=digest&limit=1&order=asc`);
  add('GET', `${base}?agent_id=digest:2&before=${conversation}`);
}

function validInvocations({ of, add }: Collect, { invocation }: Known): void {
  of('createAgentInvocation');
  const invoke = `${DIGEST}/invocations`;
  add('POST', invoke);
  const body = { message: 'Hi', more: [1, { a: null }] };
  add('POST', `${invoke}?agent_session_id=${SESSION}&api-version=v1`, body);
  add('POST', invoke, 'text');
  add('POST', invoke, Buffer.from('a,b\n1,2\n'), { 'content-type': 'text/csv' });
  const coded = `${API}/agents/coded/endpoint/protocols/invocations`;
  add('POST', coded, { message: 'Hi' });
  const outer = `${API}/agents/outer/endpoint/protocols`;
  add('POST', `${outer}/invocations`, body);
  of('getAgentInvocationDocs');
  add('GET', `${outer}/invocations/docs/openapi.json`);
  of('getAgentInvocation');
  add('GET', `${coded}/${invocation}`);
  add('GET', `${outer}/invocations/one?api-version=v1`);
  of('cancelAgentInvocation');
  add('POST', `${coded}/${invocation}/cancel`);
}
