/** How runs move, told from contract 7 alone: the table, and what each move does to the run, its step and its message. */
import type { Outputs } from './step.ts';
import {
  type Armed,
  assistantOf,
  type Due,
  type Json,
  lasts,
  type Message,
  made,
  type Run,
  type RunStep,
  type Status,
  type Thread,
  type ThreadWorld,
  type Turn,
  threadOf,
} from './world.ts';

/** contract 7.1, whole; of the end of a run nothing follows. */
export const TABLE: Record<Status, readonly Status[]> = {
  queued: ['in_progress', 'cancelling', 'failed', 'expired'],
  in_progress: ['requires_action', 'completed', 'failed', 'incomplete', 'cancelling', 'expired'],
  requires_action: ['queued', 'expired', 'cancelling'],
  cancelling: ['cancelled', 'completed', 'failed', 'expired'],
  cancelled: [],
  failed: [],
  completed: [],
  incomplete: [],
  expired: [],
};

export function isActive({ status }: Run): boolean {
  return TABLE[status].length > 0;
}

/** contract 7.3: the run that locks its thread. */
export function activeRunOf({ runs }: Thread): Run | undefined {
  return runs.find(isActive);
}

export function beginRun(world: ThreadWorld, thread: Thread, run: Omit<Run, 'status'>): Run {
  const begun: Run = { ...run, status: 'queued' };
  thread.runs.push(begun);
  plan(world, begun, 0, world.now + lasts(world, 'run_queue_time'));
  plan(world, begun, 2, world.now + lasts(world, 'run_expiry'));
  return begun;
}

/** What is due next, if anything is. */
export function nextDue({ due }: ThreadWorld): Due | undefined {
  return due.toSorted((a, b) => a.at - b.at || a.class - b.class || a.seq - b.seq)[0];
}

/** Lets what is due next happen, at its instant; deadlines of one instant pass together. */
export function runNextDue(world: ThreadWorld): void {
  const next = nextDue(world);
  if (!next) return;
  world.now = Math.max(world.now, next.at);
  const together = world.due.filter((one) =>
    next.class === 2 ? one.at === next.at && one.class === 2 : one === next,
  );
  world.due = world.due.filter((one) => !together.includes(one));
  const runs = world.threads.flatMap(({ runs: own }) => own);
  for (const { run: key } of together) {
    const run = runs.find((one) => one.key === key);
    if (!run) throw new Error(`The model has no run ${key}`);
    if (next.class === 2) move(world, run, 'expired');
    else goOn(world, run);
  }
}

/** Lets what is due next for a run happen now, whatever its instant; false where nothing is. */
export function stepByHand(world: ThreadWorld, run: Run): boolean {
  const own = world.due.filter((one) => one.run === run.key);
  const [due] = own.sort((a, b) => a.at - b.at || a.class - b.class);
  if (!due) return false;
  world.due = world.due.filter((one) => one !== due);
  if (due.class === 2) move(world, run, 'expired');
  else goOn(world, run);
  return true;
}

/** What comes of a run by itself. */
function goOn(world: ThreadWorld, run: Run): void {
  if (run.status === 'queued') move(world, run, 'in_progress');
  else if (run.status === 'cancelling') move(world, run, 'cancelled');
  else move(world, run, endOf(run.turn));
}

/** What a turn ends with, and why. */
function endOf(turn: Turn | undefined): Status {
  if (turn && 'failed' in turn) return 'failed';
  if (turn && 'tool_calls' in turn) return 'requires_action';
  return turn && 'incomplete' in turn && turn.incomplete ? 'incomplete' : 'completed';
}

/** A move that is wanted, unless the fault plan has another for it. */
export function move(world: ThreadWorld, run: Run, wanted: Status): void {
  const { to = wanted, error } = strike(world, run) ?? {};
  settle(world, run, to as Status, error as Json | undefined);
}

/** A move that happens, whatever is planned. */
export function settle(world: ThreadWorld, run: Run, to: Status, error?: Json): void {
  if (!TABLE[run.status].includes(to))
    throw new Error(`The model has no move from ${run.status} to ${to}`);
  unplan(world, run, 0);
  run.status = to;
  switch (to) {
    case 'queued':
      plan(world, run, 0, world.now + lasts(world, 'run_queue_time'));
      return;
    case 'in_progress':
      start(world, run);
      return;
    case 'requires_action':
      for (const step of run.steps) step.told = true;
      return;
    case 'cancelling':
      // A run that is being cancelled does not expire: its cancellation is under way.
      unplan(world, run, 2);
      plan(world, run, 0, world.now + lasts(world, 'run_cancel_time'));
      return;
    default:
      end(world, run, to, error);
  }
}

function start(world: ThreadWorld, run: Run): void {
  run.startedAt = world.now;
  const turn = run.turn ?? turnOf(world, run);
  run.turn = turn;
  if (!('stuck' in turn))
    plan(world, run, 0, world.now + (takenBy(turn) ?? lasts(world, 'run_time')));
  if ('tool_calls' in turn) {
    const calls = turn.tool_calls.map(({ name, arguments: said }) => ({
      name,
      arguments: JSON.stringify(said),
      output: null,
    }));
    openStep(world, run, { calls });
  } else if ('text' in turn && turn.text !== undefined) {
    const message: Message = {
      ...made(world),
      role: 'assistant',
      status: 'in_progress',
      text: '',
      run: run.key,
      metadata: {},
      deleted: false,
    };
    threadOf(world, run.thread).messages.push(message);
    openStep(world, run, { message: message.key });
  }
}

function openStep(world: ThreadWorld, run: Run, of: Pick<RunStep, 'calls' | 'message'>): void {
  run.steps.push({ ...made(world), status: 'in_progress', lastError: null, told: false, ...of });
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000 };

function takenBy(turn: Turn): number | undefined {
  if (!('takes' in turn) || turn.takes === undefined) return undefined;
  const [, count, unit = ''] = /^(\d+)(ms|s|m)$/.exec(turn.takes) ?? [];
  return Number(count) * (UNITS[unit] ?? Number.NaN);
}

/** The turn that an assistant has for a run which starts now. */
function turnOf(world: ThreadWorld, run: Run): Turn {
  const assistant = assistantOf(world, run.assistant);
  const { reply } = assistant;
  if (reply.kind === 'echo') {
    const said = threadOf(world, run.thread).messages.filter((one) => !one.deleted);
    return { text: said.findLast(({ role }) => role === 'user')?.text ?? '' };
  }
  const { turns, repeat } = reply;
  const number = assistant.asked;
  assistant.asked += 1;
  const turn = turns[repeat === 'cycle' ? number % turns.length : number];
  return turn ?? turns.at(-1) ?? { text: '' };
}

/** The outputs that a submission names by the ids of calls; undefined where it names none, not even an empty list. */
export function outputsFor(run: Run | undefined, which: Outputs): Map<string, string> | undefined {
  if (which === 'nothing') return undefined;
  const open = run?.status === 'requires_action' ? (run.steps.at(-1)?.calls ?? []) : [];
  const all = open.map(({ id = '', name }) => [id, `${name} is done`] as const);
  const named = which === 'none' ? [] : which === 'all but one' ? all.slice(0, -1) : all;
  return new Map(which === 'one more' ? [...named, ['call_nobody', 'of nobody']] : named);
}

/** What a run goes on with once its tool calls were answered. */
export function submit(world: ThreadWorld, run: Run, outputs: Map<string, string>): void {
  const step = run.steps.at(-1);
  const { turn } = run;
  if (!step?.calls || !turn || !('tool_calls' in turn)) throw new Error('No call is open');
  move(world, run, 'queued');
  // Whatever comes between, the outputs are too late for it.
  if (run.status !== 'queued') return;
  for (const call of step.calls) call.output = outputs.get(call.id ?? '') ?? null;
  step.status = 'completed';
  step.endedAt = world.now;
  run.turn = turn.next ?? { text: step.calls.map(({ output }) => output).join('\n') };
}

const REASONS: Partial<Record<Status, string>> = {
  cancelled: 'run_cancelled',
  failed: 'run_failed',
  expired: 'run_expired',
  incomplete: 'max_tokens',
};

/** contract 7.2, "Effects on children": what is open ends as the run does. */
function end(world: ThreadWorld, run: Run, to: Status, error: Json | undefined): void {
  const { turn } = run;
  unplan(world, run, 2);
  run.endedAt = world.now;
  if (to === 'failed')
    run.lastError = error ?? (turn && 'failed' in turn ? { ...turn.failed } : undefined);
  if (to === 'incomplete')
    run.incomplete =
      turn && 'incomplete' in turn && turn.incomplete ? turn.incomplete : 'max_completion_tokens';
  const step = run.steps.find(({ status }) => status === 'in_progress');
  if (step) {
    step.status = to === 'incomplete' ? 'completed' : (to as RunStep['status']);
    step.endedAt = world.now;
    if (to === 'failed') step.lastError = run.lastError;
  }
  const { messages } = threadOf(world, run.thread);
  const message = messages.find(({ status }) => status === 'in_progress');
  if (!message || message.run !== run.key) return;
  const reason = REASONS[to];
  message.status = reason === undefined ? 'completed' : 'incomplete';
  message.endedAt = world.now;
  if (reason !== undefined) message.reason = reason;
  message.text = reason === undefined && turn && 'text' in turn ? (turn.text ?? '') : null;
}

/** The entry of the fault plan for whatever a run is about to do. */
function strike({ faults }: ThreadWorld, { status }: Run): Json | undefined {
  const armed = faults.find((one: Armed) => {
    const { at, of, from, to, times } = one.entry;
    if (at !== 'transition' || of !== 'thread_run' || from !== status) return false;
    return (
      TABLE[status].includes(to as Status) && (times === undefined || one.fired < Number(times))
    );
  });
  if (!armed) return undefined;
  armed.fired += 1;
  return armed.entry;
}

function plan(world: ThreadWorld, run: Run, type: 0 | 2, at: number): void {
  world.seq += 1;
  world.due.push({ at, class: type, seq: world.seq, run: run.key });
}

function unplan(world: ThreadWorld, run: Run, type: 0 | 2): void {
  world.due = world.due.filter((one) => one.run !== run.key || one.class !== type);
}

/** Nothing comes of these any more: their thread is gone. */
export function forget(world: ThreadWorld, { runs }: Thread): void {
  const gone = new Set(runs.map(({ key }) => key));
  world.due = world.due.filter((one) => !gone.has(one.run));
}
