/** Agents and versions as clients see them. */
import { unixSeconds } from '../clock.ts';
import { kindOf } from '../endpoint.ts';
import type { AgentRow, AgentVersionRow } from '../store/agents.ts';
import type { World } from '../world.ts';

export function viewAgent(
  world: World,
  agent: AgentRow,
  version: AgentVersionRow,
): Record<string, unknown> {
  const protocols = protocolsOf(version);
  return {
    object: 'agent',
    id: agent.name,
    name: agent.name,
    versions: { latest: viewVersion(world, agent, version) },
    state: agent.state,
    agent_endpoint: {
      version_selector: {
        version_selection_rules: [
          { type: 'FixedRatio', agent_version: '@latest', traffic_percentage: 100 },
        ],
      },
      protocols,
      protocol_configuration: Object.fromEntries(protocols.map((protocol) => [protocol, {}])),
      authorization_schemes: [{ type: 'Entra', isolation_key_source: { kind: 'Entra' } }],
    },
    ...identities(world, agent, version),
  };
}

/** A hosted agent exposes what its definition says; the others answer through Responses. */
function protocolsOf(version: AgentVersionRow): string[] {
  const { protocol_versions: listed } = JSON.parse(version.definition) as {
    protocol_versions?: { protocol: string }[];
  };
  return listed && listed.length > 0
    ? [...new Set(listed.map((entry) => entry.protocol))]
    : ['responses'];
}

export function viewVersion(
  world: World,
  agent: AgentRow,
  version: AgentVersionRow,
): Record<string, unknown> {
  return {
    object: 'agent.version',
    id: `${agent.name}:${version.version}`,
    name: agent.name,
    version: version.version,
    description: version.description,
    metadata: JSON.parse(version.metadata),
    created_at: unixSeconds(version.created_at),
    definition: JSON.parse(version.definition),
    draft: false,
    status: version.status,
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
  if (kindOf(version) !== 'hosted') return {};
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
  };
}
