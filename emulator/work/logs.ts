/**
 * Log streams: what a session's sandbox says, as it is read. Lines lie in the store and are read from there when the reader
 * has room, so that nobody waits for a reader and a slow one holds no memory. Its limits are due rows, on the world's time.
 */

import { STATUS_CODES } from 'node:http';
import { showDuration } from '../../contracts/duration.ts';
import type { DueHandler } from '../batch.ts';
import { type Instant, SECOND } from '../clock.ts';
import type { Engine } from '../engine.ts';
import type { Settings } from '../settings.ts';
import { cancelDueOf, cancelDueOfKind, DEADLINE } from '../store/due.ts';
import {
  firstLogLine,
  firstOfTail,
  type LogLine,
  type LogStream,
  lastLogLine,
  logLinesAfter,
  logRef,
} from '../store/session-logs.ts';
import { findSession, type SessionRow } from '../store/sessions.ts';
import type { World } from '../world.ts';
import { agentTopic, READINESS, startedAtOnce, topicOf } from './sessions.ts';

/** One frame of a stream, as it stands in its `data`. */
export interface LogFrame {
  at: Instant;
  stream: Exclude<LogStream, 'call'>;
  message: string;
}

export interface LogAsked {
  /** Only what the container says, or only what is said of it. */
  kind?: 'console' | 'system' | undefined;
  /** How many of the lines that are there already; all without it. */
  tail?: number | undefined;
  /** Whether it goes on with what comes. */
  follow: boolean;
}

/** Lines that are taken from the store at once. */
const LINES_AT_ONCE = 100;

/** What a stream has room for before its reader reads; beyond it, lines stay in the store. */
const BUFFER_FRAMES = 64;

/** Why a stream ends by itself at an instant, or that it has something to say; nothing when its row came too early. */
type Tick = 'idle' | 'max' | 'keep_alive' | undefined;

function tickAt(now: Instant, opened: Instant, active: Instant, settings: Settings): Tick {
  if (now >= opened + settings.log_max) return 'max';
  if (now >= active + settings.log_idle) return 'idle';
  const quiet = now - active;
  return quiet > 0 && quiet % settings.log_keep_alive === 0 ? 'keep_alive' : undefined;
}

/** When a stream must be looked at next. */
function nextTick(now: Instant, opened: Instant, active: Instant, settings: Settings): Instant {
  const every = settings.log_keep_alive;
  const keepAlive = active + (Math.floor((now - active) / every) + 1) * every;
  return Math.min(opened + settings.log_max, active + settings.log_idle, keepAlive);
}

/** When something last came to a stream: a line of the session, or its reader. */
function activeSince(world: World, session: number, opened: Instant): Instant {
  return Math.max(opened, lastLogLine(world.store, session)?.said_at ?? opened);
}

const KIND = 'log';

function topicOfStream(id: number | string): string {
  return `stream ${id}`;
}

/** The due row of a stream says all that its handler needs: replay has no reader. */
function subjectOf(id: number, opened: Instant): string {
  return `stream:${id}:${opened}`;
}

export const logHandlers: Record<string, DueHandler> = {
  [KIND](world, item) {
    const [, session = '', id = '', opened = ''] =
      /^log:(\d+):.* stream:(\d+):(\d+)$/s.exec(`${item.ref} ${item.subject}`) ?? [];
    const active = activeSince(world, Number(session), Number(opened));
    const tick = tickAt(world.now, Number(opened), active, world.profile.settings);
    world.tell(topicOfStream(id));
    if (tick !== 'idle' && tick !== 'max')
      addTick(world, item.ref, Number(id), Number(opened), active);
    return undefined;
  },
};

/** No reader outlives the process or the world that it read in: takes the rows of all off the wheel. Inside a turn. */
export function forgetReaders({ store }: World): void {
  cancelDueOfKind(store, KIND);
}

function addTick(world: World, ref: string, id: number, opened: Instant, active: Instant): void {
  const at = nextTick(world.now, opened, active, world.profile.settings);
  world.addDue(at, DEADLINE, KIND, ref, subjectOf(id, opened));
}

/** Opens a stream of a session's log. Makes its own turn. */
export function openLog(
  engine: Engine,
  session: SessionRow,
  asked: LogAsked,
  encode: (frame: LogFrame) => Uint8Array,
): ReadableStream<Uint8Array> {
  const { world } = engine;
  const opened = world.turn(() => {
    const id = world.nextSeq();
    if (asked.follow) addTick(world, logRef(session), id, world.now, world.now);
    return { id, at: world.now };
  });
  const log = new OpenLog(engine, session, asked, opened);
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => log.start((frame) => controller.enqueue(encode(frame)), controller),
      pull: () => log.look(),
      cancel: () => log.end(),
    },
    new CountQueuingStrategy({ highWaterMark: BUFFER_FRAMES }),
  );
}

/** Where a stream's frames go, and how much room there is. */
interface Sink {
  readonly desiredSize: number | null;
  close(): void;
}

class OpenLog {
  readonly #engine: Engine;
  readonly #world: World;
  readonly #epoch: number;
  readonly #session: SessionRow;
  readonly #asked: LogAsked;
  readonly #opened: { id: number; at: Instant };
  #say: (frame: LogFrame) => void = () => {};
  #sink: Sink | undefined;
  #off: () => void = () => {};
  #looking = false;
  /** The last line that was read; undefined until the container is connected. */
  #last: number | undefined;

  constructor(
    engine: Engine,
    session: SessionRow,
    asked: LogAsked,
    opened: { id: number; at: Instant },
  ) {
    this.#engine = engine;
    this.#world = engine.world;
    this.#epoch = engine.world.epoch;
    this.#session = session;
    this.#asked = asked;
    this.#opened = opened;
  }

  start(say: (frame: LogFrame) => void, sink: Sink): void {
    this.#say = say;
    this.#sink = sink;
    const topics = [topicOf(this.#session), agentTopic(this.#session.agent_key)];
    const offTurn = this.#world.onTurn((told) => {
      if (told.size === 0) return;
      if (topics.some((topic) => told.has(topic))) this.look();
      if (told.has(topicOfStream(this.#opened.id))) this.#tick();
    });
    const offEnd = this.#engine.waits.keepOpen(() => {
      this.#close();
      this.#forget();
    });
    this.#off = () => {
      offTurn();
      offEnd();
    };
    this.#status("Connecting to the container 'agent-container'...");
    this.look();
  }

  /** Passes on what there is to say, as far as the reader has room. */
  look(): void {
    // A stream asks for more in the middle of what it is given.
    if (this.#looking) return;
    this.#looking = true;
    this.#lookAt();
    this.#looking = false;
  }

  #lookAt(): void {
    const session =
      this.#sink && findSession(this.#world.store, this.#session.agent_key, this.#session.id);
    if (this.#sink === undefined) return;
    if (session?.seq !== this.#session.seq || session.ended !== null) {
      this.#close('The session has ended.');
    } else if (session.ready === 1) {
      this.#last ??= this.#connect(session);
      this.#readOn(this.#last);
    }
  }

  /** The number of the line before the first that was asked for. */
  #connect(session: SessionRow): number {
    this.#status("Successfully connected to container: 'agent-container'");
    const { store } = this.#world;
    const { tail, kind } = this.#asked;
    const first = firstLogLine(store, session.seq)?.n ?? 1;
    const start = tail && firstOfTail(store, session.seq, tail, streamsOf(kind));
    if (start === undefined && startedAtOnce(session) && first === 1)
      this.#line({ at: null, said_at: session.created_at, stream: 'stdout', message: READINESS });
    return (start ?? first) - 1;
  }

  #readOn(after: number): void {
    let last = after;
    while (this.#hasRoom()) {
      const lines = logLinesAfter(this.#world.store, this.#session.seq, last, LINES_AT_ONCE);
      for (const line of lines) {
        if (!this.#hasRoom()) break;
        const missed = line.n - last - 1;
        if (missed > 0) this.#status(`${missed} lines were dropped: they were not read in time.`);
        last = line.n;
        this.#line(line);
      }
      this.#last = last;
      if (lines.length < LINES_AT_ONCE && last === (lines.at(-1)?.n ?? last)) {
        if (!this.#asked.follow) this.#close();
        return;
      }
    }
  }

  #hasRoom(): boolean {
    return (this.#sink?.desiredSize ?? 0) > 0;
  }

  #line({ at, said_at, stream, message }: Omit<LogLine, 'session' | 'n'>): void {
    if (!streamsOf(this.#asked.kind).includes(stream)) return;
    const words = stream === 'call' ? wordsOfCall(message) : message;
    this.#say({ at: at ?? said_at, stream: stream === 'call' ? 'stdout' : stream, message: words });
  }

  #status(message: string): void {
    this.#say({ at: this.#world.position, stream: 'status', message });
  }

  /** Its due row has run. */
  #tick(): void {
    if (this.#sink === undefined) return;
    const { position: now, profile } = this.#world;
    const active = activeSince(this.#world, this.#session.seq, this.#opened.at);
    const { log_max, log_idle, log_keep_alive } = profile.settings;
    const tick = tickAt(now, this.#opened.at, active, profile.settings);
    if (tick === 'max')
      this.#close(`The stream was open for ${showDuration(log_max)}, which is the longest.`);
    else if (tick === 'idle') this.#close(`Nothing was logged for ${showDuration(log_idle)}.`);
    else if (tick === 'keep_alive' && this.#hasRoom())
      this.#status(`No logs since last ${log_keep_alive / SECOND} seconds`);
  }

  #close(why?: string): void {
    const sink = this.#sink;
    if (sink === undefined) return;
    if (why !== undefined) this.#status(why);
    this.#sink = undefined;
    this.#off();
    sink.close();
  }

  /** The reader is gone: nothing of the stream stays. */
  end(): void {
    this.#sink = undefined;
    this.#off();
    this.#forget();
  }

  /** Takes its row off the wheel; those of a world that was reset went with it. */
  #forget(): void {
    const world = this.#world;
    if (this.#engine.closed || world.epoch !== this.#epoch || !this.#asked.follow) return;
    const { id, at } = this.#opened;
    world.turn(() => cancelDueOf(world.store, logRef(this.#session), subjectOf(id, at)));
  }
}

function streamsOf(kind: LogAsked['kind']): readonly LogStream[] {
  if (kind === 'console') return ['stdout', 'call', 'stderr'];
  return kind === 'system' ? ['status'] : ['stdout', 'call', 'stderr', 'status'];
}

/** As a container's server writes it. */
function wordsOfCall(message: string): string {
  const [protocol, status = ''] = message.split(' ');
  const answered = `${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  return `INFO: 127.0.0.1:42588 - "POST /${protocol} HTTP/1.1" ${answered}`;
}
