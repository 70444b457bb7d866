/** The HTTP surface: who may ask, which operation is meant, what it does to the world, and how the answer leaves. */
import { createHash } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { agentOperations, agentRoutesNotEmulated, notEmulated } from './api/agents.ts';
import { controlOperations, readProjectName } from './api/control.ts';
import { type Answer, type Input, type Operation, readJson } from './api/input.ts';
import { routineOperations } from './api/routines.ts';
import { isoInstant, MINUTE } from './clock.ts';
import type { Emulated } from './emulator.ts';
import { ApiError } from './errors.ts';
import { altered, type Fault, injectedBody } from './faults.ts';
import { answerIdentity, principalOf } from './identity.ts';
import { randomHex } from './ids.ts';
import type { Project } from './projects.ts';

/** What the socket's side hands to fetch; absent in-process. */
export interface Connection {
  /** The plan has struck already: replay reads that from the journal. */
  replayed?: boolean;
  incoming?: { socket?: { encrypted?: boolean; destroy(): void; resetAndDestroy?(): void } };
}

type AppContext = Context<{ Bindings: Connection }>;

/** Larger bodies are refused before they are read into the world. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;
/** What of a body the journal keeps. */
const JOURNAL_BODY_MAX = 16 * 1024;
/** How many repeated reads are remembered per world. */
const READS_MAX = 1_000;

/** The service's gateway cuts a call that has not answered after about this long (contract/agents.md 11.2). */
const GATEWAY_CUT_MS = 2 * MINUTE;

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]', 'host.docker.internal'];
const SERVICE_HOST = /(?:^|\.)services\.ai\.azure\.com$/;

export function createApp(emulated: Emulated): Hono<{ Bindings: Connection }> {
  // The raw path: a name may hold an encoded slash or colon, and the verb is split off before anything is decoded.
  const app = new Hono<{ Bindings: Connection }>({ getPath: (request) => rawPath(request.url) });
  const known = new Set([...LOOPBACK_HOSTS, ...emulated.hostNames]);

  app.use(async (c, next) => {
    const host = hostOf(c.req.raw);
    if (!known.has(host) && !SERVICE_HOST.test(host)) {
      throw new ApiError({
        status: 421,
        code: 'misdirected_request',
        message: `This emulator does not answer for the host '${host}'. Use localhost or 127.0.0.1, or start it with --tls-name ${host}.`,
        rule: 'request/known-host',
      });
    }
    await next();
  });

  const byPath = new Map<string, Operation[]>();
  for (const operation of [...routineOperations, ...agentOperations]) {
    const key = `${operation.method} ${operation.path}`;
    byPath.set(key, [...(byPath.get(key) ?? []), operation]);
  }
  for (const operations of byPath.values()) {
    const [{ method, path }] = operations as [Operation];
    app.on(method, `/api/projects/:project${path}`, (c) =>
      answerOperation(c, emulated, operations, path),
    );
  }
  for (const { method, path } of agentRoutesNotEmulated) {
    app.on(method, `/api/projects/:project${path}`, (c) => {
      requireToken(c, emulated, undefined);
      throw notEmulated(`${c.req.method} ${path} is not emulated yet. See the README for what is.`);
    });
  }

  app.get('/_emulator/identity', (c) => answerIdentity(c.req.raw, emulated.identity));
  controlOperations(app, emulated);

  app.notFound((c) => {
    throw new ApiError({
      status: 404,
      code: 'unknown_route',
      message: `There is no route ${c.req.method} ${rawPath(c.req.url)}. Project routes begin with /api/projects/{project}, control routes with /_emulator.`,
      rule: 'request/route-known',
    });
  });
  app.onError((error, c) => errorResponse(error, c, emulated));
  return app;
}

function rawPath(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  const query = url.indexOf('?', start);
  return query < 0 ? url.slice(start) : url.slice(start, query);
}

function hostOf(request: Request): string {
  const host = request.headers.get('host') ?? new URL(request.url).host;
  return host.replace(/:\d+$/, '').toLowerCase();
}

/** The one place that turns an error into an answer. */
function errorResponse(error: unknown, c: AppContext, emulated: Emulated): Response {
  if (error instanceof Disconnected) throw error;
  const api =
    error instanceof ApiError
      ? error
      : new ApiError({
          status: 500,
          code: 'internal_error',
          message: 'Foundrite failed; this is a bug. The message is on its stderr.',
          type: 'server_error',
        });
  if (api !== error) emulated.bug(error, `${c.req.method} ${c.req.url}`);
  const now = currentNow(c, emulated);
  const headers = new Headers({
    'content-type': 'application/json',
    'x-request-id': requestId(c),
    ...api.headers,
  });
  if (now !== undefined) headers.set('x-foundrite-now', now);
  if (api.rule) headers.set('x-foundrite-rule', api.rule);
  const body =
    api.status === 401 ? { statusCode: 401, message: api.message, ...api.toBody() } : api.toBody();
  return new Response(JSON.stringify(body), { status: api.status, headers });
}

function currentNow(c: AppContext, emulated: Emulated): string {
  const name = /^\/(?:api|_emulator)\/projects\/([^/:]+)/.exec(rawPath(c.req.url))?.[1];
  const project = name === undefined ? undefined : emulated.projects.find(decode(name));
  return isoInstant(project?.world.now ?? emulated.host.now());
}

/** The caller's id when it has one, so that its logs and ours can be laid side by side. */
function requestId(c: AppContext): string {
  return c.req.header('x-ms-client-request-id') ?? randomHex(8);
}

export function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new ApiError({
      status: 400,
      code: 'invalid_request',
      message: `The path segment '${segment}' is not valid percent-encoding.`,
      rule: 'request/path-decodes',
    });
  }
}

const VERB = /:([a-z_]+)$/;

/** Which of the operations of one route is meant, and its decoded parameters. */
function choose(
  c: AppContext,
  operations: Operation[],
  path: string,
): { operation: Operation; params: Record<string, string> } {
  const raw = rawPath(c.req.url).split('/').slice(4);
  const template = path.split('/').slice(1);
  const verbs = operations.filter((operation) => operation.verb !== undefined);
  const params: Record<string, string> = {};
  let verb: string | undefined;
  for (const [index, part] of template.entries()) {
    if (!part.startsWith(':')) continue;
    let segment = raw[index] ?? '';
    const last = index === template.length - 1;
    const match = last && verbs.length > 0 ? VERB.exec(segment) : null;
    if (match && verbs.some((operation) => operation.verb === match[1])) {
      verb = match[1];
      segment = segment.slice(0, match.index);
    }
    params[part.slice(1)] = decode(segment);
  }
  const operation = operations.find((candidate) => candidate.verb === verb);
  if (operation) return { operation, params };
  const wanted = verbs.map((candidate) => `:${candidate.verb}`).join(', ');
  throw new ApiError({
    status: 404,
    code: 'unknown_route',
    message: `There is no route ${c.req.method} ${rawPath(c.req.url)}. Known verbs are ${wanted}.`,
    rule: 'request/route-known',
  });
}

/** Any bearer token will do, unless the audience is checked; an api-key never does (seed 004). */
function requireToken(c: AppContext, emulated: Emulated, project: Project | undefined): string {
  const principal = principalOf(c.req.header('authorization'));
  const checked =
    (project?.world.profile ?? emulated.profile).switches.token_audience === 'checked';
  const wrongAudience =
    checked &&
    principal.kind === 'bearer' &&
    principal.audience?.replace(/\/$/, '') !== 'https://ai.azure.com';
  if (principal.kind === 'bearer' && !wrongAudience) return principal.principal;
  throw new ApiError({
    status: 401,
    code: 'Unauthorized',
    message:
      'Unauthorized. Access token is missing, invalid, audience is incorrect (https://ai.azure.com), or have expired.',
    rule: wrongAudience ? 'request/token-audience' : 'request/bearer-token',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

function requireVersionAndHeader(input: Input, operation: Operation): void {
  const { require_api_version, unknown_api_version, require_preview_header } =
    input.project.world.profile.switches;
  const version = input.query.get('api-version');
  if (!version && require_api_version === 'on') {
    throw new ApiError({
      status: 400,
      code: 'BadRequest',
      message: 'Missing required query parameter: api-version',
      param: 'api-version',
      rule: 'request/api-version',
    });
  }
  if (version && version !== 'v1' && unknown_api_version === 'refuse') {
    throw new ApiError({
      status: 400,
      code: 'BadRequest',
      message: `The api-version '${version}' is not known. Use v1.`,
      param: 'api-version',
      rule: 'request/api-version-known',
    });
  }
  if (require_preview_header === 'off' || !operation.path.startsWith('/routines')) return;
  const features = (input.headers.get('foundry-features') ?? '')
    .split(',')
    .map((feature) => feature.trim());
  if (features.includes('Routines=V1Preview')) return;
  throw new ApiError({
    status: 404,
    code: 'not_found',
    message: "Routines are in preview. Send the header 'Foundry-Features: Routines=V1Preview'.",
    param: 'Foundry-Features',
    rule: 'request/preview-header',
  });
}

async function answerOperation(
  c: AppContext,
  emulated: Emulated,
  operations: Operation[],
  path: string,
): Promise<Response> {
  const principal = requireToken(
    c,
    emulated,
    emulated.projects.find(decode(c.req.param('project') ?? '')),
  );
  const project = emulated.projects.get(readProjectName(decode(c.req.param('project') ?? '')));
  const { operation, params } = choose(c, operations, path);
  const { world } = project;
  const text = c.req.method === 'GET' ? '' : await readText(c);
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
  const request: Requested = { c, operation, input, text, principal };
  const struck = c.env?.replayed ? undefined : strike(project, operation.id);
  const answer = struck ? await throughOwnFault(struck, request) : await perform(request);
  return toResponse(answer, world.now, requestId(c));
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

async function readText(c: AppContext): Promise<string> {
  const length = Number(c.req.header('content-length') ?? 0);
  const text = length > BODY_BYTES_MAX ? undefined : await c.req.text();
  if (text !== undefined && Buffer.byteLength(text) <= BODY_BYTES_MAX) return text;
  throw new ApiError({
    status: 413,
    code: 'request_too_large',
    message: `The body has more than ${BODY_BYTES_MAX} bytes. Send less.`,
    rule: 'request/body-max',
  });
}

async function perform(request: Requested): Promise<Answer> {
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
  if (input.body !== undefined && text.length <= JOURNAL_BODY_MAX) data.body = input.body;
  else if (text !== '') {
    data.raw = text.slice(0, JOURNAL_BODY_MAX);
    if (text.length > JOURNAL_BODY_MAX) data.cut = text.length;
  }
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
async function read(request: Requested): Promise<Answer> {
  const { c, operation, input, principal } = request;
  const { world, engine, reads } = input.project;
  let answer = operation.handle(input) as Answer;
  const subject = world.skip ? operation.subject?.(input) : undefined;
  if (subject === undefined || c.req.header('x-foundrite-peek') !== undefined) return answer;
  const key = `${principal} ${c.req.url}`;
  const last = reads.get(key);
  let said = fingerprint(answer);
  if (last === said) {
    const from = world.now;
    const notAfter = from + world.profile.settings.skip_max;
    while (said === last && (await engine.follow(subject, notAfter))) {
      answer = operation.handle(input) as Answer;
      said = fingerprint(answer);
    }
    if (world.now > from) world.turn(() => engine.recordSkip(from, `${operation.id} ${subject}`));
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
  if (fault.delayMs > 0)
    await engine.reach(world.now + fault.delayMs, `The answer to ${operation.id} (fault delay)`);
  switch (fault.kind) {
    case 'ok':
      return perform(request);
    case 'status': {
      const headers = {
        'content-type': 'application/json',
        ...fault.headers,
        'x-foundrite-body-by': 'fault',
      };
      return { status: fault.status, text: injectedBody(fault), headers };
    }
    case 'timeout':
      await engine.reach(
        world.now + GATEWAY_CUT_MS,
        `The answer to ${operation.id} (fault timeout)`,
      );
      return hangUp(request);
    case 'gate':
      await engine.gate(fault.name);
      return perform(request);
    case 'disconnect':
      return hangUp(request);
    case 'lose_response':
      await perform(request);
      return hangUp(request);
    case 'slow_body':
    case 'garble':
    case 'rewrite': {
      const answer = await perform(request);
      const text = answer.text ?? (answer.body === undefined ? '' : JSON.stringify(answer.body));
      if (fault.kind === 'slow_body') {
        const waitMs = Math.ceil(Buffer.byteLength(text) / fault.bytes) * fault.everyMs;
        await engine.reach(world.now + waitMs, `The body of ${operation.id} (fault slow_body)`);
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
  if (socket?.resetAndDestroy) socket.resetAndDestroy();
  else socket?.destroy();
  throw new Disconnected();
}

/** Thrown through the app when an answer must not arrive. */
export class Disconnected extends TypeError {
  override name = 'TypeError';
  override cause = { code: 'ECONNRESET' };
  constructor() {
    super('fetch failed');
  }
}

export function toResponse(answer: Answer, now: number, id: string): Response {
  const headers = new Headers(answer.headers);
  headers.set('x-foundrite-now', isoInstant(now));
  headers.set('x-request-id', id);
  const empty =
    answer.text === '' || answer.status === 204 || answer.status === 205 || answer.status === 304;
  if (answer.text !== undefined)
    return new Response(empty ? null : answer.text, { status: answer.status, headers });
  if (answer.body === undefined) return new Response(null, { status: answer.status, headers });
  headers.set('content-type', 'application/json');
  return new Response(JSON.stringify(answer.body), { status: answer.status, headers });
}
