/** Attempts of deliveries. An attempt's row is there before its call is made. */
import type { Instant } from '../clock.ts';
import type { Store } from './store.ts';

export const ATTEMPT_TABLES = `
CREATE TABLE attempt (
  seq INTEGER PRIMARY KEY,
  run_seq INTEGER NOT NULL,
  number INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  outcome TEXT,
  status INTEGER,
  pending TEXT
) STRICT;
CREATE INDEX attempt_of_run ON attempt (run_seq, number);
CREATE INDEX attempt_open ON attempt (seq) WHERE ended_at IS NULL;
`;

export interface AttemptRow {
  seq: number;
  run_seq: number;
  /** Counted from 1. */
  number: number;
  started_at: Instant;
  ended_at: Instant | null;
  outcome: string | null;
  status: number | null;
  /** JSON of the outcome that arrives at a later instant, while it is under way. */
  pending: string | null;
}

export function addAttempt(
  store: Store,
  runSeq: number,
  number: number,
  startedAt: Instant,
): number {
  const { lastInsertRowid } = store
    .sql('INSERT INTO attempt (run_seq, number, started_at) VALUES (?, ?, ?)')
    .run(runSeq, number, startedAt);
  return Number(lastInsertRowid);
}

export function findAttempt(store: Store, seq: number): AttemptRow | undefined {
  return store.sql('SELECT * FROM attempt WHERE seq = ?').get(seq) as AttemptRow | undefined;
}

export function keepPending(store: Store, seq: number, pending: string): void {
  store.sql('UPDATE attempt SET pending = ? WHERE seq = ?').run(pending, seq);
}

export function endAttempt(
  store: Store,
  seq: number,
  endedAt: Instant,
  outcome: string,
  status: number | null,
): void {
  store
    .sql('UPDATE attempt SET ended_at = ?, outcome = ?, status = ?, pending = NULL WHERE seq = ?')
    .run(endedAt, outcome, status, seq);
}

export function openAttempts(store: Store): AttemptRow[] {
  return store
    .sql('SELECT * FROM attempt WHERE ended_at IS NULL ORDER BY seq')
    .all() as AttemptRow[];
}

export function openAttemptOf(store: Store, runSeq: number): AttemptRow | undefined {
  return store.sql('SELECT * FROM attempt WHERE run_seq = ? AND ended_at IS NULL').get(runSeq) as
    | AttemptRow
    | undefined;
}

/** Attempts whose call is out: not those that wait for an instant or a gate. */
export function countCallsOpen(store: Store): number {
  const row = store
    .sql('SELECT count(*) AS n FROM attempt WHERE ended_at IS NULL AND pending IS NULL')
    .get();
  return (row as { n: number }).n;
}

export function countOpenAttempts(store: Store): number {
  return (
    store.sql('SELECT count(*) AS n FROM attempt WHERE ended_at IS NULL').get() as { n: number }
  ).n;
}
