/** What an agent answers to a call: begun in a turn, spoken between turns, and kept in a turn. */
import type { AgentCall } from '../downstream.ts';
import { type Reached, reach } from '../endpoint.ts';
import { ApiError } from '../errors.ts';
import type { FaultPlan } from '../fault-plan.ts';
import type { Arrival } from '../faults.ts';
import type { Outside } from '../outside.ts';
import {
  answerId,
  type Heard,
  invocationBody,
  type Spoken,
  type SpokenReply,
  say,
  turnOf,
} from '../replies.ts';
import { endOf } from '../response.ts';
import type { Outcome } from '../retry.ts';
import type { AgentVersionRow } from '../store/agents.ts';
import { putConversation } from '../store/conversations.ts';
import { countTurn } from '../store/faults.ts';
import type { ResponseRow } from '../store/responses.ts';
import type { SessionRow } from '../store/sessions.ts';
import type { World } from '../world.ts';
import { historyOf } from './history.ts';
import type { Kept } from './responses.ts';
import { logLine, readyAtOf, startSession, touchSession } from './sessions.ts';

/** A call that has reached its agent. */
export interface Begun {
  call: AgentCall;
  reached: Reached;
  heard: Heard;
  /** Where it arrived, at a hosted agent. */
  session?: SessionRow | undefined;
  /** How long until its sandbox is there. */
  waitMs: number;
  /** Its sandbox does not come. */
  failed: boolean;
}

/** An answer, and what it leaves to be kept. */
export interface Told {
  arrival: Arrival;
  kept?: Kept | undefined;
}

/** A call arrives: its session begins or lives on, and its conversation knows it. Throws its refusal. Inside a turn. */
export function begin(world: World, faults: FaultPlan, call: AgentCall): Begun {
  const reached = reach(world, call);
  const { agent, version, hosted, conversation, reply } = reached;
  const session = reached.session && enter(world, faults, reached, call.owner);
  if (conversation) {
    const bound = { agent_key: agent.key, version: version.version, session: session?.id ?? null };
    const known = conversation.agent_key === agent.key && conversation.session === bound.session;
    if (!known) putConversation(world.store, { ...conversation, ...bound });
  }
  if (reply.kind === 'script') countTurn(world.store, agent.name);
  const sessionId = session?.id;
  const heard: Heard = {
    agent: agent.name,
    version: version.version,
    protocol: call.protocol,
    body: bodyOf(call),
    answerId: call.answerId ?? answerId(world.draw, call.protocol, hosted, call.requestId),
    sessionId,
    conversation: call.conversation,
    at: world.now,
    ...(reply.kind === 'model' || !hosted ? { definition: definitionOf(version) } : {}),
    ...(reply.kind === 'model' ? { earlier: historyOf(world, call) } : {}),
  };
  const waitMs = session ? Math.max(0, readyAtOf(session) - world.now) : 0;
  const failed = session?.ended === 'failed';
  return { call: { ...call, sessionId }, reached, heard, session, waitMs, failed };
}

/** A call leaves a line in the log of its session. Inside a turn. */
export function logCall(world: World, { call, session, waitMs }: Begun, status: number): void {
  if (session === undefined) return;
  const at = waitMs === 0 ? null : world.now + waitMs;
  logLine(world, session, 'call', `${call.protocol} ${status}`, at);
}

function definitionOf({ definition }: AgentVersionRow): Record<string, unknown> {
  return JSON.parse(definition) as Record<string, unknown>;
}

function enter(
  world: World,
  faults: FaultPlan,
  { agent, version, session }: Reached,
  owner: string | null | undefined,
): SessionRow {
  return session?.row
    ? touchSession(world, faults, session.row).session
    : startSession(world, faults, agent, { id: session?.id, version, owner });
}

function bodyOf({ body, contentType }: AgentCall): unknown {
  if (typeof body === 'string') return JSON.parse(body) as unknown;
  const isText = /^text\/|[+/]xml\b|x-www-form-urlencoded/.test(contentType ?? '');
  return Buffer.from(body).toString(isText ? 'utf8' : 'base64');
}

/** What an emulated agent says, in one turn. */
export function answerAtOnce(world: World, begun: Begun, reply: SpokenReply): Told {
  const { reached, heard } = begun;
  const { turn } = reached;
  const spoken = say(world.draw, heard, turnOf(reply, turn, heard));
  const { status, headers, body } = spoken;
  const arrival: Arrival = { kind: 'answered', status, headers, body };
  return { arrival, kept: keptOf(begun, spoken, reply.kind === 'echo') };
}

/** What reaches the caller of a call, at once or once the agent outside has answered; kept when it settles. */
export function answer(
  world: World,
  begun: Begun,
  outside: Outside,
  ceilingMs: number,
  signal?: AbortSignal,
): Told | Promise<Told> {
  const { call, reached } = begun;
  const { reply } = reached;
  if (reply.kind !== 'forward' && reply.kind !== 'model') return answerAtOnce(world, begun, reply);
  return outside.ask({ call, heard: begun.heard, reply }, ceilingMs, signal).then((arrival) => ({
    arrival,
    kept: keptOf(begun, givenBy(arrival), false),
  }));
}

/** The Response object in an answer from outside. */
export function givenBy(arrival: Arrival): Pick<Spoken, 'said'> {
  if (arrival.kind !== 'answered' || arrival.status >= 300) return {};
  try {
    const object = JSON.parse(arrival.body) as Record<string, unknown> | null;
    const isResponse = object?.object === 'response' && typeof object.id === 'string';
    return isResponse ? { said: { response: object } } : {};
  } catch {
    // Words of the agent's own: there is nothing of them to be read again.
    return {};
  }
}

/** As much of a call as decides what is kept of its answer. */
export interface Answered {
  call: Pick<AgentCall, 'protocol' | 'body'>;
  /** The key is null where the project itself answers. */
  reached: { agent: { key: string | null } };
  heard: Heard;
}

/** What is kept of an answer: a response unless it was asked not to be, and work that goes on. */
export function keptOf(
  { call, reached, heard }: Answered,
  { said, laterMs }: Pick<Spoken, 'said' | 'laterMs'>,
  isEcho: boolean,
): Kept | undefined {
  if (said === undefined) return undefined;
  const session = heard.sessionId ?? null;
  if (call.protocol === 'invocations') {
    if (laterMs === undefined) return undefined;
    const row = {
      id: heard.answerId,
      agent_key: reached.agent.key ?? '',
      session: session ?? '',
      status: 'in_progress' as const,
      said: JSON.stringify(invocationBody(said, heard)),
    };
    return { kind: 'invocation', row, laterMs };
  }
  const asked = (heard.body ?? {}) as Partial<Record<'store' | 'background' | 'stream', unknown>>;
  const unkept = asked.store === false;
  if (unkept && heard.conversation === undefined) return undefined;
  // Who hears it said does not find it queued: what is streamed begins at once and takes its own time.
  const background = asked.background === true && asked.stream !== true && !('response' in said);
  const later = background ? { laterMs: 0 } : laterMs === undefined ? {} : { laterMs };
  const status = background ? 'queued' : laterMs === undefined ? endOf(said) : 'in_progress';
  const row: Omit<ResponseRow, 'seq' | 'created_at' | 'ended_at'> = {
    id: 'response' in said ? String(said.response.id) : heard.answerId,
    agent_key: reached.agent.key,
    version: heard.version,
    session,
    conversation: heard.conversation ?? null,
    status,
    asked: typeof call.body === 'string' ? call.body : JSON.stringify(asked),
    said: isEcho ? null : JSON.stringify(said),
  };
  return unkept ? { kind: 'turn', row } : { kind: 'response', row, ...later };
}

/** A refusal as an answer: that is what a delivery meets. */
export function refusalOf(error: unknown): Outcome {
  if (!(error instanceof ApiError)) throw error;
  const headers = { ...error.headers, ...(error.rule ? { 'x-foundrite-rule': error.rule } : {}) };
  return {
    kind: 'answered',
    status: error.status,
    headers,
    body: JSON.stringify(error.toBody()),
  };
}
