/** Which fault strikes: a plan is an ordered list in the store, and the first entry that matches wins. */
import { type Fault, readFault } from './faults.ts';
import type { Draw } from './ids.ts';
import { THREAD_RUN_TRANSITIONS, type ThreadRunStatus } from './lifecycle.ts';
import { lastErrorOf } from './run-replies.ts';
import { countFired, readPlan } from './store/faults.ts';
import type { Store } from './store/store.ts';

interface FaultEntry {
  /** Deliveries to this agent; `*` is every agent. */
  agent?: string;
  protocol?: string;
  /** The emulator's own answers to this operation. */
  operation?: string;
  /** By attempt number; past its end all is well. */
  attempts?: Fault[];
  fault?: Fault;
  /** How often it may fire; without it, always. */
  times?: number;
  /** Drawn by key; 0 never fires. */
  probability?: number;
  /** The change of state that it strikes: of what, from which state, and what it becomes instead. */
  at?: 'transition';
  of?: string;
  from?: string;
  to?: string;
  error?: { code: string; message?: string };
  fired: number;
}

/** Of each resource whose transitions a plan may strike, what it can become instead. */
interface Becomes {
  version: 'active' | 'failed';
  session: 'active' | 'failed';
  thread_run: ThreadRunStatus;
}

type Ends<Of extends keyof Becomes> = Readonly<Record<string, readonly Becomes[Of][]>>;

/** What a run becomes by being asked or given something: a fault has no calls to show, no outputs and no answer. */
const NEEDS_MORE: readonly ThreadRunStatus[] = ['requires_action', 'queued', 'in_progress'];

/** By resource and the state that it is about to leave, what a plan may turn that into. */
export const STRUCK: { readonly [Of in keyof Becomes]: Ends<Of> } = {
  version: { creating: ['active', 'failed'] },
  session: { creating: ['active', 'failed'], idle: ['active', 'failed'] },
  thread_run: Object.fromEntries(
    Object.entries(THREAD_RUN_TRANSITIONS)
      .map(([from, next]) => [from, next.filter((to) => !NEEDS_MORE.includes(to))] as const)
      .filter(([, next]) => next.length > 0),
  ),
};

/** What becomes of something instead of what it was about to become. */
export interface TransitionFault<To extends string = string> {
  to: To;
  /** Of one that fails. */
  error?: { code: string; message: string };
}

/** A change of state that is about to happen, and the key that draws for it: another one for each change. */
export interface Transition<Of extends keyof Becomes = keyof Becomes> {
  of: Of;
  from: string;
  /** Whose it is: an agent's name, or an assistant's id and, if it has one, its name. */
  agent: string;
  name?: string | null;
  key: string;
}

function readEntry(text: string, fired: number): FaultEntry {
  const { attempts, fault, ...entry } = JSON.parse(text) as Record<string, unknown>;
  return {
    ...entry,
    ...(attempts === undefined ? {} : { attempts: (attempts as unknown[]).map(readFault) }),
    ...(fault === undefined ? {} : { fault: readFault(fault) }),
    fired,
  } as FaultEntry;
}

/** The entries in force, with what the store says of each. Read once per plan: `forget` after it changed. */
export class FaultPlan {
  readonly #store: Store;
  #entries: FaultEntry[] | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  forget(): void {
    this.#entries = undefined;
  }

  #read(): FaultEntry[] {
    this.#entries ??= readPlan(this.#store).map((row) => readEntry(row.entry, row.fired));
    return this.#entries;
  }

  /** The fault of one attempt of a delivery, counted; undefined when all is well. Inside a turn. */
  ofAttempt(
    draw: Draw,
    agent: string,
    protocol: string,
    run: string,
    attempt: number,
  ): { fault: Fault; ordinal: number } | undefined {
    const named = (entry: FaultEntry) =>
      entry.at === undefined &&
      (entry.agent === agent || entry.agent === '*') &&
      (entry.protocol === undefined || entry.protocol === protocol);
    return this.#match(named, draw, run, attempt);
  }

  /** The fault of the emulator's own answer, counted; undefined when all is well. Inside a turn. */
  ofOperation(
    draw: Draw,
    operation: string,
    key: string,
  ): { fault: Fault; ordinal: number } | undefined {
    return this.#match((entry) => entry.operation === operation, draw, key, undefined);
  }

  /** What a change of state is turned into, counted; undefined when it goes its way. Inside a turn. */
  ofTransition<Of extends keyof Becomes>(
    draw: Draw,
    { of, from, agent, name, key }: Transition<Of>,
  ): (TransitionFault<Becomes[Of]> & { ordinal: number }) | undefined {
    const ends = STRUCK[of][from] ?? [];
    for (const [ordinal, entry] of this.#read().entries()) {
      if (entry.at !== 'transition' || entry.of !== of || isSpent(entry)) continue;
      if ((entry.from ?? from) !== from) continue;
      if (![undefined, '*', agent, name].includes(entry.agent)) continue;
      const to = ends.find((end) => end === entry.to);
      if (to === undefined) continue;
      if (draw.fraction(`fault ${ordinal}`, key, 1) >= (entry.probability ?? 1)) continue;
      this.#count(ordinal, entry);
      if (to !== 'failed') return { ordinal, to };
      return { ordinal, to, error: ERRORS[of](entry.error) };
    }
    return undefined;
  }

  #count(ordinal: number, entry: FaultEntry): void {
    countFired(this.#store, ordinal);
    entry.fired += 1;
  }

  /** Whether any entry may strike this operation: then even a read is a turn. */
  watches(operation: string): boolean {
    return this.#read().some((entry) => entry.operation === operation);
  }

  #match(
    named: (entry: FaultEntry) => boolean,
    draw: Draw,
    key: string,
    number: number | undefined,
  ): { fault: Fault; ordinal: number } | undefined {
    for (const [ordinal, entry] of this.#read().entries()) {
      if (!named(entry) || isSpent(entry)) continue;
      // An operation has no attempts of its own: its place in the list is how often the entry was met.
      const attempt = number ?? entry.fired + 1;
      const p = entry.probability ?? 1;
      if (draw.fraction(`fault ${ordinal}`, key, attempt) >= p) continue;
      const fault = entry.attempts ? entry.attempts[attempt - 1] : entry.fault;
      const spared = fault === undefined || (fault.kind === 'ok' && fault.delayMs === 0);
      if (!spared || number === undefined) this.#count(ordinal, entry);
      return spared ? undefined : { fault, ordinal };
    }
    return undefined;
  }
}

type Written = FaultEntry['error'];

/** What fails tells the plan's error; what the plan leaves open is the service's own. */
const ERRORS: Record<keyof Becomes, (written: Written) => { code: string; message: string }> = {
  version: provisioningError,
  session: provisioningError,
  thread_run: (written) => lastErrorOf(written ?? { code: 'server_error' }),
};

function provisioningError(written: Written): { code: string; message: string } {
  const { code, message } = written ?? { code: 'ProvisioningError' };
  return { code, message: message ?? `A fault of the plan made it fail: ${code}.` };
}

function isSpent({ times, fired }: FaultEntry): boolean {
  return times !== undefined && fired >= times;
}
