/** Conversations and their items, as the model keeps them. */
import type { Json } from './definition.ts';
import type { Conversation } from './resources.ts';
import type { State } from './state.ts';
import type { Refusal } from './step.ts';

export const UNKNOWN_CONVERSATION: Refusal = [404, 'conversation/unknown-answers-404'];

export function conversationOf(state: State, id: string): Conversation | undefined {
  return state.conversations.find((one) => one.id === id && !one.deleted);
}

export function makeConversation(state: State, { metadata = {}, items = [] }: Json): Conversation {
  state.keys += 1;
  const conversation: Conversation = {
    key: state.keys,
    id: undefined,
    metadata: metadata as Json,
    items: [],
    createdAt: state.now,
    session: undefined,
    deleted: false,
  };
  state.conversations.push(conversation);
  append(
    state,
    conversation,
    (items as Json[]).flatMap((item) => itemsOf([item])),
  );
  return conversation;
}

/** A message's role and words: what the model tells of an item. */
export function itemsOf(input: unknown): Json[] {
  if (typeof input === 'string') return [{ type: 'message', role: 'user', text: input }];
  if (!Array.isArray(input)) return itemsOf(JSON.stringify(input));
  return input.map(({ type = 'message', role, content }: Json) => ({ type, role, text: content }));
}

export function append(state: State, conversation: Conversation, items: Json[]): void {
  for (const shown of items) {
    state.keys += 1;
    conversation.items.push({ key: state.keys, id: undefined, shown });
  }
}
