/** How an operation is answered: as a read that may wait, as one turn, or as a call; through the faults of our own answers. */
import { createHash } from 'node:crypto';
import { MINUTE } from '../clock.ts';
import type { Emulated } from '../emulator.ts';
import { ApiError } from '../errors.ts';
import { altered, type Fault, injectedBody } from '../faults.ts';
import type { Project } from '../projects.ts';
import { choose, type Route, requireToken, requireVersionAndHeader } from './admit.ts';
import { isRaw, readBytes, readJson, readParts, readText } from './body.ts';
import { readProjectName } from './controlled.ts';
import {
  type AppContext,
  Disconnected,
  decode,
  passedOn,
  rawPath,
  requestId,
  toResponse,
} from './http.ts';
import type { Answer, CallInput, Handle, Input, Subject } from './input.ts';
import { journal, type Requested } from './request-line.ts';
import { onConnection, streamThrough } from './stream.ts';

/** How many repeated reads are remembered per world. */
const READS_MAX = 1_000;

/** The service's gateway cuts a call that has not answered after about this long (contract/agents.md 11.2). */
const GATEWAY_CUT_MS = 2 * MINUTE;

export function answerOperation(
  c: AppContext,
  emulated: Emulated,
  route: Route,
): Response | Promise<Response> {
  const segments = rawPath(c.req.url).split('/');
  const name = readProjectName(decode(segments[3] ?? ''));
  const principal = requireToken(c, emulated, emulated.projects.find(name));
  const project = emulated.projects.get(name);
  const { operation, params } = choose(c, route, segments);
  const { world } = project;
  const question = c.req.url.indexOf('?');
  const query = new URLSearchParams(question < 0 ? '' : c.req.url.slice(question));
  const input: Input = {
    project,
    params,
    query,
    headers: c.req.raw.headers,
    body: undefined,
    bytes: undefined,
    url: c.req.url,
    id: c.env?.id,
  };
  // What needs no waiting is answered at once: the socket then takes its short way.
  const answer = (text: string): Response | Promise<Response> => {
    const request: Requested = { c, operation, input, text, principal };
    const spared = c.env?.replayed || c.env?.own;
    const struck = spared ? undefined : strike(project, operation.id);
    const given = struck ? throughOwnFault(struck, request) : perform(request);
    if (given instanceof Promise) project.answering += 1;
    const respond = (one: Answer) => toResponse(connected(c, one), world.now, requestId(c.req.raw));
    if (!(given instanceof Promise)) return respond(given);
    return given.then(respond).finally(() => {
      project.answering -= 1;
    });
  };
  if (c.req.method === 'GET') return answer('');
  if (!isRaw(c, operation)) return readText(c).then(answer);
  return readBytes(c, operation.bodyMax).then((bytes) => {
    input.bytes = bytes;
    if (operation.body === 'form')
      input.parts = readParts(bytes, input.headers.get('content-type') ?? '');
    return answer('');
  });
}

function connected(c: AppContext, answer: Answer): Answer {
  const { stream } = answer;
  return stream === undefined ? answer : { ...answer, stream: onConnection(c, stream) };
}

/**
 * What the plan does to the next answer of an operation. Every asking of a watched operation is a line, spared or not: its
 * count decides the next one, and replay must know it.
 */
export function strike({ world, faults }: Project, operation: string): Fault | undefined {
  if (!faults.watches(operation)) return undefined;
  return world.turn(() => {
    const key = String(world.ordinal(`asked ${operation}`));
    const found = faults.ofOperation(world.draw, operation, key);
    const what = found ? { entry: found.ordinal, fault: found.fault.kind } : { fault: 'ok' };
    world.record({ kind: 'fault', data: { operation, ...what } });
    return found?.fault;
  });
}

function perform(request: Requested): Answer | Promise<Answer> {
  const { operation, input } = request;
  requireVersionAndHeader(input, operation);
  switch (operation.kind) {
    case 'read':
      return read(request, operation.handle);
    case 'write':
      return write(request, operation.handle);
    case 'call':
      return callOut(request, operation.handle);
  }
}

/** One turn: the change and its journal line. A refusal changes nothing, and is journaled too. */
function write(request: Requested, handle: Handle): Answer {
  const { input, text } = request;
  const { world } = input.project;
  try {
    return world.turn(() => {
      const line = world.reserveLine();
      input.body = readJson(text);
      const answer = handle(input) as Answer;
      journal(request, answer.status, undefined, line);
      return answer;
    });
  } catch (error) {
    if (error instanceof ApiError) world.turn(() => journal(request, error.status, error));
    throw error;
  }
}

/** A call writes its line in the turn in which it begins, or, when nothing begins, in one of its own. */
function callOut(request: Requested, handle: Handle<CallInput>): Answer | Promise<Answer> {
  const { c, input, text } = request;
  const { world } = input.project;
  let begun = false;
  const begin: CallInput['begin'] = (work) => {
    const beginning = world.turn(() => {
      const line = world.reserveLine();
      const first = work(line);
      const refused = 'refused' in first ? first.refused : undefined;
      journal(request, 'answer' in first ? first.answer.status : refused?.status, refused, line);
      return first;
    });
    begun = true;
    if ('answer' in beginning) return beginning.answer;
    if ('refused' in beginning) throw beginning.refused;
    if (c.env?.replayed) throw new Disconnected();
    return beginning.later();
  };
  const answered = (answer: Answer): Answer => {
    if (!begun) world.turn(() => journal(request, answer.status));
    return answer;
  };
  const failed = (error: unknown): never => {
    if (!begun && error instanceof ApiError)
      world.turn(() => journal(request, error.status, error));
    throw error;
  };
  try {
    input.body = readJson(text);
    // Its signal is made when it is asked for, which most calls do not.
    const call: CallInput = {
      ...input,
      begin,
      get gone() {
        return c.req.raw.signal;
      },
    };
    const answer = handle(call);
    return answer instanceof Promise ? answer.then(answered, failed) : answered(answer);
  } catch (error) {
    return failed(error);
  }
}

/**
 * A read. With skip, one that would tell its caller nothing new is a wait: the world moves from due instant to due instant
 * of its subject until the answer differs, at most `skip_max`.
 */
function read(request: Requested, handle: Handle): Answer | Promise<Answer> {
  const { c, operation, input } = request;
  const answer = handle(input) as Answer;
  const subject = input.project.world.skip ? operation.subject?.(input, answer) : undefined;
  const wait = subject !== undefined && c.req.header('x-foundrite-peek') === undefined;
  return wait ? readOn(request, handle, answer, subject) : answer;
}

async function readOn(
  request: Requested,
  handle: Handle,
  first: Answer,
  subject: Subject,
): Promise<Answer> {
  const { c, operation, input, principal } = request;
  const { world, engine, reads } = input.project;
  let answer = first;
  const key = `${principal} ${c.req.url}`;
  const last = reads.get(key);
  let said = fingerprint(answer);
  let same = 0;
  if (last?.said === said) {
    same = last.same + 1;
    const { name, triggers, deadlineAfter = Number.POSITIVE_INFINITY } = subject;
    const followed = { name, triggers, deadline: same >= deadlineAfter };
    const from = world.now;
    const notAfter = from + world.profile.settings.skip_max;
    while (said === last.said && (await engine.waits.follow(followed, notAfter))) {
      answer = handle(input) as Answer;
      said = fingerprint(answer);
    }
    if (world.now > from)
      world.turn(() => engine.waits.recordSkip(from, `${operation.id} ${subject.name}`));
  }
  reads.delete(key);
  reads.set(key, { said, same: said === last?.said ? same : 0 });
  if (reads.size > READS_MAX) reads.delete(reads.keys().next().value ?? '');
  return answer;
}

function fingerprint(answer: Answer): string {
  return createHash('sha1')
    .update(JSON.stringify([answer.status, answer.body]))
    .digest('base64');
}

/** A fault of the emulator's own answer to a client. */
async function throughOwnFault(fault: Fault, request: Requested): Promise<Answer> {
  const { input, operation } = request;
  const { world, engine } = input.project;
  const { epoch } = world;
  /** Held up by something; what waits in a world that is reset or deleted meanwhile is dropped with it. */
  const held = async (wait: Promise<void>) => {
    await wait;
    if (world.epoch !== epoch || engine.closed) hangUp(request);
  };
  const streamed = (answer: Answer, stream: ReadableStream<Uint8Array>): Answer => {
    const what = `The stream of ${operation.id} (fault ${fault.kind})`;
    const wait = (ms: number, signal: AbortSignal) =>
      held(engine.waits.reach(world.now + ms, what, signal));
    const headers = { ...answer.headers, 'x-foundrite-body-by': 'fault' };
    return { ...answer, headers, stream: streamThrough(fault, stream, wait) };
  };
  const late = (ms: number, why: string) =>
    held(engine.waits.reach(world.now + ms, `The answer to ${operation.id} (fault ${why})`));
  if (fault.delayMs > 0) await late(fault.delayMs, 'delay');
  switch (fault.kind) {
    case 'ok':
      return perform(request);
    case 'status': {
      const headers = { ...passedOn(fault.headers), 'x-foundrite-body-by': 'fault' };
      return { status: fault.status, text: injectedBody(fault), headers };
    }
    case 'timeout':
      await late(GATEWAY_CUT_MS, 'timeout');
      return hangUp(request);
    case 'gate':
      await held(engine.waits.gate(fault.name));
      return perform(request);
    case 'disconnect':
      return hangUp(request);
    case 'lose_response':
      try {
        const answer = await perform(request);
        if (answer.stream !== undefined) return streamed(answer, answer.stream);
      } catch (error) {
        // A refusal is an answer too, and is lost like any other.
        if (!(error instanceof ApiError)) throw error;
      }
      return hangUp(request);
    case 'slow_body':
    case 'garble':
    case 'rewrite': {
      const answer = await perform(request);
      if (answer.stream !== undefined) return streamed(answer, answer.stream);
      const text = answer.text ?? (answer.body === undefined ? '' : JSON.stringify(answer.body));
      if (fault.kind === 'slow_body') {
        const waitMs = Math.ceil(Buffer.byteLength(text) / fault.bytes) * fault.everyMs;
        await late(waitMs, 'slow_body');
        return answer;
      }
      const headers = {
        'content-type': 'application/json',
        ...answer.headers,
        'x-foundrite-body-by': 'fault',
      };
      return { status: answer.status, text: altered(fault, { body: text }).body, headers };
    }
  }
}

/** Breaks the connection: real bytes on a socket, a rejected fetch in-process. */
function hangUp(request: Requested): never {
  const socket = request.c.env?.incoming?.socket;
  // A TLS socket can only be closed, not reset.
  if (socket?.resetAndDestroy && !socket.encrypted) socket.resetAndDestroy();
  else socket?.destroy();
  throw new Disconnected();
}
