/** The body of a request: how much of it is read, and what text is JSON that every part of the emulator can hold. */
import { isUtf8 } from 'node:buffer';
import { ApiError, shown } from '../errors.ts';
import { type AppContext, Disconnected } from './http.ts';
import type { Operation } from './input.ts';

/** Larger bodies are refused, and never held. */
const BODY_MAX = { bytes: 16 * 1024 * 1024, rule: 'request/body-max' };

/** SQLite reads JSON of 1,000 levels, and what is written around a body takes a few of them. */
const LEVELS_MAX = 500;

/** Made once: making one costs more than decoding a small body. */
const decoder = new TextDecoder();

/** The text of a body, empty without one. Throws Disconnected when the rest of it never came. */
export async function readText(c: AppContext): Promise<string> {
  return textOf(await readBytes(c, BODY_MAX));
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw noJson('its bytes are not UTF-8');
  return decoder.decode(bytes);
}

/** Whether the body of this request is taken as bytes, and not as JSON. */
export function isRaw(c: AppContext, { body = 'json' }: Operation): boolean {
  if (body === 'json' || body === 'bytes') return body === 'bytes';
  const type = c.req.header('content-type');
  if (body === 'form') return type !== undefined && FORM_TYPE.test(type);
  return type !== undefined && !JSON_TYPE.test(type);
}

const FORM_TYPE = /^\s*multipart\/form-data\s*(?:;|$)/i;

/** The parts of a form by their names, byte for byte; undefined where the bytes are no form of that type. */
export function readParts(bytes: Buffer, type: string): Map<string, Buffer> | undefined {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(type) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) return undefined;
  const edge = Buffer.from(`\r\n--${boundary}`, 'latin1');
  const parts = new Map<string, Buffer>();
  // The first edge may be the first line, and the others end a line.
  let end = bytes.indexOf(edge.subarray(2)) - 2;
  while (end > -3) {
    const at = end + edge.length;
    const after = bytes.toString('latin1', at, at + 2);
    if (after === '--') return parts;
    const headEnd = bytes.indexOf('\r\n\r\n', at);
    if (after !== '\r\n' || headEnd < 0) return undefined;
    const name = partName(bytes.toString('utf8', at, headEnd));
    end = bytes.indexOf(edge, headEnd + 4);
    if (name === undefined || end < 0) return undefined;
    parts.set(name, bytes.subarray(headEnd + 4, end));
  }
  return undefined;
}

function partName(head: string): string | undefined {
  const [, quoted, plain] =
    /^content-disposition:[ \t]*form-data[^\r]*?;[ \t]*name=(?:"([^"\r]*)"|([^\s;"]+))/im.exec(
      head,
    ) ?? [];
  return quoted ?? plain;
}

/** `application/json`, `application/merge-patch+json` and their like. */
export const JSON_TYPE = /^\s*application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/** A body as it came, empty without one. Throws Disconnected when the rest of it never came. */
export async function readBytes(c: AppContext, max = BODY_MAX): Promise<Buffer> {
  const encoding = c.req.header('content-encoding');
  if (encoding !== undefined && !/^(?:identity)?$/i.test(encoding.trim()))
    throw noJson(`its content-encoding is ${shown(encoding)}, and only plain bodies are read`);
  if (Number(c.req.header('content-length') ?? 0) > max.bytes) throw tooLarge(max);
  // Only what comes in chunks may be longer than it said: the rest is taken whole, which is faster.
  const counted = c.env?.incoming !== undefined && c.req.header('transfer-encoding') !== undefined;
  const bytes = counted ? await readCounted(c.req.raw, max) : await readWhole(c.req.raw);
  if (bytes.length > max.bytes) throw tooLarge(max);
  return bytes;
}

async function readWhole(request: Request): Promise<Buffer> {
  try {
    return Buffer.from(await request.arrayBuffer());
  } catch {
    throw new Disconnected();
  }
}

async function readCounted(request: Request, max: BodyMax): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of request.body ?? []) {
      size += chunk.length;
      if (size > max.bytes) break;
      chunks.push(chunk);
    }
  } catch {
    throw new Disconnected();
  }
  if (size > max.bytes) throw tooLarge(max);
  return Buffer.concat(chunks);
}

type BodyMax = NonNullable<Operation['bodyMax']>;

function tooLarge(max: BodyMax): ApiError {
  return new ApiError({
    status: 413,
    code: 'request_too_large',
    message: `The body has more than ${max.bytes} bytes. Send less.`,
    rule: max.rule,
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

/** The same of bytes. */
export function readJsonBytes(bytes: Buffer): unknown {
  return readJson(textOf(bytes));
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
