/** Threads and their messages. */
import type { Instant } from '../clock.ts';
import type { SeqPage } from './agents.ts';
import type { Store } from './store.ts';

export const THREAD_TABLES = `
CREATE TABLE thread (
  id TEXT PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  tool_resources TEXT NOT NULL,
  metadata TEXT NOT NULL,
  messages INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE thread_gone (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  thread TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  status TEXT NOT NULL,
  incomplete_reason TEXT,
  completed_at INTEGER,
  incomplete_at INTEGER,
  role TEXT NOT NULL,
  content TEXT NOT NULL,
  assistant TEXT,
  run TEXT,
  attachments TEXT NOT NULL,
  metadata TEXT NOT NULL
) STRICT;
CREATE INDEX message_thread ON message (thread, seq);
CREATE UNIQUE INDEX message_id ON message (thread, id);
CREATE TABLE message_gone (
  thread TEXT NOT NULL,
  id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (thread, id)
) STRICT, WITHOUT ROWID;
`;

export interface ThreadRow {
  id: string;
  /** Its place in the order of creation, from `world.nextSeq()`. */
  seq: number;
  created_at: Instant;
  /** JSON, as the next one. */
  tool_resources: string;
  metadata: string;
  /** How many it has: counted as they come and go, since a thread may have very many. */
  messages: number;
}

export interface MessageRow {
  id: string;
  /** Its place in the order of creation, from `world.nextSeq()`: what tells messages of one second apart. */
  seq: number;
  /** The thread's id. */
  thread: string;
  created_at: Instant;
  status: 'in_progress' | 'incomplete' | 'completed';
  incomplete_reason:
    | 'content_filter'
    | 'max_tokens'
    | 'run_cancelled'
    | 'run_failed'
    | 'run_expired'
    | null;
  completed_at: Instant | null;
  incomplete_at: Instant | null;
  role: 'user' | 'assistant';
  /** JSON: the content items as clients read them. */
  content: string;
  /** Whose run said it; null where a client posted it. */
  assistant: string | null;
  run: string | null;
  /** JSON, as the next one. */
  attachments: string;
  metadata: string;
}

/** A new thread, or what an update left of it. */
export function putThread(store: Store, row: ThreadRow): void {
  store
    .sql(
      'INSERT OR REPLACE INTO thread VALUES (@id, @seq, @created_at, @tool_resources, @metadata, @messages)',
    )
    .run(row);
}

export function findThread(store: Store, id: string): ThreadRow | undefined {
  return store.sql('SELECT * FROM thread WHERE id = ?').get(id) as ThreadRow | undefined;
}

/** Removes a thread with its messages; its place is kept, so that a list can go on after it. */
export function deleteThread(store: Store, { id, seq }: ThreadRow): void {
  store.sql('INSERT OR REPLACE INTO thread_gone VALUES (?, ?)').run(id, seq);
  store.sql('DELETE FROM thread WHERE id = ?').run(id);
  store.sql('DELETE FROM message WHERE thread = ?').run(id);
  store.sql('DELETE FROM message_gone WHERE thread = ?').run(id);
}

/** Where a thread stands in the list, or stood. */
export function placeOfThread(store: Store, id: string): number | undefined {
  const row =
    findThread(store, id) ?? store.sql('SELECT seq FROM thread_gone WHERE id = ?').get(id);
  return (row as { seq: number } | undefined)?.seq;
}

export function pageThreads(store: Store, page: SeqPage): ThreadRow[] {
  const { order, above, below, limit } = page;
  return store
    .sql(`SELECT * FROM thread WHERE seq > ? AND seq < ? ORDER BY seq ${order} LIMIT ?`)
    .all(above, below, limit) as ThreadRow[];
}

export function addMessage(store: Store, row: MessageRow): void {
  store
    .sql(
      `INSERT INTO message VALUES (@seq, @id, @thread, @created_at, @status, @incomplete_reason, @completed_at,
       @incomplete_at, @role, @content, @assistant, @run, @attachments, @metadata)`,
    )
    .run(row);
  store.sql('UPDATE thread SET messages = messages + 1 WHERE id = ?').run(row.thread);
}

/** Writes what changes in a message's life. */
export function putMessage(store: Store, row: MessageRow): void {
  store
    .sql(
      `UPDATE message SET status = @status, incomplete_reason = @incomplete_reason, completed_at = @completed_at,
       incomplete_at = @incomplete_at, content = @content, metadata = @metadata WHERE seq = @seq`,
    )
    .run(row);
}

export function findMessage(store: Store, thread: string, id: string): MessageRow | undefined {
  return store.sql('SELECT * FROM message WHERE thread = ? AND id = ?').get(thread, id) as
    | MessageRow
    | undefined;
}

/** Its place is kept, so that a list can go on after it. */
export function deleteMessage(store: Store, { thread, id, seq }: MessageRow): void {
  store.sql('INSERT OR REPLACE INTO message_gone VALUES (?, ?, ?)').run(thread, id, seq);
  store.sql('DELETE FROM message WHERE seq = ?').run(seq);
  store.sql('UPDATE thread SET messages = messages - 1 WHERE id = ?').run(thread);
}

/** Where a message stands in its thread, or stood. */
export function placeOfMessage(store: Store, thread: string, id: string): number | undefined {
  const row =
    findMessage(store, thread, id) ??
    store.sql('SELECT seq FROM message_gone WHERE thread = ? AND id = ?').get(thread, id);
  return (row as { seq: number } | undefined)?.seq;
}

/** A page of a thread's messages, of all or of those that one run said. */
export function pageMessages(
  store: Store,
  { thread, run }: { thread: string; run?: string | undefined },
  { order, above, below, limit }: SeqPage,
): MessageRow[] {
  return store
    .sql(
      `SELECT * FROM message WHERE thread = @thread AND seq > @above AND seq < @below
       AND (@run IS NULL OR run = @run) ORDER BY seq ${order} LIMIT @limit`,
    )
    .all({ thread, run: run ?? null, above, below, limit }) as MessageRow[];
}

/** What a thread's user said last. */
export function newestUserMessage(store: Store, thread: string): MessageRow | undefined {
  return store
    .sql("SELECT * FROM message WHERE thread = ? AND role = 'user' ORDER BY seq DESC LIMIT 1")
    .get(thread) as MessageRow | undefined;
}
