/** Steps as requests: what a step says becomes method, raw path, headers and bytes. */
import { parseDuration } from '../contracts/duration.ts';
import { type Control, controlCall, type Sent } from '../contracts/target.ts';
import { type Frame, fillAll, fillIn } from './slot.ts';
import { isMethod, namedBy, type Step, wordOf } from './step.ts';

export interface Asking {
  frame: Frame;
  control: Control;
  authorization: string;
  /** The project that a step's `in` names. */
  projectOf(short: unknown): string;
}

/** The request of a step; throws a sentence where its value cannot become one. */
export function requestOf(step: Step, asking: Asking): Sent {
  const word = wordOf(step);
  return isMethod(word) ? apiRequest(word, step, asking) : controlRequest(word, step, asking);
}

function apiRequest(method: string, step: Step, asking: Asking): Sent {
  const written = String(fillIn(String(step[method]), asking.frame));
  const path = /^https?:\/\/[^/]+(.*)$/.exec(written)?.[1] ?? written;
  const fromRoot = /^\/(?:api|_emulator)(?:\/|$)/.test(path);
  const { body, type } = payloadOf(step, asking.frame);
  // A raw path to control bears what control calls bear.
  const own = path.startsWith('/_emulator') ? asking.control.authorization : undefined;
  const base = {
    authorization: own ?? asking.authorization,
    ...(type === undefined ? {} : { 'content-type': type }),
  };
  return {
    method,
    path: fromRoot ? path : `/api/projects/${asking.projectOf(step.in)}${path}`,
    headers: headersOf(base, step.headers, asking.frame),
    ...(body === undefined ? {} : { body }),
  };
}

function headersOf(
  base: Record<string, string>,
  more: unknown,
  frame: Frame,
): Record<string, string> {
  const headers = { ...base };
  for (const [name, value] of Object.entries((more ?? {}) as Record<string, string | null>)) {
    if (value === null) delete headers[name.toLowerCase()];
    else headers[name.toLowerCase()] = String(fillIn(value, frame));
  }
  return headers;
}

function payloadOf(step: Step, frame: Frame): { body?: string; type?: string } {
  const json = 'application/json';
  if (typeof step.raw === 'string') return { body: String(fillIn(step.raw, frame)), type: json };
  if (step.multipart) return multipart(fillAll(step.multipart, frame) as Record<string, Part>);
  if (!('body' in step)) return {};
  return { body: JSON.stringify(fillAll(step.body, frame)), type: json };
}

type Part = string | { filename: string; content: string; type?: string };

/** Its boundary is always the same, so that two plays send the same bytes. */
function multipart(parts: Record<string, Part>): { body: string; type: string } {
  const boundary = 'foundrite-scenario-part';
  const written = Object.entries(parts).map(([name, part]) => {
    const file = typeof part === 'string' ? undefined : part;
    const type = file?.type ?? 'application/octet-stream';
    const head = file ? `; filename="${file.filename}"\r\nContent-Type: ${type}` : '';
    const content = file?.content ?? String(part);
    return `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${head}\r\n\r\n${content}\r\n`;
  });
  return {
    body: `${written.join('')}--${boundary}--\r\n`,
    type: `multipart/form-data; boundary=${boundary}`,
  };
}

function controlRequest(word: string, step: Step, asking: Asking): Sent {
  const call = controlCall(word);
  if (!call) throw new Error(`there is no control call "${word}"`);
  const value = fillAll(step[word], asking.frame);
  const { params, rest } = controlInput(word, value, asking.frame);
  const asked = rest === null || rest === undefined ? undefined : rest;
  const isRead = call.method === 'GET';
  const sent = asking.control.request(word, {
    params: { ...params, p: asking.projectOf(step.in) },
    ...(asked !== undefined && isRead ? { query: asked as Record<string, unknown> } : {}),
    ...(asked !== undefined && !isRead ? { body: asked } : {}),
  });
  const base = step.stream ? { ...sent.headers, accept: 'application/x-ndjson' } : sent.headers;
  return { ...sent, headers: headersOf(base, step.headers, asking.frame) };
}

/** The short forms of a control word's value; what names a thing in the path leaves the body. */
function controlInput(
  word: string,
  value: unknown,
  frame: Frame,
): { params: Record<string, string>; rest: unknown } {
  if (word === 'advance' && typeof value === 'string')
    return { params: {}, rest: advanceBody(value, frame) };
  if (word === 'faults' && Array.isArray(value)) return { params: {}, rest: { faults: value } };
  const named = namedBy(word);
  if (named === undefined) return { params: {}, rest: value };
  const { field, param } = named;
  if (typeof value !== 'object' || value === null)
    return { params: { [param]: String(value) }, rest: undefined };
  const { [field]: name, ...rest } = value as Record<string, unknown>;
  const empty = Object.keys(rest).length === 0;
  return { params: { [param]: String(name) }, rest: empty ? undefined : rest };
}

function advanceBody(text: string, frame: Frame): unknown {
  if (text === 'idle') return { until: 'idle' };
  if (/^\d{4}-/.test(text)) return { to: text };
  if (!text.startsWith('+')) return { by: text };
  const ms = parseDuration(text.slice(1));
  if (ms === undefined) throw new Error(`${text} is no duration; write +90s, +2m or +1h30m`);
  return { to: new Date(frame.start + ms).toISOString() };
}
