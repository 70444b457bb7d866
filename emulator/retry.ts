/** Whether a delivery is done, tried again, or failed: a sum over what is known, with no clock and no state. */
import type { Instant } from './clock.ts';

/** All that decides about a delivery, read from the settings. Durations are in milliseconds. */
export interface RetryPolicy {
  completesOn: Outcomes;
  /** What completes is never retried. */
  retryOn: Outcomes;
  attemptsMax: number;
  firstWaitMs: number;
  /** Each wait is so many times the one before. */
  waitFactor: number;
  waitMaxMs: number;
  /** The share of each wait that is left to chance, from 0 to 1. */
  waitJitter: number;
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

/** The kinds of an outcome that is no answer, as the settings name them. */
export const UNANSWERED = [
  'timeout',
  'connection_failed',
  'answer_lost',
  'interrupted',
] as const satisfies readonly Outcome['kind'][];

/** Some of the outcomes: answers by their status, all others by their kind. */
export type Outcomes = ReadonlySet<number | Outcome['kind']>;

/** Reads words that a setting has let through: `408 5xx timeout`. */
export function outcomesNamed(words: string): Outcomes {
  const named = words.split(' ').flatMap((word): (number | Outcome['kind'])[] => {
    const kind = UNANSWERED.find((known) => known === word);
    if (kind) return [kind];
    const hundred = Number(word.charAt(0)) * 100;
    return word.endsWith('xx')
      ? Array.from({ length: 100 }, (_, n) => hundred + n)
      : [Number(word)];
  });
  return new Set(named);
}

export type NextStep =
  | { kind: 'complete' }
  | { kind: 'retry'; dueAt: Instant }
  | { kind: 'fail'; errorType: string; message: string; status?: number };

/**
 * What the policy completes on completes; what it retries on is retried while attempts remain; anything else fails at
 * once. `attempt` counts from 1. `drawn`, in [0, 1), is what chance says of the wait.
 */
export function nextStep(
  policy: RetryPolicy,
  attempt: number,
  outcome: Outcome,
  endedAt: Instant,
  drawn = 0,
): NextStep {
  const named = outcome.kind === 'answered' ? outcome.status : outcome.kind;
  if (policy.completesOn.has(named)) return { kind: 'complete' };
  if (policy.retryOn.has(named) && attempt < policy.attemptsMax) {
    const waitMs = Math.max(
      backoffMs(policy, attempt, drawn),
      policy.honourRetryAfter ? askedWaitMs(outcome, endedAt) : 0,
    );
    return { kind: 'retry', dueAt: endedAt + waitMs };
  }
  return { kind: 'fail', ...failure(outcome, policy) };
}

/**
 * The wait grows by its factor after each attempt up to its cap: 1 s, 2 s, 4 s, 5 s. Chance only shortens it, so that the
 * cap holds. Multiplied step by step: the power of a decimal need not be the same on every machine.
 */
function backoffMs(policy: RetryPolicy, attempt: number, drawn: number): number {
  let wait = policy.firstWaitMs;
  for (let n = 1; n < attempt && wait < policy.waitMaxMs; n += 1) wait *= policy.waitFactor;
  return Math.round(Math.min(wait, policy.waitMaxMs) * (1 - policy.waitJitter * drawn));
}

/** How long the agent asks us to wait. */
function askedWaitMs(outcome: Outcome, endedAt: Instant): number {
  if (outcome.kind !== 'answered') return 0;
  return retryAfterMs(outcome.headers['retry-after'], endedAt) ?? 0;
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
