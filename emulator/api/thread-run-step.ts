/** Thread runs moved by hand, by control. */
import { notFound, shown } from '../errors.ts';
import { findThreadRun, type ThreadRunRow } from '../store/thread-runs.ts';
import { viewThreadRun } from '../work/thread-objects.ts';
import { stepThreadRun } from '../work/thread-run-step.ts';
import type { World } from '../world.ts';
import { type Controlled, controlTurn, projectOf } from './controlled.ts';
import { type Answer, bodyAs } from './input.ts';

export function stepRun(call: Controlled): Answer {
  const project = projectOf(call);
  const { world, engine, faults, context } = project;
  const body = bodyAs('StepRequest', call.body === undefined ? {} : call.body);
  const id = call.params.run_id ?? '';
  const run = existingRun(world, id);
  const opened = controlTurn(call, project, 'stepRun', () =>
    stepThreadRun({ world, faults, outside: context.outside }, run, body),
  );
  if (opened) engine.calls.start([opened]);
  return { status: 200, body: viewThreadRun(existingRun(world, id)) };
}

function existingRun({ store, project }: World, id: string): ThreadRunRow {
  const run = findThreadRun(store, id);
  if (run) return run;
  throw notFound(`There is no thread run ${shown(id)} in project '${project}'.`, 'control/step');
}
