/** Replies: what an emulated agent says. Whether and when it arrives is the business of faults. */
import type { Draw } from './ids.ts';

export type ScriptTurn =
  | { text: string }
  | { tool_calls: { name: string; arguments?: unknown }[] }
  /** The call succeeds and the agent's answer says that it failed. */
  | { failed: { code: string; message: string } }
  /** 202: accepted, the work goes on later. */
  | { accepted: { after: string; text?: string; failed?: { code: string; message: string } } }
  | { status: number; headers?: Record<string, string>; body?: unknown };

export type Reply =
  | { kind: 'echo' }
  | { kind: 'script'; turns: ScriptTurn[]; repeat?: 'last' | 'cycle' | 'error' }
  | { kind: 'forward'; url: string };

/**
 * A reply as the journal and the configuration that is printed have it: without what its address may hold of a secret (user, password,
 * query). It is still an address, and nothing is left to hide in it.
 */
export function withoutSecrets(reply: unknown): unknown {
  const url = (reply as { url?: unknown } | null | undefined)?.url;
  if (typeof url !== 'string' || !URL.canParse(url)) return reply;
  const address = new URL(url);
  if (address.username + address.password + address.search === '') return reply;
  address.username = 'not-shown';
  address.password = '';
  if (address.search !== '') address.search = 'not-shown';
  return { ...(reply as object), url: address.href };
}

/** Agents of the configuration, with such replies. */
export function agentsWithoutSecrets(agents: Record<string, unknown>): Record<string, unknown> {
  const each = Object.entries(agents).map(([name, agent]) => {
    const { reply, ...rest } = (agent ?? {}) as { reply?: unknown };
    return [name, reply === undefined ? rest : { ...rest, reply: withoutSecrets(reply) }];
  });
  return Object.fromEntries(each);
}

export interface Spoken {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** What the agent knows when it is called. */
export interface Heard {
  agent: string;
  version: string;
  hosted: boolean;
  protocol: 'responses' | 'invocations';
  /** The parsed body. */
  body: unknown;
  requestId: string;
  sessionId: string | undefined;
  /** Unix seconds. */
  createdAt: number;
}

/**
 * The id that an emulated agent's answer to one caller's id carries. A delivery knows it beforehand: that is its
 * `action_correlation_id` (in seed 001 the same value as the run's `response_id`), and repeating a call repeats the id.
 */
export function answerId(
  draw: Draw,
  protocol: 'responses' | 'invocations',
  requestId: string,
): string {
  return draw.id(protocol === 'responses' ? 'caresp_' : 'inv_', 'answer', requestId, 1);
}

/** What an echo or a script says; `turn` counts a script's turns from 0. */
export function speak(
  draw: Draw,
  reply: Exclude<Reply, { kind: 'forward' }>,
  turn: number,
  heard: Heard,
): Spoken {
  if (reply.kind === 'echo') return say(draw, heard, { text: textOf(inputOf(heard)) });
  const { turns } = reply;
  if (reply.repeat === 'error' && turn >= turns.length)
    return say(draw, heard, exhausted(turns.length));
  const index = reply.repeat === 'cycle' ? turn % turns.length : Math.min(turn, turns.length - 1);
  return say(draw, heard, turns[index] ?? { text: '' });
}

function exhausted(turns: number): ScriptTurn {
  const message = `The script has ${turns} turns, and all were spoken. Add a turn, or set 'repeat' to last or cycle.`;
  return {
    status: 500,
    body: { error: { code: 'script_exhausted', message, param: null, type: 'script_exhausted' } },
  };
}

function say(draw: Draw, heard: Heard, turn: ScriptTurn): Spoken {
  const id = answerId(draw, heard.protocol, heard.requestId);
  const sessionId = heard.sessionId ?? draw.uuid('session', heard.requestId, 1);
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (heard.hosted) headers['x-agent-session-id'] = sessionId;
  if (heard.protocol === 'invocations') headers['x-agent-invocation-id'] = id;
  if ('status' in turn) {
    const body = typeof turn.body === 'string' ? turn.body : JSON.stringify(turn.body ?? {});
    return {
      status: turn.status,
      headers: { ...headers, ...turn.headers, 'x-foundrite-body-by': 'reply' },
      body,
    };
  }
  const status = 'accepted' in turn ? 202 : 200;
  if (heard.protocol === 'invocations') {
    const body = { invocation_id: id, session_id: sessionId, ...invocationBody(turn, heard) };
    return { status, headers, body: JSON.stringify(body) };
  }
  return {
    status,
    headers,
    body: JSON.stringify(responseObject(draw, id, sessionId, heard, turn)),
  };
}

function invocationBody(
  turn: Exclude<ScriptTurn, { status: number }>,
  heard: Heard,
): Record<string, unknown> {
  if ('text' in turn)
    return {
      status: 'completed',
      output: turn.text === textOf(inputOf(heard)) ? (heard.body ?? null) : turn.text,
    };
  if ('failed' in turn) return { status: 'failed', error: turn.failed };
  if ('accepted' in turn) return { status: 'in_progress' };
  return { status: 'completed', tool_calls: turn.tool_calls };
}

/** The Response object of contract/agents.md 13.3. */
function responseObject(
  draw: Draw,
  id: string,
  sessionId: string,
  heard: Heard,
  turn: Exclude<ScriptTurn, { status: number }>,
) {
  const request = (
    typeof heard.body === 'object' && heard.body !== null ? heard.body : {}
  ) as Record<string, unknown>;
  const conversation = conversationOf(request.conversation);
  return {
    id,
    object: 'response',
    created_at: heard.createdAt,
    completed_at: 'failed' in turn || 'accepted' in turn ? null : heard.createdAt,
    status: 'failed' in turn ? 'failed' : 'accepted' in turn ? 'in_progress' : 'completed',
    background: false,
    error: 'failed' in turn ? turn.failed : null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    metadata:
      typeof request.metadata === 'object' && request.metadata !== null ? request.metadata : {},
    model: typeof request.model === 'string' ? request.model : 'foundrite',
    output: outputItems(draw, id, turn),
    parallel_tool_calls: true,
    previous_response_id:
      typeof request.previous_response_id === 'string' ? request.previous_response_id : null,
    reasoning: { effort: null, summary: null },
    store: true,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage: null,
    user: null,
    conversation: conversation === undefined ? null : { id: conversation },
    agent_reference: { type: 'agent_reference', name: heard.agent, version: heard.version },
    agent_session_id: heard.hosted ? sessionId : null,
  };
}

function outputItems(
  draw: Draw,
  id: string,
  turn: Exclude<ScriptTurn, { status: number }>,
): unknown[] {
  if ('text' in turn) {
    return [
      {
        type: 'message',
        id: draw.id('msg_', 'message', id, 1),
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: turn.text, annotations: [] }],
      },
    ];
  }
  if ('tool_calls' in turn) {
    return turn.tool_calls.map((call, index) => ({
      type: 'function_call',
      id: draw.id('fc_', 'tool call', id, index),
      call_id: draw.id('call_', 'tool call', id, index),
      name: call.name,
      arguments:
        typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments ?? {}),
      status: 'completed',
    }));
  }
  return [];
}

/** A conversation is named by its id, alone or in an object. */
export function conversationOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const id = (value as { id?: unknown } | null | undefined)?.id;
  return typeof id === 'string' ? id : undefined;
}

function inputOf(heard: Heard): unknown {
  if (heard.protocol === 'invocations') return heard.body;
  return (heard.body as { input?: unknown } | null)?.input;
}

/** The words in an input: itself, or the text of its last user item, or its JSON. */
function textOf(input: unknown): string {
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
