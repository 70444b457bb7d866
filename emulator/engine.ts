/**
 * Time. The engine alone steps a world: it sets the clock to the next due instant, runs what is due there, and waits until
 * the calls it opened have returned. It knows no table: what is due is a row with a kind, and each kind has a handler.
 */
import { type HostClock, type Instant, isoInstant } from './clock.ts';
import {
  addStuck,
  type DueRow,
  dueAfter,
  hasConsequence,
  nextConsequence,
  nextDue,
  nextTrigger,
  PARKED,
  takeDue,
} from './store/due.ts';
import { StoreError } from './store/store.ts';
import { Waits } from './waits.ts';
import type { Firing, World } from './world.ts';

/** Runs one due row inside a turn. What must reach the outside is returned and called after the turn is committed. */
export type DueHandler = (world: World, item: DueRow) => Call | undefined;

/** Something outside a turn, and what its result means. */
export interface Call {
  /** Settles in this order when several return at one instant: the attempt's number in the store. */
  order: number;
  /** The run that it belongs to, so that a reader can wait for it. */
  subject: string;
  /** No wait may move the clock past this instant while the call is open. */
  deadline: Instant;
  /** Answers at once when it can. A promise holds a clock that stands still at its instant. It never rejects. */
  start(): unknown;
  /** Records the result, inside a turn. `real` says that it came from outside and must be journaled as an input. */
  settle(result: unknown, real: boolean): void;
}

/** A call and the due row that opened it. */
interface Opened {
  item: DueRow;
  call: Call;
}

interface Returned extends Opened {
  epoch: number;
  result: unknown;
}

/** Why an advance ended. */
export type Stop =
  | { reason: 'end' }
  | { reason: 'cancelled' | 'stop' | 'wall' | 'fired_max' }
  | { reason: 'held'; gate: string }
  | { reason: 'stuck'; detail: string };

export interface RunOptions {
  /** Inclusive. `idle`: until nothing follows from the past; `paced`: where the host's pace has brought the world. */
  limit: Instant | 'idle' | 'paced';
  /** The waiter may itself be inside an open call, so that waiting for that call could never end. */
  insideCall?: boolean;
  signal?: AbortSignal | undefined;
  /** Called after each settled instant, with the firings of that instant. */
  onInstant?: (at: Instant, fired: Firing[], turns: number) => void;
  firedMax?: number;
  wallMaxMs?: number;
}

/** Whose work a reader waits for: its consequences, and its triggers when they may change what is read. */
export interface Followed {
  name: string;
  triggers: boolean;
}

/** Rows of one instant and class that share a turn. Fixed, so that the order never depends on how fast the machine is. */
const BATCH = 100;
/** How long a reader waits for open calls before it takes itself to be inside one of them. */
const CALL_GRACE_MS = 250;
/** How often it is tried whether a disk can be written again. */
const DISK_RETRY_MS = 1_000;
/** How long the engine works before it lets requests in. */
const SLICE_MS = 10;

export interface EngineOptions {
  host: HostClock;
  /** Gives other work its turn. */
  breathe(): Promise<void>;
  /** Prints what a blocked call waits for. */
  notice(message: string): void;
}

export class Engine {
  readonly world: World;
  readonly #handlers: Record<string, DueHandler>;
  readonly #options: EngineOptions;
  readonly #open = new Map<Call, Promise<void>>();
  #returned: Returned[] = [];
  #driving = false;
  #wakeWanted = false;
  #cancelTimer: (() => void) | undefined;
  #stopRequested = false;
  readonly #parked = new Set<() => void>();
  #heldGate: string | undefined;
  #heldByGates = new Map<number, string>();
  #turnsAtInstant = { at: -1, turns: 0 };
  #closed = false;
  #toldOfDisk = false;
  /** True while a control call advances the clock. */
  advancing = false;
  /** Clients that are blocked until the clock moves or a gate opens. */
  readonly waits: Waits;

  constructor(world: World, handlers: Record<string, DueHandler>, options: EngineOptions) {
    this.world = world;
    this.#handlers = handlers;
    this.#options = options;
    this.waits = new Waits(this, options);
  }

  /** Runs everything due up to the limit, instant by instant, and moves the clock there. Never undoes what is done. */
  async #run(options: RunOptions): Promise<Stop> {
    const { world } = this;
    const { host } = this.#options;
    const { epoch } = world;
    const startedAt = host.now();
    let sliceAt = startedAt;
    let firedCount = 0;
    this.#stopRequested = false;
    this.#heldGate = undefined;
    for (;;) {
      if (this.#closed || world.epoch !== epoch) return { reason: 'cancelled' };
      world.payOwed();
      this.#settleReturned();
      const next = nextDue(world.store);
      const more =
        next !== undefined && next.due_at <= this.#limit(options) && next.due_at < PARKED;
      // At the host's pace a real call takes real time, and the rest of the world goes on beside it.
      const pinned = this.#open.size > 0 && !options.insideCall && options.limit !== 'paced';
      if (pinned && (!more || next.due_at > world.now)) {
        await this.#park(options.signal);
        if (options.signal?.aborted) return { reason: 'cancelled' };
        continue;
      }
      const at = world.now;
      const instantEnds = !more || next.due_at > at;
      if (instantEnds) {
        const fired = world.fired;
        world.fired = [];
        firedCount += fired.length;
        if (this.#turnsAtInstant.turns > 0)
          options.onInstant?.(at, fired, this.#turnsAtInstant.turns);
        this.#turnsAtInstant = { at, turns: 0 };
        if (options.signal?.aborted) return { reason: 'cancelled' };
        if (this.#stopRequested) return { reason: 'stop' };
        if (this.#heldGate !== undefined && more) return { reason: 'held', gate: this.#heldGate };
        if (options.firedMax !== undefined && firedCount >= options.firedMax && more)
          return { reason: 'fired_max' };
        if (options.wallMaxMs !== undefined && host.now() - startedAt > options.wallMaxMs && more)
          return { reason: 'wall' };
      }
      if (!more) return { reason: 'end' };
      const stuck = this.#runBatch(next);
      if (stuck) return stuck;
      if (host.now() - sliceAt >= SLICE_MS) {
        await this.#options.breathe();
        sliceAt = host.now();
      }
    }
  }

  #limit(options: RunOptions): Instant {
    if (options.limit === 'idle') return nextConsequence(this.world.store)?.due_at ?? -1;
    if (options.limit === 'paced') return this.world.paced;
    // While calls were out the host's pace may have passed the limit; what has become due at the instant that stands belongs to it.
    return this.world.rate === 1 ? Math.max(options.limit, this.world.position) : options.limit;
  }

  /** One turn of the first instant and class that is due, and the calls that it opened. */
  #runBatch(next: DueRow, cut = false): Stop | undefined {
    const { world } = this;
    const turnsMax = world.profile.settings.instant_turns_max;
    world.moveTo(next.due_at);
    const at = world.position;
    if (this.#turnsAtInstant.at !== at) this.#turnsAtInstant = { at, turns: 0 };
    this.#turnsAtInstant.turns += 1;
    if (this.#turnsAtInstant.turns > turnsMax) {
      return {
        reason: 'stuck',
        detail: `more than ${turnsMax} turns at one instant (setting instant_turns_max)`,
      };
    }
    let opened: Opened[];
    try {
      // A process may have ended between two rows that became due at one instant, one after the other.
      opened = world.turn(() => this.#runItems(next, false, cut ? 1 : BATCH), at);
    } catch (error) {
      if (error instanceof StoreError) {
        this.#turnsAtInstant.turns -= 1;
        throw error;
      }
      // One of them is poison. Again, each in a savepoint of its own: that one is set aside, the rest go on.
      opened = world.turn(() => this.#runItems(next, true, cut ? 1 : BATCH), at);
    }
    if (!cut) this.#startCalls(opened);
    return undefined;
  }

  #runItems(first: DueRow, guarded: boolean, most: number): Opened[] {
    const { world } = this;
    const opened: Opened[] = [];
    let next: DueRow | undefined = first;
    for (let taken = 0; next && taken < most; taken += 1) {
      const item: DueRow = next;
      takeDue(world.store, item);
      const run = () => {
        const handler = this.#handlers[item.kind];
        if (!handler) throw new Error(`nothing handles '${item.kind}'`);
        const call = handler(world, item);
        if (call) opened.push({ item, call });
      };
      if (guarded) this.#setAside(item, world.attempt(run));
      else run();
      next = dueAfter(world.store, item);
    }
    return opened;
  }

  #setAside(item: DueRow, error: unknown): void {
    if (error === undefined) return;
    const { world } = this;
    const message = error instanceof Error ? error.message : String(error);
    addStuck(world.store, item, message);
    world.record({
      kind: 'stuck',
      data: { item: item.kind, ref: item.ref, due_at: isoInstant(item.due_at), error: message },
    });
    this.#options.notice(
      `foundrite: ${item.kind} ${item.ref} is stuck: ${error instanceof Error ? error.stack : message}`,
    );
  }

  #startCalls(opened: Opened[], atOnce: Returned[] = []): void {
    const { world } = this;
    for (const [index, { item, call }] of opened.entries()) {
      const { epoch } = world;
      let result: unknown;
      try {
        result = call.start();
      } catch (error) {
        if (error instanceof StoreError) {
          world.owed = () => this.#startCalls(opened.slice(index), atOnce);
          throw error;
        }
        world.turn(() => this.#setAside(item, error), world.position);
        continue;
      }
      if (!(result instanceof Promise)) {
        atOnce.push({ item, call, epoch, result });
        continue;
      }
      const done = result.then((value: unknown) => {
        this.#open.delete(call);
        this.#returned.push({ item, call, epoch, result: value });
        if (world.rate === 1) this.wake();
      });
      this.#open.set(call, done);
    }
    // What answered at once ends at its instant, not at a measured time.
    if (atOnce.length === 0) return;
    try {
      this.#settle(atOnce, false, world.position);
    } catch (error) {
      if (error instanceof StoreError)
        world.owed = () => this.#settle(atOnce, false, world.position);
      throw error;
    }
  }

  /** Outcomes of one instant settle together, by attempt; those of an earlier epoch are dropped. */
  #settleReturned(): void {
    const { world } = this;
    const waiting = world.rate === 0 && this.#open.size > 0;
    if (this.#returned.length === 0 || waiting) return;
    const returned = this.#returned.filter((entry) => entry.epoch === world.epoch);
    this.#returned = [];
    returned.sort((a, b) => a.call.order - b.call.order);
    if (returned.length === 0) return;
    try {
      this.#settle(returned, true, world.now);
    } catch (error) {
      // What an agent has answered is kept until it can be written.
      if (error instanceof StoreError) this.#returned.unshift(...returned);
      throw error;
    }
  }

  #settle(returned: Returned[], real: boolean, at: Instant): void {
    const { world } = this;
    try {
      world.turn(() => {
        for (const { call, result } of returned) call.settle(result, real);
      }, at);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      world.turn(() => {
        for (const { item, call, result } of returned) {
          this.#setAside(
            item,
            world.attempt(() => call.settle(result, real)),
          );
        }
      }, at);
    }
  }

  /**
   * One turn of what is due next, whenever that is: for replay, which knows the order from the journal. `cut` leaves its
   * calls open, as a process does that ends there.
   */
  step(cut = false): boolean {
    this.#settleReturned();
    const next = nextDue(this.world.store);
    if (!next || next.due_at >= PARKED) return false;
    return this.#runBatch(next, cut) === undefined;
  }

  /** Settles what has returned. */
  settle(): void {
    this.#settleReturned();
  }

  async #park(signal?: AbortSignal): Promise<void> {
    const waits = this.#open.values();
    let cancel: (() => void) | undefined;
    const hungUp = new Promise<void>((resolve) => {
      if (!signal) return;
      const done = () => resolve();
      signal.addEventListener('abort', done, { once: true });
      cancel = () => signal.removeEventListener('abort', done);
    });
    let unpark = () => {};
    const forgotten = new Promise<void>((resolve) => {
      unpark = resolve;
    });
    this.#parked.add(unpark);
    this.#driving = false;
    try {
      await Promise.race([...waits, hungUp, forgotten]);
    } finally {
      this.#parked.delete(unpark);
      this.#driving = true;
      cancel?.();
    }
  }

  /** Drives the world unless something else does; answers undefined then. */
  async drive(options: RunOptions): Promise<Stop | undefined> {
    if (this.#driving || this.#closed) return undefined;
    this.#driving = true;
    try {
      return await this.#run(options);
    } finally {
      this.#driving = false;
      if (this.#wakeWanted) this.wake();
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  get busy(): boolean {
    return this.#driving || this.advancing;
  }

  /** Asks a running advance to end at its next instant. */
  stop(): void {
    this.#stopRequested = true;
  }

  /** A call is held by a gate, or no longer: it counts as settled, and an advance that met it stops and says so. */
  held(order: number, gate: string): void {
    this.#heldByGates.set(order, gate);
    this.#heldGate = gate;
  }

  released(order: number): void {
    this.#heldByGates.delete(order);
  }

  /** What pins the clock to its instant, or is held by a gate. */
  get holds(): { kind: 'call' | 'gate'; what: string }[] {
    const calls = [...this.#open.keys()].map((call) => ({
      kind: 'call' as const,
      what: call.subject,
    }));
    const gates = new Set([...this.#heldByGates.values(), ...this.waits.gates]);
    return [...calls, ...[...gates].map((what) => ({ kind: 'gate' as const, what }))];
  }

  /** Runs to a limit for a control call: the only driver meanwhile. */
  async advance(options: RunOptions): Promise<Stop> {
    this.advancing = true;
    try {
      for (;;) {
        const stop = await this.drive(options);
        if (stop || this.#closed) return stop ?? { reason: 'cancelled' };
        await this.#options.breathe();
      }
    } finally {
      this.advancing = false;
      this.wake();
    }
  }

  /** At rate 1: runs what is due by now, or sets a timer for when it will be. Safe to call at any time. */
  wake(): void {
    const { world } = this;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#closed) return;
    if (world.unwritable !== undefined) {
      this.#waitForDisk(world.unwritable);
      return;
    }
    this.#toldOfDisk = false;
    if (world.rate === 0 || this.advancing) return;
    this.#wakeWanted = this.#driving;
    if (this.#driving) return;
    const next = nextDue(world.store);
    const idle = next === undefined || next.due_at >= PARKED;
    if (idle && this.#returned.length === 0) return;
    const wait = this.#returned.length > 0 || next === undefined ? 0 : next.due_at - world.paced;
    const due = async () => {
      try {
        this.onLate?.(world.paced);
        await this.drive({ limit: 'paced' });
      } catch (error) {
        // Nothing is lost: it stays due, and the turn that failed has set a timer.
        if (!(error instanceof StoreError)) throw error;
      }
      this.wake();
    };
    this.#cancelTimer = this.#options.host.after(wait, () => (wait > 0 ? this.wake() : void due()));
  }

  /** What is due stays due until an empty turn can be written; that one wakes the engine. */
  #waitForDisk(why: string): void {
    if (!this.#toldOfDisk) {
      this.#options.notice(
        `foundrite: project '${this.world.project}' stands still. ${why} It goes on when it can be written.`,
      );
    }
    this.#toldOfDisk = true;
    this.#cancelTimer = this.#options.host.after(DISK_RETRY_MS, () => {
      try {
        this.world.turn(() => undefined);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
      }
    });
  }

  /** Waits for open calls to return, for a moment of real time: only a reader inside one of them must move on without it. */
  async #calls(graceMs: number): Promise<void> {
    let cancel = () => {};
    const over = new Promise<void>((resolve) => {
      cancel = this.#options.host.after(graceMs, resolve, true);
    });
    await Promise.race([Promise.all(this.#open.values()), over]);
    cancel();
  }

  /** Called before a paced world runs what is overdue: work that must not be made up for is moved on. */
  onLate: ((now: Instant) => void) | undefined;

  /**
   * Time moves because someone waits for a subject, or for anything: runs to its next consequence or trigger, not past `notAfter`.
   * False when there is nothing to wait for.
   */
  async follow(subject: Followed | undefined, notAfter: Instant): Promise<boolean> {
    const { world } = this;
    if (this.busy) return false;
    if (this.#open.size > 0) await this.#calls(CALL_GRACE_MS);
    if (this.busy || this.#closed) return false;
    const bound = Math.min(notAfter, ...[...this.#open.keys()].map((call) => call.deadline));
    const pending = hasConsequence(world.store, subject?.name);
    const trigger =
      subject?.triggers === false ? undefined : nextTrigger(world.store, subject?.name);
    const consequence = pending ? nextConsequence(world.store) : undefined;
    const next = Math.min(trigger?.due_at ?? PARKED, consequence?.due_at ?? PARKED);
    const insideCall = this.#open.size > 0;
    if (next <= bound) {
      const stop = await this.drive({ limit: next, insideCall });
      return stop?.reason === 'end';
    }
    if (consequence && bound > world.now) {
      // Its turn comes later than one wait may go: the clock goes as far, and the next wait goes on.
      await this.drive({ limit: bound, insideCall });
      world.turn(() => world.moveTo(bound), world.position);
      return false;
    }
    const open = [...this.#open]
      .filter(([call]) => subject === undefined || call.subject === subject.name)
      .map(([, done]) => done);
    if (open.length === 0) return false;
    await Promise.race(open);
    await this.drive({ limit: world.now });
    return true;
  }

  /** Drops what is under way: after a reset, a restore, or at the end. */
  forget(): void {
    for (const unpark of this.#parked) unpark();
    this.#returned = [];
    this.world.owed = undefined;
    this.#open.clear();
    this.#heldByGates.clear();
    this.#heldGate = undefined;
    this.waits.openAll();
  }

  /** Called when the engine closes: calls that are out end with it. */
  onEnd: (() => void) | undefined;

  /** Called once when the engine closes. */
  onClose: (() => void) | undefined;

  close(): void {
    this.#closed = true;
    this.onClose?.();
    this.#cancelTimer?.();
    this.forget();
    this.onEnd?.();
  }
}
