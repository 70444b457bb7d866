/** Open streams, and what is said in them at the instants of the world's clock. */
import type { DueHandler } from './batch.ts';
import type { Instant } from './clock.ts';
import type { Engine } from './engine.ts';
import { findAgent } from './store/agents.ts';
import { CONSEQUENCE } from './store/due.ts';
import { findSession, type SessionRow } from './store/sessions.ts';
import { agentTopic, topicOf as topicOfSession } from './work/sessions.ts';
import type { World } from './world.ts';

/** A stream that ends before its end, as its reader sees a connection that breaks. */
export class BrokenOff extends TypeError {
  override name = 'TypeError';
  override cause = { code: 'ECONNRESET' };
}

/** A piece of a stream, and what passes in world time before it is said. */
export interface Beat {
  waitMs: number;
  text: string;
  /** What is said instead, and nothing after it, when its instant comes and it is no longer wanted. */
  instead?: () => string | undefined;
}

/** When a stream's waiting beats are due: the first after a while, the others one after the other. */
export interface Plan {
  firstMs: number;
  everyMs: number;
  count: number;
  /** What is told when they may be no longer wanted: their `instead` then comes at once. */
  until?: string | undefined;
}

const KIND = 'speak';

/** The row says all that its handler needs: a replay has no reader, and its clock goes the same way. */
export const speakHandlers: Record<string, DueHandler> = {
  [KIND](world, item) {
    const [, id, every, left] = item.ref.split(':');
    world.tell(topicOf(Number(id)));
    if (Number(left) > 1)
      addBeat(world, Number(id), Number(every), {
        everyMs: Number(every),
        count: Number(left) - 1,
      });
    return undefined;
  },
};

function addBeat(
  world: World,
  id: number,
  waitMs: number,
  { everyMs, count }: Pick<Plan, 'everyMs' | 'count'>,
): void {
  const ref = `${KIND}:${id}:${everyMs}:${count}`;
  world.addDue(world.now + waitMs, CONSEQUENCE, KIND, ref, `stream:${id}`);
}

function topicOf(id: number): string {
  return `stream ${id} speaks`;
}

/** Beats as they are read; with a plan, at their instants, however long nobody reads. Inside a turn. */
export function inTime(
  engine: Engine,
  open: OpenStream,
  beats: Iterator<Beat>,
  plan: Plan,
): AsyncIterator<string> {
  if (plan.count > 0) return new Paced(engine, open, beats, plan);
  return {
    async next() {
      const { done, value } = beats.next();
      return done ? { done, value: undefined } : { done: false, value: value.text };
    },
  };
}

/** Each beat is made at its instant, inside an advance too; a reader who waits for one moves a clock that skips. */
class Paced implements AsyncIterator<string> {
  readonly #open: OpenStream;
  readonly #beats: Iterator<Beat>;
  readonly #everyMs: number;
  readonly #made: string[] = [];
  /** The beat whose instant has not come. */
  #next: Beat | undefined;
  #nextAt: Instant;
  #broken: unknown;
  #over = false;

  constructor(engine: Engine, open: OpenStream, beats: Iterator<Beat>, plan: Plan) {
    const { world } = engine;
    this.#open = open;
    this.#beats = beats;
    this.#everyMs = plan.everyMs;
    const id = world.nextSeq();
    addBeat(world, id, plan.firstMs, plan);
    this.#nextAt = world.now + plan.firstMs;
    this.#make();
    const topic = topicOf(id);
    const off = world.onTurn((told) => {
      if (told.has(topic)) this.#say();
      else if (plan.until !== undefined && told.has(plan.until)) this.#cut();
    });
    open.onEnd(off);
  }

  /** Whether something was said instead of the next beat, and nothing follows. */
  #cut(): boolean {
    const instead = this.#next?.instead?.();
    if (instead === undefined) return false;
    this.#made.push(instead);
    this.#next = undefined;
    this.#over = true;
    this.#open.said();
    return true;
  }

  #say(): void {
    if (this.#over || this.#cut()) return;
    if (this.#next) this.#made.push(this.#next.text);
    this.#nextAt += this.#everyMs;
    this.#make();
    this.#open.said();
  }

  /** Makes all beats up to the next that has to wait. */
  #make(): void {
    this.#next = undefined;
    try {
      for (;;) {
        const { done, value } = this.#beats.next();
        if (done) return;
        if (value.waitMs > 0) {
          this.#next = value;
          return;
        }
        this.#made.push(value.text);
      }
    } catch (error) {
      this.#broken = error;
    }
  }

  async next(): Promise<IteratorResult<string>> {
    for (;;) {
      const value = this.#made.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#broken) throw this.#broken;
      if (this.#open.ended.aborted) throw new BrokenOff('terminated');
      if (this.#next === undefined) return { done: true, value: undefined };
      await this.#open.news(this.#nextAt);
    }
  }
}

/** What a stream is said in: with it, the stream is gone. */
export interface SaidIn {
  /** What waits, as a blocked call is told of: `A stream of agent digest`. */
  what: string;
  /** What is told when it may be gone. */
  topics: readonly string[];
  isGone(): boolean;
}

/** An agent, and its session where it has one. */
export function saidInAgent(
  { store }: World,
  agent: { name: string; key: string },
  session: SessionRow | undefined,
): SaidIn {
  const isThere = ({ id, seq }: SessionRow) => {
    const row = findSession(store, agent.key, id);
    return row?.seq === seq && row.ended !== 'deleted';
  };
  return {
    what: `A stream of agent ${agent.name}`,
    topics: [agentTopic(agent.key), ...(session ? [topicOfSession(session)] : [])],
    isGone: () =>
      findAgent(store, agent.name)?.key !== agent.key ||
      (session !== undefined && !isThere(session)),
  };
}

/** A stream from its call until its end: whoever ends it, nothing of it is left. */
export class OpenStream {
  readonly #engine: Engine;
  readonly #what: string;
  readonly #abort = new AbortController();
  readonly #offs: (() => void)[] = [];
  /** Lets go of a reader who waits. */
  #letGo = new AbortController();

  constructor(engine: Engine, { what, topics, isGone }: SaidIn, signal: AbortSignal) {
    const { world, waits } = engine;
    this.#engine = engine;
    this.#what = what;
    const end = () => this.end();
    this.onEnd(waits.keepOpen(end));
    this.onEnd(
      world.onTurn((told) => {
        if (topics.some((topic) => told.has(topic)) && isGone()) this.end();
      }),
    );
    signal.addEventListener('abort', end);
    this.onEnd(() => signal.removeEventListener('abort', end));
    if (signal.aborted) end();
  }

  /** Aborted when the stream has ended, for whatever reason. */
  get ended(): AbortSignal {
    return this.#abort.signal;
  }

  onEnd(off: () => void): void {
    this.#offs.push(off);
  }

  end(): void {
    for (const off of this.#offs.splice(0)) off();
    this.#abort.abort();
    this.said();
  }

  /** There is something to read: lets go of who waits for it. */
  said(): void {
    this.#letGo.abort();
  }

  /** For a reader: waits until something is said or the stream ends, which comes at an instant if not before. */
  async news(at: Instant): Promise<void> {
    const { world, waits } = this.#engine;
    this.#letGo = new AbortController();
    // What is due at this very instant and has not run is waited for too.
    await waits.reach(Math.max(at, world.now + 1), this.#what, this.#letGo.signal);
  }

  /** What a source says, for as long as the stream is open; `over` is called at its end. */
  through<T>(source: AsyncIterator<T>, over: () => void = () => {}): AsyncIterable<T> {
    const end = () => {
      this.end();
      over();
    };
    const next = async (): Promise<IteratorResult<T>> => {
      try {
        if (this.ended.aborted) throw new BrokenOff('terminated');
        const result = await source.next();
        if (result.done) end();
        return result;
      } catch (error) {
        end();
        throw error;
      }
    };
    const stop = async (): Promise<IteratorResult<T>> => {
      end();
      // Nobody is left to be told of what this may throw.
      source.return?.().catch(() => {});
      return { done: true, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: stop }) };
  }
}
