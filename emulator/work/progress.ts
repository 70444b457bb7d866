/** What moves on by itself once its time has come: a version that is being provisioned. */

import type { DueHandler } from '../batch.ts';
import {
  type AgentRow,
  type AgentVersionRow,
  findVersionByKey,
  markVersionActive,
  versionsCreating,
} from '../store/agents.ts';
import { CONSEQUENCE, cancelDue } from '../store/due.ts';
import type { World } from '../world.ts';

function refOf(agent: AgentRow, seq: number): string {
  return `version:${seq}:${agent.key}`;
}

/** The state that a new version begins in; one that takes time is put on the wheel. Inside a turn. */
export function provision(
  world: World,
  agent: AgentRow,
  seq: number,
  definition: { kind?: unknown },
): AgentVersionRow['status'] {
  const takesMs = world.profile.settings.provisioning_time;
  if (takesMs === 0 || definition.kind !== 'hosted') return 'active';
  const dueAt = world.now + takesMs;
  world.addDue(dueAt, CONSEQUENCE, 'provisioned', refOf(agent, seq), `agent:${agent.name}`);
  return 'creating';
}

/** A deleted agent has nothing left to provision. Inside a turn. */
export function stopProvisioning(world: World, agent: AgentRow): void {
  for (const seq of versionsCreating(world.store, agent.name))
    cancelDue(world.store, refOf(agent, seq));
}

export const progressHandlers: Record<string, DueHandler> = {
  provisioned(world, item) {
    const [, seq = '', key = ''] = /^version:(\d+):(.*)$/s.exec(item.ref) ?? [];
    const version = findVersionByKey(world.store, key, Number(seq));
    if (version?.status !== 'creating') return undefined;
    markVersionActive(world.store, version);
    const { agent, version: name } = version;
    world.record({
      kind: 'transition',
      data: { of: 'version', agent, version: name, from: 'creating', to: 'active' },
    });
    return undefined;
  },
};
