/** States and what may follow which, as tables. */
import type { Instant } from './clock.ts';

export type VersionStatus = 'creating' | 'active' | 'failed' | 'deleting' | 'deleted';

/** seed 003, "Version status values": what a version may become next. */
export const VERSION_TRANSITIONS: Readonly<Record<VersionStatus, readonly VersionStatus[]>> = {
  creating: ['active', 'failed', 'deleting', 'deleted'],
  active: ['deleting', 'deleted'],
  // Nothing is tried again: another version is made instead.
  failed: ['deleting', 'deleted'],
  deleting: ['deleted'],
  deleted: [],
};

export type SessionStatus = 'creating' | 'active' | 'idle' | 'failed' | 'expired' | 'deleted';

/** contract/agents.md 12: what a session may become next. */
export const SESSION_TRANSITIONS: Readonly<Record<SessionStatus, readonly SessionStatus[]>> = {
  creating: ['active', 'idle', 'failed', 'expired', 'deleted'],
  active: ['idle', 'expired', 'deleted'],
  // Its files are kept: the next call wakes it.
  idle: ['active', 'failed', 'expired', 'deleted'],
  failed: ['deleted'],
  expired: ['deleted'],
  deleted: [],
};

/** What a session's status follows from. */
export interface SessionLife {
  last_accessed_at: Instant;
  ready_at: Instant;
  awake_at: Instant | null;
  ready: 0 | 1;
  stopped: 0 | 1;
  idle_ms: number | null;
  ended: 'deleted' | 'failed' | null;
}

/** The status of a session: what time does to it is never written, so that a hundred thousand of them cost nothing. */
export function sessionStatus(
  life: SessionLife,
  now: Instant,
  { session_life, session_idle }: { session_life: number; session_idle: number },
): SessionStatus {
  if (life.ended !== null) return life.ended;
  if (now >= life.last_accessed_at + session_life) return 'expired';
  if (life.stopped === 1) return 'idle';
  if (life.ready === 0) return life.awake_at === null ? 'creating' : 'idle';
  return now >= idleAt(life, session_idle) ? 'idle' : 'active';
}

/** When a sandbox that nobody calls is suspended. */
export function idleAt(life: SessionLife, session_idle: number): Instant {
  const since = Math.max(life.last_accessed_at, life.awake_at ?? life.ready_at);
  return since + (life.idle_ms ?? session_idle);
}

export type ThreadRunStatus =
  | 'queued'
  | 'in_progress'
  | 'requires_action'
  | 'cancelling'
  | 'cancelled'
  | 'failed'
  | 'completed'
  | 'incomplete'
  | 'expired';

/** contract/threads.md 7.1: what a thread run may become next. */
export const THREAD_RUN_TRANSITIONS: Readonly<Record<ThreadRunStatus, readonly ThreadRunStatus[]>> =
  {
    queued: ['in_progress', 'cancelling', 'failed', 'expired'],
    in_progress: ['requires_action', 'completed', 'failed', 'incomplete', 'cancelling', 'expired'],
    requires_action: ['queued', 'cancelling', 'expired'],
    // Whether a cancellation comes in time is not promised: one comes too late by a fault or by hand.
    cancelling: ['cancelled', 'completed', 'failed', 'expired'],
    cancelled: [],
    failed: [],
    completed: [],
    incomplete: [],
    expired: [],
  };

export function isThreadRunOver(status: ThreadRunStatus): boolean {
  return THREAD_RUN_TRANSITIONS[status].length === 0;
}
