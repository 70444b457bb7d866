/** What a story is made of, and what the model answers to each step. */
import type { ThreadExpected, ThreadStep } from '../thread-model/step.ts';
import type { Json } from './definition.ts';
import type { Conversation, Response, Session } from './resources.ts';
import type { Fired, Settings } from './state.ts';

/** What a story is told of its world before it begins. */
export interface Setup {
  /** ISO 8601. */
  now: string;
  agents: string[];
  settings: Settings;
  switches: Record<string, string>;
}

/** What a story does to routines. */
export type RoutineStep =
  | { do: 'put'; name: string; body: Json }
  | { do: 'get' | 'enable' | 'disable' | 'delete'; name: string }
  | { do: 'dispatch'; name: string; body?: Json }
  | { do: 'fire'; name: string; body?: Json };

export type Step =
  | RoutineStep
  | { do: 'advance'; by?: string; until?: 'idle'; back?: string }
  | { do: 'set'; by: string }
  | { do: 'faults'; faults: Json[] }
  | { do: 'settings'; settings: Settings; switches: Record<string, string> }
  | { do: 'snapshot'; name: string }
  | { do: 'reset'; snapshot?: string }
  | { do: 'restart' }
  | { do: 'page'; of?: string; limit?: number; order?: 'asc' | 'desc'; after?: string }
  | AgentStep
  | ThreadStep;

/** What a story does to agents: their versions, sessions, responses and conversations. */
export type AgentStep =
  | { do: 'make agent' | 'make version' | 'update agent' | 'patch agent'; name: string; body: Json }
  | { do: 'get agent' | 'enable agent' | 'disable agent'; name: string }
  | { do: 'delete agent'; name: string; force?: boolean | undefined }
  | { do: 'get version'; name: string; version: string }
  | { do: 'delete version'; name: string; version: string; force?: boolean | undefined }
  | { do: 'make session'; name: string; body: Json }
  | { do: 'get session' | 'stop session' | 'delete session'; name: string; session: string }
  | { do: 'respond'; name: string; by: 'endpoint' | 'project'; version?: string; body: Json }
  | { do: 'invoke'; name: string; session?: string | undefined; body: unknown }
  | {
      do: 'get response' | 'delete response' | 'input items';
      response: string;
      at?: string | undefined;
    }
  | { do: 'make conversation'; body: Json; at?: string | undefined }
  | {
      do: 'get conversation' | 'delete conversation';
      conversation: string;
      at?: string | undefined;
    }
  | {
      do: 'update conversation' | 'add items';
      conversation: string;
      body: Json;
      at?: string | undefined;
    }
  | {
      do: 'get item' | 'delete item';
      conversation: string;
      item: string;
      at?: string | undefined;
    }
  | {
      do: 'list';
      what: Listed;
      of?: string;
      drafts?: boolean;
      limit: number;
      order?: 'asc' | 'desc';
    };

export type Listed = 'agents' | 'versions' | 'sessions' | 'responses' | 'conversations' | 'items';

/** A status, and the rule that the answer names. */
export type Refusal = [status: number, rule: string];

export interface Expected {
  status?: number;
  /** The refusals that may be answered: of several reasons, any may be told. */
  refusals?: Refusal[];
  /** The fault plan answered, or kept from answering. */
  struck?: boolean;
  unanswered?: boolean;
  /** Too much for a story: nobody takes this step. */
  skipped?: boolean;
  routine?: Json;
  /** The run that was dispatched. */
  run?: number;
  fired?: Fired[];
  /** Pages, by keys of runs, or by names or ids. */
  pages?: (number | string)[][];
  /** What the answer's body has, once it is known what was drawn; what is undefined is not there. */
  told?: () => Json;
  /** The items that the answer lists, in their order, by role and words. */
  items?: Json[];
  /** An item that is answered by itself. */
  item?: Json;
  /** What was made, whose id and version the answer tells. */
  made?: Session | Response | Conversation;
  /** Of a step that is about threads. */
  threads?: ThreadExpected;
}
