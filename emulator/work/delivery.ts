/** Deliveries: a run's way to its agent, attempt by attempt. */
import assert from 'node:assert/strict';
import type { DueHandler } from '../batch.ts';
import type { Call } from '../calls.ts';
import { type Instant, isoInstant } from '../clock.ts';
import type { AgentCall } from '../downstream.ts';
import { callAgent, type Forward } from '../endpoint.ts';
import type { Engine } from '../engine.ts';
import { type Arrival, type Fault, type FaultPlan, throughFault } from '../faults.ts';
import type { Profile } from '../profile.ts';
import { answerId } from '../replies.ts';
import { nextStep, type Outcome, outcomesNamed, type RetryPolicy } from '../retry.ts';
import {
  type AttemptRow,
  addAttempt,
  countOpenAttempts,
  endAttempt,
  findAttempt,
  keepPending,
  openAttemptOf,
} from '../store/attempts.ts';
import { CONSEQUENCE, cancelDue, DEADLINE, type DueRow, PARKED, parkedRows } from '../store/due.ts';
import { cutBody } from '../store/journal.ts';
import {
  type Delivery,
  findRun,
  markCompleted,
  markDispatching,
  markFailed,
  openRuns,
  type RunRow,
} from '../store/runs.ts';
import type { World } from '../world.ts';

export interface DeliveryContext {
  engine: Engine;
  faults: FaultPlan;
  forward: Forward;
}

/** A profile is replaced and never changed, so that its policy is read once, not for each attempt. */
const policies = new WeakMap<Profile, RetryPolicy>();

function policyOf({ profile }: World): RetryPolicy {
  const known = policies.get(profile);
  if (known) return known;
  const { settings, switches } = profile;
  const policy: RetryPolicy = {
    completesOn: outcomesNamed(settings.completes_on),
    retryOn: outcomesNamed(settings.retry_on),
    attemptsMax: settings.attempts_max,
    firstWaitMs: settings.first_wait,
    waitFactor: settings.wait_factor,
    waitMaxMs: settings.wait_max,
    waitJitter: settings.wait_jitter,
    attemptTimeoutMs: settings.attempt_timeout,
    honourRetryAfter: switches.retry_after === 'honoured',
  };
  policies.set(profile, policy);
  return policy;
}

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

/** The handlers of everything that a delivery waits for. */
export function deliveryHandlers(context: () => DeliveryContext): Record<string, DueHandler> {
  return {
    attempt: (world, item) => openAttempt(world, item, context()),
    // Outcomes that arrive later than their call, and calls that were held, go on from the attempt's row.
    answer: (world, item) => void arrive(world, item, context()),
    released: (world, item) => resume(world, item, context()),
    ceiling: (world, item) => void runOutOfTime(world, item, context()),
  };
}

function runOf(world: World, item: DueRow): RunRow {
  const run = findRun(world.store, Number(item.ref.slice('run:'.length)));
  assert(run, `no run for ${item.ref}`);
  return run;
}

/** The attempt's row is written before the call: one found open after a crash counts. */
function openAttempt(world: World, item: DueRow, context: DeliveryContext): Call | undefined {
  const run = runOf(world, item);
  if (run.phase === 'completed' || run.phase === 'failed') return undefined;
  const workers = world.profile.settings.worker_concurrency;
  if (workers > 0 && countOpenAttempts(world.store) >= workers) {
    park(world, run, 'worker');
    return undefined;
  }
  const number = run.attempts + 1;
  const seq = addAttempt(world.store, run.seq, number, world.now);
  markDispatching(world.store, run.seq, world.now, number);
  const struck = context.faults.ofAttempt(world.draw, run.agent, protocolOf(run), run.id, number);
  if (struck) {
    const { fault, ordinal } = struck;
    world.record({
      kind: 'fault',
      routine: run.routine,
      run: run.id,
      data: { agent: run.agent, attempt: number, entry: ordinal, fault: shownFault(fault) },
    });
  }
  return callOf(world, run, { seq, number, started_at: world.now }, struck?.fault, context);
}

function protocolOf(run: RunRow): AgentCall['protocol'] {
  return (JSON.parse(run.action) as Delivery).type === 'invoke_agent_invocations_api'
    ? 'invocations'
    : 'responses';
}

function shownFault(fault: Fault): string {
  return fault.kind === 'status' ? String(fault.status) : fault.kind;
}

type OpenAttempt = Pick<AttemptRow, 'seq' | 'number' | 'started_at'>;

function callOf(
  world: World,
  run: RunRow,
  attempt: OpenAttempt,
  fault: Fault | undefined,
  context: DeliveryContext,
): Call {
  // A call that a gate held goes on within what is left of its ceiling.
  const deadline = attempt.started_at + world.profile.settings.attempt_timeout;
  const from = world.now;
  const ceilingMs = deadline - from;
  let sent: SentCall | undefined;
  return {
    order: attempt.seq,
    subject: subjectOf(run.routine),
    deadline,
    start: () =>
      throughFault(fault, ceilingMs, () => {
        const call = requestOf(run);
        sent = sentCall(call);
        return callAgent(world, call, context.forward, ceilingMs);
      }),
    settle: (arrival, real) =>
      settle(
        world,
        run,
        attempt,
        lateFrom(arrival as Arrival, from - attempt.started_at),
        { sent, real },
        context,
      ),
  };
}

/** Delays count from the call; an attempt's instants from its start. */
function lateFrom(arrival: Arrival, startedMs: number): Arrival {
  return arrival.kind === 'later' ? { ...arrival, afterMs: arrival.afterMs + startedMs } : arrival;
}

/** What the agent receives (contract/routines.md 9.6): its shape is assumed. */
export function requestOf(run: RunRow): AgentCall {
  const delivery = JSON.parse(run.action) as Delivery;
  if (delivery.type === 'invoke_agent_invocations_api') {
    return {
      agent: run.agent,
      protocol: 'invocations',
      body: JSON.stringify(delivery.input === undefined ? {} : delivery.input),
      requestId: run.dispatch_id,
      sessionId: delivery.session_id,
    };
  }
  const body: Record<string, unknown> = {
    input: delivery.input === undefined ? '' : delivery.input,
  };
  if (delivery.conversation !== undefined) body.conversation = { id: delivery.conversation };
  return {
    agent: run.agent,
    protocol: 'responses',
    body: JSON.stringify(body),
    requestId: run.dispatch_id,
  };
}

/** A call that reached its agent, as the journal tells it. */
interface SentCall {
  agent: string;
  protocol: AgentCall['protocol'];
  body: unknown;
  request_id: string;
  session_id?: string;
  /** How many characters a body had that is too long for the journal; then `body` is the beginning of its text. */
  cut?: number;
}

function sentCall({ agent, protocol, body, requestId, sessionId }: AgentCall): SentCall {
  const cut = cutBody(body);
  return {
    agent,
    protocol,
    body: cut ?? (JSON.parse(body) as unknown),
    request_id: requestId,
    ...(sessionId === undefined ? {} : { session_id: sessionId }),
    ...(cut === undefined ? {} : { cut: body.length }),
  };
}

/** A call at a gate: it is on its way, so a routine that is replaced meanwhile does not redirect it. */
export interface HeldCall {
  kind: 'held';
  gate: string;
  action: string;
  agent: string;
}

function settle(
  world: World,
  run: RunRow,
  attempt: OpenAttempt,
  arrival: Arrival,
  { sent, real }: { sent: SentCall | undefined; real: boolean },
  context: DeliveryContext,
): void {
  if (real) {
    // Cancelled or deleted while the call was out: nobody waits for this answer any more.
    if (findAttempt(world.store, attempt.seq)?.ended_at !== null) return;
    world.record({
      kind: 'outcome',
      routine: run.routine,
      run: run.id,
      data: { attempt: attempt.number, arrival },
    });
  }
  if (arrival.kind === 'later') {
    keepPending(world.store, attempt.seq, JSON.stringify({ ...arrival.outcome, sent }));
    const at = attempt.started_at + arrival.afterMs;
    world.addDue(
      Math.max(at, world.now),
      CONSEQUENCE,
      'answer',
      refOf(run),
      subjectOf(run.routine),
    );
    return;
  }
  if (arrival.kind === 'held') {
    const { action, agent } = run;
    const held: HeldCall = { kind: 'held', gate: arrival.gate, action, agent };
    keepPending(world.store, attempt.seq, JSON.stringify(held));
    const ceiling = attempt.started_at + world.profile.settings.attempt_timeout;
    world.addDue(ceiling, DEADLINE, 'ceiling', refOf(run), subjectOf(run.routine));
    context.engine.held(attempt.seq, arrival.gate);
    return;
  }
  conclude(world, run, attempt, arrival, context, sent);
}

/** Records what an attempt gave, and what follows from it. */
export function conclude(
  world: World,
  run: RunRow,
  attempt: OpenAttempt,
  outcome: Outcome,
  context: DeliveryContext,
  sent?: SentCall,
): void {
  const { number } = attempt;
  const endedAt = world.now;
  const status = outcome.kind === 'answered' ? outcome.status : null;
  endAttempt(world.store, attempt.seq, endedAt, outcome.kind, status);
  context.engine.released(attempt.seq);
  const policy = policyOf(world);
  const drawn = policy.waitJitter === 0 ? 0 : world.draw.fraction('wait', run.id, number);
  const step = nextStep(policy, number, outcome, endedAt, drawn);
  const data: Record<string, unknown> = { attempt: number, outcome: outcome.kind };
  if (status !== null) data.status = status;
  data.next = step.kind;
  if (step.kind === 'retry') data.retry_at = isoInstant(step.dueAt);
  if (sent) data.sent = sent;
  world.record({ kind: 'attempt', routine: run.routine, run: run.id, data });
  switch (step.kind) {
    case 'complete':
      assert(outcome.kind === 'answered');
      markCompleted(world.store, run.seq, endedAt, responseIdOf(run, outcome));
      break;
    case 'retry':
      queueAttempt(world, run, step.dueAt);
      break;
    case 'fail':
      markFailed(
        world.store,
        run.seq,
        endedAt,
        step.errorType,
        cut(world, step.message),
        step.status ?? null,
      );
      break;
  }
  if (step.kind !== 'retry') followUp(world, run);
  if (world.profile.settings.worker_concurrency > 0) freeWorkers(world);
}

function cut(world: World, message: string): string {
  return message.slice(0, world.profile.settings.error_message_max);
}

/** The downstream's own identifier: a response's id, an invocation's header or field. */
function responseIdOf(
  run: RunRow,
  answer: { headers: Record<string, string>; body: string },
): string {
  const header = answer.headers['x-agent-invocation-id'];
  if (header) return header;
  try {
    const body = JSON.parse(answer.body) as { id?: unknown; invocation_id?: unknown } | null;
    const id = body?.id ?? body?.invocation_id;
    if (typeof id === 'string' && id !== '') return id;
  } catch {
    // A status completes the run, whatever the body is; the id that was promised at dispatch then stands.
  }
  return run.correlation_id;
}

/** A delivery that queued behind this one may go. */
function followUp(world: World, run: RunRow): void {
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

function arrive(world: World, item: DueRow, context: DeliveryContext): void {
  const run = runOf(world, item);
  const attempt = openAttemptOf(world.store, run.seq);
  if (!attempt?.pending) return;
  cancelDue(world.store, refOf(run));
  const { sent, ...outcome } = JSON.parse(attempt.pending) as Outcome & { sent?: SentCall };
  conclude(world, run, attempt, outcome, context, sent);
}

/** A gate was opened: the call goes on to the agent, within what is left of its ceiling. */
function resume(world: World, item: DueRow, context: DeliveryContext): Call | undefined {
  const run = runOf(world, item);
  const attempt = openAttemptOf(world.store, run.seq);
  if (!attempt?.pending) return undefined;
  const { action, agent } = JSON.parse(attempt.pending) as HeldCall;
  return callOf(world, { ...run, action, agent }, attempt, undefined, context);
}

function runOutOfTime(world: World, item: DueRow, context: DeliveryContext): void {
  const run = runOf(world, item);
  const attempt = openAttemptOf(world.store, run.seq);
  if (attempt) conclude(world, run, attempt, { kind: 'timeout' }, context);
}

/** The identifiers that a dispatch answers with and its run carries. */
export function deliveryIds(world: World, runId: string, action: Delivery) {
  const dispatchId = world.draw.id('disp-', 'dispatch', runId, 1);
  const protocol = action.type === 'invoke_agent_responses_api' ? 'responses' : 'invocations';
  return {
    dispatch_id: dispatchId,
    correlation_id: answerId(world.draw, protocol, dispatchId),
    task_id: world.draw.id('task-', 'task', runId, 1),
  };
}
