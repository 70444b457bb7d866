/**
 * Time. The engine alone steps a world: it sets the clock to the next due instant, runs what is due there, and waits until
 * the calls it opened have returned. It knows no table: what is due is a row with a kind, and each kind has a handler.
 * How the rows of an instant run is in batch.ts, what becomes of their calls in calls.ts, who waits for it all in waits.ts.
 */
import { BATCH, type DueHandler, type Handling, runBatch } from './batch.ts';
import { Calls, type Opened } from './calls.ts';
import type { HostClock, Instant } from './clock.ts';
import { type DueRow, nextConsequence, nextDue, PARKED } from './store/due.ts';
import { StoreError } from './store/store.ts';
import type { Firing } from './told.ts';
import { Waits } from './waits.ts';
import type { World } from './world.ts';

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

/** How often it is tried whether a disk can be written again. */
const DISK_RETRY_MS = 1_000;
/** After so long without a failure a full disk is news again. */
const DISK_SAY_AGAIN_MS = 60_000;
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
  readonly #options: EngineOptions;
  readonly #handling: Handling;
  #driving = false;
  #wakeWanted = false;
  #cancelTimer: (() => void) | undefined;
  #stopRequested = false;
  #heldGate: string | undefined;
  #heldByGates = new Map<number, string>();
  #turnsAtInstant = { at: -1, turns: 0 };
  #closed = false;
  /** Let go of who waits until nobody drives. */
  #freed: (() => void)[] = [];
  #diskFailedAt = Number.NEGATIVE_INFINITY;
  /** True while a control call advances the clock. */
  advancing = false;
  /** What this world has asked of the outside. */
  readonly calls: Calls;
  /** Clients that wait for news, for an instant or for a gate. */
  readonly waits: Waits;
  /** Called before a paced world runs what is overdue: work that must not be made up for is moved on. */
  onLate: ((now: Instant) => void) | undefined;
  /** Called when the engine closes: calls that are out end with it. */
  onEnd: (() => void) | undefined;
  /** Called once when the engine closes. */
  onClose: (() => void) | undefined;

  constructor(world: World, handlers: Record<string, DueHandler>, options: EngineOptions) {
    this.world = world;
    this.#handling = { handlers, notice: options.notice };
    this.#options = options;
    this.calls = new Calls(world, { notice: options.notice, onReturn: () => this.wake() });
    this.waits = new Waits(this, options);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get busy(): boolean {
    return this.#driving || this.advancing;
  }

  /** Done when who drives the world now has ended. */
  freed(): Promise<void> {
    return new Promise((resolve) => this.#freed.push(resolve));
  }

  #free(): void {
    if (!this.busy) for (const go of this.#freed.splice(0)) go();
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
      this.#free();
      this.wake();
    }
  }

  /** Asks a running advance to end at its next instant. */
  stop(): void {
    this.#stopRequested = true;
  }

  /** Drives the world unless something else does; answers undefined then. */
  async drive(options: RunOptions): Promise<Stop | undefined> {
    if (this.#driving || this.#closed) return undefined;
    this.#driving = true;
    try {
      return await this.#run(options);
    } finally {
      this.#driving = false;
      this.#free();
      if (this.#wakeWanted) this.wake();
    }
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
      if (this.waits.takeLetGo()) await this.#options.breathe();
      if (this.#closed || world.epoch !== epoch) return { reason: 'cancelled' };
      world.payOwed();
      this.calls.settle();
      const next = nextDue(world.store);
      const more =
        next !== undefined && next.due_at <= this.#limit(options) && next.due_at < PARKED;
      // At the host's pace a real call takes real time, and the rest of the world goes on beside it.
      const pinned = this.calls.open > 0 && !options.insideCall && options.limit !== 'paced';
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
      const stuck = this.#runNext(next);
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

  /** Waits until an open call returns. Meanwhile the engine is not driving: what is inside the call may move the clock. */
  async #park(signal?: AbortSignal): Promise<void> {
    const { returned, cancel } = this.calls.anyReturned(signal);
    this.#driving = false;
    this.#free();
    try {
      await returned;
    } finally {
      this.#driving = true;
      cancel();
    }
  }

  /** One turn of the first instant and class that is due, and the calls that it opened. */
  #runNext(next: DueRow, cut = false): Stop | undefined {
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
      opened = runBatch(world, this.#handling, next, cut ? 1 : BATCH);
    } catch (error) {
      // It stays due, and is not counted twice.
      if (error instanceof StoreError) this.#turnsAtInstant.turns -= 1;
      throw error;
    }
    if (!cut) this.calls.start(opened);
    return undefined;
  }

  /**
   * One turn of what is due next, whenever that is: for replay, which knows the order from the journal. `cut` leaves its
   * calls open, as a process does that ends there.
   */
  step(cut = false): boolean {
    this.calls.settle();
    const next = nextDue(this.world.store);
    if (!next || next.due_at >= PARKED) return false;
    return this.#runNext(next, cut) === undefined;
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
    if (world.rate === 0 || this.advancing) return;
    this.#wakeWanted = this.#driving;
    if (this.#driving) return;
    const next = nextDue(world.store);
    const idle = next === undefined || next.due_at >= PARKED;
    if (idle && this.calls.returned === 0) return;
    const wait = this.calls.returned > 0 || next === undefined ? 0 : next.due_at - world.paced;
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
    const { host, notice } = this.#options;
    // Said once: at the brink a small turn still fits, and the next one fails again.
    if (host.now() - this.#diskFailedAt > DISK_SAY_AGAIN_MS) {
      notice(
        `foundrite: project '${this.world.project}' stands still. ${why} It goes on when it can be written.`,
      );
    }
    this.#diskFailedAt = host.now();
    this.#cancelTimer = host.after(DISK_RETRY_MS, () => {
      try {
        this.world.turn(() => undefined);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
      }
    });
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
    const calls = this.calls.subjects.map((what) => ({ kind: 'call' as const, what }));
    const gates = new Set([...this.#heldByGates.values(), ...this.waits.gates]);
    return [...calls, ...[...gates].map((what) => ({ kind: 'gate' as const, what }))];
  }

  /** Drops what is under way: after a reset, a restore, or at the end. */
  forget(): void {
    this.calls.forget();
    this.#heldByGates.clear();
    this.#heldGate = undefined;
    this.waits.openAll();
  }

  close(): void {
    this.#closed = true;
    this.onClose?.();
    this.#cancelTimer?.();
    this.forget();
    this.onEnd?.();
  }
}
