/** The tag Messages: what is said on a thread (contract/threads.md 4, 5.3, 6). */
import type { SchemaValue } from '../../contracts/openapi.ts';
import {
  addMessage,
  deleteMessage,
  findMessage,
  type MessageRow,
  pageMessages,
  placeOfMessage,
  putMessage,
  type ThreadRow,
} from '../store/threads.ts';
import { viewMessage } from '../work/thread-objects.ts';
import type { World } from '../world.ts';
import { saidJson } from './assistants.ts';
import { type Answer, bodyAs, type Input, type Operation } from './input.ts';
import { existingThread, requireUnlocked, threadSubject } from './on-thread.ts';
import { threadList } from './page.ts';
import { existing, refusal, unsupported } from './thread-refusal.ts';

const MESSAGES = '/threads/:thread_id/messages';
const MESSAGE = `${MESSAGES}/:message_id`;

export const messageOperations: Operation[] = [
  {
    id: 'listMessages',
    method: 'GET',
    path: MESSAGES,
    kind: 'read',
    handle: list,
    subject: threadSubject,
  },
  { id: 'createMessage', method: 'POST', path: MESSAGES, kind: 'write', handle: create },
  {
    id: 'getMessage',
    method: 'GET',
    path: MESSAGE,
    kind: 'read',
    handle: get,
    subject: threadSubject,
  },
  { id: 'updateMessage', method: 'POST', path: MESSAGE, kind: 'write', handle: update },
  { id: 'deleteMessage', method: 'DELETE', path: MESSAGE, kind: 'write', handle: remove },
];

type NewMessage = SchemaValue<'MessageCreate'>;

function named(input: Input): MessageRow {
  const { project, params } = input;
  const thread = existingThread(input);
  return existing('message', params.message_id, (id) =>
    findMessage(project.world.store, thread.id, id),
  );
}

function list(input: Input): Answer {
  const { store } = input.project.world;
  const { id: thread } = existingThread(input);
  const run = input.query.get('run_id') || undefined;
  return threadList<MessageRow>(input, {
    what: 'message',
    placeOf: (id) => placeOfMessage(store, thread, id),
    rows: (page) => pageMessages(store, { thread, run }, page),
    view: viewMessage,
    idOf: ({ id }) => id,
  });
}

function create(input: Input): Answer {
  const { world } = input.project;
  const thread = existingThread(input);
  const given = bodyAs('MessageCreate', input.body);
  requireOneSayable(world, given, '');
  requireUnlocked(world, thread);
  requireRoom(world, thread, 1);
  return { status: 200, body: viewMessage(add(world, thread, given)) };
}

/** Adds messages in their order. */
export function addMessages(world: World, thread: ThreadRow, given: readonly NewMessage[]): void {
  requireRoom(world, thread, given.length);
  for (const one of given) add(world, thread, one);
}

/** Refuses messages that nobody could add, locked or not; `at` is the field of the body that has them. */
export function requireSayable(world: World, given: readonly NewMessage[], at: string): void {
  for (const [index, one] of given.entries()) requireOneSayable(world, one, `${at}[${index}].`);
}

/** What the schema leaves to code, for the texts that the service is known for (contract/threads.md 8.2). */
function requireOneSayable({ profile }: World, { role, content }: NewMessage, at: string): void {
  if (role !== 'user' && role !== 'assistant')
    throw unsupported(role, ['user', 'assistant'], `${at}role`, 'message/role-known');
  if (typeof content === 'string') requireShort(profile.settings, content, `${at}content`);
  else
    for (const [index, block] of content.entries())
      if (block.type === 'text')
        requireShort(profile.settings, block.text, `${at}content[${index}].text`);
}

function requireShort(
  { message_text_max: max }: World['profile']['settings'],
  { length }: string,
  param: string,
): void {
  if (length <= max) return;
  throw refusal(
    `Invalid '${param}': string too long. Expected a string with maximum length ${max}, but got a string with length ${length} instead.`,
    'message/text-max',
    { param, code: 'string_above_max_length' },
  );
}

function requireRoom({ profile }: World, { id, messages }: ThreadRow, more: number): void {
  const { thread_messages_max: max } = profile.settings;
  if (messages + more <= max) return;
  throw refusal(
    `Thread ${id} has ${messages} of at most ${max} messages, and no room for ${more} more. Send fewer, delete some, or start another thread.`,
    'thread/messages-max',
  );
}

function add(world: World, { id: thread }: ThreadRow, given: NewMessage): MessageRow {
  const row: MessageRow = {
    id: world.draw.id('msg_', 'message', thread, world.ordinal(`message ${thread}`)),
    seq: world.nextSeq(),
    thread,
    created_at: world.now,
    status: 'completed',
    incomplete_reason: null,
    completed_at: world.now,
    incomplete_at: null,
    role: given.role,
    content: JSON.stringify(contentOf(given.content)),
    assistant: null,
    run: null,
    attachments: JSON.stringify((given.attachments ?? []).map(attachmentOf)),
    metadata: JSON.stringify(given.metadata ?? {}),
  };
  addMessage(world.store, row);
  return row;
}

function contentOf(content: NewMessage['content']): unknown[] {
  return typeof content === 'string' ? [textOf(content)] : content.map(itemOf);
}

function textOf(value: string): unknown {
  return { type: 'text', text: { value, annotations: [] } };
}

function itemOf(block: SchemaValue<'MessageBlock'>): unknown {
  switch (block.type) {
    case 'text':
      return textOf(block.text);
    case 'image_file': {
      const { file_id, detail } = block.image_file;
      return { type: block.type, image_file: { file_id, detail } };
    }
    case 'image_url': {
      const { url, detail } = block.image_url;
      return { type: block.type, image_url: { url, detail } };
    }
  }
}

/** Clients cannot read one without tools. */
function attachmentOf({ file_id, data_source, tools = [] }: Attached): unknown {
  return { file_id, data_source, tools };
}

type Attached = NonNullable<SchemaValue<'AttachmentsInput'>>[number];

function get(input: Input): Answer {
  return { status: 200, body: viewMessage(named(input)) };
}

function update(input: Input): Answer {
  const row = named(input);
  const { metadata } = bodyAs('MessageUpdate', input.body);
  const changed = { ...row, metadata: saidJson(metadata, {}, row.metadata) };
  putMessage(input.project.world.store, changed);
  return { status: 200, body: viewMessage(changed) };
}

function remove(input: Input): Answer {
  const row = named(input);
  deleteMessage(input.project.world.store, row);
  return { status: 200, body: { id: row.id, object: 'thread.message.deleted', deleted: true } };
}
