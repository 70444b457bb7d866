/** What an agent says piece by piece: a script by the world's clock, an agent or a model of the user's own as it comes. */
import assert from 'node:assert/strict';
import { type Beat, BrokenOff, inTime, OpenStream, saidInAgent } from './beats.ts';
import { type Instant, parseDuration } from './clock.ts';
import type { AgentCall, Unopened } from './downstream.ts';
import type { Engine } from './engine.ts';
import { ApiError } from './errors.ts';
import { data, FinalResponse, frame, responseEvents, Teller, type Told } from './events.ts';
import type { Outside } from './outside.ts';
import {
  eventsOf,
  type Heard,
  headersOf,
  objectOf,
  placeOf,
  type Reply,
  type ScriptTurn,
  type Spoken,
  type SpokenReply,
  saidIn,
  say,
  turnOf,
} from './replies.ts';
import { findResponse } from './store/responses.ts';
import type { SessionRow } from './store/sessions.ts';
import { refOfResponse, viewResponse } from './work/responses.ts';
import type { World } from './world.ts';

/** A call that has reached its agent, whose sandbox is there. */
export interface Speaker {
  call: AgentCall;
  reached: { agent: { name: string; key: string }; reply: Reply; turn: number };
  heard: Heard;
  /** At a hosted agent. */
  session?: SessionRow | undefined;
}

export interface Streamed {
  status: number;
  headers: Record<string, string>;
  /** Throws when the agent breaks off, or what it is said in is gone: whoever reads it breaks off too. */
  body: AsyncIterable<string | Uint8Array>;
}

export interface SpokenStream extends Streamed {
  /** What an echo or a script says in all, and how long that takes in world time. */
  spoken: Pick<Spoken, 'said' | 'laterMs'>;
}

export interface OutsideStream extends Streamed {
  /** The Response object that something outside gave; undefined when none was seen whole. */
  done: Promise<Record<string, unknown> | undefined>;
}

/** What an echo or a script says, from this turn on. The signal is the caller's: it ends what is said to nobody. */
export function streamSpoken(
  engine: Engine,
  { reached: { agent, turn }, heard, session }: Speaker,
  reply: SpokenReply,
  signal: AbortSignal,
): SpokenStream {
  const open = new OpenStream(engine, saidInAgent(engine.world, agent, session), signal);
  return speakOn(engine, open, heard, turnOf(reply, turn, heard));
}

/** What something outside says. Throws an ApiError when there is nothing to stream. */
export async function streamOutside(
  { engine, outside }: { engine: Engine; outside: Outside },
  { call, reached: { agent, reply }, heard, session }: Speaker,
  signal: AbortSignal,
): Promise<OutsideStream> {
  const open = new OpenStream(engine, saidInAgent(engine.world, agent, session), signal);
  assert(reply.kind === 'forward' || reply.kind === 'model');
  const opened = await outside.open({ call, heard, reply }, open.ended);
  if (!('body' in opened)) {
    open.end();
    throw unanswered(engine.world, opened, headersOf(heard), reply);
  }
  const final = new FinalResponse(opened.headers['content-type']);
  let settle: (response: Record<string, unknown> | undefined) => void = () => {};
  const done = new Promise<Record<string, unknown> | undefined>((resolve) => {
    settle = resolve;
  });
  const body = open.through(
    heardAlong(opened.body, (chunk) => final.hear(chunk)),
    () => settle(final.response),
  );
  return { status: opened.status, headers: { ...headersOf(heard), ...opened.headers }, body, done };
}

async function* heardAlong(
  body: AsyncIterable<Uint8Array>,
  hear: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    hear(chunk);
    yield chunk;
  }
}

function whither(reply: Reply | undefined): string {
  if (reply === undefined || !('url' in reply)) return '';
  return ` Its reply is ${reply.kind}, to ${placeOf(reply.url)}: start what answers there, or set another reply.`;
}

/** What a client gets of a call that nothing answered (contract/agents.md 11.2). */
export function unanswered(
  world: World,
  unopened: Unopened,
  headers: Record<string, string> = {},
  reply?: Reply,
): ApiError {
  if (unopened.kind === 'timeout') {
    const seconds = world.profile.settings.gateway_silence / 1_000;
    return new ApiError({
      status: 408,
      code: 'request_timeout',
      message: `The agent sent nothing for ${seconds} seconds (setting gateway_silence).`,
      rule: 'stream/silence-ends-it',
      headers,
    });
  }
  return new ApiError({
    status: 424,
    code: 'session_not_ready',
    message: `The agent could not be reached: ${unopened.message}.${whither(reply)}`,
    rule: 'agent/unreachable-answers-424',
    headers,
  });
}

function speakOn(engine: Engine, open: OpenStream, heard: Heard, turn: ScriptTurn): SpokenStream {
  const { world } = engine;
  const ownEvents = 'events' in turn;
  const isStream =
    ownEvents || (heard.protocol === 'responses' && streamAsked(heard) && !('status' in turn));
  if (!isStream) {
    const { status, headers, body, ...spoken } = say(world.draw, heard, turn);
    return { status, headers, spoken, body: open.through(each([body])) };
  }
  const headers = { ...headersOf(heard), 'content-type': 'text/event-stream' };
  const everyMs = 'every' in turn ? (parseDuration(turn.every ?? '') ?? 0) : 0;
  if (ownEvents) {
    const cutAfter = turn.cut_after ?? Number.POSITIVE_INFINITY;
    const events = eventsOf(turn, heard);
    const plan = { firstMs: everyMs, everyMs, count: everyMs === 0 ? 0 : events.length };
    const beats = eventBeats(events, everyMs, cutAfter, heard);
    return {
      status: 200,
      headers: { ...headers, 'x-foundrite-body-by': 'reply' },
      spoken: {},
      body: open.through(inTime(engine, open, beats, plan)),
    };
  }
  const said = saidIn(turn);
  const afterMs = 'accepted' in turn ? (parseDuration(turn.accepted.after) ?? 0) : 0;
  const pace = { everyMs, afterMs, chunk: 'chunk' in turn ? turn.chunk : undefined };
  const cutAfter = 'cut_after' in turn ? turn.cut_after : undefined;
  const told = (endedAt: Instant) => objectOf(world.draw, heard, said, endedAt) as unknown as Told;
  const deltas = everyMs === 0 ? 0 : countDeltas(told(heard.at), pace.chunk);
  const laterMs = afterMs + everyMs * deltas;
  const spoken = { said, ...(laterMs === 0 ? {} : { laterMs }) };
  const until = refOfResponse(heard.answerId);
  const plan =
    deltas > 0
      ? { firstMs: everyMs, everyMs, count: deltas, until }
      : { firstMs: afterMs, everyMs: 0, count: afterMs > 0 ? 1 : 0, until };
  const last = (sequence: number) => cancelledIn(world, heard, sequence);
  const beats = responseBeats(
    told(heard.at + laterMs),
    { ...pace, cutAfter, last },
    endLine(world),
  );
  const body = open.through(inTime(engine, open, beats, plan));
  return { status: 200, headers, spoken, body };
}

function streamAsked({ body }: Heard): boolean {
  return (body as { stream?: unknown } | null)?.stream === true;
}

async function* each(texts: Iterable<string>): AsyncGenerator<string> {
  yield* texts;
}

/** What follows the last event of a stream. */
export function endLine({ profile }: World): string {
  return profile.switches.stream_end === 'done' ? 'data: [DONE]\n\n' : '';
}

/** How many pieces a response is said in. */
function countDeltas(response: Told, chunk: number | undefined): number {
  let count = 0;
  for (const event of responseEvents(response, chunk)) if ('delta' in event) count += 1;
  return count;
}

/** How a response is said. */
interface Manner {
  everyMs: number;
  afterMs: number;
  chunk: number | undefined;
  cutAfter: number | undefined;
  /** The last event, when nothing more is to be said. */
  last(sequence: number): string | undefined;
}

/** The end of a stream whose response was cancelled meanwhile. */
function cancelledIn(world: World, { answerId }: Heard, sequence: number): string | undefined {
  const row = findResponse(world.store, answerId);
  if (row?.status !== 'cancelled') return undefined;
  const told = viewResponse(world, row) as unknown as Told;
  return new Teller(sequence).end(told).map(frame).join('');
}

function* responseBeats(
  response: Told,
  { everyMs, afterMs, chunk, cutAfter, last }: Manner,
  end: string,
): Generator<Beat> {
  let left = cutAfter ?? Number.POSITIVE_INFINITY;
  for (const event of responseEvents(response, chunk)) {
    const delta = typeof event.delta === 'string' ? event.delta : undefined;
    // Work that takes its time begins at once, and says nothing before it is done.
    const waitMs = event.sequence_number === 2 ? afterMs : 0;
    if (delta === undefined) {
      if (cutAfter !== undefined && /_(?:text|arguments)\.done$/.test(event.type))
        throw new BrokenOff('terminated');
      yield { waitMs, text: frame(event), instead: () => last(event.sequence_number) };
      continue;
    }
    const cut = delta.slice(0, left);
    left -= cut.length;
    if (cut !== '')
      yield {
        waitMs: waitMs + everyMs,
        text: frame(Object.assign(event, { delta: cut })),
        instead: () => last(event.sequence_number),
      };
    if (cut.length < delta.length) throw new BrokenOff('terminated');
  }
  if (end !== '') yield { waitMs: 0, text: end };
}

function* eventBeats(
  events: unknown[],
  everyMs: number,
  cutAfter: number,
  { protocol }: Heard,
): Generator<Beat> {
  for (const [index, event] of events.entries()) {
    if (index >= cutAfter) throw new BrokenOff('terminated');
    const { type } = (event ?? {}) as { type?: unknown };
    const named = protocol === 'responses' && typeof type === 'string';
    yield { waitMs: everyMs, text: named ? frame(event as { type: string }) : data(event) };
  }
}
