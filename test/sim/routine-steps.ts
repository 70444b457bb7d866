/** What the model answers to the steps of a story that are about routines. */
import { viewRoutine } from './answers.ts';
import type { Json } from './definition.ts';
import { disable, enable, fire, isEvent, put, remove, routineOf, start } from './routines.ts';
import type { Routine, State } from './state.ts';
import type { Expected, Refusal, RoutineStep } from './step.ts';

export const UNKNOWN_ROUTINE: Refusal = [404, 'routine/unknown-answers-404'];

export function takeRoutineStep(state: State, step: RoutineStep): Expected {
  switch (step.do) {
    case 'put':
      return define(state, step.name, step.body);
    case 'get':
      return onRoutine(state, step.name, () => {});
    case 'enable':
      return onRoutine(state, step.name, (routine) => enable(state, routine));
    case 'disable':
      return onRoutine(state, step.name, (routine) => disable(state, routine));
    case 'delete':
      return drop(state, step.name);
    case 'dispatch':
      return dispatch(state, step.name, step.body ?? {});
    case 'fire':
      return fireByHand(state, step.name, step.body ?? {});
  }
}

function define(state: State, name: string, body: Json): Expected {
  const made = routineOf(state, name) === undefined;
  const routine = put(state, name, body);
  if (Array.isArray(routine)) return refused(...routine.map((rule): Refusal => [400, rule]));
  const status = made ? Number(state.switches.put_create_status) : 200;
  return { status, routine: viewRoutine(routine) };
}

function onRoutine(state: State, name: string, change: (routine: Routine) => void): Expected {
  const routine = routineOf(state, name);
  if (!routine) return refused(UNKNOWN_ROUTINE);
  change(routine);
  return { status: 200, routine: viewRoutine(routine) };
}

function drop(state: State, name: string): Expected {
  const routine = routineOf(state, name);
  if (routine) remove(state, routine);
  else if (state.switches.delete_missing === '404') return refused([404, 'routine/delete-missing']);
  return { status: 204 };
}

function dispatch(state: State, name: string, { payload }: Json): Expected {
  const { switches } = state;
  const routine = routineOf(state, name);
  if (!routine) return refused(UNKNOWN_ROUTINE);
  const refusals: Refusal[] = [];
  const { type, ...given } = (payload ?? { type: routine.action.type }) as Json;
  if (type !== routine.action.type) refusals.push([400, 'dispatch/payload-type-matches']);
  if (!routine.enabled && switches.dispatch_when_disabled === 'refuse')
    refusals.push([409, 'dispatch/when-disabled']);
  if (refusals.length > 0) return refused(...refusals);
  const run = start(state, routine, {
    source: switches.dispatch_source ?? '',
    ownInput: 'input' in given,
    input: 'input' in given ? given.input : routine.action.shown.input,
  });
  return { status: 200, run: run.key };
}

/** control/fire: as if the trigger's instant or its event had come. */
function fireByHand(state: State, name: string, { payload }: Json): Expected {
  const routine = routineOf(state, name);
  if (!routine) return refused(UNKNOWN_ROUTINE);
  const refusals: Refusal[] = [];
  if (!routine.enabled) refusals.push([409, 'routine/disabled-does-not-fire']);
  if (payload !== undefined && !isEvent(routine))
    refusals.push([400, 'control/fire-payload-for-events']);
  if (refusals.length > 0) return refused(...refusals);
  return { status: 200, fired: [fire(state, routine, state.now, (payload ?? {}) as Json, true)] };
}

function refused(...refusals: Refusal[]): Expected {
  return { refusals };
}
