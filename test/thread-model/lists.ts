/** Lists, page by page: contract 3. */
import type { Leaf, ThreadExpected } from './step.ts';
import { idOf, numbered, type ThreadWorld, there } from './world.ts';

const LIMIT_MAX = 100;

/** Every page that follows from one limit, in one order; without an order the newest comes first. */
export function pagesOf(world: ThreadWorld, step: Leaf): ThreadExpected {
  const { limit, order } = step;
  const listed = listOf(world, step);
  const isOff = limit < 1 || limit > LIMIT_MAX;
  // Which of two reasons is told, nobody has said.
  if (!Array.isArray(listed)) return isOff ? { status: 400, skipped: true } : listed;
  if (isOff) {
    const text = `Invalid 'limit': integer above maximum value. Expected a value <= ${LIMIT_MAX}, but got ${limit} instead.`;
    return { status: 400, error: { status: 400, ...(limit > LIMIT_MAX && { message: text }) } };
  }
  const ids = order === 'asc' ? listed : listed.toReversed();
  const pages = [ids.slice(0, limit)];
  for (let from = limit; from < ids.length; from += limit)
    pages.push(ids.slice(from, from + limit));
  return { status: 200, pages };
}

/** The ids of what is listed, the oldest first; or why nothing is. */
function listOf(
  world: ThreadWorld,
  { what, thread: number, run: which }: Leaf,
): (string | undefined)[] | ThreadExpected {
  const unknown = (of: string, id: string): ThreadExpected => {
    return { status: 404, error: { status: 404, message: `No ${of} found with id '${id}'.` } };
  };
  if (what === 'assistants') return idsOf(world.assistants.filter(there));
  if (what === 'threads') return idsOf(world.threads.filter(there));
  const thread = numbered(world.threads, number);
  if (!there(thread)) return unknown('thread', idOf(thread, 'thread'));
  if (what === 'messages') return idsOf(thread.messages.filter(there));
  if (what === 'runs') return idsOf(thread.runs);
  const run = numbered(thread.runs, which);
  return run ? idsOf(run.steps) : unknown('run', idOf(run, 'run'));
}

function idsOf(all: { id?: string }[]): (string | undefined)[] {
  return all.map(({ id }) => id);
}
