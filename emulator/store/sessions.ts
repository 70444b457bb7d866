/** Sessions of agents. */
import type { Instant } from '../clock.ts';
import type { SeqPage } from './agents.ts';
import { cancelDue } from './due.ts';
import { logRef } from './session-logs.ts';
import type { Store } from './store.ts';

export const SESSION_TABLES = `
CREATE TABLE session (
  agent_key TEXT NOT NULL,
  id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  version TEXT NOT NULL,
  owner TEXT,
  idle_ms INTEGER,
  created_at INTEGER NOT NULL,
  last_accessed_at INTEGER NOT NULL,
  ready_at INTEGER NOT NULL,
  awake_at INTEGER,
  ready INTEGER NOT NULL,
  stopped_at INTEGER,
  stopped INTEGER NOT NULL,
  ended TEXT,
  PRIMARY KEY (agent_key, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX session_id ON session (id, agent_key);
`;

export interface SessionRow {
  /** Of the agent that it belongs to, not of one made later under its name. */
  agent_key: string;
  /** The caller's own, or drawn. Once per agent. */
  id: string;
  /** Its place in the order of creation, from `world.nextSeq()`: unique in the world. */
  seq: number;
  /** Never changes. */
  version: string;
  /** Whose it is, where sessions are kept apart. */
  owner: string | null;
  /** How long without a call until its sandbox is suspended; null is the setting `session_idle`. */
  idle_ms: number | null;
  created_at: Instant;
  last_accessed_at: Instant;
  /** When its sandbox is there for the first time. */
  ready_at: Instant;
  /** When it is there again, having been suspended or stopped; null before it ever was. */
  awake_at: Instant | null;
  /** Whether the sandbox has come: its start, or its return, has run. */
  ready: 0 | 1;
  /** When its sandbox was last suspended or stopped. */
  stopped_at: Instant | null;
  stopped: 0 | 1;
  /** What it ended as, by itself or by a call. */
  ended: 'deleted' | 'failed' | null;
}

/** What a due row of a session refers to. */
export function sessionRef({ seq, agent_key }: { seq: number; agent_key: string }): string {
  return `session:${seq}:${agent_key}`;
}

export function findSession(store: Store, agentKey: string, id: string): SessionRow | undefined {
  return store.sql('SELECT * FROM session WHERE agent_key = ? AND id = ?').get(agentKey, id) as
    | SessionRow
    | undefined;
}

/** A new session, also in the place of a deleted one of its id. */
export function addSession(store: Store, row: SessionRow): void {
  store
    .sql(`INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
    .run(
      row.agent_key,
      row.id,
      row.seq,
      row.version,
      row.owner,
      row.idle_ms,
      row.created_at,
      row.last_accessed_at,
      row.ready_at,
      row.awake_at,
      row.ready,
      row.stopped_at,
      row.stopped,
      row.ended,
    );
}

/** Writes what changes in a session's life. */
export function saveSession(store: Store, row: SessionRow): void {
  store
    .sql(
      `UPDATE session SET last_accessed_at = @last_accessed_at, awake_at = @awake_at, ready = @ready,
       stopped_at = @stopped_at, stopped = @stopped, ended = @ended WHERE agent_key = @agent_key AND seq = @seq`,
    )
    .run(row);
}

/** A page of an agent's sessions in the order of creation, of one owner or of all, without those that were deleted. */
export function pageSessions(
  store: Store,
  agentKey: string,
  owner: string | null | undefined,
  { order, above, below, limit }: SeqPage,
): SessionRow[] {
  return store
    .sql(
      `SELECT * FROM session WHERE agent_key = @agentKey AND seq > @above AND seq < @below
       AND ended IS NOT 'deleted' AND (@all = 1 OR owner IS @owner) ORDER BY seq ${order} LIMIT @limit`,
    )
    .all({
      agentKey,
      all: owner === undefined ? 1 : 0,
      owner: owner ?? null,
      above,
      below,
      limit,
    }) as SessionRow[];
}

/** Sessions of any agent that have this id and have not been deleted. */
export function findSessionsById(store: Store, id: string): SessionRow[] {
  return store
    .sql("SELECT * FROM session WHERE id = ? AND ended IS NOT 'deleted'")
    .all(id) as SessionRow[];
}

/** Where a session stands in its list, or stood before it was deleted. */
export function placeOfSession(store: Store, agentKey: string, id: string): number | undefined {
  return findSession(store, agentKey, id)?.seq;
}

export function findSessionBySeq(
  store: Store,
  agentKey: string,
  seq: number,
): SessionRow | undefined {
  return store.sql('SELECT * FROM session WHERE agent_key = ? AND seq = ?').get(agentKey, seq) as
    | SessionRow
    | undefined;
}

export function sessionsOf(store: Store, agentKey: string): SessionRow[] {
  return store
    .sql("SELECT * FROM session WHERE agent_key = ? AND ended IS NOT 'deleted'")
    .all(agentKey) as SessionRow[];
}

/** Removes an agent's sessions and all that they hold, with what still waits for its time. */
export function removeSessions(store: Store, agentKey: string): void {
  const theirs = 'SELECT seq FROM session WHERE agent_key = ?';
  for (const kind of ['session', 'log'])
    store
      .sql(
        "DELETE FROM due WHERE ref IN (SELECT ? || ':' || seq || ':' || agent_key FROM session WHERE agent_key = ?)",
      )
      .run(kind, agentKey);
  store.sql(`DELETE FROM session_log WHERE session IN (${theirs})`).run(agentKey);
  store.sql(`DELETE FROM session_file WHERE session IN (${theirs})`).run(agentKey);
  store.sql('DELETE FROM session WHERE agent_key = ?').run(agentKey);
}

/** Removes what a session holds; the row stays, to tell a deleted session from one that never was. */
export function emptySession(store: Store, { seq, agent_key }: SessionRow): void {
  cancelDue(store, sessionRef({ seq, agent_key }));
  cancelDue(store, logRef({ seq, agent_key }));
  store.sql('DELETE FROM session_log WHERE session = ?').run(seq);
  store.sql('DELETE FROM session_file WHERE session = ?').run(seq);
}
