/** Whose turn it is: attempts on the wheel, and deliveries that wait for a worker or for their routine's run before. */
import type { Instant } from '../clock.ts';
import { countOpenAttempts } from '../store/attempts.ts';
import { CONSEQUENCE, cancelDue, PARKED, parkedRows } from '../store/due.ts';
import { findRun, openRuns, type RunRow } from '../store/runs.ts';
import type { World } from '../world.ts';

export function subjectOf(routine: string): string {
  return `routine:${routine}`;
}

export function refOf(run: { seq: number }): string {
  return `run:${run.seq}`;
}

/** Puts a run's next attempt on the wheel. */
export function queueAttempt(
  world: World,
  run: { seq: number; routine: string },
  dueAt: Instant,
): void {
  world.addDue(dueAt, CONSEQUENCE, 'attempt', refOf(run), subjectOf(run.routine));
}

/** Sets a run's next attempt aside until something else ends: a worker's delivery, or the routine's run before. */
export function park(
  world: World,
  run: { seq: number; routine: string },
  until: 'worker' | 'run',
): void {
  world.addDue(PARKED, CONSEQUENCE, `after a ${until}`, refOf(run), subjectOf(run.routine));
}

/** A delivery that queued behind this one may go. */
export function followUp(world: World, run: RunRow): void {
  if (world.profile.switches.overlap !== 'queue') return;
  const waiting = openRuns(world.store, run.routine_key).find(
    (other) => other.seq !== run.seq && other.phase === 'queued',
  );
  if (waiting) wakeParked(world, refOf(waiting), waiting);
}

/** Lets waiting deliveries go, as many as there are workers. Inside a turn. */
export function freeWorkers(world: World): void {
  const workers = world.profile.settings.worker_concurrency;
  let free = workers === 0 ? Number.MAX_SAFE_INTEGER : workers - countOpenAttempts(world.store);
  for (const row of parkedRows(world.store, 'after a worker')) {
    if (free <= 0) return;
    free -= 1;
    const run = findRun(world.store, Number(row.ref.slice('run:'.length)));
    if (run) wakeParked(world, row.ref, run);
  }
}

/** Lets go of what waits for another run of its routine: when runs may overlap after all. Inside a turn. */
export function freeQueued(world: World): void {
  if (world.profile.switches.overlap === 'queue') return;
  for (const row of parkedRows(world.store, 'after a run')) {
    const run = findRun(world.store, Number(row.ref.slice('run:'.length)));
    if (run) wakeParked(world, row.ref, run);
  }
}

function wakeParked(world: World, ref: string, run: RunRow): void {
  cancelDue(world.store, ref);
  // A delivery queues as long as queue_delay says, whatever else it waited for meanwhile.
  const queuedUntil = run.triggered_at + world.profile.settings.queue_delay;
  queueAttempt(world, run, run.attempts > 0 ? world.now : Math.max(world.now, queuedUntil));
}
