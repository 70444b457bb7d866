/** What was said before a call: a model of the user's own keeps nothing itself. */
import type { AgentCall } from '../downstream.ts';
import { inputItems, outputItems } from '../response.ts';
import { findConversation, pageItems } from '../store/conversations.ts';
import { findResponse } from '../store/responses.ts';
import type { World } from '../world.ts';
import { isRunning, saidIn } from './responses.ts';

/** The newest items that a model is told of, or calls that it goes back: more than one can read. */
export const HISTORY_MAX = 1_000;

/** The items of a call's conversation, or of the responses that it goes on from; oldest first. */
export function historyOf(world: World, call: AgentCall): unknown[] {
  const conversation = call.conversation && findConversation(world.store, call.conversation);
  return conversation
    ? itemsOf(world, conversation.seq)
    : itemsBefore(world, call.previousResponseId);
}

function itemsOf(world: World, conversation: number): unknown[] {
  const page = {
    order: 'desc',
    above: 0,
    below: Number.MAX_SAFE_INTEGER,
    limit: HISTORY_MAX,
  } as const;
  const rows = pageItems(world.store, { seq: conversation, type: undefined }, page);
  return rows.map(({ item }) => JSON.parse(item ?? '{}') as unknown).reverse();
}

function itemsBefore(world: World, from: string | undefined): unknown[] {
  const turns: unknown[][] = [];
  let id: unknown = from;
  while (typeof id === 'string' && turns.length < HISTORY_MAX) {
    const row = findResponse(world.store, id);
    if (!row) break;
    const asked = JSON.parse(row.asked) as { input?: unknown; previous_response_id?: unknown };
    turns.unshift([
      ...inputItems(world.draw, row.id, asked.input),
      ...(isRunning(row) ? [] : outputItems(world.draw, row.id, saidIn(row, asked))),
    ]);
    id = asked.previous_response_id;
  }
  return turns.flat();
}
