/** The moves of a thread run from one status to the next, whoever makes them, and what of it each one changes. */
import assert from 'node:assert/strict';
import type { Instant } from '../clock.ts';
import type { FaultPlan } from '../fault-plan.ts';
import { isThreadRunOver, THREAD_RUN_TRANSITIONS, type ThreadRunStatus } from '../lifecycle.ts';
import { type AskedCall, lastErrorOf, type RunTurn, type RunUsage } from '../run-replies.ts';
import { findAssistant } from '../store/assistants.ts';
import { CONSEQUENCE, cancelDue, cancelDueOfClass } from '../store/due.ts';
import { putThreadRun, stepsOfRun, type ThreadRunRow } from '../store/thread-runs.ts';
import type { World } from '../world.ts';
import {
  endStep,
  type StepEnd,
  sayOn,
  type ToolOutput,
  takeOutputs,
  tellCalls,
} from './thread-run-children.ts';
import { refOfThreadRun, sayRun } from './thread-run-events.ts';

/** The kind of the due rows of what follows by itself from the status that a run is in. */
export const NEXT = 'thread_run';

/** A world and the plan of what strikes it. */
export interface Struck {
  world: World;
  faults: FaultPlan;
}

/** Why a run fails. */
export type Failure = Parameters<typeof lastErrorOf>[0];

/** What is next for a run comes at an instant. */
export function follow(world: World, { id }: ThreadRunRow, at: Instant): void {
  const ref = refOfThreadRun(id);
  world.addDue(at, CONSEQUENCE, NEXT, ref, ref);
}

export function recordMove(
  world: World,
  { id, thread, status: to }: ThreadRunRow,
  from: string | null,
): void {
  world.record({ kind: 'transition', run: id, data: { of: 'thread_run', thread, from, to } });
}

/** A run comes to another status: what was to follow from the one before does not. */
export function move(
  world: World,
  run: ThreadRunRow,
  to: ThreadRunStatus,
  change: Partial<ThreadRunRow> = {},
): ThreadRunRow {
  const { status: from } = run;
  assert(THREAD_RUN_TRANSITIONS[from].includes(to), `a thread run goes from ${from} to ${to}`);
  const ended_at = isThreadRunOver(to) ? world.now : null;
  const moved: ThreadRunRow = { ...run, asking: 0, calls: null, ...change, status: to, ended_at };
  putThreadRun(world.store, moved);
  recordMove(world, moved, from);
  const ref = refOfThreadRun(run.id);
  // One that is being cancelled is left to that: it does not expire.
  if (ended_at !== null || to === 'cancelling') cancelDue(world.store, ref);
  else cancelDueOfClass(world.store, ref, CONSEQUENCE);
  sayRun(world, moved);
  return moved;
}

/** What the plan makes of a run instead of what it was about to become; undefined when it goes its way. */
export function strike({ world, faults }: Struck, run: ThreadRunRow): ThreadRunRow | undefined {
  const { id, assistant: agent, status: from, round } = run;
  const { name = null } = findAssistant(world.store, agent) ?? {};
  const key = `${id}/${from}/${round}`;
  const struck = faults.ofTransition(world.draw, { of: 'thread_run', from, agent, name, key });
  if (struck === undefined) return undefined;
  const { ordinal: entry, to, error } = struck;
  world.record({ kind: 'fault', run: id, data: { of: 'thread_run', entry, from, to } });
  return turnInto(world, run, to as StepEnd | 'cancelling', error);
}

/** What a plan can turn a run into, or a hand: without more to give it than an error. */
export function turnInto(
  world: World,
  run: ThreadRunRow,
  to: StepEnd | 'cancelling',
  why?: Failure,
): ThreadRunRow {
  return to === 'cancelling' ? beginCancelling(world, run) : endRun(world, run, to, why);
}

/** What a run says, or has said last; undefined before it knows. */
export function turnOf({ turn }: ThreadRunRow): RunTurn | undefined {
  return turn === null ? undefined : (JSON.parse(turn) as RunTurn);
}

/** The calls of a run are told, and their outputs waited for. */
export function waitForOutputs(
  world: World,
  run: ThreadRunRow,
  asked: readonly AskedCall[],
  chunk?: number,
): void {
  // A hand may turn a run that is about to say a text to calls: its message is whole before them.
  const turn = turnOf(run);
  if (turn) sayOn(world, run, turn, Number.POSITIVE_INFINITY);
  const calls = tellCalls(world, run, asked, chunk);
  move(world, run, 'requires_action', { calls: JSON.stringify(calls) });
}

/** A run ends with its step and its message. What is left of a text is said, unless the end cuts it off. */
export function endRun(world: World, run: ThreadRunRow, to: StepEnd, why?: Failure): ThreadRunRow {
  const turn = turnOf(run);
  const isWhole = to === 'completed' || to === 'incomplete';
  if (turn && isWhole) sayOn(world, run, turn, Number.POSITIVE_INFINITY);
  const error = to === 'failed' ? lastErrorOf(why ?? { code: 'server_error' }) : null;
  const reason = turn && 'incomplete' in turn ? turn.incomplete : undefined;
  const ending: ThreadRunRow = {
    ...run,
    last_error: error && JSON.stringify(error),
    incomplete_reason: to === 'incomplete' ? (reason ?? 'max_completion_tokens') : null,
  };
  endStep(world, ending, to);
  const told = { started_at: run.started_at ?? world.now, usage: usageOfRun(world, run) };
  return move(world, ending, to, isWhole ? told : {});
}

/** What the steps of a run have used. */
function usageOfRun({ store }: World, { id }: ThreadRunRow): string {
  const sum: RunUsage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  for (const { usage } of stepsOfRun(store, id)) {
    const used = JSON.parse(usage ?? '{}') as Partial<RunUsage>;
    sum.prompt_tokens += used.prompt_tokens ?? 0;
    sum.completion_tokens += used.completion_tokens ?? 0;
    sum.total_tokens += used.total_tokens ?? 0;
  }
  return JSON.stringify(sum);
}

/** A run will be cancelled: it says nothing more. */
export function beginCancelling(world: World, run: ThreadRunRow): ThreadRunRow {
  const cancelling = move(world, run, 'cancelling');
  follow(world, cancelling, world.now + world.profile.settings.run_cancel_time);
  return cancelling;
}

/** A run goes on with the outputs of its calls, within the time that it has. */
export function queueAgain(
  world: World,
  run: ThreadRunRow,
  outputs: readonly ToolOutput[],
): ThreadRunRow {
  takeOutputs(world, run, outputs);
  const queued = move(world, run, 'queued');
  follow(world, queued, world.now + world.profile.settings.run_queue_time);
  return queued;
}
