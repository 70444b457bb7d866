/** What the model knows of a world: plain data, so that a snapshot is a copy. */
import { DURATIONS, type ThreadWorld } from '../thread-model/world.ts';
import type { Action, Definition, Json } from './definition.ts';
import type { Agent, Conversation, Response, Session } from './resources.ts';

export interface Routine extends Definition {
  /** Of this routine alone, also where another of its name came before. */
  key: number;
  name: string;
  createdAt: number;
  updatedAt: number;
  /** Of a timer that has fired, or whose instant has passed: it never fires again. */
  spent: boolean;
  deleted: boolean;
}

export interface Run {
  key: number;
  routine: number;
  routineName: string;
  source: string;
  triggerType?: string;
  triggerName?: string;
  scheduledFireAt?: number;
  payload?: Json;
  /** What a dispatch or an event brought itself. */
  ownInput: boolean;
  /** A firing by hand: there may be more of them than instants. */
  byHand?: boolean;
  input: unknown;
  action: Action;
  /** The type of the action for which its action_correlation_id was promised. */
  promised: string;
  triggeredAt: number;
  phase: 'queued' | 'dispatching' | 'completed' | 'failed';
  startedAt?: number;
  endedAt?: number;
  attempts: number;
  /** Whether an attempt has begun and not ended. */
  open: boolean;
  /** Whether it queues behind the run before: delivery/overlap is about the firing, so that is settled then. */
  behind: boolean;
  error?: { type: string; status?: number | undefined };
  /** What its first attempt began, and what the agent answered: later attempts repeat the call. */
  session?: number | undefined;
  response?: number | undefined;
}

export interface Attempt {
  run: number;
  routine: string;
  attempt: number;
  at: number;
  outcome: string;
  status?: number | undefined;
  next: 'complete' | 'retry' | 'fail';
  retryAt?: number;
  /** Whom it reached, with what. */
  sent?: Sent;
}

export interface Sent {
  agent: string;
  protocol: string;
  body: unknown;
}

/** 0 is a consequence, 1 a trigger, 2 a deadline. */
export interface Due {
  at: number;
  class: 0 | 1 | 2;
  seq: number;
  what: 'attempt' | 'said' | 'answer' | 'trigger' | 'timeout' | 'provisioned' | 'ready';
  /** The key of a run, of a routine, of a version or of a session. */
  of: number;
  outcome?: Outcome;
}

export interface Outcome {
  kind: 'answered' | 'timeout' | 'connection_failed' | 'answer_lost';
  status?: number;
  /** Whom the call reached, with what. */
  sent?: Sent | undefined;
}

export interface Armed {
  entry: Json;
  fired: number;
}

export interface Fired {
  routine: string;
  trigger: string;
  at: number;
  run: number | null;
}

export type Settings = Record<string, number | string>;

export interface State {
  now: number;
  seq: number;
  /** Counts routines, runs and whatever else has a key, over resets too. */
  keys: number;
  settings: Settings;
  switches: Record<string, string>;
  agents: Agent[];
  /** Every id that a draft has had, also one of an agent that was deleted. */
  drafts: string[];
  sessions: Session[];
  conversations: Conversation[];
  responses: Response[];
  routines: Routine[];
  runs: Run[];
  due: Due[];
  /** Runs that wait for another run or for a worker, in the order they came. */
  waiting: number[];
  faults: Armed[];
  attempts: Attempt[];
  threads: ThreadWorld;
}

export const DEFAULT_SETTINGS: Settings = {
  completes_on: '2xx',
  retry_on: '408 429 5xx timeout connection_failed answer_lost interrupted',
  attempts_max: 3,
  first_wait: 1_000,
  wait_factor: 2,
  wait_max: 5_000,
  attempt_timeout: 30_000,
  queue_delay: 0,
  worker_concurrency: 0,
  provisioning_time: 1_000,
  deleting_time: 0,
  cold_start: 0,
  session_idle: 900_000,
  session_life: 30 * 86_400_000,
  ...DURATIONS,
};

export const DEFAULT_SWITCHES: Record<string, string> = {
  overlap: 'allow',
  on_delete: 'finish',
  on_disable: 'finish',
  on_replace: 'old_action',
  delete_missing: '204',
  dispatch_when_disabled: 'allow',
  dispatch_source: 'queued_dispatch',
  default_order: 'asc',
  limit_out_of_range: 'clamp',
  past_timer: 'refuse',
  missing_time_zone: 'refuse',
  agent_checked: 'on_put',
  runs_of_deleted: 'listed',
  runs_of_recreated: 'empty',
  cron_days: 'or',
  cron_gap: 'after',
  cron_repeat: 'first',
  after_timer: 'unchanged',
  put_create_status: '200',
  agents_order: 'desc',
  dedup_versions: 'on',
  conflict_on_existing_agent: 'new_version',
  delete_with_sessions: 'terminate',
  protocols_patch: 'replace',
  drafts: 'enabled',
  first_draft: 'accept',
  delete_version_in_use: 'refuse',
  deleted_version: 'not_found',
  unknown_session: 'refuse',
  session_by_previous_response: 'new',
  unexposed_protocol: '404',
};

/** Assistants, threads and runs, under the clock, the settings and the faults of the whole world. */
export function threadsOf({ threads, now, faults, settings }: State): ThreadWorld {
  return Object.assign(threads, { now, faults, durations: settings });
}

/** Something to do at an instant, behind what is there of its instant and class. */
export function plan(state: State, due: Omit<Due, 'seq'>): void {
  state.seq += 1;
  state.due.push({ ...due, seq: state.seq });
}

/** Nothing of these is to be done any more for a run or a routine. */
export function unplan(state: State, of: number, ...what: Due['what'][]): void {
  state.due = state.due.filter((due) => due.of !== of || !what.includes(due.what));
}

export function runOf(state: State, key: number): Run {
  const run = state.runs.find((one) => one.key === key);
  if (!run) throw new Error(`The model has no run ${key}`);
  return run;
}
