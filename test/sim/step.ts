/** What a story is made of, and what the model answers to each step. */
import type { Json } from './definition.ts';
import type { Fired, Settings } from './state.ts';

/** What a story is told of its world before it begins. */
export interface Setup {
  /** ISO 8601. */
  now: string;
  agents: string[];
  settings: Settings;
  switches: Record<string, string>;
}

export type Step =
  | { do: 'put'; name: string; body: Json }
  | { do: 'get' | 'enable' | 'disable' | 'delete'; name: string }
  | { do: 'dispatch'; name: string; body?: Json }
  | { do: 'fire'; name: string; body?: Json }
  | { do: 'advance'; by?: string; until?: 'idle'; back?: string }
  | { do: 'set'; by: string }
  | { do: 'agent'; name: string; verb: 'create' | 'delete' | 'enable' | 'disable' }
  | { do: 'faults'; faults: Json[] }
  | { do: 'settings'; settings: Settings; switches: Record<string, string> }
  | { do: 'snapshot'; name: string }
  | { do: 'reset'; snapshot?: string }
  | { do: 'restart' }
  | { do: 'page'; of?: string; limit?: number; order?: 'asc' | 'desc'; after?: string };

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
  /** Pages, by keys of runs or names of routines. */
  pages?: (number | string)[][];
}
