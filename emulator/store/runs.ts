/** Routine runs and their deliveries. A run is kept when its routine is deleted. */
import type { Instant } from '../clock.ts';
import type { ActionType } from './routines.ts';
import type { Store } from './store.ts';

export const RUN_TABLES = `
CREATE TABLE run (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  routine TEXT NOT NULL,
  routine_key TEXT NOT NULL,
  phase TEXT NOT NULL,
  attempt_source TEXT NOT NULL,
  trigger_type TEXT,
  trigger_name TEXT,
  event TEXT,
  action TEXT NOT NULL,
  agent TEXT NOT NULL,
  triggered_at INTEGER NOT NULL,
  scheduled_fire_at INTEGER,
  started_at INTEGER,
  ended_at INTEGER,
  dispatch_id TEXT NOT NULL,
  correlation_id TEXT NOT NULL,
  task_id TEXT NOT NULL,
  client_request_id TEXT,
  response_id TEXT,
  error_status INTEGER,
  error_type TEXT,
  error_message TEXT,
  attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX run_of_routine ON run (routine_key, seq);
CREATE INDEX run_open ON run (routine_key, seq) WHERE phase IN ('queued', 'dispatching');
`;

export type Phase = 'queued' | 'dispatching' | 'completed' | 'failed';
export type AttemptSource =
  | 'event_fire'
  | 'manual_dispatch'
  | 'queued_dispatch'
  | 'schedule_delivery'
  | 'timer_delivery';

export interface RunRow {
  /** Order within the world. */
  seq: number;
  id: string;
  /** The routine's name; `routine_key` tells apart routines of one name. */
  routine: string;
  routine_key: string;
  phase: Phase;
  attempt_source: AttemptSource;
  trigger_type: string | null;
  trigger_name: string | null;
  /** JSON of the captured event. */
  event: string | null;
  /** JSON of the action as it was when the run was made, with the input that it carries. */
  action: string;
  agent: string;
  triggered_at: Instant;
  scheduled_fire_at: Instant | null;
  started_at: Instant | null;
  ended_at: Instant | null;
  dispatch_id: string;
  correlation_id: string;
  task_id: string;
  client_request_id: string | null;
  /** What a completed run's agent said where that is not `correlation_id`, which it mostly is. */
  response_id: string | null;
  error_status: number | null;
  error_type: string | null;
  error_message: string | null;
  attempts: number;
}

/** What a delivery carries; the type decides the protocol. */
export interface Delivery {
  type: ActionType;
  agent_name?: string;
  agent_endpoint_id?: string;
  input?: unknown;
  /** The input is an event's or a dispatch's own, not the action's. */
  own_input?: true;
  conversation?: string;
  session_id?: string;
}

export type NewRun = Omit<
  RunRow,
  | 'started_at'
  | 'ended_at'
  | 'response_id'
  | 'error_status'
  | 'error_type'
  | 'error_message'
  | 'attempts'
  | 'seq'
>;

export function addRun(store: Store, run: NewRun): number {
  const { lastInsertRowid } = store
    .sql(
      `INSERT INTO run (id, routine, routine_key, phase, attempt_source, trigger_type, trigger_name, event, action, agent,
         triggered_at, scheduled_fire_at, dispatch_id, correlation_id, task_id, client_request_id)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      run.id,
      run.routine,
      run.routine_key,
      run.phase,
      run.attempt_source,
      run.trigger_type,
      run.trigger_name,
      run.event,
      run.action,
      run.agent,
      run.triggered_at,
      run.scheduled_fire_at,
      run.dispatch_id,
      run.correlation_id,
      run.task_id,
      run.client_request_id,
    );
  return Number(lastInsertRowid);
}

export function findRun(store: Store, seq: number): RunRow | undefined {
  return store.sql('SELECT * FROM run WHERE seq = ?').get(seq) as RunRow | undefined;
}

export function findRunById(store: Store, id: string): RunRow | undefined {
  return store.sql('SELECT * FROM run WHERE id = ?').get(id) as RunRow | undefined;
}

/** The run that a client's repeated dispatch already made, if any. */
export function findRunByRequest(
  store: Store,
  routineKey: string,
  clientRequestId: string,
): RunRow | undefined {
  return store
    .sql(
      'SELECT * FROM run WHERE routine_key = ? AND client_request_id = ? ORDER BY seq DESC LIMIT 1',
    )
    .get(routineKey, clientRequestId) as RunRow | undefined;
}

export function openRuns(store: Store, routineKey: string): RunRow[] {
  return store
    .sql(
      "SELECT * FROM run WHERE routine_key = ? AND phase IN ('queued', 'dispatching') ORDER BY seq",
    )
    .all(routineKey) as RunRow[];
}

export function markDispatching(
  store: Store,
  seq: number,
  startedAt: Instant,
  attempts: number,
): void {
  store
    .sql(
      "UPDATE run SET phase = 'dispatching', started_at = coalesce(started_at, ?), attempts = ? WHERE seq = ?",
    )
    .run(startedAt, attempts, seq);
}

export function markCompleted(
  store: Store,
  seq: number,
  endedAt: Instant,
  responseId: string | null,
): void {
  store
    .sql("UPDATE run SET phase = 'completed', ended_at = ?, response_id = ? WHERE seq = ?")
    .run(endedAt, responseId, seq);
}

export function markFailed(
  store: Store,
  seq: number,
  endedAt: Instant,
  type: string,
  message: string,
  status: number | null,
): void {
  store
    .sql(
      `UPDATE run SET phase = 'failed', ended_at = ?, started_at = coalesce(started_at, ?), error_type = ?, error_message = ?,
         error_status = ? WHERE seq = ?`,
    )
    .run(endedAt, endedAt, type, message, status, seq);
}

export function replaceDelivery(store: Store, seq: number, action: string, agent: string): void {
  store.sql('UPDATE run SET action = ?, agent = ? WHERE seq = ?').run(action, agent, seq);
}

export interface RunPage {
  /** A routine's key, or every routine of a name. */
  by: 'routine' | 'routine_key';
  value: string;
  order: 'asc' | 'desc';
  after: number | undefined;
  limit: number;
  /** Conditions of the filter, already in SQL, and their values. */
  where: readonly string[];
  values: readonly unknown[];
}

export function pageRuns(store: Store, page: RunPage): RunRow[] {
  const asc = page.order === 'asc';
  const where = [`${page.by} = ?`, `seq ${asc ? '>' : '<'} ?`, ...page.where].join(' AND ');
  return store
    .sql(`SELECT * FROM run WHERE ${where} ORDER BY seq ${asc ? 'ASC' : 'DESC'} LIMIT ?`)
    .all(
      page.value,
      page.after ?? (asc ? -1 : Number.MAX_SAFE_INTEGER),
      ...page.values,
      page.limit,
    ) as RunRow[];
}

/** The key of the newest routine of a name that ever made a run. */
export function lastKeyOf(store: Store, routine: string): string | undefined {
  const row = store
    .sql('SELECT routine_key FROM run WHERE routine = ? ORDER BY seq DESC LIMIT 1')
    .get(routine);
  return (row as { routine_key: string } | undefined)?.routine_key;
}
