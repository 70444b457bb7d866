/** What the model knows of assistants, threads and runs: plain data, so that a snapshot is a copy. Instants are ms. */

export type Json = Record<string, unknown>;

/** contract 7.1 and 14 row 2. */
export type Status =
  | 'queued'
  | 'in_progress'
  | 'requires_action'
  | 'cancelling'
  | 'cancelled'
  | 'failed'
  | 'completed'
  | 'incomplete'
  | 'expired';

/** What an assistant is told to say in one run; `takes` is a duration such as 1500ms. */
export type Turn =
  | { text: string; incomplete?: string; takes?: string }
  | { tool_calls: { name: string; arguments: Json }[]; next?: Turn; takes?: string }
  | { failed: { code: string; message: string }; text?: string; takes?: string }
  | { stuck: true };

export type Reply =
  | { kind: 'echo' }
  | { kind: 'script'; turns: Turn[]; repeat?: 'last' | 'cycle' | 'error' };

/** What has an id, which is drawn: the model learns it, and what it cannot know, from the first answer that tells it. */
export interface Made {
  key: number;
  id?: string;
  /** Fields that no rule decides: as they were told first, so they stay. */
  drawn: Json;
}

export interface Assistant extends Made {
  createdAt: number;
  body: Json;
  reply: Reply;
  /** How many runs have asked for a turn since the reply was set. */
  asked: number;
  deleted: boolean;
}

export interface Thread extends Made {
  createdAt: number;
  metadata: Json;
  /** In the order in which they were made, which is not told by seconds. */
  messages: Message[];
  runs: Run[];
  deleted: boolean;
}

export interface Message extends Made {
  createdAt: number;
  role: string;
  status: 'in_progress' | 'completed' | 'incomplete';
  /** Null where it broke off: how much was said then is not known. */
  text: string | null;
  reason?: string;
  endedAt?: number;
  /** The run that wrote it. */
  run?: number;
  metadata: Json;
  deleted: boolean;
}

export interface ToolCall {
  id?: string;
  name: string;
  arguments: string;
  output: string | null;
}

export interface RunStep extends Made {
  createdAt: number;
  status: 'in_progress' | 'completed' | 'cancelled' | 'failed' | 'expired';
  endedAt?: number;
  lastError: Json | null | undefined;
  /** Of a message, its key; of tool calls, the calls, which are told when they are complete. */
  message?: number;
  calls?: ToolCall[];
  told: boolean;
}

export interface Run extends Made {
  thread: number;
  assistant: number;
  createdAt: number;
  status: Status;
  startedAt?: number;
  endedAt?: number;
  /** Undefined where it failed and nobody said why. */
  lastError: Json | null | undefined;
  incomplete?: string;
  model: unknown;
  /** Undefined where they were added to: how they are joined is not known. */
  instructions: unknown;
  metadata: Json;
  steps: RunStep[];
  /** What it says now; and after its tool calls were answered, what it says then. */
  turn?: Turn | undefined;
}

/** A consequence, 0, comes before a deadline, 2, of the same instant. */
export interface Due {
  at: number;
  class: 0 | 2;
  seq: number;
  run: number;
}

export interface Armed {
  entry: Json;
  fired: number;
}

export interface ThreadWorld {
  now: number;
  seq: number;
  keys: number;
  /** In ms, by their settings' names. */
  durations: Record<string, number | string>;
  /** In the order in which they were made; those that are deleted too. */
  assistants: Assistant[];
  threads: Thread[];
  due: Due[];
  faults: Armed[];
}

export const DURATIONS = {
  run_queue_time: 500,
  run_time: 1_500,
  run_cancel_time: 500,
  run_expiry: 600_000,
};

/** Its durations and its faults are the whole world's. */
export function freshThreads(now: number, durations: ThreadWorld['durations']): ThreadWorld {
  return { now, seq: 0, keys: 0, durations, assistants: [], threads: [], due: [], faults: [] };
}

export function lasts(world: ThreadWorld, duration: keyof typeof DURATIONS): number {
  return Number(world.durations[duration]);
}

/** What everything that has an id begins with. */
export function made(world: ThreadWorld): Made & { createdAt: number } {
  world.keys += 1;
  return { key: world.keys, drawn: {}, createdAt: world.now };
}

export function assistantOf(world: ThreadWorld, key: number): Assistant {
  return known(world.assistants, key);
}

export function threadOf(world: ThreadWorld, key: number): Thread {
  return known(world.threads, key);
}

function known<T extends Made>(all: T[], key: number): T {
  const found = all.find((one) => one.key === key);
  if (!found) throw new Error(`The model has nothing of the key ${key}`);
  return found;
}

/** What a story means by a number, of which -1 is the last; undefined where there are none. */
export function numbered<T>(all: readonly T[], number: number): T | undefined {
  if (number < 0) return all.at(number);
  return all.length === 0 ? undefined : all[number % all.length];
}

export function there<T extends { deleted: boolean }>(one: T | undefined): one is T {
  return one !== undefined && !one.deleted;
}

/** The id by which something is asked for, or that of nobody. */
export function idOf(one: { id?: string } | undefined, prefix: string): string {
  return one?.id ?? `${prefix}_notmade`;
}
