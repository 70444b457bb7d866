/** What moves on by itself once its time has come: a version that is being provisioned, or on its way out. */
import assert from 'node:assert/strict';
import type { DueHandler } from '../batch.ts';
import type { FaultPlan, TransitionFault } from '../fault-plan.ts';
import { VERSION_TRANSITIONS, type VersionStatus } from '../lifecycle.ts';
import {
  type AgentRow,
  type AgentVersionRow,
  addVersion,
  deleteAgent,
  deleteVersion,
  findAgent,
  findVersionByKey,
  listVersions,
  moveVersion,
} from '../store/agents.ts';
import { dropUnusedCode } from '../store/code.ts';
import { CONSEQUENCE, cancelDue } from '../store/due.ts';
import { deleteReply } from '../store/faults.ts';
import type { World } from '../world.ts';
import { endSessions, refOfVersion } from './sessions.ts';

/** Puts a new version into the store, and on the wheel if it takes time to be there. Inside a turn. */
export function beginVersion(
  world: World,
  faults: FaultPlan,
  agent: AgentRow,
  version: Omit<AgentVersionRow, 'status' | 'error'>,
): void {
  const { kind } = JSON.parse(version.definition) as { kind: string };
  // Only what runs in the cloud has anything to provision (contract/agents.md 8).
  const hosted = kind === 'hosted';
  const takesMs = hosted ? world.profile.settings.provisioning_time : 0;
  const row: AgentVersionRow = { ...version, status: 'creating', error: null };
  const struck = hosted && takesMs === 0 ? strike(world, faults, agent.key, row) : undefined;
  // Nothing tells of a change that nobody could see.
  if (takesMs === 0 && struck === undefined) row.status = 'active';
  addVersion(world.store, row);
  if (struck) move(world, row, struck.to, struck.error);
  else if (takesMs > 0) later(world, 'provisioned', agent, row, takesMs);
}

function later(
  world: World,
  kind: string,
  { name, key }: AgentRow,
  { seq }: AgentVersionRow,
  afterMs: number,
): void {
  world.addDue(world.now + afterMs, CONSEQUENCE, kind, refOfVersion(key, seq), `agent:${name}`);
}

/** What the plan makes of a version instead of an active one. */
function strike(
  world: World,
  faults: FaultPlan,
  key: string,
  { agent, version, seq }: AgentVersionRow,
): TransitionFault<'active' | 'failed'> | undefined {
  const struck = faults.ofTransition(world.draw, {
    of: 'version',
    from: 'creating',
    agent,
    key: `${key}/${seq}`,
  });
  if (struck === undefined) return undefined;
  const { ordinal: entry, to } = struck;
  world.record({ kind: 'fault', data: { of: 'version', entry, agent, version, to } });
  return struck;
}

function move(
  world: World,
  version: AgentVersionRow,
  to: VersionStatus,
  error?: { code: string; message: string },
): void {
  const { agent, version: name, status: from } = version;
  assert(VERSION_TRANSITIONS[from].includes(to), `a version goes from ${from} to ${to}`);
  moveVersion(world.store, version, to, error === undefined ? null : JSON.stringify(error));
  const why = error === undefined ? {} : { error };
  world.record({
    kind: 'transition',
    data: { of: 'version', agent, version: name, from, to, ...why },
  });
}

/** Takes a version away: at once, or after the time that this takes. Inside a turn. */
export function endVersion(world: World, agent: AgentRow, version: AgentVersionRow): void {
  if (version.status === 'deleting') return;
  cancelDue(world.store, refOfVersion(agent.key, version.seq));
  const takesMs = world.profile.settings.deleting_time;
  if (takesMs === 0) {
    remove(world, agent, version);
    return;
  }
  move(world, version, 'deleting');
  later(world, 'version_deleted', agent, version, takesMs);
}

function remove(world: World, agent: AgentRow, version: AgentVersionRow): void {
  move(world, version, 'deleted');
  if (world.profile.switches.deleted_version === 'not_found') {
    deleteVersion(world.store, version);
    // An agent is its versions: nothing is left that could be read of it.
    if (listVersions(world.store, agent).length === 0) endAgent(world, agent);
  }
  dropUnusedCode(world.store);
}

/** Takes an agent away with its sessions and versions, their streams, and what was still to happen to them. Inside a turn. */
export function endAgent(world: World, agent: AgentRow): void {
  endSessions(world, agent.key);
  for (const { seq } of listVersions(world.store, agent))
    cancelDue(world.store, refOfVersion(agent.key, seq));
  deleteAgent(world.store, agent);
  deleteReply(world.store, agent.name);
  dropUnusedCode(world.store);
}

export function progressHandlers(faults: FaultPlan): Record<string, DueHandler> {
  /** The version that a row is about, while it is still in the state that the row was made for. */
  const find = (world: World, ref: string, status: VersionStatus) => {
    const [, seq = '', key = ''] = /^version:(\d+):(.*)$/s.exec(ref) ?? [];
    const version = findVersionByKey(world.store, key, Number(seq));
    return version?.status === status ? { key, version } : undefined;
  };
  return {
    provisioned(world, { ref }) {
      const found = find(world, ref, 'creating');
      if (!found) return undefined;
      const struck = strike(world, faults, found.key, found.version);
      move(world, found.version, struck?.to ?? 'active', struck?.error);
      return undefined;
    },
    version_deleted(world, { ref }) {
      const found = find(world, ref, 'deleting');
      const agent = found && findAgent(world.store, found.version.agent);
      if (found && agent) remove(world, agent, found.version);
      return undefined;
    },
  };
}
