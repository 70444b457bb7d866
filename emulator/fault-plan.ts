/** Which fault strikes: a plan is an ordered list in the store, and the first entry that matches wins. */
import { type Fault, readFault } from './faults.ts';
import type { Draw } from './ids.ts';
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
  to?: TransitionFault['to'];
  error?: { code: string; message?: string };
  fired: number;
}

/** What becomes of a version instead of what it was about to become. */
export interface TransitionFault {
  to: 'active' | 'failed';
  /** Of one that fails. */
  error?: { code: string; message: string };
}

/** A change of state that is about to happen, and the key that draws for it. */
export interface Transition {
  of: string;
  from: string;
  agent: string;
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
  ofTransition(
    draw: Draw,
    { of, from, agent, key }: Transition,
  ): (TransitionFault & { ordinal: number }) | undefined {
    const isMeant = (entry: FaultEntry) =>
      entry.at === 'transition' &&
      entry.of === of &&
      (entry.from ?? from) === from &&
      [undefined, '*', agent].includes(entry.agent);
    for (const [ordinal, entry] of this.#read().entries()) {
      if (!isMeant(entry) || isSpent(entry)) continue;
      if (draw.fraction(`fault ${ordinal}`, key, 1) >= (entry.probability ?? 1)) continue;
      this.#count(ordinal, entry);
      const { to = 'failed', error } = entry;
      if (to === 'active') return { ordinal, to };
      const { code, message } = { code: 'ProvisioningError', ...error };
      const told = message ?? `A fault of the plan made it fail: ${code}.`;
      return { ordinal, to, error: { code, message: told } };
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

function isSpent({ times, fired }: FaultEntry): boolean {
  return times !== undefined && fired >= times;
}
