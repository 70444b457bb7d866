/** Deliveries: a run's way to its agent, attempt by attempt. */
import assert from 'node:assert/strict';
import type { DueHandler } from '../batch.ts';
import type { Call } from '../calls.ts';
import { isoInstant } from '../clock.ts';
import type { AgentCall } from '../downstream.ts';
import { requireStillReached } from '../endpoint.ts';
import type { Engine } from '../engine.ts';
import type { FaultPlan } from '../fault-plan.ts';
import { type Arrival, type Fault, throughFault } from '../faults.ts';
import type { Outside } from '../outside.ts';
import type { Profile } from '../profile.ts';
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
import { CONSEQUENCE, cancelDue, DEADLINE, type DueRow } from '../store/due.ts';
import { findRun, markCompleted, markDispatching, markFailed, type RunRow } from '../store/runs.ts';
import type { World } from '../world.ts';
import { answer, type Begun, begin, logCall, refusalOf, type Told } from './answer.ts';
import { followUp, freeWorkers, park, queueAttempt, refOf, subjectOf } from './queue.ts';
import { requestOf, responseIdOf, type SentCall, sentCall } from './request.ts';
import { type Kept, keep } from './responses.ts';
import { type SandboxWait, sandboxWait, sessionNotReady } from './session-access.ts';

export interface DeliveryContext {
  engine: Engine;
  faults: FaultPlan;
  outside: Outside;
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
  const call = requestOf(run);
  const struck = context.faults.ofAttempt(world.draw, run.agent, call.protocol, run.id, number);
  if (struck) {
    const { fault, ordinal } = struck;
    world.record({
      kind: 'fault',
      routine: run.routine,
      run: run.id,
      data: { agent: run.agent, attempt: number, entry: ordinal, fault: shownFault(fault) },
    });
  }
  const attempt = { seq, number, started_at: world.now };
  return callOf(world, run, { attempt, call, fault: struck?.fault }, context);
}

function shownFault(fault: Fault): string {
  return fault.kind === 'status' ? String(fault.status) : fault.kind;
}

type OpenAttempt = Pick<AttemptRow, 'seq' | 'number' | 'started_at'>;

/** Faults of calls that never arrive. */
const NOT_ARRIVING: readonly Fault['kind'][] = ['status', 'timeout', 'disconnect', 'gate'];

/** What goes out, and what happens to it on its way. */
interface Outgoing {
  attempt: OpenAttempt;
  call: AgentCall;
  fault: Fault | undefined;
}

/** A call, which reaches its agent in this turn unless a fault has it otherwise. */
function callOf(
  world: World,
  run: RunRow,
  { attempt, call, fault }: Outgoing,
  context: DeliveryContext,
): Call {
  // A call that a gate held goes on within what is left of its ceiling.
  const deadline = attempt.started_at + world.profile.settings.attempt_timeout;
  const from = world.now;
  const ceilingMs = deadline - from;
  const arrives = fault === undefined || !NOT_ARRIVING.includes(fault.kind);
  const begun = arrives ? beginOrRefuse(world, call, context) : undefined;
  const waits = begun !== undefined && 'heard' in begun ? waitOf(world, begun) : undefined;
  let told: Told | undefined;
  return {
    order: attempt.seq,
    subject: subjectOf(run.routine),
    deadline,
    start: () =>
      throughFault(fault, ceilingMs, () => {
        if (begun === undefined || 'kind' in begun) return begun ?? { kind: 'timeout' };
        if (waits?.inVain) return afterWait({ kind: 'timeout' }, waits, ceilingMs);
        const gone = new AbortController();
        const telling = answer(world, begun, context.outside, ceilingMs, gone.signal);
        const heard = (one: Told): Arrival => {
          told = one;
          return afterWait(one.arrival, waits, ceilingMs);
        };
        if (!(telling instanceof Promise)) return heard(telling);
        return untilWithdrawn(world, run, attempt, telling.then(heard), gone);
      }),
    settle: (arrival, real) => {
      if (real && isWithdrawn(world, attempt)) return;
      const late = lateFrom(arrival as Arrival, from - attempt.started_at);
      const inTime = waits === undefined || waits.ms <= ceilingMs;
      const left: Left = {
        ...(arrives ? { sent: sentCall(call) } : {}),
        ...(told?.kept === undefined || !inTime ? {} : { kept: told.kept }),
        ...(waits === undefined || !inTime ? {} : { waits }),
      };
      // A sandbox that comes up first has nothing to leave before.
      if (left.kept !== undefined && waits === undefined) {
        keep(world, left.kept);
        delete left.kept;
      }
      if (told?.arrival.kind === 'answered' && begun !== undefined && 'reached' in begun)
        logCall(world, begun, told.arrival.status);
      settle(world, run, attempt, late, { left, real }, context);
    },
  };
}

/** Whether a routine was deleted or disabled while a call was out: nobody waits for its answer any more. */
function isWithdrawn({ store }: World, { seq }: OpenAttempt): boolean {
  return findAttempt(store, seq)?.ended_at !== null;
}

/** A call ends when it is withdrawn: a replay, which hears no answer of it, has it end there too. */
async function untilWithdrawn(
  world: World,
  run: RunRow,
  attempt: OpenAttempt,
  arrival: Promise<Arrival>,
  gone: AbortController,
): Promise<Arrival> {
  let unlisten = () => {};
  const withdrawn = new Promise<Arrival>((resolve) => {
    unlisten = world.onTurn((told) => {
      if (!told.has(refOf(run)) || !isWithdrawn(world, attempt)) return;
      gone.abort();
      resolve({ kind: 'answer_lost' });
    });
  });
  try {
    return await Promise.race([arrival, withdrawn]);
  } finally {
    unlisten();
  }
}

/** What a call leaves in its world: what the journal tells of it, and what is kept of its answer. */
interface Left {
  sent?: SentCall;
  kept?: Kept;
  /** What comes first: without its sandbox a call has not reached its agent. */
  waits?: SandboxWait;
}

function waitOf(world: World, { waitMs, reached, call }: Begun): SandboxWait | undefined {
  if (waitMs === 0) return undefined;
  return sandboxWait(world, reached.agent.key, call.sessionId ?? '', waitMs);
}

function beginOrRefuse(world: World, call: AgentCall, context: DeliveryContext): Begun | Arrival {
  try {
    const begun = begin(world, context.faults, call);
    return begun.failed ? refusalOf(sessionNotReady(begun.call.sessionId ?? '')) : begun;
  } catch (error) {
    return refusalOf(error);
  }
}

/** A sandbox that is not there yet holds the answer up, and may take longer than the caller waits. */
function afterWait(arrival: Arrival, waits: SandboxWait | undefined, ceilingMs: number): Arrival {
  if (waits === undefined) return arrival;
  if (waits.ms > ceilingMs)
    return { kind: 'later', afterMs: ceilingMs, outcome: { kind: 'timeout' } };
  if (arrival.kind === 'later' || arrival.kind === 'held') return arrival;
  return { kind: 'later', afterMs: waits.ms, outcome: arrival };
}

/** Delays count from the call; an attempt's instants from its start. */
function lateFrom(arrival: Arrival, startedMs: number): Arrival {
  return arrival.kind === 'later' ? { ...arrival, afterMs: arrival.afterMs + startedMs } : arrival;
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
  { left, real }: { left: Left; real: boolean },
  context: DeliveryContext,
): void {
  if (real) {
    world.record({
      kind: 'outcome',
      routine: run.routine,
      run: run.id,
      data: { attempt: attempt.number, arrival },
    });
  }
  if (arrival.kind === 'later') {
    keepPending(world.store, attempt.seq, JSON.stringify({ ...arrival.outcome, ...left }));
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
  if (left.kept !== undefined) keep(world, left.kept);
  conclude(world, run, attempt, arrival, context, left.sent);
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

function arrive(world: World, item: DueRow, context: DeliveryContext): void {
  const run = runOf(world, item);
  const attempt = openAttemptOf(world.store, run.seq);
  if (!attempt?.pending) return;
  cancelDue(world.store, refOf(run));
  const { sent, kept, waits, ...outcome } = JSON.parse(attempt.pending) as Outcome & Left;
  const refused = waits && refusedAfter(world, run.agent, waits);
  if (refused) {
    conclude(world, run, attempt, refused, context);
    return;
  }
  if (kept !== undefined) keep(world, kept);
  conclude(world, run, attempt, outcome, context, sent);
}

function refusedAfter(world: World, agent: string, waits: SandboxWait): Outcome | undefined {
  try {
    requireStillReached(world, agent, waits);
    return undefined;
  } catch (error) {
    return refusalOf(error);
  }
}

/** A gate was opened: the call goes on to the agent, within what is left of its ceiling. */
function resume(world: World, item: DueRow, context: DeliveryContext): Call | undefined {
  const run = runOf(world, item);
  const attempt = openAttemptOf(world.store, run.seq);
  if (!attempt?.pending) return undefined;
  const { action, agent } = JSON.parse(attempt.pending) as HeldCall;
  const redirected = { ...run, action, agent };
  const call = requestOf(redirected);
  return callOf(world, redirected, { attempt, call, fault: undefined }, context);
}

function runOutOfTime(world: World, item: DueRow, context: DeliveryContext): void {
  const run = runOf(world, item);
  const attempt = openAttemptOf(world.store, run.seq);
  if (attempt) conclude(world, run, attempt, { kind: 'timeout' }, context);
}
