/** What a step expects of its answer. */
import { type Answer, eventsIn } from './answer.ts';
import { isEventStream } from './broken.ts';
import { failedAnswer, otherStatus } from './failure.ts';
import { type Key, type Mismatch, match } from './match.ts';
import type { Frame } from './slot.ts';
import { STATUS, type Step } from './step.ts';

/** Throws StepFailed with the place of the first expectation that is not met. */
export function expectAnswer(step: Step, answer: Answer, path: readonly Key[], frame: Frame): void {
  const fail = (at: Key[], mismatches: Mismatch[]) => {
    const [first] = mismatches;
    if (first) throw failedAnswer([...path, ...at, ...first.pattern], answer, mismatches);
  };
  const status = statusKey(step, answer, fail);
  if (status !== undefined && !asksNothing(step[status]))
    fail([status], match(step[status], answer.body, frame));
  const body = answer.body as Record<string, unknown> | undefined;
  const seen: Record<string, () => unknown> = {
    answer_headers: () => Object.fromEntries(answer.headers),
    equals: () => body?.entries,
    fired: () => body?.fired,
    stopped: () => body?.stopped,
    stream: () => eventsIn(answer),
  };
  for (const [key, actual] of Object.entries(seen)) {
    if (key in step) fail([key], match(step[key], actual(), frame));
  }
  // Last: what a scenario says of an answer is told before what the wire promises. A control stream has lines of its own.
  if (!('stream' in step) || isEventStream(answer)) fail([], answer.problems.map(unkept));
}

/** The key of the step that names the answer's status; without any, every success will do. */
function statusKey(
  step: Step,
  answer: Answer,
  fail: (at: Key[], mismatches: Mismatch[]) => void,
): string | undefined {
  const keys = Object.keys(step).filter((key) => STATUS.test(key));
  const status = String(answer.status);
  const fits = keys.find((key) => key === status || key === `${status[0]}xx`);
  const expected = keys.length > 0 ? keys.join(' or ') : '2xx';
  if (fits === undefined && (keys.length > 0 || answer.status >= 300))
    fail(keys.slice(0, 1), [otherStatus('status', expected, answer)]);
  return fits;
}

/** A status alone (`200:` or `204: {}`) asks nothing of the body. */
function asksNothing(pattern: unknown): boolean {
  return pattern === null || JSON.stringify(pattern) === '{}';
}

function unkept(problem: string): Mismatch {
  const expected = 'an answer that keeps to it';
  return { pattern: [], where: 'openapi.yaml', expected, actual: problem };
}
