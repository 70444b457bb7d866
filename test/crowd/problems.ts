/** What must hold of threads whoever uses them at once: told by the journal, and by what the clients saw. */
import type { Json } from '../started.ts';
import { TABLE } from '../thread-model/runs.ts';
import type { Status } from '../thread-model/world.ts';
import type { Left, Note } from './crowd.ts';

/** Everything that is wrong, in sentences. */
export function problemsIn(left: Left): string[] {
  return [
    ...journalled(left.journal),
    ...races(left.notes),
    ...seenInOrder(left.notes),
    ...locked(left.notes),
    ...kept(left),
  ];
}

function isActive(status: string): boolean {
  return TABLE[status as Status].length > 0;
}

/** The journal, line by line: runs follow the table, one at a time; and no message comes between. */
function journalled(journal: readonly Json[]): string[] {
  const problems: string[] = [];
  const statuses = new Map<string, string>();
  const active = new Map<string, string>();
  for (const { seq, kind, run, of, thread, from, to, ...line } of journal) {
    if (kind === 'transition' && of === 'thread_run') {
      const before = statuses.get(run);
      if (before !== undefined && before !== from)
        problems.push(`line ${seq}: ${run} leaves ${from}, and was ${before}`);
      const next: readonly string[] = before === undefined ? ['queued'] : TABLE[before as Status];
      if (!next.includes(to)) problems.push(`line ${seq}: ${run} goes from ${before} to ${to}`);
      statuses.set(run, to);
      const other = active.get(thread);
      if (isActive(to) && other !== undefined && other !== run)
        problems.push(`line ${seq}: ${run} is active on ${thread} beside ${other}`);
      if (isActive(to)) active.set(thread, run);
      else if (other === run) active.delete(thread);
    }
    if (kind !== 'request' || line.operation !== 'createMessage' || line.status !== 200) continue;
    const running = active.get(line.params.thread_id);
    if (running !== undefined)
      problems.push(`line ${seq}: a message came to ${line.params.thread_id} during ${running}`);
  }
  if (statuses.size === 0) problems.push('no run is in the journal');
  return problems;
}

/** Of simultaneous creations on a free thread exactly one is answered 200, and the others name it. */
function races(notes: readonly Note[]): string[] {
  const problems: string[] = [];
  const names = new Set(notes.flatMap(({ race }) => race ?? []));
  for (const name of names) {
    const all = notes.filter(({ race }) => race === name);
    const [winner, ...more] = all.filter(({ status }) => status === 200);
    if (!winner || more.length > 0)
      problems.push(`${name}: ${all.map(({ status }) => status).join(', ')}`);
    for (const { status, error, thread } of all) {
      const known = `Thread ${thread} already has an active run ${winner?.run}.`;
      if (status !== 200 && (status !== 400 || error !== known))
        problems.push(`${name}: ${status} ${error}`);
    }
  }
  if (names.size === 0) problems.push('no creations were simultaneous');
  return problems;
}

/** What can become of a run that was seen like this, also in several moves. */
function reachable(from: string): Set<string> {
  const all = new Set([from]);
  for (const one of all) for (const next of TABLE[one as Status]) all.add(next);
  return all;
}

function byRun(notes: readonly Note[]): Map<string, (Note & { runStatus: string })[]> {
  const all = new Map<string, (Note & { runStatus: string })[]>();
  for (const note of notes) {
    const { run, runStatus } = note;
    if (run === undefined || runStatus === undefined) continue;
    all.set(run, [...(all.get(run) ?? []), { ...note, runStatus }]);
  }
  return all;
}

/** No client sees a run go where the table has no way. */
function seenInOrder(notes: readonly Note[]): string[] {
  return [...byRun(notes)].flatMap(([run, seen]) =>
    seen.flatMap((one) => {
      const may = reachable(one.runStatus);
      const wrong = seen.filter(({ from, runStatus }) => from > one.to && !may.has(runStatus));
      return wrong.map(({ runStatus }) => `${run} was ${one.runStatus}, and then ${runStatus}`);
    }),
  );
}

/** What was accepted on a thread while somebody's run was acknowledged before and still active afterwards. */
function locked(notes: readonly Note[]): string[] {
  const problems: string[] = [];
  const runs = byRun(notes);
  for (const note of notes) {
    const { kind, thread, status, error } = note;
    if (kind !== 'run' && kind !== 'message') continue;
    for (const [run, seen] of runs) {
      if (seen[0]?.thread !== thread || run === note.run) continue;
      const before = seen.some(({ to }) => to < note.from);
      const after = seen.some(({ from, runStatus }) => from > note.to && isActive(runStatus));
      if (status === 200 && before && after)
        problems.push(`a ${kind} of ${note.client} was accepted on ${thread} during ${run}`);
      const ended = seen.some(({ to, runStatus }) => to < note.from && !isActive(runStatus));
      if (status !== 200 && error?.includes(run) && ended)
        problems.push(`a ${kind} of ${note.client} was refused for ${run}, which had ended`);
    }
    if (status !== 200 && (status !== 400 || !/ active(?: run \w+)?\.$/.test(error ?? '')))
      problems.push(`a ${kind} of ${note.client} was answered ${status} ${error}`);
  }
  return problems;
}

/** In the end everything is there that was acknowledged, once and in its order, and nothing that was refused. */
function kept({ notes, runs, messages }: Left): string[] {
  const problems: string[] = [];
  for (const [thread, listed] of runs) {
    const told = notes.filter((one) => one.thread === thread && one.status === 200);
    const made = told.flatMap(({ kind, run }) => (kind === 'run' ? (run ?? []) : []));
    const ids = listed.map(({ id }) => id);
    if (!same(made.toSorted(), ids.toSorted()))
      problems.push(`${thread} has the runs ${ids}, told were ${made}`);
    const open = listed.filter(({ status }) => isActive(status));
    if (open.length > 0) problems.push(`${thread} still has an active run ${open[0]?.id}`);
    const said = (messages.get(thread) ?? []).filter(({ role }) => role === 'user');
    const texts: string[] = said.map(({ content }) => content[0].text.value);
    const clients = new Map<string, string[]>();
    for (const { kind, client, text = '' } of told.toSorted((a, b) => a.to - b.to))
      if (kind === 'message') clients.set(client, [...(clients.get(client) ?? []), text]);
    const accepted = [...clients.values()].flat();
    if (!same(accepted.toSorted(), texts.toSorted()))
      problems.push(`${thread} has the messages ${texts}, accepted were ${accepted}`);
    for (const [client, own] of clients)
      if (
        !same(
          own,
          texts.filter((text) => own.includes(text)),
        )
      )
        problems.push(`${thread} has the messages of ${client} in another order`);
  }
  return problems;
}

function same(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
