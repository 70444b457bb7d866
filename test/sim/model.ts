/**
 * What routines and their deliveries do, told a second time: from the documentation (`HOW-TO` of the ledger), the ledger's
 * statements, openapi.yaml and the README alone. Neither this file nor the ones it stands on import anything of ours, and
 * whoever wrote it had not read the emulator; so that where both agree, two readings of the contract do.
 *
 * Modelled: routines (put, replaced, paused, deleted, made again), their triggers (schedules by a naive cron, timers,
 * events by hand), dispatches, runs and their lists and pages, attempts and their policy, faults, settings and switches, the
 * clock at rate 0 without skip, reset, snapshots, restarts; agents and their versions (drafts, routing, provisioning, what
 * is deleted), sessions by time and by hand, calls by client and by delivery, stored responses, conversations and items;
 * and assistants, threads and runs, which are told in ../thread-model.
 * Which version a new session draws is read from the answer: it only has to have a share, and to stay.
 * Not modelled: skip and rate 1 (and with it lateness), gates, slow and rewritten bodies, replies other than echo, drawn
 * chances, calls of a real agent (and so attempts that a restart interrupts), streams, background and cancelled work,
 * files and logs of sessions, code, clients that wait for a cold start, deletions that take time, filters, profiles,
 * headers and envelopes of other generations, the texts of messages, ids.
 */
import { takeThreadStep } from '../thread-model/model.ts';
import { nextDue, runNextDue } from '../thread-model/runs.ts';
import { isThreadStep } from '../thread-model/step.ts';
import { freshThreads } from '../thread-model/world.ts';
import { takeAgentStep } from './agent-steps.ts';
import { declare, provisioned } from './agents.ts';
import type { Json } from './definition.ts';
import { attempt, isSpent, letGo, msOf, readFault, say, settle } from './deliveries.ts';
import { pageAgents, pageRoutines } from './lists.ts';
import { takeRoutineStep } from './routine-steps.ts';
import { come } from './routines.ts';
import { Undecided } from './sessions.ts';
import {
  DEFAULT_SETTINGS,
  DEFAULT_SWITCHES,
  type Due,
  type Fired,
  type Routine,
  runOf,
  type Settings,
  type State,
  threadsOf,
} from './state.ts';
import type { Expected, Setup, Step } from './step.ts';

const OPERATIONS: Record<string, string> = {
  put: 'createOrUpdateRoutine',
  get: 'getRoutine',
  enable: 'enableRoutine',
  disable: 'disableRoutine',
  delete: 'deleteRoutine',
  dispatch: 'dispatchRoutineAsync',
  'make agent': 'createAgent',
  'make version': 'createAgentVersion',
  'patch agent': 'patchAgent',
  'delete version': 'deleteAgentVersion',
  'make session': 'createSession',
  'stop session': 'stopSession',
  'start run': 'createThreadRun',
  'start thread and run': 'createThreadAndRun',
  'get run': 'getThreadRun',
  'cancel run': 'cancelThreadRun',
  'submit outputs': 'submitToolOutputs',
  'add message': 'createMessage',
  invoke: 'createAgentInvocation',
};

function operationOf(step: Step): string | undefined {
  if (step.do !== 'respond') return OPERATIONS[step.do];
  return step.by === 'endpoint' ? 'createAgentResponse' : 'createResponse';
}

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
    const set = { ...DEFAULT_SETTINGS, ...inMs(settings) };
    const state: State = {
      now: Date.parse(now),
      seq: 0,
      keys,
      settings: set,
      switches: { ...DEFAULT_SWITCHES, ...switches },
      agents: [],
      drafts: [],
      sessions: [],
      conversations: [],
      responses: [],
      routines: [],
      runs: [],
      due: [],
      waiting: [],
      faults: [],
      attempts: [],
      threads: freshThreads(Date.parse(now), set),
    };
    for (const name of agents) declare(state, name);
    return state;
  }

  /** Takes one step, and says what must be answered. */
  apply(step: Step): Expected {
    const faults = structuredClone(this.state.faults);
    const { status, kind } = this.strike(operationOf(step));
    if (status !== undefined) return { status: Number(status), struck: true };
    if (kind === 'disconnect') return { unanswered: true };
    const expected = this.take(step);
    // Nobody takes it, so nothing strikes it.
    if (expected.skipped) this.state.faults = faults;
    return kind === 'lose_response' && !expected.skipped ? { unanswered: true } : expected;
  }

  /** The routines of the project by when they were made. */
  routines(): Routine[] {
    return this.state.routines.filter((routine) => !routine.deleted);
  }

  private take(step: Step): Expected {
    const { state } = this;
    if (isThreadStep(step)) {
      const threads = takeThreadStep(threadsOf(state), step);
      return { threads, status: threads.status, skipped: threads.skipped ?? false };
    }
    switch (step.do) {
      case 'put':
      case 'get':
      case 'enable':
      case 'disable':
      case 'delete':
      case 'dispatch':
      case 'fire':
        return takeRoutineStep(state, step);
      case 'advance':
        return this.advance(step);
      case 'set':
        return this.moveTo(state.now + msOf(step.by));
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
        return pageRoutines(state, step);
      case 'list':
        return pageAgents(state, step);
      default:
        return this.bounded(() => takeAgentStep(state, step));
    }
  }

  // Time

  private advance({ by, back }: Step & { do: 'advance' }): Expected {
    if (back !== undefined) return refused([400, 'clock/never-goes-back']);
    if (by !== undefined) return this.moveTo(this.state.now + msOf(by));
    return this.bounded(() => {
      const fired: Fired[] = [];
      // clock/idle-leaves-triggers: what lies on the way fires, what lies beyond does not; within an instant triggers
      // come after consequences (clock/order-within-an-instant), so those of the last one lie beyond.
      while (this.isBusy()) fired.push(...this.runNext());
      return { status: 200, fired };
    });
  }

  /** Whether a consequence is to come. */
  private isBusy(): boolean {
    const { due, threads } = this.state;
    return due.some(({ what }) => what !== 'trigger') || threads.due.some((one) => one.class === 0);
  }

  private moveTo(to: number): Expected {
    return this.bounded(() => {
      const fired = this.runTo(to);
      this.state.now = to;
      return { status: 200, fired };
    });
  }

  /** Takes a step, unless that is too much for a story, or hangs on a draw that nobody has told. */
  private bounded(take: () => Expected): Expected {
    const before = structuredClone(this.state);
    this.turns = 0;
    try {
      return take();
    } catch (error) {
      if (!(error instanceof TooMuch || error instanceof Undecided)) throw error;
      this.state = before;
      return { skipped: true };
    }
  }

  /** Runs everything that is due up to an instant, that instant included, each at its own. */
  private runTo(to: number): Fired[] {
    const fired: Fired[] = [];
    const isDue = ({ at }: { at: number }) => at <= to;
    const { state } = this;
    while (state.due.some(isDue) || state.threads.due.some(isDue)) fired.push(...this.runNext());
    return fired;
  }

  private runNext(): Fired[] {
    const { state } = this;
    const [due] = state.due.sort((a, b) => a.at - b.at || a.class - b.class || a.seq - b.seq);
    const ofRun = nextDue(state.threads);
    this.turns += 1;
    if (this.turns > TURNS_MAX) throw new TooMuch();
    if (ofRun && (!due || (ofRun.at - due.at || ofRun.class - due.class) < 0)) {
      state.now = Math.max(state.now, ofRun.at);
      runNextDue(threadsOf(state));
      return [];
    }
    if (!due) return [];
    state.due = state.due.filter((one) => one !== due);
    state.now = Math.max(state.now, due.at);
    if (due.what === 'trigger') return this.come(due);
    if (due.what === 'provisioned') provisioned(state, due.of);
    // That a session's sandbox is there is told by its instant alone.
    if (due.what === 'provisioned' || due.what === 'ready') return [];
    if (due.what === 'said') say(state, runOf(state, due.of));
    else if (due.outcome) settle(state, runOf(state, due.of), due.outcome);
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

function refused(...refusals: [number, string][]): Expected {
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
