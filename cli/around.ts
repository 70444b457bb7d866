/** What is put around the emulator only when asked for: CORS and a line per request. */
import { Hono } from 'hono';
import { cors } from 'hono/cors';
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

/** JSON, as what collects logs reads it: `level` 30 is info there. */
const INFO = 30;

export function withLog(fetch: Fetch): Fetch {
  return async (request, env) => {
    const time = systemClock.now();
    const answer = await fetch(request, env);
    const { pathname, search } = new URL(request.url);
    const line = {
      level: INFO,
      time,
      method: request.method,
      path: pathname + search,
      status: answer.status,
      ms: systemClock.now() - time,
    };
    process.stderr.write(`${JSON.stringify(line)}\n`);
    return answer;
  };
}
