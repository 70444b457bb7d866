/** How streams leave: as fast as they are read, through the faults of our own answers, and broken off where they break off. */
import type { Fault } from '../faults.ts';
import { altered } from '../faults.ts';
import { type AppContext, Disconnected } from './http.ts';

/** A body whose pieces are taken as its reader has room for them; `gone` is called when he goes away. */
export function streamOf(
  body: AsyncIterable<string | Uint8Array>,
  gone: () => void = () => {},
): ReadableStream<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(typeof value === 'string' ? Buffer.from(value) : value);
      },
      async cancel() {
        gone();
        await pieces.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * A stream that breaks off is a connection that does: on a socket it ends without its last chunk, after what was said before;
 * in-process it throws.
 */
export function onConnection(
  c: AppContext,
  stream: ReadableStream<Uint8Array>,
): ReadableStream<Uint8Array> {
  const socket = c.env?.incoming?.socket;
  if (socket === undefined) return stream;
  const reader = stream.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch {
          // Whoever broke it off has said why; its reader sees the connection end.
          socket.destroySoon();
          controller.close();
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** A stream through a fault; `wait` lets world time pass, for as long as its reader is there. */
export function streamThrough(
  fault: Fault,
  stream: ReadableStream<Uint8Array>,
  wait: (ms: number, signal: AbortSignal) => Promise<void>,
): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  const changed = changing(fault, stream, (ms) => wait(ms, gone.signal));
  return changed === undefined ? stream : streamOf(changed, () => gone.abort());
}

function changing(
  fault: Fault,
  stream: ReadableStream<Uint8Array>,
  wait: (ms: number) => Promise<void>,
): AsyncIterable<string | Uint8Array> | undefined {
  switch (fault.kind) {
    case 'lose_response':
      return lost(stream);
    case 'slow_body':
      return slowed(stream, fault, wait);
    case 'garble':
      return garbled(stream);
    case 'rewrite':
      return rewritten(stream, fault);
    default:
      return undefined;
  }
}

/** Its first piece arrives, and then the connection breaks. */
async function* lost(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of stream) {
    yield piece;
    break;
  }
  throw new Disconnected();
}

async function* slowed(
  stream: ReadableStream<Uint8Array>,
  { bytes, everyMs }: { bytes: number; everyMs: number },
  wait: (ms: number) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of stream) {
    for (let from = 0; from < piece.length; from += bytes) {
      await wait(everyMs);
      yield piece.subarray(from, from + bytes);
    }
  }
}

/** The second piece is damaged, and nothing follows. */
async function* garbled(stream: ReadableStream<Uint8Array>): AsyncGenerator<string | Uint8Array> {
  let pieces = 0;
  for await (const piece of stream) {
    pieces += 1;
    if (pieces === 1) {
      yield piece;
      continue;
    }
    yield piece.subarray(0, Math.floor(piece.length / 2));
    yield '\u0000';
    return;
  }
}

/** Each event's data as if it were a body. */
async function* rewritten(
  stream: ReadableStream<Uint8Array>,
  fault: Fault,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of stream) {
    const events = (rest + decoder.decode(piece, { stream: true })).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const changed = event.replace(
        /^(data: ?)(.*)$/m,
        (_, name: string, body: string) => name + altered(fault, { body }).body,
      );
      yield `${changed}\n\n`;
    }
  }
  yield rest;
}
