/** The HTTP surface: who may ask, which operation is meant, what it does to the world, and how the answer leaves. */
import { Hono } from 'hono';
import { RegExpRouter } from 'hono/router/reg-exp-router';
import { requireToken, routeOf } from './api/admit.ts';
import { agentOperations } from './api/agents.ts';
import { assistantOperations } from './api/assistants.ts';
import { controlOperations } from './api/control.ts';
import { conversationOperations } from './api/conversations.ts';
import { type Connection, Disconnected, rawPath, requestId } from './api/http.ts';
import type { Operation } from './api/input.ts';
import { invocationOperations } from './api/invocations.ts';
import { logOperations } from './api/logs.ts';
import { messageOperations } from './api/messages.ts';
import { routesNotEmulated } from './api/not-emulated.ts';
import { answerOperation } from './api/operation.ts';
import { responseOperations } from './api/responses.ts';
import { routineOperations } from './api/routines.ts';
import { runStepOperations } from './api/run-steps.ts';
import { sessionFileOperations } from './api/session-files.ts';
import { sessionOperations } from './api/sessions.ts';
import { threadRunOperations } from './api/thread-runs.ts';
import { threadOperations } from './api/threads.ts';
import { isoInstant } from './clock.ts';
import type { Emulated } from './emulator.ts';
import { ApiError, notEmulated } from './errors.ts';
import { answerIdentity } from './identity.ts';
import type { Profile } from './profile.ts';
import { StoreError } from './store/store.ts';
import type { World } from './world.ts';

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]', 'host.docker.internal'];
const HOSTS_MAX = 1_000;
const SERVICE_HOST = /(?:^|\.)services\.ai\.azure\.com$/;

/** The first router takes no fixed segment where another route has a parameter; the second takes what comes first. */
const BESIDE_A_PARAMETER = /\/invocations\/docs\/|^POST \/threads\/(?:runs|:thread_id)$/;

export interface App {
  fetch(request: Request, env: Connection): Response | Promise<Response>;
}

export function createApp(emulated: Emulated): App {
  // The raw path: a name may hold an encoded slash or colon, and the verb is split off before anything is decoded.
  const getPath = (request: Request) => rawPath(request.url);
  // What is called often has one regular expression; the routes of the rest are too alike for that, and theirs cost 8 µs (measured).
  const app = new Hono<{ Bindings: Connection }>({ getPath, router: new RegExpRouter() });
  const others = new Hono<{ Bindings: Connection }>({ getPath });

  const known = new Set([...LOOPBACK_HOSTS, ...emulated.hostNames]);

  const byPath = new Map<string, Operation[]>();
  for (const operation of [
    ...routineOperations,
    ...agentOperations,
    ...responseOperations,
    ...invocationOperations,
    ...conversationOperations,
    ...sessionOperations,
    ...sessionFileOperations,
    ...logOperations,
    ...assistantOperations,
    ...threadRunOperations,
    ...runStepOperations,
    ...threadOperations,
    ...messageOperations,
  ]) {
    for (const path of new Set([operation.path, operation.alias ?? operation.path])) {
      const key = `${operation.method} ${path}`;
      byPath.set(key, [...(byPath.get(key) ?? []), operation]);
    }
  }
  for (const [key, operations] of byPath) {
    const [method = '', path = ''] = key.split(' ');
    const route = routeOf(path, operations);
    const one = BESIDE_A_PARAMETER.test(key) ? others : app;
    const fixed = withFixedVerbs(path);
    one.on(method, `/api/projects/:project${fixed}`, (c) => answerOperation(c, emulated, route));
  }
  for (const { method, path } of routesNotEmulated) {
    others.on(method, `/api/projects/:project${path}`, (c) => {
      requireToken(c, emulated, undefined);
      const asked = rawPath(c.req.url);
      throw notEmulated(
        `${c.req.method} ${asked} is not emulated yet. See the README for what is.`,
      );
    });
  }

  others.get('/_emulator/identity', (c) => answerIdentity(c.req.raw, emulated.identity));
  controlOperations(others, emulated);
  app.notFound((c) => others.fetch(c.req.raw, c.env));

  others.notFound((c) => {
    throw new ApiError({
      status: 404,
      code: 'unknown_route',
      message: `There is no route ${c.req.method} ${rawPath(c.req.url)}. ${whereToGo(rawPath(c.req.url))}`,
      rule: 'request/route-known',
    });
  });
  for (const one of [app, others])
    one.onError((error, c) => errorResponse(error, c.req.raw, emulated));
  return {
    fetch(request, env) {
      // Before the app, and not as its middleware: one of those makes every answer wait for a promise.
      const host = hostOf(request);
      if (known.has(host)) return app.fetch(request, env);
      const name = host.replace(/:\d+$/, '').toLowerCase();
      if (!known.has(name) && !SERVICE_HOST.test(name))
        return errorResponse(misdirected(name), request, emulated);
      // As it was written, so that the next one need not be taken apart; nobody fills our memory with ports.
      if (known.size < HOSTS_MAX) known.add(host);
      return app.fetch(request, env);
    },
  };
}

/** A router takes a colon for the beginning of a parameter, wherever it stands; clients may encode it. */
function withFixedVerbs(path: string): string {
  return path.replace(/(?<=[^/]):(\w+)/g, ':verb{(?::|%3[Aa])$1}');
}

/** What the OpenAI client asks for below the base URL that it has for responses. */
const BELOW_OPENAI = /(\/openai(?:\/v1)?)\/(?:assistants|threads)(?:\/|$)/;

function whereToGo(path: string): string {
  const [, base] = BELOW_OPENAI.exec(path) ?? [];
  return base === undefined
    ? 'Project routes begin with /api/projects/{project}, control routes with /_emulator.'
    : `Assistants and threads are at /api/projects/{project}/assistants and …/threads: leave ${base} out of the base URL.`;
}

function misdirected(host: string): ApiError {
  return new ApiError({
    status: 421,
    code: 'misdirected_request',
    message: `This emulator does not answer for the host '${host}'. Use localhost or 127.0.0.1, or start it with --tls-name ${host}.`,
    rule: 'request/known-host',
  });
}

function hostOf(request: Request): string {
  return request.headers.get('host') ?? new URL(request.url).host;
}

/** The one place that turns an error into an answer. */
function errorResponse(error: unknown, request: Request, emulated: Emulated): Response {
  if (error instanceof Disconnected) throw error;
  if (emulated.closed() && !(error instanceof ApiError)) throw new Disconnected();
  const api = error instanceof StoreError ? unwritable(error) : apiErrorOf(error);
  if (api.code === 'internal_error') emulated.bug(error, `${request.method} ${request.url}`);
  const world = openWorld(request, emulated);
  const headers = new Headers({
    'content-type': 'application/json',
    'x-request-id': requestId(request),
    ...api.headers,
    'x-foundrite-now': isoInstant(world?.now ?? emulated.host.now()),
  });
  if (api.rule) headers.set('x-foundrite-rule', api.rule);
  const profile = world?.profile ?? emulated.profile;
  const body = api.status === 401 ? unauthorizedBody(api, profile) : api.toBody();
  return new Response(JSON.stringify(body), { status: api.status, headers });
}

/** Flat as the live gateway writes it; nested too unless a switch says otherwise, because a client crashes on the flat one. */
function unauthorizedBody(api: ApiError, { switches }: Profile): object {
  const flat = { statusCode: 401, message: api.message };
  return switches.unauthorized_body === 'flat' ? flat : { ...flat, ...api.toBody() };
}

function unwritable(error: StoreError): ApiError {
  return new ApiError({
    status: 507,
    code: 'store_unwritable',
    message: `${error.message} What could not be written has not happened: ask again then.`,
    type: 'server_error',
  });
}

function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError({
    status: 500,
    code: 'internal_error',
    message: 'Foundrite failed; this is a bug. The message is on its stderr.',
    type: 'server_error',
  });
}

function openWorld(request: Request, emulated: Emulated): World | undefined {
  const path = rawPath(request.url);
  const open = emulated.projects.list().find(({ world }) => {
    const name = encodeURIComponent(world.project);
    return (
      path.startsWith(`/api/projects/${name}/`) || path.startsWith(`/_emulator/projects/${name}`)
    );
  });
  return open?.world;
}
