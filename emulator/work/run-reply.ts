/** What a thread run says: at once, or when the model of its assistant has answered. */
import type { Call } from '../calls.ts';
import type { Arrival } from '../faults.ts';
import type { Outside } from '../outside.ts';
import type { Heard, ModelReply } from '../replies.ts';
import { definitionOf, itemOf, itemsOfCalls, turnOfModel, wordsOf } from '../run-model.ts';
import {
  type AssistantReply,
  type MadeCall,
  type RunTurn,
  turnAfter,
  turnOfRun,
} from '../run-replies.ts';
import { countTurn, readReply } from '../store/faults.ts';
import { findThreadRun, stepsOfRun, type ThreadRunRow } from '../store/thread-runs.ts';
import { newestUserMessage, pageMessages } from '../store/threads.ts';
import type { World } from '../world.ts';
import { HISTORY_MAX } from './history.ts';
import { madeCalls, type RunSnapshot } from './thread-objects.ts';
import { refOfThreadRun } from './thread-run-events.ts';

/**
 * What a run says that goes into progress, for the first time or with tool outputs: a turn, or the call to a model whose answer
 * is `settled`, in the turn in which it comes, if the run still waits for it then. Inside a turn.
 */
export function replyToRun(
  world: World,
  { outside }: { outside: Outside },
  run: ThreadRunRow,
  settled: (turn: RunTurn) => void,
): RunTurn | Call {
  const { store } = world;
  const rounds = stepsOfRun(store, run.id).map(madeCalls);
  const before = run.turn === null ? undefined : (JSON.parse(run.turn) as RunTurn);
  const next = before && turnAfter(before, rounds.at(-1) ?? []);
  if (next !== undefined) return next;
  const row = readReply(store, run.assistant);
  const reply = row ? (JSON.parse(row.reply) as AssistantReply) : ECHO;
  if (reply.kind === 'model') return ask(world, outside, { run, reply, rounds }, settled);
  if (reply.kind === 'script') countTurn(store, run.assistant);
  const heard = newestUserMessage(store, run.thread);
  return turnOfRun(reply, row?.turn ?? 0, wordsOf(JSON.parse(heard?.content ?? '[]')));
}

const ECHO = { kind: 'echo' } as const;

/** A run that asks its model, with the calls that it has made in each round. */
interface Asking {
  run: ThreadRunRow;
  reply: ModelReply;
  rounds: MadeCall[][];
}

function ask(
  world: World,
  outside: Outside,
  { run, reply, rounds }: Asking,
  settled: (turn: RunTurn) => void,
): Call {
  const asked = JSON.parse(run.snapshot) as RunSnapshot;
  const earlier = [
    ...historyOf(world, run.thread, asked.truncation_strategy as Truncation),
    ...rounds.flatMap(itemsOfCalls),
  ];
  const heard: Heard = {
    agent: null,
    version: null,
    protocol: 'responses',
    body: {},
    answerId: world.draw.id('resp_', 'answer', run.id, rounds.length),
    sessionId: undefined,
    conversation: undefined,
    at: world.now,
    definition: definitionOf(asked),
    earlier,
  };
  const call = {
    agent: run.assistant,
    protocol: 'responses',
    route: 'project',
    body: '{}',
    requestId: run.id,
  } as const;
  const ceilingMs = run.expires_at - world.now;
  return {
    // Never that of an attempt: what returns together settles in one order.
    order: run.seq + 0.5,
    subject: refOfThreadRun(run.id),
    deadline: run.expires_at,
    async start() {
      const gone = new AbortController();
      // Cancelled, expired or deleted: a clock that stands still is not held for what nobody waits for.
      const unlisten = world.onTurn(() => {
        if (!waits(world, run)) gone.abort();
      });
      try {
        return await outside.ask({ call, heard, reply }, ceilingMs, gone.signal);
      } finally {
        unlisten();
      }
    },
    settle(arrival, real) {
      // Recorded also when it comes too late: in a replay the call must end too.
      if (real) world.record({ kind: 'outcome', run: run.id, data: { arrival } });
      if (waits(world, run))
        settled(turnOfModel(arrival as Arrival, asked.max_completion_tokens !== null));
    },
  };
}

/** Whether a run still waits for what it was asked for. */
function waits({ store }: World, { id }: ThreadRunRow): boolean {
  const now = findThreadRun(store, id);
  return now?.status === 'in_progress' && now.asking === 1;
}

interface Truncation {
  type: string;
  last_messages: number | null;
}

/** The messages of a thread that a model is told of, oldest first. */
function historyOf({ store }: World, thread: string, truncation: Truncation): unknown[] {
  const last = truncation.type === 'last_messages' ? truncation.last_messages : null;
  const page = {
    order: 'desc',
    above: 0,
    below: Number.MAX_SAFE_INTEGER,
    limit: Math.min(last ?? HISTORY_MAX, HISTORY_MAX),
  } as const;
  return pageMessages(store, { thread }, page)
    .reverse()
    .flatMap(({ role, content }) => itemOf({ role, content: JSON.parse(content) }) ?? []);
}
