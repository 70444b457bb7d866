/**
 * Plays a canonical journal again, in memory: inputs are asked once more at their place, everything else must follow by
 * itself. The same journal comes out, or the first line that differs tells where it went another way.
 */
import { operations } from '../contracts/openapi.ts';
import { Disconnected } from './api/http.ts';
import { canonicalLines } from './api/journal.ts';
import { strike } from './api/operation.ts';
import type { Instant } from './clock.ts';
import type { AgentCall } from './downstream.ts';
import { createEmulator, type Emulator } from './emulator.ts';
import type { Arrival } from './faults.ts';
import type { WorldMade } from './made.ts';
import { beginAgain, type Project } from './projects.ts';
import { countCallsOpen } from './store/attempts.ts';
import { nextDue } from './store/due.ts';
import { applyLate } from './work/firing.ts';
import { type Given, give } from './work/given.ts';

/** A journal that cannot be played: the line, counted from 1, and why. */
export class ReplayError extends Error {
  override name = 'ReplayError';
}

interface Line {
  seq: number;
  at: string;
  kind: string;
  routine?: string;
  run?: string;
  [field: string]: unknown;
}

export async function replayJournal(lines: readonly string[]): Promise<string[]> {
  const parsed = lines.filter((line) => line.trim() !== '').map(readLine);
  const [first] = parsed;
  if (first?.kind !== 'world') {
    throw new ReplayError(
      'A journal begins with the line of kind world. This one does not: the ring has lost its beginning, or it was filtered.',
    );
  }
  const made = first.made as WorldMade;
  let hostNow: Instant = made.now;
  const open = new Map<string, (arrival: Arrival) => void>();
  const emulator = createEmulator({
    // The journal says when everything was: nothing may happen by the host's clock.
    host: { now: () => hostNow, after: () => () => {} },
    empty: true,
    outside: () => ({
      ask: ({ call }) => recorded(open, call),
      // How a client's call ended is in the journal.
      open: async () => ({ kind: 'timeout' }),
    }),
  });
  try {
    const project = emulator.createProject(made);
    for (const [index, line] of parsed.entries()) {
      const struck = line.kind === 'fault' && line.operation !== undefined;
      if (!INPUTS.has(line.kind) && !struck) continue;
      hostNow = Math.max(hostNow, Date.parse(line.at));
      // What was late when the world went on had not run.
      stepTo(project, line.seq - 1, line.kind === 'late' ? 0 : Date.parse(line.at), line.kind);
      if (struck) strike(project, String(line.operation));
      else if (line.kind === 'resumed') {
        // Nobody answers what was asked before.
        open.clear();
        resume(project, parsed.slice(index + 1));
      } else await apply(emulator, project, line, open);
    }
    stepTo(project, parsed.at(-1)?.seq ?? 1, 0, 'end');
    return canonicalLines(project);
  } finally {
    await emulator.close();
  }
}

const INPUTS = new Set([
  'request',
  'control',
  'advance',
  'skip',
  'late',
  'outcome',
  'given',
  'resumed',
]);

function readLine(text: string, index: number): Line {
  try {
    const line = JSON.parse(text) as Line;
    if (
      typeof line.seq === 'number' &&
      typeof line.kind === 'string' &&
      typeof line.at === 'string'
    )
      return line;
  } catch {
    // Said below with the line's number, which the parser does not know.
  }
  throw new ReplayError(
    `Line ${index + 1} is no line of a canonical journal. Write one with: foundrite journal --canonical`,
  );
}

/**
 * What follows from the past runs until the journal is as long as it was, and all that was due before an instant has run.
 * At the host's pace nothing comes in at the instant of something due before that has begun.
 */
function stepTo({ world, engine }: Project, seq: number, before: Instant, kind: string): void {
  // What has returned and waits for other calls of its instant writes the next lines, when those have returned too.
  while (world.journalSeq < seq && engine.calls.returned === 0 && engine.step());
  const began = world.rate === 1 && kind !== 'resumed';
  const hasRun = (at: Instant) =>
    at < before || (began && at === before && world.position < before);
  while (hasRun(nextDue(world.store)?.due_at ?? before + 1) && engine.step());
}

async function apply(
  emulator: Emulator,
  project: Project,
  line: Line,
  open: Map<string, (arrival: Arrival) => void>,
): Promise<void> {
  const { world, engine } = project;
  switch (line.kind) {
    case 'request':
    case 'control':
      engine.advancing = line.interleaved === true;
      await ask(emulator, project, line);
      engine.advancing = false;
      return;
    case 'advance':
    case 'skip': {
      const to = Date.parse(String(line.to));
      await engine.drive({ limit: to });
      const { seq: _, at: __, kind, ...data } = line;
      world.turn(() => {
        world.moveTo(to);
        world.record({ kind, data });
      });
      return;
    }
    case 'given': {
      const { seq: _, at, kind: __, ...given } = line;
      world.turn(() => give(world, given as unknown as Given), Math.max(world.now, Date.parse(at)));
      return;
    }
    case 'late':
      world.turn(() => applyLate(world, Date.parse(String(line.to))));
      return;
    case 'outcome': {
      // The call was made while stepping here, or is made now.
      const key = callKey(line.run ?? '', project);
      while (!open.has(key) && engine.step());
      open.get(key)?.(line.arrival as Arrival);
      open.delete(key);
      await new Promise((resolve) => setImmediate(resolve));
      engine.calls.settle();
      return;
    }
  }
}

/** The process ended and began again: calls that were open then are open now, and count as interrupted. */
function resume(project: Project, following: Line[]): void {
  const { world, engine } = project;
  const end = following.findIndex(
    (line) => line.kind !== 'attempt' || line.outcome !== 'interrupted',
  );
  const interrupted = end < 0 ? following.length : end;
  engine.forget();
  while (countCallsOpen(world.store) < interrupted && engine.step(true));
  world.turn(() => beginAgain(project));
}

function callKey(run: string, project: Project): string {
  const row = project.world.store.sql('SELECT dispatch_id FROM run WHERE id = ?').get(run) as
    | { dispatch_id: string }
    | undefined;
  return row?.dispatch_id ?? run;
}

function recorded(
  open: Map<string, (arrival: Arrival) => void>,
  call: AgentCall,
): Promise<Arrival> {
  return new Promise((resolve) => open.set(call.requestId, resolve));
}

async function ask(emulator: Emulator, project: Project, line: Line): Promise<void> {
  const operation = operations().find((candidate) => candidate.operationId === line.operation);
  if (!operation)
    throw new ReplayError(
      `Line ${line.seq} names the operation '${String(line.operation)}', which this version does not know.`,
    );
  if (line.cut !== undefined)
    throw new ReplayError(
      `The body of line ${line.seq} had ${String(line.cut)} ${line.sha256 === undefined ? 'characters' : 'bytes'} and was cut: this journal cannot be played again.`,
    );
  const params = { project: project.world.project, ...(line.params as Record<string, string>) };
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent((params as Record<string, string>)[name] ?? ''),
  );
  const query = new URLSearchParams(line.query as Record<string, string> | undefined).toString();
  const body = bodyOf(line);
  const request = new Request(`http://localhost${path}${query === '' ? '' : `?${query}`}`, {
    method: operation.method.toUpperCase(),
    headers: {
      authorization: 'Bearer replay',
      // The journal names only other types.
      ...(line.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(line.headers as Record<string, string> | undefined),
    },
    ...(body === undefined ? {} : { body }),
  });
  try {
    await emulator.fetch(request, { replayed: true, id: line.id });
  } catch (error) {
    // A call that has only begun.
    if (!(error instanceof Disconnected)) throw error;
  }
}

function bodyOf({ base64, raw, body }: Line): Buffer<ArrayBuffer> | string | undefined {
  if (base64 !== undefined) return Buffer.from(String(base64), 'base64');
  if (raw !== undefined) return String(raw);
  return body === undefined ? undefined : JSON.stringify(body);
}
