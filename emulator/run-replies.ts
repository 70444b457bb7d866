/** Replies of assistants: what a thread run says, round by round. Pure; the agents' own replies are in replies.ts. */
import { type ModelReply, type Pace, scriptedTurn } from './replies.ts';

/** How a run takes its time: `takes` stands in place of the setting `run_time` (a duration), the rest paces what is streamed. */
export type RunPace = Pace & { takes?: string };

/** Why a run ends as `incomplete` (contract/threads.md 5.4). */
export type RunIncomplete = 'max_completion_tokens' | 'max_prompt_tokens';

/** contract/threads.md 5.4 `usage`. */
export interface RunUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** A function call that a turn makes. `id` is the model's own, which it gets back with the output; on the wire another is drawn. */
export interface AskedCall {
  name: string;
  arguments?: unknown;
  id?: string;
}

/** What a run says in one go, and how that ends. A model's has counted its tokens. */
export type RunTurn = { usage?: RunUsage } & (
  | (RunPace & { text: string; annotations?: unknown[]; incomplete?: RunIncomplete })
  /** After the outputs came the run goes on with `next`, asks its model again, or says the outputs. */
  | (RunPace & { tool_calls: AskedCall[]; next?: RunTurn; asks?: true })
  /** After its text, if it has one, which is left incomplete. Without a message the code's own is told. */
  | (RunPace & { failed: { code: string; message?: string }; text?: string })
  /** In progress until it expires. */
  | { stuck: true }
);

/** What an assistant's runs say. A script has a turn for each run that begins to work. */
export type AssistantReply =
  | { kind: 'echo' }
  | { kind: 'script'; turns: RunTurn[]; repeat?: 'last' | 'cycle' | 'error' }
  | ModelReply;

/** A call that a run made in an earlier round, as its step keeps it, and what came of it. */
export interface MadeCall {
  /** On the wire: `call_…`. */
  id: string;
  /** The model's own id of it. */
  own?: string;
  name: string;
  /** JSON text. */
  arguments: string;
  output: string | null;
}

/** What an echo or a script says in a run's first round, with `turn` counting a script's turns from 0. */
export function turnOfRun(
  reply: Exclude<AssistantReply, ModelReply>,
  turn: number,
  heard: string,
): RunTurn {
  if (reply.kind === 'echo') return { text: heard };
  return scriptedTurn(reply, turn, (failed) => ({ failed }));
}

/** What a run says after the outputs of its calls came; undefined where the model is asked again. */
export function turnAfter(turn: RunTurn, made: readonly MadeCall[]): RunTurn | undefined {
  if ('tool_calls' in turn && turn.asks === true) return undefined;
  const next = 'tool_calls' in turn ? turn.next : undefined;
  return next ?? { text: made.map(({ output }) => output ?? '').join('\n') };
}

/** Those that the service is known to tell (contract/threads.md 5.4). */
const FAILURES: Readonly<Record<string, string>> = {
  server_error: 'Sorry, something went wrong.',
  rate_limit_exceeded: 'Rate limit is exceeded. Try again in 60 seconds.',
  invalid_prompt: 'The prompt was refused. Change the messages or the instructions.',
};

/** A run's `last_error`, with the message of its code where none was written. */
export function lastErrorOf({ code, message }: { code: string; message?: string }): {
  code: string;
  message: string;
} {
  return { code, message: message ?? FAILURES[code] ?? `The run failed: ${code}.` };
}

const CHARACTERS_PER_TOKEN = 4;

/** A model has counted its tokens; else a text has about one for every four characters. */
export function usageOf(turn: RunTurn, asked: string, said: string): RunUsage {
  if (turn.usage) return turn.usage;
  const [prompt, completion] = [asked, said].map((text) =>
    Math.ceil(text.length / CHARACTERS_PER_TOKEN),
  ) as [number, number];
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
  };
}
