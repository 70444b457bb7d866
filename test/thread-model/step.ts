/** What a story does to assistants, threads and runs, and what the model answers to each step. */
import type { Json, Made, Reply, Status } from './world.ts';

/** What is done to an assistant that is there, or may be. */
export type AssistantStep =
  | { do: 'get assistant' | 'delete assistant'; assistant: number }
  | { do: 'update assistant'; assistant: number; body: Json }
  | { do: 'set reply'; assistant: number; reply: Reply };

export type MessageStep =
  | { do: 'get message' | 'delete message'; thread: number; message: number }
  | { do: 'update message'; thread: number; message: number; body: Json };

export type RunStep =
  | { do: 'get run' | 'cancel run'; thread: number; run: number }
  | { do: 'update run'; thread: number; run: number; body: Json }
  | { do: 'submit outputs'; thread: number; run: number; outputs: Outputs }
  | { do: 'get run step'; thread: number; run: number; step: number }
  | { do: 'step run'; thread: number; run: number; to?: Status; last_error?: Json };

/** What is done to a thread that is there, or may be, and to what it has. */
export type OnThread =
  | MessageStep
  | RunStep
  | { do: 'get thread' | 'delete thread'; thread: number }
  | { do: 'update thread' | 'add message'; thread: number; body: Json }
  | { do: 'start run'; thread: number; assistant: number; body: Json };

export interface Leaf {
  do: 'leaf through';
  what: Leaved;
  thread: number;
  run: number;
  limit: number;
  order?: 'asc' | 'desc';
}

/** Things are named by the order in which they were made, from 0, or -1 for the last; what there is none of is asked for by an id of nobody. */
export type ThreadStep =
  | { do: 'make assistant' | 'make thread'; body: Json }
  | { do: 'start thread and run'; assistant: number; body: Json }
  | AssistantStep
  | OnThread
  | Leaf;

const WORDS = [
  'make assistant',
  'get assistant',
  'update assistant',
  'delete assistant',
  'set reply',
  'make thread',
  'get thread',
  'update thread',
  'delete thread',
  'add message',
  'get message',
  'update message',
  'delete message',
  'start run',
  'start thread and run',
  'get run',
  'update run',
  'cancel run',
  'submit outputs',
  'get run step',
  'step run',
  'leaf through',
] as const satisfies ThreadStep['do'][];

export function isThreadStep<T extends { do: string }>(step: T): step is T & ThreadStep {
  return WORDS.some((word) => word === step.do);
}

export type Leaved = 'assistants' | 'threads' | 'messages' | 'runs' | 'steps';

/** Which outputs come: of every call that is open, of all but the last, of one more; none at all, or none are named. */
export type Outputs = 'all' | 'all but one' | 'one more' | 'none' | 'nothing';

/** contract 8.2; what is undefined is not known. */
export interface ThreadError {
  status: number;
  message?: string;
}

export interface ThreadExpected {
  status: number;
  error?: ThreadError;
  /** What was asked for or made, whose id and other fields the answer tells; and what is known of it. */
  made?: Made;
  told?: () => Json;
  /** Pages of ids, in their order. */
  pages?: (string | undefined)[][];
  /** Nobody can say what is answered: the step is not taken. */
  skipped?: boolean;
}
