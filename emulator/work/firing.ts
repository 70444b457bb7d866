/** Triggers: when a routine fires, and the run that this makes. */
import assert from 'node:assert/strict';
import type { DueHandler } from '../batch.ts';
import { type Instant, isoInstant } from '../clock.ts';
import { readCron } from '../cron.ts';
import { nextFireAt, type Schedule, schedule } from '../schedule.ts';
import { cancelDue, type DueRow, overdue, TRIGGER } from '../store/due.ts';
import {
  type Action,
  findRoutineByKey,
  putRoutine,
  type RoutineRow,
  type Trigger,
  type TriggerType,
} from '../store/routines.ts';
import { type AttemptSource, addRun, type Delivery, openRuns } from '../store/runs.ts';
import type { World } from '../world.ts';
import { readZone } from '../zone.ts';
import { park, queueAttempt, subjectOf } from './queue.ts';
import { deliveryIds } from './request.ts';

/** Compiled schedules are sums over a routine's own words, so they may be kept beside the store. */
const compiled = new Map<string, Schedule>();
const COMPILED_MAX = 20_000;

/** Undefined for a cron that never fires: one that the day rule of now reads otherwise than the one it was put under. */
function scheduleOf(
  world: World,
  trigger: Extract<Trigger, { type: 'schedule' }>,
): Schedule | undefined {
  const { cron_days: days, cron_gap: gap, cron_repeat: repeat } = world.profile.switches;
  const key = `${trigger.cron_expression}|${trigger.time_zone}|${days}|${gap}|${repeat}`;
  let found = compiled.get(key);
  if (!found) {
    const cron = readCron(trigger.cron_expression, days);
    const zone = readZone(trigger.time_zone);
    if (cron.kind === 'problem') return undefined;
    assert(zone !== undefined, 'a stored zone was known when it was put');
    found = schedule(cron, zone, { gap, repeat });
    if (compiled.size >= COMPILED_MAX) compiled.clear();
    compiled.set(key, found);
  }
  return found;
}

/** Puts the routine's next firing on the wheel, if it has one. */
export function arm(world: World, routine: RoutineRow): void {
  if (routine.enabled === 0) return;
  const trigger = JSON.parse(routine.trigger) as Trigger;
  const at = nextFiring(world, trigger, world.now);
  if (at !== undefined) world.addDue(at, TRIGGER, 'trigger', routine.key, subjectOf(routine.name));
}

export function disarm(world: World, routine: RoutineRow): void {
  cancelDue(world.store, routine.key);
}

function nextOf(
  world: World,
  trigger: Extract<Trigger, { type: 'schedule' }>,
  after: Instant,
): Instant | undefined {
  const plan = scheduleOf(world, trigger);
  return plan && nextFireAt(plan, after);
}

function nextFiring(world: World, trigger: Trigger, after: Instant): Instant | undefined {
  if (trigger.type === 'schedule') return nextOf(world, trigger, after);
  if (trigger.type !== 'timer' || trigger.fired) return undefined;
  if (trigger.at > after) return trigger.at;
  return isDueForHost(world, trigger.at) ? after : undefined;
}

/** A world that skips runs ahead of its host: a timer that a client set by the host's time is not past for the client. */
export function isDueForHost(world: World, at: Instant): boolean {
  return world.rate === 1 && world.skip && at > world.host.now();
}

export const firingHandlers: Record<string, DueHandler> = {
  trigger: (world, item) => void fireTrigger(world, item),
};

function fireTrigger(world: World, item: DueRow): void {
  const routine = findRoutineByKey(world.store, item.ref);
  assert(routine, `no routine for ${item.ref}`);
  const trigger = JSON.parse(routine.trigger) as Trigger;
  if (trigger.type === 'schedule') {
    const next = nextOf(world, trigger, world.now);
    if (next !== undefined) world.addDue(next, TRIGGER, 'trigger', routine.key, item.subject);
  } else if (trigger.type === 'timer') {
    markTimerFired(world, routine, trigger);
  }
  if (isSkipped(world, routine)) return;
  const source = trigger.type === 'timer' ? 'timer_delivery' : 'schedule_delivery';
  makeRun(world, routine, { source, scheduledFireAt: item.due_at, identifiedBy: item.due_at });
}

/** Whether the firing makes no run, because an earlier one is under way and `overlap` is skip; it is counted as missed. */
function isSkipped(world: World, routine: RoutineRow): boolean {
  if (world.profile.switches.overlap !== 'skip') return false;
  if (openRuns(world.store, routine.key).length === 0) return false;
  world.record({
    kind: 'missed',
    routine: routine.name,
    data: { trigger: routine.trigger_name, why: 'overlap', count: 1 },
  });
  return true;
}

/** A timer fires once. How its routine shows that it is over is assumed (switch `after_timer`). */
function markTimerFired(
  world: World,
  routine: RoutineRow,
  trigger: Extract<Trigger, { type: 'timer' }>,
): void {
  const enabled = world.profile.switches.after_timer === 'disabled' ? 0 : routine.enabled;
  putRoutine(world.store, {
    ...routine,
    enabled,
    trigger: JSON.stringify({ ...trigger, fired: true }),
  });
}

export interface RunRequest {
  source: AttemptSource;
  /** The instant that was planned, for a schedule or a timer. */
  scheduledFireAt?: Instant;
  /** The trigger's instant: noticing a firing twice gives one run. Without it the run has the next ordinal. */
  identifiedBy?: Instant;
  /** An event's payload overwrites the action's input. */
  event?: unknown;
  /** A dispatch's own input; null is a value. */
  input?: { value: unknown };
  clientRequestId?: string | undefined;
}

/** Makes a run and queues its delivery. A trigger's run is identified by what it is; a dispatched one by its ordinal. */
export function makeRun(
  world: World,
  routine: RoutineRow,
  request: RunRequest,
): { id: string; dispatch_id: string; correlation_id: string; task_id: string } {
  const action = JSON.parse(routine.action) as Action;
  const delivery: Delivery = { ...action };
  const own = request.event === undefined ? request.input : { value: request.event };
  if (own) Object.assign(delivery, { input: own.value, own_input: true });
  const byTrigger = request.source !== 'queued_dispatch' && request.source !== 'manual_dispatch';
  const ordinal = request.identifiedBy ?? world.ordinal(`run of ${routine.key}`);
  const id = world.draw.id('run-', request.source, routine.key, ordinal);
  const agent = action.agent_name ?? action.agent_endpoint_id ?? '';
  const ids = deliveryIds(world, id, agent, delivery);
  const { queue_delay } = world.profile.settings;
  const overlapping =
    world.profile.switches.overlap === 'queue' && openRuns(world.store, routine.key).length > 0;
  const seq = addRun(world.store, {
    id,
    routine: routine.name,
    routine_key: routine.key,
    phase: 'queued',
    attempt_source: request.source,
    trigger_type: byTrigger ? routine.trigger_type : null,
    trigger_name: byTrigger ? routine.trigger_name : null,
    event: request.event === undefined ? null : JSON.stringify(request.event),
    action: JSON.stringify(delivery),
    agent,
    triggered_at: world.now,
    scheduled_fire_at: request.scheduledFireAt ?? null,
    client_request_id: request.clientRequestId ?? null,
    ...ids,
  });
  const queued = { seq, routine: routine.name };
  if (overlapping) park(world, queued, 'run');
  else queueAttempt(world, queued, world.now + queue_delay);
  if (byTrigger) {
    const late =
      world.now - (request.scheduledFireAt ?? world.now) > world.profile.settings.late_after;
    world.fired.push({
      routine: routine.name,
      trigger: routine.trigger_name,
      at: world.now,
      run: id,
      late,
    });
    world.record({
      kind: 'fire',
      routine: routine.name,
      run: id,
      data: { trigger: routine.trigger_name, source: request.source },
    });
  }
  return { id, ...ids };
}

const SOURCE_OF: Record<TriggerType, AttemptSource> = {
  schedule: 'schedule_delivery',
  timer: 'timer_delivery',
  github_issue: 'event_fire',
  custom: 'event_fire',
};

/**
 * A trigger's instant, or its event, by control. A timer that was fired by hand is over. Undefined where the firing makes
 * no run.
 */
export function fireByHand(
  world: World,
  routine: RoutineRow,
  request: { event: unknown } | { scheduledFireAt: Instant },
) {
  const trigger = JSON.parse(routine.trigger) as Trigger;
  if (trigger.type === 'timer') {
    disarm(world, routine);
    markTimerFired(world, routine, trigger);
  }
  if (isSkipped(world, routine)) return undefined;
  return makeRun(world, routine, { source: SOURCE_OF[trigger.type], ...request });
}

/**
 * A restart, or a lid that was closed: schedules that are long overdue go on from their next instant and what they missed is
 * counted; a timer fires once, and retries run now. One turn, journaled as an input.
 */
export function moveLate(world: World, now: Instant): void {
  const { late_after } = world.profile.settings;
  if (overdue(world.store, 'trigger', now - late_after).length === 0) return;
  world.turn(() => applyLate(world, now));
}

export function applyLate(world: World, now: Instant): void {
  const { late_after } = world.profile.settings;
  const { late_schedule: schedules, late_timer: timers } = world.profile.switches;
  const late = overdue(world.store, 'trigger', now - late_after);
  // Made up one by one: they keep their own instants, and the engine runs them in order.
  if (schedules === 'all' && timers === 'fire') return;
  if (schedules !== 'all') world.moveTo(now);
  world.record({ kind: 'late', data: { to: isoInstant(now), count: late.length } });
  for (const item of late) {
    const routine = findRoutineByKey(world.store, item.ref);
    assert(routine, `no routine for ${item.ref}`);
    const trigger = JSON.parse(routine.trigger) as Trigger;
    if (trigger.type === 'timer') {
      if (timers === 'fire') continue;
      cancelDue(world.store, item.ref);
      markTimerFired(world, routine, trigger);
      world.record({
        kind: 'missed',
        routine: routine.name,
        data: { trigger: routine.trigger_name, why: 'late', count: 1 },
      });
      continue;
    }
    if (trigger.type !== 'schedule' || schedules === 'all') continue;
    let missed = 1;
    let last = item.due_at;
    for (
      let at = nextOf(world, trigger, last);
      at !== undefined && at <= now;
      at = nextOf(world, trigger, last)
    ) {
      missed += 1;
      last = at;
    }
    cancelDue(world.store, item.ref);
    const once = schedules === 'once';
    const next = once ? last : nextOf(world, trigger, now);
    if (next !== undefined) world.addDue(next, TRIGGER, 'trigger', routine.key, item.subject);
    const count = once ? missed - 1 : missed;
    world.record({
      kind: 'missed',
      routine: routine.name,
      data: { trigger: routine.trigger_name, why: 'late', count },
    });
  }
}
