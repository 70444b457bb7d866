/** Replies of the kind model: a model behind an address that speaks OpenAI's Chat Completions or Responses. */
import { chatRequest, choiceOf, type Json, type ModelSaid, questionOf, saidBy } from './chat.ts';
import { type Instant, unixSeconds } from './clock.ts';
import {
  ANSWER_BYTES_MAX,
  type Ending,
  endsWith,
  type Opened,
  open,
  tooLate,
  type Unopened,
} from './downstream.ts';
import type { Told } from './events.ts';
import type { Arrival } from './faults.ts';
import type { Draw } from './ids.ts';
import { type Heard, headersOf, type ModelReply, objectOf, placeOf } from './replies.ts';

const DECODER = new TextDecoder();

/** Of a world, what an answer depends on. */
export interface Asked {
  readonly draw: Draw;
  readonly now: Instant;
}

/**
 * Asks a model for a whole answer, which must have come within the silence that is allowed. A model that fails is an agent
 * that says so, but for one that is asked too often. Never rejects.
 */
export async function askModel(
  world: Asked,
  reply: ModelReply,
  heard: Heard,
  { host, signal: closing, silenceMs }: Ending,
): Promise<Arrival> {
  const { signal, end } = endsWith(closing);
  const cancel = host.after(silenceMs, end);
  try {
    const response = beginning(world.draw, heard, reply);
    const opened = await openUpstream(reply, heard, false, { host, signal, silenceMs });
    const said = await wholeAnswer(opened, reply, world.draw, response.id);
    return signal.aborted ? tooLate(silenceMs) : answerTo(world, heard, response, said);
  } finally {
    cancel();
    end();
  }
}

function answerTo(
  world: Asked,
  heard: Heard,
  response: Begun,
  said: Awaited<ReturnType<typeof wholeAnswer>>,
): Arrival {
  if ('refused' in said) return { kind: 'answered', ...said.refused };
  const told = ended(world, response, said);
  const body = heard.protocol === 'responses' ? told : invocationOf(told, heard.sessionId ?? null);
  return {
    kind: 'answered',
    status: 200,
    headers: {
      ...headersOf(heard),
      'content-type': 'application/json',
      'x-foundrite-body-by': 'reply',
    },
    body: JSON.stringify(body),
  };
}

/** The Response object before anything is said. */
export function beginning(draw: Draw, heard: Heard, { model }: ModelReply): Begun {
  const response = objectOf(draw, heard, { tool_calls: [] }, null) as Begun;
  return { ...response, model: model ?? heard.definition?.model ?? response.model };
}

export function ended<Said extends { status: string }>(
  world: Asked,
  response: Begun,
  said: Said,
): Told & Said {
  const at = said.status === 'completed' ? unixSeconds(world.now) : null;
  return { ...response, completed_at: at, ...said };
}

export type Begun = Told & { id: string; model: unknown };

function invocationOf({ id, status, output, error }: Told, sessionId: unknown): Json {
  const [said] = output.flatMap((item) => (item.content as Json[] | undefined) ?? []);
  const answer = error ? { error } : { output: said?.text ?? null };
  return { invocation_id: id, session_id: sessionId, status, ...answer };
}

export function openUpstream(
  reply: ModelReply,
  heard: Heard,
  stream: boolean,
  ending: Ending,
): Promise<Opened | Unopened> {
  const target = new URL(reply.url);
  const path = reply.api === 'responses' ? '/responses' : '/chat/completions';
  target.pathname = `${target.pathname.replace(/\/+$/, '')}${path}`;
  const key = reply.api_key ?? (reply.api_key_env && process.env[reply.api_key_env]);
  const headers = {
    'content-type': 'application/json',
    'x-ms-client-request-id': heard.answerId,
    ...(key ? { authorization: `Bearer ${key}` } : {}),
  };
  const body = heard.protocol === 'responses' ? bodyOf(heard) : { input: textOfBody(heard.body) };
  const question = questionOf(heard.definition ?? {}, body, heard.earlier ?? [], reply.model);
  const asked =
    reply.api === 'responses'
      ? { ...question, stream, store: false }
      : {
          ...chatRequest(question),
          stream,
          ...(stream ? { stream_options: { include_usage: true } } : {}),
        };
  return open(target, { method: 'POST', headers, body: JSON.stringify(asked) }, ending);
}

function bodyOf({ body }: Heard): Json {
  return typeof body === 'object' && body !== null ? (body as Json) : {};
}

function textOfBody(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body ?? '');
}

interface Refused {
  status: number;
  headers: Record<string, string>;
  body: string;
}

export interface Failed {
  status: 'failed';
  error: { code: string; message: string };
}

export function failedWith(message: string): Failed {
  return { status: 'failed', error: { code: 'server_error', message } };
}

export async function wholeAnswer(
  opened: Opened | Unopened,
  { api, url }: ModelReply,
  draw: Draw,
  id: string,
): Promise<ModelSaid | Failed | { refused: Refused }> {
  if (!('body' in opened)) return failedWith(unreached(opened, url));
  if (opened.status === 429) return { refused: await refusalOf(opened) };
  const text = await textOf(opened);
  const answer = parsed(text);
  if (opened.status !== 200 || answer === undefined)
    return failedWith(`The model answered ${opened.status}: ${messageIn(answer, text)}`);
  return api === 'responses' ? foreign(answer) : saidBy(draw, id, choiceOf(answer));
}

/** The service's own refusal of a call too many (contract/agents.md 11.2). */
export async function refusalOf(opened: Opened): Promise<Refused> {
  const text = await textOf(opened);
  const message = `The model has had too many requests: ${messageIn(parsed(text), text)}`;
  const wait = opened.headers['retry-after'];
  const error = { code: 'rate_limit_exceeded', message, param: null, type: 'rate_limit_exceeded' };
  return {
    status: 429,
    headers: {
      'content-type': 'application/json',
      'x-foundrite-body-by': 'reply',
      ...(wait === undefined ? {} : { 'retry-after': wait }),
    },
    body: JSON.stringify({ error }),
  };
}

function unreached(opened: Unopened, url: string): string {
  return opened.kind === 'timeout'
    ? `The model at ${placeOf(url)} did not answer in time.`
    : `The model at ${placeOf(url)} could not be reached: ${opened.message}.`;
}

export function messageIn(answer: Json | undefined, text: string): string {
  const error = answer?.error as { message?: unknown } | string | undefined;
  const message = typeof error === 'string' ? error : error?.message;
  return typeof message === 'string' ? message : text.slice(0, 200);
}

/** A body as text; one that breaks off or has no end is as far as it came. */
async function textOf({ body }: Opened): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) break;
    }
  } catch {
    // What came is no JSON then, and the answer says so.
  }
  return DECODER.decode(Buffer.concat(chunks));
}

function parsed(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

/** What another Response object says, without whose it is. */
export function foreign({ status, incomplete_details, output, usage, error }: Json): ModelSaid {
  return { status, incomplete_details, output, usage, error } as unknown as ModelSaid;
}
