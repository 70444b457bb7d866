/**
 * What routines and their deliveries do, told a second time: from the documentation (`HOW-TO` of the ledger), the ledger's
 * statements, openapi.yaml and the README alone. Neither this file nor the ones it stands on import anything of ours, and
 * whoever wrote it had not read the emulator; so that where both agree, two readings of the contract do.
 *
 * Modelled: routines (put, replaced, paused, deleted, made again), their triggers (schedules by a naive cron, timers,
 * events by hand), dispatches, runs and their lists and pages, attempts and their policy, agents that are missing or
 * disabled, faults, settings and switches, the clock at rate 0 without skip, reset, snapshots, restarts.
 * Not modelled: skip and rate 1 (and with it lateness), gates, slow and rewritten bodies, replies other than echo, drawn
 * chances, calls of a real agent (and so attempts that a restart interrupts), filters, profiles, headers and envelopes of other generations, the texts of messages, ids.
 */
import { viewRoutine } from './answers.ts';
import type { Json } from './definition.ts';
import { attempt, isSpent, letGo, msOf, readFault, settle } from './deliveries.ts';
import {
  come,
  disable,
  enable,
  fire,
  isEvent,
  put,
  remove,
  routineOf,
  runsOf,
  start,
} from './routines.ts';
import {
  DEFAULT_SETTINGS,
  DEFAULT_SWITCHES,
  type Due,
  type Fired,
  type Routine,
  runOf,
  type Settings,
  type State,
} from './state.ts';
import type { Expected, Refusal, Setup, Step } from './step.ts';

const OPERATIONS: Record<string, string> = {
  put: 'createOrUpdateRoutine',
  get: 'getRoutine',
  enable: 'enableRoutine',
  disable: 'disableRoutine',
  delete: 'deleteRoutine',
  dispatch: 'dispatchRoutineAsync',
};

/** More turns than this in one step are nobody's story. */
const TURNS_MAX = 400;

export class Model {
  state: State;
  private readonly setup: Setup;
  private readonly snapshots = new Map<string, State>();
  private turns = 0;

  constructor(setup: Setup) {
    this.setup = setup;
    this.state = this.fresh(0);
  }

  /** The world as it was made. */
  private fresh(keys: number): State {
    const { now, agents, settings, switches } = this.setup;
    return {
      now: Date.parse(now),
      seq: 0,
      keys,
      settings: { ...DEFAULT_SETTINGS, ...inMs(settings) },
      switches: { ...DEFAULT_SWITCHES, ...switches },
      agents: Object.fromEntries(agents.map((name) => [name, { enabled: true }])),
      routines: [],
      runs: [],
      due: [],
      waiting: [],
      faults: [],
      attempts: [],
    };
  }

  /** Takes one step, and says what must be answered. */
  apply(step: Step): Expected {
    const { status, kind } = this.strike(OPERATIONS[step.do]);
    if (status !== undefined) return { status: Number(status), struck: true };
    if (kind === 'disconnect') return { unanswered: true };
    const expected = this.take(step);
    return kind === 'lose_response' ? { unanswered: true } : expected;
  }

  /** The routines of the project by when they were made. */
  routines(): Routine[] {
    return this.state.routines.filter((routine) => !routine.deleted);
  }

  private take(step: Step): Expected {
    const { state } = this;
    switch (step.do) {
      case 'put':
        return this.put(step.name, step.body);
      case 'get':
        return this.onRoutine(step.name, () => {});
      case 'enable':
        return this.onRoutine(step.name, (routine) => enable(state, routine));
      case 'disable':
        return this.onRoutine(step.name, (routine) => disable(state, routine));
      case 'delete':
        return this.delete(step.name);
      case 'dispatch':
        return this.dispatch(step.name, step.body ?? {});
      case 'fire':
        return this.fire(step.name, step.body ?? {});
      case 'advance':
        return this.advance(step);
      case 'set':
        return this.moveTo(state.now + msOf(step.by));
      case 'agent':
        return this.agent(step.name, step.verb);
      case 'faults':
        state.faults = step.faults.map((entry) => ({ entry, fired: 0 }));
        return { status: 200 };
      case 'settings':
        Object.assign(state.settings, inMs(step.settings));
        Object.assign(state.switches, step.switches);
        letGo(state);
        return { status: 200 };
      case 'snapshot':
        this.snapshots.set(step.name, structuredClone(state));
        return { status: 200 };
      case 'reset':
        return this.reset(step.snapshot);
      case 'restart':
        // design 6: a call that waits for its instant counts as settled, so it is not interrupted but goes on.
        return { status: 200 };
      case 'page':
        return this.page(step);
    }
  }

  // Routines

  private put(name: string, body: Json): Expected {
    const made = routineOf(this.state, name) === undefined;
    const routine = put(this.state, name, body);
    if (Array.isArray(routine)) return refused(...routine.map((rule): Refusal => [400, rule]));
    const status = made ? Number(this.state.switches.put_create_status) : 200;
    return { status, routine: viewRoutine(routine) };
  }

  private onRoutine(name: string, change: (routine: Routine) => void): Expected {
    const routine = routineOf(this.state, name);
    if (!routine) return refused(UNKNOWN_ROUTINE);
    change(routine);
    return { status: 200, routine: viewRoutine(routine) };
  }

  private delete(name: string): Expected {
    const routine = routineOf(this.state, name);
    if (routine) remove(this.state, routine);
    else if (this.state.switches.delete_missing === '404')
      return refused([404, 'routine/delete-missing']);
    return { status: 204 };
  }

  private dispatch(name: string, { payload }: Json): Expected {
    const { state } = this;
    const { switches } = state;
    const routine = routineOf(state, name);
    if (!routine) return refused(UNKNOWN_ROUTINE);
    const refusals: Refusal[] = [];
    const { type, ...given } = (payload ?? { type: routine.action.type }) as Json;
    if (type !== routine.action.type) refusals.push([400, 'dispatch/payload-type-matches']);
    if (!routine.enabled && switches.dispatch_when_disabled === 'refuse')
      refusals.push([409, 'dispatch/when-disabled']);
    if (refusals.length > 0) return refused(...refusals);
    const run = start(state, routine, {
      source: switches.dispatch_source ?? '',
      ownInput: 'input' in given,
      input: 'input' in given ? given.input : routine.action.shown.input,
    });
    return { status: 200, run: run.key };
  }

  /** control/fire: as if the trigger's instant or its event had come. */
  private fire(name: string, { payload }: Json): Expected {
    const { state } = this;
    const routine = routineOf(state, name);
    if (!routine) return refused(UNKNOWN_ROUTINE);
    const refusals: Refusal[] = [];
    if (!routine.enabled) refusals.push([409, 'routine/disabled-does-not-fire']);
    if (payload !== undefined && !isEvent(routine))
      refusals.push([400, 'control/fire-payload-for-events']);
    if (refusals.length > 0) return refused(...refusals);
    return { status: 200, fired: [fire(state, routine, state.now, (payload ?? {}) as Json, true)] };
  }

  private page({ of, limit = 100, order, after }: Step & { do: 'page' }): Expected {
    const { state } = this;
    const { default_order, limit_out_of_range } = state.switches;
    const listed = of === undefined ? this.routines().map(({ name }) => name) : runsOf(state, of);
    const refusals: Refusal[] = [];
    if (listed === undefined) refusals.push(UNKNOWN_ROUTINE);
    if (after !== undefined) refusals.push([400, 'list/after-known']);
    if (limit_out_of_range === 'refuse' && (limit < 1 || limit > 100))
      refusals.push([400, 'list/limit-1-to-100']);
    if (listed === undefined || refusals.length > 0) return refused(...refusals);
    const keys = listed.map((one) => (typeof one === 'string' ? one : one.key));
    if ((order ?? default_order) === 'desc') keys.reverse();
    const size = Math.min(Math.max(limit, 1), 100);
    const pages = [keys.slice(0, size)];
    for (let from = size; from < keys.length; from += size)
      pages.push(keys.slice(from, from + size));
    return { status: 200, pages };
  }

  // Time

  private advance({ by, back }: Step & { do: 'advance' }): Expected {
    if (back !== undefined) return refused([400, 'clock/never-goes-back']);
    if (by !== undefined) return this.moveTo(this.state.now + msOf(by));
    return this.bounded(() => {
      const fired: Fired[] = [];
      // clock/idle-leaves-triggers: what lies on the way fires, what lies beyond does not; within an instant triggers
      // come after consequences (clock/order-within-an-instant), so those of the last one lie beyond.
      while (this.state.due.some(({ what }) => what !== 'trigger')) fired.push(...this.runNext());
      return fired;
    });
  }

  private moveTo(to: number): Expected {
    return this.bounded(() => {
      const fired = this.runTo(to);
      this.state.now = to;
      return fired;
    });
  }

  /** Moves time, unless that is too much for a story. */
  private bounded(move: () => Fired[]): Expected {
    const before = structuredClone(this.state);
    this.turns = 0;
    try {
      return { status: 200, fired: move() };
    } catch (error) {
      if (!(error instanceof TooMuch)) throw error;
      this.state = before;
      return { skipped: true };
    }
  }

  /** Runs everything that is due up to an instant, that instant included, each at its own. */
  private runTo(to: number): Fired[] {
    const fired: Fired[] = [];
    while (this.state.due.some(({ at }) => at <= to)) fired.push(...this.runNext());
    return fired;
  }

  private runNext(): Fired[] {
    const { state } = this;
    const [due] = state.due.sort((a, b) => a.at - b.at || a.class - b.class || a.seq - b.seq);
    if (!due) return [];
    this.turns += 1;
    if (this.turns > TURNS_MAX) throw new TooMuch();
    state.due = state.due.filter((one) => one !== due);
    state.now = Math.max(state.now, due.at);
    if (due.what === 'trigger') return this.come(due);
    if (due.outcome) settle(state, runOf(state, due.of), due.outcome);
    else attempt(state, runOf(state, due.of));
    return [];
  }

  private come(due: Due): Fired[] {
    const routine = this.state.routines.find(({ key }) => key === due.of);
    if (!routine) throw new Error(`The model has no routine ${due.of}`);
    const fired = come(this.state, routine, due.at);
    // What overlap let make no run is counted as missed, and is no firing.
    return fired.run === null ? [] : [fired];
  }

  // The world

  private agent(name: string, verb: string): Expected {
    const { agents } = this.state;
    const agent = agents[name];
    if (verb === 'create') {
      agents[name] ??= { enabled: true };
      return { status: 200 };
    }
    if (!agent) return refused([404, 'agent/unknown-answers-404']);
    if (verb === 'delete') {
      delete agents[name];
      return { status: 200 };
    }
    agent.enabled = verb === 'enable';
    return { status: 204 };
  }

  private reset(snapshot: string | undefined): Expected {
    const { keys } = this.state;
    const kept = snapshot === undefined ? this.fresh(0) : this.snapshots.get(snapshot);
    if (!kept) return refused([404, 'snapshot/known']);
    this.state = { ...structuredClone(kept), keys };
    return { status: 200 };
  }

  /** What the plan has for an answer of the emulator's own. */
  private strike(operation: string | undefined): Json {
    for (const armed of this.state.faults) {
      if (operation === undefined || armed.entry.operation !== operation) continue;
      if (isSpent(armed)) continue;
      armed.fired += 1;
      return readFault(armed.entry.fault);
    }
    return {};
  }
}

class TooMuch extends Error {}

const UNKNOWN_ROUTINE: Refusal = [404, 'routine/unknown-answers-404'];

function refused(...refusals: Refusal[]): Expected {
  return { refusals };
}

function inMs(settings: Settings): Settings {
  const read = Object.entries(settings).map(([name, value]) =>
    typeof value === 'string' && typeof DEFAULT_SETTINGS[name] === 'number'
      ? [name, msOf(value)]
      : [name, value],
  );
  return Object.fromEntries(read);
}
