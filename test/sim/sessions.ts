/** What the model knows of sessions: which version one runs, and how time changes it. */
import { agentOf, latestOf, versionOf } from './agents.ts';
import type { Agent, Session, Version } from './resources.ts';
import { plan, type State } from './state.ts';
import type { Refusal } from './step.ts';

/** Which of several versions was drawn decides what comes next, and nobody has said which it was. */
export class Undecided extends Error {}

/** Which version a session runs. */
export function runs({ version }: Session): string {
  if (version === undefined) throw new Undecided();
  return version;
}

/** The versions that a new session may get: those that have a share. */
export function routed(agent: Agent): Version[] {
  const rules = agent.rules ?? [{ agent_version: '@latest', traffic_percentage: 100 }];
  const versions = rules
    .filter(({ traffic_percentage }) => traffic_percentage > 0)
    .map(({ agent_version: one }) => (one === '@latest' ? latestOf(agent) : versionOf(agent, one)));
  return versions.filter((one) => one !== undefined);
}

export function statusOf(state: State, session: Session): string {
  const { settings, now } = state;
  const { readyAt, stoppedAt } = session;
  const last = session.accessedAt;
  if (now >= last + Number(settings.session_life)) return 'expired';
  if (stoppedAt !== undefined) return 'idle';
  // One that is woken is idle until it is there; nobody says otherwise.
  if (now < readyAt) return session.wasIdleAt === undefined ? 'creating' : 'idle';
  return now >= idleAt(state, session) ? 'idle' : 'active';
}

/** When its compute went, or will go. */
export function idleAt(state: State, session: Session): number {
  const { stoppedAt, accessedAt, readyAt, wasIdleAt } = session;
  if (stoppedAt === undefined && state.now < readyAt && wasIdleAt !== undefined) return wasIdleAt;
  return stoppedAt ?? Math.max(accessedAt, readyAt) + idleAfter(state, session);
}

function idleAfter(state: State, session: Session): number {
  const agent = state.agents.find(({ key }) => key === session.agent);
  const all = Number(state.settings.session_idle);
  if (!agent) return all;
  return versionOf(agent, runs(session))?.idleAfter ?? all;
}

/** A new session, of one of these versions. */
export function begin(state: State, agent: Agent, versions: Version[], id?: string): Session {
  const among = [...new Set(versions.map(({ version }) => version))];
  state.keys += 1;
  const session: Session = {
    key: state.keys,
    agent: agent.key,
    id,
    version: among.length === 1 ? among[0] : undefined,
    among,
    createdAt: state.now,
    accessedAt: state.now,
    readyAt: state.now + Number(state.settings.cold_start),
    stoppedAt: undefined,
    wasIdleAt: undefined,
    deleted: false,
  };
  state.sessions.push(session);
  if (session.readyAt > state.now)
    plan(state, { at: session.readyAt, class: 0, what: 'ready', of: session.key });
  return session;
}

/** session/list: an agent's sessions without those that were deleted, oldest first. */
export function sessionsOf(state: State, name: string): Session[] {
  const agent = agentOf(state, name);
  return state.sessions.filter((one) => !one.deleted && one.agent === agent?.key);
}

export const UNKNOWN_SESSION: Refusal = [404, 'session/unknown-answers-404'];
