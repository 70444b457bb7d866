/** What is due at one instant: rows of one class share a turn, and one that throws is set aside while the rest go on. */

import type { Call, Opened } from './calls.ts';
import { isoInstant } from './clock.ts';
import { addStuck, type DueRow, dueAfter, takeDue } from './store/due.ts';
import { StoreError } from './store/store.ts';
import type { World } from './world.ts';

/** Runs one due row inside a turn. What must reach the outside is returned and called after the turn is committed. */
export type DueHandler = (world: World, item: DueRow) => Call | undefined;

/** What runs due rows, by their kind, and where it is said that one is stuck. */
export interface Handling {
  handlers: Record<string, DueHandler>;
  notice(message: string): void;
}

/** Rows of one instant and class that share a turn. Fixed, so that the order never depends on how fast the machine is. */
export const BATCH = 100;

/** One turn of a due row and of those behind it in its instant and class, `most` in all; what they want to reach outside. */
export function runBatch(world: World, handling: Handling, first: DueRow, most: number): Opened[] {
  // Which may be past the row's own: a process may have ended between two rows that became due at one instant, one after the other.
  const at = world.position;
  try {
    return world.turn(() => runItems(world, handling, first, most, false), at);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    // One of them is poison. Again, each in a savepoint of its own: that one is set aside, the rest go on.
    return world.turn(() => runItems(world, handling, first, most, true), at);
  }
}

function runItems(
  world: World,
  { handlers, notice }: Handling,
  first: DueRow,
  most: number,
  guarded: boolean,
): Opened[] {
  const opened: Opened[] = [];
  let next: DueRow | undefined = first;
  for (let taken = 0; next && taken < most; taken += 1) {
    const item: DueRow = next;
    takeDue(world.store, item);
    const run = () => {
      const handler = handlers[item.kind];
      if (!handler) throw new Error(`nothing handles '${item.kind}'`);
      const call = handler(world, item);
      if (call) opened.push({ item, call });
    };
    if (guarded) setAside(world, item, world.attempt(run), notice);
    else run();
    next = dueAfter(world.store, item);
  }
  return opened;
}

/** What threw becomes stuck: it is kept with its error, is in the journal and is told. Without an error nothing. Inside a turn. */
export function setAside(
  world: World,
  item: DueRow,
  error: unknown,
  notice: (message: string) => void,
): void {
  if (error === undefined) return;
  const message = error instanceof Error ? error.message : String(error);
  addStuck(world.store, item, message);
  world.record({
    kind: 'stuck',
    data: { item: item.kind, ref: item.ref, due_at: isoInstant(item.due_at), error: message },
  });
  notice(
    `foundrite: ${item.kind} ${item.ref} is stuck: ${error instanceof Error ? error.stack : message}`,
  );
}
