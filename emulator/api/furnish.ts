/** Makes in a new world what a configuration names, by the operations that clients call; says what of it they would refuse. */
import { isDeepStrictEqual } from 'node:util';
import {
  type ConfigurationProblem,
  readConfigured,
  type Written,
} from '../../contracts/configuration.ts';
import {
  ALL_FEATURES,
  aboutAssistant,
  type Configured,
  type ConfiguredCall,
  callsOf,
  DEMO_AGENTS,
  DEMO_ASSISTANT,
  placeIn,
  routedTo,
} from '../../contracts/configured.ts';
import { type UnknownField, unknownFields } from '../../contracts/fields.ts';
import { near } from '../../contracts/near.ts';
import type { SchemaName } from '../../contracts/openapi.ts';
import { ApiError, shown } from '../errors.ts';
import type { Project } from '../projects.ts';
import { type AgentVersionRow, findAgent, latestRelease, listVersions } from '../store/agents.ts';
import { writeReply } from '../store/faults.ts';
import type { World } from '../world.ts';
import { comparable, type Definition, readDefinition } from './agent-definition.ts';
import { agentOperations } from './agents.ts';
import { assistantOperations, makeAssistant } from './assistants.ts';
import { readPlanOf } from './faults.ts';
import { type Answer, bodyAs, type Input } from './input.ts';
import { readReplyOf } from './replies.ts';
import { routineOperations } from './routines.ts';
import { makeVersion, readVersion } from './versions.ts';

/**
 * Makes what a world begins with, as far as the API takes it; answers what it refused, but for what follows from that. `named`
 * are the agents that the configuration names, be they made or not. Inside a turn.
 */
export function furnish(
  project: Project,
  { demo, agents, assistants, routines }: Configured & { demo: boolean },
  named: readonly string[] = Object.keys(agents),
): ConfigurationProblem[] {
  return atOnce(project.world, () => {
    const own = demo ? Object.keys(DEMO_AGENTS).filter((name) => !Object.hasOwn(agents, name)) : [];
    for (const name of own) makeDemo(project, name);
    if (demo && isFree(assistants)) makeDemoAssistant(project);
    /** By agent, what its versions are called; undefined for one that was refused. */
    const versions = new Map<string, (string | undefined)[]>();
    /** Assistants that were refused. */
    const missing = new Set<string>();
    return callsOf({ agents, assistants, routines }).flatMap((call) => {
      if (call.assistant !== undefined && missing.has(call.assistant)) return [];
      const name = call.params.agent_name ?? '';
      const numbers = versions.get(name) ?? [];
      if (PATCHES.includes(call.operation) && numbers.includes(undefined)) return [];
      let made: unknown;
      const error = project.world.attempt(() => {
        made = perform(project, sentTo(project.world, call, numbers));
      });
      if (call.place !== undefined) versions.set(name, [...numbers, versionIn(made)]);
      if (error === undefined) return [];
      if (!(error instanceof ApiError)) throw error;
      if (call.operation === 'createAssistant') missing.add(call.assistant ?? '');
      return problemsOf(call, error, named);
    });
  });
}

function sentTo(
  world: World,
  call: ConfiguredCall,
  numbers: readonly (string | undefined)[],
): ConfiguredCall {
  if (call.assistant === undefined) return routedTo(call, numbers);
  const id = assistantId(world, call.assistant, call.id);
  return { ...aboutAssistant(call, id), id };
}

/** The id of an assistant of the configuration, by its key: the same in a world that is made again. */
export function assistantId({ draw }: World, key: string, id: string | undefined): string {
  return id ?? draw.id('asst_', 'configured', key, 1);
}

/** By key, the ids of the assistants that a world was made with. */
export function assistantIds(world: World): Record<string, string> {
  const { demo, assistants = {} } = world.made;
  const { name, id } = DEMO_ASSISTANT;
  const own = demo && isFree(assistants) ? [[name, id]] : [];
  const named = Object.entries(assistants).map(([key, one]) => [
    key,
    assistantId(world, key, one.id),
  ]);
  return Object.fromEntries([...own, ...named]);
}

/** Whether nobody else has the name or the id of the demo assistant. */
function isFree(assistants: Configured['assistants']): boolean {
  const { name, id } = DEMO_ASSISTANT;
  return !Object.entries(assistants).some(([key, one]) => key === name || one.id === id);
}

/** Calls that change an agent whose versions are there. */
const PATCHES = ['patchAgent', 'disableAgent'];

function versionIn(made: unknown): string | undefined {
  return (made as { version: string } | undefined)?.version;
}

/**
 * By place, the version of an agent that a body would only make again; undefined where one must be made. The last release of a
 * list is the newest of its agent, as in a new world, so that one which is no more so is made again.
 */
export function standingVersions(
  { world }: Project,
  name: string,
  bodies: readonly unknown[],
): (string | undefined)[] {
  const agent = findAgent(world.store, name);
  if (!agent) return bodies.map(() => undefined);
  const there = listVersions(world.store, agent).filter(({ status }) => !GONE.includes(status));
  const unused = [...there];
  const repeats = world.profile.switches.dedup_versions === 'on' ? there : [];
  const found = [...bodies].reverse().map((body) => {
    const isMade = (version: AgentVersionRow) => isMadeBy(world, version, body);
    const version = unused.findLast(isMade) ?? repeats.findLast(isMade);
    if (version && unused.includes(version)) unused.splice(unused.indexOf(version), 1);
    return version?.version;
  });
  const standing = found.reverse();
  const last = bodies.findLastIndex((body) => !isDraft(body));
  const isNewest = standing[last] === latestRelease(world.store, agent)?.version;
  if (last >= 0 && (!isNewest || standing.slice(0, last).includes(undefined)))
    standing[last] = undefined;
  return standing;
}

const GONE = ['failed', 'deleting', 'deleted'];

function isDraft(body: unknown): boolean {
  return (body as { draft?: unknown } | null)?.draft === true;
}

function isMadeBy(world: World, version: AgentVersionRow, body: unknown): boolean {
  if ((version.draft === 1) !== isDraft(body)) return false;
  try {
    const { definition } = bodyAs('AgentVersionCreate', body);
    const read = readDefinition(world, version.agent, definition as Definition, undefined);
    return isDeepStrictEqual(
      comparable(JSON.parse(version.definition) as Definition),
      comparable(read),
    );
  } catch (error) {
    // What the API would not take was never made.
    if (error instanceof ApiError) return false;
    throw error;
  }
}

/** Nobody need check what is our own: to do so would load the whole description of the wire before the first answer. */
function makeDemo(project: Project, name: string): void {
  const input = inputFor(project, { agent_name: name }, undefined);
  const definition = DEMO_AGENTS[name] ?? {};
  const body = { definition, description: 'Made with the project.' };
  makeVersion(input, name, readVersion(input, name, body, undefined));
}

function makeDemoAssistant(project: Project): void {
  const { id, ...body } = DEMO_ASSISTANT;
  makeAssistant({ ...inputFor(project, {}, undefined), id }, body);
}

/** What is there from the beginning took no time to be provisioned. */
function atOnce<T>(world: World, work: () => T): T {
  const { profile } = world;
  world.profile = { ...profile, settings: { ...profile.settings, provisioning_time: 0 } };
  try {
    return work();
  } finally {
    world.profile = profile;
  }
}

/** The body of its answer. */
function perform(project: Project, { operation: name, params, body, id }: ConfiguredCall): unknown {
  if (name === 'setAgentReply') {
    const of = params.agent_name ?? '';
    writeReply(project.world.store, of, readReplyOf(of, body));
    return undefined;
  }
  const operation = [...agentOperations, ...assistantOperations, ...routineOperations].find(
    (one) => one.id === name,
  );
  if (operation?.kind !== 'write') throw new Error(`nothing writes ${name}`);
  // Whatever makes or changes an agent, an assistant or a routine is a write, and answers at once.
  return (operation.handle({ ...inputFor(project, params, body), id }) as Answer).body;
}

/** As of a client who has opted in to everything. */
function inputFor(project: Project, params: Record<string, string>, body: unknown): Input {
  return {
    project,
    params,
    query: new URLSearchParams('api-version=v1'),
    headers: new Headers({ 'foundry-features': ALL_FEATURES }),
    body,
    bytes: undefined,
    url: 'http://localhost/',
  };
}

/** A configuration, and all that is wrong with it; tried out in a world that is good for nothing else. */
export function readConfiguration(
  trial: Project,
  written: Written,
  faults: readonly unknown[],
): { configured: Configured; problems: ConfigurationProblem[] } {
  const { configured, problems } = readConfigured(written);
  const named = Object.keys((written.agents ?? {}) as object);
  for (const call of callsOf(configured)) problems.push(...slipsIn(call));
  trial.world.turn(() => problems.push(...furnish(trial, { ...configured, demo: false }, named)));
  return { configured, problems: [...problems, ...planProblems(faults)] };
}

/** Of each entry by itself; what only the whole can have is told when none of them has any. */
function planProblems(faults: readonly unknown[]): ConfigurationProblem[] {
  const entries = Array.isArray(faults) ? faults : [];
  const each = entries.flatMap((entry, index) =>
    planProblem([entry]).map(({ param, message }) => {
      const inPlan = (text: string) => text.replaceAll('faults[0]', `faults[${index}]`);
      return { param: inPlan(param), message: inPlan(message) };
    }),
  );
  return each.length > 0 ? each : planProblem(faults);
}

function planProblem(faults: readonly unknown[]): ConfigurationProblem[] {
  try {
    readPlanOf({ faults });
    return [];
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return [problemAt(error.param ?? 'faults', error)];
  }
}

/** Schemas of whole bodies, and of the fields of a patch. */
const BODIES: Record<string, SchemaName> = {
  createAgentVersion: 'AgentVersionCreate',
  createOrUpdateRoutine: 'RoutineCreateOrUpdate',
  agent_endpoint: 'AgentEndpointInput',
  agent_card: 'AgentCardInput',
};

/** The API lets pass what it does not know; in a file it is a slip. */
function slipsIn(call: ConfiguredCall): ConfigurationProblem[] {
  const { operation, field, body } = call;
  const patched = operation === 'patchAgent' ? field : undefined;
  const schema = BODIES[patched ?? operation];
  if (!schema) return [];
  const value = patched === undefined ? body : (body as Record<string, unknown>)[patched];
  return unknownFields(schema, value).map(({ path, known }: UnknownField) => {
    const param = placeIn(call, path.reduce<string>(joined, patched ?? ''));
    const message = `${param} is not a field here; use one of ${known.join(', ')}, or remove it.`;
    return { param, message, known };
  });
}

function joined(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  return path === '' ? key : `${path}.${key}`;
}

function problemsOf(
  call: ConfiguredCall,
  error: ApiError,
  named: readonly string[],
): ConfigurationProblem[] {
  const place = placeIn(call, error.param);
  const { action } = (call.body ?? {}) as { action?: { agent_name?: unknown } };
  const agent = action?.agent_name;
  if (error.rule !== 'routine/agent-exists' || typeof agent !== 'string')
    return [problemAt(place, error)];
  // What is wrong with the agent itself is told already.
  if (named.includes(agent)) return [];
  const message = `${place}: there is no agent ${shown(agent)}; name it under agents.${near(agent, named)}`;
  return [{ param: place, message }];
}

/** In the words of the API, with the place in the configuration where they name a field of the body. */
function problemAt(place: string, { param, message }: ApiError): ConfigurationProblem {
  const subject = param ?? 'The body';
  const said = message.startsWith(subject) ? message.slice(subject.length) : `: ${message}`;
  return { param: place, message: `${place}${said}` };
}
