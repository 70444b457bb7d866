/** The world's own row: what it was made with, where its clock stands, and its counters. */
import type { Store } from './store.ts';

export const WORLD_TABLES = `
CREATE TABLE world (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  project TEXT NOT NULL,
  made TEXT NOT NULL,
  profile TEXT NOT NULL,
  seed TEXT NOT NULL,
  now INTEGER NOT NULL,
  rate INTEGER NOT NULL,
  skip INTEGER NOT NULL,
  host_offset INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  journal_seq INTEGER NOT NULL,
  due_seq INTEGER NOT NULL
) STRICT;
CREATE TABLE counter (key TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

export interface WorldRow {
  project: string;
  /** JSON of what the world was made with: the first line of its journal. */
  made: string;
  /** JSON of the profile in force. */
  profile: string;
  seed: string;
  now: number;
  rate: 0 | 1;
  skip: 0 | 1;
  /** World time minus host time at rate 1, in milliseconds. */
  host_offset: number;
  epoch: number;
  journal_seq: number;
  due_seq: number;
}

export function readWorld(store: Store): WorldRow | undefined {
  return store.sql('SELECT * FROM world').get() as WorldRow | undefined;
}

export function writeWorld(store: Store, row: WorldRow): void {
  store
    .sql(
      `INSERT OR REPLACE INTO world (one, project, made, profile, seed, now, rate, skip, host_offset, epoch, journal_seq, due_seq)
       VALUES (1, @project, @made, @profile, @seed, @now, @rate, @skip, @host_offset, @epoch, @journal_seq, @due_seq)`,
    )
    .run(row);
}

/** What every turn changes. */
export function writePosition(
  store: Store,
  position: Pick<WorldRow, 'now' | 'host_offset' | 'journal_seq' | 'due_seq'>,
): void {
  const { now, host_offset, journal_seq, due_seq } = position;
  store
    .sql('UPDATE world SET now = ?, host_offset = ?, journal_seq = ?, due_seq = ?')
    .run(now, host_offset, journal_seq, due_seq);
}

/** The next ordinal of a key, from 1. Counters survive the deletion of what they count, so that no id comes back. */
export function nextOrdinal(store: Store, key: string): number {
  const row = store
    .sql('INSERT INTO counter VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET n = n + 1 RETURNING n')
    .get(key) as { n: number };
  return row.n;
}
