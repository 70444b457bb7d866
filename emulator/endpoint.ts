/** The agent endpoint: whom a call reaches, whether it comes from a delivery or from a client. */
import type { AgentCall } from './downstream.ts';
import { ApiError, invalid, notFound, shown } from './errors.ts';
import type { Reply } from './replies.ts';
import { type AgentRow, type AgentVersionRow, findAgent, findVersion } from './store/agents.ts';
import { type ConversationRow, findConversation } from './store/conversations.ts';
import { readReply } from './store/faults.ts';
import { findResponse, type ResponseRow } from './store/responses.ts';
import { findSession, type SessionRow } from './store/sessions.ts';
import type { Store } from './store/store.ts';
import {
  requireOwner,
  requireSandbox,
  type SandboxWait,
  unknownSession,
  usableSession,
} from './work/session-access.ts';
import { requireProvisioned, routedVersion, statusOf, unknownVersion } from './work/sessions.ts';
import type { World } from './world.ts';

/** What a call comes to. */
export interface Reached {
  agent: AgentRow;
  version: AgentVersionRow;
  hosted: boolean;
  /** A hosted agent's; `row` is absent for one that begins with this call. */
  session?: { id: string; row: SessionRow | undefined };
  conversation?: ConversationRow | undefined;
  reply: Reply;
  /** How many turns of a script were spoken before. */
  turn: number;
}

/**
 * Whom a call reaches, whichever way it comes; changes nothing. Throws an ApiError for each refusal of contract/agents.md
 * 13.8: to a delivery that is an answer, so that one to a disabled agent gets 403 and fails without a retry.
 */
export function reach(world: World, call: AgentCall): Reached {
  const { store } = world;
  const agent = findAgent(store, call.agent);
  if (!agent) {
    const param = call.route === 'project' ? 'agent_reference.name' : undefined;
    throw notFound(`Agent ${call.agent} doesn't exist`, 'agent/unknown-answers-404', param);
  }
  requireEnabled(world, agent);
  const conversation = requireConversation(world, call.conversation, 'conversation');
  const drawn = world.draw.uuid('session', `${agent.key} ${call.requestId}`, 1);
  const row = sessionIn(world, call, agent, conversation, drawn);
  const id = row?.id ?? call.sessionId ?? drawn;
  const version = requireProvisioned(world, agent, versionOf(world, call, agent, row, id));
  const { kind, protocol_versions: protocols } = definitionOf(version);
  requireExposed(world, call, agent, { kind, protocols, version: version.version });
  const hosted = kind === 'hosted';
  if (!hosted && call.sessionId !== undefined)
    throw unknownSession(call.sessionId, 'agent_session_id');
  return {
    agent,
    version,
    hosted,
    ...(hosted ? { session: { id, row } } : {}),
    conversation,
    ...replyOf(store, agent.name),
  };
}

/** Throws what a call is refused with that has waited for its sandbox: it reaches its agent now, or not. */
export function requireStillReached(world: World, agent: string, wait: SandboxWait): void {
  const row = findAgent(world.store, agent);
  if (row) requireEnabled(world, row);
  requireSandbox(world, wait);
}

/** What an agent says, and how many turns of a script it has said. */
export function replyOf(store: Store, agent: string): Pick<Reached, 'reply' | 'turn'> {
  const row = readReply(store, agent);
  return row ? { reply: JSON.parse(row.reply) as Reply, turn: row.turn } : ECHO;
}

const ECHO = { reply: { kind: 'echo' }, turn: 0 } as const;

interface Definition {
  kind: string;
  protocol_versions?: { protocol: string }[];
}

/** What definitions say of a call, by their text: read once, not for each call. */
const definitions = new Map<string, Definition>();
const DEFINITIONS_MAX = 1_000;

function definitionOf({ definition }: AgentVersionRow): Definition {
  const known = definitions.get(definition);
  if (known) return known;
  const { kind, protocol_versions } = JSON.parse(definition) as Definition;
  if (definitions.size >= DEFINITIONS_MAX) definitions.clear();
  const read = protocol_versions === undefined ? { kind } : { kind, protocol_versions };
  definitions.set(definition, read);
  return read;
}

export function kindOf(version: AgentVersionRow): string {
  return definitionOf(version).kind;
}

export function requireEnabled(
  world: World,
  { name, state }: AgentRow,
  rule = 'agent/disabled-answers-403',
): void {
  if (state !== 'disabled') return;
  throw new ApiError({
    status: 403,
    code: world.profile.switches.disabled_agent_code,
    message: `Agent ${name} is disabled. Enable it with POST /agents/${name}:enable.`,
    rule,
  });
}

/** The conversation that is named, by the path or by the field `param`, which must be there. */
export function requireConversation(
  world: World,
  id: string | undefined,
  param?: string,
): ConversationRow | undefined {
  if (id === undefined) return undefined;
  const found = findConversation(world.store, id);
  if (found) return found;
  throw unknownConversation(id, param);
}

export function unknownConversation(id: string, param?: string): ApiError {
  return notFound(
    `There is no conversation ${shown(id)}, or no longer. Make one with POST …/conversations.`,
    'conversation/unknown-answers-404',
    param,
  );
}

/** The session that a call goes on in: the one that it names, or that of its conversation. */
function sessionIn(
  world: World,
  call: AgentCall,
  agent: AgentRow,
  conversation: ConversationRow | undefined,
  drawn: string,
): SessionRow | undefined {
  const previous = previousSession(world, call, agent);
  if (call.sessionId !== undefined) {
    const begins = world.profile.switches.unknown_session === 'create' && call.route !== 'delivery';
    if (begins && !findSession(world.store, agent.key, call.sessionId)) return undefined;
    return usableSession(world, agent, call.sessionId, call.owner ?? null);
  }
  const bound = conversation?.agent_key === agent.key ? conversation.session : null;
  const row = findSession(world.store, agent.key, bound ?? previous ?? drawn);
  if (row) requireOwner(world, row, call.owner ?? null);
  // An attempt after the first has the session that the first began. What the caller did not name begins anew when it is gone.
  return row && LIVING.has(statusOf(world, row)) ? row : undefined;
}

const LIVING = new Set(['creating', 'active', 'idle']);

/** A response that came before must be there, whether its session is gone on in or not. */
function previousSession(world: World, call: AgentCall, agent: AgentRow): string | null {
  const previous = requirePrevious(world, call.previousResponseId);
  if (previous?.agent_key !== agent.key || previous.session === null) return null;
  const session = findSession(world.store, agent.key, previous.session);
  // What was said in it is its owner's too, in whichever session it is gone on from.
  if (session) requireOwner(world, session, call.owner ?? null);
  const same = world.profile.switches.session_by_previous_response === 'same';
  return same ? previous.session : null;
}

/** The response that is named as the one before, which must be there. */
export function requirePrevious(world: World, id: string | undefined): ResponseRow | undefined {
  if (id === undefined) return undefined;
  const previous = findResponse(world.store, id);
  if (previous) return previous;
  throw new ApiError({
    status: 404,
    code: 'not_found',
    message: `There is no response ${shown(id)} to go on from, or no longer.`,
    param: 'previous_response_id',
    rule: 'response/previous-is-known',
  });
}

/** A session stays on its version; else the caller names one, or the endpoint's rules choose it. */
function versionOf(
  world: World,
  call: AgentCall,
  agent: AgentRow,
  session: SessionRow | undefined,
  sessionId: string,
): AgentVersionRow {
  const named = session?.version ?? call.version;
  if (named === undefined) return routedVersion(world, agent, sessionId);
  const version = findVersion(world.store, agent, named);
  if (version) return version;
  throw unknownVersion(agent.name, named, session ? undefined : 'agent_reference.version');
}

function requireExposed(
  world: World,
  call: AgentCall,
  agent: AgentRow,
  version: { kind: string; protocols: { protocol: string }[] | undefined; version: string },
): void {
  const { kind, protocols = [] } = version;
  if (kind === 'external')
    throw invalid(
      `Agent ${agent.name} is external: it is registered here, and runs and is called elsewhere.`,
      undefined,
      'call/external-answers-400',
    );
  if (kind !== 'hosted' && call.protocol === 'invocations')
    throw invalid(
      `Agent ${agent.name} is a ${kind} agent, and only hosted agents answer invocations. Use its responses.`,
      undefined,
      'call/invocations-are-hosted',
    );
  const byVersion =
    protocols.length === 0 || protocols.some(({ protocol }) => protocol === call.protocol);
  // Who calls through the project does not come by the agent's endpoint.
  const byEndpoint = call.route === 'project' || isExposed(agent, call.protocol);
  if (byVersion && byEndpoint) return;
  const status = Number(world.profile.switches.unexposed_protocol);
  const who = byVersion
    ? `The endpoint of agent ${agent.name}`
    : `Version ${version.version} of agent ${agent.name}`;
  throw new ApiError({
    status,
    code: status === 404 ? 'not_found' : 'invalid_request',
    message: `${who} does not expose the protocol ${call.protocol}.`,
    rule: 'call/protocol-is-exposed',
  });
}

/** An endpoint that names no protocols exposes what its version does. */
function isExposed({ endpoint }: AgentRow, protocol: string): boolean {
  if (endpoint === null) return true;
  const { protocols, protocol_configuration: configured } = JSON.parse(endpoint) as {
    protocols?: string[];
    protocol_configuration?: object;
  };
  const exposed = protocols ?? (configured === undefined ? undefined : Object.keys(configured));
  return exposed === undefined || exposed.includes(protocol);
}
