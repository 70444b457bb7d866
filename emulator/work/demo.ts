/** The agents that a project starts with: the demo of project `local`, and those of the configuration. */
import { addVersion, putAgent } from '../store/agents.ts';
import { writeReply } from '../store/faults.ts';
import type { World } from '../world.ts';

/** Definitions that every generation of clients can read. */
const DEMO_AGENTS: Record<string, Record<string, unknown>> = {
  'demo-agent': {
    kind: 'hosted',
    cpu: '1',
    memory: '2Gi',
    image: 'example.azurecr.io/demo-agent:1',
    container_configuration: { image: 'example.azurecr.io/demo-agent:1' },
    container_protocol_versions: [
      { protocol: 'responses', version: '1.0.0' },
      { protocol: 'invocations', version: '1.0.0' },
    ],
    protocol_versions: [
      { protocol: 'responses', version: '1.0.0' },
      { protocol: 'invocations', version: '1.0.0' },
    ],
    environment_variables: {},
  },
  'demo-prompt': {
    kind: 'prompt',
    model: 'gpt-4.1-mini',
    instructions: 'Say back what you are told.',
  },
};

/** An agent of foundrite.yaml: its kind, or a whole definition, and what it says. */
export interface ConfiguredAgent {
  kind?: string;
  definition?: Record<string, unknown>;
  reply?: unknown;
}

export function makeAgents(
  world: World,
  demo: boolean,
  configured: Record<string, ConfiguredAgent>,
): void {
  const definitions = new Map<string, Record<string, unknown>>(
    demo ? Object.entries(DEMO_AGENTS) : [],
  );
  for (const [name, agent] of Object.entries(configured)) {
    const like = agent.kind === 'prompt' ? DEMO_AGENTS['demo-prompt'] : DEMO_AGENTS['demo-agent'];
    definitions.set(
      name,
      agent.definition ?? { ...like, ...(agent.kind === undefined ? {} : { kind: agent.kind }) },
    );
  }
  for (const [name, definition] of definitions) {
    const key = `${name}#${world.ordinal(`agent ${name}`)}`;
    putAgent(world.store, { name, key, state: 'enabled', last_version: 1, created_at: world.now });
    addVersion(world.store, {
      agent: name,
      version: '1',
      seq: 1,
      definition: JSON.stringify(definition),
      description: 'Made with the project.',
      metadata: '{}',
      status: 'active',
      created_at: world.now,
    });
  }
  for (const [name, { reply }] of Object.entries(configured)) {
    if (reply !== undefined)
      writeReply(world.store, name, typeof reply === 'string' ? { kind: reply } : reply);
  }
}
