/** How the model delivers a run: attempts, outcomes, waits, workers, and what is cancelled. */
import { type Call, type Reached, reach, respond } from './calls.ts';
import { conversationOf } from './conversations.ts';
import type { Json } from './definition.ts';
import { Undecided } from './sessions.ts';
import {
  type Armed,
  type Outcome,
  plan,
  type Run,
  runOf,
  type Sent,
  type State,
  unplan,
} from './state.ts';

/** An attempt is due: it begins, or waits for another run or for a worker. */
export function attempt(state: State, run: Run): void {
  if (isBlocked(state, run)) {
    if (!state.waiting.includes(run.key)) state.waiting.push(run.key);
    return;
  }
  state.waiting = state.waiting.filter((key) => key !== run.key);
  run.attempts += 1;
  run.phase = 'dispatching';
  run.startedAt ??= state.now;
  run.open = true;
  const { outcome, delay } = call(state, run);
  if (delay === 0 && outcome.kind !== 'timeout') {
    settle(state, run, outcome);
    return;
  }
  const timeout = Number(state.settings.attempt_timeout);
  if (outcome.kind !== 'timeout')
    plan(state, { at: state.now + delay, class: 0, what: 'answer', of: run.key, outcome });
  const late: Outcome = { kind: 'timeout', sent: outcome.sent };
  // design 6: an answer at exactly the timeout still counts, so it is planned before. That a call will time out is known here
  // when it is made, and such a timeout comes with the consequences of its instant; a deadline would come last.
  plan(state, { at: state.now + timeout, class: 0, what: 'timeout', of: run.key, outcome: late });
}

/** What one attempt gave, and what it means. */
export function settle(state: State, run: Run, outcome: Outcome): void {
  unplan(state, run.key, 'said', 'answer', 'timeout');
  run.open = false;
  const { kind, status } = outcome;
  const { settings } = state;
  const completes = status !== undefined && names(settings.completes_on, status);
  const retryable = names(settings.retry_on, status ?? kind);
  const retries = !completes && retryable && run.attempts < Number(settings.attempts_max);
  const wait = Math.min(
    Number(settings.first_wait) * Number(settings.wait_factor) ** (run.attempts - 1),
    Number(settings.wait_max),
  );
  state.attempts.push({
    run: run.key,
    routine: run.routineName,
    attempt: run.attempts,
    at: state.now,
    outcome: kind,
    status,
    next: completes ? 'complete' : retries ? 'retry' : 'fail',
    ...(retries && { retryAt: state.now + wait }),
    ...(outcome.sent && { sent: outcome.sent }),
  });
  if (completes) end(state, run, 'completed');
  else if (retries) plan(state, { at: state.now + wait, class: 0, what: 'attempt', of: run.key });
  else {
    run.error = { type: kind === 'answered' ? 'downstream_status' : kind, status };
    end(state, run, 'failed');
  }
  letGo(state);
}

/** delivery/routine-deleted, -disabled, -replaced where their switch is cancel. */
export function cancel(state: State, routine: number): void {
  for (const run of state.runs) {
    if (run.routine !== routine || run.endedAt !== undefined) continue;
    unplan(state, run.key, 'attempt', 'said', 'answer', 'timeout');
    state.waiting = state.waiting.filter((key) => key !== run.key);
    run.open = false;
    run.error = { type: 'cancelled' };
    run.startedAt ??= state.now;
    end(state, run, 'failed');
  }
  letGo(state);
}

/** What waited may have its turn: it is due now, and waits again if it may not. */
export function letGo(state: State): void {
  for (const key of state.waiting) {
    const run = runOf(state, key);
    if (isBlocked(state, run)) continue;
    unplan(state, key, 'attempt');
    // Nobody says what a queue_delay means that was set while a run waited behind another; it counts then.
    const queued = run.attempts === 0 && run.behind ? Number(state.settings.queue_delay) : 0;
    const at = Math.max(state.now, run.triggeredAt + queued);
    plan(state, { at, class: 0, what: 'attempt', of: key });
  }
  state.waiting = state.waiting.filter((key) => isBlocked(state, runOf(state, key)));
}

function end(state: State, run: Run, phase: 'completed' | 'failed'): void {
  run.phase = phase;
  run.endedAt = state.now;
}

function isBlocked(state: State, run: Run): boolean {
  const workers = Number(state.settings.worker_concurrency);
  if (workers > 0 && state.runs.filter((one) => one.open).length >= workers) return true;
  return isBehind(state, run);
}

/** delivery/overlap: whether a run waits for the one before. */
export function isBehind(state: State, run: Run): boolean {
  if (state.switches.overlap !== 'queue' || !run.behind || run.attempts > 0) return false;
  return state.runs.some(
    (one) => one.routine === run.routine && one.key < run.key && one.endedAt === undefined,
  );
}

/** Whether a setting's list of statuses, classes and words has this one. */
function names(list: number | string | undefined, what: number | string): boolean {
  const words = String(list).split(/[\s,]+/);
  if (typeof what === 'string') return words.includes(what);
  return words.includes(String(what)) || words.includes(`${Math.floor(what / 100)}xx`);
}

function protocolOf(run: Run): Call['protocol'] {
  return run.action.type === 'invoke_agent_responses_api' ? 'responses' : 'invocations';
}

function sentTo(run: Run): Sent {
  const { agent, shown } = run.action;
  const protocol = protocolOf(run);
  if (protocol === 'invocations')
    return { agent, protocol, body: run.input === undefined ? {} : run.input };
  const conversation = shown.conversation;
  const body = {
    input: run.input === undefined ? '' : run.input,
    ...(conversation !== undefined && { conversation: { id: conversation } }),
  };
  return { agent, protocol, body };
}

/** What this attempt's call will give, and after how long. */
function call(state: State, run: Run): { outcome: Outcome; delay: number } {
  const fault = strike(state, run);
  const { delay = 0, kind, status } = fault as { delay?: number; kind?: string; status?: number };
  if (status !== undefined) return { outcome: { kind: 'answered', status }, delay };
  if (kind === 'timeout') return { outcome: { kind: 'timeout' }, delay };
  if (kind === 'disconnect') return { outcome: { kind: 'connection_failed' }, delay };
  const { answer, cold } = arrive(state, run);
  const sent = sentTo(run);
  const outcome: Outcome =
    kind === 'lose_response'
      ? { kind: 'answer_lost', sent }
      : { kind: 'answered', status: answer, sent };
  return { outcome, delay: delay + cold };
}

/** What the agent answers, and how long its sandbox takes to be there. */
function arrive(state: State, run: Run): { answer: number; cold: number } {
  const reached = reach(state, callOf(run));
  if (Array.isArray(reached)) return { answer: reached[0], cold: 0 };
  run.session = reached.session?.key;
  const ready = { at: state.now + reached.delay, class: 0, what: 'said', of: run.key } as const;
  if (reached.delay === 0) hear(state, run, reached);
  else plan(state, ready);
  return { answer: 200, cold: reached.delay };
}

/** The sandbox for which a call waited is there. */
export function say(state: State, run: Run): void {
  const session = state.sessions.find(({ key, deleted }) => key === run.session && !deleted);
  const agent = state.agents.find(({ key }) => key === session?.agent);
  // What becomes of a call whose sandbox is taken away while it waits, nobody says.
  if (!session || !agent) throw new Undecided();
  const { conversation: id } = callOf(run);
  const conversation = id === undefined ? undefined : conversationOf(state, id);
  hear(state, run, { agent, session, version: undefined, conversation, delay: 0 });
}

/** The agent answers. */
function hear(state: State, run: Run, reached: Reached): void {
  const asked = callOf(run);
  if (asked.protocol !== 'responses') return;
  const before = state.responses.find(({ key }) => key === run.response);
  run.response = respond(state, asked, reached, before).key;
}

function callOf(run: Run): Call {
  const { agent, shown } = run.action;
  return {
    agent,
    protocol: protocolOf(run),
    by: 'delivery',
    input: run.input ?? '',
    session: shown.session_id as string | undefined,
    conversation: shown.conversation as string | undefined,
    begun: run.session,
  };
}

/** fault/first-match-wins: the first entry of the plan that fits and is not spent, even where it lets all be well. */
function strike(state: State, run: Run): Json {
  for (const armed of state.faults) {
    const { agent, protocol, attempts, fault } = armed.entry;
    if (agent !== run.action.agent && agent !== '*') continue;
    if (protocol !== undefined && protocol !== protocolOf(run)) continue;
    if (isSpent(armed)) continue;
    const met = attempts === undefined ? fault : (attempts as unknown[])[run.attempts - 1];
    // Nobody says whether `ok` counts as a strike; it does not.
    if (met !== undefined && met !== 'ok') armed.fired += 1;
    return readFault(met);
  }
  return {};
}

export function isSpent({ entry, fired }: Armed): boolean {
  return entry.times !== undefined && fired >= Number(entry.times);
}

/** A fault in its long form, its delay in milliseconds. */
export function readFault(fault: unknown): Json {
  if (fault === undefined || fault === 'ok') return {};
  if (typeof fault === 'number') return { status: fault };
  if (typeof fault === 'string') return { kind: fault };
  const { delay, ...rest } = fault as Json;
  return delay === undefined ? rest : { ...rest, delay: msOf(String(delay)) };
}

/** Milliseconds of a duration such as 90s, 1h30m or 500ms. */
export function msOf(duration: string): number {
  const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  let ms = 0;
  for (const [, count, unit = ''] of duration.matchAll(/(\d+)(ms|s|m|h|d)/g))
    ms += Number(count) * (units[unit] ?? 0);
  return ms;
}
