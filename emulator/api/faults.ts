/** What is done to a world's work by control: fault plans, gates, replies, firings by hand. */
import { operations, type SchemaValue } from '../../contracts/openapi.ts';
import { isoInstant } from '../clock.ts';
import { conflict, invalid, notFound, shown } from '../errors.ts';
import { badDuration } from '../faults.ts';
import type { Project } from '../projects.ts';
import { withoutSecrets } from '../replies.ts';
import { findAgent } from '../store/agents.ts';
import { readPlan, writePlan, writeReply } from '../store/faults.ts';
import { findRoutine } from '../store/routines.ts';
import { fireByHand } from '../work/firing.ts';
import { releaseGate } from '../work/withdraw.ts';
import { readDuration, readInstant } from './clock.ts';
import { type Controlled, controlTurn, projectOf } from './controlled.ts';
import { type Answer, bodyAs } from './input.ts';
import { readAgentName } from './versions.ts';

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
  return faults;
}

/** What a plan may turn into something else: coming up, whose end is one of these. */
const STRUCK: Record<string, readonly string[]> = {
  version: ['creating'],
  session: ['creating', 'idle'],
};
const STRUCK_ENDS = ['active', 'failed'];

function requireTransition(
  { of, from, to, error }: SchemaValue<'TransitionFaultEntry'>,
  at: string,
): void {
  const refuse = (field: string, value: unknown, known: readonly string[]) =>
    invalid(
      `${at}.${field} cannot be ${shown(value)}. Use ${known.join(' or ')}.`,
      `${at}.${field}`,
      'fault/transition-known',
    );
  const states = Object.hasOwn(STRUCK, of) ? STRUCK[of] : undefined;
  if (!states) throw refuse('of', of, Object.keys(STRUCK));
  if (from !== undefined && !states.includes(from)) throw refuse('from', from, states);
  if (!STRUCK_ENDS.includes(to)) throw refuse('to', to, STRUCK_ENDS);
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

export function setReply(call: Controlled): Answer {
  const project = projectOf(call);
  const agent = readAgentName(call.params.agent_name ?? '');
  const reply = readReply(call.body);
  requireVariable(project, reply);
  // Replay never calls out: it does without what is not written down.
  const told = { ...call, body: withoutSecrets(call.body) };
  controlTurn(told, project, 'setAgentReply', () => writeReply(project.world.store, agent, reply));
  const exists = findAgent(project.world.store, agent) !== undefined;
  return { status: 200, body: { agent, agent_exists: exists, reply: withoutKey(reply) } };
}

function requireVariable({ context }: Project, reply: SchemaValue<'Reply'>): void {
  const name = reply.kind === 'model' ? reply.api_key_env : undefined;
  if (name === undefined || context.outside.hasVariable?.(name) !== false) return;
  throw invalid(
    `api_key_env names the variable ${name}, which is not set where the emulator runs. Set it and start the emulator again.`,
    'api_key_env',
    'reply/model-key-one-way',
  );
}

/** A key is shown to nobody, not even to whom it came from. */
function withoutKey(reply: SchemaValue<'Reply'>): unknown {
  return 'api_key' in reply ? withoutSecrets(reply) : reply;
}

/** A reply that may be set, or the refusal that names its field. */
export function readReply(written: unknown): SchemaValue<'Reply'> {
  const reply = bodyAs('Reply', written);
  if ('url' in reply && !URL.canParse(reply.url))
    throw invalid(
      `url is ${shown(reply.url)}, which is no address. Write one such as http://127.0.0.1:8088.`,
      'url',
      'reply/url-is-http',
    );
  if ('url' in reply) requireBase(reply.url);
  if (reply.kind === 'model' && reply.api_key !== undefined && reply.api_key_env !== undefined)
    throw invalid(
      'A model has one key. Write api_key or api_key_env, not both.',
      'api_key_env',
      'reply/model-key-one-way',
    );
  for (const [index, turn] of (reply.kind === 'script' ? reply.turns : []).entries()) {
    const at = `turns[${index}]`;
    if ('accepted' in turn)
      readDuration(turn.accepted.after, `${at}.accepted.after`, 'reply/turn-known');
    if ('every' in turn) readDuration(turn.every, `${at}.every`, 'reply/turn-known');
  }
  return reply;
}

const OPERATION_AT_END = /\/(?:responses|invocations|chat\/completions)\/*$/;

/** The path of an operation is added to a reply's address, whichever is called. */
function requireBase(url: string): void {
  const { origin, pathname } = new URL(url);
  const base = pathname.replace(OPERATION_AT_END, '');
  if (base === pathname) return;
  throw invalid(
    `url ends with ${pathname.slice(base.length)}, which is added to it for each call. Write ${origin}${base}.`,
    'url',
    'reply/url-is-http',
  );
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
