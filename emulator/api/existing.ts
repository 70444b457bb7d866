/** The agents and versions that a path names, or the 404 that says which is missing. */
import { notFound, shown } from '../errors.ts';
import {
  type AgentRow,
  type AgentVersionRow,
  findAgent,
  findVersion,
  newestVersion,
} from '../store/agents.ts';
import type { World } from '../world.ts';
import type { Input } from './input.ts';

export function nameOf(input: Input): string {
  return input.params.agent_name ?? '';
}

/** An agent with what stands for it where it is read. */
export function existingAgent(
  world: World,
  name: string,
): { agent: AgentRow; version: AgentVersionRow } {
  const agent = findAgent(world.store, name);
  const version = agent && newestVersion(world.store, agent);
  if (agent && version) return { agent, version };
  throw notFound(`Agent ${name} doesn't exist`, 'agent/unknown-answers-404');
}

/** A version by its id, in whatever status; `param` is the field that names it, if one does. An agent whose last version is on its way out still shows it. */
export function existingVersion(
  world: World,
  name: string,
  id: string,
  param?: string,
): { agent: AgentRow; version: AgentVersionRow } {
  const agent = findAgent(world.store, name);
  if (!agent) throw notFound(`Agent ${name} doesn't exist`, 'agent/unknown-answers-404');
  const version = findVersion(world.store, agent, id);
  if (version) return { agent, version };
  throw notFound(
    `Agent ${name} has no version ${shown(id)}. List its versions with GET /agents/${name}/versions.`,
    'version/unknown-answers-404',
    param,
  );
}
