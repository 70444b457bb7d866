/** Sessions: how one begins, is woken by a call, is stopped and ends. What time alone does to it is computed (lifecycle.ts). */
import assert from 'node:assert/strict';
import type { DueHandler } from '../batch.ts';
import { type Instant, isoInstant, SECOND } from '../clock.ts';
import { ApiError, notFound, shown } from '../errors.ts';
import type { FaultPlan } from '../fault-plan.ts';
import { idleAt, type SessionStatus, sessionStatus } from '../lifecycle.ts';
import { DEFAULT_RULES, LATEST, pickVersion, type Rule } from '../routing.ts';
import {
  type AgentRow,
  type AgentVersionRow,
  findVersion,
  latestRelease,
} from '../store/agents.ts';
import { CONSEQUENCE, cancelDue, dueAtOf } from '../store/due.ts';
import { addLogLine, type LogStream } from '../store/session-logs.ts';
import {
  addSession,
  emptySession,
  findSessionBySeq,
  removeSessions,
  type SessionRow,
  saveSession,
  sessionRef,
  sessionsOf,
} from '../store/sessions.ts';
import type { World } from '../world.ts';

export interface SessionInit {
  /** The caller's own; drawn without one. */
  id?: string | undefined;
  /** Named by the caller; routing chooses without one. */
  version?: AgentVersionRow | undefined;
  owner?: string | null | undefined;
}

/** A session's new id. Inside a turn. */
export function newSessionId(world: World, agent: AgentRow): string {
  return world.draw.uuid('session', agent.key, world.ordinal(`session ${agent.key}`));
}

/**
 * Begins a session of a hosted agent. Its sandbox comes after the setting `cold_start`: at once, or on the wheel. Inside a
 * turn. Throws what a call is refused with when its version is not there, or not yet.
 */
export function startSession(
  world: World,
  faults: FaultPlan,
  agent: AgentRow,
  init: SessionInit = {},
): SessionRow {
  const id = init.id ?? newSessionId(world, agent);
  const version = requireProvisioned(world, agent, init.version ?? routedVersion(world, agent, id));
  const session: SessionRow = {
    agent_key: agent.key,
    id,
    seq: world.nextSeq(),
    version: version.version,
    owner: init.owner ?? null,
    idle_ms: idleOf(version),
    created_at: world.now,
    last_accessed_at: world.now,
    ready_at: world.now + world.profile.settings.cold_start,
    awake_at: null,
    ready: 0,
    stopped_at: null,
    stopped: 0,
    ended: null,
  };
  const begun = comeUp(world, faults, session, session.ready_at);
  addSession(world.store, begun);
  return begun;
}

/** The version that serves a session of this id: drawn by key, so that the same id gets the same one. */
export function routedVersion(world: World, agent: AgentRow, id: string): AgentVersionRow {
  const rules = rulesOf(agent);
  const chosen =
    rules.length === 1 && rules[0] !== undefined
      ? rules[0].agent_version
      : pickVersion(rules, world.draw.fraction('route', agent.key, id));
  const version =
    chosen === LATEST ? latestRelease(world.store, agent) : findVersion(world.store, agent, chosen);
  if (version !== undefined) return version;
  const why =
    chosen === LATEST
      ? `Agent ${agent.name} has no release yet, only drafts. Make a release with POST /agents/${agent.name}/versions, or name a draft.`
      : `Agent ${agent.name} has no version ${shown(chosen)}, to which its endpoint routes. Change its version selector.`;
  throw notFound(why, 'version/unknown-answers-404');
}

function rulesOf({ endpoint }: AgentRow): readonly Rule[] {
  if (endpoint === null) return DEFAULT_RULES;
  const { version_selector: selector } = JSON.parse(endpoint) as {
    version_selector?: { version_selection_rules?: Rule[] };
  };
  return selector?.version_selection_rules ?? DEFAULT_RULES;
}

/** A version that answers calls, or what they are refused with (contract/agents.md 13.8). */
export function requireProvisioned(
  world: World,
  agent: AgentRow,
  version: AgentVersionRow,
): AgentVersionRow {
  if (version.status === 'active') return version;
  // One on its way out is gone for whoever calls it.
  if (version.status === 'deleting' || version.status === 'deleted')
    throw unknownVersion(version.agent, version.version);
  const creating = version.status === 'creating';
  throw new ApiError({
    status: 400,
    code: creating ? 'agent_version_not_ready' : 'agent_version_provisioning_failed',
    message: creating
      ? notReady(world, agent, version)
      : `Version ${version.version} of agent ${version.agent} is ${version.status}${whyFailed(version)}. Use another version.`,
    rule: creating ? 'agent/creating-answers-400' : 'agent/failed-answers-400',
  });
}

/** The service's own sentence, and what it does not say: until when. */
function notReady(
  world: World,
  { name, key }: AgentRow,
  { version, seq }: AgentVersionRow,
): string {
  const at = dueAtOf(world.store, refOfVersion(key, seq));
  const until =
    at === undefined ? '' : `. Version ${version} of agent ${name} is due at ${isoInstant(at)}`;
  return `Agent version is still being provisioned${until}. Ask again then, or advance the clock.`;
}

function whyFailed({ error }: AgentVersionRow): string {
  if (error === null) return '';
  const { code, message } = JSON.parse(error) as { code: string; message: string };
  return ` (${code}: ${message.replace(/\.$/, '')})`;
}

/** What a version's due rows are about. */
export function refOfVersion(key: string, seq: number): string {
  return `version:${seq}:${key}`;
}

export function unknownVersion(agent: string, version: string, param?: string): ApiError {
  return notFound(
    `Agent ${agent} has no version ${shown(version)}, or no longer.`,
    'version/unknown-answers-404',
    param,
  );
}

function idleOf({ definition }: AgentVersionRow): number | null {
  if (!definition.includes('idle_timeout_seconds')) return null;
  const { session_configuration: own } = JSON.parse(definition) as {
    session_configuration?: { idle_timeout_seconds?: number };
  };
  return own?.idle_timeout_seconds === undefined ? null : own.idle_timeout_seconds * SECOND;
}

/** The sandbox is started or woken: it is there at an instant, which may be now. The row is the caller's to write. */
function comeUp(world: World, faults: FaultPlan, session: SessionRow, at: Instant): SessionRow {
  if (at <= world.now) return up(world, faults, session);
  const ref = sessionRef(session);
  world.addDue(at, CONSEQUENCE, 'session_ready', ref, subjectOf(session));
  return session;
}

/** Whose reader waits for a session's sandbox. */
export function subjectOf({ seq }: SessionRow): string {
  return `session:${seq}`;
}

/** Its time has passed: the sandbox is there, unless the plan has it otherwise. The row is the caller's to write. */
function up(world: World, faults: FaultPlan, session: SessionRow): SessionRow {
  const from = session.awake_at === null ? 'creating' : 'idle';
  const found = faults.ofTransition(world.draw, {
    of: 'session',
    from,
    agent: nameIn(session.agent_key),
    key: `${session.agent_key}/${session.id}/${session.awake_at ?? 0}`,
  });
  if (found !== undefined)
    world.record({
      kind: 'fault',
      data: { of: 'session', entry: found.ordinal, session: session.id, to: found.to },
    });
  const failed = found !== undefined && found.to !== 'active';
  const changed: SessionRow = failed ? { ...session, ended: 'failed' } : { ...session, ready: 1 };
  // A first start that takes no time, as most do, needs no row to be told of (logs.ts).
  if (!failed && !startedAtOnce(session)) logLine(world, changed, 'stdout', READINESS);
  world.tell(topicOf(session));
  return changed;
}

/** Its first line is not written, but told from its row. */
export function startedAtOnce({ created_at, ready_at, awake_at }: SessionRow): boolean {
  return awake_at === null && ready_at === created_at;
}

/** What a container says when it is asked whether it is there (seed 003, "Example log output"). */
export const READINESS = 'INFO: 127.0.0.1:42588 - "GET /readiness HTTP/1.1" 200 OK';

function nameIn(agentKey: string): string {
  return agentKey.slice(0, agentKey.lastIndexOf('#'));
}

/** A call reaches a session: it lives on from now, and its sandbox is woken. Answers the row with the instant from which it answers. Inside a turn. */
export function touchSession(
  world: World,
  faults: FaultPlan,
  session: SessionRow,
): { session: SessionRow; readyAt: Instant } {
  const status = statusOf(world, session);
  const touched = { ...session, last_accessed_at: world.now };
  const waking = session.ready === 0 && session.stopped === 0;
  if (status !== 'idle' || waking) {
    saveSession(world.store, touched);
    return { session: touched, readyAt: readyAtOf(touched) };
  }
  const awake_at = world.now + world.profile.settings.cold_start;
  const { session_idle } = world.profile.settings;
  const stopped_at = session.stopped === 1 ? session.stopped_at : idleAt(session, session_idle);
  const woken: SessionRow = { ...touched, awake_at, ready: 0, stopped: 0, stopped_at };
  const begun = comeUp(world, faults, woken, awake_at);
  saveSession(world.store, begun);
  return { session: begun, readyAt: awake_at };
}

/** A call is answered in a session that was stopped since it came: its sandbox was awake. The row is written. Inside a turn. */
export function stayAwake(world: World, session: SessionRow): void {
  if (session.stopped === 0) return;
  const { now } = world;
  saveSession(world.store, {
    ...session,
    last_accessed_at: now,
    awake_at: now,
    ready: 1,
    stopped: 0,
  });
  world.tell(topicOf(session));
}

/** From when on a session's sandbox answers. */
export function readyAtOf({ ready_at, awake_at }: SessionRow): Instant {
  return awake_at ?? ready_at;
}

export function statusOf(world: World, session: SessionRow): SessionStatus {
  return sessionStatus(session, world.now, world.profile.settings);
}

/** Suspends a session's sandbox; its files stay. Once more changes nothing. Inside a turn. */
export function stopSession(world: World, session: SessionRow): void {
  const status = statusOf(world, session);
  if (status !== 'active' && status !== 'creating') return;
  cancelDue(world.store, sessionRef(session));
  // One that never came up has no earlier stop to tell of, and comes up anew.
  saveSession(world.store, { ...session, ready: 1, stopped: 1, stopped_at: world.now });
  world.tell(topicOf(session));
}

/** Ends a session with all that it holds. Inside a turn. */
export function deleteSession(world: World, session: SessionRow): void {
  emptySession(world.store, session);
  saveSession(world.store, { ...session, ended: 'deleted' });
  world.tell(topicOf(session));
}

/** Ends all sessions of an agent that is deleted, with their files and streams. Inside a turn. */
export function endSessions(world: World, agentKey: string): void {
  removeSessions(world.store, agentKey);
  world.tell(agentTopic(agentKey));
}

/** How many sessions of an agent have a sandbox now; those whose sandbox is suspended do not count (assumed). */
export function countActiveSessions(world: World, agentKey: string): number {
  const isActive = (session: SessionRow) =>
    ['creating', 'active'].includes(statusOf(world, session));
  return sessionsOf(world.store, agentKey).filter(isActive).length;
}

/** What open log streams listen for. */
export function topicOf({ seq }: SessionRow): string {
  return `session ${seq}`;
}

export function agentTopic(agentKey: string): string {
  return `agent ${agentKey}`;
}

/** A line of a session's log, such as the one that each call leaves. Inside a turn. */
export function logLine(
  world: World,
  session: SessionRow,
  stream: LogStream,
  message: string,
  at: Instant | null = null,
): void {
  addLogLine(world.store, { session: session.seq, said_at: world.now, at, stream, message });
  world.tell(topicOf(session));
}

export function sessionHandlers(faults: FaultPlan): Record<string, DueHandler> {
  return {
    session_ready(world, item) {
      const [, seq = '', key = ''] = /^session:(\d+):(.*)$/s.exec(item.ref) ?? [];
      const session = findSessionBySeq(world.store, key, Number(seq));
      assert(session, `nothing is known of ${item.ref}`);
      const begun = up(world, faults, session);
      saveSession(world.store, begun);
      const from = session.awake_at === null ? 'creating' : 'idle';
      const data = { of: 'session', agent: nameIn(key), session: session.id, from };
      world.record({ kind: 'transition', data: { ...data, to: begun.ended ?? 'active' } });
      return undefined;
    },
  };
}
