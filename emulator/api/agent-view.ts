/** Agents and versions as clients see them (contract/agents.md 7). */
import { unixSeconds } from '../clock.ts';
import { DEFAULT_RULES } from '../routing.ts';
import type { AgentRow, AgentVersionRow } from '../store/agents.ts';
import type { World } from '../world.ts';
import type { Endpoint } from './agent-endpoint.ts';

export function viewAgent(
  world: World,
  agent: AgentRow,
  version: AgentVersionRow,
): Record<string, unknown> {
  return {
    object: 'agent',
    id: agent.name,
    name: agent.name,
    versions: { latest: viewVersion(world, agent, version) },
    state: agent.state,
    agent_endpoint: viewEndpoint(agent, version),
    ...identities(world, agent, version),
    ...(agent.card === null ? {} : { agent_card: JSON.parse(agent.card) }),
  };
}

/** What was set, over what every agent has; the protocols in both spellings. */
function viewEndpoint(agent: AgentRow, version: AgentVersionRow): Record<string, unknown> {
  const own = JSON.parse(agent.endpoint ?? '{}') as Endpoint;
  const configuration = own.protocol_configuration ?? defaultProtocols(version);
  return {
    version_selector: own.version_selector ?? { version_selection_rules: DEFAULT_RULES },
    protocols: Object.keys(configuration),
    protocol_configuration: configuration,
    authorization_schemes: (own.authorization_schemes ?? [{ type: 'Entra' }]).map(
      // The oldest client reads the key source of every scheme of this type, and ends without it.
      (scheme) =>
        scheme.type === 'Entra' ? { isolation_key_source: { kind: 'Entra' }, ...scheme } : scheme,
    ),
  };
}

/** A hosted agent exposes what its definition says; the others answer through Responses. */
function defaultProtocols({ definition }: AgentVersionRow): Record<string, object> {
  const { protocol_versions: listed = [] } = JSON.parse(definition) as {
    protocol_versions?: { protocol: string }[];
  };
  const names = listed.length > 0 ? listed.map(({ protocol }) => protocol) : ['responses'];
  return Object.fromEntries(names.map((name) => [name, {}]));
}

export function viewVersion(
  world: World,
  agent: AgentRow,
  version: AgentVersionRow,
): Record<string, unknown> {
  const { status, error } = version;
  return {
    object: 'agent.version',
    id: `${agent.name}:${version.version}`,
    name: agent.name,
    version: version.version,
    description: version.description,
    metadata: JSON.parse(version.metadata),
    created_at: unixSeconds(version.created_at),
    definition: JSON.parse(version.definition),
    draft: version.draft === 1,
    status,
    ...(status === 'failed' && error !== null ? { error: JSON.parse(error) } : {}),
    agent_guid: world.draw.uuid('agent', agent.key, 1),
    ...identities(world, agent, version),
  };
}

/** Hosted agents have an identity of their own; prompt agents have none (contract/agents.md 7.3). */
function identities(
  world: World,
  agent: AgentRow,
  version: AgentVersionRow,
): Record<string, unknown> {
  const given = agent.blueprint_reference;
  const reference = given === null ? {} : { blueprint_reference: JSON.parse(given) as object };
  const { kind } = JSON.parse(version.definition) as { kind: string };
  if (kind !== 'hosted') return reference;
  const principal = world.draw.uuid('identity', agent.key, 1);
  return {
    instance_identity: { principal_id: principal, client_id: principal, status: 'active' },
    blueprint: {
      principal_id: world.draw.uuid('blueprint principal', agent.key, 1),
      client_id: world.draw.uuid('blueprint client', agent.key, 1),
      status: 'active',
    },
    blueprint_reference: {
      type: 'ManagedAgentIdentityBlueprint',
      blueprint_id: world.draw
        .id(`${agent.name}-`, 'blueprint', agent.key, 1)
        .slice(0, agent.name.length + 6),
    },
    ...reference,
  };
}
