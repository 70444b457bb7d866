/** The journal over HTTP: pages, a long poll, and the canonical form that two replays are compared by. */
import { createHash } from 'node:crypto';
import { isoInstant, SECOND } from '../clock.ts';
import { invalid, shown } from '../errors.ts';
import type { Project } from '../projects.ts';
import { firstSeq, type JournalQuery, type JournalRow, readLines } from '../store/journal.ts';
import { findRunById } from '../store/runs.ts';
import { subjectOf } from '../work/queue.ts';
import { readDuration } from './clock.ts';
import type { Controlled } from './controlled.ts';
import type { Answer } from './input.ts';

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 10_000;
/** A poll that waits longer than this comes back empty, so that no proxy in between gives up first. */
const WAIT_MAX_MS = 60_000;

export async function readJournal(call: Controlled, project: Project): Promise<Answer> {
  const query = call.c.req.query();
  const canonical = query.canonical === 'true';
  const asked: JournalQuery = {
    after:
      wholeNumber(query.after, 'after', 'journal/cursor-is-a-seq', 0, Number.MAX_SAFE_INTEGER) ?? 0,
    limit:
      wholeNumber(query.limit, 'limit', 'journal/limit-1-to-10000', 1, LIMIT_MAX) ?? LIMIT_DEFAULT,
    kinds: query.kind === undefined || query.kind === '' ? undefined : query.kind.split(','),
    run: query.run,
    routine: query.routine,
  };
  const { store } = project.world;
  const waitMs = readWait(query.wait);
  let rows = readLines(store, asked);
  if (rows.length === 0 && waitMs !== undefined) {
    const peek = call.c.req.header('x-foundrite-peek') !== undefined;
    rows = await waitForLines(project, asked, waitMs, peek);
  }
  if (canonical && call.c.req.header('accept')?.includes('application/x-ndjson')) {
    return {
      status: 200,
      text: rows.map((row) => `${canonicalLine(row)}\n`).join(''),
      headers: { 'content-type': 'application/x-ndjson' },
    };
  }
  const body: Record<string, unknown> = {
    entries: rows.map((row) => viewLine(row, canonical)),
    cursor: rows.at(-1)?.seq ?? asked.after,
    oldest: firstSeq(store) ?? 0,
    interleaved: isInterleaved(project),
    canonical,
  };
  if (canonical) body.hash = canonicalHash(project);
  // Who asks again then finds the port closed, and knows.
  const ended = waitMs !== undefined && project.engine.waits.pollsEnded;
  return { status: 200, body, ...(ended ? { headers: { connection: 'close' } } : {}) };
}

/** An empty one is none, as everywhere. */
function readWait(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const ms = /^\d+$/.test(text)
    ? Number(text) * SECOND
    : readDuration(text, 'wait', 'journal/wait-is-a-duration');
  return Math.min(ms, WAIT_MAX_MS);
}

function wholeNumber(
  text: string | undefined,
  param: string,
  rule: string,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined || text === '') return undefined;
  const number = Number(text);
  if (/^\d{1,16}$/.test(text) && number >= min && number <= max) return number;
  throw invalid(
    `'${param}' cannot be ${shown(text)}. Use a whole number from ${min} to ${max}.`,
    param,
    rule,
  );
}

/** With skip the poll is itself a wait, and moves time; otherwise it lasts until a line comes or `waitMs` of real time passed. */
async function waitForLines(
  project: Project,
  asked: JournalQuery,
  waitMs: number,
  peek: boolean,
): Promise<JournalRow[]> {
  const { world, engine } = project;
  const { store } = world;
  const routine =
    asked.routine ?? (asked.run === undefined ? undefined : findRunById(store, asked.run)?.routine);
  const subject = routine === undefined ? undefined : { name: subjectOf(routine), triggers: true };
  const notAfter = world.now + world.profile.settings.skip_max;
  const from = world.now;
  let followed = world.skip && !peek;
  while (followed && readLines(store, asked).length === 0)
    followed = await engine.waits.follow(subject, notAfter);
  if (world.now > from) world.turn(() => engine.waits.recordSkip(from, 'getJournal'));
  const found = readLines(store, asked);
  if (found.length > 0 || engine.waits.pollsEnded) return found;
  return new Promise((resolve) => {
    const finish = (rows: JournalRow[]) => {
      off();
      cancel();
      leave();
      resolve(rows);
    };
    const end = () => finish([]);
    const leave = engine.waits.poll(end);
    const off = world.onTurn(() => {
      const rows = readLines(store, asked);
      if (rows.length > 0) finish(rows);
    });
    const cancel = world.host.after(waitMs, end, true);
  });
}

function viewLine(row: JournalRow, canonical: boolean): Record<string, unknown> {
  const data = JSON.parse(row.data) as Record<string, unknown>;
  const extra =
    canonical || row.extra === null ? {} : (JSON.parse(row.extra) as Record<string, unknown>);
  return {
    seq: row.seq,
    at: isoInstant(row.at),
    kind: row.kind,
    ...(row.routine === null ? {} : { routine: row.routine }),
    ...(row.run === null ? {} : { run: row.run }),
    ...data,
    ...extra,
  };
}

/** A line as it is compared: what was asked and what followed, nothing of host, port, user agent or client ids. */
export function canonicalLine(row: JournalRow): string {
  return JSON.stringify(viewLine(row, true));
}

export function canonicalLines(project: Project): string[] {
  return readLines(project.world.store, { after: 0, limit: Number.MAX_SAFE_INTEGER }).map(
    canonicalLine,
  );
}

function canonicalHash(project: Project): string {
  const hash = createHash('sha256');
  for (const line of canonicalLines(project)) hash.update(`${line}\n`);
  return hash.digest('hex');
}

function isInterleaved(project: Project): boolean {
  return (
    project.world.store
      .sql("SELECT 1 FROM journal WHERE json_extract(data, '$.interleaved') LIMIT 1")
      .get() !== undefined
  );
}
