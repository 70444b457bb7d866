/** Replies: what an emulated agent says. Whether and when it arrives is the business of faults. */
import { type Instant, parseDuration } from './clock.ts';
import type { Draw } from './ids.ts';
import { endOf, type ResponseObject, responseObject, type Said, textOf } from './response.ts';

/** How a stream is spoken: what passes in world time before each piece, and how many characters a piece has. */
export interface Pace {
  every?: string;
  chunk?: number;
}

/** The error of a response. */
export interface Failure {
  code: string;
  message: string;
}

export type TextTurn = Pace & {
  text: string;
  incomplete?: 'max_output_tokens' | 'content_filter';
  /** A stream breaks off after so many characters. */
  cut_after?: number;
};
/** The call succeeds and the agent's answer says that it failed, after its text if it has one. */
export type FailedTurn = Pace & { failed: Failure; text?: string };
/** A stream of any events; it breaks off after so many of them. */
export type EventsTurn = { events: unknown[]; every?: string; cut_after?: number };
/** A whole answer, in the agent's own words. */
export type AnswerTurn = { status: number; headers?: Record<string, string>; body?: unknown };

/** What an answer of the protocols' own form is made of. */
export type SpokenTurn =
  | TextTurn
  | (Pace & { tool_calls: { name: string; arguments?: unknown }[] })
  | FailedTurn
  /** 202: accepted, the work goes on later. */
  | { accepted: { after: string; text?: string; failed?: Failure } };

export type ScriptTurn = SpokenTurn | EventsTurn | AnswerTurn;

export type Reply =
  | { kind: 'echo' }
  | { kind: 'script'; turns: ScriptTurn[]; repeat?: 'last' | 'cycle' | 'error' }
  | { kind: 'forward'; url: string }
  | ModelReply;

/** What the emulator says itself. */
export type SpokenReply = Extract<Reply, { kind: 'echo' | 'script' }>;

/** A model of the user's own, behind any address that speaks OpenAI's Chat Completions or Responses. */
export interface ModelReply {
  kind: 'model';
  url: string;
  model?: string;
  api?: 'chat' | 'responses';
  api_key?: string;
  api_key_env?: string;
}

/**
 * A reply as the journal and the configuration that is printed have it: without its key, and without what its address may
 * hold of a secret (user, password, query). It is still an address, and nothing is left to hide in it.
 */
export function withoutSecrets(reply: unknown): unknown {
  const { url, api_key } = (reply ?? {}) as { url?: unknown; api_key?: unknown };
  const shown = api_key === undefined ? reply : { ...(reply as object), api_key: 'not-shown' };
  if (typeof url !== 'string' || !URL.canParse(url)) return shown;
  const address = new URL(url);
  if (address.username + address.password + address.search === '') return shown;
  address.username = 'not-shown';
  address.password = '';
  if (address.search !== '') address.search = 'not-shown';
  return { ...(shown as object), url: address.href };
}

/** Where a reply's address is, as a message may say it: who may ask there is nobody's business. */
export function placeOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return pathname === '/' ? origin : `${origin}${pathname}`;
}

/** Agents or assistants of the configuration, with such replies. */
export function agentsWithoutSecrets(agents: Record<string, unknown>): Record<string, unknown> {
  const each = Object.entries(agents).map(([name, agent]) => {
    const { reply, ...rest } = (agent ?? {}) as { reply?: unknown };
    return [name, reply === undefined ? rest : { ...rest, reply: withoutSecrets(reply) }];
  });
  return Object.fromEntries(each);
}

/** An answer, and what it leaves to be kept. */
export interface Spoken {
  status: number;
  headers: Record<string, string>;
  body: string;
  /** What was said, or will be; absent where the answer is words of the script's own. */
  said?: Said;
  /** How long the work goes on after a 202. */
  laterMs?: number;
}

/** What the agent knows when it is called. */
export interface Heard {
  /** Null where the project itself answers. */
  agent: string | null;
  version: string | null;
  protocol: 'responses' | 'invocations';
  /** The parsed body. */
  body: unknown;
  /** The id that its answer carries. */
  answerId: string;
  /** Hosted agents only. */
  sessionId: string | undefined;
  conversation: string | undefined;
  at: Instant;
  /** The version's own, for a model, and of a prompt agent for its response. */
  definition?: Record<string, unknown>;
  /** The items of the conversation before this call, oldest first; for a model. */
  earlier?: unknown[];
}

/**
 * The id that an emulated agent's answer to one caller's id carries. A delivery knows it beforehand: that is its
 * `action_correlation_id` (in seed 001 the same value as the run's `response_id`), and repeating a call repeats the id.
 */
export function answerId(
  draw: Draw,
  protocol: 'responses' | 'invocations',
  hosted: boolean,
  requestId: string,
): string {
  const prefix = protocol === 'invocations' ? 'inv_' : hosted ? 'caresp_' : 'resp_';
  return draw.id(prefix, 'answer', requestId, 1);
}

/** What an echo or a script says next, with `turn` counting a script's turns from 0. */
export function turnOf(reply: SpokenReply, turn: number, heard: Heard): ScriptTurn {
  if (reply.kind === 'echo') return { text: textOf(inputOf(heard)) };
  return scriptedTurn(reply, turn, (error) => ({
    status: 500,
    body: { error: { ...error, param: null, type: error.code } },
  }));
}

/** The turn of a script that this one is; `exhausted` makes one of the error where all were spoken. */
export function scriptedTurn<Turn>(
  { turns, repeat }: { turns: readonly Turn[]; repeat?: 'last' | 'cycle' | 'error' },
  turn: number,
  exhausted: (error: Failure) => Turn,
): Turn {
  const index = repeat === 'cycle' ? turn % turns.length : turn;
  const found = turns[index] ?? (repeat === 'error' ? undefined : turns.at(-1));
  if (found !== undefined) return found;
  const message = `The script has ${turns.length} turns, and all were spoken. Add a turn, or set 'repeat' to last or cycle.`;
  return exhausted({ code: 'script_exhausted', message });
}

/** A turn as one whole answer. */
export function say(draw: Draw, heard: Heard, turn: ScriptTurn): Spoken {
  const id = heard.answerId;
  const headers = { ...headersOf(heard), 'content-type': 'application/json' };
  if ('events' in turn) return say(draw, heard, { status: 200, body: wholeOf(turn) });
  if ('status' in turn) {
    const body = typeof turn.body === 'string' ? turn.body : JSON.stringify(turn.body ?? {});
    return {
      status: turn.status,
      headers: { ...headers, ...turn.headers, 'x-foundrite-body-by': 'reply' },
      body,
    };
  }
  const accepted = 'accepted' in turn ? turn.accepted : undefined;
  const said = saidIn(turn);
  const spoken = {
    status: accepted ? 202 : 200,
    headers,
    said,
    ...(accepted ? { laterMs: parseDuration(accepted.after) ?? 0 } : {}),
  };
  if (heard.protocol === 'invocations') {
    const told = accepted ? { status: 'in_progress' } : invocationBody(said, heard);
    const body = { invocation_id: id, session_id: heard.sessionId, ...told };
    return { ...spoken, body: JSON.stringify(body) };
  }
  const object = objectOf(draw, heard, said, accepted ? null : heard.at);
  return { ...spoken, body: JSON.stringify(object) };
}

/** The headers that say whose an answer is. */
export function headersOf({ protocol, answerId: id, sessionId }: Heard): Record<string, string> {
  return {
    ...(sessionId === undefined ? {} : { 'x-agent-session-id': sessionId }),
    ...(protocol === 'invocations' ? { 'x-agent-invocation-id': id } : {}),
  };
}

/** The Response object of an answer that ended at an instant, or has not yet. */
export function objectOf(
  draw: Draw,
  heard: Heard,
  said: Said,
  endedAt: Instant | null,
): ResponseObject {
  return responseObject(draw, {
    id: heard.answerId,
    agent: heard.agent,
    version: heard.version,
    session: heard.sessionId ?? null,
    conversation: heard.conversation ?? null,
    status: endedAt === null ? 'in_progress' : endOf(said),
    createdAt: heard.at,
    endedAt,
    asked: (heard.body ?? {}) as Record<string, unknown>,
    definition: heard.definition?.kind === 'prompt' ? heard.definition : undefined,
    said,
  });
}

/** What a stream of events tells in all: the object of its last event that has one. */
function wholeOf({ events }: EventsTurn): unknown {
  const last = events.findLast((event) => (event as { response?: unknown } | null)?.response);
  return (last as { response?: unknown } | undefined)?.response ?? { events };
}

export function saidIn(turn: SpokenTurn): Said {
  if ('accepted' in turn) {
    const { text, failed } = turn.accepted;
    return failed === undefined ? { text: text ?? '' } : { failed };
  }
  if ('tool_calls' in turn) return { tool_calls: turn.tool_calls };
  if ('failed' in turn)
    return { failed: turn.failed, ...(turn.text === undefined ? {} : { text: turn.text }) };
  return {
    text: turn.text,
    ...(turn.incomplete === undefined ? {} : { incomplete: turn.incomplete }),
  };
}

/** The events of a turn. An invocation's end by saying whose they were, as the frameworks write them. */
export function eventsOf({ events }: EventsTurn, heard: Heard): unknown[] {
  if (heard.protocol === 'responses') return events;
  return [
    ...events,
    { type: 'done', invocation_id: heard.answerId, session_id: heard.sessionId ?? null },
  ];
}

/** What an emulated agent's invocation answers, beside its ids. */
export function invocationBody(said: Said, heard: { body: unknown }): Record<string, unknown> {
  if ('failed' in said) return { status: 'failed', error: said.failed };
  if ('text' in said)
    return {
      status: 'completed',
      output: said.text === textOf(heard.body) ? (heard.body ?? null) : said.text,
    };
  if ('tool_calls' in said) return { status: 'completed', tool_calls: said.tool_calls };
  return { status: 'completed', output: said.response };
}

function inputOf(heard: Heard): unknown {
  if (heard.protocol === 'invocations') return heard.body;
  return (heard.body as { input?: unknown } | null)?.input;
}
