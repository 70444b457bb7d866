/** The HTTP surface: who may ask, which operation is meant, what it does to the world, and how the answer leaves. */
import { Hono } from 'hono';
import { requireToken } from './api/admit.ts';
import { agentOperations, agentRoutesNotEmulated, notEmulated } from './api/agents.ts';
import { controlOperations } from './api/control.ts';
import { type Connection, Disconnected, rawPath, requestId } from './api/http.ts';
import type { Operation } from './api/input.ts';
import { answerOperation } from './api/operation.ts';
import { routineOperations } from './api/routines.ts';
import { isoInstant } from './clock.ts';
import type { Emulated } from './emulator.ts';
import { ApiError } from './errors.ts';
import { answerIdentity } from './identity.ts';

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]', 'host.docker.internal'];
const SERVICE_HOST = /(?:^|\.)services\.ai\.azure\.com$/;

export interface App {
  fetch(request: Request, env: Connection): Response | Promise<Response>;
}

export function createApp(emulated: Emulated): App {
  // The raw path: a name may hold an encoded slash or colon, and the verb is split off before anything is decoded.
  const app = new Hono<{ Bindings: Connection }>({ getPath: (request) => rawPath(request.url) });
  const known = new Set([...LOOPBACK_HOSTS, ...emulated.hostNames]);

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
  app.onError((error, c) => errorResponse(error, c.req.raw, emulated));
  return {
    fetch(request, env) {
      // Before the app, and not as its middleware: one of those makes every answer wait for a promise.
      const host = hostOf(request);
      if (known.has(host) || SERVICE_HOST.test(host)) return app.fetch(request, env);
      return errorResponse(misdirected(host), request, emulated);
    },
  };
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
  const host = request.headers.get('host') ?? new URL(request.url).host;
  return host.replace(/:\d+$/, '').toLowerCase();
}

/** The one place that turns an error into an answer. */
function errorResponse(error: unknown, request: Request, emulated: Emulated): Response {
  if (error instanceof Disconnected) throw error;
  if (emulated.closed() && !(error instanceof ApiError)) throw new Disconnected();
  const api =
    error instanceof ApiError
      ? error
      : new ApiError({
          status: 500,
          code: 'internal_error',
          message: 'Foundrite failed; this is a bug. The message is on its stderr.',
          type: 'server_error',
        });
  if (api !== error) emulated.bug(error, `${request.method} ${request.url}`);
  const now = currentNow(request, emulated);
  const headers = new Headers({
    'content-type': 'application/json',
    'x-request-id': requestId(request),
    ...api.headers,
  });
  if (now !== undefined) headers.set('x-foundrite-now', now);
  if (api.rule) headers.set('x-foundrite-rule', api.rule);
  const body =
    api.status === 401 ? { statusCode: 401, message: api.message, ...api.toBody() } : api.toBody();
  return new Response(JSON.stringify(body), { status: api.status, headers });
}

function currentNow(request: Request, emulated: Emulated): string {
  const path = rawPath(request.url);
  const open = emulated.projects.list().find(({ world }) => {
    const name = encodeURIComponent(world.project);
    return (
      path.startsWith(`/api/projects/${name}/`) || path.startsWith(`/_emulator/projects/${name}`)
    );
  });
  return isoInstant(open?.world.now ?? emulated.host.now());
}
