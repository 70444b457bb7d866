/** Worlds by control: made, changed, reset, deleted, kept in snapshots, and how they are. */
import { isoInstant } from '../clock.ts';
import type { Emulated } from '../emulator.ts';
import { invalid } from '../errors.ts';
import {
  ASSUMED_SWITCHES,
  chooseProfile,
  isProblem,
  type Profile,
  type ProfileChange,
  SWITCHES,
} from '../profile.ts';
import type { Project } from '../projects.ts';
import { defaultSettings } from '../settings.ts';
import { listStuck } from '../store/due.ts';
import { freeQueued, freeWorkers } from '../work/queue.ts';
import { readInstant, viewClock } from './clock.ts';
import { type Controlled, controlTurn, projectOf, readProjectName } from './controlled.ts';
import { viewPlan } from './faults.ts';
import { type Answer, bodyAs } from './input.ts';

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

export function create(call: Controlled): Answer {
  const { emulated } = call;
  const body = bodyAs('ProjectCreate', call.body === undefined ? {} : call.body);
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

export function update(call: Controlled): Answer {
  const project = projectOf(call);
  const body = bodyAs('ProjectUpdate', call.body);
  const profile = profileOf(project.world.profile, body);
  controlTurn(call, project, 'updateProject', () => {
    project.world.profile = profile;
    project.world.save();
    freeWorkers(project.world);
    freeQueued(project.world);
  });
  return { status: 200, body: viewProject(project) };
}

export function remove(call: Controlled): Answer {
  call.emulated.projects.delete(readProjectName(call.params.p ?? ''));
  return { status: 204 };
}

export function reset(call: Controlled): Answer {
  const project = projectOf(call);
  const { snapshot } = bodyAs('ProjectReset', call.body === undefined ? {} : call.body);
  call.emulated.projects.reset(project, snapshot);
  return { status: 200, body: viewProject(project) };
}

export function viewProject(project: Project): Record<string, unknown> {
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

function changedSettings(profile: Profile): Record<string, number | string> {
  const settings = Object.entries(profile.settings);
  const defaults = defaultSettings(profile.name);
  return Object.fromEntries(
    settings.filter(([key, value]) => defaults[key as keyof typeof defaults] !== value),
  );
}

export function listSnapshots(call: Controlled): Answer {
  const project = projectOf(call);
  const snapshots = call.emulated.projects.snapshots(project);
  return {
    status: 200,
    body: {
      snapshots: snapshots.map(({ name, bytes, now }) => ({ name, bytes, now: isoInstant(now) })),
    },
  };
}

export function takeSnapshot(call: Controlled): Answer {
  const project = projectOf(call);
  const name = bodyAs('SnapshotName', call.params.snapshot);
  const taken = call.emulated.projects.takeSnapshot(project, name);
  return { status: 200, body: { ...taken, now: isoInstant(taken.now) } };
}

function statusOf(projects: { stuck: unknown[]; unwritable: string | null }[]): string {
  if (projects.some((project) => project.unwritable !== null)) return 'unwritable';
  return projects.some((project) => project.stuck.length > 0) ? 'stuck' : 'ok';
}

export function health(emulated: Emulated): Record<string, unknown> {
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
    unwritable: project.world.unwritable ?? null,
  }));
  const assumed = ASSUMED_SWITCHES.map((name) => ({
    rule: SWITCHES[name].rule,
    value: emulated.profile.switches[name],
  }));
  return {
    status: statusOf(projects),
    version: emulated.version,
    projects,
    limits: { ...emulated.profile.settings },
    assumed,
  };
}
