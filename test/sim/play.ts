/** Plays a story on the emulator and on the model at once, and stops where they differ. */
import { isDeepStrictEqual } from 'node:util';
import { replayJournal } from '../../emulator/replay.ts';
import { viewRoutine, viewRun } from './answers.ts';
import { type Answer, API, Asked, CONTROL, type Planted, requestOf } from './asked.ts';
import { instantsIn } from './bodies.ts';
import type { Json } from './definition.ts';
import { msOf } from './deliveries.ts';
import { Ids } from './ids.ts';
import { Model } from './model.ts';
import { runsOf } from './routines.ts';
import type { Expected, Step } from './step.ts';
import { type Story, stepsOf } from './story.ts';

/** Where the emulator and the model part: after which step, in what, and what either says. */
export class Difference extends Error {
  override name = 'Difference';
  readonly step: number;
  readonly where: string;
  readonly model: unknown;
  readonly emulator: unknown;
  constructor(step: number, where: string, model: unknown, emulator: unknown) {
    super(`after step ${step}: ${where}`);
    this.step = step;
    this.where = where;
    this.model = model;
    this.emulator = emulator;
  }
}

/** How often what happened, so that nobody takes trivial stories for proof. */
export type Figures = Map<string, number>;

/** What every story ends with: nothing stands in the way, and whatever is under way comes to its end. */
const ENDING: Step[] = [
  { do: 'faults', faults: [] },
  { do: 'advance', until: 'idle' },
  { do: 'page', limit: 2 },
];

export class Play {
  private readonly story: Story;
  private readonly figures: Figures;
  private readonly model: Model;
  private readonly asked: Asked;
  private readonly ids: Ids;
  private step = 0;
  /** Whether the last step that moves time was too much for a story. */
  private leftOut = false;
  /** Where the world's clock stood. */
  private now: number;
  /** How many attempts were compared, and where the journal goes on. */
  private attempts = { seen: 0, cursor: 0 };
  private attemptsMax: number;
  private readonly names = new Set<string>();

  constructor(story: Story, figures: Figures = new Map(), planted: Planted = {}) {
    this.story = story;
    this.figures = figures;
    this.model = new Model(story.setup);
    this.now = this.model.state.now;
    this.attemptsMax = Number(this.model.state.settings.attempts_max);
    this.ids = new Ids((what, model, emulator) => this.differ(what, model, emulator));
    const restarted = stepsOf(story).some((one) => one.do === 'restart');
    this.asked = new Asked(story.setup, restarted, planted, (what, emulator) =>
      this.differ(what, 'nothing', emulator),
    );
  }

  /** Plays every step, then all that follows from them; and the journal of it all, if it is to be replayed. */
  async run(replayed = false): Promise<void> {
    this.count('stories');
    try {
      for (const one of [...stepsOf(this.story), ...ENDING]) {
        this.step += 1;
        await this.take(one);
      }
      for (const of of this.names) {
        const third = Math.ceil((runsOf(this.model.state, of)?.length ?? 0) / 3);
        await this.take({ do: 'page', of, limit: Math.min(Math.max(third, 1), 100) });
      }
      const { runs } = this.model.state;
      const under = runs.filter(({ endedAt }) => endedAt === undefined);
      if (!this.leftOut && under.length > 0) this.differ('runs that never end', [], under);
      for (const { phase, error } of runs)
        this.count(`run ${phase}${error ? ` by ${error.type}` : ''}`);
      if (replayed) await this.replay();
    } finally {
      await this.asked.close();
    }
  }

  private differ(where: string, model: unknown, emulator: unknown): never {
    throw new Difference(this.step, where, model, emulator);
  }

  private same(where: string, model: unknown, emulator: unknown): void {
    if (!isDeepStrictEqual(plain(model), plain(emulator))) this.differ(where, model, emulator);
  }

  private count(what: string, times = 1): void {
    this.figures.set(what, (this.figures.get(what) ?? 0) + times);
  }

  private async take(one: Step): Promise<void> {
    const start = Date.parse(this.story.setup.now);
    const step = one.do === 'put' ? { ...one, body: instantsIn(one.body, start, msOf) } : one;
    const expected = this.model.apply(step);
    this.count('steps');
    if (step.do === 'advance') this.leftOut = expected.skipped ?? false;
    if (expected.skipped) {
      this.count(`${step.do} left out`);
      return;
    }
    this.attemptsMax = Math.max(this.attemptsMax, Number(this.model.state.settings.attempts_max));
    if (step.do === 'restart') {
      this.count('restart');
      await this.asked.restart();
    } else if (step.do === 'page') await this.pages(step, expected);
    else this.compare(step, expected, await this.asked.ask(...requestOf(step, this.now)));
    if (step.do === 'reset') {
      this.ids.keepOnly(new Set(this.model.state.runs.map(({ key }) => key)));
      this.attempts = { seen: 0, cursor: 0 };
      this.now = 0;
    }
    await this.compareWorld(step);
  }

  private compare(step: Step, expected: Expected, answer: Answer | undefined): void {
    this.count(`${step.do} ${answer?.status ?? 'unanswered'}`);
    this.same('whether it is answered', !expected.unanswered, answer !== undefined);
    if (answer === undefined) return;
    const { status, rule, body } = answer;
    if (expected.refusals) {
      if (!expected.refusals.some((one) => isDeepStrictEqual(one, [status, rule])))
        this.differ('the refusal', expected.refusals, [status, rule, body]);
      this.count(`refused by ${rule}`);
      return;
    }
    this.same('the status', expected.status, status);
    if (status >= 400) return;
    if (expected.routine) this.same('the routine', inSeconds(expected.routine), body);
    if (expected.run !== undefined) this.ids.are(expected.run, body);
    if (step.do === 'fire') this.compareFired(expected, [body]);
    if (step.do !== 'advance') return;
    this.compareFired(expected, body.fired);
    this.same('whether its end was reached', true, body.reached);
  }

  private compareFired({ fired: known = [] }: Expected, fired: Json[]): void {
    const told = known.map(({ run, at, ...rest }) => {
      return { ...rest, at: iso(at), late: false, run: run !== null };
    });
    this.same(
      'what fired',
      told,
      fired.map((one) => ({ ...one, run: one.run !== null })),
    );
    this.count('firings', known.length);
    for (const [index, { run }] of known.entries())
      if (run !== null) this.ids.are(run, { id: fired[index]?.run });
  }

  /** After a step that moves or brings back the world all of it; after another the list, and what the step was about. */
  private async compareWorld(step: Step): Promise<void> {
    const { state } = this.model;
    if (step.do === 'get' || step.do === 'page' || step.do === 'snapshot') return;
    const whole = ['advance', 'set', 'reset', 'restart'].includes(step.do);
    const about = 'name' in step && step.do !== 'agent' ? step.name : undefined;
    if (about !== undefined) this.names.add(about);
    const listed = await this.read(`${API}/routines?order=asc`);
    const routines = this.model.routines().map((one) => inSeconds(viewRoutine(one)));
    this.same('the list of routines', routines, listed.body.data);
    this.same('now', iso(state.now), listed.now);
    if (state.now < this.now) this.differ('now, which went back', iso(this.now), iso(state.now));
    this.now = state.now;
    for (const name of this.names) if (whole || name === about) await this.compareRuns(name);
    if (!whole) return;
    await this.compareAttempts();
    if (state.faults.length === 0) return;
    const { faults } = (await this.read(`${CONTROL}/faults`)).body;
    const struck = state.faults.map(({ fired }) => fired);
    this.same(
      'how often each fault struck',
      struck,
      faults.map(({ fired }: Json) => fired),
    );
  }

  /** A read that is not struck by any fault. */
  private async read(path: string): Promise<Answer> {
    const answer = await this.asked.ask('GET', path);
    return answer?.status === 200 ? answer : this.differ(`GET ${path}`, 200, answer);
  }

  private async compareRuns(name: string): Promise<void> {
    const path = `${API}/routines/${encodeURIComponent(name)}/runs?order=desc`;
    const answer = await this.asked.ask('GET', path);
    const runs = runsOf(this.model.state, name);
    this.same(`the status of the runs of ${name}`, runs ? 200 : 404, answer?.status);
    if (!runs) return;
    const newest = [...runs].reverse();
    const listed: Json[] = [...(answer?.body.data ?? [])];
    for (let link = answer?.body.next_link; link !== undefined; ) {
      const { pathname, search } = new URL(link);
      const { body } = await this.read(pathname + search);
      listed.push(...body.data);
      link = body.next_link;
    }
    const told = newest.map((run) => inSeconds(viewRun(run)));
    this.same(`the runs of ${name}`, told, listed.map(withoutIds));
    for (const [index, { key, phase, action, promised }] of newest.entries()) {
      const run = listed[index] ?? {};
      this.ids.are(key, run);
      // Echo gives the id that was promised, unless the run was turned to another protocol since.
      const given = phase === 'completed' ? run.action_correlation_id : undefined;
      if (action.type === promised) this.same('the response_id', given, run.response_id);
    }
    this.noInstantTwice(listed);
  }

  /** However it is modelled: a trigger makes one run of an instant. */
  private noInstantTwice(listed: Json[]): void {
    const seen = new Set<string>();
    const { runs } = this.model.state;
    for (const { id, attempt_source, trigger_name, scheduled_fire_at } of listed) {
      const run = runs.find(({ key }) => this.ids.of(key) === id);
      if (scheduled_fire_at === undefined || run === undefined || run.byHand) continue;
      const instant = `${run.routine} ${attempt_source} ${trigger_name} ${scheduled_fire_at}`;
      if (seen.has(instant)) this.differ('runs of one instant', 'one', instant);
      seen.add(instant);
    }
  }

  private async compareAttempts(): Promise<void> {
    const { state } = this.model;
    const { seen, cursor: after } = this.attempts;
    const path = `${CONTROL}/journal?kind=attempt&limit=10000&after=${after}`;
    const { entries, cursor } = (await this.read(path)).body;
    const known = state.attempts.slice(seen).map(({ run, at, retryAt, ...rest }) => {
      const retry_at = retryAt === undefined ? undefined : iso(retryAt);
      return { ...rest, run: this.ids.of(run), at: iso(at), retry_at };
    });
    const lines = (entries as Line[]).map(({ seq, kind, sent, ...rest }) => {
      const { agent, protocol, body } = (sent ?? {}) as Json;
      return { ...rest, sent: sent === undefined ? undefined : { agent, protocol, body } };
    });
    this.same('the attempts', known.sort(byRun), lines.sort(byRun));
    for (const { outcome, status, next } of known)
      this.count(`attempt ${status ?? outcome} ${next}`);
    const beyond = lines.find(({ attempt }) => attempt > this.attemptsMax);
    if (beyond) this.differ('attempts in all', this.attemptsMax, beyond);
    this.attempts = { seen: state.attempts.length, cursor };
  }

  private async pages(step: Step & { do: 'page' }, expected: Expected): Promise<void> {
    const { of, limit, order, after } = step;
    const routine = of === undefined ? '' : `/${encodeURIComponent(of)}/runs`;
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ limit, order, after }))
      if (value !== undefined) query.set(name, String(value));
    let answer = await this.asked.ask('GET', `${API}/routines${routine}?${query}`);
    this.compare(step, expected, answer);
    const pages = expected.pages ?? [];
    for (const [index, page] of pages.entries()) {
      const { data, has_more, next_link, last_id } = answer?.body ?? {};
      const known = page.map((one) => (typeof one === 'string' ? one : this.ids.of(one)));
      const field = of === undefined ? 'name' : 'id';
      this.same(
        `page ${index + 1}`,
        known,
        data.map((one: Json) => one[field]),
      );
      const last = index + 1 === pages.length;
      this.same(`whether more follows page ${index + 1}`, !last, has_more);
      if (last) return;
      const next = new URL(next_link);
      // Every other page is asked for as .NET does, by the last id.
      if (index % 2 === 1) next.searchParams.set('after', last_id);
      answer = await this.asked.ask('GET', next.pathname + next.search);
      this.count('pages that follow');
    }
  }

  /** However it is modelled: a journal gives itself again. */
  private async replay(): Promise<void> {
    const lines = await this.asked.canonicalJournal();
    const again = await replayJournal(lines);
    const other = lines.findIndex((line, index) => line !== again[index]);
    if (other >= 0)
      this.differ(`line ${other + 1} of the journal, replayed`, lines[other], again[other]);
    this.count('journals replayed');
  }
}

/** A line of the journal, of kind attempt. */
interface Line {
  seq: number;
  kind: string;
  at: string;
  run: string;
  attempt: number;
  sent?: Json;
}

const INSTANTS = /^(?:at|(?:created|updated|triggered|scheduled_fire|started|ended)_at)$/;

/** The model's ms as the API's unix seconds. */
function inSeconds(view: Json): Json {
  const told = Object.entries(view).map(([key, value]) => {
    if (INSTANTS.test(key) && typeof value === 'number') return [key, Math.floor(value / 1_000)];
    if (key !== 'triggers') return [key, value];
    const [[name, trigger] = ['', {}]] = Object.entries(value as Record<string, Json>);
    return [key, { [name]: inSeconds(trigger) }];
  });
  return Object.fromEntries(told);
}

function withoutIds(run: Json): Json {
  const { id, dispatch_id, action_correlation_id, task_id, response_id, ...rest } = run;
  const { error_message, ...told } = rest;
  return told;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

/** As JSON: what is undefined is not there. */
export function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function byRun(a: { at: string; run?: unknown }, b: { at: string; run?: unknown }): number {
  return `${a.at} ${a.run}` < `${b.at} ${b.run}` ? -1 : 1;
}
