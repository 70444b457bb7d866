/**
 * A target: whatever answers the API, be it the emulator in this process, an emulator by URL or a live project. What can be
 * done to it beyond the API is its control, which a live project does not have.
 */
import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { checkServerIdentity } from 'node:tls';
import { CONTROL_CALLS, type ControlCall, paramsOf } from './control.ts';
import { near } from './near.ts';

/** A request as it goes out: nothing is added to it and nothing normalised. */
export interface Sent {
  method: string;
  /** Raw, from the root, with its query. */
  path: string;
  headers: Record<string, string>;
  body?: string | Uint8Array;
}

export interface Target {
  /** Where it is, for messages: a URL, or `in-process`. */
  readonly name: string;
  /** What a call bears that bears nothing of its own: `Bearer …`. */
  readonly authorization: string;
  send(sent: Sent): Promise<Response>;
  readonly control?: Control;
}

/** Parameters are named as in openapi.yaml; `p`, the project, is one of them. */
export interface ControlAsked {
  params?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Control {
  /** What its calls bear, if anything. */
  readonly authorization: string | undefined;
  /** The request that a control call is. */
  request(word: string, asked: ControlAsked): Sent;
}

export function controlCall(word: string): ControlCall | undefined {
  return CONTROL_CALLS.find((call) => call.word === word);
}

/** Control as it is reached below `/_emulator`; `authorization` is what it wants to see, if anything. */
export function controlBelow(authorization?: string): Control {
  return {
    authorization,
    request(word, { params = {}, query = {}, body, headers }) {
      const call = controlCall(word);
      if (!call) {
        const words = CONTROL_CALLS.map((one) => one.word);
        const known = `Known are: ${words.join(', ')}.`;
        throw new Error(`There is no control call '${word}'.${near(word, words)} ${known}`);
      }
      requireParams(call, params);
      const path = call.path.replace(/\{(\w+)\}/g, (_, name: string) =>
        // A rule's id keeps its slash; nothing else may have one.
        name === 'rule' ? (params[name] ?? '') : encodeURIComponent(params[name] ?? ''),
      );
      const search = new URLSearchParams(
        Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
      ).toString();
      return {
        method: call.method,
        path: `/_emulator${path}${search === '' ? '' : `?${search}`}`,
        headers: {
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
    },
  };
}

/** Nothing goes out to a path with a hole in it, and nothing that was given is left out. */
function requireParams(call: ControlCall, params: Record<string, string>): void {
  const wanted = paramsOf(call);
  const lacks = wanted.find((name) => params[name] === undefined);
  if (lacks !== undefined) throw new Error(`${call.word} needs ${lacks}.`);
  const unknown = Object.keys(params).filter((name) => name !== 'p' && !wanted.includes(name));
  if (unknown.length === 0) return;
  const taken = [...wanted, 'query', 'body'].join(', ');
  throw new Error(
    `${call.word} does not take ${unknown.join(', ')}. It takes ${taken}: a field of the body is written in body.`,
  );
}

export interface HttpTargetOptions {
  /** `Bearer …`: any will do for an emulator. */
  authorization: string;
  /** PEM of the authority to trust beside the system's. */
  ca?: string | undefined;
  control?: Control;
}

/** Nobody is there, or not who was named. A connection that breaks on the way is another error: faults do that too. */
export class Unreachable extends Error {
  override name = 'Unreachable';
}

const BROKEN = ['ECONNRESET', 'EPIPE', 'ECONNABORTED'];

/** Whether a call failed because its connection broke, on a socket or in this process, and not because it cannot be sent. */
export function isBrokenConnection(error: unknown): boolean {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return BROKEN.includes(code) || message === 'fetch failed' || message === 'terminated';
}

/** A target by URL. Paths go out as they were written, which `fetch` would normalise. */
export function httpTarget(url: string, options: HttpTargetOptions): Target & { close(): void } {
  const { protocol, hostname, port, origin } = new URL(url);
  const tls = protocol === 'https:';
  // URL writes an IPv6 address in brackets, which a socket does not take.
  const host = hostname.replace(/^\[|\]$/g, '');
  const agent = tls
    ? new TlsAgent({
        keepAlive: true,
        ...(options.ca === undefined ? {} : { ca: options.ca }),
        // Whoever is called must be who was named, whatever a request says in its Host header.
        checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      })
    : new PlainAgent({ keepAlive: true });
  const send = (sent: Sent) =>
    new Promise<Response>((resolve, reject) => {
      const body = typeof sent.body === 'string' ? Buffer.from(sent.body) : sent.body;
      const outgoing = (tls ? tlsRequest : plainRequest)(
        {
          hostname: host,
          port: port === '' ? undefined : Number(port),
          method: sent.method,
          path: sent.path,
          headers: {
            ...sent.headers,
            ...(body === undefined ? {} : { 'content-length': String(body.byteLength) }),
          },
          agent,
        },
        (incoming) => resolve(responseOf(incoming)),
      );
      // An answer may come before all was sent, and end the connection: that is no error any more.
      outgoing.on('socket', (socket) => {
        if (socket.listeners('error').includes(ignore)) return;
        socket.on('error', ignore);
      });
      outgoing.on('error', (error: NodeJS.ErrnoException) =>
        reject(
          BROKEN.includes(error.code ?? '')
            ? error
            : new Unreachable(`${origin} cannot be reached (${error.code ?? error.message}).`),
        ),
      );
      outgoing.end(body);
    });
  return {
    name: origin,
    authorization: options.authorization,
    send,
    ...(options.control === undefined ? {} : { control: options.control }),
    close: () => agent.destroy(),
  };
}

function ignore(): void {}

const BODILESS = new Set([204, 205, 304]);

function responseOf(incoming: IncomingMessage): Response {
  const headers = new Headers();
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    headers.append(incoming.rawHeaders[index] ?? '', incoming.rawHeaders[index + 1] ?? '');
  }
  const status = incoming.statusCode ?? 0;
  const bodiless = BODILESS.has(status) || incoming.method === 'HEAD';
  if (bodiless) incoming.resume();
  const body = bodiless ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>);
  return new Response(body, { status, headers });
}
