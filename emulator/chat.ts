/** OpenAI's Chat Completions and Responses, one told as the other: what is asked of a model, and what it said. Pure. */
import type { OutputItem } from './events.ts';
import type { Draw } from './ids.ts';

export type Json = Record<string, unknown>;

/** What a model is asked, with the fields of a Responses request; `input` holds the earlier items too. */
export interface Question {
  model: unknown;
  instructions?: unknown;
  input: unknown[];
  [field: string]: unknown;
}

/** Fields of a definition or a request that say how a model answers; both APIs have them. */
const SAMPLING = ['temperature', 'top_p'] as const;
/** Those that say something of tools, and are not taken where there are none. */
const OF_TOOLS = ['tool_choice', 'parallel_tool_calls'] as const;
/** Those that only a Responses request has under this name. */
const SHAPING = ['text', 'reasoning', 'max_output_tokens'] as const;

/** A question from an agent's definition, what its caller adds, and the conversation before. */
export function questionOf(
  definition: Json,
  body: Json,
  earlier: unknown[],
  model: string | undefined,
): Question {
  const asked: Json = { ...definition, ...body };
  const question: Question = {
    model: model ?? asked.model,
    input: [...earlier, ...itemsOf(body.input)],
  };
  for (const field of ['instructions', ...SAMPLING, ...SHAPING, ...OF_TOOLS])
    if (asked[field] !== undefined && asked[field] !== null) question[field] = asked[field];
  // What else a definition may list runs in the service, and no model knows it.
  const tools = listOf(asked.tools).filter((tool) => tool.type === 'function');
  if (tools.length > 0) question.tools = tools;
  else for (const field of OF_TOOLS) delete question[field];
  return question;
}

function itemsOf(input: unknown): unknown[] {
  if (Array.isArray(input)) return input;
  return input === undefined || input === null ? [] : [{ role: 'user', content: input }];
}

/** The same question as a Chat Completions request. */
export function chatRequest({ input, instructions, tools, ...question }: Question): Json {
  const { tool_choice, text, reasoning, max_output_tokens, ...same } = question;
  const effort = (reasoning as Json | undefined)?.effort;
  const format = formatOf((text as Json | undefined)?.format as Json | undefined);
  return {
    ...same,
    messages: [
      ...(instructions === undefined ? [] : [{ role: 'system', content: instructions }]),
      ...messagesOf(input),
    ],
    ...(tools === undefined ? {} : { tools: listOf(tools).map(chatTool) }),
    ...(tool_choice === undefined ? {} : { tool_choice: chatChoice(tool_choice) }),
    ...(format === undefined ? {} : { response_format: format }),
    ...(effort === undefined || effort === null ? {} : { reasoning_effort: effort }),
    ...(max_output_tokens === undefined ? {} : { max_tokens: max_output_tokens }),
  };
}

function chatTool({ type, ...described }: Json): Json {
  return { type, function: described };
}

function chatChoice(choice: unknown): unknown {
  const { type, name } = (choice ?? {}) as Json;
  return type === 'function' ? { type, function: { name } } : choice;
}

function formatOf(format: Json | undefined): Json | undefined {
  if (format === undefined || format.type === 'text') return undefined;
  const { type, ...described } = format;
  return type === 'json_schema' ? { type, json_schema: described } : format;
}

function messagesOf(items: unknown[]): Json[] {
  const messages: Json[] = [];
  for (const item of items as Json[]) {
    if (item.type === 'function_call') {
      const call = {
        id: item.call_id,
        type: 'function',
        function: { name: item.name, arguments: item.arguments },
      };
      const last = messages.at(-1);
      // Calls that were made together are one message.
      if (Array.isArray(last?.tool_calls)) last.tool_calls.push(call);
      else messages.push({ role: 'assistant', content: null, tool_calls: [call] });
    } else if (item.type === 'function_call_output') {
      messages.push({ role: 'tool', tool_call_id: item.call_id, content: textOf(item.output) });
    } else if (item.role !== undefined) {
      const role = item.role === 'developer' ? 'system' : item.role;
      messages.push({ role, content: contentOf(item.content) });
    }
  }
  return messages;
}

function contentOf(content: unknown): unknown {
  if (!Array.isArray(content)) return textOf(content);
  const parts = content as Json[];
  if (!parts.some((part) => part.type === 'input_image')) return parts.map(textOf).join('');
  return parts.map((part) =>
    part.type === 'input_image'
      ? { type: 'image_url', image_url: { url: part.image_url } }
      : { type: 'text', text: textOf(part) },
  );
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const { text, refusal } = (value ?? {}) as Json;
  if (typeof text === 'string') return text;
  return typeof refusal === 'string' ? refusal : JSON.stringify(value ?? '');
}

export function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}

/** What a model has said, as fields of a Response object. */
export interface ModelSaid {
  status: 'completed' | 'incomplete';
  incomplete_details: { reason: string } | null;
  output: OutputItem[];
  usage: unknown;
}

/** One choice of a Chat Completions answer, whole; also what its pieces add up to. */
export interface Choice {
  content: string;
  refusal: string;
  calls: { id: string; name: string; arguments: string }[];
  finish: unknown;
  usage: unknown;
}

export function choiceOf(answer: Json): Choice {
  const choice = listOf(answer.choices)[0] ?? {};
  const message = (choice.message ?? {}) as Json;
  const calls = listOf(message.tool_calls).map(({ id, function: called }) => {
    const { name, arguments: args } = (called ?? {}) as Json;
    return { id: String(id), name: String(name), arguments: String(args ?? '') };
  });
  return {
    content: typeof message.content === 'string' ? message.content : '',
    refusal: typeof message.refusal === 'string' ? message.refusal : '',
    calls,
    finish: choice.finish_reason,
    usage: answer.usage,
  };
}

export function saidBy(draw: Draw, id: string, choice: Choice): ModelSaid {
  const { content, refusal, calls, finish, usage } = choice;
  const output = calls.map((call, index) => callItem(draw, id, index, call));
  if (content !== '' || refusal !== '' || calls.length === 0)
    output.unshift(
      messageItem(draw, id, refusal === '' ? 'content' : 'refusal', content || refusal),
    );
  return { ...endOf(finish, usage), output };
}

/** How a choice ended. */
export function endOf(finish: unknown, usage: unknown): Omit<ModelSaid, 'output'> {
  const reason = REASONS[String(finish)];
  return {
    status: reason === undefined ? 'completed' : 'incomplete',
    incomplete_details: reason === undefined ? null : { reason },
    usage: usageOf(usage as Json | null | undefined),
  };
}

const REASONS: Record<string, string> = {
  length: 'max_output_tokens',
  content_filter: 'content_filter',
};

export function messageItem(
  draw: Draw,
  id: string,
  field: 'content' | 'refusal',
  text: string,
): OutputItem {
  const part =
    field === 'content'
      ? { type: 'output_text', text, annotations: [] }
      : { type: 'refusal', refusal: text };
  return {
    type: 'message',
    id: draw.id('msg_', 'message', id, 1),
    role: 'assistant',
    status: 'completed',
    content: [part],
  };
}

export function callItem(
  draw: Draw,
  id: string,
  index: number,
  call: Choice['calls'][number],
): OutputItem {
  return {
    type: 'function_call',
    id: draw.id('fc_', 'tool call', id, index),
    call_id: call.id,
    name: call.name,
    arguments: call.arguments,
    status: 'completed',
  };
}

function usageOf(usage: Json | null | undefined): unknown {
  if (usage === undefined || usage === null) return null;
  const cached = (usage.prompt_tokens_details as Json | undefined)?.cached_tokens ?? 0;
  const reasoning = (usage.completion_tokens_details as Json | undefined)?.reasoning_tokens ?? 0;
  return {
    input_tokens: usage.prompt_tokens ?? 0,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: usage.completion_tokens ?? 0,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: usage.total_tokens ?? 0,
  };
}
