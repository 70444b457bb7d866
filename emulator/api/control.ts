/** The tag Control: what can be done to a world beyond the API. The routes are the table of contracts/control.ts. */
import type { Context, Hono } from 'hono';
import { CONTROL_CALLS, type ControlCall } from '../../contracts/control.ts';
import { operations } from '../../contracts/openapi.ts';
import { type Connection, decode, toResponse } from '../app.ts';
import { type Instant, isoInstant, parseDuration } from '../clock.ts';
import type { Emulated } from '../emulator.ts';
import { ApiError, conflict, invalid, notFound, shown } from '../errors.ts';
import { badDuration } from '../faults.ts';
import { answerIdentity, principalOf } from '../identity.ts';
import {
  chooseProfile,
  isProblem,
  type Profile,
  type ProfileChange,
  SETTINGS,
  SWITCHES,
} from '../profile.ts';
import type { Project } from '../projects.ts';
import { listStuck } from '../store/due.ts';
import { readPlan, writePlan, writeReply } from '../store/faults.ts';
import { findRoutine } from '../store/routines.ts';
import { releaseGate } from '../work/delivery.ts';
import { fireByHand } from '../work/firing.ts';
import { advance } from './advance.ts';
import { notEmulated } from './agents.ts';
import { type Answer, bodyAs, readJson } from './input.ts';
import { readJournal } from './journal.ts';

/** What a control call is given. */
export interface Controlled {
  c: Context<{ Bindings: Connection }>;
  emulated: Emulated;
  params: Record<string, string>;
  body: unknown;
}

/** As long as a routine's name may be; the service's own limit is not public. */
const PROJECT_NAME_MAX = 128;

type Handler = (call: Controlled) => Answer | Response | Promise<Answer | Response>;

const HANDLERS: Record<string, Handler> = {
  getHealth: ({ emulated }) => ({ status: 200, body: health(emulated) }),
  getReady: ({ emulated }) => ({ status: 200, body: emulated.ready() }),
  getCa: ({ emulated }) => certificate(emulated),
  getIdentityToken: ({ c, emulated }) => answerIdentity(c.req.raw, emulated.identity),
  listProjects: ({ emulated }) => ({
    status: 200,
    body: { projects: emulated.projects.list().map(viewProject) },
  }),
  createProject: create,
  updateProject: update,
  deleteProject: remove,
  resetProject: reset,
  getClock: (call) => ({ status: 200, body: viewClock(projectOf(call)) }),
  setClock,
  advanceClock: (call) => advance(call, projectOf(call)),
  stopClock: (call) => {
    const project = projectOf(call);
    project.engine.stop();
    return { status: 200, body: viewClock(project) };
  },
  getFaults: (call) => ({ status: 200, body: { faults: viewPlan(projectOf(call)) } }),
  setFaults,
  clearFaults: (call) => {
    replacePlan(call, projectOf(call), []);
    return { status: 204 };
  },
  releaseGate: release,
  setAgentReply: setReply,
  fireRoutine: fire,
  getJournal: (call) => readJournal(call, projectOf(call)),
  listSnapshots: (call) => listSnapshots(call, projectOf(call)),
  takeSnapshot: (call) => takeSnapshot(call, projectOf(call)),
};

export function controlOperations(app: Hono<{ Bindings: Connection }>, emulated: Emulated): void {
  for (const call of CONTROL_CALLS) {
    const handler = HANDLERS[call.operation];
    if (!handler) throw new Error(`nothing handles ${call.operation}`);
    app.on(call.method, routeOf(call), (c) => answer(c, emulated, call, handler));
  }
}

/** A verb after the last parameter is a part of its segment, which Hono matches as one parameter. */
function routeOf(call: ControlCall): string {
  const segments = call.path.split('/').map((segment) => {
    const parameter = /^\{(\w+)\}(:\w+)?$/.exec(segment);
    if (!parameter) return segment;
    return parameter[2] ? `:${parameter[1]}{.+${parameter[2]}}` : `:${parameter[1]}{[^/:]+}`;
  });
  return `/_emulator${segments.join('/')}`;
}

async function answer(
  c: Controlled['c'],
  emulated: Emulated,
  call: ControlCall,
  handler: Handler,
): Promise<Response> {
  if (!call.open) admit(c, emulated);
  const params: Record<string, string> = {};
  for (const [name, value] of Object.entries(c.req.param()))
    params[name] = decode(String(value).replace(/:[a-z]+$/, ''));
  const body = call.method === 'GET' ? undefined : readJson(await c.req.text());
  const result = await handler({ c, emulated, params, body });
  if (result instanceof Response) return result;
  const project = params.p === undefined ? undefined : emulated.projects.find(params.p);
  return toResponse(
    result,
    project?.world.now ?? emulated.host.now(),
    c.req.header('x-ms-client-request-id') ?? 'control',
  );
}

function admit(c: Controlled['c'], emulated: Emulated): void {
  if (!emulated.control)
    throw notFound('Control is off: this emulator was started with --no-control.', 'control/off');
  if (emulated.controlToken === undefined) return;
  const token = /^bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (token === emulated.controlToken) return;
  throw new ApiError({
    status: 401,
    code: 'Unauthorized',
    message:
      'This control call needs the token that the emulator was started with: Authorization: Bearer CONTROL_TOKEN.',
    rule: 'control/token',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

function projectOf(call: Controlled): Project {
  return call.emulated.projects.get(readProjectName(call.params.p ?? ''));
}

export function readProjectName(name: string): string {
  if (name.length > 0 && name.length <= PROJECT_NAME_MAX) return name;
  throw invalid(
    `A project's name has 1 to ${PROJECT_NAME_MAX} characters; this one has ${name.length}. Shorten it.`,
    'project',
    'control/project-name-max-128',
  );
}

/** One control turn: the change and its journal line, which replay reads as an input. */
function controlTurn<T>(call: Controlled, project: Project, operation: string, work: () => T): T {
  const { world, engine } = project;
  return world.turn(() => {
    const line = world.reserveLine();
    const result = work();
    const { p: _, ...params } = call.params;
    const data: Record<string, unknown> = { operation, params };
    if (call.body !== undefined) data.body = call.body;
    if (engine.advancing) data.interleaved = true;
    const extra = { principal: principalOf(call.c.req.header('authorization')).kind };
    world.record({ kind: 'control', data, extra }, line);
    return result;
  });
}

function profileOf(base: Profile | undefined, change: ProfileChange): Profile {
  const chosen = chooseProfile(base, change);
  if (!isProblem(chosen)) return chosen;
  const rule = chosen.param.startsWith('settings')
    ? 'control/setting-known'
    : chosen.param.startsWith('switches')
      ? 'control/switch-known'
      : 'control/profile-known';
  throw invalid(chosen.message, chosen.param, rule);
}

function create(call: Controlled): Answer {
  const { emulated } = call;
  const body = bodyAs('ProjectCreate', call.body ?? {});
  const byDefault = emulated.projects.madeByDefault(readProjectName(call.params.p ?? ''));
  const project = emulated.projects.create({
    ...byDefault,
    ...(body.now === undefined ? {} : { now: readInstant(body.now, 'now'), nowNamed: true }),
    rate: body.rate ?? byDefault.rate,
    skip: body.skip ?? byDefault.skip,
    seed: body.seed === undefined ? byDefault.seed : String(body.seed),
    profile: profileOf(emulated.profile, body),
    demo: body.empty === undefined ? byDefault.demo : !body.empty,
  });
  return { status: 201, body: viewProject(project) };
}

function update(call: Controlled): Answer {
  const project = projectOf(call);
  const body = bodyAs('ProjectUpdate', call.body);
  const profile = profileOf(project.world.profile, body);
  controlTurn(call, project, 'updateProject', () => {
    project.world.profile = profile;
    project.world.save();
  });
  return { status: 200, body: viewProject(project) };
}

function remove(call: Controlled): Answer {
  call.emulated.projects.delete(call.params.p ?? '');
  return { status: 204 };
}

function reset(call: Controlled): Answer {
  const project = projectOf(call);
  const { snapshot } = bodyAs('ProjectReset', call.body ?? {});
  call.emulated.projects.reset(project, snapshot);
  return { status: 200, body: viewProject(project) };
}

async function setClock(call: Controlled): Promise<Answer> {
  const project = projectOf(call);
  const { world, engine } = project;
  const body = bodyAs('ClockUpdate', call.body);
  const now = body.now === undefined ? undefined : readInstant(body.now, 'now');
  if (now !== undefined && now < world.now) throw backwards(now, world.now, 'now');
  if (now !== undefined && engine.advancing) throw busy();
  // What is due on the way runs: setting the clock is no way around it.
  if (now !== undefined) await engine.advance({ limit: now });
  controlTurn(call, project, 'setClock', () =>
    world.setClock({ now, rate: body.rate, skip: body.skip }),
  );
  return { status: 200, body: viewClock(project) };
}

function setFaults(call: Controlled): Answer {
  const project = projectOf(call);
  const { faults } = bodyAs('FaultPlanUpdate', call.body);
  const known = new Set(operations().map((operation) => operation.operationId));
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

function replacePlan(call: Controlled, project: Project, faults: readonly unknown[]): void {
  const operation = faults.length > 0 ? 'setFaults' : 'clearFaults';
  controlTurn(call, project, operation, () => writePlan(project.world.store, faults));
  project.faults.forget();
}

function release(call: Controlled): Answer {
  const project = projectOf(call);
  const gate = call.params.gate ?? '';
  const deliveries = controlTurn(call, project, 'releaseGate', () =>
    releaseGate(project.world, gate, project.engine),
  );
  return { status: 200, body: { gate, released: deliveries + project.engine.openGate(gate) } };
}

function setReply(call: Controlled): Answer {
  const project = projectOf(call);
  const agent = call.params.agent_name ?? '';
  const reply = bodyAs('Reply', call.body);
  if (reply.kind === 'model') {
    throw notEmulated(
      'Replies of kind model are not emulated yet. Use echo, script or forward.',
      'kind',
    );
  }
  controlTurn(call, project, 'setAgentReply', () => writeReply(project.world.store, agent, reply));
  return { status: 200, body: { agent, reply } };
}

function fire(call: Controlled): Answer {
  const project = projectOf(call);
  const { world } = project;
  const body = bodyAs('FireRequest', call.body ?? {});
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
  world.fired = [];
  return {
    status: 200,
    body: {
      routine: name,
      trigger: routine.trigger_name,
      at: isoInstant(world.now),
      run: run.id,
      late: false,
    },
  };
}

function listSnapshots(call: Controlled, project: Project): Answer {
  const snapshots = call.emulated.projects.snapshots(project);
  return {
    status: 200,
    body: {
      snapshots: snapshots.map(({ name, bytes, now }) => ({ name, bytes, now: isoInstant(now) })),
    },
  };
}

function takeSnapshot(call: Controlled, project: Project): Answer {
  const name = bodyAs('SnapshotName', call.params.snapshot);
  const taken = call.emulated.projects.takeSnapshot(project, name);
  return { status: 200, body: { ...taken, now: isoInstant(taken.now) } };
}

function certificate(emulated: Emulated): Answer {
  const pem = emulated.caPem?.();
  if (pem === undefined)
    throw notFound('There is no CA here: this emulator has no TLS of its own.', 'control/ca');
  return { status: 200, text: pem, headers: { 'content-type': 'application/x-pem-file' } };
}

export function readInstant(text: string, param: string): Instant {
  const at = /(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw invalid(
      `${shown(text)} is no instant. Write it with an offset, like 2026-06-01T07:00:00Z.`,
      param,
      'clock/now-is-an-instant',
    );
  return at;
}

export function readDuration(
  text: string,
  param: string,
  rule = 'clock/advance-by-to-or-until',
): number {
  const ms = parseDuration(text);
  if (ms === undefined)
    throw invalid(
      `${shown(text)} is no duration. Write it like '90s', '2m', '1h30m' or 'P30D'.`,
      param,
      rule,
    );
  return ms;
}

export function backwards(to: Instant, now: Instant, param: string): ApiError {
  return invalid(
    `The clock stands at ${isoInstant(now)} and does not go back to ${isoInstant(to)}. Reset the project to start over.`,
    param,
    'clock/never-goes-back',
  );
}

export function busy(): ApiError {
  return conflict(
    'The clock is being advanced already. Wait for it, or stop it with clock:stop.',
    'clock/one-advance-at-a-time',
  );
}

export function viewClock(project: Project): Record<string, unknown> {
  const { world, engine } = project;
  return {
    now: isoInstant(world.now),
    rate: world.rate,
    skip: world.skip,
    advancing: engine.advancing,
    waiting: engine.waitingFor.map(({ what, until }) => ({
      what,
      until: until === undefined ? null : isoInstant(until),
    })),
    heldBy: engine.holds,
  };
}

function viewProject(project: Project): Record<string, unknown> {
  const { world } = project;
  return {
    name: world.project,
    epoch: world.epoch,
    seed: world.draw.seed,
    profile: world.profile.name,
    switches: changedSwitches(world.profile),
    settings: changedSettings(world.profile),
    store: world.store.path === undefined ? 'memory' : 'file',
    clock: viewClock(project),
  };
}

function changedSwitches(profile: Profile): Record<string, string> {
  const named = chooseProfile(undefined, { profile: profile.name }) as Profile;
  const { switches } = profile;
  const changed = Object.entries(switches).filter(
    ([key, value]) => (named.switches as Record<string, string>)[key] !== value,
  );
  return Object.fromEntries(changed);
}

function changedSettings(profile: Profile): Record<string, number> {
  const settings = Object.entries(profile.settings);
  return Object.fromEntries(
    settings.filter(([key, value]) => SETTINGS[key as keyof typeof SETTINGS].default !== value),
  );
}

function viewPlan(project: Project): { entry: unknown; fired: number }[] {
  return readPlan(project.world.store).map((row) => ({
    entry: JSON.parse(row.entry) as unknown,
    fired: row.fired,
  }));
}

function health(emulated: Emulated): Record<string, unknown> {
  const projects = emulated.projects.list().map((project) => ({
    name: project.world.project,
    clock: viewClock(project),
    faults: viewPlan(project),
    stuck: listStuck(project.world.store).map((row) => ({
      at: isoInstant(row.due_at),
      item: `${row.kind} ${row.ref}`,
      error: row.error,
    })),
    switches: changedSwitches(project.world.profile),
  }));
  const assumed = Object.entries(SWITCHES).map(([name, { rule }]) => ({
    rule,
    value: emulated.profile.switches[name as keyof typeof SWITCHES],
  }));
  return {
    status: projects.some((project) => project.stuck.length > 0) ? 'stuck' : 'ok',
    version: emulated.version,
    projects,
    limits: { ...emulated.profile.settings },
    assumed,
  };
}
