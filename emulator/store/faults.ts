/** The fault plan of a world, in order, with how often each entry fired; and the replies set for its agents. */
import type { Store } from './store.ts';

export const FAULT_TABLES = `
CREATE TABLE fault (
  ordinal INTEGER PRIMARY KEY,
  entry TEXT NOT NULL,
  fired INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE reply (agent TEXT PRIMARY KEY, reply TEXT NOT NULL, turn INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
`;

export interface FaultRow {
  /** Place in the plan, from 0. */
  ordinal: number;
  entry: string;
  fired: number;
}

export function readPlan(store: Store): FaultRow[] {
  return store.sql('SELECT * FROM fault ORDER BY ordinal').all() as FaultRow[];
}

export function writePlan(store: Store, entries: readonly unknown[]): void {
  store.sql('DELETE FROM fault').run();
  for (const [ordinal, entry] of entries.entries()) {
    store
      .sql('INSERT INTO fault (ordinal, entry) VALUES (?, ?)')
      .run(ordinal, JSON.stringify(entry));
  }
}

export function countFired(store: Store, ordinal: number): void {
  store.sql('UPDATE fault SET fired = fired + 1 WHERE ordinal = ?').run(ordinal);
}

export interface ReplyRow {
  agent: string;
  reply: string;
  /** How many turns of a script have been spoken. */
  turn: number;
}

export function readReply(store: Store, agent: string): ReplyRow | undefined {
  return store.sql('SELECT * FROM reply WHERE agent = ?').get(agent) as ReplyRow | undefined;
}

export function writeReply(store: Store, agent: string, reply: unknown): void {
  store.sql('INSERT OR REPLACE INTO reply VALUES (?, ?, 0)').run(agent, JSON.stringify(reply));
}

export function deleteReply(store: Store, agent: string): void {
  store.sql('DELETE FROM reply WHERE agent = ?').run(agent);
}

export function countTurn(store: Store, agent: string): void {
  store.sql('UPDATE reply SET turn = turn + 1 WHERE agent = ?').run(agent);
}
