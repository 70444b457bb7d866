/** Agents and their versions. */
import type { Instant } from '../clock.ts';
import type { Store } from './store.ts';

export const AGENT_TABLES = `
CREATE TABLE agent (
  name TEXT PRIMARY KEY,
  key TEXT NOT NULL,
  state TEXT NOT NULL,
  last_version INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE agent_version (
  agent TEXT NOT NULL,
  version TEXT NOT NULL,
  seq INTEGER NOT NULL,
  definition TEXT NOT NULL,
  description TEXT NOT NULL,
  metadata TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (agent, seq)
) STRICT, WITHOUT ROWID;
`;

export interface AgentRow {
  name: string;
  /** The name and which agent of that name this is: an agent made again has another identity. */
  key: string;
  state: 'enabled' | 'disabled';
  /** Numbers are never used again. */
  last_version: number;
  created_at: Instant;
}

export interface AgentVersionRow {
  agent: string;
  version: string;
  seq: number;
  /** JSON, as it was given. */
  definition: string;
  description: string;
  metadata: string;
  status: 'creating' | 'active' | 'failed' | 'deleting';
  created_at: Instant;
}

export function findAgent(store: Store, name: string): AgentRow | undefined {
  return store.sql('SELECT * FROM agent WHERE name = ?').get(name) as AgentRow | undefined;
}

export function putAgent(store: Store, row: AgentRow): void {
  store
    .sql('INSERT OR REPLACE INTO agent VALUES (@name, @key, @state, @last_version, @created_at)')
    .run(row);
}

export function deleteAgent(store: Store, name: string): void {
  store.sql('DELETE FROM agent WHERE name = ?').run(name);
  store.sql('DELETE FROM agent_version WHERE agent = ?').run(name);
}

export function addVersion(store: Store, row: AgentVersionRow): void {
  store
    .sql(
      'INSERT INTO agent_version VALUES (@agent, @version, @seq, @definition, @description, @metadata, @status, @created_at)',
    )
    .run(row);
}

/** The version that a call without a selector reaches. */
export function latestVersion(store: Store, agent: AgentRow): AgentVersionRow | undefined {
  return store
    .sql('SELECT * FROM agent_version WHERE agent = ? AND seq = ?')
    .get(agent.name, agent.last_version) as AgentVersionRow | undefined;
}

/** A version of the agent that has this key, not of one that was made later under its name. */
export function findVersionByKey(
  store: Store,
  key: string,
  seq: number,
): AgentVersionRow | undefined {
  return store
    .sql(
      'SELECT agent_version.* FROM agent_version JOIN agent ON agent.name = agent WHERE agent.key = ? AND seq = ?',
    )
    .get(key, seq) as AgentVersionRow | undefined;
}

export function markVersionActive(store: Store, { agent, seq }: AgentVersionRow): void {
  store
    .sql("UPDATE agent_version SET status = 'active' WHERE agent = ? AND seq = ?")
    .run(agent, seq);
}

/** The numbers of an agent's versions that are not there yet. */
export function versionsCreating(store: Store, agent: string): number[] {
  return store
    .sql("SELECT seq FROM agent_version WHERE agent = ? AND status = 'creating'")
    .all(agent)
    .map((row) => (row as { seq: number }).seq);
}
