/** For every operation valid requests of several shapes. */
import { validAgents } from './valid-agents.ts';
import { validControl } from './valid-control.ts';
import { validResponses } from './valid-responses.ts';
import { validRoutines } from './valid-routines.ts';
import { validSessions } from './valid-sessions.ts';
import { validThreads } from './valid-threads.ts';
import type { Known } from './world.ts';

export interface Valid {
  operation: string;
  method: string;
  path: string;
  headers?: Record<string, string>;
  /** Sent as JSON, or as it is where it is a buffer. */
  body?: unknown;
  /** The code that comes with it: both are then the parts of a form. */
  code?: Buffer;
}

/** Where the shapes of one area are told. */
export interface Collect {
  /** What the next ones are shapes of. */
  of(operation: string): void;
  add(method: string, path: string, body?: unknown, headers?: Record<string, string>): void;
  upload(path: string, metadata: object, code: Buffer, headers?: Record<string, string>): void;
}

/** Valid requests by operation, each a shape of its own. A `{new}` in a path stands for a name that is not there yet. */
export function valid(known: Known): Map<string, Valid[]> {
  const all = new Map<string, Valid[]>();
  let operation = '';
  const put = (request: Omit<Valid, 'operation'>) =>
    all.set(operation, [...(all.get(operation) ?? []), { operation, ...request }]);
  const collect: Collect = {
    of: (name) => {
      operation = name;
    },
    add: (method, path, body, headers) =>
      put({
        method,
        path,
        ...(body === undefined ? {} : { body }),
        ...(headers === undefined ? {} : { headers }),
      }),
    upload: (path, body, code, headers = {}) => put({ method: 'POST', path, body, code, headers }),
  };
  validRoutines(collect, known);
  validAgents(collect, known);
  validSessions(collect);
  validResponses(collect, known);
  validControl(collect, known);
  validThreads(collect, known);
  return all;
}
