/** What is put around the emulator only when asked for: CORS and a line per request. */
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { pino } from 'pino';
import { systemClock } from '../emulator/clock.ts';
import type { Fetch } from '../emulator/server.ts';

/** What a page may read of an answer beside its body. */
const EXPOSED = [
  'x-foundrite-now',
  'x-foundrite-rule',
  'x-request-id',
  'x-ms-client-request-id',
  'retry-after',
];

export function withCors(fetch: Fetch, origin: string): Fetch {
  const app = new Hono();
  app.use(cors({ origin, exposeHeaders: EXPOSED }));
  app.all('*', async (context) => {
    const answer = await fetch(context.req.raw, context.env);
    // A copy whose headers can be added to: those of a forwarded answer cannot.
    return new Response(answer.body, answer);
  });
  return (request, env) => app.fetch(request, env as object);
}

export function withLog(fetch: Fetch): Fetch {
  const log = pino({ base: null }, pino.destination({ dest: 2, sync: true }));
  return async (request, env) => {
    const startedAt = systemClock.now();
    const answer = await fetch(request, env);
    const { pathname, search } = new URL(request.url);
    log.info({
      method: request.method,
      path: pathname + search,
      status: answer.status,
      ms: systemClock.now() - startedAt,
    });
    return answer;
  };
}
