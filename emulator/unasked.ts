/** Refusals of what never becomes a request: Node's own would have no body, and clients read the error envelope. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { RequestError } from '@hono/node-server';
import { systemClock } from './clock.ts';

/** Tokens of real tenants with many groups reach 16 KiB, which is Node's own limit for all headers together. */
export const HEADER_BYTES_MAX = 64 * 1024;
/** Node's own limit. */
const HEADERS_MAX = 1_000;

/** Answers in Node's place what it would refuse without a word. */
export function refuseUnasked(server: Server): void {
  server.on('clientError', refuseBytes);
  server.on('connect', (_request, socket: Duplex) =>
    writeRefusal(socket, 405, 'CONNECT is for proxies, and this is none. Send the request itself.'),
  );
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    refuse(
      response,
      417,
      `The header Expect cannot be '${request.headers.expect}'. Send 100-continue, or leave it out.`,
    ),
  );
}

/** What is wrong with a request that Node lets through. */
export function refusalOf({
  headers,
  rawHeaders,
  httpVersion,
  url = '',
}: IncomingMessage): string | undefined {
  if (headers.host === undefined)
    return httpVersion === '1.0' ? undefined : 'The header Host is missing. Send it.';
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && !/(?:^|,)\s*chunked\s*$/i.test(coding))
    return `The header Transfer-Encoding cannot be '${coding}'. Send chunked, or a Content-Length.`;
  // Of an absolute target the host counts, and not the header's (RFC 9112, 3.2.2).
  const target = url.startsWith('http') ? /^https?:\/\/([^/?#]*)/.exec(url)?.[1] : undefined;
  if (target !== undefined) headers.host = target;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length !== 4 || name.toLowerCase() !== 'host') continue;
    hosts += 1;
    if (target !== undefined) rawHeaders[at + 1] = target;
  }
  return hosts > 1 ? 'The header Host is there more than once. Send it once.' : undefined;
}

const REASONS: Record<number, string> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Error',
};

/** The error envelope of a request that never reached the app. */
function envelope(status: number, message: string): string {
  const code = (REASONS[status] ?? '').toLowerCase().replaceAll(' ', '_');
  return JSON.stringify({
    error: {
      code: status === 400 ? 'invalid_request' : code,
      message,
      param: null,
      type: 'invalid_request_error',
    },
  });
}

export function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(envelope(status, message));
}

/** A request that is being answered, as Node keeps it with its socket. */
interface Answering extends ServerResponse {
  req: IncomingMessage;
}

/** Connections that were refused: what still comes on them is dropped. */
const refused = new WeakSet<Duplex>();

/** How long who was refused may go on sending: to cut it off would take the refusal away with it. */
const LINGER_MS = 500;

/** Bytes that are no request: they are answered as far as HTTP still lets us, and the connection ends. */
function refuseBytes(error: NodeJS.ErrnoException & { reason?: string }, socket: Duplex): void {
  if (refused.has(socket)) return;
  const answering = (socket as { _httpMessage?: Answering })._httpMessage;
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
  } else if (answering?.req.complete) {
    // What came whole before these bytes is answered first.
    answering.once('close', () => refuseBytes(error, socket));
  } else if (answering?.writableEnded) {
    // Its answer needed no body, and is on its way out: the broken body after it ends the connection.
    answering.once('close', () => socket.end());
  } else if (answering?.headersSent) {
    socket.destroy();
  } else {
    const [status, message] = whatIsWrong(error);
    writeRefusal(socket, status, message);
  }
}

function whatIsWrong({
  code,
  reason,
}: NodeJS.ErrnoException & { reason?: string }): [status: number, message: string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [
        431,
        `The headers have more than ${HEADER_BYTES_MAX} bytes, or are more than ${HEADERS_MAX}. Send fewer, or shorter ones.`,
      ];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return [413, 'The extensions of a chunk are too long. Leave them out.'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'The request did not come whole in time. Send it faster.'];
    default:
      return [400, `The bytes are no HTTP/1.1 request: ${reason ?? code ?? 'unknown'}. Send one.`];
  }
}

function writeRefusal(socket: Duplex, status: number, message: string): void {
  refused.add(socket);
  const body = envelope(status, message);
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.resume();
  socket.once('end', () => socket.destroy());
  socket.once(
    'close',
    systemClock.after(LINGER_MS, () => socket.destroy()),
  );
}

/** The app answers its own errors; this one is for requests that never became one, and for a bug in the app's error handling. */
export function lastResort(error: unknown): Response {
  const malformed = error instanceof RequestError;
  const status = malformed ? 400 : 500;
  const message = malformed
    ? `The request line or the Host header is malformed: ${error.message}. Mend it.`
    : 'Foundrite failed; this is a bug.';
  return new Response(envelope(status, message), {
    status,
    headers: { 'content-type': 'application/json' },
  });
}
