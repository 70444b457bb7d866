import { describe, expect, test } from 'vitest';
import { nextStep, type Outcome, outcomesNamed, type RetryPolicy } from '../emulator/retry.ts';
import { SETTINGS } from '../emulator/settings.ts';

const AT = Date.parse('2026-06-01T00:00:00Z');
const POLICY: RetryPolicy = {
  completesOn: outcomesNamed(SETTINGS.completes_on.default),
  retryOn: outcomesNamed(SETTINGS.retry_on.default),
  attemptsMax: SETTINGS.attempts_max.default,
  firstWaitMs: SETTINGS.first_wait.default,
  waitFactor: SETTINGS.wait_factor.default,
  waitMaxMs: SETTINGS.wait_max.default,
  waitJitter: SETTINGS.wait_jitter.default,
  attemptTimeoutMs: SETTINGS.attempt_timeout.default,
  honourRetryAfter: false,
};

function outcome(named: number | string, headers: Record<string, string> = {}): Outcome {
  if (typeof named === 'number') return { kind: 'answered', status: named, headers, body: '' };
  return { kind: named, message: 'reset' } as Outcome;
}

/** `complete`, `fail`, or how long is waited. */
function told(
  policy: Partial<RetryPolicy>,
  attempt: number,
  named: number | string,
  drawn?: number,
  headers?: Record<string, string>,
): string | number {
  const step = nextStep({ ...POLICY, ...policy }, attempt, outcome(named, headers), AT, drawn);
  return step.kind === 'retry' ? step.dueAt - AT : step.kind;
}

const KINDS = ['timeout', 'connection_failed', 'answer_lost', 'interrupted'];
const STATUSES = Array.from({ length: 400 }, (_, n) => 200 + n);

/** The outcomes that give this step at the first attempt. */
function those(policy: Partial<RetryPolicy>, step: 'complete' | 'retry' | 'fail') {
  return [...STATUSES, ...KINDS].filter(
    (named) => nextStep({ ...POLICY, ...policy }, 1, outcome(named), AT).kind === step,
  );
}

const between = (from: number, to: number) =>
  STATUSES.filter((status) => status >= from && status <= to);

describe('a policy', () => {
  test('of the defaults is the outcome table of the documentation', () => {
    expect(those({}, 'complete')).toEqual(between(200, 299));
    expect(those({}, 'retry')).toEqual([408, 429, ...between(500, 599), ...KINDS]);
  });

  test.for([
    ['408', [408]],
    ['503 429', [429, 503]],
    ['3xx', between(300, 399)],
    ['4xx 500', between(400, 500)],
    ['timeout', ['timeout']],
    ['interrupted connection_failed', ['connection_failed', 'interrupted']],
    ['5xx 503 answer_lost', [...between(500, 599), 'answer_lost']],
  ] as [string, (number | string)[]][])('retries on %s and nothing else', ([words, retried]) => {
    expect(those({ retryOn: outcomesNamed(words) }, 'retry')).toEqual(retried);
  });

  test.for([
    ['200', [200]],
    ['2xx 302', [...between(200, 299), 302]],
    ['5xx 404', [404, ...between(500, 599)]],
  ] as [string, number[]][])('completes on %s and nothing else', ([words, completed]) => {
    const policy = { completesOn: outcomesNamed(words) };

    expect(those(policy, 'complete')).toEqual(completed);
    expect(those(policy, 'retry').filter((named) => completed.includes(named as number))).toEqual(
      [],
    );
  });

  test.for([
    [{}, [1_000, 2_000, 4_000, 5_000, 5_000]],
    [{ waitFactor: 1 }, [1_000, 1_000, 1_000, 1_000, 1_000]],
    [{ waitFactor: 1.5 }, [1_000, 1_500, 2_250, 3_375, 5_000]],
    [{ waitFactor: 10 }, [1_000, 5_000, 5_000, 5_000, 5_000]],
    [{ waitFactor: 1.1, firstWaitMs: 7 }, [7, 8, 8, 9, 10]],
    [{ firstWaitMs: 0, waitFactor: 10 }, [0, 0, 0, 0, 0]],
    [{ firstWaitMs: 9_000 }, [5_000, 5_000, 5_000, 5_000, 5_000]],
  ] as [Partial<RetryPolicy>, number[]][])('of %j waits %j', ([policy, waits]) => {
    const attempts = [1, 2, 3, 4, 5];

    expect(attempts.map((attempt) => told({ ...policy, attemptsMax: 9 }, attempt, 503))).toEqual(
      waits,
    );
  });

  test.for([
    [0, 0.7, 1_000],
    [0.5, 0, 1_000],
    [0.5, 0.5, 750],
    [1, 0.25, 750],
    [1, 0.9999, 0],
    [0.1, 0.1234, 988],
  ] as const)('with a jitter of %d and a draw of %d waits %d ms', ([waitJitter, drawn, wait]) => {
    expect(told({ waitJitter }, 1, 503, drawn)).toBe(wait);
  });

  test('never waits less than the agent asks for, if that is honoured', () => {
    const asked = { 'retry-after': '7' };

    expect(told({ waitJitter: 1 }, 1, 503, 0.5, asked)).toBe(500);
    expect(told({ waitJitter: 1, honourRetryAfter: true }, 1, 503, 0.5, asked)).toBe(7_000);
  });

  test.for([
    [1, 1, 'fail'],
    [2, 1, 1_000],
    [2, 2, 'fail'],
    [100, 99, 5_000],
    [100, 100, 'fail'],
  ] as const)('of %d attempts after attempt %d: %s', ([attemptsMax, attempt, step]) => {
    expect(told({ attemptsMax }, attempt, 'timeout')).toBe(step);
  });
});
