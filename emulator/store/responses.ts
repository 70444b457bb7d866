/** Responses of agents, and invocations whose work goes on. A row keeps what was asked and said; the object that clients read is a view. */
import type { Instant } from '../clock.ts';
import type { ResponseStatus } from '../response.ts';
import type { SeqPage } from './agents.ts';
import type { Store } from './store.ts';

export const RESPONSE_TABLES = `
CREATE TABLE response (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  agent_key TEXT,
  version TEXT,
  session TEXT,
  conversation TEXT,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  asked TEXT NOT NULL,
  said TEXT
) STRICT;
CREATE TABLE response_gone (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE invocation (
  id TEXT PRIMARY KEY,
  agent_key TEXT NOT NULL,
  session TEXT NOT NULL,
  status TEXT NOT NULL,
  said TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;

export interface ResponseRow {
  id: string;
  /** Its place in the order of creation, from `world.nextSeq()`. */
  seq: number;
  /** Null where the project itself answered. */
  agent_key: string | null;
  version: string | null;
  /** Null for an agent that is not hosted. */
  session: string | null;
  conversation: string | null;
  status: ResponseStatus;
  created_at: Instant;
  ended_at: Instant | null;
  /** JSON of the request's body. */
  asked: string;
  /** JSON of what was said, or will be once it has ended; null for an echo. */
  said: string | null;
}

/** Repeating a call repeats its id: the later answer stands. */
export function putResponse(store: Store, row: ResponseRow): void {
  store
    .sql('INSERT OR REPLACE INTO response VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    .run(
      row.seq,
      row.id,
      row.agent_key,
      row.version,
      row.session,
      row.conversation,
      row.status,
      row.created_at,
      row.ended_at,
      row.asked,
      row.said,
    );
}

export function findResponse(store: Store, id: string): ResponseRow | undefined {
  return store.sql('SELECT * FROM response WHERE id = ?').get(id) as ResponseRow | undefined;
}

export function moveResponse(
  store: Store,
  id: string,
  status: ResponseStatus,
  endedAt: Instant | null,
): void {
  store.sql('UPDATE response SET status = ?, ended_at = ? WHERE id = ?').run(status, endedAt, id);
}

/** Removes a response; its place is kept, so that a list can go on after it. */
export function deleteResponse(store: Store, { id, seq }: ResponseRow): void {
  store.sql('INSERT OR REPLACE INTO response_gone VALUES (?, ?)').run(id, seq);
  store.sql('DELETE FROM response WHERE id = ?').run(id);
}

/** Where a response stands in its list, or stood. */
export function placeOfResponse(store: Store, id: string): number | undefined {
  const row =
    findResponse(store, id) ?? store.sql('SELECT seq FROM response_gone WHERE id = ?').get(id);
  return (row as { seq: number } | undefined)?.seq;
}

/** Undefined takes any. */
export interface ResponseFilter {
  agent: string | undefined;
  version: string | undefined;
  conversation: string | undefined;
}

/** The name of an agent in its key. */
export const AGENT_OF_KEY = "substr(agent_key, 1, instr(agent_key, '#') - 1)";

export function pageResponses(
  store: Store,
  { agent, version, conversation }: ResponseFilter,
  { order, above, below, limit }: SeqPage,
): ResponseRow[] {
  return store
    .sql(
      `SELECT * FROM response WHERE seq > @above AND seq < @below
       AND (@agent IS NULL OR ${AGENT_OF_KEY} = @agent)
       AND (@version IS NULL OR version = @version)
       AND (@conversation IS NULL OR conversation = @conversation)
       ORDER BY seq ${order} LIMIT @limit`,
    )
    .all({
      above,
      below,
      limit,
      agent: agent ?? null,
      version: version ?? null,
      conversation: conversation ?? null,
    }) as ResponseRow[];
}

/** An invocation that was accepted, and whose work goes on after its answer. */
export interface InvocationRow {
  id: string;
  agent_key: string;
  session: string;
  status: 'in_progress' | 'completed' | 'failed' | 'cancelled';
  /** JSON of the fields that tell how it will have ended, `status` among them. */
  said: string;
}

export function putInvocation(store: Store, row: InvocationRow): void {
  store
    .sql('INSERT OR REPLACE INTO invocation VALUES (@id, @agent_key, @session, @status, @said)')
    .run(row);
}

export function findInvocation(store: Store, id: string): InvocationRow | undefined {
  return store.sql('SELECT * FROM invocation WHERE id = ?').get(id) as InvocationRow | undefined;
}
