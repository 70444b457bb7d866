/** The tag Agents: agents are made, changed, enabled, disabled and deleted; their versions are in versions.ts. */
import { conflict, invalid } from '../errors.ts';
import { type AgentRow, findAgent, pageAgents, placeOf, putAgent } from '../store/agents.ts';
import { endAgent } from '../work/progress.ts';
import { countActiveSessions } from '../work/sessions.ts';
import type { World } from '../world.ts';
import { patchEndpoint, patchOf, readCard, readEndpoint } from './agent-endpoint.ts';
import { viewAgent } from './agent-view.ts';
import { codeOperations, readUpload, UPLOAD } from './code.ts';
import { existingAgent, nameOf } from './existing.ts';
import { type Answer, bodyAs, type Input, type Operation, readFlag } from './input.ts';
import { agentList } from './page.ts';
import { makeVersion, readAgentName, readVersion, versionOperations } from './versions.ts';

const AGENT = '/agents/:agent_name';

export const agentOperations: Operation[] = [
  { id: 'listAgents', method: 'GET', path: '/agents', kind: 'read', handle: list },
  { id: 'createAgent', method: 'POST', path: '/agents', kind: 'write', ...UPLOAD, handle: create },
  {
    id: 'getAgent',
    method: 'GET',
    path: AGENT,
    kind: 'read',
    handle: get,
    subject: (input) => ({ name: `agent:${nameOf(input)}`, triggers: false }),
  },
  { id: 'updateAgent', method: 'POST', path: AGENT, kind: 'write', ...UPLOAD, handle: update },
  { id: 'patchAgent', method: 'PATCH', path: AGENT, kind: 'write', handle: patch },
  { id: 'deleteAgent', method: 'DELETE', path: AGENT, kind: 'write', handle: remove },
  {
    id: 'enableAgent',
    method: 'POST',
    path: AGENT,
    verb: 'enable',
    kind: 'write',
    handle: (input) => setState(input, 'enabled'),
  },
  {
    id: 'disableAgent',
    method: 'POST',
    path: AGENT,
    verb: 'disable',
    kind: 'write',
    handle: (input) => setState(input, 'disabled'),
  },
  ...versionOperations,
  ...codeOperations,
];

function list(input: Input): Answer {
  const { world } = input.project;
  const kind = input.query.get('kind') || undefined;
  if (kind !== undefined) bodyAs('AgentKind', kind, 'kind');
  return agentList<AgentRow>(input, {
    what: 'agent',
    placeOf: (id) => placeOf(world.store, id),
    rows: (page) => pageAgents(world.store, kind, page),
    view: (agent) => viewExisting(world, agent.name),
    idOf: ({ name }) => name,
  });
}

function viewExisting(world: World, name: string): Record<string, unknown> {
  const { agent, version } = existingAgent(world, name);
  return viewAgent(world, agent, version);
}

function create(input: Input): Answer {
  const { world } = input.project;
  const { body: raw, code } = readUpload(input);
  const said = input.headers.get('x-ms-agent-name');
  if (said !== null) readAgentName(said, 'x-ms-agent-name');
  if (code !== undefined) requireNamed(raw, said);
  const named = code !== undefined && said !== null;
  const body = bodyAs('AgentCreate', named ? { ...(raw as object), name: said } : raw);
  const name = readAgentName(body.name, 'name');
  const before = findAgent(world.store, name);
  if (before && world.profile.switches.conflict_on_existing_agent === 'conflict')
    throw conflict(`Agent '${name}' already exists`, 'agent/create-again-makes-a-version');
  const { agent } = makeVersion(input, name, readVersion(input, name, body, code));
  const { agent_endpoint: endpoint, agent_card: card, state } = body;
  putAgent(world.store, {
    ...agent,
    ...(endpoint ? { endpoint: JSON.stringify(readEndpoint(world.store, agent, endpoint)) } : {}),
    ...(card ? { card: JSON.stringify(readCard(card)) } : {}),
    ...(state ? { state } : {}),
  });
  return { status: 200, body: viewExisting(world, name) };
}

/** The form's own name will do, which is what azd sends. */
function requireNamed(metadata: unknown, header: string | null): void {
  const { name } = (metadata ?? {}) as { name?: unknown };
  if (header !== null || name !== undefined) return;
  throw invalid(
    'An agent that is made of code is named by the header x-ms-agent-name. Send it.',
    'x-ms-agent-name',
    'agent/name-form',
  );
}

function get(input: Input): Answer {
  return { status: 200, body: viewExisting(input.project.world, nameOf(input)) };
}

function update(input: Input): Answer {
  const { world } = input.project;
  const name = nameOf(input);
  existingAgent(world, name);
  const { body, code } = readUpload(input);
  const { draft: _, ...asked } = bodyAs('AgentVersionCreate', body);
  makeVersion(input, name, readVersion(input, name, asked, code));
  return { status: 200, body: viewExisting(world, name) };
}

function patch(input: Input): Answer {
  const { world } = input.project;
  const name = nameOf(input);
  const { agent } = existingAgent(world, name);
  const { agent_endpoint: endpoint, agent_card: card } = bodyAs('AgentPatch', input.body);
  const changed = { ...agent };
  if (endpoint !== undefined) {
    const { protocols_patch } = world.profile.switches;
    const left = patchEndpoint(world.store, agent, endpoint, protocols_patch);
    changed.endpoint = left === undefined ? null : JSON.stringify(left);
  }
  if (card !== undefined) changed.card = patchOf(agent.card, card, readCard);
  putAgent(world.store, changed);
  return { status: 200, body: viewExisting(world, name) };
}

function remove(input: Input): Answer {
  const { world } = input.project;
  const name = nameOf(input);
  const { agent } = existingAgent(world, name);
  const force = readFlag(input, 'force');
  if (
    !force &&
    world.profile.switches.delete_with_sessions === 'refuse' &&
    countActiveSessions(world, agent.key) > 0
  )
    throw conflict('Agent has active sessions', 'agent/delete-ends-sessions');
  endAgent(world, agent);
  return { status: 200, body: { object: 'agent.deleted', name, deleted: true } };
}

function setState(input: Input, state: AgentRow['state']): Answer {
  const { world } = input.project;
  const { agent } = existingAgent(world, nameOf(input));
  putAgent(world.store, { ...agent, state });
  return { status: 204 };
}
