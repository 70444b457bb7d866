/** Everything that will happen later: the store is the timer wheel, and there is no second copy in memory. */
import type { Instant } from '../clock.ts';
import type { Store } from './store.ts';

export const DUE_TABLES = `
CREATE TABLE due (
  due_at INTEGER NOT NULL,
  class INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  kind TEXT NOT NULL,
  ref TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (due_at, class, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX due_ref ON due (ref);
CREATE TABLE stuck (
  seq INTEGER PRIMARY KEY,
  due_at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  ref TEXT NOT NULL,
  error TEXT NOT NULL
) STRICT;
`;

/** Order within an instant: what follows from the past, then triggers, then deadlines, so that an answer at exactly 30 s beats the timeout. */
export const CONSEQUENCE = 0;
export const TRIGGER = 1;
export const DEADLINE = 2;
export type DueClass = typeof CONSEQUENCE | typeof TRIGGER | typeof DEADLINE;

export interface DueRow {
  due_at: Instant;
  class: DueClass;
  seq: number;
  /** Which handler runs it. */
  kind: string;
  /** What it is about, for the handler: a run's or routine's key. */
  ref: string;
  /** Whose reader waits for it, e.g. `routine:nightly`. */
  subject: string;
}

export function addDue(store: Store, row: DueRow): void {
  store
    .sql('INSERT INTO due VALUES (?, ?, ?, ?, ?, ?)')
    .run(row.due_at, row.class, row.seq, row.kind, row.ref, row.subject);
}

export function takeDue(store: Store, row: DueRow): void {
  store
    .sql('DELETE FROM due WHERE due_at = ? AND class = ? AND seq = ?')
    .run(row.due_at, row.class, row.seq);
}

export function cancelDue(store: Store, ref: string): void {
  store.sql('DELETE FROM due WHERE ref = ?').run(ref);
}

/** Only that of the rows of a ref which has this subject. */
export function cancelDueOf(store: Store, ref: string, subject: string): void {
  store.sql('DELETE FROM due WHERE ref = ? AND subject = ?').run(ref, subject);
}

/** Only those of the rows of a ref which are of this class. */
export function cancelDueOfClass(store: Store, ref: string, dueClass: DueClass): void {
  store.sql('DELETE FROM due WHERE ref = ? AND class = ?').run(ref, dueClass);
}

export function cancelDueOfKind(store: Store, kind: string): void {
  store.sql('DELETE FROM due WHERE kind = ?').run(kind);
}

/** When the first row of a ref is due. */
export function dueAtOf(store: Store, ref: string): Instant | undefined {
  const row = store.sql('SELECT min(due_at) AS at FROM due WHERE ref = ?').get(ref);
  return (row as { at: Instant | null }).at ?? undefined;
}

/** What is due next of a ref. */
export function nextDueOf(store: Store, ref: string): DueRow | undefined {
  return store
    .sql('SELECT * FROM due WHERE ref = ? ORDER BY due_at, class, seq LIMIT 1')
    .get(ref) as DueRow | undefined;
}

export function nextDue(store: Store): DueRow | undefined {
  return store.sql('SELECT * FROM due ORDER BY due_at, class, seq LIMIT 1').get() as
    | DueRow
    | undefined;
}

/**
 * The next row of the same instant and class. One at a time, and by the whole key: `all` costs ten times a `get`, and an
 * ORDER BY behind an equality four times the look-up (measured).
 */
export function dueAfter(store: Store, row: DueRow): DueRow | undefined {
  const next = store
    .sql(
      'SELECT * FROM due WHERE (due_at, class, seq) > (?, ?, ?) ORDER BY due_at, class, seq LIMIT 1',
    )
    .get(row.due_at, row.class, row.seq) as DueRow | undefined;
  return next?.due_at === row.due_at && next.class === row.class ? next : undefined;
}

/** Where rows lie that are due only when something else ends: a delivery that waits for a worker. No clock comes there. */
export const PARKED: Instant = Number.MAX_SAFE_INTEGER;

/** The next thing that follows from the past, whoever waits for it. */
export function nextConsequence(store: Store): DueRow | undefined {
  return store
    .sql('SELECT * FROM due WHERE class = 0 AND due_at < ? ORDER BY due_at, class, seq LIMIT 1')
    .get(PARKED) as DueRow | undefined;
}

/** The next trigger of one subject, or of any. */
export function nextTrigger(store: Store, subject: string | undefined): DueRow | undefined {
  const whose = subject === undefined ? '' : 'AND subject = ?';
  return store
    .sql(`SELECT * FROM due WHERE class = 1 ${whose} ORDER BY due_at, class, seq LIMIT 1`)
    .get(...(subject === undefined ? [] : [subject])) as DueRow | undefined;
}

/** The next deadline of one subject. */
export function nextDeadline(store: Store, subject: string): DueRow | undefined {
  return store
    .sql('SELECT * FROM due WHERE class = 2 AND subject = ? ORDER BY due_at, class, seq LIMIT 1')
    .get(subject) as DueRow | undefined;
}

/** Whether anything follows from the past for a subject, be it that it waits for something else. */
export function hasConsequence(store: Store, subject: string | undefined): boolean {
  if (subject === undefined) return nextConsequence(store) !== undefined;
  const found = store.sql('SELECT 1 FROM due WHERE class = 0 AND subject = ? LIMIT 1').get(subject);
  return found !== undefined;
}

/** Rows of one kind that should have run before an instant. */
export function overdue(store: Store, kind: string, before: Instant): DueRow[] {
  return store
    .sql('SELECT * FROM due WHERE due_at < ? AND kind = ? ORDER BY due_at, class, seq')
    .all(before, kind) as DueRow[];
}

/** What waits for something else to end, in the order in which it came. */
export function parkedRows(store: Store, kind: string): DueRow[] {
  return store
    .sql('SELECT * FROM due WHERE due_at = ? AND kind = ? ORDER BY due_at, class, seq')
    .all(PARKED, kind) as DueRow[];
}

export interface StuckRow {
  seq: number;
  due_at: Instant;
  kind: string;
  ref: string;
  error: string;
}

export function addStuck(store: Store, row: DueRow, error: string): void {
  store
    .sql('INSERT OR REPLACE INTO stuck VALUES (?, ?, ?, ?, ?)')
    .run(row.seq, row.due_at, row.kind, row.ref, error);
}

export function listStuck(store: Store): StuckRow[] {
  return store.sql('SELECT * FROM stuck ORDER BY seq').all() as StuckRow[];
}
