/** The tag Responses: an agent's Responses API at its endpoint, and the project's, which reaches an agent by reference. */
import type { SchemaValue } from '../../contracts/openapi.ts';
import { kindOf } from '../endpoint.ts';
import { ApiError, invalid, notFound, shown } from '../errors.ts';
import { conversationOf, inputItems } from '../response.ts';
import { findAgent, newestVersion } from '../store/agents.ts';
import { cancelDue } from '../store/due.ts';
import {
  deleteResponse,
  findResponse,
  pageResponses,
  placeOfResponse,
  type ResponseRow,
} from '../store/responses.ts';
import { cancelResponse, isRunning, refOfResponse, viewResponse } from '../work/responses.ts';
import { agentFilter, answerByProject } from './by-project.ts';
import { type Asked, callAgent, ENDPOINT } from './call.ts';
import { existingAgent, nameOf } from './existing.ts';
import {
  type Answer,
  bodyAs,
  type CallInput,
  type Input,
  type Operation,
  type Subject,
} from './input.ts';
import { agentList } from './page.ts';

/** An agent's Responses API, the path of which once had `v1` in it. */
function atEndpoint(tail: string): { path: string; alias: string } {
  return {
    path: `${ENDPOINT}/openai/responses${tail}`,
    alias: `${ENDPOINT}/openai/v1/responses${tail}`,
  };
}

const PROJECT = '/openai/v1/responses';

export const responseOperations: Operation[] = [
  {
    id: 'createAgentResponse',
    method: 'POST',
    ...atEndpoint(''),
    kind: 'call',
    handle: (input) => {
      const body = bodyOf(input);
      requireNotDefined(body, () => isPrompt(input));
      return callAgent(input, askedOf(body, nameOf(input), 'endpoint'));
    },
  },
  {
    id: 'getAgentResponse',
    method: 'GET',
    ...atEndpoint('/:response_id'),
    kind: 'read',
    handle: get,
    subject: responseSubject,
  },
  {
    id: 'deleteAgentResponse',
    method: 'DELETE',
    ...atEndpoint('/:response_id'),
    kind: 'write',
    handle: remove,
  },
  {
    id: 'cancelAgentResponse',
    method: 'POST',
    ...atEndpoint('/:response_id/cancel'),
    kind: 'write',
    handle: cancel,
  },
  {
    id: 'listAgentResponseItems',
    method: 'GET',
    ...atEndpoint('/:response_id/input_items'),
    kind: 'read',
    handle: listInput,
  },
  { id: 'createResponse', method: 'POST', path: PROJECT, kind: 'call', handle: createByProject },
  { id: 'listResponses', method: 'GET', path: PROJECT, kind: 'read', handle: list },
  {
    id: 'getResponse',
    method: 'GET',
    path: `${PROJECT}/:response_id`,
    kind: 'read',
    handle: get,
    subject: responseSubject,
  },
  {
    id: 'deleteResponse',
    method: 'DELETE',
    path: `${PROJECT}/:response_id`,
    kind: 'write',
    handle: remove,
  },
  {
    id: 'cancelResponse',
    method: 'POST',
    path: `${PROJECT}/:response_id/cancel`,
    kind: 'write',
    handle: cancel,
  },
  {
    id: 'listResponseItems',
    method: 'GET',
    path: `${PROJECT}/:response_id/input_items`,
    kind: 'read',
    handle: listInput,
  },
];

type ResponseCreate = SchemaValue<'ResponseCreate'>;

/** A request whose fields agree with each other. */
function bodyOf(input: Input): ResponseCreate {
  const body = bodyAs('ResponseCreate', input.body);
  if (body.background !== true || body.store !== false) return body;
  throw invalid(
    'What goes on in the background can only be read if it is kept: store cannot be false beside background: true. Leave out one of them.',
    'store',
    'response/background-is-stored',
  );
}

function askedOf(body: ResponseCreate, agent: string, route: 'endpoint' | 'project'): Asked {
  return {
    agent,
    route,
    protocol: 'responses',
    body: JSON.stringify(body),
    sessionId: body.agent_session_id ?? body.session_id ?? undefined,
    conversation: conversationOf(body.conversation),
    previousResponseId: body.previous_response_id ?? undefined,
  };
}

/** What the definition of an agent says, and its caller may not say again (contract/agents.md 11.2). */
const DEFINED_BY_AGENT = [
  'model',
  'instructions',
  'tools',
  'tool_choice',
  'temperature',
  'top_p',
  'text',
  'reasoning',
] as const;

/** Asked only where a field is set: most calls set none, and need not look for their agent. */
function requireNotDefined(body: ResponseCreate, isDefined: () => boolean): void {
  const own = DEFINED_BY_AGENT.find((field) => body[field] != null);
  if (own === undefined || !isDefined()) return;
  throw new ApiError({
    status: 400,
    code: 'invalid_payload',
    message: 'Not allowed when agent is specified.',
    param: own,
    rule: 'response/agent-is-not-overridden',
  });
}

/** A hosted agent's container does as it likes with what it is sent. */
function isPrompt(input: Input): boolean {
  const { store } = input.project.world;
  const agent = findAgent(store, nameOf(input));
  const version = agent && newestVersion(store, agent);
  return version !== undefined && kindOf(version) === 'prompt';
}

function createByProject(input: CallInput): Answer | Promise<Answer> {
  const body = bodyOf(input);
  if (body.agent !== undefined)
    throw invalid(
      "The 'agent' property is deprecated. Use 'agent_reference' instead.",
      'agent',
      'response/agent-is-deprecated',
    );
  const { agent_reference: reference } = body;
  if (!reference) return answerByProject(input, body);
  requireNotDefined(body, () => true);
  const asked = askedOf(body, reference.name, 'project');
  return callAgent(input, { ...asked, version: reference.version ?? undefined });
}

function idOf(input: Input): string {
  return input.params.response_id ?? '';
}

/** At an agent's endpoint only its own are found. */
function existing(input: Input): ResponseRow {
  const { world } = input.project;
  const { agent_name: name } = input.params;
  const agent = name === undefined ? undefined : existingAgent(world, name).agent;
  const row = findResponse(world.store, idOf(input));
  if (row && (agent === undefined || row.agent_key === agent.key)) return row;
  throw notFound(
    `There is no response ${shown(idOf(input))}, or it was not kept.`,
    'response/unknown-answers-404',
  );
}

function get(input: Input): Answer {
  const row = existing(input);
  const headers = {
    ...(row.session === null ? {} : { 'x-agent-session-id': row.session }),
    ...byReply([row]),
  };
  return { status: 200, body: viewResponse(input.project.world, row), headers };
}

/** Who asks how a response stands waits for it to end. */
function responseSubject(input: Input): Subject {
  return { name: refOfResponse(idOf(input)), triggers: false };
}

/** An object from outside is its own, and openapi.yaml does not describe it. */
function byReply(rows: readonly ResponseRow[]): Record<string, string> {
  const foreign = rows.some(({ said }) => said?.startsWith('{"response"'));
  return foreign ? { 'x-foundrite-body-by': 'reply' } : {};
}

function remove(input: Input): Answer {
  const row = existing(input);
  deleteResponse(input.project.world.store, row);
  cancelDue(input.project.world.store, refOfResponse(row.id));
  return { status: 200, body: { id: row.id, object: 'response', deleted: true } };
}

function cancel(input: Input): Answer {
  const { world } = input.project;
  const row = existing(input);
  if ((JSON.parse(row.asked) as { background?: unknown }).background !== true)
    throw invalid(
      `Only a response in the background can be cancelled, and ${shown(row.id)} is none. Make it with background: true.`,
      'response_id',
      'response/cancel-needs-background',
    );
  if (isRunning(row)) cancelResponse(world, row);
  return get(input);
}

function listInput(input: Input): Answer {
  const { draw } = input.project.world;
  const row = existing(input);
  const { input: given } = JSON.parse(row.asked) as { input?: unknown };
  const items = inputItems(draw, row.id, given).map((item, seq) => ({ item, seq }));
  return agentList(input, {
    what: 'item',
    placeOf: (id) => items.find(({ item }) => item.id === id)?.seq,
    rows({ order, above, below, limit }) {
      const within = items.filter(({ seq }) => seq > above && seq < below);
      if (order === 'desc') within.reverse();
      return within.slice(0, limit);
    },
    view: ({ item }) => item,
    idOf: ({ item }) => String(item.id),
  });
}

function list(input: Input): Answer {
  const { world } = input.project;
  const { store } = world;
  const filter = {
    ...agentFilter(input),
    conversation: input.query.get('conversation_id') || undefined,
  };
  return agentList(input, {
    what: 'response',
    placeOf: (id) => placeOfResponse(store, id),
    rows: (page) => pageResponses(store, filter, page),
    view: (row) => viewResponse(world, row),
    idOf: (row) => row.id,
  });
}
