/** The body of a request: how much of it is read, and what text is JSON that every part of the emulator can hold. */
import { isUtf8 } from 'node:buffer';
import { ApiError, shown } from '../errors.ts';
import { type AppContext, Disconnected } from './http.ts';

/** Larger bodies are refused, and never held. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

/** SQLite reads JSON of 1,000 levels, and what is written around a body takes a few of them. */
const LEVELS_MAX = 500;

/** Made once: making one costs more than decoding a small body. */
const decoder = new TextDecoder();

/** The text of a body, empty without one. Throws Disconnected when the rest of it never came. */
export async function readText(c: AppContext): Promise<string> {
  const encoding = c.req.header('content-encoding');
  if (encoding !== undefined && !/^(?:identity)?$/i.test(encoding.trim()))
    throw noJson(`its content-encoding is ${shown(encoding)}, and only plain bodies are read`);
  if (Number(c.req.header('content-length') ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  // Only what comes in chunks may be longer than it said: the rest is taken whole, which is faster.
  const counted = c.env?.incoming !== undefined && c.req.header('transfer-encoding') !== undefined;
  const bytes = counted ? await readCounted(c.req.raw) : await readWhole(c.req.raw);
  if (bytes.length > BODY_BYTES_MAX) throw tooLarge();
  if (!isUtf8(bytes)) throw noJson('its bytes are not UTF-8');
  return decoder.decode(bytes);
}

async function readWhole(request: Request): Promise<Buffer> {
  try {
    return Buffer.from(await request.arrayBuffer());
  } catch {
    throw new Disconnected();
  }
}

async function readCounted(request: Request): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of request.body ?? []) {
      size += chunk.length;
      if (size > BODY_BYTES_MAX) break;
      chunks.push(chunk);
    }
  } catch {
    throw new Disconnected();
  }
  if (size > BODY_BYTES_MAX) throw tooLarge();
  return Buffer.concat(chunks);
}

function tooLarge(): ApiError {
  return new ApiError({
    status: 413,
    code: 'request_too_large',
    message: `The body has more than ${BODY_BYTES_MAX} bytes. Send less.`,
    rule: 'request/body-max',
  });
}

/** Parses the JSON text of a body; an empty one is undefined. */
export function readJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  if (levelsOf(text) > LEVELS_MAX) throw noJson(`it is nested more than ${LEVELS_MAX} levels deep`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw noJson((error as Error).message);
  }
  // JSON can write half a character, and nothing that stores or sends text in UTF-8 can.
  if (/\\u[dD][89a-fA-F]/.test(text) && !isWellFormed(value))
    throw noJson('it holds half of a surrogate pair');
  return value;
}

function noJson(why: string): ApiError {
  return new ApiError({
    status: 400,
    code: 'invalid_request',
    message: `The body is not JSON: ${why}. Send one JSON object.`,
    rule: 'request/body-is-json',
  });
}

/** How deep a JSON text is nested; 0 where it is too short to matter. */
function levelsOf(text: string): number {
  if (text.length <= LEVELS_MAX) return 0;
  let deepest = 0;
  let levels = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) quoted = false;
    } else if (code === QUOTE) quoted = true;
    else if (code === BRACKET || code === BRACE) {
      levels += 1;
      if (levels > deepest) deepest = levels;
    } else if (code === BRACKET + 2 || code === BRACE + 2) levels -= 1;
  }
  return deepest;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/** With the flag u a pair is one character, which is no surrogate. */
const LONE_SURROGATE = /\p{Surrogate}/u;

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return !LONE_SURROGATE.test(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.entries(value).every(
    ([key, inner]) => !LONE_SURROGATE.test(key) && isWellFormed(inner),
  );
}
