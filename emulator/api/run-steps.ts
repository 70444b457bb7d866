/** The tag Run steps: what a run has done so far (contract/threads.md 5.5). */
import { findRunStep, pageRunSteps, placeOfRunStep } from '../store/thread-runs.ts';
import { viewRunStep } from '../work/thread-objects.ts';
import type { Answer, Input, Operation } from './input.ts';
import { subjectOf } from './on-thread.ts';
import { threadList } from './page.ts';
import { existing } from './thread-refusal.ts';
import { existingRun } from './thread-runs.ts';

const STEPS = '/threads/:thread_id/runs/:run_id/steps';

export const runStepOperations: Operation[] = [
  {
    id: 'listRunSteps',
    method: 'GET',
    path: STEPS,
    kind: 'read',
    handle: list,
    subject: (input) => subjectOf(existingRun(input)),
  },
  {
    id: 'getRunStep',
    method: 'GET',
    path: `${STEPS}/:step_id`,
    kind: 'read',
    handle: get,
    subject: (input) => subjectOf(existingRun(input)),
  },
];

function list(input: Input): Answer {
  const { store } = input.project.world;
  const { id } = existingRun(input);
  return threadList(input, {
    what: 'step',
    placeOf: (step) => placeOfRunStep(store, id, step),
    rows: (page) => pageRunSteps(store, id, page),
    view: viewRunStep,
    idOf: (step) => step.id,
  });
}

function get(input: Input): Answer {
  const { store } = input.project.world;
  const run = existingRun(input);
  const step = existing('step', input.params.step_id, (id) => findRunStep(store, run.id, id));
  return { status: 200, body: viewRunStep(step) };
}
