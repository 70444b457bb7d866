/** Agents, versions, sessions, responses and conversations as the model knows them: plain data, like the rest of its state. */
import type { Json } from './definition.ts';

export interface Version {
  /** Of this version alone, over all agents. */
  key: number;
  /** `1`, or `draft-1719600000000`. */
  version: string;
  draft: boolean;
  kind: string;
  /** As it is answered. */
  shown: Json;
  /** Two definitions that mean the same have the same. */
  sameness: string;
  /** Undefined where it says nothing of protocols. */
  protocols: string[] | undefined;
  /** Milliseconds without access until the compute of a session goes; undefined where the setting says. */
  idleAfter: number | undefined;
  description: string;
  metadata: Json;
  status: 'creating' | 'active' | 'failed' | 'deleting' | 'deleted';
  error: Json | undefined;
  createdAt: number;
}

export interface Rule {
  agent_version: string;
  traffic_percentage: number;
}

export interface Agent {
  /** Of this agent alone, also where another of its name came before. */
  key: number;
  name: string;
  enabled: boolean;
  /** The highest number that a release has had. */
  lastVersion: number;
  versions: Version[];
  /** Every draft that it has had. */
  drafts: string[];
  /** Undefined for the default. */
  rules: Rule[] | undefined;
  protocols: string[] | undefined;
  card: Json | undefined;
  createdAt: number;
}

export interface Session {
  key: number;
  agent: number;
  /** What a caller chose, or what an answer said. */
  id: string | undefined;
  /** Undefined until an answer tells which one was drawn. */
  version: string | undefined;
  /** The versions that may have been drawn. */
  among: string[];
  createdAt: number;
  accessedAt: number;
  readyAt: number;
  stoppedAt: number | undefined;
  /** Since when it was idle the last time, before it was woken. */
  wasIdleAt: number | undefined;
  deleted: boolean;
}

export interface Item {
  key: number;
  id: string | undefined;
  shown: Json;
}

export interface Conversation {
  key: number;
  id: string | undefined;
  metadata: Json;
  items: Item[];
  createdAt: number;
  /** The session that its calls reach. */
  session: number | undefined;
  deleted: boolean;
}

export interface Response {
  key: number;
  id: string | undefined;
  agent: number;
  agentName: string;
  version: string | undefined;
  session: number | undefined;
  conversation: string | undefined;
  previous: string | undefined;
  /** What was asked, and what was said. */
  input: unknown;
  text: string;
  createdAt: number;
  deleted: boolean;
}
