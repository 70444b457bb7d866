/**
 * Calls out of a world, between its turns. While one is open a clock that stands still is pinned to its instant; the outcomes
 * of one instant settle together, by attempt; and what has happened but cannot be written, because the disk is full, is owed.
 */
import { setAside } from './batch.ts';
import type { Instant } from './clock.ts';
import type { DueRow } from './store/due.ts';
import { StoreError } from './store/store.ts';
import type { World } from './world.ts';

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
export interface Opened {
  item: DueRow;
  call: Call;
}

interface Returned extends Opened {
  epoch: number;
  result: unknown;
}

export interface CallsOptions {
  notice(message: string): void;
  /** At the host's pace nobody waits for a call, so that its return is told. */
  onReturn(): void;
}

export class Calls {
  readonly #world: World;
  readonly #options: CallsOptions;
  readonly #open = new Map<Call, Promise<void>>();
  #returned: Returned[] = [];
  /** Let go of who waits for a call that is forgotten. */
  readonly #releases = new Set<() => void>();

  constructor(world: World, options: CallsOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** How many are out. */
  get open(): number {
    return this.#open.size;
  }

  /** How many are back and not yet settled. */
  get returned(): number {
    return this.#returned.length;
  }

  /** The runs whose calls are out. */
  get subjects(): string[] {
    return [...this.#open.keys()].map((call) => call.subject);
  }

  /** No wait may move the clock past it. */
  get deadline(): Instant {
    return Math.min(...[...this.#open.keys()].map((call) => call.deadline));
  }

  /** Starts what a turn has opened, after it is committed. What answers at once is settled at once, at the same instant. */
  start(opened: Opened[], atOnce: Returned[] = []): void {
    const world = this.#world;
    for (const [index, { item, call }] of opened.entries()) {
      const { epoch } = world;
      let result: unknown;
      try {
        result = call.start();
      } catch (error) {
        if (error instanceof StoreError) {
          world.owed = () => this.start(opened.slice(index), atOnce);
          throw error;
        }
        world.turn(() => setAside(world, item, error, this.#options.notice), world.position);
        continue;
      }
      if (!(result instanceof Promise)) {
        atOnce.push({ item, call, epoch, result });
        continue;
      }
      const done = result.then((value: unknown) => {
        this.#open.delete(call);
        this.#returned.push({ item, call, epoch, result: value });
        if (world.rate === 1) this.#options.onReturn();
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

  /**
   * Settles what has returned; where the clock stands still, when all have, so that the order never depends on how fast an
   * agent is. Outcomes of an earlier epoch are dropped.
   */
  settle(): void {
    const world = this.#world;
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
    const world = this.#world;
    try {
      world.turn(() => {
        for (const { call, result } of returned) call.settle(result, real);
      }, at);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      // One of them is poison, as in a batch.
      world.turn(() => {
        for (const { item, call, result } of returned) {
          const thrown = world.attempt(() => call.settle(result, real));
          setAside(world, item, thrown, this.#options.notice);
        }
      }, at);
    }
  }

  /**
   * Done when any call returns, the client that waits hangs up, or all calls are forgotten; `cancel` afterwards. The waiter
   * awaits the promise itself: it must go on before any other that waits for the same call.
   */
  anyReturned(signal?: AbortSignal): { returned: Promise<void>; cancel(): void } {
    let unlisten: (() => void) | undefined;
    const hungUp = new Promise<void>((resolve) => {
      if (!signal) return;
      const done = () => resolve();
      signal.addEventListener('abort', done, { once: true });
      unlisten = () => signal.removeEventListener('abort', done);
    });
    let release = () => {};
    const forgotten = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#releases.add(release);
    const cancel = () => {
      this.#releases.delete(release);
      unlisten?.();
    };
    return { returned: Promise.race([...this.#open.values(), hungUp, forgotten]), cancel };
  }

  /** Waits until all calls have returned, but no longer than a moment of real time. */
  async allReturned(mostMs: number): Promise<void> {
    let cancel = () => {};
    const over = new Promise<void>((resolve) => {
      cancel = this.#world.host.after(mostMs, resolve, true);
    });
    await Promise.race([Promise.all(this.#open.values()), over]);
    cancel();
  }

  /** The open calls of a subject, or of all: each is done when it has returned. */
  of(subject: string | undefined): Promise<void>[] {
    return [...this.#open]
      .filter(([call]) => subject === undefined || call.subject === subject)
      .map(([, done]) => done);
  }

  /** Drops what is out, back or owed: after a reset, a restore, or at the end. */
  forget(): void {
    for (const release of this.#releases) release();
    this.#returned = [];
    this.#world.owed = undefined;
    this.#open.clear();
  }
}
