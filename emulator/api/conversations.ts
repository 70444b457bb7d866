/** The tag Conversations: at an agent's endpoint and of the project, which share one store (assumed). */
import { unixSeconds } from '../clock.ts';
import { requireConversation, unknownConversation } from '../endpoint.ts';
import { notFound, shown } from '../errors.ts';
import { inputItems } from '../response.ts';
import {
  type ConversationRow,
  countItems,
  deleteConversation,
  deleteItem,
  findItem,
  type ItemRow,
  pageConversations,
  pageItems,
  placeOfConversation,
  putConversation,
} from '../store/conversations.ts';
import { addItems } from '../work/responses.ts';
import type { World } from '../world.ts';
import { agentFilter } from './by-project.ts';
import { ENDPOINT } from './call.ts';
import { existingAgent } from './existing.ts';
import { type Answer, bodyAs, type Handle, type Input, type Operation } from './input.ts';
import { agentList } from './page.ts';

const CONVERSATION = '/:conversation_id';
const ITEMS = `${CONVERSATION}/items`;
const ITEM = `${ITEMS}/:item_id`;

/** Each of these at an agent's endpoint, and of the project. */
const EACH: (Pick<Operation, 'method'> & {
  kind: 'read' | 'write';
  handle: Handle;
  verb: string;
  of: string;
  tail: string;
})[] = [
  { verb: 'create', of: 'Conversation', tail: '', method: 'POST', kind: 'write', handle: create },
  { verb: 'get', of: 'Conversation', tail: CONVERSATION, method: 'GET', kind: 'read', handle: get },
  {
    verb: 'update',
    of: 'Conversation',
    tail: CONVERSATION,
    method: 'POST',
    kind: 'write',
    handle: update,
  },
  {
    verb: 'delete',
    of: 'Conversation',
    tail: CONVERSATION,
    method: 'DELETE',
    kind: 'write',
    handle: remove,
  },
  {
    verb: 'create',
    of: 'ConversationItems',
    tail: ITEMS,
    method: 'POST',
    kind: 'write',
    handle: createItems,
  },
  {
    verb: 'list',
    of: 'ConversationItems',
    tail: ITEMS,
    method: 'GET',
    kind: 'read',
    handle: listItems,
  },
  { verb: 'get', of: 'ConversationItem', tail: ITEM, method: 'GET', kind: 'read', handle: getItem },
  {
    verb: 'delete',
    of: 'ConversationItem',
    tail: ITEM,
    method: 'DELETE',
    kind: 'write',
    handle: removeItem,
  },
];

export const conversationOperations: Operation[] = [
  ...EACH.map(({ verb, of, tail, ...rest }) => ({
    ...rest,
    id: `${verb}Agent${of}`,
    path: `${ENDPOINT}/openai/conversations${tail}`,
    alias: `${ENDPOINT}/openai/v1/conversations${tail}`,
  })),
  ...EACH.map(({ verb, of, tail, ...rest }) => ({
    ...rest,
    id: `${verb}${of}`,
    path: `/openai/v1/conversations${tail}`,
  })),
  {
    id: 'listConversations',
    method: 'GET',
    path: '/openai/v1/conversations',
    kind: 'read',
    handle: list,
  },
];

function existing(input: Input): ConversationRow {
  const { world } = input.project;
  requireAgent(input);
  const id = input.params.conversation_id ?? '';
  const row = requireConversation(world, id);
  if (row) return row;
  throw unknownConversation(id);
}

/** At an agent's endpoint the agent must be there; the project's own routes have none. */
function requireAgent({ params: { agent_name: name }, project }: Input): string | null {
  return name === undefined ? null : existingAgent(project.world, name).agent.key;
}

function create(input: Input): Answer {
  const { world } = input.project;
  const { metadata, items } = bodyAs(
    'ConversationCreate',
    input.body === undefined ? {} : input.body,
  );
  const agentKey = requireAgent(input);
  const row: ConversationRow = {
    id: world.draw.id('conv_', 'conversation', '', world.ordinal('conversation')),
    seq: world.nextSeq(),
    created_at: world.now,
    metadata: JSON.stringify(metadata ?? {}),
    agent_key: agentKey,
    version: null,
    session: null,
  };
  putConversation(world.store, row);
  append(world, row, items ?? []);
  return { status: 200, body: view(row) };
}

/** Appends items as they are given; their ids are ours. */
function append(
  world: World,
  row: ConversationRow,
  given: readonly unknown[],
): Record<string, unknown>[] {
  const from = countItems(world.store, row.seq) + 1;
  const items = inputItems(world.draw, row.id, given, from);
  addItems(world, row, items);
  return items;
}

function get(input: Input): Answer {
  return { status: 200, body: view(existing(input)) };
}

function update(input: Input): Answer {
  const { world } = input.project;
  const { metadata } = bodyAs('ConversationUpdate', input.body);
  const row = { ...existing(input), metadata: JSON.stringify(metadata ?? {}) };
  putConversation(world.store, row);
  return { status: 200, body: view(row) };
}

function remove(input: Input): Answer {
  const row = existing(input);
  deleteConversation(input.project.world.store, row);
  return { status: 200, body: { id: row.id, object: 'conversation.deleted', deleted: true } };
}

function list(input: Input): Answer {
  const { store } = input.project.world;
  const filter = agentFilter(input);
  return agentList(input, {
    what: 'conversation',
    placeOf: (id) => placeOfConversation(store, id),
    rows: (page) => pageConversations(store, filter, page),
    view,
    idOf: (row) => row.id,
  });
}

function view({ id, created_at, metadata }: ConversationRow): Record<string, unknown> {
  return {
    id,
    object: 'conversation',
    created_at: unixSeconds(created_at),
    metadata: JSON.parse(metadata),
  };
}

function createItems(input: Input): Answer {
  const { world } = input.project;
  const { items } = bodyAs('ConversationItemsCreate', input.body);
  const data = append(world, existing(input), items ?? []);
  const [first, last] = [data[0], data.at(-1)];
  return {
    status: 200,
    body: {
      object: 'list',
      data,
      first_id: first?.id ?? null,
      last_id: last?.id ?? null,
      has_more: false,
    },
  };
}

function listItems(input: Input): Answer {
  const { store } = input.project.world;
  const { seq } = existing(input);
  const type = input.query.get('item_type') || undefined;
  return agentList(input, {
    what: 'item',
    placeOf: (id) => findItem(store, seq, id)?.seq,
    rows: (page) => pageItems(store, { seq, type }, page),
    view: viewItem,
    idOf: (row) => row.id,
  });
}

function viewItem({ item }: ItemRow): Record<string, unknown> {
  return JSON.parse(item ?? '{}') as Record<string, unknown>;
}

function existingItem(input: Input): { row: ConversationRow; item: ItemRow } {
  const row = existing(input);
  const id = input.params.item_id ?? '';
  const item = findItem(input.project.world.store, row.seq, id);
  if (item?.item) return { row, item };
  throw notFound(
    `The conversation ${shown(row.id)} has no item ${shown(id)}, or no longer.`,
    'conversation/unknown-item-answers-404',
  );
}

function getItem(input: Input): Answer {
  return { status: 200, body: viewItem(existingItem(input).item) };
}

function removeItem(input: Input): Answer {
  const { row, item } = existingItem(input);
  deleteItem(input.project.world.store, item);
  return { status: 200, body: view(row) };
}
