/** The Response object (contract/agents.md 13.3): a view of what was asked and what was said. */
import { type Instant, unixSeconds } from './clock.ts';
import type { Draw } from './ids.ts';

export type ResponseStatus =
  | 'queued'
  | 'in_progress'
  | 'completed'
  | 'failed'
  | 'cancelled'
  | 'incomplete';

/** What an agent says in answer to one call. */
export type Said =
  | { text: string; incomplete?: string }
  | { tool_calls: { name: string; arguments?: unknown }[] }
  /** The call succeeds and the agent's answer says that it failed, after its text if it has one. */
  | { failed: { code: string; message: string }; text?: string }
  /** The object as an agent or a model of the user's own gave it. */
  | { response: Record<string, unknown> };

/** One call to the Responses API and its answer. */
export interface Exchange {
  id: string;
  /** Null where the project itself answers. */
  agent: string | null;
  version: string | null;
  /** Null for an agent that is not hosted. */
  session: string | null;
  conversation: string | null;
  status: ResponseStatus;
  createdAt: Instant;
  endedAt: Instant | null;
  /** The request's body. */
  asked: Record<string, unknown>;
  /** A prompt agent's own, which says what its caller may not. */
  definition?: Record<string, unknown> | undefined;
  /** Is not told before it has ended. */
  said: Said;
}

/** The status in which an answer ends. */
export function endOf(said: Said): ResponseStatus {
  if ('failed' in said) return 'failed';
  if ('incomplete' in said && said.incomplete !== undefined) return 'incomplete';
  if (!('response' in said)) return 'completed';
  const status = ENDS.find((end) => end === said.response.status);
  return status ?? 'completed';
}

const ENDS: readonly ResponseStatus[] = [
  'queued',
  'in_progress',
  'completed',
  'failed',
  'cancelled',
  'incomplete',
];

/** Something said in a conversation: a message, a function call, or what only a model of the user's own says. */
export interface Item {
  type: string;
  id?: string;
  status?: string;
  [field: string]: unknown;
}

export interface ResponseObject {
  id: string;
  status: ResponseStatus;
  output: Item[];
  [field: string]: unknown;
}

export function responseObject(draw: Draw, exchange: Exchange): ResponseObject {
  const { asked, said, status } = exchange;
  if ('response' in said) {
    const output = outputItems(draw, exchange.id, said);
    return { id: exchange.id, ...said.response, output, status };
  }
  const ended = exchange.endedAt === null ? null : unixSeconds(exchange.endedAt);
  const { agent, version, conversation } = exchange;
  return {
    // First: a delivery reads no more of its answer.
    id: exchange.id,
    object: 'response',
    ...toldOf(asked, exchange.definition ?? {}),
    created_at: unixSeconds(exchange.createdAt),
    completed_at: status === 'completed' ? ended : null,
    status,
    background: asked.background === true,
    error: status === 'failed' && 'failed' in said ? said.failed : null,
    incomplete_details:
      status === 'incomplete' && 'incomplete' in said ? { reason: said.incomplete } : null,
    metadata: asked.metadata ?? {},
    output: TOLD.has(status) ? outputItems(draw, exchange.id, said) : [],
    previous_response_id: asked.previous_response_id ?? null,
    store: asked.store !== false,
    usage: null,
    conversation: conversation === null ? null : { id: conversation },
    agent_reference: agent === null ? null : { type: 'agent_reference', name: agent, version },
    agent_session_id: exchange.session,
  };
}

/** How a response is made, unless it was asked for otherwise. */
const MADE = Object.entries({
  instructions: null,
  max_output_tokens: null,
  model: 'foundrite',
  parallel_tool_calls: true,
  temperature: 1,
  tool_choice: 'auto',
  tools: [],
  top_p: 1,
  truncation: 'disabled',
  user: null,
});
const PLAIN_TEXT = { format: { type: 'text' } };
const NO_REASONING = { effort: null, summary: null };

/** What a response says of how it was made: as its agent defines it, or as it was asked for. */
function toldOf(
  asked: Record<string, unknown>,
  definition: Record<string, unknown>,
): Record<string, unknown> {
  const told: Record<string, unknown> = {
    text: { ...PLAIN_TEXT, ...(definition.text ?? asked.text ?? {}) },
    reasoning: { ...NO_REASONING, ...(definition.reasoning ?? asked.reasoning ?? {}) },
  };
  for (const [field, otherwise] of MADE)
    told[field] = definition[field] ?? asked[field] ?? otherwise;
  return told;
}

/** Before it has ended, and when it was cancelled, nothing of it is told. */
const TOLD = new Set(['completed', 'failed', 'incomplete']);

/** The output of a response, and what a conversation keeps of it. */
export function outputItems(draw: Draw, id: string, said: Said): Item[] {
  if ('text' in said && said.text !== undefined) {
    const incomplete = 'incomplete' in said && said.incomplete !== undefined;
    return [
      {
        type: 'message',
        id: draw.id('msg_', 'message', id, 1),
        role: 'assistant',
        status: incomplete ? 'incomplete' : 'completed',
        content: [{ type: 'output_text', text: said.text, annotations: [] }],
      },
    ];
  }
  if ('tool_calls' in said) {
    return said.tool_calls.map((call, index) => ({
      type: 'function_call',
      id: draw.id('fc_', 'tool call', id, index),
      call_id: draw.id('call_', 'tool call', id, index),
      name: call.name,
      arguments:
        typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments ?? {}),
      status: 'completed',
    }));
  }
  if ('response' in said && Array.isArray(said.response.output))
    return said.response.output.filter(isItem);
  return [];
}

const ITEM_PREFIXES: Record<string, string> = {
  message: 'msg_',
  function_call: 'fc_',
  function_call_output: 'fco_',
  reasoning: 'rs_',
};

/** The items of an input as they are listed, with ids that depend on whose input it is and where it begins. */
export function inputItems(
  draw: Draw,
  of: string,
  input: unknown,
  from = 1,
): Record<string, unknown>[] {
  const given: Record<string, unknown>[] =
    input === undefined
      ? []
      : Array.isArray(input) && input.every(isObject)
        ? input
        : // A routine's input may be any JSON: what is kept of it are the words that an echo hears.
          [{ role: 'user', content: textOf(input) }];
  return given.map((item, index) => {
    const type = typeof item.type === 'string' ? item.type : 'message';
    const id = draw.id(ITEM_PREFIXES[type] ?? 'item_', 'item', of, from + index);
    if (type !== 'message') return { ...item, type, id };
    const role = typeof item.role === 'string' ? item.role : 'user';
    const kind = role === 'assistant' ? 'output_text' : 'input_text';
    const content = contentOf(item.content ?? [], kind);
    return { type, id, status: 'completed', ...ownFields(item), role, content };
  });
}

function contentOf(content: unknown, type: string): unknown[] {
  if (Array.isArray(content)) return content;
  return [{ type, text: typeof content === 'string' ? content : JSON.stringify(content) }];
}

/** Id and type are ours to say. */
function ownFields({ id: _, type: __, ...item }: Record<string, unknown>): Record<string, unknown> {
  return item;
}

function isItem(value: unknown): value is Item {
  return isObject(value) && typeof value.type === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A conversation is named by its id, alone or in an object. */
export function conversationOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const id = (value as { id?: unknown } | null | undefined)?.id;
  return typeof id === 'string' ? id : undefined;
}

/** The words in an input: itself, or the text of its last item, or its JSON. */
export function textOf(input: unknown): string {
  if (typeof input === 'string') return input;
  if (input === undefined || input === null) return '';
  if (Array.isArray(input)) {
    const last: unknown = input.at(-1);
    const content = (last as { content?: unknown } | null)?.content;
    if (typeof content === 'string') return content;
    if (Array.isArray(content)) {
      return content
        .map((part) => (part as { text?: unknown })?.text)
        .filter((text) => typeof text === 'string')
        .join('');
    }
  }
  return JSON.stringify(input);
}
