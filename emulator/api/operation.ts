/** How an operation is answered: as a read that may wait, as one turn, or as a call; through the faults of our own answers. */
import { createHash } from 'node:crypto';
import { MINUTE } from '../clock.ts';
import type { Emulated } from '../emulator.ts';
import { ApiError } from '../errors.ts';
import { altered, type Fault, injectedBody } from '../faults.ts';
import type { Project } from '../projects.ts';
import { cutBody } from '../store/journal.ts';
import { choose, type Route, requireToken, requireVersionAndHeader } from './admit.ts';
import { passedOn } from './agents.ts';
import { readJson, readText } from './body.ts';
import { readProjectName } from './controlled.ts';
import { type AppContext, Disconnected, decode, rawPath, requestId, toResponse } from './http.ts';
import type { Answer, Input, Operation, Subject } from './input.ts';

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
    url: c.req.url,
  };
  // What needs no waiting is answered at once: the socket then takes its short way.
  const answer = (text: string): Response | Promise<Response> => {
    const request: Requested = { c, operation, input, text, principal };
    const struck = c.env?.replayed ? undefined : strike(project, operation.id);
    const given = struck ? throughOwnFault(struck, request) : perform(request);
    if (given instanceof Promise) project.answering += 1;
    const respond = (one: Answer) => toResponse(one, world.now, requestId(c.req.raw));
    if (!(given instanceof Promise)) return respond(given);
    return given.then(respond).finally(() => {
      project.answering -= 1;
    });
  };
  return c.req.method === 'GET' ? answer('') : readText(c).then(answer);
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

interface Requested {
  c: AppContext;
  operation: Operation;
  input: Input;
  text: string;
  principal: string;
}

function perform(request: Requested): Answer | Promise<Answer> {
  const { operation, input } = request;
  requireVersionAndHeader(input, operation);
  switch (operation.kind) {
    case 'read':
      return read(request);
    case 'write':
      return write(request);
    case 'call':
      return callOut(request);
  }
}

/** One turn: the change and its journal line. A refusal changes nothing, and is journaled too. */
function write(request: Requested): Answer {
  const { operation, input, text } = request;
  const { world } = input.project;
  try {
    return world.turn(() => {
      const line = world.reserveLine();
      input.body = readJson(text);
      const answer = operation.handle(input) as Answer;
      journal(request, answer.status, undefined, line);
      return answer;
    });
  } catch (error) {
    if (error instanceof ApiError) world.turn(() => journal(request, error.status, error));
    throw error;
  }
}

async function callOut(request: Requested): Promise<Answer> {
  const { operation, input, text } = request;
  const { world } = input.project;
  try {
    input.body = readJson(text);
    const answer = await operation.handle(input);
    world.turn(() => journal(request, answer.status));
    return answer;
  } catch (error) {
    if (error instanceof ApiError) world.turn(() => journal(request, error.status, error));
    throw error;
  }
}

function journal(request: Requested, status: number, error?: ApiError, line?: number): void {
  const { c, operation, input, text, principal } = request;
  const { world } = input.project;
  const data: Record<string, unknown> = { operation: operation.id, params: input.params };
  if (input.query.size > 0) data.query = Object.fromEntries(input.query);
  const cut = cutBody(text);
  if (cut !== undefined) Object.assign(data, { raw: cut, cut: text.length });
  else if (input.body !== undefined) data.body = input.body;
  else if (text !== '') data.raw = text;
  const features = input.headers.get('foundry-features');
  if (features !== null) data.headers = { 'foundry-features': features };
  data.status = status;
  if (error) Object.assign(data, { code: error.code, rule: error.rule });
  if (input.project.engine.advancing) data.interleaved = true;
  const extra: Record<string, unknown> = {
    tls: c.env?.incoming?.socket?.encrypted === true,
    principal,
  };
  const userAgent = input.headers.get('user-agent');
  const clientRequestId = input.headers.get('x-ms-client-request-id');
  if (userAgent !== null) extra.user_agent = userAgent;
  if (clientRequestId !== null) extra.client_request_id = clientRequestId;
  const routine = input.params.routine_name;
  const about = routine === undefined ? {} : { routine };
  world.record({ kind: 'request', data, extra, ...about }, line);
}

/**
 * A read. With skip, one that would tell its caller nothing new is a wait: the world moves from due instant to due instant
 * of its subject until the answer differs, at most `skip_max`.
 */
function read(request: Requested): Answer | Promise<Answer> {
  const { c, operation, input } = request;
  const answer = operation.handle(input) as Answer;
  const subject = input.project.world.skip ? operation.subject?.(input, answer) : undefined;
  const wait = subject !== undefined && c.req.header('x-foundrite-peek') === undefined;
  return wait ? readOn(request, answer, subject) : answer;
}

async function readOn(request: Requested, first: Answer, subject: Subject): Promise<Answer> {
  const { c, operation, input, principal } = request;
  const { world, engine, reads } = input.project;
  let answer = first;
  const key = `${principal} ${c.req.url}`;
  const last = reads.get(key);
  let said = fingerprint(answer);
  if (last === said) {
    const from = world.now;
    const notAfter = from + world.profile.settings.skip_max;
    while (said === last && (await engine.waits.follow(subject, notAfter))) {
      answer = operation.handle(input) as Answer;
      said = fingerprint(answer);
    }
    if (world.now > from)
      world.turn(() => engine.waits.recordSkip(from, `${operation.id} ${subject.name}`));
  }
  reads.delete(key);
  reads.set(key, said);
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
        await perform(request);
      } catch (error) {
        // A refusal is an answer too, and is lost like any other.
        if (!(error instanceof ApiError)) throw error;
      }
      return hangUp(request);
    case 'slow_body':
    case 'garble':
    case 'rewrite': {
      const answer = await perform(request);
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
