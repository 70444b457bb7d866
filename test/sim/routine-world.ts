/** Compares what routines have come to: their runs, and the attempts of these. */
import { viewRun } from './answers.ts';
import { API, CONTROL } from './asked.ts';
import { type Compared, inSeconds, iso } from './compared.ts';
import type { Json } from './definition.ts';
import { runsOf } from './routines.ts';

export async function compareRuns(both: Compared, name: string): Promise<void> {
  const { ids, model, asked } = both;
  const path = `${API}/routines/${encodeURIComponent(name)}/runs?order=desc`;
  const answer = await asked.ask('GET', path);
  const runs = runsOf(model.state, name);
  both.same(`the status of the runs of ${name}`, runs ? 200 : 404, answer?.status);
  if (!runs) return;
  const newest = [...runs].reverse();
  const listed: Json[] = [...(answer?.body.data ?? [])];
  for (let link = answer?.body.next_link; link !== undefined; ) {
    const { pathname, search } = new URL(link);
    const { body } = await both.read(pathname + search);
    listed.push(...body.data);
    link = body.next_link;
  }
  const told = newest.map((run) => inSeconds(viewRun(run)));
  both.same(`the runs of ${name}`, told, listed.map(withoutIds));
  for (const [index, { key, phase, action, promised }] of newest.entries()) {
    const run = listed[index] ?? {};
    ids.are(key, run);
    // Echo gives the id that was promised, unless the run was turned to another protocol since.
    const given = phase === 'completed' ? run.action_correlation_id : undefined;
    if (action.type === promised) both.same('the response_id', given, run.response_id);
  }
  noInstantTwice(both, listed);
}

/** However it is modelled: a trigger makes one run of an instant. */
function noInstantTwice(both: Compared, listed: Json[]): void {
  const seen = new Set<string>();
  const { ids, model } = both;
  const { runs } = model.state;
  for (const { id, attempt_source, trigger_name, scheduled_fire_at } of listed) {
    const run = runs.find(({ key }) => ids.of(key) === id);
    if (scheduled_fire_at === undefined || run === undefined || run.byHand) continue;
    const instant = `${run.routine} ${attempt_source} ${trigger_name} ${scheduled_fire_at}`;
    if (seen.has(instant)) both.differ('runs of one instant', 'one', instant);
    seen.add(instant);
  }
}

/** How many attempts were compared, and where the journal goes on. */
export interface Seen {
  seen: number;
  cursor: number;
}

/** Compares the attempts since the last time; where it goes on. */
export async function compareAttempts(
  both: Compared,
  { seen, cursor: after }: Seen,
  attemptsMax: number,
): Promise<Seen> {
  const { attempts } = both.model.state;
  const path = `${CONTROL}/journal?kind=attempt&limit=10000&after=${after}`;
  const { entries, cursor } = (await both.read(path)).body;
  const known = attempts.slice(seen).map(({ run, at, retryAt, ...rest }) => {
    const retry_at = retryAt === undefined ? undefined : iso(retryAt);
    return { ...rest, run: both.ids.of(run), at: iso(at), retry_at };
  });
  const lines = (entries as Line[]).map(({ seq, kind, sent, ...rest }) => {
    const { agent, protocol, body } = (sent ?? {}) as Json;
    return { ...rest, sent: sent === undefined ? undefined : { agent, protocol, body } };
  });
  both.same('the attempts', known.sort(byRun), lines.sort(byRun));
  for (const { outcome, status, next } of known) both.count(`attempt ${status ?? outcome} ${next}`);
  const beyond = lines.find(({ attempt }) => attempt > attemptsMax);
  if (beyond) both.differ('attempts in all', attemptsMax, beyond);
  return { seen: attempts.length, cursor };
}

/** A line of the journal, of kind attempt. */
interface Line {
  seq: number;
  kind: string;
  at: string;
  run: string;
  attempt: number;
  sent?: Json;
}

function withoutIds(run: Json): Json {
  const { id, dispatch_id, action_correlation_id, task_id, response_id, ...rest } = run;
  const { error_message, ...told } = rest;
  return told;
}

function byRun(a: { at: string; run?: unknown }, b: { at: string; run?: unknown }): number {
  return `${a.at} ${a.run}` < `${b.at} ${b.run}` ? -1 : 1;
}
