/**
 * Runs of threads as a state machine (contract/threads.md 7): begun, and moved on by due rows and by clients. The moves are in
 * thread-run-moves.ts, what a run says in run-reply.ts, its steps and messages in thread-run-children.ts.
 */
import assert from 'node:assert/strict';
import type { DueHandler } from '../batch.ts';
import type { Call } from '../calls.ts';
import { type Instant, parseDuration } from '../clock.ts';
import type { RunTurn } from '../run-replies.ts';
import type { AssistantRow } from '../store/assistants.ts';
import { cancelDue, DEADLINE } from '../store/due.ts';
import {
  askingRuns,
  deleteRunsOf,
  findThreadRun,
  putThreadRun,
  runsOfThread,
  type ThreadRunRow,
} from '../store/thread-runs.ts';
import type { ThreadRow } from '../store/threads.ts';
import type { World } from '../world.ts';
import type { DeliveryContext } from './delivery.ts';
import { replyToRun } from './run-reply.ts';
import { type RunAsked, snapshotOf } from './run-snapshot.ts';
import { beginStep, countPieces, sayOn, type ToolOutput, textOf } from './thread-run-children.ts';
import { refOfThreadRun, sayRun } from './thread-run-events.ts';
import {
  beginCancelling,
  endRun,
  follow,
  move,
  NEXT,
  queueAgain,
  recordMove,
  type Struck,
  strike,
  turnOf,
  waitForOutputs,
} from './thread-run-moves.ts';

/** The kind of the due row of when it is too late for a run. */
const EXPIRY = 'thread_run_expiry';

/** The same, and what is outside: a run that begins may ask it. */
export type Moved = Struck & Pick<DeliveryContext, 'outside'>;

export interface Begins {
  thread: ThreadRow;
  assistant: AssistantRow;
  /** What overrides the assistant. */
  asked: RunAsked;
  /** Instructions beside those that it has otherwise. */
  further?: string | null | undefined;
  /** Called with the run's id before anything is said of it. */
  opened?: ((id: string) => void) | undefined;
}

/** A new run, queued. Its caller has seen that no other locks the thread. Inside a turn. */
export function beginThreadRun(
  world: World,
  { thread, assistant, asked, further, opened }: Begins,
): ThreadRunRow {
  const { run_queue_time, run_expiry } = world.profile.settings;
  const id = world.draw.id('run_', 'thread run', thread.id, world.ordinal(`run ${thread.id}`));
  const run: ThreadRunRow = {
    seq: world.nextSeq(),
    id,
    thread: thread.id,
    assistant: assistant.id,
    created_at: world.now,
    expires_at: world.now + run_expiry,
    snapshot: JSON.stringify(snapshotOf(assistant, asked, further)),
    metadata: JSON.stringify(asked.metadata ?? {}),
    status: 'queued',
    started_at: null,
    ended_at: null,
    round: 0,
    asking: 0,
    turn: null,
    beats: 0,
    calls: null,
    last_error: null,
    incomplete_reason: null,
    usage: null,
  };
  putThreadRun(world.store, run);
  recordMove(world, run, null);
  opened?.(id);
  for (const event of ['created', 'queued']) sayRun(world, run, event);
  follow(world, run, world.now + run_queue_time);
  const ref = refOfThreadRun(id);
  world.addDue(run.expires_at, DEADLINE, EXPIRY, ref, ref);
  return run;
}

/** The handlers of everything that a thread run waits for. */
export function threadRunHandlers(context: () => DeliveryContext): Record<string, DueHandler> {
  const moved = (world: World): Moved => ({ world, ...context() });
  return {
    [NEXT]: (world, { ref }) => goOn(moved(world), runOf(world, ref)),
    [EXPIRY]: (world, { ref }) => void expire(moved(world), runOf(world, ref)),
  };
}

function runOf({ store }: World, ref: string): ThreadRunRow {
  const run = findThreadRun(store, ref.slice(refOfThreadRun('').length));
  assert(run, `no run for ${ref}`);
  return run;
}

/** What follows by itself from the status that a run is in. */
export function goOn(moved: Moved, run: ThreadRunRow): Call | undefined {
  const { world } = moved;
  switch (run.status) {
    case 'queued':
      return strike(moved, run) ? undefined : start(moved, run);
    case 'in_progress':
      // Whoever was asked when the process ended is asked again.
      return run.asking === 1 ? ask(moved, run) : void speakOn(moved, run);
    case 'cancelling':
      if (!strike(moved, run)) endRun(world, run, 'cancelled');
      return undefined;
    case 'requires_action':
    case 'cancelled':
    case 'failed':
    case 'completed':
    case 'incomplete':
    case 'expired':
      return undefined;
  }
}

/** It is too late for a run. */
export function expire(moved: Moved, run: ThreadRunRow): void {
  if (!strike(moved, run)) endRun(moved.world, run, 'expired');
}

/** A run begins, or begins again. */
export function start(moved: Moved, run: ThreadRunRow): Call | undefined {
  const { world } = moved;
  const begun = { started_at: world.now, round: run.round + 1, asking: 1 } as const;
  return ask(moved, move(world, run, 'in_progress', begun));
}

function ask({ world, outside }: Moved, run: ThreadRunRow): Call | undefined {
  const settled = (turn: RunTurn) => speak(world, runOf(world, refOfThreadRun(run.id)), turn);
  const reply = replyToRun(world, { outside }, run, settled);
  if ('settle' in reply) return reply;
  speak(world, run, reply);
  return undefined;
}

/** A run knows what it says: its step is written at once, and ends with what it says. */
function speak(world: World, run: ThreadRunRow, turn: RunTurn): void {
  const speaking: ThreadRunRow = { ...run, asking: 0, turn: JSON.stringify(turn), beats: 0 };
  putThreadRun(world.store, speaking);
  if ('stuck' in turn) return;
  const text = textOf(turn);
  if ('tool_calls' in turn) beginStep(world, speaking, 'calls');
  else if (text !== undefined) beginStep(world, speaking, 'message');
  const everyMs = text ? everyOf(turn) : 0;
  follow(world, speaking, everyMs > 0 ? world.now + everyMs : endOf(world, speaking, turn));
}

function everyOf(turn: RunTurn): number {
  return 'every' in turn ? (parseDuration(turn.every ?? '') ?? 0) : 0;
}

/** When a run ends that has nothing left to say. */
function endOf({ profile, now }: World, { started_at }: ThreadRunRow, turn: RunTurn): Instant {
  const takesMs = 'takes' in turn ? parseDuration(turn.takes ?? '') : undefined;
  return Math.max(now, (started_at ?? now) + (takesMs ?? profile.settings.run_time));
}

/** The next piece of a text that is paced, or the end. */
function speakOn(moved: Moved, run: ThreadRunRow): void {
  const { world } = moved;
  const turn = turnOf(run);
  assert(turn, `thread run ${run.id} has nothing to say`);
  const everyMs = everyOf(turn);
  if (everyMs > 0) {
    const left = countPieces(turn) - run.beats;
    sayOn(world, run, turn, 1);
    const nextAt = left > 1 ? world.now + everyMs : endOf(world, run, turn);
    // All was said before: this is the end, be it by hand.
    if (left > 0 && nextAt > world.now) {
      putThreadRun(world.store, { ...run, beats: run.beats + 1 });
      follow(world, run, nextAt);
      return;
    }
  }
  if (strike(moved, run)) return;
  if ('tool_calls' in turn) waitForOutputs(world, run, turn.tool_calls, turn.chunk);
  else if ('failed' in turn) {
    sayOn(world, run, turn, Number.POSITIVE_INFINITY);
    endRun(world, run, 'failed', turn.failed);
  } else endRun(world, run, 'incomplete' in turn && turn.incomplete ? 'incomplete' : 'completed');
}

/** A run that has not ended, and is not about to, will be cancelled. Inside a turn. */
export function cancelThreadRun(struck: Struck, run: ThreadRunRow): ThreadRunRow {
  return strike(struck, run) ?? beginCancelling(struck.world, run);
}

/** A run that waits for outputs goes on with them, within the time that it has. Inside a turn. */
export function submitToolOutputs(
  struck: Struck,
  run: ThreadRunRow,
  outputs: readonly ToolOutput[],
): ThreadRunRow {
  return strike(struck, run) ?? queueAgain(struck.world, run, outputs);
}

/** After a restart: what was asked outside when the process ended is asked again. Inside a turn. */
export function askAgain(world: World): void {
  for (const run of askingRuns(world.store)) follow(world, run, world.now);
}

/** A thread is deleted: its runs are gone, with what was still to happen to them and who hears them. Inside a turn. */
export function forgetRunsOf(world: World, thread: string): void {
  for (const { id } of runsOfThread(world.store, thread)) {
    cancelDue(world.store, refOfThreadRun(id));
    world.tell(refOfThreadRun(id));
  }
  deleteRunsOf(world.store, thread);
}
