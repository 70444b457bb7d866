/** Who may use a session, and what everybody else is told. */
import { ApiError, invalid, notFound, shown } from '../errors.ts';
import type { AgentRow } from '../store/agents.ts';
import { findSession, type SessionRow } from '../store/sessions.ts';
import type { World } from '../world.ts';
import { statusOf } from './sessions.ts';

/** The session that a call names, or what it is refused with (contract/agents.md 13.8). */
export function usableSession(
  world: World,
  agent: AgentRow,
  id: string,
  owner: string | null = null,
): SessionRow {
  const session = findSession(world.store, agent.key, id);
  if (session === undefined) throw unknownSession(id, 'agent_session_id');
  const status = statusOf(world, session);
  if (status === 'deleted' || status === 'expired') throw sessionEnded(id, status);
  requireOwner(world, session, owner);
  if (status === 'failed') throw sessionNotReady(id);
  return session;
}

/** `param` is the field that names it; absent where the path does. */
export function unknownSession(id: string, param?: string): ApiError {
  return notFound(
    `There is no session ${shown(id)} of this agent. List its sessions with GET …/endpoint/sessions.`,
    'session/unknown-answers-404',
    param,
  );
}

/** What who waits for a sandbox is told that does not come (contract/agents.md 11.2). */
export function sessionNotReady(id: string): ApiError {
  return new ApiError({
    status: 424,
    code: 'session_not_ready',
    message: `Session '${id}' did not become ready within the expected timeout`,
    rule: 'session/not-ready-answers-424',
    headers: { 'x-agent-session-id': id },
  });
}

function sessionEnded(id: string, status: 'deleted' | 'expired'): ApiError {
  return new ApiError({
    status: 404,
    code: 'not_found',
    message: `Session ${shown(id)} is ${status}. Begin another one.`,
    rule: 'session/ended-answers-404',
    headers: { 'x-adc-response-details': 'SandboxNotFound', 'x-agent-session-id': id },
  });
}

/** A call's wait for its sandbox; JSON, so that a delivery's lies in the store. */
export interface SandboxWait {
  agentKey: string;
  session: string;
  /** As long as the sandbox takes, or as anyone waits for one. */
  ms: number;
  /** It takes longer than anyone waits. */
  inVain: boolean;
}

export function sandboxWait(
  { profile }: World,
  agentKey: string,
  session: string,
  takesMs: number,
): SandboxWait {
  const { ready_timeout } = profile.settings;
  const inVain = takesMs > ready_timeout;
  return { agentKey, session, ms: Math.min(takesMs, ready_timeout), inVain };
}

/** Throws what a call is refused with, once it has waited, whose sandbox did not come or whose session is gone. */
export function requireSandbox(world: World, { agentKey, session: id, inVain }: SandboxWait): void {
  const session = findSession(world.store, agentKey, id);
  if (session === undefined || session.ended === 'deleted') throw sessionEnded(id, 'deleted');
  if (session.ended === 'failed' || inVain) throw sessionNotReady(id);
}

/** Who asks, by the newest of the headers that the generations have had for it (contract/agents.md 12.2). */
export function ownerIn(world: World, headers: Headers): string | null {
  const identity = headers.get('x-ms-user-identity');
  if (identity !== null && !/^[A-Za-z0-9._:@-]{1,256}$/.test(identity))
    throw invalid(
      `x-ms-user-identity cannot be ${shown(identity)}. Use 1 to 256 of letters, digits, '.', '_', ':', '@' and '-'.`,
      'x-ms-user-identity',
      'session/user-identity-form',
    );
  if (world.profile.switches.session_isolation === 'off') return null;
  return (
    identity ?? headers.get('x-ms-user-isolation-key') ?? headers.get('x-session-isolation-key')
  );
}

/** Where sessions are kept apart, each is its owner's alone. */
export function requireOwner(world: World, session: SessionRow, owner: string | null): void {
  if (world.profile.switches.session_isolation === 'off' || session.owner === owner) return;
  throw new ApiError({
    status: 403,
    code: 'session_not_accessible',
    message: `Session '${session.id}' belongs to another user. Send the isolation header that it was made with.`,
    rule: 'session/kept-apart',
  });
}
