/** What a run takes from its assistant when it is made: later changes of that one are not its own (contract/threads.md 15). */
import type { AssistantRow } from '../store/assistants.ts';
import type { RunSnapshot } from './thread-objects.ts';

/** What a request to run overrides, in the words of the wire; what it leaves out or sets to null is the assistant's. */
export interface RunAsked {
  model?: string | null;
  instructions?: string | null;
  tools?: readonly unknown[] | null;
  tool_resources?: unknown;
  temperature?: number | null;
  top_p?: number | null;
  max_completion_tokens?: number | null;
  max_prompt_tokens?: number | null;
  truncation_strategy?: { type: string; last_messages?: number | null } | null;
  response_format?: unknown;
  tool_choice?: unknown;
  parallel_tool_calls?: boolean | null;
  metadata?: unknown;
}

export function snapshotOf(
  assistant: AssistantRow,
  asked: RunAsked,
  further: string | null | undefined,
): RunSnapshot {
  const own = (text: string): unknown => JSON.parse(text);
  const { truncation_strategy: truncation } = asked;
  const instructions = asked.instructions ?? assistant.instructions ?? '';
  const parts = [instructions, further ?? ''];
  return {
    model: asked.model ?? assistant.model,
    instructions: parts.filter((part) => part !== '').join('\n'),
    tools: [...(asked.tools ?? (own(assistant.tools) as unknown[]))],
    tool_resources: asked.tool_resources ?? own(assistant.tool_resources),
    temperature: asked.temperature ?? assistant.temperature,
    top_p: asked.top_p ?? assistant.top_p,
    max_completion_tokens: asked.max_completion_tokens ?? null,
    max_prompt_tokens: asked.max_prompt_tokens ?? null,
    truncation_strategy: {
      type: truncation?.type ?? 'auto',
      last_messages: truncation?.last_messages ?? null,
    },
    response_format: asked.response_format ?? formatOf(own(assistant.response_format)),
    tool_choice: asked.tool_choice ?? 'auto',
    parallel_tool_calls: asked.parallel_tool_calls ?? true,
  };
}

/** An assistant's may be `none`, which is no format of a run (contract/threads.md 5.4). */
function formatOf(own: unknown): unknown {
  return own === 'none' ? 'auto' : own;
}
