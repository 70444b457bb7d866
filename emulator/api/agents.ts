/** The tag Agents, as far as routines need it: versions are created, agents read, enabled, disabled, deleted and called. */
import { isDeepStrictEqual } from 'node:util';
import type { AgentCall } from '../downstream.ts';
import { callAgent } from '../endpoint.ts';
import { ApiError, invalid, notFound, shown } from '../errors.ts';
import type { Arrival } from '../faults.ts';
import {
  type AgentRow,
  type AgentVersionRow,
  addVersion,
  deleteAgent,
  findAgent,
  latestVersion,
  putAgent,
} from '../store/agents.ts';
import { deleteReply } from '../store/faults.ts';
import { provision, stopProvisioning } from '../work/progress.ts';
import type { World } from '../world.ts';
import { viewAgent, viewVersion } from './agent-view.ts';
import { type Answer, bodyAs, type Input, type Operation } from './input.ts';

/** contract/agents.md 5.1: letters and digits at both ends, hyphens inside. */
const AGENT_NAME = /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;

const ENDPOINT = '/agents/:agent_name/endpoint/protocols';

export const agentOperations: Operation[] = [
  {
    id: 'createAgentVersion',
    method: 'POST',
    path: '/agents/:agent_name/versions',
    kind: 'write',
    handle: createVersion,
  },
  { id: 'getAgent', method: 'GET', path: '/agents/:agent_name', kind: 'read', handle: get },
  {
    id: 'deleteAgent',
    method: 'DELETE',
    path: '/agents/:agent_name',
    kind: 'write',
    handle: remove,
  },
  {
    id: 'enableAgent',
    method: 'POST',
    path: '/agents/:agent_name',
    verb: 'enable',
    kind: 'write',
    handle: (input) => setState(input, 'enabled'),
  },
  {
    id: 'disableAgent',
    method: 'POST',
    path: '/agents/:agent_name',
    verb: 'disable',
    kind: 'write',
    handle: (input) => setState(input, 'disabled'),
  },
  {
    id: 'createAgentResponse',
    method: 'POST',
    path: `${ENDPOINT}/openai/responses`,
    kind: 'call',
    handle: (input) => respond(input),
  },
  {
    id: 'createAgentResponseV1',
    method: 'POST',
    path: `${ENDPOINT}/openai/v1/responses`,
    kind: 'call',
    handle: (input) => respond(input),
  },
  {
    id: 'createAgentInvocation',
    method: 'POST',
    path: `${ENDPOINT}/invocations`,
    kind: 'call',
    handle: (input) => invoke(input),
  },
];

/** What the official clients' other operations begin with. */
const OTHER_FAMILIES = [
  'agent_insight_monitors',
  'agent_optimization_jobs',
  'connections',
  'data_generation_jobs',
  'datasets',
  'deployments',
  'evaluationrules',
  'evaluations',
  'evaluationtaxonomies',
  'evaluator_generation_jobs',
  'evaluators',
  'indexes',
  'insights',
  'memory_stores',
  'models',
  'redTeams',
  'schedules',
  'skills',
  'tasks',
  'toolboxes',
];

/** Routes of the live service that a later issue emulates: they answer 501, never an invented refusal. */
export const agentRoutesNotEmulated: { method: string; path: string }[] = [
  ...[
    ['GET', '/agents'],
    ['POST', '/agents'],
    ['POST', '/agents/:agent_name'],
    ['PATCH', '/agents/:agent_name'],
  ],
  ...[
    ['POST', '/agents:import'],
    ['GET', '/agents/:agent_name/versions'],
    ['POST', '/agents/:agent_name/import'],
  ],
  ...[
    ['GET', '/agents/:agent_name/versions/:agent_version'],
    ['DELETE', '/agents/:agent_name/versions/:agent_version'],
  ],
  ...[
    ['POST', '/agents/:agent_name/endpoint/*'],
    ['GET', '/agents/:agent_name/endpoint/*'],
  ],
  ...[
    ['DELETE', '/agents/:agent_name/endpoint/*'],
    ['PUT', '/agents/:agent_name/endpoint/*'],
  ],
  ...[
    ['GET', '/agents/:agent_name/versions/*'],
    ['GET', '/agents/:agent_name/sessions/*'],
  ],
  ...[
    ['GET', '/openai/*'],
    ['POST', '/openai/*'],
    ['DELETE', '/openai/*'],
  ],
  ...[
    ['GET', '/assistants'],
    ['POST', '/assistants'],
    ['GET', '/assistants/*'],
    ['POST', '/assistants/*'],
  ],
  ...[
    ['DELETE', '/assistants/*'],
    ['GET', '/threads'],
    ['POST', '/threads'],
    ['GET', '/threads/*'],
  ],
  ...[
    ['POST', '/threads/*'],
    ['DELETE', '/threads/*'],
  ],
  ...OTHER_FAMILIES.flatMap((family) => [
    ['ALL', `/${family}`],
    ['ALL', `/${family}/*`],
  ]),
].map(([method = '', path = '']) => ({ method, path }));

function nameOf(input: Input): string {
  return input.params.agent_name ?? '';
}

function existing(world: World, name: string): { agent: AgentRow; version: AgentVersionRow } {
  const agent = findAgent(world.store, name);
  const version = agent && latestVersion(world.store, agent);
  if (agent && version) return { agent, version };
  throw notFound(`Agent ${name} doesn't exist`, 'agent/unknown-answers-404');
}

export function readAgentName(name: string): string {
  if (AGENT_NAME.test(name)) return name;
  throw invalid(
    `An agent cannot be named ${shown(name)}. Use 1 to 63 letters, digits and inner hyphens.`,
    'agent_name',
    'agent/name-form',
  );
}

function createVersion(input: Input): Answer {
  const { world } = input.project;
  const name = readAgentName(nameOf(input));
  const body = bodyAs('AgentVersionCreate', input.body);
  if (body.draft === true) throw notEmulated('Drafts are not emulated yet. Leave `draft` out.');
  const definition = bothSpellings(body.definition as Record<string, unknown>);
  const before = findAgent(world.store, name);
  const latest = before && latestVersion(world.store, before);
  if (
    latest &&
    world.profile.switches.dedup_versions === 'on' &&
    isDeepStrictEqual(JSON.parse(latest.definition), definition)
  ) {
    return { status: 200, body: viewVersion(world, before, latest) };
  }
  const number = (before?.last_version ?? 0) + 1;
  const key = before?.key ?? `${name}#${world.ordinal(`agent ${name}`)}`;
  const agent: AgentRow = {
    name,
    key,
    state: before?.state ?? 'enabled',
    last_version: number,
    created_at: before?.created_at ?? world.now,
  };
  const version: AgentVersionRow = {
    agent: name,
    version: String(number),
    seq: number,
    definition: JSON.stringify(definition),
    description: body.description ?? '',
    metadata: JSON.stringify(body.metadata ?? {}),
    status: provision(world, agent, number, definition),
    created_at: world.now,
  };
  putAgent(world.store, agent);
  addVersion(world.store, version);
  return { status: 200, body: viewVersion(world, agent, version) };
}

/** Hosted definitions are written in two generations; both are taken, and both are said back (contract/agents.md 6.1). */
function bothSpellings(definition: Record<string, unknown>): Record<string, unknown> {
  if (definition.kind !== 'hosted') return definition;
  const container = definition.container_configuration as { image?: unknown } | undefined;
  const image = definition.image ?? container?.image;
  const protocols = definition.protocol_versions ?? definition.container_protocol_versions;
  return {
    ...definition,
    ...(image === undefined ? {} : { image, container_configuration: { ...container, image } }),
    ...(protocols === undefined
      ? {}
      : { protocol_versions: protocols, container_protocol_versions: protocols }),
  };
}

function get(input: Input): Answer {
  const { world } = input.project;
  const { agent, version } = existing(world, nameOf(input));
  return { status: 200, body: viewAgent(world, agent, version) };
}

function remove(input: Input): Answer {
  const { world } = input.project;
  const name = nameOf(input);
  const { agent } = existing(world, name);
  stopProvisioning(world, agent);
  deleteAgent(world.store, name);
  deleteReply(world.store, name);
  return { status: 200, body: { object: 'agent.deleted', name, deleted: true } };
}

function setState(input: Input, state: AgentRow['state']): Answer {
  const { world } = input.project;
  const { agent } = existing(world, nameOf(input));
  putAgent(world.store, { ...agent, state });
  return { status: 204 };
}

function respond(input: Input): Answer | Promise<Answer> {
  const body = bodyAs('ResponseCreate', input.body);
  if ((body as { stream?: unknown }).stream === true)
    throw notEmulated('Streaming is not emulated yet. Send stream: false.');
  return call(input, {
    agent: nameOf(input),
    protocol: 'responses',
    body: JSON.stringify(body),
    requestId: requestId(input),
  });
}

function invoke(input: Input): Answer | Promise<Answer> {
  const asked = input.query.get('agent_session_id');
  const sessionId = asked === null ? undefined : bodyAs('SessionName', asked, 'agent_session_id');
  return call(input, {
    agent: nameOf(input),
    protocol: 'invocations',
    body: JSON.stringify(input.body ?? null),
    requestId: requestId(input),
    sessionId,
  });
}

/** Without an id of the client's own, calls are counted: each answer then has its own id. */
function requestId(input: Input): string {
  const { world } = input.project;
  return world.turn(() => `${nameOf(input)}/${world.ordinal(`call ${nameOf(input)}`)}`);
}

function call(input: Input, agentCall: AgentCall): Answer | Promise<Answer> {
  const { world, context } = input.project;
  const arrival = callAgent(world, agentCall, context.forward);
  return arrival instanceof Promise
    ? arrival.then((value) => answerOf(world, value))
    : answerOf(world, arrival);
}

/** What a client of the endpoint gets when the agent behind it cannot be reached (contract/agents.md 11.2). */
function answerOf(world: World, arrival: Arrival): Answer {
  if (arrival.kind === 'answered')
    return { status: arrival.status, text: arrival.body, headers: passedOn(arrival.headers) };
  const message =
    arrival.kind === 'later'
      ? `The agent did not answer within ${world.profile.settings.attempt_timeout / 1_000} seconds.`
      : `The agent could not be reached: ${arrival.kind === 'connection_failed' ? arrival.message : arrival.kind}.`;
  throw new ApiError({
    status: 424,
    code: 'session_not_ready',
    message,
    rule: 'agent/unreachable-answers-424',
  });
}

/** Hop-by-hop headers and lengths belong to the connection that they came on. */
export function passedOn(headers: Record<string, string>): Record<string, string> {
  const own = new Set([
    'connection',
    'content-length',
    'content-encoding',
    'transfer-encoding',
    'keep-alive',
    'date',
  ]);
  // Which pages may read an answer is for --cors to say.
  const kept = Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !own.has(name) && !name.startsWith('access-control-'),
    ),
  );
  return { 'content-type': 'application/json', ...kept };
}

export function notEmulated(message: string, param?: string): ApiError {
  const about = param === undefined ? {} : { param };
  return new ApiError({
    status: 501,
    code: 'NotEmulated',
    message,
    rule: 'request/not-emulated',
    ...about,
  });
}
