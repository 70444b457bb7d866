/**
 * One promise broken on purpose, to see which scenarios notice: answers are rewritten on their way. Other switches and
 * settings are given to the worlds as they are made (stage.ts). What is broken, and how, is data of the ledger (`broken_by`).
 */
import type { Breaking, Rewrite } from '../contracts/ledger.ts';
import { findOperation } from '../contracts/openapi.ts';
import type { Sent, Target } from '../contracts/target.ts';
import { match } from './match.ts';

/** The same target, whose answers are rewritten. */
export function rewriting(target: Target, { rewrite = [] }: Breaking): Target {
  if (rewrite.length === 0) return target;
  return { ...target, send: async (sent) => rewritten(sent, await target.send(sent), rewrite) };
}

/** An answer as a rewrite looks at it. */
export interface Rewritable {
  sent: Sent;
  headers: Headers;
  /** JSON, or undefined where it is none. */
  body: unknown;
}

/** Whether an answer is what a rewrite names. */
export function isMeant(one: Rewrite, { sent, headers, body }: Rewritable): boolean {
  if (one.rule !== undefined && one.rule !== headers.get('x-foundrite-rule')) return false;
  if (one.operation !== undefined) {
    const operation = findOperation(sent.method, sent.path)?.operationId ?? '';
    if (![one.operation].flat().includes(operation)) return false;
  }
  if (one.path !== undefined && !new RegExp(one.path).test(sent.path)) return false;
  return one.when === undefined || fits(one.when, body);
}

async function rewritten(
  sent: Sent,
  answer: Response,
  rewrites: readonly Rewrite[],
): Promise<Response> {
  // A stream may end only with a later step: it is rewritten by its events, as they come.
  if (isEventStream(answer)) return rewrittenStream(sent, answer, rewrites);
  const text = await answer.text();
  const headers = new Headers(answer.headers);
  const state = { sent, status: answer.status, headers, text, body: parsed(text) };
  for (const one of rewrites) if (isMeant(one, state)) rewrite(state, one);
  const bodiless = [204, 205, 304].includes(state.status);
  return new Response(bodiless ? null : state.text, { status: state.status, headers });
}

export function isEventStream({ headers }: { headers: Headers }): boolean {
  return (headers.get('content-type') ?? '').startsWith('text/event-stream');
}

/** Its head once, and then the data of each event as if it were a body. */
function rewrittenStream(sent: Sent, answer: Response, rewrites: readonly Rewrite[]): Response {
  const headers = new Headers(answer.headers);
  const head = { sent, status: answer.status, headers, text: '', body: undefined };
  for (const one of rewrites) {
    if (one.when !== undefined || !isMeant(one, head)) continue;
    const { status, headers: changed } = one;
    rewrite(head, { ...(status ? { status } : {}), ...(changed ? { headers: changed } : {}) });
  }
  const eventOf = (event: string) =>
    event.replace(/^data: ?(.*)$/m, (_, data: string) => {
      const state = { sent, status: head.status, headers, text: data, body: parsed(data) };
      for (const one of rewrites) if (isMeant(one, state)) rewrite(state, one);
      return `data: ${state.text}`;
    });
  let rest = '';
  const events = new TransformStream<string, string>({
    transform(chunk, out) {
      const parts = (rest + chunk).split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) out.enqueue(`${eventOf(part)}\n\n`);
    },
    flush: (out) => out.enqueue(rest),
  });
  const body = answer.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(events)
    .pipeThrough(new TextEncoderStream());
  return new Response(body ?? null, { status: head.status, headers });
}

function rewrite(state: Rewritable & { status: number; text: string }, one: Rewrite): void {
  const { headers } = state;
  if (one.status !== undefined) state.status = one.status;
  for (const [name, value] of Object.entries(one.headers ?? {})) {
    if (value === null) headers.delete(name);
    else headers.set(name, value);
  }
  const root = { '': one.body ?? state.body };
  for (const [pointer, value] of Object.entries(one.set ?? {})) change(root, pointer, () => value);
  for (const pointer of one.remove ?? []) change(root, pointer, () => undefined);
  const changed = one.body !== undefined || one.set !== undefined || one.remove !== undefined;
  if (!changed || root[''] === undefined) return;
  state.body = root[''];
  state.text = JSON.stringify(root['']);
  headers.delete('content-length');
}

function fits(pattern: unknown, actual: unknown): boolean {
  return (
    match(pattern, actual, { start: 0, now: 0, captures: new Map(), toleranceMs: 0 }).length === 0
  );
}

/** JSON, or undefined where it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** RFC 6901 with `*` for every item or field, and `-1` for the last item; undefined takes out. */
function change(root: object, pointer: string, to: () => unknown): void {
  const keys = pointer.split('/').map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = keys.pop() ?? '';
  let targets: unknown[] = [root];
  for (const key of keys)
    targets = targets.flatMap((target) =>
      namesIn(target, key).map((name) => (target as Record<string, unknown>)[name]),
    );
  for (const target of targets) {
    if (typeof target !== 'object' || target === null) continue;
    const value = to();
    for (const name of last === '*' || last === '-1' ? namesIn(target, last).reverse() : [last]) {
      if (value !== undefined) (target as Record<string, unknown>)[name] = structuredClone(value);
      else if (Array.isArray(target)) target.splice(Number(name), 1);
      else delete (target as Record<string, unknown>)[name];
    }
  }
}

function namesIn(target: unknown, key: string): string[] {
  if (typeof target !== 'object' || target === null) return [];
  if (key === '*') return Object.keys(target);
  if (key === '-1' && Array.isArray(target))
    return target.length === 0 ? [] : [String(target.length - 1)];
  return Object.hasOwn(target, key) ? [key] : [];
}
