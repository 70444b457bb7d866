/** What is done to a world's work by control: fault plans, gates, replies, firings by hand. */
import { operations } from '../../contracts/openapi.ts';
import { isoInstant } from '../clock.ts';
import { conflict, invalid, notFound, shown } from '../errors.ts';
import { badDuration } from '../faults.ts';
import type { Project } from '../projects.ts';
import { withoutSecrets } from '../replies.ts';
import { readPlan, writePlan, writeReply } from '../store/faults.ts';
import { findRoutine } from '../store/routines.ts';
import { fireByHand } from '../work/firing.ts';
import { releaseGate } from '../work/withdraw.ts';
import { notEmulated, readAgentName } from './agents.ts';
import { readDuration, readInstant } from './clock.ts';
import { type Controlled, controlTurn, projectOf } from './controlled.ts';
import { type Answer, bodyAs } from './input.ts';

export function setFaults(call: Controlled): Answer {
  const project = projectOf(call);
  const { faults } = bodyAs('FaultPlanUpdate', call.body);
  const known = new Set(
    operations()
      .filter(({ tag }) => tag !== 'Control')
      .map(({ operationId }) => operationId),
  );
  for (const [index, entry] of faults.entries()) {
    if ('at' in entry) {
      const message = "Faults at a transition are not emulated yet. Use 'agent' or 'operation'.";
      throw notEmulated(message, `faults[${index}].at`);
    }
    if ('operation' in entry && !known.has(entry.operation)) {
      throw invalid(
        `There is no operation ${shown(entry.operation)}. Known are: ${[...known].join(', ')}.`,
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
  replacePlan(call, project, faults);
  return { status: 200, body: { faults: viewPlan(project) } };
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
  return {
    status: 200,
    body: { gate, released: deliveries + project.engine.waits.openGate(gate) },
  };
}

export function setReply(call: Controlled): Answer {
  const project = projectOf(call);
  const agent = readAgentName(call.params.agent_name ?? '');
  const reply = bodyAs('Reply', call.body);
  if (reply.kind === 'model') {
    throw notEmulated(
      'Replies of kind model are not emulated yet. Use echo, script or forward.',
      'kind',
    );
  }
  if (reply.kind === 'forward' && !URL.canParse(reply.url))
    throw invalid(
      `url is ${shown(reply.url)}, which is no address. Write one such as http://127.0.0.1:8088.`,
      'url',
      'reply/url-is-http',
    );
  for (const [index, turn] of (reply.kind === 'script' ? reply.turns : []).entries())
    if ('accepted' in turn)
      readDuration(turn.accepted.after, `turns[${index}].accepted.after`, 'reply/turn-known');
  // Replay never calls out: it does without what is not written down.
  const told = { ...call, body: withoutSecrets(call.body) };
  controlTurn(told, project, 'setAgentReply', () => writeReply(project.world.store, agent, reply));
  return { status: 200, body: { agent, reply } };
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
