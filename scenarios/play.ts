/** Plays a scenario against a target: a project of its own, its steps in order, its expectations against every answer. */
import { parseDuration, showDuration } from '../contracts/duration.ts';
import type { Breaking } from '../contracts/ledger.ts';
import {
  type Control,
  controlCall,
  isBrokenConnection,
  type Sent,
  type Target,
  Unreachable,
} from '../contracts/target.ts';
import { type Answer, readAnswer } from './answer.ts';
import { rewriting } from './broken.ts';
import { expectAnswer } from './expect.ts';
import {
  brokenConnection,
  ConnectionBroken,
  type Failure,
  failedAnswer,
  failedCall,
  otherStatus,
  StepFailed,
} from './failure.ts';
import { type Key, match, shown } from './match.ts';
import { type Asking, requestOf } from './request.ts';
import type { Scenario } from './scenario.ts';
import type { Frame } from './slot.ts';
import {
  type Attempt,
  ask,
  forgetProjects,
  journalHash,
  readEnd,
  type Stage,
  setUp,
  type ThreadRun,
  unstruckFaults,
} from './stage.ts';
import { type Step, wordOf } from './step.ts';

export type { Attempt, Failure, ThreadRun };

/** `stuck`: the emulator set a due item aside, or answered 500: that is our bug, not a broken promise. */
export type PlayOutcome = 'passed' | 'failed' | 'skipped' | 'stuck';

export interface Played {
  scenario: Scenario;
  /** What decided ids and draws. */
  seed: string;
  outcome: PlayOutcome;
  /** Why it was skipped or is stuck. */
  reason?: string;
  failure?: Failure;
  /** Every attempt that a delivery made, from the journal. */
  attempts: readonly Attempt[];
  /** Every thread run, from the journal. */
  threadRuns: readonly ThreadRun[];
  /** Of one that failed, the faults that were armed at its end and have not struck. */
  unstruck?: readonly string[];
  stepsPlayed: number;
  /** How far the world's clock went, and how long that took. */
  worldMs: number;
  realMs: number;
  /** SHA-256 of the canonical journal, where it was asked for and nothing arrived during an advance. */
  journal?: string;
}

export interface PlayOptions {
  /** Before the scenario's name in that of its project. */
  prefix?: string;
  seed?: string;
  /** Leaves the project for a look at it. */
  keep?: boolean;
  /** Asks for the canonical journal's hash. */
  journal?: boolean;
  /** Breaks a promise on purpose. */
  breaking?: Breaking;
}

/** Real time that a call may take; what is held longer will never come. */
const CALL_MAX_MS = 60_000;
/** Real time within which a call that was sent and not awaited has arrived. */
const ARRIVAL_MAX_MS = 2_000;
const UNTIL_WITHIN = '1m';
const UNTIL_EVERY = '1s';

/** What a scenario needs that this target lacks. */
export function lacking(scenario: Scenario, target: Target): string | undefined {
  if (target.control) return undefined;
  const words = scenario.steps.flatMap(wordsOf).filter((word) => controlCall(word));
  if (scenario.faults) words.push('faults');
  const said = [...Object.values(scenario.agents), ...Object.values(scenario.assistants)];
  if (said.some(({ reply }) => reply !== undefined)) words.push('reply');
  return words.length === 0 ? undefined : `needs ${[...new Set(words)].join(', ')}`;
}

function wordsOf(step: Step): string[] {
  if (Array.isArray(step.parallel))
    return step.parallel.flat().flatMap((one) => wordsOf(one as Step));
  return [wordOf(step)];
}

function hasFaults({ faults, steps }: Scenario): boolean {
  return faults !== undefined || steps.flatMap(wordsOf).includes('faults');
}

/** Throws Unreachable where the target is gone; everything else is told by the outcome. */
export async function play(
  scenario: Scenario,
  target: Target,
  options: PlayOptions = {},
): Promise<Played> {
  const began = performance.now();
  const seed = options.seed ?? scenario.seed;
  const reason = lacking(scenario, target);
  if (reason !== undefined) {
    const nothing = { attempts: [], threadRuns: [], stepsPlayed: 0, worldMs: 0, realMs: 0 };
    return { scenario, seed, outcome: 'skipped', reason, ...nothing };
  }
  const playing = new Playing(scenario, target, seed, options);
  const failure = await playing.run();
  const { stuck = playing.bug, ...told } = await readEnd(playing);
  const unstruck = failure && hasFaults(scenario) ? await unstruckFaults(playing) : [];
  const journal = options.journal ? await journalHash(playing) : undefined;
  if (!options.keep) await forgetProjects(playing);
  await playing.settle();
  return {
    scenario,
    seed,
    outcome: stuck !== undefined ? 'stuck' : failure ? 'failed' : 'passed',
    ...(stuck === undefined ? {} : { reason: stuck }),
    ...(failure === undefined ? {} : { failure, unstruck }),
    ...told,
    stepsPlayed: playing.stepsPlayed,
    ...(journal === undefined ? {} : { journal }),
    realMs: performance.now() - began,
  };
}

class Playing implements Stage {
  readonly scenario: Scenario;
  readonly seed: string;
  readonly project: string;
  readonly control: Control;
  readonly asking: Asking;
  readonly breaking: Breaking;
  stepsPlayed = 0;
  /** A bug of the emulator's own that an answer told of. */
  bug: string | undefined;
  readonly #target: Target;
  readonly #frame: Frame;
  readonly #onTheWay = new Map<string, Promise<Answer>>();

  constructor(
    scenario: Scenario,
    target: Target,
    seed: string,
    { prefix = 'play', breaking = {} }: PlayOptions,
  ) {
    if (!target.control) throw new Error('only an emulator can be played on so far');
    this.scenario = scenario;
    this.seed = seed;
    this.control = target.control;
    this.project = `${prefix}-${scenario.name}`;
    this.breaking = breaking;
    this.#target = rewriting(target, breaking);
    this.#frame = {
      start: scenario.now,
      now: scenario.now,
      toleranceMs: 0,
      captures: new Map<string, unknown>([
        ['now', new Date(scenario.now).toISOString()],
        ['project', this.project],
      ]),
    };
    this.asking = {
      frame: this.#frame,
      control: target.control,
      authorization: target.authorization,
      projectOf: (short) =>
        short === undefined ? this.project : `${this.project}-${String(short)}`,
    };
  }

  async run(): Promise<Failure | undefined> {
    const { steps, placeOf } = this.scenario;
    try {
      await setUp(this);
      for (const [index, step] of steps.entries()) {
        await this.#step(step, ['steps', index]);
        this.stepsPlayed += 1;
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      const [field, index] = error.path;
      const step = field === 'steps' ? steps[Number(index)] : undefined;
      const title = step ? titleOf(step) : String(field ?? 'setup');
      return { ...placeOf(error.path), step: title, ...error.failure };
    }
  }

  /** Calls that nobody awaited, because a step before failed, end with their projects. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#onTheWay.values());
  }

  /** `arrived` is told when an answer begins, which may be long before a stream ends. */
  async call(sent: Sent, path: readonly Key[] = [], arrived = () => {}): Promise<Answer> {
    const late = () => {
      const actual = `none within ${CALL_MAX_MS / 1_000} s: what holds it is not released, or lies in a time that does not come`;
      return failedCall(path, sent, 'an answer', actual);
    };
    const work = this.#target.send(sent).then((response) => {
      arrived();
      return readAnswer(sent, response);
    });
    const answer = await within(CALL_MAX_MS, work, late).catch((error: unknown) => {
      if (error instanceof StepFailed || error instanceof Unreachable) throw error;
      if (isBrokenConnection(error)) throw brokenConnection(path, sent, error);
      throw failedCall(path, sent, 'a request that can be sent', (error as Error).message);
    });
    if (answer.now !== undefined) this.#frame.now = answer.now;
    if (answer.status === 500 && !answer.headers.has('x-foundrite-body-by'))
      this.bug ??= `${sent.method} ${sent.path} was answered 500: ${answer.text.slice(0, 300)}`;
    return answer;
  }

  async #step(step: Step, path: readonly Key[]): Promise<void> {
    const word = wordOf(step);
    if (word === 'parallel') return this.#together(step.parallel as (Step | Step[])[], path);
    if (word === 'await') {
      const name = String(step.await);
      const pending = this.#onTheWay.get(name);
      if (!pending) throw new Error(`nothing was sent as ${name}`);
      const answer = await this.#answered(step, pending, path);
      this.#onTheWay.delete(name);
      if (answer) expectAnswer(step, answer, path, this.#frame);
      return;
    }
    const sent = this.#sentBy(step, path);
    if (typeof step.as === 'string') return this.#sendOn(step, sent, path);
    if ('until' in step) return this.#poll(step, sent, path);
    const answer = await this.#answered(step, this.call(sent, path), path);
    if (answer) expectAnswer(step, answer, path, this.#frame);
  }

  async #together(branches: (Step | Step[])[], path: readonly Key[]): Promise<void> {
    const ends = await Promise.allSettled(
      branches.map(async (branch, index) => {
        const inner = [...path, 'parallel', index];
        if (!Array.isArray(branch)) return this.#step(branch, inner);
        for (const [place, one] of branch.entries()) await this.#step(one, [...inner, place]);
      }),
    );
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** The answer; none where the step expects that the connection breaks instead. */
  async #answered(
    step: Step,
    pending: Promise<Answer>,
    path: readonly Key[],
  ): Promise<Answer | undefined> {
    if (step.unanswered !== true) return pending;
    let answer: Answer;
    try {
      answer = await pending;
    } catch (error) {
      if (!(error instanceof ConnectionBroken)) throw error;
      return undefined;
    }
    const mismatch = {
      pattern: ['unanswered'],
      where: '(the whole)',
      expected: 'a broken connection',
      actual: `an answer ${answer.status}`,
    };
    throw failedAnswer([...path, 'unanswered'], answer, [mismatch]);
  }

  #sentBy(step: Step, path: readonly Key[]): Sent {
    try {
      return requestOf(step, this.asking);
    } catch (error) {
      const actual = (error as Error).message;
      throw failedCall(path, undefined, 'a request that can be sent', actual);
    }
  }

  /** Sends without waiting for the answer; comes back when the call has arrived, so that steps keep their order. */
  async #sendOn(step: Step, sent: Sent, path: readonly Key[]): Promise<void> {
    const before = await this.#waiting(step);
    let answered = false;
    const end = () => {
      answered = true;
    };
    const pending = this.call(sent, path, end);
    this.#onTheWay.set(String(step.as), pending);
    pending.then(end, end);
    for (const from = performance.now(); performance.now() - from < ARRIVAL_MAX_MS; ) {
      // The call needs a turn of the loop to leave, and the emulator in this process one to take it.
      await new Promise((resolve) => setImmediate(resolve));
      if (answered || (await this.#waiting(step)) > before) return;
    }
  }

  async #waiting(step: Step): Promise<number> {
    const { body } = await ask(this, 'clock', this.asking.projectOf(step.in));
    const clock = body as { waiting?: unknown[]; advancing?: boolean };
    return (clock.waiting?.length ?? 0) + (clock.advancing ? 1 : 0);
  }

  /** Asks again, moving time on in between, until the answer fits; the last answer tells why it did not. */
  async #poll(step: Step, sent: Sent, path: readonly Key[]): Promise<void> {
    const withinMs = durationIn(step.within, UNTIL_WITHIN);
    const everyMs = durationIn(step.every, UNTIL_EVERY);
    const from = this.#frame.now;
    for (;;) {
      const answer = await this.call(sent, path);
      const captures = new Map(this.#frame.captures);
      const mismatches = match(step.until, answer.body, { ...this.#frame, captures });
      if (mismatches.length === 0 && answer.status < 300) {
        for (const [name, value] of captures) this.#frame.captures.set(name, value);
        expectAnswer(step, answer, path, this.#frame);
        return;
      }
      if (this.#frame.now - from >= withinMs) {
        const bound = `within ${showDuration(withinMs)}`;
        if (answer.status >= 300) mismatches.unshift(otherStatus('status', '2xx', answer));
        const late = mismatches.map((one) => ({ ...one, expected: `${one.expected} ${bound}` }));
        throw failedAnswer([...path, 'until'], answer, late);
      }
      const before = this.#frame.now;
      const project = this.asking.projectOf(step.in);
      await ask(this, 'advance', project, { body: { by: showDuration(everyMs) } });
      // Where the clock cannot go on, the bound still ends it.
      this.#frame.now = Math.max(this.#frame.now, before + everyMs);
    }
  }
}

function durationIn(value: unknown, otherwise: string): number {
  return parseDuration(typeof value === 'string' ? value : otherwise) ?? 0;
}

/** A step in a line: `GET /routines/daily/runs`, `advance 2m`. */
export function titleOf(step: Step): string {
  const word = wordOf(step);
  const value = step[word];
  if (value === null || value === undefined) return word;
  return `${word} ${typeof value === 'string' ? value : shown(value, 80)}`;
}

async function within<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const signal = AbortSignal.timeout(ms);
  let giveUp = () => {};
  const bound = new Promise<never>((_, reject) => {
    giveUp = () => reject(late());
    signal.addEventListener('abort', giveUp, { once: true });
  });
  try {
    return await Promise.race([work, bound]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
