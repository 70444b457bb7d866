/** Conversations and their items. The endpoints of agents and the project share one store. */
import type { Instant } from '../clock.ts';
import type { SeqPage } from './agents.ts';
import { AGENT_OF_KEY } from './responses.ts';
import type { Store } from './store.ts';

export const CONVERSATION_TABLES = `
CREATE TABLE conversation (
  id TEXT PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  agent_key TEXT,
  version TEXT,
  session TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE conversation_gone (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE conversation_item (
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  item TEXT,
  PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX conversation_item_id ON conversation_item (conversation, id);
`;

export interface ConversationRow {
  id: string;
  /** Its place in the order of creation, from `world.nextSeq()`. */
  seq: number;
  created_at: Instant;
  /** JSON. */
  metadata: string;
  /** The agent that it was made at, or that answered in it last; null before. */
  agent_key: string | null;
  version: string | null;
  /** Where its calls go on; null until a hosted agent has answered in it. */
  session: string | null;
}

export function putConversation(store: Store, row: ConversationRow): void {
  store
    .sql(
      `INSERT OR REPLACE INTO conversation
       VALUES (@id, @seq, @created_at, @metadata, @agent_key, @version, @session)`,
    )
    .run(row);
}

export function findConversation(store: Store, id: string): ConversationRow | undefined {
  return store.sql('SELECT * FROM conversation WHERE id = ?').get(id) as
    | ConversationRow
    | undefined;
}

/** Removes a conversation with its items; its place is kept, so that a list can go on after it. */
export function deleteConversation(store: Store, { id, seq }: ConversationRow): void {
  store.sql('INSERT OR REPLACE INTO conversation_gone VALUES (?, ?)').run(id, seq);
  store.sql('DELETE FROM conversation WHERE id = ?').run(id);
  store.sql('DELETE FROM conversation_item WHERE conversation = ?').run(seq);
}

/** Where a conversation stands in its list, or stood. */
export function placeOfConversation(store: Store, id: string): number | undefined {
  const row =
    findConversation(store, id) ??
    store.sql('SELECT seq FROM conversation_gone WHERE id = ?').get(id);
  return (row as { seq: number } | undefined)?.seq;
}

/** A page of the conversations of all agents or of one, and of one version of it. */
export function pageConversations(
  store: Store,
  { agent, version }: { agent: string | undefined; version: string | undefined },
  { order, above, below, limit }: SeqPage,
): ConversationRow[] {
  return store
    .sql(
      `SELECT * FROM conversation WHERE seq > @above AND seq < @below
       AND (@agent IS NULL OR ${AGENT_OF_KEY} = @agent) AND (@version IS NULL OR version = @version)
       ORDER BY seq ${order} LIMIT @limit`,
    )
    .all({
      above,
      below,
      limit,
      agent: agent ?? null,
      version: version ?? null,
    }) as ConversationRow[];
}

export interface ItemRow {
  /** The conversation's `seq`. */
  conversation: number;
  /** Its place in the conversation, from 1. */
  seq: number;
  id: string;
  type: string;
  /** JSON; null where it was deleted: a list can still go on after it. */
  item: string | null;
}

/** How many items a conversation has had. */
export function countItems(store: Store, conversation: number): number {
  const row = store
    .sql('SELECT coalesce(max(seq), 0) AS count FROM conversation_item WHERE conversation = ?')
    .get(conversation) as { count: number };
  return row.count;
}

/** An item that is there already, under its own id, is said again and stays where it is. */
export function addItem(store: Store, row: ItemRow): void {
  store
    .sql('INSERT OR IGNORE INTO conversation_item VALUES (@conversation, @seq, @id, @type, @item)')
    .run(row);
}

export function findItem(store: Store, conversation: number, id: string): ItemRow | undefined {
  return store
    .sql('SELECT * FROM conversation_item WHERE conversation = ? AND id = ?')
    .get(conversation, id) as ItemRow | undefined;
}

export function deleteItem(store: Store, { conversation, seq }: ItemRow): void {
  store
    .sql('UPDATE conversation_item SET item = NULL WHERE conversation = ? AND seq = ?')
    .run(conversation, seq);
}

/** A page of a conversation's items, of all types or of one. */
export function pageItems(
  store: Store,
  { seq, type }: { seq: number; type: string | undefined },
  { order, above, below, limit }: SeqPage,
): ItemRow[] {
  return store
    .sql(
      `SELECT * FROM conversation_item WHERE conversation = @seq AND seq > @above AND seq < @below
       AND item IS NOT NULL AND (@type IS NULL OR type = @type) ORDER BY seq ${order} LIMIT @limit`,
    )
    .all({ seq, above, below, limit, type: type ?? null }) as ItemRow[];
}
