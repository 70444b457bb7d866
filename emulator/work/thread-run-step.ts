/** Thread runs moved by hand. */
import type { Call, Opened } from '../calls.ts';
import { conflict, invalid } from '../errors.ts';
import { THREAD_RUN_TRANSITIONS, type ThreadRunStatus } from '../lifecycle.ts';
import type { AskedCall } from '../run-replies.ts';
import { CONSEQUENCE, nextDueOf, takeDue } from '../store/due.ts';
import type { ThreadRunRow } from '../store/thread-runs.ts';
import type { RunSnapshot } from './thread-objects.ts';
import { refOfThreadRun } from './thread-run-events.ts';
import {
  type Failure,
  NEXT,
  queueAgain,
  turnInto,
  turnOf,
  waitForOutputs,
} from './thread-run-moves.ts';
import { expire, goOn, type Moved, start } from './thread-runs.ts';

/**
 * A run moves by hand: what is due next for it happens now, or, with `to`, that transition, which no fault strikes. What it
 * asks outside is left to be started after the turn. Throws a conflict that says what is possible, and refuses an error of what
 * does not fail. Inside a turn.
 */
export function stepThreadRun(
  moved: Moved,
  run: ThreadRunRow,
  { to, last_error: why }: { to?: ThreadRunStatus | undefined; last_error?: Failure | undefined },
): Opened | undefined {
  if (why !== undefined && to !== 'failed')
    throw invalid(
      "'last_error' is of a run that fails. Leave it out, or write to: failed.",
      'last_error',
      'control/step',
    );
  const { world } = moved;
  const ref = refOfThreadRun(run.id);
  const call = to === undefined ? stepOn(moved, run) : stepTo(moved, run, to, why);
  if (call === undefined) return undefined;
  const [due_at, seq] = [world.now, world.nextSeq()];
  return { item: { due_at, class: CONSEQUENCE, seq, kind: NEXT, ref, subject: ref }, call };
}

function stepOn(moved: Moved, run: ThreadRunRow): Call | undefined {
  const { store } = moved.world;
  const due = nextDueOf(store, refOfThreadRun(run.id));
  // What is due then is its end alone, and nobody means that.
  if (run.asking === 1 && due?.kind !== NEXT)
    throw conflict(
      `The model of run ${run.id} is being asked, and its answer comes by itself. Wait for it, or name in 'to' what the run becomes.`,
      'control/step',
    );
  if (due === undefined)
    throw conflict(
      `Run ${run.id} is ${run.status}, and nothing follows from that. Begin another one.`,
      RULES[run.status],
    );
  takeDue(store, due);
  return due.kind === NEXT ? goOn(moved, run) : void expire(moved, run);
}

/** The rules that say what may follow each status. */
const RULES: Readonly<Record<ThreadRunStatus, string>> = {
  queued: 'thread-run/after-queued',
  in_progress: 'thread-run/after-in-progress',
  requires_action: 'thread-run/after-requires-action',
  cancelling: 'thread-run/after-cancelling',
  cancelled: 'thread-run/after-its-end',
  failed: 'thread-run/after-its-end',
  completed: 'thread-run/after-its-end',
  incomplete: 'thread-run/after-its-end',
  expired: 'thread-run/after-its-end',
};

function stepTo(
  moved: Moved,
  run: ThreadRunRow,
  to: ThreadRunStatus,
  why: Failure | undefined,
): Call | undefined {
  const { world } = moved;
  const allowed = THREAD_RUN_TRANSITIONS[run.status];
  if (!allowed.includes(to))
    throw conflict(
      `Run ${run.id} is ${run.status} and cannot become ${to}. ${allowed.length === 0 ? 'It has ended.' : `It can become ${allowed.join(', ')}.`}`,
      RULES[run.status],
    );
  switch (to) {
    case 'queued':
      queueAgain(world, run, []);
      return undefined;
    case 'in_progress':
      return start(moved, run);
    case 'requires_action':
      waitForOutputs(world, run, callsByHand(run));
      return undefined;
    case 'cancelling':
    case 'cancelled':
    case 'failed':
    case 'completed':
    case 'incomplete':
    case 'expired':
      turnInto(world, run, to, why);
      return undefined;
  }
}

/** The calls of the reply; where it makes none, one of each function of the run's tools. */
function callsByHand(run: ThreadRunRow): readonly AskedCall[] {
  const turn = turnOf(run);
  if (turn && 'tool_calls' in turn) return turn.tool_calls;
  const { tools } = JSON.parse(run.snapshot) as RunSnapshot;
  const calls = tools.flatMap((tool) => {
    const { name } = (tool as { function?: { name?: unknown } }).function ?? {};
    return typeof name === 'string' ? [{ name }] : [];
  });
  if (calls.length > 0) return calls;
  throw conflict(
    `Run ${run.id} has no function that it could ask for. Give its assistant one, or a reply with tool_calls.`,
    'control/step',
  );
}
