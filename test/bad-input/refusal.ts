/** A request that must be refused, and the rule that says so. */
import type { Emulator, EmulatorOptions } from '../../emulator/emulator.ts';
import type { Valid } from './valid.ts';
import type { Known } from './world.ts';

export interface Refusal extends Omit<Valid, 'operation'> {
  rule: string;
  status: number;
  options?: EmulatorOptions;
  /** Switches and settings that are in force. */
  switches?: Record<string, string>;
  settings?: Record<string, unknown>;
  arrange?: (emulator: Emulator, known: Known) => Promise<unknown>;
}

export type Request = Pick<Refusal, 'method' | 'path' | 'body' | 'headers' | 'code'>;

/** Answered 400 unless a status stands beside it. */
export type Broken = readonly [rule: string, request: Request, status?: number];

/** Puts what only the world knows in place of its name in braces, `{response}`. */
export function filledIn<Text extends Request>(request: Text, known: Known): Text {
  const fill = (text: string) =>
    text.replace(/\{([a-z]+)\}/g, (all, name: string) => String(known[name as keyof Known] ?? all));
  const { path, body } = request;
  const isJson = body !== undefined && !Buffer.isBuffer(body);
  return {
    ...request,
    path: fill(path),
    ...(isJson ? { body: JSON.parse(fill(JSON.stringify(body))) } : {}),
  };
}
