/** Plays a scenario against a target: a project of its own, its steps in order, its expectations against every answer. */
import { parseDuration, showDuration } from '../contracts/duration.ts';
import { type Control, controlCall, type Sent, type Target } from '../contracts/target.ts';
import { type Answer, eventsIn, readAnswer } from './answer.ts';
import { type Frame, fillAll, type Key, type Mismatch, match, shown } from './match.ts';
import { type Asking, requestOf } from './request.ts';
import {
  type Place,
  type Scenario,
  type ScenarioAgent,
  STATUS,
  type Step,
  wordOf,
} from './scenario.ts';

/** `stuck`: the emulator set a due item aside, or answered 500: that is our bug, not a broken promise. */
export type PlayOutcome = 'passed' | 'failed' | 'skipped' | 'stuck';

export interface Attempt {
  routine: string;
  run: string;
  number: number;
  /** The agent's status, or what became of the call. */
  gave: string;
  at: string;
  next: string;
}

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
  stepsPlayed: number;
  /** How far the world's clock went, and how long that took. */
  worldMs: number;
  realMs: number;
  /** SHA-256 of the canonical journal, where it was asked for and nothing arrived during an advance. */
  journal?: string;
}

export interface Failure extends Place {
  /** The step as it is written, in short. */
  step: string;
  request?: { method: string; path: string; body?: string };
  answer?: { status: number; text: string };
  mismatches: readonly Mismatch[];
}

export interface PlayOptions {
  /** Before the scenario's name in that of its project. */
  prefix?: string;
  seed?: string;
  /** Leaves the project for a look at it. */
  keep?: boolean;
  /** Asks for the canonical journal's hash. */
  journal?: boolean;
}

/** Real time that a call may take; what is held longer will never come. */
const CALL_MAX_MS = 60_000;
/** Real time within which a call that was sent and not awaited has arrived. */
const ARRIVAL_MAX_MS = 2_000;
const UNTIL_WITHIN = '1m';
const UNTIL_EVERY = '1s';

class StepFailed extends Error {
  readonly path: readonly Key[];
  readonly failure: Omit<Failure, 'line' | 'column' | 'step'>;

  constructor(path: readonly Key[], failure: Omit<Failure, 'line' | 'column' | 'step'>) {
    super('a step failed');
    this.path = path;
    this.failure = failure;
  }
}

/** What a scenario needs that this target lacks. */
export function lacking(scenario: Scenario, target: Target): string | undefined {
  if (target.control) return undefined;
  const words = scenario.steps.flatMap(wordsOf).filter((word) => controlCall(word));
  if (scenario.faults) words.push('faults');
  return words.length === 0 ? undefined : `needs ${[...new Set(words)].join(', ')}`;
}

function wordsOf(step: Step): string[] {
  if (Array.isArray(step.parallel))
    return step.parallel.flat().flatMap((one) => wordsOf(one as Step));
  return [wordOf(step)];
}

export async function play(
  scenario: Scenario,
  target: Target,
  options: PlayOptions = {},
): Promise<Played> {
  const began = performance.now();
  const reason = lacking(scenario, target);
  const seed = options.seed ?? scenario.seed;
  const done = { scenario, seed, attempts: [], stepsPlayed: 0, worldMs: 0 };
  if (reason !== undefined) return { ...done, outcome: 'skipped', reason, realMs: 0 };
  const playing = new Playing(scenario, target, options);
  let failure: Failure | undefined;
  let ended: Awaited<ReturnType<Playing['end']>>;
  try {
    failure = await playing.run();
  } finally {
    ended = await playing.end();
  }
  const realMs = performance.now() - began;
  const { stuck, ...rest } = ended;
  const outcome = stuck === undefined ? (failure ? 'failed' : 'passed') : 'stuck';
  return {
    scenario,
    seed,
    outcome,
    ...(stuck === undefined ? {} : { reason: stuck }),
    ...(failure === undefined ? {} : { failure }),
    stepsPlayed: playing.stepsPlayed,
    realMs,
    ...rest,
  };
}

class Playing {
  readonly scenario: Scenario;
  readonly target: Target;
  readonly control: Control;
  readonly options: PlayOptions;
  readonly project: string;
  readonly frame: Frame;
  readonly asking: Asking;
  readonly onTheWay = new Map<string, Promise<Answer>>();
  stepsPlayed = 0;
  /** A bug of the emulator's own that an answer told of. */
  bug: string | undefined;
  #made = false;

  constructor(scenario: Scenario, target: Target, options: PlayOptions) {
    this.scenario = scenario;
    this.target = target;
    this.options = options;
    if (!target.control) throw new Error('only an emulator can be played on so far');
    this.control = target.control;
    this.project = `${options.prefix ?? 'play'}-${scenario.name}`;
    this.frame = {
      start: scenario.now,
      now: scenario.now,
      toleranceMs: 0,
      captures: new Map<string, unknown>([
        ['now', new Date(scenario.now).toISOString()],
        ['project', this.project],
      ]),
    };
    this.asking = {
      frame: this.frame,
      control: this.control,
      authorization: target.authorization,
      projectOf: (short) => this.#named(short),
    };
  }

  async run(): Promise<Failure | undefined> {
    let path: Key[] = [];
    try {
      await this.#prepare();
      for (const [index, step] of this.scenario.steps.entries()) {
        path = ['steps', index];
        await this.#step(step, path);
        this.stepsPlayed += 1;
      }
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      const step =
        error.path[0] === 'steps' ? this.scenario.steps[Number(error.path[1])] : undefined;
      return {
        ...this.scenario.placeOf(error.path),
        step: step ? titleOf(step) : String(error.path[0] ?? 'setup'),
        ...error.failure,
      };
    }
    return undefined;
  }

  /** What the journal has to say at the end, and nothing is left behind. */
  async end(): Promise<Pick<Played, 'attempts' | 'worldMs' | 'journal'> & { stuck?: string }> {
    if (!this.#made)
      return { attempts: [], worldMs: 0, ...(this.bug === undefined ? {} : { stuck: this.bug }) };
    const read = await this.#ask('journal', this.project, {
      query: { kind: 'attempt,stuck', limit: 10_000 },
    });
    const lines = ((read.body as { entries?: Line[] } | undefined)?.entries ?? []) as Line[];
    const stuck = lines.find((line) => line.kind === 'stuck');
    const worldNow = Date.parse(read.headers.get('x-foundrite-now') ?? '');
    let journal: string | undefined;
    if (this.options.journal) {
      const canonical = await this.#ask('journal', this.project, {
        query: { canonical: true, limit: 1 },
      });
      const page = canonical.body as { hash?: string; interleaved?: boolean };
      if (page.interleaved === false) journal = page.hash;
    }
    if (!this.options.keep) await this.#forget();
    await Promise.allSettled(this.onTheWay.values());
    return {
      attempts: lines.filter((line) => line.kind === 'attempt').map((line) => this.#attempt(line)),
      worldMs: Number.isNaN(worldNow) ? 0 : worldNow - this.scenario.now,
      ...(journal === undefined ? {} : { journal }),
      ...(stuck === undefined && this.bug === undefined
        ? {}
        : { stuck: this.bug ?? `the emulator set a due item aside: ${shown(stuck)}` }),
    };
  }

  #attempt(line: Line): Attempt {
    const offset = Date.parse(line.at) - this.scenario.now;
    return {
      routine: String(line.routine),
      run: String(line.run),
      number: Number(line.attempt),
      gave: String(line.status ?? line.outcome),
      at: `+${showDuration(offset)}`,
      next: String(line.next),
    };
  }

  async #forget(): Promise<void> {
    const listed = await this.#ask('projects', this.project, {});
    const { projects = [] } = (listed.body ?? {}) as { projects?: { name: string }[] };
    for (const { name } of projects) {
      if (name === this.project || name.startsWith(`${this.project}-`))
        await this.#ask('forget', name, {});
    }
  }

  async #prepare(): Promise<void> {
    const { scenario } = this;
    const names = new Set([
      this.project,
      ...scenario.steps.flatMap(projectsOf).map((name) => this.#named(name)),
    ]);
    for (const name of names) {
      if (!scenario.steps.some((step) => 'project' in step && this.#named(step.in) === name))
        await this.#make(name);
    }
    this.#made = true;
    for (const [name, agent] of Object.entries(scenario.agents)) await this.#agent(name, agent);
    if (scenario.faults) {
      const body = { faults: fillAll(scenario.faults, this.frame) };
      await this.#setUp(
        'faults',
        this.control.request('faults', { params: { p: this.project }, body }),
      );
    }
  }

  /** A project that an earlier play left is made anew. */
  async #make(name: string): Promise<void> {
    const { scenario, options } = this;
    const body = {
      now: new Date(scenario.now).toISOString(),
      rate: 0,
      skip: scenario.skip,
      seed: options.seed ?? scenario.seed,
      empty: scenario.empty,
      ...(scenario.profile === undefined ? {} : { profile: scenario.profile }),
      switches: scenario.switches,
      settings: scenario.settings,
    };
    const asked = { params: { p: name }, body };
    const first = await this.#call(this.control.request('project', asked));
    if (first.status === 409) {
      await this.#ask('forget', name, {});
      await this.#setUp('switches', this.control.request('project', asked));
    } else if (first.status !== 201)
      refused(first, [first.text.includes('settings') ? 'settings' : 'switches']);
  }

  async #agent(name: string, agent: ScenarioAgent): Promise<void> {
    const definition = agent.definition ?? DEFINITIONS[agent.kind ?? 'hosted'];
    const made = { POST: `/agents/${name}/versions`, body: { definition } };
    await this.#setUp('agents', requestOf(made, this.asking));
    if (agent.reply) {
      const params = { p: this.project, agent_name: name };
      await this.#setUp(
        'agents',
        this.control.request('reply', { params, body: fillAll(agent.reply, this.frame) }),
      );
    }
  }

  async #setUp(field: string, sent: Sent): Promise<void> {
    const answer = await this.#call(sent);
    if (answer.status >= 300) refused(answer, [field]);
  }

  #named(short: unknown): string {
    return short === undefined ? this.project : `${this.project}-${String(short)}`;
  }

  #ask(
    word: string,
    project: string,
    more: { query?: Record<string, unknown>; body?: unknown },
  ): Promise<Answer> {
    return this.#call(this.control.request(word, { params: { p: project }, ...more }));
  }

  async #step(step: Step, path: readonly Key[]): Promise<void> {
    const word = wordOf(step);
    if (word === 'parallel') {
      const branches = (step.parallel as (Step | Step[])[]).map(async (branch, index) => {
        const inner = [...path, 'parallel', index];
        if (!Array.isArray(branch)) return this.#step(branch, inner);
        for (const [place, one] of branch.entries()) await this.#step(one, [...inner, place]);
      });
      const ends = await Promise.allSettled(branches);
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed) throw failed.reason;
      return;
    }
    if (word === 'await') {
      const pending = this.onTheWay.get(String(step.await));
      this.onTheWay.delete(String(step.await));
      if (!pending) throw new Error(`nothing was sent as ${String(step.await)}`);
      this.#expect(step, await pending, path);
      return;
    }
    const sent = this.#sentBy(step, path);
    if (typeof step.as === 'string') {
      await this.#sendOn(step.as, sent, path);
      return;
    }
    if ('until' in step) await this.#poll(step, sent, path);
    else this.#expect(step, await this.#call(sent, path), path);
  }

  #sentBy(step: Step, path: readonly Key[]): Sent {
    try {
      return requestOf(step, this.asking);
    } catch (error) {
      const actual = (error as Error).message;
      throw new StepFailed(path, { mismatches: [whole('a request that can be sent', actual)] });
    }
  }

  async #call(sent: Sent, path: readonly Key[] = []): Promise<Answer> {
    const late = () => {
      const expected = `an answer to ${sent.method} ${sent.path}`;
      const actual = `none within ${CALL_MAX_MS / 1_000} s: what holds it is not released, or lies in a time that does not come`;
      return new StepFailed(path, {
        request: shownRequest(sent),
        mismatches: [whole(expected, actual)],
      });
    };
    const answer = await within(
      CALL_MAX_MS,
      this.target.send(sent).then((response) => readAnswer(sent, response)),
      late,
    );
    if (answer.now !== undefined) this.frame.now = answer.now;
    if (answer.status === 500 && !answer.headers.has('x-foundrite-body-by'))
      this.bug ??= `${sent.method} ${sent.path} was answered 500: ${answer.text.slice(0, 300)}`;
    return answer;
  }

  /** Sends without waiting for the answer; comes back when the call has arrived, so that steps keep their order. */
  async #sendOn(name: string, sent: Sent, path: readonly Key[]): Promise<void> {
    const before = await this.#waiting();
    const pending = this.#call(sent, path);
    pending.catch(() => {});
    this.onTheWay.set(name, pending);
    let answered = false;
    const end = () => {
      answered = true;
    };
    pending.then(end, end);
    for (const from = performance.now(); performance.now() - from < ARRIVAL_MAX_MS; ) {
      // The call needs a turn of the loop to leave, and the emulator in this process one to take it.
      await new Promise((resolve) => setImmediate(resolve));
      if (answered || (await this.#waiting()) > before) return;
    }
  }

  async #waiting(): Promise<number> {
    const clock = (await this.#ask('clock', this.project, {})).body as {
      waiting?: unknown[];
      heldBy?: unknown[];
      advancing?: boolean;
    };
    return (clock.waiting?.length ?? 0) + (clock.advancing ? 1 : 0);
  }

  /** Asks again, moving time on in between, until the answer fits; the last answer tells why it did not. */
  async #poll(step: Step, sent: Sent, path: readonly Key[]): Promise<void> {
    const withinMs = durationIn(step.within, UNTIL_WITHIN);
    const everyMs = durationIn(step.every, UNTIL_EVERY);
    const from = this.frame.now;
    for (;;) {
      const answer = await this.#call(sent, path);
      const captures = new Map(this.frame.captures);
      const mismatches = match(step.until, answer.body, { ...this.frame, captures });
      if (mismatches.length === 0 && answer.status < 300) {
        for (const [name, value] of captures) this.frame.captures.set(name, value);
        this.#expect({ ...step, until: undefined }, answer, path);
        return;
      }
      if (this.frame.now - from >= withinMs) {
        throw new StepFailed([...path, 'until'], {
          ...told(answer),
          mismatches: mismatches.map((one) => ({
            ...one,
            expected: `${one.expected} within ${showDuration(withinMs)}`,
          })),
        });
      }
      await this.#ask('advance', this.project, { body: { by: showDuration(everyMs) } });
      this.frame.now = Math.max(this.frame.now, from + everyMs);
    }
  }

  #expect(step: Step, answer: Answer, path: readonly Key[]): void {
    const statuses = Object.keys(step).filter((key) => STATUS.test(key));
    const fail = (at: Key[], mismatches: Mismatch[]) => {
      if (mismatches.length === 0) return;
      const [first] = mismatches;
      throw new StepFailed([...path, ...at, ...(first?.pattern ?? [])], {
        ...told(answer),
        mismatches,
      });
    };
    const status = String(answer.status);
    const fits = statuses.find((one) => one === status || one === `${status[0]}xx`);
    if (fits === undefined && (statuses.length > 0 || answer.status >= 300)) {
      const expected = statuses.length > 0 ? statuses.join(' or ') : '2xx';
      const actual = `${status} ${answer.text.slice(0, 300)}`;
      fail(statuses.slice(0, 1), [{ pattern: [], where: 'status', expected, actual }]);
    }
    if (fits !== undefined) fail([fits], match(emptyIsAny(step[fits]), answer.body, this.frame));
    if (step.answer_headers)
      fail(
        ['answer_headers'],
        match(step.answer_headers, Object.fromEntries(answer.headers), this.frame),
      );
    const body = answer.body as Record<string, unknown> | undefined;
    if ('equals' in step) fail(['equals'], match(step.equals, body?.entries, this.frame));
    if ('fired' in step) fail(['fired'], match(step.fired, body?.fired, this.frame));
    if ('stopped' in step)
      fail(
        ['stopped'],
        match({ stopped: step.stopped }, body, this.frame).map((one) => ({
          ...one,
          pattern: one.pattern.slice(1),
        })),
      );
    if ('stream' in step) fail(['stream'], match(step.stream, eventsIn(answer), this.frame));
    // Last: what a scenario says of an answer is told before what the wire promises.
    if (!('stream' in step))
      fail(
        [],
        answer.problems.map((problem) => ({
          pattern: [],
          where: 'openapi.yaml',
          expected: 'an answer that keeps to it',
          actual: problem,
        })),
      );
  }
}

interface Line {
  kind: string;
  at: string;
  [field: string]: unknown;
}

/** Definitions of agents of which a scenario says only the kind. */
const DEFINITIONS: Record<string, Record<string, unknown>> = {
  hosted: {
    kind: 'hosted',
    image: 'example.azurecr.io/agent:1',
    cpu: '1',
    memory: '2Gi',
    protocol_versions: [
      { protocol: 'responses', version: '1.0.0' },
      { protocol: 'invocations', version: '1.0.0' },
    ],
  },
  prompt: { kind: 'prompt', model: 'model' },
  workflow: { kind: 'workflow', workflow: 'kind: workflow' },
  external: { kind: 'external' },
};

function projectsOf(step: Step): string[] {
  if (Array.isArray(step.parallel))
    return step.parallel.flat().flatMap((one) => projectsOf(one as Step));
  return typeof step.in === 'string' ? [step.in] : [];
}

function refused(answer: Answer, path: Key[]): never {
  throw new StepFailed(path, {
    ...told(answer),
    mismatches: [
      {
        pattern: [],
        where: 'setup',
        expected: '2xx',
        actual: `${answer.status} ${answer.text.slice(0, 300)}`,
      },
    ],
  });
}

function told(answer: Answer): Pick<Failure, 'request' | 'answer'> {
  return {
    request: shownRequest(answer.sent),
    answer: { status: answer.status, text: answer.text },
  };
}

function shownRequest({ method, path, body }: Sent): NonNullable<Failure['request']> {
  return { method, path, ...(typeof body === 'string' ? { body } : {}) };
}

function whole(expected: string, actual: string): Mismatch {
  return { pattern: [], where: '(the whole)', expected, actual };
}

/** A status alone (`200:`) asks nothing of the body. */
function emptyIsAny(pattern: unknown): unknown {
  return pattern === null ? {} : pattern;
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
