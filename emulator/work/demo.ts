/** The agents that project `local` starts with. */
import { addVersion, putAgent } from '../store/agents.ts';
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

export function makeDemoAgents(world: World): void {
  for (const [name, definition] of Object.entries(DEMO_AGENTS)) {
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
}
