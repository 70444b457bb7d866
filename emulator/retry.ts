/** Whether a delivery is done, tried again, or failed: a sum over what is known, with no clock and no state. */
import type { Instant } from './clock.ts';

/** Durations in milliseconds. The defaults are seed 001, "Retry and timeout defaults". */
export interface RetryPolicy {
  attemptsMax: number;
  firstWaitMs: number;
  waitMaxMs: number;
  attemptTimeoutMs: number;
  /** Whether a `Retry-After` answer may lengthen the wait (switch `retry_after`). */
  honourRetryAfter: boolean;
}

/** What one attempt gave. */
export type Outcome =
  | { kind: 'answered'; status: number; headers: Record<string, string>; body: string }
  | { kind: 'timeout' }
  /** The agent could not be reached, or the connection broke before it heard us. */
  | { kind: 'connection_failed'; message: string }
  /** The agent heard us and acted, but its answer never came. */
  | { kind: 'answer_lost' }
  /** The emulator stopped while the attempt was open. */
  | { kind: 'interrupted' };

export type NextStep =
  | { kind: 'complete' }
  | { kind: 'retry'; dueAt: Instant }
  | { kind: 'fail'; errorType: string; message: string; status?: number };

/**
 * The outcome table of seed 001, "Downstream call outcomes": 2xx completes; 408, 429, 5xx, a timeout and a transient
 * failure are retried while attempts remain; any other answer fails at once. `attempt` counts from 1.
 */
export function nextStep(
  policy: RetryPolicy,
  attempt: number,
  outcome: Outcome,
  endedAt: Instant,
): NextStep {
  if (outcome.kind === 'answered' && outcome.status >= 200 && outcome.status < 300)
    return { kind: 'complete' };
  if (isRetryable(outcome) && attempt < policy.attemptsMax) {
    return { kind: 'retry', dueAt: endedAt + waitMs(policy, attempt, outcome, endedAt) };
  }
  return { kind: 'fail', ...failure(outcome, policy) };
}

function isRetryable(outcome: Outcome): boolean {
  if (outcome.kind !== 'answered') return true;
  return outcome.status === 408 || outcome.status === 429 || outcome.status >= 500;
}

/** The wait doubles from `firstWaitMs` after each attempt and is capped at `waitMaxMs`: 1 s, 2 s, 4 s, 5 s. */
function waitMs(policy: RetryPolicy, attempt: number, outcome: Outcome, endedAt: Instant): number {
  const backoff = Math.min(policy.firstWaitMs * 2 ** (attempt - 1), policy.waitMaxMs);
  if (!policy.honourRetryAfter || outcome.kind !== 'answered') return backoff;
  return Math.max(backoff, retryAfterMs(outcome.headers['retry-after'], endedAt) ?? 0);
}

/** RFC 9110 10.2.3: seconds, or an HTTP date. */
function retryAfterMs(value: string | undefined, now: Instant): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function failure(
  outcome: Outcome,
  policy: RetryPolicy,
): { errorType: string; message: string; status?: number } {
  switch (outcome.kind) {
    case 'answered':
      return {
        errorType: 'downstream_status',
        message:
          `The agent endpoint answered ${outcome.status}. ${agentMessage(outcome.body)}`.trim(),
        status: outcome.status,
      };
    case 'timeout':
      return {
        errorType: 'timeout',
        message: `The agent endpoint did not answer within ${policy.attemptTimeoutMs / 1_000} seconds.`,
      };
    case 'connection_failed':
      return {
        errorType: 'connection_failed',
        message: `The agent endpoint could not be reached: ${outcome.message}`,
      };
    case 'answer_lost':
      return {
        errorType: 'answer_lost',
        message: 'The connection to the agent endpoint broke before its answer arrived.',
      };
    case 'interrupted':
      return {
        errorType: 'interrupted',
        message: 'The emulator stopped while this attempt was open.',
      };
  }
}

/** The message inside an error envelope, or the start of whatever else the agent said. */
function agentMessage(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body);
    const message = (parsed as { error?: { message?: unknown } })?.error?.message;
    if (typeof message === 'string') return message;
  } catch {
    // The body is the agent's own and need not be JSON: it is shown as it came.
  }
  return body;
}
