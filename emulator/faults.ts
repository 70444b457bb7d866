/** Faults: whether and when something arrives, never what it says. They wrap a boundary: what is behind it does not know. */
import type { components } from '../contracts/openapi.ts';
import { parseDuration } from './clock.ts';
import type { Outcome } from './retry.ts';

/** How long the answer is held up beside whatever else happens to it. */
interface Delayed {
  delayMs: number;
}

export type Fault = Delayed &
  (
    | { kind: 'ok' }
    | { kind: 'status'; status: number; headers: Record<string, string>; body: unknown }
    | { kind: 'timeout' }
    /** The connection is refused or reset before the other side hears anything. */
    | { kind: 'disconnect' }
    /** It arrived and was acted on; its answer is lost. */
    | { kind: 'lose_response' }
    /** The answer's bytes are damaged. */
    | { kind: 'garble' }
    /** The body comes in pieces of so many bytes, with a wait before each. */
    | { kind: 'slow_body'; everyMs: number; bytes: number }
    /** JSON pointers of the answer that are set or taken out. */
    | { kind: 'rewrite'; set: Record<string, unknown>; remove: string[] }
    /** Held until released by name. */
    | { kind: 'gate'; name: string }
  );

/** An entry as users write it; its form is checked against openapi.yaml at the edge. */
export type FaultInput = components['schemas']['FaultEntry'];

const SLOW_BODY_BYTES = 64;

/** All forms of one fault, from the shortest: 503, timeout, { status, headers, body }, { delay }, { kind, … }. */
export function readFault(value: unknown): Fault {
  if (typeof value === 'number')
    return { kind: 'status', status: value, headers: {}, body: undefined, delayMs: 0 };
  if (typeof value === 'string') return { kind: value, delayMs: 0 } as Fault;
  const { kind, status, headers, body, delay, every, bytes, set, remove, name } = value as Record<
    string,
    unknown
  >;
  const delayMs = delay === undefined ? 0 : durationOf(delay);
  if (status !== undefined) {
    const lower = Object.entries((headers ?? {}) as Record<string, unknown>).map(([key, text]) => [
      key.toLowerCase(),
      String(text),
    ]);
    return {
      kind: 'status',
      status: status as number,
      headers: Object.fromEntries(lower),
      body,
      delayMs,
    };
  }
  switch (kind) {
    case undefined:
      return { kind: 'ok', delayMs };
    case 'slow_body':
      return {
        kind,
        everyMs: durationOf(every),
        bytes: (bytes as number | undefined) ?? SLOW_BODY_BYTES,
        delayMs,
      };
    case 'rewrite':
      return {
        kind,
        set: (set ?? {}) as Record<string, unknown>,
        remove: (remove ?? []) as string[],
        delayMs,
      };
    case 'gate':
      return { kind, name: String(name), delayMs };
    default:
      return { kind, delayMs } as Fault;
  }
}

function durationOf(value: unknown): number {
  return parseDuration(String(value)) ?? 0;
}

/** The field of the first duration in a plan that is none, for the edge to refuse. */
export function badDuration(
  entries: readonly unknown[],
): { param: string; value: unknown } | undefined {
  const look = (value: unknown, param: string): { param: string; value: unknown } | undefined => {
    if (typeof value !== 'object' || value === null) return undefined;
    for (const [key, inner] of Object.entries(value)) {
      const path = Array.isArray(value) ? `${param}[${key}]` : `${param}.${key}`;
      if (key === 'body' || key === 'set') continue;
      if ((key === 'delay' || key === 'every') && parseDuration(String(inner)) === undefined)
        return { param: path, value: inner };
      const found = look(inner, path);
      if (found) return found;
    }
    return undefined;
  };
  return look(entries, 'faults');
}

/** What a call gave: at once, at a later instant, or held by a gate. */
export type Arrival =
  | Outcome
  | { kind: 'later'; afterMs: number; outcome: Outcome }
  | { kind: 'held'; gate: string };

/** A call through a fault. `ceilingMs` is how long the caller waits for its answer. */
export function throughFault(
  fault: Fault | undefined,
  ceilingMs: number,
  call: () => Arrival | Promise<Arrival>,
): Arrival | Promise<Arrival> {
  if (fault === undefined) return call();
  const late = (outcome: Outcome, afterMs: number): Arrival => {
    if (afterMs > ceilingMs)
      return { kind: 'later', afterMs: ceilingMs, outcome: { kind: 'timeout' } };
    return afterMs === 0 ? outcome : { kind: 'later', afterMs, outcome };
  };
  switch (fault.kind) {
    case 'status':
      return late(
        {
          kind: 'answered',
          status: fault.status,
          headers: fault.headers,
          body: injectedBody(fault),
        },
        fault.delayMs,
      );
    case 'timeout':
      return { kind: 'later', afterMs: ceilingMs, outcome: { kind: 'timeout' } };
    case 'disconnect':
      return late(
        { kind: 'connection_failed', message: 'connection reset (fault disconnect)' },
        fault.delayMs,
      );
    case 'gate':
      return { kind: 'held', gate: fault.name };
    case 'lose_response':
      return change(call(), late, () => [{ kind: 'answer_lost' }, fault.delayMs]);
    case 'slow_body':
      return change(call(), late, (outcome) => [
        outcome,
        fault.delayMs + slowBodyMs(fault, outcome),
      ]);
    case 'ok':
    case 'garble':
    case 'rewrite':
      return change(call(), late, (outcome) => [
        outcome.kind === 'answered' ? { ...outcome, ...altered(fault, outcome) } : outcome,
        fault.delayMs,
      ]);
  }
}

/** What becomes of an answer, and how long it takes beside. */
function change(
  arrival: Arrival | Promise<Arrival>,
  late: (outcome: Outcome, afterMs: number) => Arrival,
  to: (outcome: Outcome) => [outcome: Outcome, afterMs: number],
): Arrival | Promise<Arrival> {
  const one = (value: Arrival): Arrival => {
    if (value.kind === 'held') return value;
    if (value.kind !== 'later') return late(...to(value));
    // Who was never answered has nothing to lose; an answer that a sandbox holds up is met when it comes.
    if (value.outcome.kind !== 'answered') return value;
    const [outcome, afterMs] = to(value.outcome);
    return late(outcome, value.afterMs + afterMs);
  };
  return arrival instanceof Promise ? arrival.then(one) : one(arrival);
}

function slowBodyMs(fault: { everyMs: number; bytes: number }, outcome: Outcome): number {
  return outcome.kind === 'answered'
    ? Math.ceil(Buffer.byteLength(outcome.body) / fault.bytes) * fault.everyMs
    : 0;
}

/** The body of an injected status: what the plan says, or the error envelope. */
export function injectedBody(fault: { status: number; body: unknown }): string {
  if (typeof fault.body === 'string') return fault.body;
  const message = `A fault of the plan answers ${fault.status}.`;
  return JSON.stringify(
    fault.body ?? {
      error: { code: 'injected_fault', message, param: null, type: 'injected_fault' },
    },
  );
}

/** An answer's body after its bytes were damaged or its fields rewritten. */
export function altered(fault: Fault, answer: { body: string }): { body: string } {
  if (fault.kind === 'garble')
    return { body: `${answer.body.slice(0, Math.floor(answer.body.length / 2))}\u0000` };
  if (fault.kind !== 'rewrite') return { body: answer.body };
  const root = { '': parsed(answer.body) };
  // There is nothing to rewrite in what is no JSON.
  if (root[''] === undefined) return { body: answer.body };
  for (const [pointer, value] of Object.entries(fault.set)) setPointer(root, pointer, value);
  for (const pointer of fault.remove) setPointer(root, pointer, undefined);
  return { body: JSON.stringify(root['']) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** RFC 6901, below a root whose only key is empty; undefined takes the field out. */
function setPointer(root: Record<string, unknown>, pointer: string, value: unknown): void {
  const path = pointer.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = path.pop() ?? '';
  let target: Record<string, unknown> = root;
  for (const part of path) {
    const next = Object.hasOwn(target, part) ? target[part] : undefined;
    if (typeof next !== 'object' || next === null) return;
    target = next as Record<string, unknown>;
  }
  // Defined, not assigned: a pointer may name __proto__, and must reach the answer only.
  const own = { value, enumerable: true, configurable: true, writable: true };
  if (value !== undefined) Object.defineProperty(target, last, own);
  else if (Array.isArray(target)) target.splice(Number(last), 1);
  else delete target[last];
}
