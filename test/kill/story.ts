/** What was seen from outside while an emulator was killed again and again, and what is wrong with it. */
import type { Json } from '../started.ts';
import type { Call } from './agent.ts';

/** What a client asks of a subject: a routine, or a project that is reset and kept in snapshots. */
export type Change =
  | { kind: 'put'; value: string; enabled: boolean }
  | { kind: 'delete' | 'enable' | 'disable' }
  | { kind: 'snapshot' | 'restore' | 'reset' };

/** One line of the client's notes, in the order in which it wrote them. */
export type Told =
  /** It was done, by its answer; or there was nothing to do it to; or the connection broke, and who knows. */
  | { kind: 'change'; subject: string; change: Change; answer: 'done' | 'absent' | 'broken' }
  /** What a subject was after a restart, before anything else was asked of it. */
  | { kind: 'seen'; subject: string; value: string | null }
  /** A dispatch that was acknowledged with this id. */
  | { kind: 'dispatch'; routine: string; id: string }
  /** What was made on a thread, or a thread, by where it is read; a run with the status that it was promised, if any. */
  | { kind: 'kept'; path: string; status?: string }
  /** A timer that was acknowledged, and never touched again. */
  | { kind: 'timer'; routine: string }
  /** An answer that nothing of this gives a reason for. */
  | { kind: 'refused'; what: string };

export interface Story {
  told: readonly Told[];
  calls: readonly Call[];
  /** Instants of the host. */
  kills: readonly number[];
  /** What the emulator says in the end, when nothing is under way any more or should be. */
  after: {
    now: number;
    /** By routine, of those that are not deleted. */
    runs: ReadonlyMap<string, readonly Json[]>;
    /** Schedules that were put once and never touched again: their first instant, and how far apart they are. */
    schedules: ReadonlyMap<string, { from: number; every: number }>;
    journal: readonly Json[];
    /** What is read where something was kept, or null. */
    kept: ReadonlyMap<string, Json | null>;
  };
}

const ATTEMPTS_MAX = 3;

/** How many kills found a call open. */
export function killsInCalls({ kills, calls }: Pick<Story, 'kills' | 'calls'>): number {
  const isOpen = (at: number) => calls.some(({ from, to }) => from < at && (to ?? at) >= at);
  return kills.filter(isOpen).length;
}

/** Everything that is wrong with a story, in sentences that begin with lost, doubled, stuck, beyond the policy or refused. */
export function problemsIn(story: Story): string[] {
  return [
    ...story.told.flatMap((line) => (line.kind === 'refused' ? [`refused: ${line.what}`] : [])),
    ...lostChanges(story),
    ...lostRuns(story),
    ...lostOnThreads(story),
    ...doubled(story),
    ...stuck(story),
    ...beyondPolicy(story),
  ];
}

interface State {
  value: string | null;
  /** What its snapshot holds; undefined when there is none. */
  saved: string | null | undefined;
}

/** Whether there is what a change is made to. */
function isThere(state: State, { kind }: Change): boolean {
  if (kind === 'restore') return state.saved !== undefined;
  return state.value !== null || !['delete', 'enable', 'disable'].includes(kind);
}

function changed(state: State, change: Change): State {
  switch (change.kind) {
    case 'put':
      return { ...state, value: shown(change.value, change.enabled) };
    case 'delete':
    case 'reset':
      return { ...state, value: null };
    case 'enable':
    case 'disable': {
      const value = state.value?.replace(/ (?:on|off)$/, change.kind === 'enable' ? ' on' : ' off');
      return { ...state, value: value ?? null };
    }
    case 'snapshot':
      return { ...state, saved: state.value };
    case 'restore':
      return { ...state, value: state.saved ?? null };
  }
}

/** A routine as the notes hold it. */
export function shown(value: string, enabled: boolean): string {
  return `${value} ${enabled ? 'on' : 'off'}`;
}

/** Follows what each subject may be: a change that broke off may have happened or not, one that was acknowledged has. */
function lostChanges({ told }: Story): string[] {
  const problems: string[] = [];
  const subjects = new Map<string, State[]>();
  for (const line of told) {
    if (line.kind !== 'change' && line.kind !== 'seen') continue;
    const may = subjects.get(line.subject) ?? [{ value: null, saved: undefined }];
    if (line.kind === 'change') {
      const { change, answer } = line;
      const there = may.filter((state) => isThere(state, change));
      const after = there.map((state) => changed(state, change));
      const absent = may.filter((state) => !isThere(state, change));
      const now = { done: after, absent, broken: [...may, ...after] }[answer];
      // What is not there may be deleted too.
      if (answer === 'done' && change.kind === 'delete') now.push(...absent);
      if (now.length === 0)
        problems.push(
          `lost: ${line.subject} was ${answer} for ${change.kind}, against what was told`,
        );
      subjects.set(line.subject, distinct(now.length === 0 ? may : now));
      continue;
    }
    const agreeing = may.filter((state) => state.value === line.value);
    if (agreeing.length === 0) {
      const values = [...new Set(may.map((state) => state.value))].join(' or ');
      problems.push(`lost: ${line.subject} is ${line.value}, and was told to be ${values}`);
    }
    subjects.set(
      line.subject,
      agreeing.length > 0 ? agreeing : may.map((state) => ({ ...state, value: line.value })),
    );
  }
  return problems;
}

function distinct(states: State[]): State[] {
  return [...new Map(states.map((state) => [JSON.stringify(state), state])).values()];
}

function lostRuns({ told, after }: Story): string[] {
  const problems: string[] = [];
  const ids = new Set([...after.runs.values()].flat().map((run) => run.dispatch_id));
  for (const line of told) {
    if (line.kind === 'dispatch' && !ids.has(line.id))
      problems.push(`lost: the dispatch ${line.id} of ${line.routine}`);
    if (line.kind === 'timer' && after.runs.get(line.routine)?.length === 0)
      problems.push(`lost: the firing of ${line.routine}`);
  }
  for (const [routine, { from, every }] of after.schedules) {
    const instants = new Set(plannedIn(after.runs.get(routine) ?? []));
    for (let at = from; at <= after.now; at += every) {
      if (!instants.has(at))
        problems.push(`lost: the firing of ${routine} at ${new Date(at).toISOString()}`);
    }
  }
  for (const line of after.journal) {
    if (line.kind === 'missed') problems.push(`lost: ${line.count} firings of ${line.routine}`);
  }
  return problems;
}

const ENDED = ['completed', 'failed', 'cancelled', 'expired', 'incomplete'];

function lostOnThreads({ told, after }: Story): string[] {
  return told.flatMap((line) => {
    if (line.kind !== 'kept') return [];
    const { path, status: promised } = line;
    const read = after.kept.get(path);
    if (!read) return [`lost: ${path}`];
    if (promised !== undefined && read.status !== promised)
      return [`lost: ${path} is ${read.status}, and was told to be ${promised}`];
    const isStuck = read.object === 'thread.run' && !ENDED.includes(read.status);
    return isStuck ? [`stuck: ${path} is ${read.status}`] : [];
  });
}

function plannedIn(runs: readonly Json[]): number[] {
  return runs
    .filter((run) => run.scheduled_fire_at !== undefined)
    .map((run) => run.scheduled_fire_at * 1_000)
    .sort((one, other) => one - other);
}

function doubled({ told, calls, after }: Story): string[] {
  const timers = new Set(told.flatMap((line) => (line.kind === 'timer' ? [line.routine] : [])));
  const firings = [...after.runs].flatMap(([routine, runs]) =>
    timers.has(routine)
      ? runs.map(() => `the firing of ${routine}`)
      : plannedIn(runs).map((at) => `the firing of ${routine} at ${new Date(at).toISOString()}`),
  );
  const lines = after.journal.filter((line) => line.kind === 'fire');
  return [
    ...repeated(firings),
    ...repeated([...after.runs.values()].flat().map((run) => `the dispatch ${run.dispatch_id}`)),
    ...repeated(lines.map((line) => `the line of the firing ${line.run}`)),
    ...repeated(lines.map((line) => `the firing of ${line.routine} in the journal at ${line.at}`)),
    // A client's own call to an agent is counted, not retried.
    ...repeated(calls.flatMap(({ id }) => (id.includes('/') ? [`the call ${id}`] : []))),
  ].map((what) => `doubled: ${what}`);
}

function repeated(names: string[]): string[] {
  const seen = new Set<string>();
  return [...new Set(names.filter((name) => seen.size === seen.add(name).size))];
}

function stuck({ after }: Story): string[] {
  const problems = [...after.runs.values()]
    .flat()
    .filter((run) => run.phase !== 'completed' && run.phase !== 'failed')
    .map((run) => `stuck: the run ${run.id} is ${run.phase}`);
  for (const [run, lines] of linesByRun(after.journal)) {
    const ended = lines.some(
      (line) => line.kind === 'cancelled' || (line.kind === 'attempt' && line.next !== 'retry'),
    );
    if (!ended) problems.push(`stuck: the run ${run} never ended in the journal`);
  }
  for (const line of after.journal) {
    if (line.kind === 'stuck') problems.push(`stuck: ${line.item} ${line.ref}: ${line.error}`);
  }
  return problems;
}

/** The lines that tell of deliveries. */
function linesByRun(journal: readonly Json[]): Map<string, Json[]> {
  const byRun = new Map<string, Json[]>();
  for (const line of journal) {
    if (!['fire', 'attempt', 'cancelled'].includes(line.kind)) continue;
    byRun.set(line.run, [...(byRun.get(line.run) ?? []), line]);
  }
  return byRun;
}

function beyondPolicy({ calls, after }: Story): string[] {
  const problems: string[] = [];
  const attempts = new Map<string, number>();
  for (const [run, lines] of linesByRun(after.journal)) {
    const made = lines.filter((line) => line.kind === 'attempt');
    const numbers = made.map((line) => line.attempt);
    const inOrder = numbers.every((number, index) => number === index + 1);
    if (!inOrder || numbers.length > ATTEMPTS_MAX)
      problems.push(`beyond the policy: the run ${run} has the attempts ${numbers.join(', ')}`);
    if (made.slice(0, -1).some((line) => line.next !== 'retry'))
      problems.push(`beyond the policy: the run ${run} went on after its end`);
    attempts.set(run, numbers.length);
  }
  const allowed = new Map<string, number>();
  for (const run of [...after.runs.values()].flat())
    allowed.set(run.dispatch_id, attempts.get(run.id) ?? 0);
  const counts = new Map<string, number>();
  for (const { id } of calls) counts.set(id, (counts.get(id) ?? 0) + 1);
  for (const [id, count] of counts) {
    const most = Math.min(allowed.get(id) ?? ATTEMPTS_MAX, ATTEMPTS_MAX);
    if (count > most)
      problems.push(`beyond the policy: ${id} was called ${count} times, ${most} were allowed`);
  }
  return problems;
}
