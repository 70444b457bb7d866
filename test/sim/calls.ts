/** How the model calls an agent: what stands in the way, which session and version it reaches, and what it leaves behind. */
import { agentOf, UNKNOWN_AGENT, UNKNOWN_VERSION, versionOf } from './agents.ts';
import { append, conversationOf, itemsOf, UNKNOWN_CONVERSATION } from './conversations.ts';
import type { Agent, Conversation, Response, Session, Version } from './resources.ts';
import { begin, idleAt, routed, runs, statusOf, UNKNOWN_SESSION, Undecided } from './sessions.ts';
import type { State } from './state.ts';
import type { Refusal } from './step.ts';

const ENDED_SESSION: Refusal = [404, 'session/ended-answers-404'];

export interface Call {
  agent: string;
  protocol: 'responses' | 'invocations';
  /** By the agent's endpoint, by the project's route, or by a routine. */
  by: 'endpoint' | 'project' | 'delivery';
  version?: string | undefined;
  session?: string | undefined;
  conversation?: string | undefined;
  previous?: string | undefined;
  input: unknown;
  store?: boolean | undefined;
  /** The session that an earlier attempt of the same delivery began. */
  begun?: number | undefined;
}

/** What a call came to. */
export interface Reached {
  agent: Agent;
  session: Session | undefined;
  /** Of an agent without sessions. */
  version: Version | undefined;
  conversation: Conversation | undefined;
  /** Until its sandbox is there, in ms. */
  delay: number;
}

/** Whom a call reaches, in a session that is begun for it where it needs one; or why it is refused. */
export function reach(state: State, call: Call): Reached | Refusal {
  const agent = agentOf(state, call.agent);
  if (!agent) return UNKNOWN_AGENT;
  if (!agent.enabled) return [403, 'agent/disabled-answers-403'];
  const named = call.version === undefined ? undefined : versionOf(agent, call.version);
  if (call.version !== undefined && !named) return UNKNOWN_VERSION;
  const conversation =
    call.conversation === undefined ? undefined : conversationOf(state, call.conversation);
  const found = sessionOf(state, agent, call, conversation);
  if (found === 'ended') return ENDED_SESSION;
  const isCreated = call.by !== 'delivery' && state.switches.unknown_session === 'create';
  if (found === 'unknown' && !isCreated) return UNKNOWN_SESSION;
  const session = found === 'unknown' ? undefined : found;
  const versions = session ? [versionOf(agent, runs(session))] : named ? [named] : routed(agent);
  if (call.conversation !== undefined && !conversation) return UNKNOWN_CONVERSATION;
  if (versions.length === 0) return UNKNOWN_VERSION;
  const refusal = sameOf(versions.map((version) => refusalOf(state, agent, version, call)));
  if (refusal) return refusal;
  const own = found === 'unknown' ? call.session : undefined;
  return arrive(state, agent, versions as Version[], { session, conversation, own });
}

/** Which session a call goes on with: the one it names, the one of its conversation, or none. */
function sessionOf(
  state: State,
  agent: Agent,
  { session: id, begun }: Call,
  conversation: Conversation | undefined,
): Session | 'ended' | 'unknown' | undefined {
  const isThere = (one: Session) => !one.deleted && statusOf(state, one) !== 'expired';
  const ours = state.sessions.filter((one) => one.agent === agent.key);
  if (id !== undefined) {
    const given = ours.filter((one) => one.id === id);
    return given.find(isThere) ?? (given.length > 0 ? 'ended' : 'unknown');
  }
  const bound = ours.find(({ key }) => key === (conversation?.session ?? begun));
  return bound && isThere(bound) ? bound : undefined;
}

/** Why nothing runs on a version yet, or ever. */
export function notReady({ status }: Version): Refusal | undefined {
  if (status === 'creating') return [400, 'agent/creating-answers-400'];
  return status === 'failed' ? [400, 'agent/failed-answers-400'] : undefined;
}

/** What stands in the way of a call that reaches this version. */
function refusalOf(
  { switches }: State,
  agent: Agent,
  version: Version | undefined,
  call: Call,
): Refusal | undefined {
  if (!version) return UNKNOWN_VERSION;
  const refusal = notReady(version);
  if (refusal) return refusal;
  if (version.kind === 'external') return [400, 'call/external-answers-400'];
  if (call.protocol === 'invocations' && version.kind !== 'hosted')
    return [400, 'call/invocations-are-hosted'];
  // What the endpoint exposes does not concern who calls through the project.
  const exposed = call.by === 'project' || (agent.protocols?.includes(call.protocol) ?? true);
  const spoken = version.protocols?.includes(call.protocol) ?? true;
  const status = Number(switches.unexposed_protocol);
  return exposed && spoken ? undefined : [status, 'call/protocol-is-exposed'];
}

/** What all of them say; where they differ, it depends on which one is drawn. */
export function sameOf(refusals: (Refusal | undefined)[]): Refusal | undefined {
  const [first] = refusals;
  if (refusals.some((other) => String(other) !== String(first))) throw new Undecided();
  return first;
}

interface Going {
  session: Session | undefined;
  conversation: Conversation | undefined;
  /** The id that a caller chose for a new session. */
  own: string | undefined;
}

function arrive(
  state: State,
  agent: Agent,
  versions: Version[],
  { session: found, conversation, own }: Going,
): Reached {
  const [version] = versions;
  if (version?.kind !== 'hosted')
    return { agent, session: undefined, version, conversation, delay: 0 };
  const waking = found !== undefined && found.stoppedAt === undefined && state.now < found.readyAt;
  const cold = found === undefined || (!waking && statusOf(state, found) === 'idle');
  const session = found ?? begin(state, agent, versions, own);
  if (found && cold) session.wasIdleAt = idleAt(state, found);
  if (cold) session.readyAt = state.now + Number(state.settings.cold_start);
  session.accessedAt = state.now;
  session.stoppedAt = undefined;
  // It goes on with whoever answered in it last; nobody says what two agents do in one conversation.
  if (conversation) conversation.session = session.key;
  return { agent, session, version, conversation, delay: Math.max(0, session.readyAt - state.now) };
}

/** What the agent says: it echoes the words of its input. */
export function respond(state: State, call: Call, reached: Reached, before?: Response): Response {
  const { agent, session, version, conversation } = reached;
  state.keys += 1;
  const response: Response = {
    key: state.keys,
    id: undefined,
    agent: agent.key,
    agentName: agent.name,
    version: session ? undefined : version?.version,
    session: session?.key,
    conversation: conversation?.id,
    previous: call.previous,
    input: call.input,
    text: wordsOf(call.input),
    createdAt: state.now,
    deleted: false,
  };
  const said = { type: 'message', role: 'assistant', text: response.text };
  const turn = () => {
    if (conversation) append(state, conversation, [...itemsOf(call.input), said]);
  };
  // A turn of a conversation is kept although the response is not.
  if (call.store === false) {
    turn();
    return response;
  }
  if (before) {
    // A repeated call repeats its response, as the newest; its turn is in the conversation already.
    Object.assign(before, response, { key: before.key, id: before.id });
    state.responses = [...state.responses.filter((one) => one !== before), before];
    return before;
  }
  state.responses.push(response);
  turn();
  return response;
}

function wordsOf(input: unknown): string {
  if (typeof input === 'string') return input;
  const last = Array.isArray(input) ? itemsOf(input).at(-1) : undefined;
  return last ? String(last.text) : JSON.stringify(input ?? '');
}
