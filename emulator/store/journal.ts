/** The ordered record of all turns. `data` is canonical: it depends on what was asked and the seed alone; `extra` does not. */
import { createHash } from 'node:crypto';
import type { Instant } from '../clock.ts';
import type { Store } from './store.ts';

export const JOURNAL_TABLES = `
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  routine TEXT,
  run TEXT,
  data TEXT NOT NULL,
  extra TEXT
) STRICT;
`;

export interface JournalRow {
  seq: number;
  at: Instant;
  kind: string;
  routine: string | null;
  run: string | null;
  data: string;
  /** JSON of what the wire carried beside the canonical part: TLS, user agent, client request id, host instant. */
  extra: string | null;
}

/** What a line is made of, beside its place and its instant. */
export interface LineInit {
  kind: string;
  routine?: string;
  run?: string;
  /** Canonical: depends on what was asked and the seed alone. */
  data: Record<string, unknown>;
  extra?: Record<string, unknown> | undefined;
}

/** Bytes of a body that the journal keeps (design 11). */
const BODY_MAX = 16 * 1024;

/** What is left of a body that is too long for the journal; undefined for one that is not. */
export function cutBody(text: string): string | undefined {
  // A character of JavaScript's is at most three bytes.
  if (text.length * 3 <= BODY_MAX) return undefined;
  const bytes = Buffer.from(text);
  if (bytes.length <= BODY_MAX) return undefined;
  // The last character may be cut in the middle.
  return bytes
    .subarray(0, BODY_MAX)
    .toString()
    .replace(/\uFFFD$/, '');
}

/** What the journal keeps of bytes: all of them, or how many there were and their digest. */
export function cutBytes(bytes: Buffer): Record<string, unknown> {
  if (bytes.length <= BODY_MAX) return { base64: bytes.toString('base64') };
  return { cut: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

export function addLine(store: Store, row: JournalRow): void {
  store
    .sql('INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)')
    .run(row.seq, row.at, row.kind, row.routine, row.run, row.data, row.extra);
}

export interface JournalQuery {
  after: number;
  limit: number;
  kinds?: readonly string[] | undefined;
  run?: string | undefined;
  routine?: string | undefined;
}

export function readLines(store: Store, query: JournalQuery): JournalRow[] {
  const where = ['seq > ?'];
  const values: unknown[] = [query.after];
  if (query.kinds && query.kinds.length > 0) {
    // One statement for any number of kinds, and no limit of SQLite's on how many.
    where.push('kind IN (SELECT value FROM json_each(?))');
    values.push(JSON.stringify(query.kinds));
  }
  if (query.run !== undefined) {
    where.push('run = ?');
    values.push(query.run);
  }
  if (query.routine !== undefined) {
    where.push('routine = ?');
    values.push(query.routine);
  }
  return store
    .sql(`SELECT * FROM journal WHERE ${where.join(' AND ')} ORDER BY seq LIMIT ?`)
    .all(...values, query.limit) as JournalRow[];
}

export function firstSeq(store: Store): number | undefined {
  return (
    (store.sql('SELECT min(seq) AS seq FROM journal').get() as { seq: number | null }).seq ??
    undefined
  );
}

/** The journal is a ring: keeps the newest lines. */
export function trimJournal(store: Store, keepAfter: number): void {
  store.sql('DELETE FROM journal WHERE seq <= ?').run(keepAfter);
}
