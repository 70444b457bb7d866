/**
 * Streams of thread runs: what a run says from the turn in which it is asked for until it has ended or waits for tool outputs,
 * as server-sent events (contract/threads.md 9). Nothing of it is stored.
 */
import { BrokenOff, OpenStream } from './beats.ts';
import type { Engine } from './engine.ts';
import { dueAtOf } from './store/due.ts';
import type { Store } from './store/store.ts';
import { findThreadRun } from './store/thread-runs.ts';
import { refOfThreadRun } from './work/thread-run-events.ts';
import type { World } from './world.ts';

/** A named event, with the object that it tells of. */
export interface ThreadEvent {
  event: string;
  data: unknown;
}

/** After one of these only `done` follows. */
const LAST: ReadonlySet<string> = new Set(
  ['requires_action', 'completed', 'incomplete', 'failed', 'cancelled', 'expired'].map(
    (status) => `thread.run.${status}`,
  ),
);

const DONE = 'event: done\ndata: [DONE]\n\n';

function frame({ event, data }: ThreadEvent): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/**
 * What a run says from now on, after what is said of the thread that was made for it. Throws for a reader whose run is gone.
 * Inside the turn that asks for it. The signal is the client's: it ends what is said to nobody.
 */
export function streamThreadRun(
  engine: Engine,
  run: string,
  first: readonly ThreadEvent[],
  signal: AbortSignal,
): AsyncIterable<string> {
  const { store } = engine.world;
  const saidIn = {
    what: `The stream of thread run ${run}`,
    topics: [refOfThreadRun(run)],
    isGone: () => findThreadRun(store, run) === undefined,
  };
  const open = new OpenStream(engine, saidIn, signal);
  return open.through(new RunEvents(engine.world, open, refOfThreadRun(run), first));
}

/** Events are kept until they are read; with skip, who waits for the next moves time, be it that the run expires. */
class RunEvents implements AsyncIterator<string> {
  readonly #store: Store;
  readonly #open: OpenStream;
  readonly #ref: string;
  readonly #unread: string[];
  #over = false;

  constructor(world: World, open: OpenStream, ref: string, first: readonly ThreadEvent[]) {
    this.#store = world.store;
    this.#open = open;
    this.#ref = ref;
    this.#unread = first.map(frame);
    open.onEnd(world.hear(ref, (event) => this.#hear(event as ThreadEvent)));
  }

  #hear(event: ThreadEvent): void {
    if (this.#over) return;
    this.#unread.push(frame(event));
    this.#over = LAST.has(event.event);
    if (this.#over) this.#unread.push(DONE);
    this.#open.said();
  }

  async next(): Promise<IteratorResult<string>> {
    for (;;) {
      if (this.#open.ended.aborted) throw new BrokenOff('terminated');
      const value = this.#unread.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#over) return { done: true, value: undefined };
      const next = dueAtOf(this.#store, this.#ref);
      // Nothing will ever be said of a run whose next move was set aside as stuck.
      if (next === undefined) throw new BrokenOff('terminated');
      await this.#open.news(next);
    }
  }
}
