/** A client's call to an agent, and what it is answered. */
import type { AgentCall, Unopened } from '../downstream.ts';
import { requireStillReached } from '../endpoint.ts';
import { ApiError } from '../errors.ts';
import type { Arrival } from '../faults.ts';
import type { Project } from '../projects.ts';
import { type Reply, type SpokenReply, turnOf } from '../replies.ts';
import { StoreError } from '../store/store.ts';
import { streamOutside, streamSpoken, unanswered } from '../streaming.ts';
import {
  answer,
  answerAtOnce,
  type Begun,
  begin,
  keptOf,
  logCall,
  type Told,
} from '../work/answer.ts';
import { answerGiven, type Given, give, refusalGiven } from '../work/given.ts';
import { type Kept, keep, viewKept } from '../work/responses.ts';
import { ownerIn, sandboxWait, sessionNotReady } from '../work/session-access.ts';
import type { World } from '../world.ts';
import { Disconnected, passedOn } from './http.ts';
import type { Answer, CallInput } from './input.ts';
import { streamOf } from './stream.ts';

/** What all that an agent answers begins with. */
export const ENDPOINT = '/agents/:agent_name/endpoint/protocols';

/** A call as it was asked for, without what is drawn for it. */
export type Asked = Omit<AgentCall, 'requestId' | 'owner'>;

/** Without an id of the client's own, calls are counted: each answer then has its own id. Inside a turn. */
export function numbered(world: World, asked: Asked, owner: string | null): AgentCall {
  const requestId = `${asked.agent}/${world.ordinal(`call ${asked.agent}`)}`;
  return { ...asked, requestId, owner };
}

/** What a client tells the container by headers of its own (contract/agents.md 13.7). */
function clientHeaders(headers: Headers): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith('x-client-')));
}

/** An emulated agent answers in the turn in which it is called, unless its sandbox must come up first. */
export function callAgent(input: CallInput, asked: Asked): Answer | Promise<Answer> {
  const { world, context } = input.project;
  const owner = ownerIn(world, input.headers);
  const leaving = new Leaving();
  try {
    return input.begin((line) => {
      const named = { ...asked, headers: clientHeaders(input.headers) };
      const begun = begin(world, context.faults, numbered(world, named, owner));
      if (begun.failed) return { refused: sessionNotReady(begun.call.sessionId ?? '') };
      const reply = spokenReply(begun);
      if (begun.waitMs > 0 || reply === undefined)
        return { later: () => endLater(input, line, () => answerLater(input, begun, line)) };
      const { answer, kept } = speak(input, begun, reply, leaving);
      if (kept) keep(world, kept);
      logCall(world, begun, answer.status);
      return { answer };
    });
  } catch (error) {
    leaving.now();
    throw error;
  }
}

/** Ends what is said to a client who goes away. */
class Leaving {
  #abort: AbortController | undefined;

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  now(): void {
    this.#abort?.abort();
  }

  /** Goes along with the client. */
  with(gone: AbortSignal): this {
    if (gone.aborted) this.now();
    gone.addEventListener('abort', () => this.now());
    return this;
  }
}

/** What goes on after its turn: a refusal, too, is told in the journal. Who has gone away is told nothing. */
export async function endLater(
  { project, gone }: CallInput,
  line: number,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const current = currentIn(project);
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (!current() || gone.aborted) throw new Disconnected();
    giveNow(project, refusalGiven(line, error));
    throw error;
  }
}

/** Whether the world is still the one in which a call began. */
function currentIn({ world, engine }: Project): () => boolean {
  const { epoch } = world;
  return () => world.epoch === epoch && !engine.closed;
}

/** A turn that tells what came of a call. */
export function giveNow(project: Project, given: Given): void {
  const { world } = project;
  world.turn(() => give(world, marked(project, given)));
}

function marked({ engine }: Project, given: Given): Given {
  return engine.advancing ? { ...given, interleaved: true } : given;
}

async function answerLater(input: CallInput, begun: Begun, line: number): Promise<Answer> {
  const { project, gone } = input;
  const { world, context } = project;
  const current = currentIn(project);
  const stillThere = () => {
    if (!current() || gone.aborted) throw new Disconnected();
  };
  await sandboxOf(input, begun, stillThere);
  const ready = { ...begun, heard: { ...begun.heard, at: world.now }, waitMs: 0 };
  const reply = spokenReply(ready);
  if (reply !== undefined) return speakNow(input, ready, reply, line);
  if (isStreamed(ready)) return streamTo(input, ready, line);
  const { gateway_silence } = world.profile.settings;
  const told = await answer(world, ready, context.outside, gateway_silence, gone);
  stillThere();
  const said = toldTo(world, told, ready);
  giveNow(project, answerGiven(line, said.status, ready, told.kept));
  return said;
}

/** What the emulator says itself; undefined where something outside is asked. */
function spokenReply({ reached: { reply } }: Begun): SpokenReply | undefined {
  return reply.kind === 'echo' || reply.kind === 'script' ? reply : undefined;
}

/** What leaves as it comes: what a caller wants so, and whatever an agent outside answers to an invocation. */
function isStreamed({ call, heard, reached: { reply, turn } }: Begun): boolean {
  if (call.protocol === 'responses') return (heard.body as { stream?: unknown }).stream === true;
  if (reply.kind === 'script') return 'events' in turnOf(reply, turn, heard);
  return reply.kind === 'forward';
}

/** What is answered from this turn on, and what is kept of it. Inside a turn. */
function speak(
  { project }: CallInput,
  begun: Begun,
  reply: SpokenReply,
  leaving: Leaving,
): { answer: Answer; kept: Kept | undefined } {
  const { world, engine } = project;
  if (!isStreamed(begun)) {
    const told = answerAtOnce(world, begun, reply);
    return { answer: toldTo(world, told, begun), kept: told.kept };
  }
  const { status, headers, body, spoken } = streamSpoken(engine, begun, reply, leaving.signal);
  const stream = streamOf(body, () => leaving.now());
  return {
    answer: { status, headers: passedOn(headers), stream },
    kept: keptOf(begun, spoken, reply.kind === 'echo'),
  };
}

/** A turn of its own: its sandbox had to come up first. */
function speakNow(input: CallInput, begun: Begun, reply: SpokenReply, line: number): Answer {
  const { project } = input;
  const { world } = project;
  const leaving = new Leaving();
  try {
    return world.turn(() => {
      const { answer, kept } = speak(input, begun, reply, leaving);
      give(world, marked(project, answerGiven(line, answer.status, begun, kept)));
      return answer;
    });
  } catch (error) {
    leaving.now();
    throw error;
  }
}

async function streamTo({ project, gone }: CallInput, begun: Begun, line: number): Promise<Answer> {
  const current = currentIn(project);
  const leaving = new Leaving().with(gone);
  const streamed = await streamOutside(project.context, begun, leaving.signal);
  const { status, headers, body, done } = streamed;
  if (!current()) throw new Disconnected();
  giveNow(project, answerGiven(line, status, begun));
  void done.then((response) => {
    const kept = response && keptOf(begun, { said: { response } }, false);
    if (kept) giveOrOwe(project, current, { call: line, kept });
  });
  return { status, headers: passedOn(headers), stream: streamOf(body, () => leaving.now()) };
}

/** What has been said cannot be asked for again: where the disk is full it is owed until there is room. */
function giveOrOwe(project: Project, current: () => boolean, given: Given): void {
  const { world } = project;
  try {
    if (current()) giveNow(project, given);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    let { owed } = world;
    world.owed = () => {
      owed?.();
      owed = undefined;
      if (current()) giveNow(project, given);
    };
  }
}

/** Waits until the sandbox of a call is there, as long as a client waits. */
async function sandboxOf(
  { project: { world, engine }, gone }: CallInput,
  { waitMs, call, reached }: Begun,
  stillThere: () => void,
): Promise<void> {
  if (waitMs === 0) return;
  const wait = sandboxWait(world, reached.agent.key, call.sessionId ?? '', waitMs);
  const what = `The answer of agent ${call.agent}, whose sandbox comes up,`;
  await engine.waits.reach(world.now + wait.ms, what, gone);
  stillThere();
  requireStillReached(world, call.agent, wait);
}

function toldTo(world: World, { arrival, kept }: Told, { call, heard, reached }: Begun): Answer {
  const ids: Record<string, string> =
    call.protocol === 'invocations' ? { 'x-agent-invocation-id': heard.answerId } : {};
  const given = answerOf(world, arrival, call.sessionId, ids, reached.reply);
  if (kept?.kind !== 'response' || kept.row.status !== 'queued') return given;
  // One in the background is answered before anything is said.
  return { ...given, text: JSON.stringify(viewKept(world, kept)) };
}

/** What a client gets of an agent's answer, or when the agent cannot be reached (contract/agents.md 11.2). */
export function answerOf(
  world: World,
  arrival: Arrival,
  sessionId: string | undefined,
  ids: Record<string, string>,
  reply: Reply,
): Answer {
  const session: Record<string, string> =
    sessionId === undefined ? {} : { 'x-agent-session-id': sessionId };
  if (arrival.kind === 'answered') {
    const { status, body } = arrival;
    return { status, text: body, headers: { ...session, ...ids, ...passedOn(arrival.headers) } };
  }
  throw unanswered(world, unopened(arrival), session, reply);
}

function unopened(arrival: Exclude<Arrival, { kind: 'answered' }>): Unopened {
  if (arrival.kind === 'connection_failed') return arrival;
  const silent = arrival.kind === 'later' || arrival.kind === 'timeout';
  return silent ? { kind: 'timeout' } : { kind: 'connection_failed', message: arrival.kind };
}
