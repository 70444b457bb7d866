/** Assistants. */
import type { Instant } from '../clock.ts';
import type { SeqPage } from './agents.ts';
import type { Store } from './store.ts';

export const ASSISTANT_TABLES = `
CREATE TABLE assistant (
  id TEXT PRIMARY KEY,
  seq INTEGER NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  name TEXT,
  description TEXT,
  model TEXT NOT NULL,
  instructions TEXT,
  tools TEXT NOT NULL,
  tool_resources TEXT NOT NULL,
  temperature REAL NOT NULL,
  top_p REAL NOT NULL,
  response_format TEXT NOT NULL,
  metadata TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE assistant_gone (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

export interface AssistantRow {
  id: string;
  /** Its place in the order of creation, from `world.nextSeq()`. */
  seq: number;
  created_at: Instant;
  name: string | null;
  description: string | null;
  model: string;
  instructions: string | null;
  /** JSON, as the next one. */
  tools: string;
  tool_resources: string;
  temperature: number;
  top_p: number;
  /** JSON, as the next one. */
  response_format: string;
  metadata: string;
}

/** A new assistant, or what an update left of it. */
export function putAssistant(store: Store, row: AssistantRow): void {
  store
    .sql(
      `INSERT OR REPLACE INTO assistant VALUES (@id, @seq, @created_at, @name, @description, @model, @instructions,
       @tools, @tool_resources, @temperature, @top_p, @response_format, @metadata)`,
    )
    .run(row);
}

export function findAssistant(store: Store, id: string): AssistantRow | undefined {
  return store.sql('SELECT * FROM assistant WHERE id = ?').get(id) as AssistantRow | undefined;
}

/** The first of those that have this name, at most so many. */
export function assistantsNamed(store: Store, name: string, max: number): AssistantRow[] {
  return store
    .sql('SELECT * FROM assistant WHERE name = ? ORDER BY seq LIMIT ?')
    .all(name, max) as AssistantRow[];
}

/** Its place is kept, so that a list can go on after it. */
export function deleteAssistant(store: Store, { id, seq }: AssistantRow): void {
  store.sql('INSERT OR REPLACE INTO assistant_gone VALUES (?, ?)').run(id, seq);
  store.sql('DELETE FROM assistant WHERE id = ?').run(id);
}

/** Where an assistant stands in the list, or stood. */
export function placeOfAssistant(store: Store, id: string): number | undefined {
  const row =
    findAssistant(store, id) ?? store.sql('SELECT seq FROM assistant_gone WHERE id = ?').get(id);
  return (row as { seq: number } | undefined)?.seq;
}

export function pageAssistants(store: Store, page: SeqPage): AssistantRow[] {
  const { order, above, below, limit } = page;
  return store
    .sql(`SELECT * FROM assistant WHERE seq > ? AND seq < ? ORDER BY seq ${order} LIMIT ?`)
    .all(above, below, limit) as AssistantRow[];
}
