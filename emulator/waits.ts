/** Clients that wait: for news of a subject, until the clock has come somewhere, or until a gate is opened. */
import type { DueHandler } from './batch.ts';
import { type HostClock, INSTANT_MAX, type Instant, isoInstant } from './clock.ts';
import type { Engine } from './engine.ts';
import {
  CONSEQUENCE,
  cancelDueOf,
  cancelDueOfKind,
  hasConsequence,
  nextConsequence,
  nextDeadline,
  nextTrigger,
  PARKED,
} from './store/due.ts';
import type { World } from './world.ts';

/** A call that is blocked; `until` is the instant that it needs. */
export interface Wait {
  what: string;
  until: Instant | undefined;
}

/**
 * Whose work a reader waits for: its consequences, and its triggers when they may change what is read. When nothing else
 * follows, its deadline too, where that is what ends it.
 */
export interface Followed {
  name: string;
  triggers: boolean;
  deadline?: boolean;
}

/** How long a reader waits for open calls before it takes itself to be inside one of them. */
const CALL_GRACE_MS = 250;
/** How long a blocked call waits at rate 0 before it says what it waits for. */
const BLOCKED_NOTICE_MS = 5_000;

/** For how long at least a wait at the host's pace keeps the process alive before it looks again. */
const STAY_MS = 1_000;

/** The kind of rows that only stop the clock. */
const WAKE = 'wake';

export const waitHandlers: Record<string, DueHandler> = { [WAKE]: () => undefined };

/** Nobody waits on when his process has ended or his world was restored: his instant is off the wheel. Inside a turn. */
export function forgetWaits({ store }: World): void {
  cancelDueOfKind(store, WAKE);
}

export class Waits {
  readonly #engine: Engine;
  readonly #options: { host: HostClock; notice(message: string): void };
  readonly #waiting = new Set<Wait>();
  readonly #gates = new Map<string, (() => void)[]>();
  /** Let go of who waits for an instant. */
  readonly #releases = new Set<() => void>();
  /** Let go of long polls of the journal. */
  readonly #polls = new Set<() => void>();
  /** Let go of streams that stay open. */
  readonly #streams = new Set<() => void>();
  #pollsEnded = false;
  #letGo = false;

  constructor(engine: Engine, options: { host: HostClock; notice(message: string): void }) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Whether somebody was let go since this was last asked: what he does at this instant comes before the next one. */
  takeLetGo(): boolean {
    const letGo = this.#letGo;
    this.#letGo = false;
    return letGo;
  }

  /** Clients that are blocked; who follows a subject is not. */
  list(): Wait[] {
    return [...this.#waiting];
  }

  /** Names of the gates that hold a client. */
  get gates(): string[] {
    return [...this.#gates.keys()];
  }

  /** Blocks until the world has reached an instant or is gone, or the signal lets go. With skip the wait itself moves the clock. */
  async reach(asked: Instant, what: string, signal?: AbortSignal): Promise<void> {
    const at = Math.min(asked, INSTANT_MAX);
    const engine = this.#engine;
    const { world } = engine;
    const { epoch } = world;
    const wait: Wait = { what, until: at };
    const over = () =>
      world.now >= at || world.epoch !== epoch || engine.closed || signal?.aborted === true;
    let release = () => {};
    let released = false;
    let skips = world.skip;
    let onSkip = () => {};
    const reached = new Promise<void>((resolve) => {
      const off = world.onTurn(() => {
        if (over()) release();
        else if (world.skip && !skips) onSkip();
        skips = world.skip;
      });
      release = () => {
        off();
        released = true;
        this.#letGo = true;
        resolve();
      };
    });
    this.#releases.add(release);
    signal?.addEventListener('abort', release);
    const cancelNotice = this.#options.host.after(BLOCKED_NOTICE_MS, () =>
      this.#noticeBlocked(wait),
    );
    const cancelPace = this.#stayAlive(at);
    this.#waiting.add(wait);
    let mark = '';
    try {
      mark = world.turn(() => this.#markInstant(at));
      do {
        const turnedOn = new Promise<void>((resolve) => {
          onSkip = resolve;
        });
        // Who moves the clock now may stop before this instant.
        while (world.skip && engine.busy && !released)
          await Promise.race([reached, engine.freed()]);
        if (world.skip && !engine.busy && signal?.aborted !== true) {
          const from = world.now;
          await engine.drive({ limit: at, signal });
          if (!engine.closed && world.epoch === epoch)
            world.turn(() => this.recordSkip(from, what));
        }
        engine.wake();
        if (signal?.aborted) release();
        await Promise.race([reached, turnedOn]);
      } while (!released);
    } finally {
      cancelNotice();
      cancelPace();
      signal?.removeEventListener('abort', release);
      this.#releases.delete(release);
      this.#waiting.delete(wait);
      // An instant that nobody waits for any more is nothing that follows from the past.
      if (mark !== '' && world.now < at && world.epoch === epoch && !engine.closed)
        world.turn(() => cancelDueOf(world.store, WAKE, mark));
    }
  }

  /** Somebody waits: the process must not end before the host's pace has come there, and the engine after it. */
  #stayAlive(at: Instant): () => void {
    const { world } = this.#engine;
    let cancel = () => {};
    const hold = () => {
      if (world.rate === 0) return;
      cancel = this.#options.host.after(Math.max(at - world.paced, STAY_MS), hold, true);
    };
    hold();
    return () => cancel();
  }

  /** A row at the instant that somebody waits for, so that the clock stops there; its subject. Inside a turn. */
  #markInstant(at: Instant): string {
    const { world } = this.#engine;
    const mark = `${WAKE}:${world.nextSeq()}`;
    world.addDue(at, CONSEQUENCE, WAKE, WAKE, mark);
    return mark;
  }

  /**
   * Time moves because someone waits for a subject, or for anything: runs to what is next for it, not past `notAfter`.
   * False when there is nothing to wait for.
   */
  async follow(subject: Followed | undefined, notAfter: Instant): Promise<boolean> {
    const engine = this.#engine;
    const { world, calls } = engine;
    if (engine.busy) return false;
    // Only a reader inside one of them must move on without it.
    if (calls.open > 0) await calls.allReturned(CALL_GRACE_MS);
    if (engine.busy || engine.closed) return false;
    const bound = Math.min(notAfter, calls.deadline);
    const pending = hasConsequence(world.store, subject?.name);
    const trigger =
      subject?.triggers === false ? undefined : nextTrigger(world.store, subject?.name);
    const waits = subject?.deadline === true && calls.of(subject.name).length === 0;
    // Where something follows from the past, that comes first, be it a deadline.
    const follows = pending
      ? nextConsequence(world.store)
      : waits
        ? nextDeadline(world.store, subject.name)
        : undefined;
    const next = Math.min(trigger?.due_at ?? PARKED, follows?.due_at ?? PARKED);
    const insideCall = calls.open > 0;
    if (next <= bound) {
      const stop = await engine.drive({ limit: next, insideCall });
      return stop?.reason === 'end';
    }
    if (follows && bound > world.now) {
      // Its turn comes later than one wait may go: the clock goes as far, and the next wait goes on.
      await engine.drive({ limit: bound, insideCall });
      world.turn(() => world.moveTo(bound), world.position);
      return false;
    }
    const open = calls.of(subject?.name);
    if (open.length === 0) return false;
    await Promise.race(open);
    await engine.drive({ limit: world.now });
    return true;
  }

  /** Each move of the clock by a wait is a line with its cause. Inside a turn. */
  recordSkip(from: Instant, cause: string): void {
    const { world } = this.#engine;
    if (world.now > from)
      world.record({
        kind: 'skip',
        data: { from: isoInstant(from), to: isoInstant(world.now), cause },
      });
  }

  #noticeBlocked({ what, until }: Wait): void {
    const { world } = this.#engine;
    if (world.rate === 1 || world.skip || until === undefined) return;
    const need = isoInstant(until);
    this.#options.notice(
      `${what} waits for ${need}, and the clock of project '${world.project}' stands at ${isoInstant(world.now)}. Move it: foundrite clock advance --project ${world.project} --to ${need}`,
    );
  }

  /** Blocks until a gate is opened. */
  async gate(name: string): Promise<void> {
    const wait: Wait = { what: `gate ${name}`, until: undefined };
    this.#waiting.add(wait);
    await new Promise<void>((resolve) => {
      this.#gates.set(name, [...(this.#gates.get(name) ?? []), resolve]);
    });
    this.#waiting.delete(wait);
  }

  /** Lets go of the clients that a gate holds; how many there were. */
  openGate(name: string): number {
    const held = this.#gates.get(name) ?? [];
    this.#gates.delete(name);
    for (const resolve of held) resolve();
    return held.length;
  }

  /** Registers a long poll, to be told when it has to end at once; the answer takes it off again. */
  poll(end: () => void): () => void {
    this.#polls.add(end);
    return () => this.#polls.delete(end);
  }

  /** Whether a long poll must not wait: the port is about to close. */
  get pollsEnded(): boolean {
    return this.#pollsEnded;
  }

  /** Registers an open stream, to be told when its world is gone or its port about to close; the answer takes it off again. */
  keepOpen(end: () => void): () => void {
    this.#streams.add(end);
    return () => this.#streams.delete(end);
  }

  /** How many streams are open. */
  get streams(): number {
    return this.#streams.size;
  }

  endPolls(): void {
    this.#pollsEnded = true;
    for (const end of [...this.#polls, ...this.#streams]) end();
  }

  /** Lets go of everybody: after a reset, a restore, or at the end. What they waited in is gone. */
  openAll(): void {
    for (const name of this.gates) this.openGate(name);
    for (const release of [...this.#releases, ...this.#streams]) release();
  }
}
