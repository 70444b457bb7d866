/** What the sandboxes of sessions said: a ring of lines for each. */
import type { Instant } from '../clock.ts';
import type { Store } from './store.ts';

export const SESSION_LOG_TABLES = `
CREATE TABLE session_log (
  session INTEGER NOT NULL,
  n INTEGER NOT NULL,
  said_at INTEGER NOT NULL,
  at INTEGER,
  stream TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (session, n)
) STRICT, WITHOUT ROWID;
`;

/** Lines of a session that are kept: more than any client asks for at once. */
export const LOG_LINES_MAX = 1_000;

/** A `call` is told on stdout, in words that are not kept (work/logs.ts): each delivery leaves one. */
export type LogStream = 'stdout' | 'stderr' | 'status' | 'call';

export interface LogLine {
  session: number;
  /** Counted in the session from 1: a gap is what was dropped. */
  n: number;
  /** When it came, which is the session's activity. */
  said_at: Instant;
  /** What its timestamp says; null for when it came. */
  at: Instant | null;
  stream: LogStream;
  /** Of a call its protocol and its status, as in `responses 200`. */
  message: string;
}

/** Appends to a session's log, a ring of the newest lines. */
export function addLogLine(store: Store, line: Omit<LogLine, 'n'>): void {
  const { session, said_at, at, stream, message } = line;
  // Most logs have one line. That there is none yet is found in a sixth of the time that its last takes (measured).
  const any = store.sql('SELECT n FROM session_log WHERE session = ? LIMIT 1').get(session);
  const n = any === undefined ? 1 : (lastLogLine(store, session)?.n ?? 0) + 1;
  store
    .sql('INSERT INTO session_log VALUES (?, ?, ?, ?, ?, ?)')
    .run(session, n, said_at, at, stream, message);
  if (n > LOG_LINES_MAX)
    store
      .sql('DELETE FROM session_log WHERE session = ? AND n <= ?')
      .run(session, n - LOG_LINES_MAX);
}

/** What the due row of an open stream refers to. */
export function logRef({ seq, agent_key }: { seq: number; agent_key: string }): string {
  return `log:${seq}:${agent_key}`;
}

/** The oldest line that is kept. */
export function firstLogLine(store: Store, session: number): LogLine | undefined {
  return logLinesAfter(store, session, 0, 1)[0];
}

/** The number of the first of the last so many lines of some streams; undefined when there are fewer. */
export function firstOfTail(
  store: Store,
  session: number,
  tail: number,
  streams: readonly LogStream[],
): number | undefined {
  const row = store
    .sql(
      `SELECT n FROM session_log WHERE session = ? AND stream IN (SELECT value FROM json_each(?))
       ORDER BY n DESC LIMIT 1 OFFSET ?`,
    )
    .get(session, JSON.stringify(streams), tail - 1) as { n: number } | undefined;
  return row?.n;
}

export function lastLogLine(store: Store, session: number): LogLine | undefined {
  return store
    .sql('SELECT * FROM session_log WHERE session = ? ORDER BY n DESC LIMIT 1')
    .get(session) as LogLine | undefined;
}

export function logLinesAfter(store: Store, session: number, n: number, limit: number): LogLine[] {
  return store
    .sql('SELECT * FROM session_log WHERE session = ? AND n > ? ORDER BY n LIMIT ?')
    .all(session, n, limit) as LogLine[];
}
