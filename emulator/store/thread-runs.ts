/** Runs of threads and their steps. */
import type { Instant } from '../clock.ts';
import type { ThreadRunStatus } from '../lifecycle.ts';
import type { SeqPage } from './agents.ts';
import type { Store } from './store.ts';

export const THREAD_RUN_TABLES = `
CREATE TABLE thread_run (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  thread TEXT NOT NULL,
  assistant TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  snapshot TEXT NOT NULL,
  metadata TEXT NOT NULL,
  status TEXT NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  round INTEGER NOT NULL,
  asking INTEGER NOT NULL,
  turn TEXT,
  beats INTEGER NOT NULL,
  calls TEXT,
  last_error TEXT,
  incomplete_reason TEXT,
  usage TEXT
) STRICT;
CREATE INDEX thread_run_thread ON thread_run (thread, seq);
CREATE INDEX thread_run_active ON thread_run (thread) WHERE ended_at IS NULL;
CREATE TABLE run_step (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run TEXT NOT NULL,
  thread TEXT NOT NULL,
  assistant TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  status TEXT NOT NULL,
  ended_at INTEGER,
  message TEXT,
  calls TEXT,
  last_error TEXT,
  usage TEXT
) STRICT;
CREATE INDEX run_step_run ON run_step (run, seq);
CREATE INDEX run_step_thread ON run_step (thread);
`;

export interface ThreadRunRow {
  /** Its place in the order of creation, from `world.nextSeq()`. */
  seq: number;
  id: string;
  /** The thread's id, and the assistant's. */
  thread: string;
  assistant: string;
  created_at: Instant;
  expires_at: Instant;
  /** JSON of a `RunSnapshot`: the assistant as it was, with what the run overrides. */
  snapshot: string;
  /** JSON. */
  metadata: string;
  status: ThreadRunStatus;
  /** When it was last begun: set anew after tool outputs. */
  started_at: Instant | null;
  /** When it came to its last status; null before. */
  ended_at: Instant | null;
  /** How often it was begun: 0 before the first time, and one more after each round of tool outputs. */
  round: number;
  /** Its reply is being asked for outside, and has not come. */
  asking: 0 | 1;
  /** JSON of the `RunTurn` that it says, or has said last. */
  turn: string | null;
  /** How many pieces of a text that is paced have had their instant, though its message be deleted. */
  beats: number;
  /** JSON of the `MadeCall`s whose outputs it waits for. */
  calls: string | null;
  /** JSON of `{ code, message }`. */
  last_error: string | null;
  incomplete_reason: string | null;
  /** JSON of a `RunUsage`. */
  usage: string | null;
}

export interface RunStepRow {
  /** Its place in the order of creation, from `world.nextSeq()`. */
  seq: number;
  id: string;
  run: string;
  thread: string;
  assistant: string;
  created_at: Instant;
  status: 'in_progress' | 'cancelled' | 'failed' | 'completed' | 'expired';
  /** When it came to its last status; null before. */
  ended_at: Instant | null;
  /** The id of the message that it makes; null for one of tool calls. */
  message: string | null;
  /** JSON of its `MadeCall`s; null for one that makes a message. */
  calls: string | null;
  /** JSON of `{ code, message }`. */
  last_error: string | null;
  /** JSON of a `RunUsage`. */
  usage: string | null;
}

/** A new run, or what has become of it. */
export function putThreadRun(store: Store, row: ThreadRunRow): void {
  store
    .sql(
      `INSERT OR REPLACE INTO thread_run VALUES (@seq, @id, @thread, @assistant, @created_at, @expires_at, @snapshot,
       @metadata, @status, @started_at, @ended_at, @round, @asking, @turn, @beats, @calls, @last_error, @incomplete_reason, @usage)`,
    )
    .run(row);
}

export function findThreadRun(store: Store, id: string): ThreadRunRow | undefined {
  return store.sql('SELECT * FROM thread_run WHERE id = ?').get(id) as ThreadRunRow | undefined;
}

/** The run that locks a thread (contract/threads.md 7.3): the newest that has not ended. */
export function activeRunOf(store: Store, thread: string): ThreadRunRow | undefined {
  return store
    .sql('SELECT * FROM thread_run WHERE thread = ? AND ended_at IS NULL ORDER BY seq DESC LIMIT 1')
    .get(thread) as ThreadRunRow | undefined;
}

/** Runs whose reply is being asked for outside, in any thread. */
export function askingRuns(store: Store): ThreadRunRow[] {
  return store
    .sql('SELECT * FROM thread_run WHERE ended_at IS NULL AND asking = 1 ORDER BY seq')
    .all() as ThreadRunRow[];
}

export function runsOfThread(store: Store, thread: string): ThreadRunRow[] {
  return store
    .sql('SELECT * FROM thread_run WHERE thread = ? ORDER BY seq')
    .all(thread) as ThreadRunRow[];
}

/** Where a run stands in its thread's list. */
export function placeOfThreadRun(store: Store, thread: string, id: string): number | undefined {
  const run = findThreadRun(store, id);
  return run?.thread === thread ? run.seq : undefined;
}

export function pageThreadRuns(store: Store, thread: string, page: SeqPage): ThreadRunRow[] {
  const { order, above, below, limit } = page;
  return store
    .sql(
      `SELECT * FROM thread_run WHERE thread = ? AND seq > ? AND seq < ? ORDER BY seq ${order} LIMIT ?`,
    )
    .all(thread, above, below, limit) as ThreadRunRow[];
}

/** Removes the runs of a thread and their steps. */
export function deleteRunsOf(store: Store, thread: string): void {
  store.sql('DELETE FROM run_step WHERE thread = ?').run(thread);
  store.sql('DELETE FROM thread_run WHERE thread = ?').run(thread);
}

/** A new step, or what has become of it. */
export function putRunStep(store: Store, row: RunStepRow): void {
  store
    .sql(
      `INSERT OR REPLACE INTO run_step VALUES (@seq, @id, @run, @thread, @assistant, @created_at, @status, @ended_at,
       @message, @calls, @last_error, @usage)`,
    )
    .run(row);
}

export function findRunStep(store: Store, run: string, id: string): RunStepRow | undefined {
  return store.sql('SELECT * FROM run_step WHERE run = ? AND id = ?').get(run, id) as
    | RunStepRow
    | undefined;
}

/** The step that a run is at: the only one that can be in progress. */
export function openStepOf(store: Store, run: string): RunStepRow | undefined {
  return store
    .sql('SELECT * FROM run_step WHERE run = ? AND ended_at IS NULL ORDER BY seq DESC LIMIT 1')
    .get(run) as RunStepRow | undefined;
}

/** A run's steps, oldest first. */
export function stepsOfRun(store: Store, run: string): RunStepRow[] {
  return store.sql('SELECT * FROM run_step WHERE run = ? ORDER BY seq').all(run) as RunStepRow[];
}

/** Where a step stands in its run's list. */
export function placeOfRunStep(store: Store, run: string, id: string): number | undefined {
  return findRunStep(store, run, id)?.seq;
}

export function pageRunSteps(store: Store, run: string, page: SeqPage): RunStepRow[] {
  const { order, above, below, limit } = page;
  return store
    .sql(
      `SELECT * FROM run_step WHERE run = ? AND seq > ? AND seq < ? ORDER BY seq ${order} LIMIT ?`,
    )
    .all(run, above, below, limit) as RunStepRow[];
}
