/** Responses and invocations: what of an answer is kept, and how work that goes on after it ends. */
import type { DueHandler } from '../batch.ts';
import {
  endOf,
  inputItems,
  outputItems,
  type ResponseStatus,
  responseObject,
  type Said,
  textOf,
} from '../response.ts';
import { findAgent, findVersion } from '../store/agents.ts';
import {
  addItem,
  type ConversationRow,
  countItems,
  findConversation,
} from '../store/conversations.ts';
import { CONSEQUENCE, cancelDue } from '../store/due.ts';
import {
  findInvocation,
  findResponse,
  type InvocationRow,
  moveResponse,
  putInvocation,
  putResponse,
  type ResponseRow,
} from '../store/responses.ts';
import type { World } from '../world.ts';

/** What a call leaves behind when it was answered; JSON, so that it can wait for the answer's instant. */
export type Kept =
  | {
      kind: 'response';
      row: Omit<ResponseRow, 'seq' | 'created_at' | 'ended_at'>;
      laterMs?: number;
    }
  /** Of a response that is not to be kept: its conversation has it all the same. */
  | { kind: 'turn'; row: Omit<ResponseRow, 'seq' | 'created_at' | 'ended_at'> }
  | { kind: 'invocation'; row: InvocationRow; laterMs: number };

const RUNNING: readonly ResponseStatus[] = ['queued', 'in_progress'];

export function isRunning({ status }: { status: ResponseStatus }): boolean {
  return RUNNING.includes(status);
}

/** The object that clients read. */
export function viewResponse(world: World, row: ResponseRow): Record<string, unknown> {
  const asked = JSON.parse(row.asked) as Record<string, unknown>;
  return responseObject(world.draw, {
    id: row.id,
    agent: row.agent_key === null ? null : agentIn(row.agent_key),
    version: row.version,
    session: row.session,
    conversation: row.conversation,
    status: row.status,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    asked,
    definition: promptOf(world, row),
    said: saidIn(row, asked),
  });
}

/** The definition of the prompt agent that answered, as long as its version is there. */
function promptOf(
  { store }: World,
  { agent_key: key, version, session }: ResponseRow,
): Record<string, unknown> | undefined {
  if (key === null || version === null || session !== null) return undefined;
  const agent = findAgent(store, agentIn(key));
  const found = agent?.key === key ? findVersion(store, agent, version) : undefined;
  const definition = found && (JSON.parse(found.definition) as Record<string, unknown>);
  return definition?.kind === 'prompt' ? definition : undefined;
}

export function saidIn(row: { said: string | null }, asked: { input?: unknown }): Said {
  return row.said === null ? { text: textOf(asked.input) } : (JSON.parse(row.said) as Said);
}

/** The same of what is about to be kept; undefined when nothing is, or nothing that is a response. */
export function viewKept(
  world: World,
  kept: Kept | undefined,
): Record<string, unknown> | undefined {
  if (kept?.kind !== 'response') return undefined;
  const ended_at = isRunning(kept.row) ? null : world.now;
  return viewResponse(world, { ...kept.row, seq: 0, created_at: world.now, ended_at });
}

export function agentIn(agentKey: string): string {
  return agentKey.slice(0, agentKey.lastIndexOf('#'));
}

export function refOfResponse(id: string): string {
  return `response:${id}`;
}

export function refOfInvocation(id: string): string {
  return `invocation:${id}`;
}

/** Keeps what an answer has left: the response, its turn of the conversation, and the work that goes on. Inside a turn. */
export function keep(world: World, kept: Kept): void {
  if (kept.kind === 'invocation') {
    const { row, laterMs } = kept;
    putInvocation(world.store, row);
    const ref = refOfInvocation(row.id);
    world.addDue(world.now + laterMs, CONSEQUENCE, 'invocation', ref, ref);
    return;
  }
  if (kept.kind === 'turn') {
    // No row is left that its end could be told of: it is said whole at once.
    continueConversation(world, { ...kept.row, status: 'completed' });
    return;
  }
  const row: ResponseRow = {
    ...kept.row,
    seq: world.nextSeq(),
    created_at: world.now,
    ended_at: isRunning(kept.row) ? null : world.now,
  };
  putResponse(world.store, row);
  if (row.conversation !== null) continueConversation(world, row);
  if (kept.laterMs === undefined) return;
  const ref = refOfResponse(row.id);
  const startsMs = row.status === 'queued' ? 0 : kept.laterMs;
  world.addDue(world.now + startsMs, CONSEQUENCE, 'response', ref, ref);
}

/** What was asked joins the conversation at once, and what was said when it has been said. */
function continueConversation(
  world: World,
  row: Pick<ResponseRow, 'id' | 'conversation' | 'status' | 'asked' | 'said'>,
): void {
  const conversation = findConversation(world.store, row.conversation ?? '');
  if (!conversation) return;
  const asked = JSON.parse(row.asked) as Record<string, unknown>;
  const said = isRunning(row) ? [] : outputItems(world.draw, row.id, saidIn(row, asked));
  addItems(world, conversation, [...inputItems(world.draw, row.id, asked.input), ...said]);
}

/** Appends items, which have their ids; one that is there already stays where it is. Inside a turn. */
export function addItems(
  world: World,
  { seq: conversation }: ConversationRow,
  items: readonly Record<string, unknown>[],
): void {
  let seq = countItems(world.store, conversation);
  for (const item of items) {
    seq += 1;
    const { id, type } = item as { id: string; type: string };
    addItem(world.store, { conversation, seq, id, type, item: JSON.stringify(item) });
  }
}

/** A response in the background that nobody needs any more. Inside a turn. */
export function cancelResponse(world: World, row: ResponseRow): void {
  const ref = refOfResponse(row.id);
  cancelDue(world.store, ref);
  move(world, row, 'cancelled');
  // Whoever says it is to stop.
  world.tell(ref);
}

/** Work of an invocation that nobody needs any more. Inside a turn. */
export function cancelInvocation(world: World, row: InvocationRow): InvocationRow {
  cancelDue(world.store, refOfInvocation(row.id));
  return moveInvocation(world, row, 'cancelled');
}

function moveInvocation(
  world: World,
  row: InvocationRow,
  status: InvocationRow['status'],
): InvocationRow {
  const moved = { ...row, status };
  putInvocation(world.store, moved);
  world.record({
    kind: 'transition',
    data: { of: 'invocation', invocation: row.id, from: row.status, to: status },
  });
  return moved;
}

function move(world: World, row: ResponseRow, status: ResponseStatus): void {
  const ended = status === 'in_progress' ? null : world.now;
  moveResponse(world.store, row.id, status, ended);
  world.record({
    kind: 'transition',
    data: { of: 'response', response: row.id, from: row.status, to: status },
  });
  if (ended === null || status === 'cancelled' || row.conversation === null) return;
  const conversation = findConversation(world.store, row.conversation);
  const asked = JSON.parse(row.asked) as Record<string, unknown>;
  if (conversation)
    addItems(world, conversation, outputItems(world.draw, row.id, saidIn(row, asked)));
}

/** Work that goes on after its answer: a response in the background is queued, begins at once and takes its time. */
export const responseHandlers: Record<string, DueHandler> = {
  response(world, item) {
    const row = findResponse(world.store, item.ref.slice('response:'.length));
    if (!row || !isRunning(row)) return undefined;
    if (row.status === 'queued') {
      move(world, row, 'in_progress');
      const { background_time } = world.profile.settings;
      world.addDue(world.now + background_time, CONSEQUENCE, 'response', item.ref, item.ref);
      return undefined;
    }
    const asked = JSON.parse(row.asked) as Record<string, unknown>;
    move(world, row, endOf(saidIn(row, asked)));
    return undefined;
  },
  invocation(world, item) {
    const row = findInvocation(world.store, item.ref.slice('invocation:'.length));
    if (row?.status !== 'in_progress') return undefined;
    const { status } = JSON.parse(row.said) as { status: 'completed' | 'failed' };
    moveInvocation(world, row, status);
    return undefined;
  },
};
