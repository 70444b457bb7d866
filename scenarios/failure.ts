/** How a play goes wrong: the step, what was asked and answered, and what was expected beside it. */
import type { Sent } from '../contracts/target.ts';
import type { Answer } from './answer.ts';
import type { Key, Mismatch } from './match.ts';
import type { Place } from './scenario.ts';

export interface Failure extends Place {
  /** The step as it is written, in short. */
  step: string;
  request?: { method: string; path: string; body?: string };
  answer?: { status: number; text: string };
  mismatches: readonly Mismatch[];
}

/** Ends a play; `path` is the place in the scenario's file. */
export class StepFailed extends Error {
  readonly path: readonly Key[];
  readonly failure: Omit<Failure, 'line' | 'column' | 'step'>;

  constructor(path: readonly Key[], failure: Omit<Failure, 'line' | 'column' | 'step'>) {
    super('a step failed');
    this.path = path;
    this.failure = failure;
  }
}

/** The connection broke before an answer came. */
export class ConnectionBroken extends StepFailed {}

/** An answer of which something else was expected. */
export function failedAnswer(
  path: readonly Key[],
  { sent, status, text }: Answer,
  mismatches: readonly Mismatch[],
): StepFailed {
  return new StepFailed(path, { request: asked(sent), answer: { status, text }, mismatches });
}

/** A call that no answer tells of: it could not be sent, or nothing came. */
export function failedCall(
  path: readonly Key[],
  sent: Sent | undefined,
  expected: string,
  actual: string,
): StepFailed {
  return new StepFailed(path, unanswered(sent, expected, actual));
}

export function brokenConnection(
  path: readonly Key[],
  sent: Sent,
  error: unknown,
): ConnectionBroken {
  const actual = `the connection broke (${(error as Error).message})`;
  return new ConnectionBroken(path, unanswered(sent, 'an answer', actual));
}

function unanswered(sent: Sent | undefined, expected: string, actual: string) {
  const mismatches = [{ pattern: [], where: '(the whole)', expected, actual }];
  return { ...(sent ? { request: asked(sent) } : {}), mismatches };
}

function asked({ method, path, body }: Sent): NonNullable<Failure['request']> {
  return { method, path, ...(typeof body === 'string' ? { body } : {}) };
}

/** Another status than expected, with the beginning of what came. */
export function otherStatus(where: string, expected: string, answer: Answer): Mismatch {
  const actual = `${answer.status} ${answer.text.slice(0, 300)}`.trim();
  return { pattern: [], where, expected, actual };
}
