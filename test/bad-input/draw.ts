/** A request that is drawn from a seed, and what was done to it. */
import { createHash } from 'node:crypto';
import type { Valid } from './valid.ts';
import type { Raw } from './wire.ts';
import { FORM_TYPE, formOf, uploadOf } from './world.ts';

/** What was changed, and where: what the answer is judged by. */
export interface Mutation {
  /** `body drop`, `query unknown`, `path encoding` …: mutations of one kind are judged alike. */
  kind: string;
  /** The field at fault as an error names it, `triggers.morning.type`; empty for a whole body. */
  at?: string;
  /** What stands there now. */
  value?: unknown;
  /** Why it must be refused, where the description does not tell. */
  fault?: string;
}

export interface Mutated {
  from: Valid;
  mutation: Mutation;
  raw: Raw;
}

/** Numbers of a seed: the same ones every time. */
export class Draw {
  #state: number;

  constructor(seed: string) {
    this.#state = createHash('sha256').update(seed).digest().readUInt32LE(0);
  }

  /** From 0 up to 1 (mulberry32). */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** The request as it is valid. */
export function plain(from: Valid): Raw {
  const { body } = from;
  return rawOf(from, body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body));
}

/** With what every good request bears; where there is code, the body becomes a part beside it. */
export function rawOf(from: Valid, sent: string | Buffer | undefined): Raw {
  const { method, path, code } = from;
  const json = typeof sent === 'string' ? Buffer.from(sent) : sent;
  const form = json !== undefined && code !== undefined;
  const all = {
    host: 'localhost',
    authorization: 'Bearer test',
    ...(json === undefined ? {} : { 'content-type': form ? FORM_TYPE : 'application/json' }),
    ...from.headers,
  };
  const headers = Object.entries(all);
  if (form) return { method, path, headers, json, body: formOf(uploadOf(json, code)) };
  return { method, path, headers, ...(json ? { body: json } : {}) };
}
