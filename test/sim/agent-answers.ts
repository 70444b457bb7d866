/** How the model tells agents, versions, sessions, responses and conversations, without what is drawn. */
import { shownOf } from './agents.ts';
import type { Json } from './definition.ts';
import type { Agent, Conversation, Response, Session, Version } from './resources.ts';
import { idleAt, statusOf } from './sessions.ts';
import type { State } from './state.ts';

function seconds(at: number): number {
  return Math.floor(at / 1_000);
}

export function viewVersion(agent: Agent, version: Version): Json {
  return {
    object: 'agent.version',
    id: `${agent.name}:${version.version}`,
    name: agent.name,
    version: version.version,
    description: version.description,
    metadata: version.metadata,
    created_at: seconds(version.createdAt),
    definition: version.shown,
    draft: version.draft,
    status: version.status,
    error: version.error,
  };
}

const DEFAULT_RULES = [{ type: 'FixedRatio', agent_version: '@latest', traffic_percentage: 100 }];

export function viewAgent(agent: Agent): Json {
  const latest = shownOf(agent);
  if (!latest) throw new Error(`The model has no version of ${agent.name}`);
  const protocols = agent.protocols ?? latest.protocols ?? ['responses'];
  return {
    object: 'agent',
    id: agent.name,
    name: agent.name,
    state: agent.enabled ? 'enabled' : 'disabled',
    versions: { latest: viewVersion(agent, latest) },
    agent_endpoint: {
      version_selector: { version_selection_rules: agent.rules ?? DEFAULT_RULES },
      protocols,
      protocol_configuration: Object.fromEntries(protocols.map((one) => [one, {}])),
      authorization_schemes: [{ type: 'Entra', isolation_key_source: { kind: 'Entra' } }],
    },
    agent_card: agent.card,
  };
}

export function viewSession(state: State, session: Session): Json {
  const { createdAt, accessedAt } = session;
  const status = statusOf(state, session);
  // contract 12.1: only after it was idle once.
  const stoppedAt =
    status === 'idle' ? idleAt(state, session) : (session.stoppedAt ?? session.wasIdleAt);
  return {
    agent_session_id: session.id,
    version_indicator: { type: 'version_ref', agent_version: session.version },
    status,
    created_at: seconds(createdAt),
    last_accessed_at: seconds(accessedAt),
    expires_at: seconds(accessedAt + Number(state.settings.session_life)),
    stopped_at: stoppedAt === undefined ? undefined : seconds(stoppedAt),
  };
}

export function viewConversation({ id, createdAt, metadata }: Conversation): Json {
  return { id, object: 'conversation', created_at: seconds(createdAt), metadata };
}

/** What the model knows of a response; the words of its message are compared apart. */
export function viewResponse(state: State, response: Response): Json {
  const { agentName, conversation, previous, createdAt } = response;
  const session = state.sessions.find(({ key }) => key === response.session);
  return {
    object: 'response',
    id: response.id,
    status: 'completed',
    created_at: seconds(createdAt),
    agent_reference: {
      type: 'agent_reference',
      name: agentName,
      version: response.version ?? session?.version,
    },
    agent_session_id: session?.id,
    conversation: conversation === undefined ? undefined : { id: conversation },
    previous_response_id: previous,
  };
}
