/** Plays a story on the emulator and on the model at once, and stops where they differ. */
import { isDeepStrictEqual } from 'node:util';
import { replayJournal } from '../../emulator/replay.ts';
import { isThreadStep } from '../thread-model/step.ts';
import { there } from '../thread-model/world.ts';
import {
  compareAgent,
  compareAgents,
  compareConversation,
  compareResponse,
  compareResponses,
  learn,
  viewItem,
  withoutDrawn,
} from './agent-world.ts';
import { viewRoutine } from './answers.ts';
import { type Answer, API, CONTROL, isAgentStep, type Planted, requestOf } from './asked.ts';
import { instantsIn } from './bodies.ts';
import { Compared, type Figures, inSeconds, iso } from './compared.ts';
import type { Json } from './definition.ts';
import { msOf } from './deliveries.ts';
import { comparePages } from './pages.ts';
import { resolve } from './refs.ts';
import { compareAttempts, compareRuns } from './routine-world.ts';
import { runsOf } from './routines.ts';
import type { Expected, Step } from './step.ts';
import { type Story, stepsOf } from './story.ts';
import { compareThreads, compareToldOfThreads } from './thread-world.ts';

/** What every story ends with: nothing stands in the way, and whatever is under way comes to its end. */
const ENDING: Step[] = [
  { do: 'faults', faults: [] },
  { do: 'advance', until: 'idle' },
  { do: 'page', limit: 2 },
];
/** What stories of threads alone have beside them: of the rest of the world nothing is to be looked at. */
const AROUND = ['advance', 'faults'];

export class Play {
  private readonly story: Story;
  private readonly both: Compared;
  /** Whether the last step that moves time was too much for a story. */
  private leftOut = false;
  /** Where the world's clock stood. */
  private now: number;
  private attempts = { seen: 0, cursor: 0 };
  private attemptsMax: number;
  private readonly names = new Set<string>();
  private readonly isOfThreads: boolean;
  /** Whether all steps of the story were taken. */
  private ends = false;

  constructor(story: Story, figures: Figures = new Map(), planted: Planted = {}) {
    this.story = story;
    this.isOfThreads =
      story.setup.agents.length === 0 &&
      stepsOf(story).every((step) => isThreadStep(step) || AROUND.includes(step.do));
    this.both = new Compared(story, figures, planted);
    const { now, settings } = this.both.model.state;
    this.now = now;
    this.attemptsMax = Number(settings.attempts_max);
  }

  /** Plays every step, then all that follows from them; and the journal of it all, if it is to be replayed. */
  async run(replayed = false): Promise<void> {
    const { both } = this;
    both.count('stories');
    try {
      for (const one of stepsOf(this.story)) await this.take(one);
      this.ends = true;
      for (const one of ENDING) await this.take(one);
      for (const of of this.names) {
        const third = Math.ceil((runsOf(both.model.state, of)?.length ?? 0) / 3);
        await this.take({ do: 'page', of, limit: Math.min(Math.max(third, 1), 100) });
      }
      const { runs } = both.model.state;
      const under = runs.filter(({ endedAt }) => endedAt === undefined);
      if (!this.leftOut && under.length > 0) both.differ('runs that never end', [], under);
      for (const { phase, error } of runs)
        both.count(`run ${phase}${error ? ` by ${error.type}` : ''}`);
      for (const { runs: own } of both.model.state.threads.threads.filter(there))
        for (const { status } of own) both.count(`thread run ${status}`);
      if (replayed) await this.replay();
    } finally {
      await both.asked.close();
    }
  }

  private async take(written: Step): Promise<void> {
    const { both } = this;
    if (written.do !== 'page' || !this.ends) both.step += 1;
    const { model } = both;
    const step = this.meant(written);
    const request = step.do === 'restart' ? undefined : requestOf(step, model.state);
    const expected = model.apply(step);
    both.count('steps');
    if (isAgentStep(step)) both.count('steps about agents');
    if (isThreadStep(step)) both.count('steps about threads');
    if (step.do === 'advance') this.leftOut = expected.skipped ?? false;
    if (expected.skipped) {
      both.count(`${step.do} left out`);
      return;
    }
    this.attemptsMax = Math.max(this.attemptsMax, Number(model.state.settings.attempts_max));
    if (!request) {
      both.count('restart');
      await both.asked.restart();
    } else {
      const answer = await both.asked.ask(...request);
      this.compare(step, expected, answer);
      if (step.do === 'page' || step.do === 'list' || step.do === 'leaf through')
        await comparePages(both, step, pagesIn(expected), request[1], answer);
    }
    if (step.do === 'reset') {
      const { runs, agents } = model.state;
      both.ids.keepOnly(new Set([...runs, ...agents].map(({ key }) => key)));
      this.attempts = { seen: 0, cursor: 0 };
      this.now = 0;
    }
    both.thorough = this.ends || step.do === 'reset' || step.do === 'restart';
    await this.compareWorld(step);
  }

  /** The step with its instants and ids, as far as the story has come. */
  private meant(written: Step): Step {
    const { state } = this.both.model;
    const step = resolve(written, state);
    const start = Date.parse(this.story.setup.now);
    return step.do === 'put' ? { ...step, body: instantsIn(step.body, start, msOf) } : step;
  }

  private compare(step: Step, expected: Expected, answer: Answer | undefined): void {
    const { both } = this;
    both.count(`${step.do} ${answer?.status ?? 'unanswered'}`);
    both.same('whether it is answered', !expected.unanswered, answer !== undefined);
    if (answer === undefined) return;
    const { status, rule, body } = answer;
    if (expected.refusals) {
      if (!expected.refusals.some((one) => isDeepStrictEqual(one, [status, rule])))
        both.differ(
          'the refusal',
          expected.refusals.map((one) => one.join(' ')).join(', or '),
          `${status} ${rule} ${JSON.stringify(body)}`,
        );
      both.count(`refused by ${rule}`);
      return;
    }
    if (expected.threads) {
      compareToldOfThreads(both, expected.threads, answer);
      return;
    }
    if (expected.status !== status)
      both.differ('the status', expected.status, `${status} ${rule} ${JSON.stringify(body)}`);
    if (status >= 400) return;
    if (expected.routine) both.same('the routine', inSeconds(expected.routine), body);
    if (expected.run !== undefined) both.ids.are(expected.run, body);
    this.compareTold(expected, answer);
    if (step.do === 'fire') this.compareFired(expected, [body]);
    if (step.do !== 'advance') return;
    this.compareFired(expected, body.fired);
    both.same('whether its end was reached', true, body.reached);
  }

  /** The answers to steps that are about agents. */
  private compareTold(expected: Expected, { body, session }: Answer): void {
    const { both } = this;
    const { made, told, items, item } = expected;
    learn(both, expected, body, session);
    if (item) both.same('the item', item, viewItem(body));
    if (items) both.same('the items', items, body.data.map(viewItem));
    if (!told) return;
    const known = told();
    if (known.object !== 'response') both.same('the answer', known, withoutDrawn(body));
    else compareResponse(both, known, body, made && 'text' in made ? made.text : undefined);
  }

  private compareFired({ fired: known = [] }: Expected, fired: Json[]): void {
    const { both } = this;
    const told = known.map(({ run, at, ...rest }) => {
      return { ...rest, at: iso(at), late: false, run: run !== null };
    });
    both.same(
      'what fired',
      told,
      fired.map((one) => ({ ...one, run: one.run !== null })),
    );
    both.count('firings', known.length);
    for (const [index, { run }] of known.entries())
      if (run !== null) both.ids.are(run, { id: fired[index]?.run });
  }

  /** After a step that moves or brings back the world all of it; after another the lists, and what the step was about. */
  private async compareWorld(step: Step): Promise<void> {
    const { both } = this;
    const { state } = both.model;
    if (['get', 'page', 'list', 'snapshot'].includes(step.do)) return;
    const whole = ['advance', 'set', 'reset', 'restart'].includes(step.do);
    if (whole || isThreadStep(step)) await compareThreads(both, whole);
    if (isThreadStep(step) || this.isOfThreads) return;
    if (whole || isAgentStep(step)) await this.compareAgents(step, whole);
    if (isAgentStep(step)) return;
    const about = 'name' in step ? step.name : undefined;
    if (about !== undefined) this.names.add(about);
    const listed = await both.read(`${API}/routines?order=asc`);
    const routines = both.model.routines().map((one) => inSeconds(viewRoutine(one)));
    both.same('the list of routines', routines, listed.body.data);
    both.same('now', iso(state.now), listed.now);
    if (state.now < this.now) both.differ('now, which went back', iso(this.now), iso(state.now));
    this.now = state.now;
    for (const name of this.names) if (whole || name === about) await compareRuns(both, name);
    if (!whole) return;
    this.attempts = await compareAttempts(both, this.attempts, this.attemptsMax);
    if (state.faults.length === 0) return;
    const { faults } = (await both.read(`${CONTROL}/faults`)).body;
    const struck = state.faults.map(({ fired }) => fired);
    both.same(
      'how often each fault struck',
      struck,
      faults.map(({ fired }: Json) => fired),
    );
  }

  private async compareAgents(step: Step, whole: boolean): Promise<void> {
    const { both } = this;
    const { state } = both.model;
    await compareAgents(both);
    const about = isAgentStep(step) && 'name' in step ? step.name : undefined;
    for (const { name } of state.agents)
      if (whole || name === about) await compareAgent(both, name);
    if (whole) await compareResponses(both);
    const spoken = state.conversations.filter(
      ({ id, items }) =>
        whole || id === conversationIn(step) || items.some((item) => item.id === undefined),
    );
    for (const one of spoken) await compareConversation(both, one);
  }

  /** However it is modelled: a journal gives itself again. */
  private async replay(): Promise<void> {
    const { both } = this;
    const lines = await both.asked.canonicalJournal();
    const again = await replayJournal(lines);
    const other = lines.findIndex((line, index) => line !== again[index]);
    if (other >= 0)
      both.differ(`line ${other + 1} of the journal, replayed`, lines[other], again[other]);
    both.count('journals replayed');
  }
}

function pagesIn({ pages, threads }: Expected): (number | string | undefined)[][] {
  return threads?.pages ?? pages ?? [];
}

/** Which conversation a step is about. */
function conversationIn(step: Step): string | undefined {
  if ('conversation' in step) return step.conversation;
  if (step.do !== 'respond') return undefined;
  const { conversation } = step.body;
  return String(typeof conversation === 'object' ? (conversation as Json).id : conversation);
}
