/**
 * Faults: whether and when something arrives, never what it says. A plan is an ordered list in the store; the first entry
 * that matches wins. Faults wrap a boundary: what is behind it does not know.
 */
import type { components } from '../contracts/openapi.ts';
import { parseDuration } from './clock.ts';
import type { Draw } from './ids.ts';
import type { Outcome } from './retry.ts';
import { countFired, readPlan } from './store/faults.ts';
import type { Store } from './store/store.ts';

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

interface FaultEntry {
  /** Deliveries to this agent; `*` is every agent. */
  agent?: string;
  protocol?: string;
  /** The emulator's own answers to this operation. */
  operation?: string;
  /** By attempt number; past its end all is well. */
  attempts?: Fault[];
  fault?: Fault;
  /** How often it may fire; without it, always. */
  times?: number;
  /** Drawn by key; 0 never fires. */
  probability?: number;
  fired: number;
}

const SLOW_BODY_BYTES = 64;

function readEntry(text: string, fired: number): FaultEntry {
  const { attempts, fault, ...entry } = JSON.parse(text) as Record<string, unknown>;
  return {
    ...entry,
    ...(attempts === undefined ? {} : { attempts: (attempts as unknown[]).map(readFault) }),
    ...(fault === undefined ? {} : { fault: readFault(fault) }),
    fired,
  } as FaultEntry;
}

/** All forms of one fault, from the shortest: 503, timeout, { status, headers, body }, { delay }, { kind, … }. */
function readFault(value: unknown): Fault {
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

/** The entries in force, with what the store says of each. Read once per plan: `forget` after it changed. */
export class FaultPlan {
  readonly #store: Store;
  #entries: FaultEntry[] | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  forget(): void {
    this.#entries = undefined;
  }

  #read(): FaultEntry[] {
    this.#entries ??= readPlan(this.#store).map((row) => readEntry(row.entry, row.fired));
    return this.#entries;
  }

  /** The fault of one attempt of a delivery, counted; undefined when all is well. Inside a turn. */
  ofAttempt(
    draw: Draw,
    agent: string,
    protocol: string,
    run: string,
    attempt: number,
  ): { fault: Fault; ordinal: number } | undefined {
    const named = (entry: FaultEntry) =>
      (entry.agent === agent || entry.agent === '*') &&
      (entry.protocol === undefined || entry.protocol === protocol);
    return this.#match(named, draw, run, attempt);
  }

  /** The fault of the emulator's own answer, counted; undefined when all is well. Inside a turn. */
  ofOperation(
    draw: Draw,
    operation: string,
    key: string,
  ): { fault: Fault; ordinal: number } | undefined {
    return this.#match((entry) => entry.operation === operation, draw, key, undefined);
  }

  /** Whether any entry may strike this operation: then even a read is a turn. */
  watches(operation: string): boolean {
    return this.#read().some((entry) => entry.operation === operation);
  }

  #match(
    named: (entry: FaultEntry) => boolean,
    draw: Draw,
    key: string,
    number: number | undefined,
  ): { fault: Fault; ordinal: number } | undefined {
    for (const [ordinal, entry] of this.#read().entries()) {
      if (!named(entry) || (entry.times !== undefined && entry.fired >= entry.times)) continue;
      // An operation has no attempts of its own: its place in the list is how often the entry was met.
      const attempt = number ?? entry.fired + 1;
      const p = entry.probability ?? 1;
      if (draw.fraction(`fault ${ordinal}`, key, attempt) >= p) continue;
      const fault = entry.attempts ? entry.attempts[attempt - 1] : entry.fault;
      const spared = fault === undefined || (fault.kind === 'ok' && fault.delayMs === 0);
      if (!spared || number === undefined) {
        countFired(this.#store, ordinal);
        entry.fired += 1;
      }
      return spared ? undefined : { fault, ordinal };
    }
    return undefined;
  }
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
      return change(call(), () => late({ kind: 'answer_lost' }, fault.delayMs));
    case 'slow_body':
      return change(call(), (outcome) => late(outcome, fault.delayMs + slowBodyMs(fault, outcome)));
    case 'ok':
    case 'garble':
    case 'rewrite':
      return change(call(), (outcome) =>
        late(
          outcome.kind === 'answered' ? { ...outcome, ...altered(fault, outcome) } : outcome,
          fault.delayMs,
        ),
      );
  }
}

function change(
  arrival: Arrival | Promise<Arrival>,
  to: (outcome: Outcome) => Arrival,
): Arrival | Promise<Arrival> {
  const one = (value: Arrival) =>
    value.kind === 'later' || value.kind === 'held' ? value : to(value);
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
