/** Routines, as they were put. */
import type { Instant } from '../clock.ts';
import type { Store } from './store.ts';

export const ROUTINE_TABLES = `
CREATE TABLE routine (
  seq INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  trigger_name TEXT NOT NULL,
  trigger_type TEXT NOT NULL,
  trigger TEXT NOT NULL,
  action TEXT NOT NULL,
  identity TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE routine_gone (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, times INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

export interface RoutineRow {
  /** The name and which routine of that name this is (`nightly#2`): a routine made again is another one. */
  key: string;
  name: string;
  /** Order of creation within the world. */
  seq: number;
  description: string;
  enabled: 0 | 1;
  trigger_name: string;
  trigger_type: TriggerType;
  /** JSON of a Trigger. */
  trigger: string;
  /** JSON of an Action. */
  action: string;
  identity: 'agent' | 'creator';
  created_at: Instant;
  updated_at: Instant;
}

export type TriggerType = 'schedule' | 'timer' | 'github_issue' | 'custom';

/** A trigger as it is stored: what the user wrote, and for a timer the instant that it came to. */
export type Trigger =
  | { type: 'schedule'; cron_expression: string; time_zone: string }
  | { type: 'timer'; at: Instant; time_zone?: string; fired?: true }
  | {
      type: 'github_issue';
      connection_id: string;
      owner: string;
      repository: string;
      issue_event: string;
    }
  | { type: 'custom'; provider: string; event_name?: string; parameters: Record<string, unknown> };

export type ActionType = 'invoke_agent_responses_api' | 'invoke_agent_invocations_api';

export interface Action {
  type: ActionType;
  agent_name?: string;
  agent_endpoint_id?: string;
  /** Absent when nothing was configured; null is a value. */
  input?: unknown;
  conversation?: string;
  session_id?: string;
}

export function findRoutine(store: Store, name: string): RoutineRow | undefined {
  return store.sql('SELECT * FROM routine WHERE name = ?').get(name) as RoutineRow | undefined;
}

/** The routine that is meant, and not another of its name. */
export function findRoutineByKey(store: Store, key: string): RoutineRow | undefined {
  const row = findRoutine(store, key.slice(0, key.lastIndexOf('#')));
  return row?.key === key ? row : undefined;
}

/** The key of the next routine of a name: they are counted as they go. */
export function nextKeyOf(store: Store, name: string): string {
  const gone = store.sql('SELECT times FROM routine_gone WHERE name = ?').get(name);
  return `${name}#${((gone as { times: number } | undefined)?.times ?? 0) + 1}`;
}

export function putRoutine(store: Store, row: RoutineRow): void {
  // By position: binding by name costs a third more (measured).
  store
    .sql('INSERT OR REPLACE INTO routine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    .run(
      row.seq,
      row.key,
      row.name,
      row.description,
      row.enabled,
      row.trigger_name,
      row.trigger_type,
      row.trigger,
      row.action,
      row.identity,
      row.created_at,
      row.updated_at,
    );
}

/** Its place in the order of creation is kept, so that a list can go on after it. */
export function deleteRoutine(
  store: Store,
  routine: { key: string; name: string; seq: number },
): void {
  store.sql('DELETE FROM routine WHERE name = ?').run(routine.name);
  store
    .sql(
      `INSERT INTO routine_gone VALUES (?, ?, 1)
       ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, times = times + 1`,
    )
    .run(routine.name, routine.seq);
}

/** Where a routine stands or stood in the order of creation. */
export function placeOf(store: Store, name: string): number | undefined {
  const row =
    store.sql('SELECT seq FROM routine WHERE name = ?').get(name) ??
    store.sql('SELECT seq FROM routine_gone WHERE name = ?').get(name);
  return (row as { seq: number } | undefined)?.seq;
}

/** A page in the order of creation; `after` and `limit` count from the side that `order` begins with. */
export function pageRoutines(
  store: Store,
  order: 'asc' | 'desc',
  after: number | undefined,
  limit: number,
): RoutineRow[] {
  const rows =
    order === 'asc'
      ? store
          .sql('SELECT * FROM routine WHERE seq > ? ORDER BY seq LIMIT ?')
          .all(after ?? -1, limit)
      : store
          .sql('SELECT * FROM routine WHERE seq < ? ORDER BY seq DESC LIMIT ?')
          .all(after ?? Number.MAX_SAFE_INTEGER, limit);
  return rows as RoutineRow[];
}
