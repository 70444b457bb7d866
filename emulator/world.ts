/** One project: its store, clock, seed, profile and journal. A world changes only in turns. */
import assert from 'node:assert/strict';
import { type HostClock, INSTANT_MAX, type Instant } from './clock.ts';
import { type Draw, drawFrom } from './ids.ts';
import { firstRow, type WorldMade } from './made.ts';
import { keptProfile, type Profile } from './profile.ts';
import { addDue, type DueClass, nextDue, PARKED } from './store/due.ts';
import { addLine, type LineInit, trimJournal } from './store/journal.ts';
import { type Store, storeErrorOf } from './store/store.ts';
import { nextOrdinal, readWorld, writePosition, writeWorld } from './store/world.ts';
import { type Firing, Told } from './told.ts';

/** Beside the store: how far a turn has come. */
interface Counted {
  journalSeq: number;
  dueSeq: number;
  fired: number;
  said: number;
}

/** How far between two trims of the journal: often enough that the ring stays a ring, seldom enough to cost nothing. */
const TRIM_EVERY = 1_024;

export class World {
  readonly project: string;
  readonly store: Store;
  readonly host: HostClock;
  made: WorldMade;
  profile: Profile;
  draw: Draw;
  rate: 0 | 1;
  skip: boolean;
  /** Raised by reset and restore; what belongs to an earlier one is dropped. */
  epoch: number;
  /** Called when something was undone: what is kept beside the store is read again. */
  onRollback: (() => void) | undefined;
  /** Why the last turn could not be written: its disk is full, or may not be written. */
  unwritable: string | undefined;
  /** What could not be written although it has happened: it comes before any other turn. */
  owed: (() => void) | undefined;
  /** Firings noticed since the engine last took them. */
  fired: Firing[] = [];
  #now: Instant;
  #hostOffset: number;
  #journalSeq: number;
  #dueSeq: number;
  #inTurn = false;
  readonly #told = new Told();

  constructor(store: Store, host: HostClock, made: WorldMade) {
    this.store = store;
    this.host = host;
    const row = readWorld(store) ?? firstRow(made, host);
    this.project = row.project;
    this.made = JSON.parse(row.made) as WorldMade;
    this.profile = keptProfile(row.profile);
    this.draw = drawFrom(row.seed);
    this.rate = row.rate;
    this.skip = row.skip === 1;
    this.epoch = row.epoch;
    this.#now = row.now;
    this.#hostOffset = row.host_offset;
    this.#journalSeq = row.journal_seq;
    this.#dueSeq = row.due_seq;
  }

  /**
   * The world's instant. At rate 1 it follows the host's pace, but never reaches something due that has not run: so what is
   * due at T always runs at T.
   */
  get now(): Instant {
    if (this.rate === 0 || this.#inTurn) return this.#now;
    const paced = this.paced;
    if (paced <= this.#now) return this.#now;
    const next = nextDue(this.store);
    return next && next.due_at <= paced ? Math.max(this.#now, next.due_at - 1) : paced;
  }

  /** The instant of the last turn: what is due runs at its own, however late the host is. */
  get position(): Instant {
    return this.#now;
  }

  /** Where the host's pace would put this world now, whatever is due on the way. */
  get paced(): Instant {
    if (this.rate === 0) return this.#now;
    return Math.min(Math.max(this.#now, this.host.now() + this.#hostOffset), INSTANT_MAX);
  }

  /** One change, whole or not at all. Nothing is awaited inside; what is acknowledged afterwards is on disk. */
  turn<T>(work: () => T, at = this.now): T {
    assert(!this.#inTurn, 'a turn inside a turn');
    this.payOwed();
    const { store } = this;
    const counted = this.#counted();
    const before = { now: this.#now, hostOffset: this.#hostOffset };
    const { made, profile, draw, rate, skip, epoch, fired } = this;
    this.#inTurn = true;
    try {
      store.sql('BEGIN IMMEDIATE').run();
      this.#now = at;
      const result = work();
      writePosition(store, {
        now: this.#now,
        host_offset: this.#hostOffset,
        journal_seq: this.#journalSeq,
        due_seq: this.#dueSeq,
      });
      store.sql('COMMIT').run();
      this.unwritable = undefined;
      return result;
    } catch (error) {
      if (store.db.inTransaction) store.sql('ROLLBACK').run();
      this.#now = before.now;
      this.#hostOffset = before.hostOffset;
      Object.assign(this, { made, profile, draw, rate, skip, epoch, fired });
      this.#takeBack(counted);
      const failed = storeErrorOf(store, error);
      if (failed) this.unwritable = failed.message;
      throw failed ?? error;
    } finally {
      this.#inTurn = false;
      this.#told.deliver();
    }
  }

  /** Does what an earlier turn could not write. */
  payOwed(): void {
    const { owed } = this;
    if (owed === undefined) return;
    this.owed = undefined;
    try {
      owed();
    } catch (error) {
      this.owed ??= owed;
      throw error;
    }
  }

  /** A part of a turn that may fail by itself; not by its disk, which fails the turn. */
  attempt(work: () => void): unknown {
    const counted = this.#counted();
    this.store.sql('SAVEPOINT item').run();
    try {
      work();
      this.store.sql('RELEASE item').run();
      return undefined;
    } catch (error) {
      if (storeErrorOf(this.store, error)) throw error;
      this.store.sql('ROLLBACK TO item').run();
      this.store.sql('RELEASE item').run();
      this.#takeBack(counted);
      return error;
    }
  }

  #counted(): Counted {
    const [journalSeq, dueSeq] = [this.#journalSeq, this.#dueSeq];
    return { journalSeq, dueSeq, fired: this.fired.length, said: this.#told.said };
  }

  /** What was counted, noticed and said since is undone, as the store has undone it. */
  #takeBack({ journalSeq, dueSeq, fired, said }: Counted): void {
    this.#journalSeq = journalSeq;
    this.#dueSeq = dueSeq;
    this.fired.length = fired;
    this.#told.unsay(said);
    this.onRollback?.();
  }

  /** Moves the clock forward; at rate 1 the host's pace goes on from there. Never back. */
  moveTo(at: Instant): void {
    if (at <= this.#now) return;
    this.#now = at;
    if (this.rate === 1) this.#hostOffset = Math.max(this.#hostOffset, at - this.host.now());
  }

  /** Changes rate and skip; going from standing still to the host's pace starts from the instant that stands. */
  setClock(change: {
    now?: Instant | undefined;
    rate?: 0 | 1 | undefined;
    skip?: boolean | undefined;
  }): void {
    assert(this.#inTurn);
    if (change.now !== undefined) this.#now = Math.max(this.#now, change.now);
    this.rate = change.rate ?? this.rate;
    this.skip = change.skip ?? this.skip;
    this.#hostOffset = this.#now - this.host.now();
    this.save();
  }

  /** A number that grows within the world, for what must keep its order. Kept with the position, so it costs no write. */
  nextSeq(): number {
    assert(this.#inTurn);
    this.#dueSeq += 1;
    return this.#dueSeq;
  }

  /** Something that will happen, by the clock's last instant; `subject` is whose reader waits for it. */
  addDue(dueAt: Instant, dueClass: DueClass, kind: string, ref: string, subject: string): void {
    const seq = this.nextSeq();
    const due_at = dueAt === PARKED ? PARKED : Math.min(dueAt, INSTANT_MAX);
    addDue(this.store, { due_at, class: dueClass, seq, kind, ref, subject });
  }

  /** Keeps the next line of the journal for what came in: its effects are written before its status is known. */
  reserveLine(): number {
    assert(this.#inTurn);
    this.#journalSeq += 1;
    return this.#journalSeq;
  }

  /** Appends to the journal, inside a turn, or fills a line that was reserved. */
  record(line: LineInit, seq = this.reserveLine()): number {
    assert(this.#inTurn);
    addLine(this.store, {
      seq,
      at: this.#now,
      kind: line.kind,
      routine: line.routine ?? null,
      run: line.run ?? null,
      data: JSON.stringify(line.data),
      extra: line.extra ? JSON.stringify(line.extra) : null,
    });
    if (seq % TRIM_EVERY === 0) trimJournal(this.store, seq - this.profile.settings.journal_max);
    return seq;
  }

  get journalSeq(): number {
    return this.#journalSeq;
  }

  /** The next ordinal of a key, from 1. */
  ordinal(key: string): number {
    return nextOrdinal(this.store, key);
  }

  /** Writes the whole row: after anything but the position changed. */
  save(): void {
    writeWorld(this.store, {
      project: this.project,
      made: JSON.stringify(this.made),
      profile: JSON.stringify(this.profile),
      seed: this.draw.seed,
      now: this.#now,
      rate: this.rate,
      skip: this.skip ? 1 : 0,
      host_offset: this.#hostOffset,
      epoch: this.epoch,
      journal_seq: this.#journalSeq,
      due_seq: this.#dueSeq,
    });
  }

  /** Takes the state of the row that now lies in the store, in a new epoch. Inside a turn. */
  reload(made: WorldMade): void {
    assert(this.#inTurn);
    const epoch = this.epoch + 1;
    const row = readWorld(this.store) ?? firstRow(made, this.host);
    this.made = JSON.parse(row.made) as WorldMade;
    this.profile = keptProfile(row.profile);
    this.draw = drawFrom(row.seed);
    this.rate = row.rate;
    this.skip = row.skip === 1;
    this.epoch = epoch;
    this.fired = [];
    this.#now = row.now;
    // A copy goes on from where it stood, whenever that was for the host.
    this.#hostOffset = row.now - this.host.now();
    this.#journalSeq = row.journal_seq;
    this.#dueSeq = row.due_seq;
    this.save();
  }

  /** Tells listeners what the turn changed that they may have to look at. It is only a hint: the store says what is so. */
  tell(topic: string): void {
    this.#told.tell(topic);
  }

  /** Says something to those who hear a topic, once the turn is committed; what is rolled back was never said. */
  say(topic: string, event: unknown): void {
    this.#told.say(topic, event);
  }

  /** Whether anybody hears a topic. */
  hears(topic: string): boolean {
    return this.#told.hears(topic);
  }

  /** Calls back with each event said under a topic, after its turn, until the returned function is called. */
  hear(topic: string, listener: (event: unknown) => void): () => void {
    return this.#told.hear(topic, listener);
  }

  /** Calls back after every turn with what it told, until the returned function is called. */
  onTurn(listener: (told: ReadonlySet<string>) => void): () => void {
    return this.#told.onTurn(listener);
  }
}
