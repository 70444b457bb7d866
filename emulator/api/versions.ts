/** Versions of agents: made by whoever deploys, read, listed and deleted (contract/agents.md 7.2, 8 and 9). */
import { isDeepStrictEqual } from 'node:util';
import { ApiError, conflict, invalid, shown } from '../errors.ts';
import {
  type AgentRow,
  type AgentVersionRow,
  countVersions,
  findAgent,
  latestRelease,
  pageVersions,
  placeOf,
  putAgent,
} from '../store/agents.ts';
import { keepCode } from '../store/code.ts';
import { type SessionRow, sessionsOf } from '../store/sessions.ts';
import { beginVersion, endVersion } from '../work/progress.ts';
import { deleteSession, statusOf } from '../work/sessions.ts';
import type { World } from '../world.ts';
import { requireFeaturesOf } from './admit.ts';
import { comparable, type Definition, readDefinition } from './agent-definition.ts';
import type { Endpoint } from './agent-endpoint.ts';
import { viewVersion } from './agent-view.ts';
import { type Code, readUpload, UPLOAD } from './code.ts';
import { existingAgent, existingVersion, nameOf } from './existing.ts';
import { type Answer, bodyAs, type Input, type Operation, readFlag } from './input.ts';
import { agentList } from './page.ts';

const VERSIONS = '/agents/:agent_name/versions';

export const versionOperations: Operation[] = [
  {
    id: 'createAgentVersion',
    method: 'POST',
    path: VERSIONS,
    kind: 'write',
    ...UPLOAD,
    handle: create,
  },
  {
    id: 'listAgentVersions',
    method: 'GET',
    path: VERSIONS,
    kind: 'read',
    handle: list,
    subject: (input) => ({ name: `agent:${nameOf(input)}`, triggers: false }),
  },
  {
    id: 'getAgentVersion',
    method: 'GET',
    path: `${VERSIONS}/:agent_version`,
    kind: 'read',
    handle: get,
    subject: (input) => ({ name: `agent:${nameOf(input)}`, triggers: false }),
  },
  {
    id: 'deleteAgentVersion',
    method: 'DELETE',
    path: `${VERSIONS}/:agent_version`,
    kind: 'write',
    handle: remove,
  },
];

/** contract/agents.md 5.1: letters and digits at both ends, hyphens inside. */
const AGENT_NAME = /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;

export function readAgentName(name: string, param = 'agent_name'): string {
  if (AGENT_NAME.test(name)) return name;
  throw invalid(
    `An agent cannot be named ${shown(name)}. Use 1 to 63 letters, digits and inner hyphens.`,
    param,
    'agent/name-form',
  );
}

/** What a version is made of, whichever operation makes it. */
export interface VersionAsked {
  definition: Definition;
  description: string;
  metadata: Record<string, string>;
  blueprint_reference: object | undefined;
  draft: boolean;
  code: Code | undefined;
}

/** Reads what all bodies that make a version have; those of an update know no drafts. */
export function readVersion(
  input: Input,
  name: string,
  body: {
    definition: object;
    description?: string;
    metadata?: Record<string, string>;
    blueprint_reference?: { type: string; blueprint_id: string };
    draft?: boolean;
  },
  code: Code | undefined,
): VersionAsked {
  const { world } = input.project;
  const raw = body.definition as Definition;
  const draft = body.draft === true && world.profile.switches.drafts === 'enabled';
  requireFeaturesOf(input, { kind: raw.kind, draft, code: code !== undefined });
  const { blueprint_reference: reference } = body;
  return {
    definition: readDefinition(world, name, raw, code?.sha256),
    description: body.description ?? '',
    metadata: body.metadata ?? {},
    blueprint_reference: reference && {
      type: reference.type,
      blueprint_id: reference.blueprint_id,
    },
    draft,
    code,
  };
}

/** Makes a version, and its agent if there is none; an identical release makes neither. Inside a turn. */
export function makeVersion(
  input: Input,
  name: string,
  asked: VersionAsked,
): { agent: AgentRow; version: AgentVersionRow } {
  const { world, faults } = input.project;
  const before = findAgent(world.store, name);
  const same = before && identicalRelease(world, before, asked);
  if (same) return { agent: withReference(world, before, asked), version: same };
  if (!before && asked.draft && world.profile.switches.first_draft === 'refuse')
    throw invalid(
      `The first version of agent ${name} cannot be a draft. Make a release first.`,
      'draft',
      'version/first-may-be-a-draft',
    );
  if (before) requireRoom(world, before);
  const agent = withReference(
    world,
    {
      ...(before ?? newAgent(world, name)),
      last_version: (before?.last_version ?? 0) + (asked.draft ? 0 : 1),
      last_seq: (before?.last_seq ?? 0) + 1,
    },
    asked,
  );
  if (asked.code) keepCode(world.store, asked.code.sha256, asked.code.zip);
  const id = asked.draft ? draftId(world, name) : String(agent.last_version);
  beginVersion(world, faults, agent, {
    agent: name,
    seq: agent.last_seq,
    version: id,
    draft: asked.draft ? 1 : 0,
    definition: JSON.stringify(asked.definition),
    description: asked.description,
    metadata: JSON.stringify(asked.metadata),
    code_sha256: asked.code?.sha256 ?? null,
    created_at: world.now,
  });
  return existingVersion(world, name, id);
}

/** Keeps an agent, with the blueprint that its callers name: that is the agent's, whatever its versions are. */
function withReference(
  world: World,
  agent: AgentRow,
  { blueprint_reference: reference }: VersionAsked,
): AgentRow {
  const kept = reference ? { ...agent, blueprint_reference: JSON.stringify(reference) } : agent;
  putAgent(world.store, kept);
  return kept;
}

function requireRoom(world: World, agent: AgentRow): void {
  const max = world.profile.settings.versions_max;
  if (countVersions(world.store, agent) < max) return;
  throw new ApiError({
    status: 400,
    code: 'UserError',
    message: `Agent ${agent.name} has ${max} versions, and may have no more. Delete some of them first.`,
    rule: 'version/at-most-1000',
  });
}

function newAgent(world: World, name: string): AgentRow {
  return {
    name,
    key: `${name}#${world.ordinal(`agent ${name}`)}`,
    seq: world.nextSeq(),
    state: 'enabled',
    last_version: 0,
    last_seq: 0,
    endpoint: null,
    card: null,
    blueprint_reference: null,
    created_at: world.now,
  };
}

/** Never a draft, and not one that failed: those are not tried again, so another is made (contract/agents.md 8.1). */
function identicalRelease(
  world: World,
  agent: AgentRow,
  asked: VersionAsked,
): AgentVersionRow | undefined {
  if (asked.draft || world.profile.switches.dedup_versions === 'off') return undefined;
  const latest = latestRelease(world.store, agent);
  if (!latest || latest.status === 'failed') return undefined;
  const kept = JSON.parse(latest.definition) as Definition;
  return isDeepStrictEqual(comparable(kept), comparable(asked.definition)) ? latest : undefined;
}

/** Named after its instant, or the next millisecond that has named none. */
function draftId(world: World, name: string): string {
  let at = world.now;
  while (placeOf(world.store, `${name}:draft-${at}`) !== undefined) at += 1;
  return `draft-${at}`;
}

function create(input: Input): Answer {
  const { world } = input.project;
  const name = readAgentName(nameOf(input));
  const { body, code } = readUpload(input);
  const asked = readVersion(input, name, bodyAs('AgentVersionCreate', body), code);
  const { agent, version } = makeVersion(input, name, asked);
  return { status: 200, body: viewVersion(world, agent, version) };
}

function get(input: Input): Answer {
  const { world } = input.project;
  const { agent, version } = existingVersion(world, nameOf(input), versionOf(input));
  return { status: 200, body: viewVersion(world, agent, version) };
}

function versionOf(input: Input): string {
  return input.params.agent_version ?? '';
}

function list(input: Input): Answer {
  const { world } = input.project;
  const name = nameOf(input);
  const { agent } = existingAgent(world, name);
  const drafts = readFlag(input, 'include_drafts');
  return agentList<AgentVersionRow>(input, {
    what: 'version',
    // A cursor may be the bare version too.
    placeOf: (id) => placeOf(world.store, id.includes(':') ? id : `${name}:${id}`),
    rows: (page) => pageVersions(world.store, agent, drafts, page),
    view: (version) => viewVersion(world, agent, version),
    idOf: ({ version }) => `${name}:${version}`,
  });
}

function remove(input: Input): Answer {
  const { world } = input.project;
  const name = nameOf(input);
  const id = versionOf(input);
  const { agent, version } = existingVersion(world, name, id);
  if (version.status !== 'deleted') {
    const force = readFlag(input, 'force');
    if (!force && world.profile.switches.delete_version_in_use === 'refuse')
      requireUnused(world, agent, id);
    for (const session of sessionsIn(world, agent, id)) deleteSession(world, session);
    putAgent(world.store, withoutRulesFor(agent, id));
    endVersion(world, agent, version);
  }
  const deleted = { object: 'agent.version.deleted', name, version: id, deleted: true };
  return { status: 200, body: deleted };
}

function requireUnused(world: World, agent: AgentRow, version: string): void {
  const routed = routes(agent, version);
  const isActive = (session: SessionRow) =>
    ['creating', 'active'].includes(statusOf(world, session));
  if (!routed && !sessionsIn(world, agent, version).some(isActive)) return;
  const why = routed ? 'a rule of its endpoint routes traffic to it' : 'it has active sessions';
  throw conflict(
    `Version ${version} of agent ${agent.name} is in use: ${why}. Delete it with force=true.`,
    'version/delete-in-use',
  );
}

function sessionsIn(world: World, { key }: AgentRow, version: string): SessionRow[] {
  return sessionsOf(world.store, key).filter((session) => session.version === version);
}

function routes({ endpoint }: AgentRow, version: string): boolean {
  const { version_selector: selector } = JSON.parse(endpoint ?? '{}') as Endpoint;
  return selector?.version_selection_rules.some((rule) => rule.agent_version === version) ?? false;
}

/** The shares of a version that is gone would go nowhere: the default selector takes over. */
function withoutRulesFor(agent: AgentRow, version: string): AgentRow {
  if (!routes(agent, version)) return agent;
  const { version_selector: _, ...endpoint } = JSON.parse(agent.endpoint ?? '{}') as Endpoint;
  return { ...agent, endpoint: JSON.stringify(endpoint) };
}
