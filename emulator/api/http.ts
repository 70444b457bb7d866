/** The plain parts of HTTP that every answer shares. */
import type { Context } from 'hono';
import { isoInstant } from '../clock.ts';
import { ApiError } from '../errors.ts';
import { randomHex } from '../ids.ts';
import type { Answer } from './input.ts';

/** What the socket's side hands to fetch; absent in-process. */
export interface Connection {
  /** The plan has struck already: replay reads that from the journal. */
  replayed?: boolean;
  /** This process asks for itself, to apply its configuration: control lets it in, and the plan spares it. */
  own?: boolean;
  /** The id of what is made: the configuration's, or in a replay the journal's. No client can say it. */
  id?: string | undefined;
  incoming?: {
    socket?: {
      encrypted?: boolean;
      destroy(): void;
      /** After what is written has left. */
      destroySoon(): void;
      resetAndDestroy?(): void;
    };
  };
}

export type AppContext = Context<{ Bindings: Connection }>;

export function rawPath(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  const query = url.indexOf('?', start);
  return query < 0 ? url.slice(start) : url.slice(start, query);
}

/** The caller's id when it has one, so that its logs and ours can be laid side by side. */
export function requestId(request: Request): string {
  return request.headers.get('x-ms-client-request-id') ?? randomHex(8);
}

export function decode(segment: string): string {
  if (!segment.includes('%')) return segment;
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

/** Thrown through the app when an answer must not arrive. */
export class Disconnected extends TypeError {
  override name = 'TypeError';
  override cause = { code: 'ECONNRESET' };
  constructor() {
    super('fetch failed');
  }
}

export function toResponse(answer: Answer, now: number, id: string): Response {
  const { status, body, text, stream } = answer;
  // A plain object: node-server writes it as it is, and need not read a Headers back.
  const headers = { ...answer.headers, 'x-foundrite-now': isoInstant(now), 'x-request-id': id };
  if (stream !== undefined) return new Response(stream, { status, headers });
  if (text === undefined && body !== undefined)
    return new Response(JSON.stringify(body), {
      status,
      headers: { ...headers, 'content-type': 'application/json' },
    });
  const empty = text === undefined || text === '' || [204, 205, 304].includes(status);
  return new Response(empty ? null : text, { status, headers });
}

/** Hop-by-hop headers and lengths belong to the connection that they came on. */
export function passedOn(headers: Record<string, string>): Record<string, string> {
  const own = new Set([
    'connection',
    'content-length',
    'content-encoding',
    'transfer-encoding',
    'keep-alive',
    'date',
  ]);
  // Which pages may read an answer is for --cors to say.
  const kept = Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !own.has(name) && !name.startsWith('access-control-'),
    ),
  );
  return { 'content-type': 'application/json', ...kept };
}

/** The decoded parameters of a path, read off the raw segments: whatever a name holds, it is decoded once. */
export function pathParams(raw: string, template: string): Record<string, string> {
  const segments = raw.split('/');
  const params: Record<string, string> = {};
  for (const [index, part] of template.split('/').entries()) {
    const [, name, verb = ''] = /^\{(\w+)\}(:\w+)?$/.exec(part) ?? [];
    // A rule's id has a slash, which may be sent as it is.
    const segment = (name === 'rule' ? segments.slice(index).join('/') : segments[index]) ?? '';
    if (name !== undefined) params[name] = decode(segment.slice(0, segment.length - verb.length));
  }
  return params;
}
