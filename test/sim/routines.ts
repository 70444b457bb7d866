/** What the model does to routines, their triggers and their runs. */
import { nextOf } from './cron.ts';
import { type Definition, define, type Json, type Situation } from './definition.ts';
import { cancel, isBehind } from './deliveries.ts';
import { type Fired, plan, type Routine, type Run, type State, unplan } from './state.ts';

/** The routine of this name that was not deleted. */
export function routineOf(state: State, name: string): Routine | undefined {
  return state.routines.find((routine) => routine.name === name && !routine.deleted);
}

/** The routine as it now stands, or every rule that its body breaks. */
export function put(state: State, name: string, body: Json): Routine | string[] {
  const old = routineOf(state, name);
  const situation: Situation = {
    now: state.now,
    agents: state.agents.map((agent) => agent.name),
    timerAt: old?.trigger.type === 'timer' ? old.trigger.at : undefined,
    switches: state.switches,
  };
  const definition = define(body, situation);
  if (Array.isArray(definition)) return definition;
  const fired = old?.spent ?? false;
  const routine = old ? replace(state, old, definition) : make(state, name, definition);
  // routine/unchanged-timer-may-be-past: it does not fire again, also where it was fired by hand before its instant.
  const { at } = routine.trigger;
  const again = fired && at === situation.timerAt;
  routine.spent = routine.trigger.type === 'timer' && (again || at <= state.now);
  arm(state, routine);
  return routine;
}

function make(state: State, name: string, definition: Definition): Routine {
  const times = { createdAt: state.now, updatedAt: state.now };
  state.keys += 1;
  const routine = { ...definition, key: state.keys, name, ...times, spent: false, deleted: false };
  state.routines.push(routine);
  return routine;
}

function replace(state: State, routine: Routine, definition: Definition): Routine {
  const { on_replace, on_disable } = state.switches;
  const disabled = routine.enabled && !definition.enabled;
  if (on_replace === 'cancel') cancel(state, routine.key);
  // routine/authorization-is-for-creation
  const { identity } = routine;
  Object.assign(routine, definition, { identity, updatedAt: state.now });
  if (disabled && on_disable === 'cancel') cancel(state, routine.key);
  if (on_replace !== 'new_action') return routine;
  for (const run of state.runs) {
    if (run.routine !== routine.key || run.endedAt !== undefined) continue;
    run.action = definition.action;
    if (!run.ownInput) run.input = definition.action.shown.input;
  }
  return routine;
}

export function enable(state: State, routine: Routine): void {
  const { trigger } = routine;
  routine.enabled = true;
  routine.updatedAt = state.now;
  // A timer whose instant passed while its routine was disabled did not fire, and never does.
  if (trigger.type === 'timer' && trigger.at <= state.now) routine.spent = true;
  // One that is enabled already is set anew too: it then comes last of its instant. Nobody says otherwise.
  arm(state, routine);
}

export function disable(state: State, routine: Routine): void {
  routine.enabled = false;
  routine.updatedAt = state.now;
  unplan(state, routine.key, 'trigger');
  if (state.switches.on_disable === 'cancel') cancel(state, routine.key);
}

export function remove(state: State, routine: Routine): void {
  routine.deleted = true;
  unplan(state, routine.key, 'trigger');
  if (state.switches.on_delete === 'cancel') cancel(state, routine.key);
}

/** A trigger's instant has come. */
export function come(state: State, routine: Routine, at: number): Fired {
  const fired = fire(state, routine, at, {});
  arm(state, routine);
  return fired;
}

/**
 * A firing; its run is null where a switch lets it make none. By hand it is as if the instant had come (control/fire), and
 * a timer fires exactly once (routine/timer-fires-once): so its own instant fires it no more.
 */
export function fire(
  state: State,
  routine: Routine,
  at: number,
  payload: Json,
  byHand = false,
): Fired {
  const { type, name } = routine.trigger;
  const fired: Fired = { routine: routine.name, trigger: name, at, run: null };
  if (type === 'timer') {
    routine.spent = true;
    if (state.switches.after_timer === 'disabled') routine.enabled = false;
    arm(state, routine);
  }
  const busy = state.runs.some((run) => run.routine === routine.key && run.endedAt === undefined);
  if (busy && state.switches.overlap === 'skip') return fired;
  const event = isEvent(routine);
  const run = start(state, routine, {
    source: event ? 'event_fire' : `${type}_delivery`,
    triggerType: type,
    triggerName: name,
    ownInput: event,
    byHand,
    input: event ? payload : routine.action.shown.input,
    ...(event ? { payload } : { scheduledFireAt: at }),
  });
  fired.run = run.key;
  return fired;
}

/** A run that is queued. */
export function start(
  state: State,
  routine: Routine,
  made: Pick<Run, 'source' | 'ownInput' | 'input'> & Partial<Run>,
): Run {
  const { queue_delay } = state.settings;
  const busy = state.runs.some((run) => run.routine === routine.key && run.endedAt === undefined);
  state.keys += 1;
  const run: Run = {
    key: state.keys,
    routine: routine.key,
    routineName: routine.name,
    action: routine.action,
    promised: routine.action.type,
    triggeredAt: state.now,
    phase: 'queued',
    attempts: 0,
    open: false,
    behind: busy && state.switches.overlap === 'queue',
    ...made,
  };
  state.runs.push(run);
  const at = state.now + Number(queue_delay);
  if (isBehind(state, run)) state.waiting.push(run.key);
  else plan(state, { at, class: 0, what: 'attempt', of: run.key });
  return run;
}

export function isEvent({ trigger }: Routine): boolean {
  return trigger.type === 'custom' || trigger.type === 'github_issue';
}

/** The runs listed under a name, oldest first; undefined where nobody ever had it. */
export function runsOf(state: State, name: string): Run[] | undefined {
  const { runs_of_deleted, runs_of_recreated } = state.switches;
  const all = state.routines.filter((routine) => routine.name === name);
  const routine = routineOf(state, name);
  if (all.length === 0 || (!routine && runs_of_deleted === 'hidden')) return undefined;
  // run/new-routine-starts-empty, run/kept-after-delete
  const ran = all.filter(({ key }) => state.runs.some((run) => run.routine === key));
  // Of several deleted ones the name lists the runs of the last that has some; nobody says otherwise.
  const last = routine ? [routine] : ran.slice(-1);
  const listed = runs_of_recreated === 'empty' ? last : all;
  const runs = state.runs.filter((run) => listed.some(({ key }) => key === run.routine));
  // Nobody says what the list of a deleted routine without runs is; here it is as unknown as its name.
  return !routine && runs.length === 0 ? undefined : runs;
}

/** Sets the instant at which the trigger fires next, if it ever does. */
function arm(state: State, routine: Routine): void {
  unplan(state, routine.key, 'trigger');
  const { trigger, enabled, deleted, spent, key } = routine;
  if (!enabled || deleted || spent || isEvent(routine)) return;
  const { cron_days = '', cron_gap = '', cron_repeat = '' } = state.switches;
  const at =
    trigger.type === 'timer'
      ? trigger.at
      : nextOf(trigger.cron, trigger.zone, state.now, cron_days, cron_gap, cron_repeat);
  // A switch may have made a cron one that never fires.
  if (at < Number.POSITIVE_INFINITY) plan(state, { at, class: 1, what: 'trigger', of: key });
}
