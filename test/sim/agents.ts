/** What the model does to agents and their versions. */
import type { Json } from './definition.ts';
import type { Agent, Rule, Session, Version } from './resources.ts';
import { plan, type State, unplan } from './state.ts';
import type { Refusal } from './step.ts';
import { readVersion, type Told } from './versions.ts';

export const UNKNOWN_AGENT: Refusal = [404, 'agent/unknown-answers-404'];
export const UNKNOWN_VERSION: Refusal = [404, 'version/unknown-answers-404'];

export function agentOf(state: State, name: string): Agent | undefined {
  return state.agents.find((agent) => agent.name === name);
}

export function versionOf(agent: Agent, version: string): Version | undefined {
  return agent.versions.find((one) => one.version === version);
}

/** The release that was made last and is still there, whatever its status; never a draft. */
export function latestOf({ versions }: Agent): Version | undefined {
  return versions.findLast(({ draft }) => !draft);
}

/** What an agent is answered with: a draft only where there is no release. */
export function shownOf(agent: Agent): Version | undefined {
  return latestOf(agent) ?? agent.versions.at(-1);
}

/** POST /agents: a new agent, or a new version of one that is there. */
export function makeAgent(state: State, name: string, body: Json): Agent | Refusal[] {
  const told = readVersion(name, body);
  const broken = Array.isArray(told) ? told : [];
  const old = agentOf(state, name);
  const { agent_endpoint, agent_card, state: asked } = body;
  if (old && state.switches.conflict_on_existing_agent === 'conflict')
    broken.push([409, 'agent/create-again-makes-a-version']);
  if (broken.length > 0 || Array.isArray(told)) return broken;
  if (!old && isFirstDraft(state, told)) return [FIRST_DRAFT];
  const before = structuredClone(state);
  const agent = old ?? newAgent(state, name);
  add(state, agent, told);
  // Whoever makes an agent again says all of its endpoint, or nothing of it.
  if (agent_endpoint) configure(agent, null);
  const refused = agent_endpoint ? configure(agent, agent_endpoint as Json) : [];
  if (refused.length > 0) {
    Object.assign(state, before);
    return refused;
  }
  if (agent_card !== undefined) agent.card = agent_card as Json;
  if (asked !== undefined) agent.enabled = asked === 'enabled';
  if (!old) state.agents.push(agent);
  return agent;
}

/** POST /agents/{n}/versions: makes the agent too, where there is none of this name. */
export function makeVersion(state: State, name: string, body: Json): Version | Refusal[] {
  const told = readVersion(name, body);
  if (Array.isArray(told)) return told;
  const old = agentOf(state, name);
  if (!old && isFirstDraft(state, told)) return [FIRST_DRAFT];
  const agent = old ?? newAgent(state, name);
  if (!old) state.agents.push(agent);
  return add(state, agent, told);
}

const FIRST_DRAFT: Refusal = [400, 'version/first-may-be-a-draft'];

function isFirstDraft({ switches }: State, { draft }: Told): boolean {
  return draft && switches.drafts === 'enabled' && switches.first_draft === 'refuse';
}

/** POST /agents/{n}: a version if the definition changed. */
export function updateAgent(state: State, agent: Agent, body: Json): Refusal[] {
  const told = readVersion(agent.name, body);
  if (Array.isArray(told)) return told;
  add(state, agent, { ...told, draft: false });
  return [];
}

/** What the configuration of a project means by an agent of which it says nothing. */
const DECLARED = {
  definition: {
    kind: 'hosted',
    cpu: '1',
    memory: '2Gi',
    image: 'example.azurecr.io/agent:1',
    container_protocol_versions: [
      { protocol: 'responses', version: '1.0.0' },
      { protocol: 'invocations', version: '1.0.0' },
    ],
    environment_variables: {},
  },
};

/** An agent that is there from the beginning, with a version that needs no time. */
export function declare(state: State, name: string): void {
  const version = makeVersion(state, name, DECLARED);
  if (Array.isArray(version)) throw new Error(`The model refuses ${name}: ${version}`);
  unplan(state, version.key, 'provisioned');
  version.status = 'active';
}

/** The time of a version's provisioning is over. */
export function provisioned(state: State, key: number): void {
  const version = state.agents.flatMap(({ versions }) => versions).find((one) => one.key === key);
  if (!version) throw new Error(`The model has no version ${key}`);
  const error = strikeTransition(state);
  version.status = error ? 'failed' : 'active';
  version.error = error;
}

/** What the plan has for a version whose provisioning is over. */
function strikeTransition(state: State): Json | undefined {
  for (const armed of state.faults) {
    const { at, of, from, to, error, times } = armed.entry;
    if (at !== 'transition' || of !== 'version' || from !== 'creating' || to !== 'failed') continue;
    if (times !== undefined && armed.fired >= Number(times)) continue;
    armed.fired += 1;
    return error as Json;
  }
  return undefined;
}

function newAgent(state: State, name: string): Agent {
  state.keys += 1;
  return {
    key: state.keys,
    name,
    enabled: true,
    lastVersion: 0,
    versions: [],
    drafts: [],
    rules: undefined,
    protocols: undefined,
    card: undefined,
    createdAt: state.now,
  };
}

function add(state: State, agent: Agent, told: Told): Version {
  const { draft: asked, ...rest } = told;
  const draft = asked && state.switches.drafts === 'enabled';
  const latest = latestOf(agent);
  // contract 8.1: never compared with a draft, nor with one that failed.
  const same = latest?.sameness === told.sameness && latest.status !== 'failed';
  if (latest && same && !draft && state.switches.dedup_versions === 'on') return latest;
  const provisioning = Number(state.settings.provisioning_time);
  const hosted = told.kind === 'hosted';
  const creating = hosted && provisioning > 0;
  const error = hosted && !creating ? strikeTransition(state) : undefined;
  state.keys += 1;
  const version: Version = {
    ...rest,
    key: state.keys,
    version: draft ? draftOf(state, agent) : String(agent.lastVersion + 1),
    draft,
    status: creating ? 'creating' : error ? 'failed' : 'active',
    error,
    createdAt: state.now,
  };
  if (draft) {
    agent.drafts.push(version.version);
    state.drafts.push(`${agent.name}:${version.version}`);
  } else agent.lastVersion += 1;
  agent.versions.push(version);
  if (creating)
    plan(state, { at: state.now + provisioning, class: 0, what: 'provisioned', of: version.key });
  return version;
}

/** contract 9: the instant in ms, or the next one that is free. */
function draftOf(state: State, agent: Agent): string {
  let at = state.now;
  while (state.drafts.includes(`${agent.name}:draft-${at}`)) at += 1;
  return `draft-${at}`;
}

/** Of PATCH, and of an endpoint that an agent is made with: what is told replaces, null brings the default back. */
export function configure(agent: Agent, told: Json | null): Refusal[] {
  if (told === null) {
    agent.rules = undefined;
    agent.protocols = undefined;
    return [];
  }
  const { version_selector, protocols, protocol_configuration } = told;
  if (version_selector !== undefined) {
    const { version_selection_rules } = (version_selector ?? {}) as Json;
    const rules = version_selection_rules as Rule[] | undefined;
    const broken = rules ? brokenBy(agent, rules) : [];
    if (broken.length > 0) return broken;
    agent.rules = rules;
  }
  if (protocols === null || protocol_configuration === null) agent.protocols = undefined;
  else if (protocols !== undefined) agent.protocols = protocols as string[];
  else if (protocol_configuration !== undefined)
    agent.protocols = Object.keys(protocol_configuration as Json);
  return [];
}

/** Every rule that routing rules break. */
function brokenBy(agent: Agent, rules: Rule[]): Refusal[] {
  const broken: Refusal[] = [];
  const named = rules.map(({ agent_version }) => agent_version);
  const of = named.filter((one) => one !== '@latest').map((one) => versionOf(agent, one));
  const shares = rules.map(({ traffic_percentage }) => traffic_percentage);
  if (rules.length === 0) broken.push([400, 'routing/not-empty']);
  if (of.some((one) => one === undefined)) broken.push([400, 'routing/version-known']);
  if (of.some((one) => one?.draft)) broken.push([400, 'routing/no-drafts']);
  if (new Set(named).size < named.length) broken.push([400, 'routing/version-once']);
  if (shares.reduce((sum, share) => sum + share, 0) !== 100)
    broken.push([400, 'routing/sum-is-100']);
  return broken;
}

/** version/delete-in-use: whether a routing rule names it. */
export function isRouted({ rules }: Agent, { version }: Version): boolean {
  return rules?.some(({ agent_version }) => agent_version === version) ?? false;
}

/** DELETE of a version; of the last one that is there, the agent goes too. */
export function removeVersion(state: State, agent: Agent, version: Version): void {
  // contract 10.2: with its version a rule goes, and then the default is back.
  if (isRouted(agent, version)) agent.rules = undefined;
  agent.versions = agent.versions.filter((one) => one !== version);
  unplan(state, version.key, 'provisioned');
  for (const session of state.sessions)
    if (session.agent === agent.key && session.version === version.version)
      endSession(state, session);
  if (agent.versions.length === 0) removeAgent(state, agent);
}

/** DELETE of an agent: its versions go with it, and its sessions end. */
export function removeAgent(state: State, agent: Agent): void {
  for (const { key } of agent.versions) unplan(state, key, 'provisioned');
  state.agents = state.agents.filter((one) => one !== agent);
  for (const session of state.sessions) if (session.agent === agent.key) endSession(state, session);
}

export function endSession(state: State, session: Session): void {
  session.deleted = true;
  unplan(state, session.key, 'ready');
}
