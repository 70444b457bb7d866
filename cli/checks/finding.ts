/** What `foundrite doctor` says of one thing. */

/**
 * `wrong`: a start, or a program that is run from this shell, will fail or is open to others. `warning`: it works, and may not do what
 * was meant.
 */
export type Level = 'ok' | 'warning' | 'wrong';

export interface Finding {
  /** What was looked at: node, configuration, port, folder, certificate, trust, proxy, endpoint, credentials, variables. */
  check: string;
  level: Level;
  /** With the name and the value. */
  found: string;
  /** What to do about it; an ok needs nothing. */
  todo?: string;
}

export function ok(check: string, found: string): Finding {
  return { check, level: 'ok', found };
}

export function warning(check: string, found: string, todo: string): Finding {
  return { check, level: 'warning', found, todo };
}

export function wrong(check: string, found: string, todo: string): Finding {
  return { check, level: 'wrong', found, todo };
}
