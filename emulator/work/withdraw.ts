/** What happens to deliveries from outside: gates opened, a process that ended, routines deleted, disabled or replaced. */
import assert from 'node:assert/strict';
import type { Engine } from '../engine.ts';
import { endAttempt, keepPending, openAttemptOf, openAttempts } from '../store/attempts.ts';
import { CONSEQUENCE, cancelDue } from '../store/due.ts';
import type { RoutineRow } from '../store/routines.ts';
import { type Delivery, findRun, markFailed, openRuns, replaceDelivery } from '../store/runs.ts';
import type { World } from '../world.ts';
import { conclude, type DeliveryContext } from './delivery.ts';
import { freeWorkers, refOf, subjectOf } from './queue.ts';

/** Lets go of every call that a gate of this name holds; how many there were. Inside a turn. */
export function releaseGate(world: World, name: string, engine: Engine): number {
  let released = 0;
  for (const attempt of openAttempts(world.store)) {
    const pending =
      attempt.pending === null
        ? undefined
        : (JSON.parse(attempt.pending) as { kind: string; gate?: string });
    if (pending?.kind !== 'held' || pending.gate !== name) continue;
    const run = findRun(world.store, attempt.run_seq);
    assert(run);
    cancelDue(world.store, refOf(run));
    keepPending(world.store, attempt.seq, JSON.stringify({ ...pending, kind: 'released' }));
    world.addDue(world.now, CONSEQUENCE, 'released', refOf(run), subjectOf(run.routine));
    engine.released(attempt.seq);
    released += 1;
  }
  return released;
}

/** After a restart: attempts that were open when the process ended count, and are retried as the policy allows. */
export function settleInterrupted(world: World, context: DeliveryContext): void {
  for (const attempt of openAttempts(world.store)) {
    // What waits for an instant or a gate lies in the store and goes on; a call that was under way is gone.
    if (attempt.pending !== null) continue;
    const run = findRun(world.store, attempt.run_seq);
    assert(run);
    conclude(world, run, attempt, { kind: 'interrupted' }, context);
  }
}

/** Tells a new engine, or one that has forgotten all, which calls are held by gates. */
export function holdAgain(world: World, engine: Engine): void {
  for (const attempt of openAttempts(world.store)) {
    if (attempt.pending === null) continue;
    const pending = JSON.parse(attempt.pending) as { kind: string; gate?: string };
    if (pending.kind === 'held' && pending.gate !== undefined)
      engine.held(attempt.seq, pending.gate);
  }
}

/** What becomes of a routine's unfinished deliveries when it is deleted or disabled. */
export function cancelDeliveries(
  world: World,
  routine: RoutineRow,
  why: string,
  engine: Engine,
): void {
  for (const run of openRuns(world.store, routine.key)) {
    cancelDue(world.store, refOf(run));
    const attempt = openAttemptOf(world.store, run.seq);
    if (attempt) {
      endAttempt(world.store, attempt.seq, world.now, 'cancelled', null);
      engine.released(attempt.seq);
      world.tell(refOf(run));
    }
    markFailed(
      world.store,
      run.seq,
      world.now,
      'cancelled',
      `The routine was ${why} before its agent had answered.`,
      null,
    );
    world.record({ kind: 'cancelled', routine: run.routine, run: run.id, data: { why } });
  }
  freeWorkers(world);
}

/** What becomes of them when the routine is replaced: the remaining attempts go to the new action. */
export function redirectDeliveries(
  world: World,
  routine: RoutineRow,
  action: Delivery,
  agent: string,
): void {
  for (const run of openRuns(world.store, routine.key)) {
    const old = JSON.parse(run.action) as Delivery;
    const input = old.own_input ? { input: old.input, own_input: true } : {};
    replaceDelivery(world.store, run.seq, JSON.stringify({ ...action, ...input }), agent);
  }
}
