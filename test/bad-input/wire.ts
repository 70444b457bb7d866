/** A client that writes what it is told, byte for byte, and reads answers as a strict client would. */
import { connect, type Socket } from 'node:net';
import { systemClock } from '../../emulator/clock.ts';

export interface Raw {
  method: string;
  /** The request target as it goes on the wire. */
  path: string;
  headers: readonly (readonly [string, string])[];
  body?: Buffer;
  /** The part of a form that is JSON. */
  json?: Buffer;
}

export interface RawAnswer {
  status: number;
  headers: Headers;
  text: string;
}

/** An answer that has not come after this long is a hang. */
const HANG_MS = 5_000;

/** The bytes of a request; a length is added unless its headers frame the body themselves. */
export function bytesOf({ method, path, headers, body }: Raw): Buffer {
  const framed = headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name));
  const length = body === undefined || framed ? [] : [`content-length: ${body.length}`];
  const lines = [...headers.map(([name, value]) => `${name}: ${value}`), ...length];
  const head = [`${method} ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), body ?? Buffer.alloc(0)]);
}

/**
 * Takes one final answer off the front of what was received; undefined while it is not whole. Of a stream that goes on until
 * its reader goes away, the first event is enough.
 */
export function readAnswer(
  received: Buffer,
  method: string,
  ended: boolean,
  goesOn = false,
): { answer: RawAnswer; rest: Buffer } | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [first = '', ...lines] = received.subarray(0, headEnd).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1]);
  if (!status) throw new Error(`no status line: ${JSON.stringify(first)}`);
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`no header: ${JSON.stringify(line)}`);
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const after = received.subarray(headEnd + 4);
  if (status < 200) return readAnswer(after, method, ended, goesOn);
  const answer = (body: Buffer, rest: Buffer) => ({
    answer: { status, headers, text: body.toString('utf8') },
    rest,
  });
  if (method === 'HEAD' || status === 204 || status === 304) return answer(Buffer.alloc(0), after);
  if (headers.get('transfer-encoding') === 'chunked') {
    const { body, rest } = readChunks(after);
    if (rest !== undefined) return answer(body, rest);
    return goesOn && body.includes('\n\n') ? answer(body, Buffer.alloc(0)) : undefined;
  }
  const length = headers.get('content-length');
  if (length === null) return ended ? answer(after, Buffer.alloc(0)) : undefined;
  if (after.length < Number(length)) return undefined;
  return answer(after.subarray(0, Number(length)), after.subarray(Number(length)));
}

/** The chunks that are there, and what follows the last one. */
function readChunks(received: Buffer): { body: Buffer; rest: Buffer | undefined } {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = received.indexOf('\r\n', at);
    if (lineEnd < 0) return { body: Buffer.concat(chunks), rest: undefined };
    const size = Number.parseInt(received.subarray(at, lineEnd).toString('latin1'), 16);
    const end = lineEnd + 2 + size;
    if (received.length < end + 2) return { body: Buffer.concat(chunks), rest: undefined };
    chunks.push(received.subarray(lineEnd + 2, end));
    at = end + 2;
    if (size === 0) return { body: Buffer.concat(chunks), rest: received.subarray(at) };
  }
}

/** The log of a session goes on until its reader goes away, unless he asks otherwise. */
function isFollowed({ path }: Raw): boolean {
  const [name = '', query = ''] = path.split('?');
  return name.endsWith(':logstream') && new URLSearchParams(query).get('follow') !== 'false';
}

/** One kept-alive connection, opened again whenever the server has closed it. */
export class Wire {
  readonly #port: number;
  #socket: Socket | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** The answer; undefined when the connection was closed without one. */
  async send(request: Raw): Promise<RawAnswer | undefined> {
    const socket = this.#open();
    const goesOn = isFollowed(request);
    let received: Buffer = Buffer.alloc(0);
    return new Promise((resolve, reject) => {
      const finish = (result: RawAnswer | Error | undefined) => {
        cancelHang();
        socket.removeAllListeners('data').removeAllListeners('end').removeAllListeners('close');
        const close =
          result instanceof Error || goesOn || result?.headers.get('connection') === 'close';
        if (close || socket.readableEnded || socket.destroyed) this.close();
        if (result instanceof Error) reject(result);
        else resolve(result);
      };
      const look = (ended: boolean) => {
        try {
          const whole = readAnswer(received, request.method, ended, goesOn);
          // Who refuses bytes cannot know that their method was HEAD; the connection ends, so no client is misled.
          const unasked = request.method === 'HEAD' && whole?.answer.status === 400;
          if (whole !== undefined && whole.rest.length > 0 && !unasked)
            finish(new Error(`more than one answer: ${received.toString('latin1')}`));
          else if (whole !== undefined || ended) finish(whole?.answer);
        } catch (error) {
          finish(error as Error);
        }
      };
      const cancelHang = systemClock.after(
        HANG_MS,
        () => finish(new Error(`no answer to ${request.method} ${request.path.slice(0, 200)}`)),
        true,
      );
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        look(false);
      });
      socket.on('end', () => look(true));
      socket.on('close', () => look(true));
      socket.write(bytesOf(request));
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): Socket {
    if (this.#socket === undefined || this.#socket.destroyed) {
      this.#socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
      // What broke shows as an answer that never came.
      this.#socket.on('error', () => {});
    }
    return this.#socket;
  }
}
