/** Sockets: one port that speaks HTTP and TLS, because the official Azure clients refuse plain HTTP and curl should not have to care. */
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type RequestListener,
  type ServerOptions,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server,
  type Socket,
} from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { systemClock } from './clock.ts';
import { HEADER_BYTES_MAX, lastResort, refusalOf, refuse, refuseUnasked } from './unasked.ts';

/** A connection that says nothing is dropped after this long: port scanners and half-open sockets must not pile up. */
export const FIRST_BYTE_MS = 10_000;
/** A TLS handshake that stops half-way is dropped after this long. */
export const HANDSHAKE_MS = 10_000;
/** All headers must be here within this time. */
export const HEADERS_MS = 30_000;
/** A whole request, body included, must be here within this time: generous, since code archives are uploaded too. */
export const REQUEST_MS = 300_000;
/** Longer than the pools of the usual clients keep a connection, so that it is they who close it and no request meets a closed socket. */
export const KEEP_ALIVE_MS = 120_000;
/** What is being answered when we close may finish within this time. */
export const CLOSE_GRACE_MS = 500;
/** How often connections that have fallen idle are looked for while closing. */
const SWEEP_MS = 10;
/** How often a free port is looked for that both loopback addresses have. */
const PORT_TRIES_MAX = 10;
/** The first byte of a TLS connection: a handshake record. No HTTP method begins with it. */
const TLS_HANDSHAKE = 0x16;

export type Fetch = (request: Request, env?: unknown) => Response | Promise<Response>;

export interface TlsMaterial {
  /** PEM: the certificate, and the chain when there is one. */
  cert: string;
  key: string;
}

export interface ServeOptions {
  fetch: Fetch;
  /** `localhost` listens on both loopback addresses. */
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** Asked at the first TLS byte, so that who never speaks TLS never pays for it. Without it the port speaks HTTP only. */
  tls?: () => TlsMaterial;
  /** A client would not talk TLS with us, usually because it does not trust our CA; the reason is for a person. */
  onTlsRefused?: (reason: string) => void;
  firstByteMs?: number;
  /** Until all headers are here. */
  headersMs?: number;
  /** Until the whole request is here. */
  requestMs?: number;
  /** How often connections are looked at for these two. */
  lookMs?: number;
}

export interface Serving {
  port: number;
  url: string;
  httpsUrl: string;
  /** Idle connections end at once; what is being answered has `CLOSE_GRACE_MS`. */
  close(): Promise<void>;
}

/** The port cannot be listened on; the command line turns this into exit 14. */
export class ListenError extends Error {
  readonly host: string;
  readonly port: number;

  constructor(host: string, port: number, cause: NodeJS.ErrnoException) {
    super(listenMessage(host, port, cause), { cause });
    this.name = 'ListenError';
    this.host = host;
    this.port = port;
  }
}

export async function serve(options: ServeOptions): Promise<Serving> {
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  const protocols = speakBoth(options, silent);
  const onSocket = (socket: Socket) => {
    sockets.add(socket);
    silent.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      silent.delete(socket);
    });
    whenFirstByte(socket, options.firstByteMs ?? FIRST_BYTE_MS, (firstByte) => {
      silent.delete(socket);
      protocols.take(socket, firstByte);
    });
  };

  const { listeners, port } = await listen(options.host, options.port, onSocket);
  const name = nameInUrl(options.host);
  let closing: Promise<void> | undefined;
  return {
    port,
    url: `http://${name}:${port}`,
    httpsUrl: `https://${name}:${port}`,
    close() {
      closing ??= close({ listeners, servers: protocols.servers(), sockets, silent });
      return closing;
    },
  };
}

interface Protocols {
  take(socket: Socket, firstByte: number): void;
  servers(): HttpServer[];
}

/** The two servers behind the port. Neither listens: they are handed sockets that have said what they speak. */
function speakBoth(options: ServeOptions, silent: Set<Socket>): Protocols {
  const { fetch, tls, onTlsRefused } = options;
  const answer = getRequestListener((request, env) => fetch(request, env), {
    // HTTP/1.0 clients send no Host; they get an answer all the same.
    hostname: 'localhost',
    errorHandler: lastResort,
  });
  const listener: RequestListener = (request, response) => {
    const why = refusalOf(request);
    if (why === undefined) answer(request, response);
    else refuse(response, 400, why);
  };
  const limits = limitsOf(options);
  const http = tracked(createHttpServer(limits, listener));
  let https: HttpsServer | undefined;

  return {
    take(socket, firstByte) {
      if (firstByte !== TLS_HANDSHAKE) {
        http.emit('connection', socket);
        return;
      }
      try {
        https ??= tls && secureServer({ ...limits, ...tls() }, listener, silent, onTlsRefused);
      } catch (error) {
        // The certificate could not be read: TLS fails, the port stays open for plain HTTP.
        onTlsRefused?.((error as Error).message);
      }
      if (!https) {
        socket.destroy();
        return;
      }
      // HTTP deals with half-open sockets itself; TLS would leak one that its client leaves in the handshake.
      socket.allowHalfOpen = false;
      https.emit('connection', socket);
    },
    servers: () => (https ? [http, https] : [http]),
  };
}

function secureServer(
  material: ServerOptions & TlsMaterial,
  listener: RequestListener,
  silent: Set<Socket>,
  onTlsRefused: ServeOptions['onTlsRefused'],
): HttpsServer {
  const options = {
    ...material,
    handshakeTimeout: HANDSHAKE_MS,
    ALPNProtocols: ['http/1.1'],
  };
  const https = tracked(createHttpsServer(options, listener));
  https.on('tlsClientError', (error: NodeJS.ErrnoException) => {
    const alert = /alert (?!number)([a-z ]+)/.exec(error.message)?.[1];
    if (alert) onTlsRefused?.(alert.trim());
    // Node's own client says nothing: it hangs up.
    else if (error.code === 'ECONNRESET') onTlsRefused?.('it hung up during the handshake');
  });
  https.on('secureConnection', (socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  https.prependListener('request', (request) => silent.delete(request.socket));
  return https;
}

function limitsOf({ headersMs, requestMs, lookMs }: ServeOptions): ServerOptions {
  return {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: headersMs ?? HEADERS_MS,
    requestTimeout: requestMs ?? REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Node's own refusal has no body; ours says what is missing.
    requireHostHeader: false,
    ...(lookMs === undefined ? {} : { connectionsCheckingInterval: lookMs }),
  };
}

/**
 * Node starts to watch a server's connections (timeouts, which ones are idle) when it listens; ours never does. What Node
 * would refuse without a word is refused with the error envelope.
 */
function tracked<T extends HttpServer>(server: T): T {
  refuseUnasked(server);
  server.emit('listening');
  return server;
}

function whenFirstByte(
  socket: Socket,
  firstByteMs: number,
  take: (firstByte: number) => void,
): void {
  const giveUp = () => socket.destroy();
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      // Readable with nothing to read: the other side has closed without a word.
      socket.destroy();
      return;
    }
    socket.off('timeout', giveUp);
    socket.setTimeout(0);
    socket.off('error', giveUp);
    socket.unshift(chunk);
    take(chunk[0] as number);
  };
  socket.on('error', giveUp);
  socket.once('timeout', giveUp);
  socket.setTimeout(firstByteMs);
  socket.once('readable', onReadable);
}

async function listen(
  host: string,
  wanted: number,
  onSocket: (socket: Socket) => void,
): Promise<{ listeners: Server[]; port: number }> {
  if (host !== 'localhost') {
    const listener = await listenOn(host, wanted, onSocket);
    return { listeners: [listener], port: (listener.address() as AddressInfo).port };
  }
  for (let tries = 1; ; tries += 1) {
    const four = await listenOn('127.0.0.1', wanted, onSocket);
    const { port } = four.address() as AddressInfo;
    try {
      return { listeners: [four, await listenOn('::1', port, onSocket)], port };
    } catch (error) {
      const taken = ((error as ListenError).cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
      // A machine without IPv6 has no ::1 to be reached on, so nobody misses it.
      if (!taken) return { listeners: [four], port };
      four.close();
      if (wanted !== 0 || tries === PORT_TRIES_MAX) throw error;
    }
  }
}

function listenOn(host: string, port: number, onSocket: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createNetServer({ noDelay: true, allowHalfOpen: true }, onSocket);
    server.once('error', (cause) => reject(new ListenError(host, port, cause)));
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      resolve(server);
    });
  });
}

interface Open {
  listeners: Server[];
  servers: HttpServer[];
  sockets: Set<Socket>;
  /** Connections that have not asked for anything yet: to no server are they idle. */
  silent: Set<Socket>;
}

async function close({ listeners, servers, sockets, silent }: Open): Promise<void> {
  const closed = listeners.map(
    (listener) => new Promise<void>((resolve) => listener.close(() => resolve())),
  );
  for (const socket of silent) socket.destroy();
  // Ends the watch over the connections; that the server never listened is no error to us.
  for (const server of servers) server.close(() => {});

  let cancelSweep = () => {};
  // Again and again, because a connection falls idle when the answer that it was busy with is out.
  const sweep = () => {
    for (const server of servers) server.closeIdleConnections();
    cancelSweep = systemClock.after(SWEEP_MS, sweep);
  };
  sweep();
  const cancelGrace = systemClock.after(CLOSE_GRACE_MS, () => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(closed);
  cancelSweep();
  cancelGrace();
}

function nameInUrl(host: string): string {
  if (host === 'localhost' || host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

function listenMessage(
  host: string,
  port: number,
  { code, message }: NodeJS.ErrnoException,
): string {
  switch (code) {
    case 'EADDRINUSE':
      return (
        `Port ${port} on ${host} is in use; "foundrite doctor" says by what. Stop that, or choose another port with ` +
        `--port (0 picks a free one).`
      );
    case 'EACCES':
      return `Port ${port} on ${host} needs more rights than this user has. Choose one above 1023 with --port.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is not an address of this machine. Choose another with --host.`;
    default:
      return `Cannot listen on ${host}:${port}: ${message}`;
  }
}
