/** A changed configuration, applied to the worlds that run by the calls that a client would make: the journal has them, and replay. */
import { isDeepStrictEqual } from 'node:util';
import { readConfigured } from '../contracts/configuration.ts';
import {
  ALL_FEATURES,
  aboutAssistant,
  type Configured,
  type ConfiguredAgent,
  type ConfiguredCall,
  callsOfAssistant,
  placeIn,
  routedTo,
  rulesOf,
  versionBodies,
} from '../contracts/configured.ts';
import { callsBetween } from '../contracts/configured-change.ts';
import { operations } from '../contracts/openapi.ts';
import { assistantId, standingVersions } from '../emulator/api/furnish.ts';
import { systemClock } from '../emulator/clock.ts';
import type { Emulator, Reconfiguration } from '../emulator/emulator.ts';
import { foundryToken } from '../emulator/identity.ts';
import { chooseProfile, type Profile } from '../emulator/profile.ts';
import type { Project } from '../emulator/projects.ts';
import { SETTINGS } from '../emulator/settings.ts';
import { findAssistant } from '../emulator/store/assistants.ts';

/** What became of a change. */
export interface Applied {
  /** What has changed: `agents.digest (version 2)`, `faults`. */
  changed: string[];
  /** What is named no more, and stays. */
  left: string[];
  /** In which projects. */
  projects: string[];
  /** What a project refused, where it stands in the configuration. */
  refused: { param: string; message: string }[];
}

/** Throws OptionError for a configuration that cannot be used, and then nothing has changed. */
export async function reconfigure(
  emulator: Emulator,
  before: Reconfiguration,
  after: Reconfiguration,
): Promise<Applied> {
  emulator.reconfigure(after);
  const calls = callsFor(before, after);
  const applied: Applied = { changed: [], left: leftOf(before, after), projects: [], refused: [] };
  if (calls.length === 0) return applied;
  applied.projects = await openProjects(emulator);
  /** By part, what became of it. */
  const changed = new Map<string, Part>();
  if (applied.projects.length === 0)
    for (const call of calls) changed.set(partOf(call), partIn(call, call, {}));
  const { configured } = readConfigured(after);
  for (const project of applied.projects) {
    const versions = new Map<string, (string | undefined)[]>();
    for (const asked of calls)
      for (const call of callsIn(emulator.project(project), asked, configured)) {
        const numbers = numbersFor(call, emulator.project(project), configured.agents, versions);
        if (call.place !== undefined && numbers[call.place] !== undefined) continue;
        const sent = routedTo(call, numbers);
        const answer = await send(emulator, project, sent);
        const body = (await answer.json().catch(() => ({}))) as Answered;
        const part = partOf(call);
        if (answer.ok) changed.set(part, { ...changed.get(part), ...partIn(call, sent, body) });
        else applied.refused.push(refusal(project, call, answer.status, body));
        if (call.place !== undefined) numbers[call.place] = body.version;
      }
  }
  applied.changed = [...changed].map(shownPart);
  return applied;
}

/**
 * What a call is in a project. An assistant that should be there is made where it is not, and is given what it lacks where it is;
 * one that is gone already need not go.
 */
function callsIn(
  { world }: Project,
  call: ConfiguredCall,
  { assistants }: Configured,
): ConfiguredCall[] {
  const { operation, assistant: key } = call;
  if (key === undefined) return [call];
  const id = assistantId(world, key, call.id);
  const about = (one: ConfiguredCall) => ({ ...aboutAssistant(one, id), id });
  const isThere = findAssistant(world.store, id) !== undefined;
  if (operation === 'deleteAssistant') return isThere ? [about(call)] : [];
  if (isThere && operation === 'createAssistant')
    return [about({ ...call, operation: 'updateAssistant' })];
  if (isThere || operation === 'createAssistant') return [about(call)];
  return callsOfAssistant(key, assistants[key] ?? {}).map(about);
}

interface Part {
  /** The last that was made. */
  version?: string | undefined;
  /** What the rules of its endpoint name, where those versions have other numbers than places in the file. */
  routed?: string | undefined;
  /** Whether it was an assistant that is named no more. */
  deleted?: boolean;
}

/** What the versions of a call's agent are called in a project; those that are not there yet are made by the calls to come. */
function numbersFor(
  { params }: ConfiguredCall,
  project: Project,
  agents: Record<string, ConfiguredAgent>,
  versions: Map<string, (string | undefined)[]>,
): (string | undefined)[] {
  const name = params.agent_name;
  const agent = name === undefined ? undefined : agents[name];
  if (name === undefined || agent === undefined) return [];
  const numbers = versions.get(name) ?? standingVersions(project, name, versionBodies(agent));
  versions.set(name, numbers);
  return numbers;
}

function partIn(call: ConfiguredCall, sent: ConfiguredCall, { version }: Answered): Part {
  const named = ({ body }: ConfiguredCall) =>
    (rulesOf(body) ?? []).map((rule) => (rule as { agent_version?: string }).agent_version);
  const [places, numbers] = [named(call), named(sent)];
  const routed = isDeepStrictEqual(places, numbers)
    ? undefined
    : `its rules for ${places.join(', ')} go to versions ${numbers.join(', ')}`;
  return {
    deleted: call.operation === 'deleteAssistant',
    ...(call.place === undefined ? {} : { version }),
    ...(routed === undefined ? {} : { routed }),
  };
}

function shownPart([part, { version, routed, deleted }]: [string, Part]): string {
  const said = [
    ...(deleted ? ['deleted'] : []),
    ...(version === undefined ? [] : [`version ${version}`]),
    ...(routed === undefined ? [] : [routed]),
  ];
  return said.length === 0 ? part : `${part} (${said.join('; ')})`;
}

interface Answered {
  version?: string;
  error?: { message?: string; param?: string | null };
}

/** `agents.digest` of whatever is said of that agent. */
function partOf({ at, assistant }: ConfiguredCall): string {
  if (assistant !== undefined) return `assistants.${assistant}`;
  const [top = '', name] = at.split('.');
  return name === undefined ? top : `${top}.${name}`;
}

function leftOf(before: Reconfiguration, after: Reconfiguration): string[] {
  return (['agents', 'routines'] as const).flatMap((key) =>
    Object.keys(before[key] ?? {})
      .filter((name) => !Object.hasOwn(after[key] ?? {}, name))
      .map((name) => `${key}.${name}`),
  );
}

/** Settings first: what is made then is made under them. */
function callsFor(before: Reconfiguration, after: Reconfiguration): ConfiguredCall[] {
  const was = readConfigured(before).configured;
  const is = readConfigured(after).configured;
  return [
    ...settingCalls(before, after),
    ...callsBetween(was, is),
    ...planCalls(before.faults ?? [], after.faults ?? []),
  ];
}

function planCalls(before: readonly unknown[], faults: readonly unknown[]): ConfiguredCall[] {
  if (isDeepStrictEqual(before, faults)) return [];
  const call = { params: {}, at: 'faults' };
  return faults.length === 0
    ? [{ operation: 'clearFaults', ...call }]
    : [{ operation: 'setFaults', ...call, body: { faults } }];
}

/** What is said no more goes back to its default; what another program changed meanwhile, and the file does not say, stays. */
function settingCalls(before: Reconfiguration, after: Reconfiguration): ConfiguredCall[] {
  // Both were tried before: neither is a problem.
  const [was, is] = [before, after].map(({ profile, switches = {}, settings = {} }) =>
    chooseProfile(undefined, {
      ...(profile === undefined ? {} : { profile }),
      switches,
      settings,
    }),
  ) as [Profile, Profile];
  const named = was.name === is.name ? {} : { profile: is.name };
  const switches = changedIn(was.name === is.name ? was.switches : {}, is.switches);
  const names = Object.keys(changedIn(was.settings, is.settings)) as (keyof typeof SETTINGS)[];
  const settings = names.map((name) => [name, after.settings?.[name] ?? SETTINGS[name].default]);
  const parts = [
    ...Object.keys(named),
    ...(Object.keys(switches).length > 0 ? ['switches'] : []),
    ...(settings.length > 0 ? ['settings'] : []),
  ];
  if (parts.length === 0) return [];
  const body = { ...named, switches, settings: Object.fromEntries(settings) };
  return [{ operation: 'updateProject', params: {}, body, at: parts.join(', ') }];
}

function changedIn(before: object, after: object): Record<string, unknown> {
  const was = before as Record<string, unknown>;
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => was[name] !== value));
}

async function openProjects(emulator: Emulator): Promise<string[]> {
  const answer = await send(emulator, '', { operation: 'listProjects', params: {}, at: '' });
  const { projects } = (await answer.json()) as { projects: { name: string }[] };
  return projects.map(({ name }) => name);
}

async function send(
  emulator: Emulator,
  project: string,
  { operation: name, params, body, id }: ConfiguredCall,
): Promise<Response> {
  const operation = operations().find(({ operationId }) => operationId === name);
  if (!operation) throw new Error(`openapi.yaml has no ${name}`);
  const values: Record<string, string> = { project, p: project, ...params };
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(values[name] ?? ''),
  );
  const version = path.startsWith('/api/') ? '?api-version=v1' : '';
  const request = new Request(`http://localhost${path}${version}`, {
    method: operation.method,
    headers: {
      authorization: `Bearer ${foundryToken(systemClock.now())}`,
      'foundry-features': ALL_FEATURES,
      'content-type': 'application/json',
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return emulator.fetch(request, { own: true, id: name === 'createAssistant' ? id : undefined });
}

function refusal(
  project: string,
  call: ConfiguredCall,
  status: number,
  { error }: Answered,
): { param: string; message: string } {
  const param = placeIn(call, error?.param ?? undefined);
  const message = `${param}: project '${project}' refuses it: ${error?.message ?? status}`;
  return { param, message };
}
