/** What is done to a world's work by control: fault plans, gates, firings by hand. */
import { near } from '../../contracts/near.ts';
import { operations, type SchemaValue } from '../../contracts/openapi.ts';
import { isoInstant } from '../clock.ts';
import { conflict, invalid, notFound, shown } from '../errors.ts';
import { STRUCK } from '../fault-plan.ts';
import { badDuration } from '../faults.ts';
import type { Project } from '../projects.ts';
import { readPlan, writePlan } from '../store/faults.ts';
import { findRoutine } from '../store/routines.ts';
import { fireByHand } from '../work/firing.ts';
import { releaseGate } from '../work/withdraw.ts';
import { readInstant } from './clock.ts';
import { type Controlled, controlTurn, projectOf } from './controlled.ts';
import { type Answer, bodyAs } from './input.ts';

export function setFaults(call: Controlled): Answer {
  const project = projectOf(call);
  const faults = readPlanOf(call.body);
  replacePlan(call, project, faults);
  return { status: 200, body: { faults: viewPlan(project) } };
}

/** A plan that may be set, or the refusal that names its entry. */
export function readPlanOf(body: unknown): readonly unknown[] {
  const { faults } = bodyAs('FaultPlanUpdate', body);
  const known = new Set(
    operations()
      .filter(({ tag }) => tag !== 'Control')
      .map(({ operationId }) => operationId),
  );
  for (const [index, entry] of faults.entries()) {
    if ('at' in entry) requireTransition(entry, `faults[${index}]`);
    if ('operation' in entry && !known.has(entry.operation)) {
      throw invalid(
        `There is no operation ${shown(entry.operation)}.${near(entry.operation, [...known])} Known are: ${[...known].join(', ')}.`,
        `faults[${index}].operation`,
        'fault/operation-known',
      );
    }
  }
  const bad = badDuration(faults);
  if (bad)
    throw invalid(
      `${shown(bad.value)} is no duration. Write it like '5s', '2m' or 'PT5S'.`,
      bad.param,
      'fault/delay-is-a-duration',
    );
  return faults;
}

/** Refuses an entry of a transition that there is not: what it is of, which state that is in, what it becomes. */
function requireTransition(
  { of, from, to, error }: SchemaValue<'TransitionFaultEntry'>,
  at: string,
): void {
  const refuse = (field: string, value: unknown, known: readonly string[], where = '') =>
    invalid(
      `${at}.${field} cannot be ${shown(value)}${where}. Use ${known.join(' or ')}.`,
      `${at}.${field}`,
      'fault/transition-known',
    );
  const states = Object.hasOwn(STRUCK, of) ? STRUCK[of as keyof typeof STRUCK] : undefined;
  if (!states) throw refuse('of', of, Object.keys(STRUCK));
  if (from !== undefined && !Object.hasOwn(states, from))
    throw refuse('from', from, Object.keys(states));
  const ends = from === undefined ? Object.values(states).flat() : (states[from] ?? []);
  if (!ends.some((end) => end === to))
    throw refuse('to', to, [...new Set(ends)], from === undefined ? '' : ` from ${from}`);
  if (error !== undefined && to !== 'failed')
    throw invalid(
      `${at}.error is of what fails. Leave it out, or write to: failed.`,
      `${at}.error`,
      'fault/transition-known',
    );
}

export function replacePlan(call: Controlled, project: Project, faults: readonly unknown[]): void {
  const operation = faults.length > 0 ? 'setFaults' : 'clearFaults';
  controlTurn(call, project, operation, () => writePlan(project.world.store, faults));
  project.faults.forget();
}

export function release(call: Controlled): Answer {
  const project = projectOf(call);
  const gate = call.params.gate ?? '';
  const deliveries = controlTurn(call, project, 'releaseGate', () =>
    releaseGate(project.world, gate, project.engine),
  );
  const released = deliveries + project.engine.waits.openGate(gate);
  // A name that is mistyped lets nobody go.
  const gates = project.engine.holds.filter(({ kind }) => kind === 'gate');
  const waiting = released === 0 ? { waiting: gates.map(({ what }) => what) } : {};
  return { status: 200, body: { gate, released, ...waiting } };
}

export function fire(call: Controlled): Answer {
  const project = projectOf(call);
  const { world } = project;
  const body = bodyAs('FireRequest', call.body === undefined ? {} : call.body);
  const name = call.params.routine_name ?? '';
  const routine = findRoutine(world.store, name);
  if (!routine)
    throw notFound(
      `There is no routine '${name}' in project '${world.project}'.`,
      'routine/unknown-answers-404',
    );
  if (routine.enabled === 0)
    throw conflict(
      `The routine '${name}' is disabled, so its trigger does not fire. Enable it first.`,
      'routine/disabled-does-not-fire',
    );
  const event = routine.trigger_type === 'github_issue' || routine.trigger_type === 'custom';
  if (!event && body.payload !== undefined)
    throw invalid(
      `A trigger of type '${routine.trigger_type}' carries no payload. Leave it out.`,
      'payload',
      'control/fire-payload-for-events',
    );
  const at =
    body.scheduled_fire_at === undefined
      ? world.now
      : readInstant(body.scheduled_fire_at, 'scheduled_fire_at');
  const run = controlTurn(call, project, 'fireRoutine', () => {
    return fireByHand(
      world,
      routine,
      event ? { event: body.payload ?? {} } : { scheduledFireAt: at },
    );
  });
  // It is answered here: an advance that is under way lists only what fired by itself.
  const firing = run && world.fired.pop();
  return {
    status: 200,
    body: {
      routine: name,
      trigger: routine.trigger_name,
      at: isoInstant(world.now),
      run: run?.id ?? null,
      late: firing?.late ?? false,
    },
  };
}

export function viewPlan(project: Project): { entry: unknown; fired: number }[] {
  return readPlan(project.world.store).map((row) => ({
    entry: JSON.parse(row.entry) as unknown,
    fired: row.fired,
  }));
}
