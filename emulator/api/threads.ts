/** The tag Threads: threads are made, changed, and deleted with all that is on them (contract/threads.md 4, 5.2). */
import type { SchemaValue } from '../../contracts/openapi.ts';
import {
  deleteThread,
  pageThreads,
  placeOfThread,
  putThread,
  type ThreadRow,
} from '../store/threads.ts';
import { viewThread } from '../work/thread-objects.ts';
import { forgetRunsOf } from '../work/thread-runs.ts';
import type { World } from '../world.ts';
import { saidJson } from './assistants.ts';
import { type Answer, bodyAs, type Input, type Operation } from './input.ts';
import { addMessages, requireSayable } from './messages.ts';
import { existingThread } from './on-thread.ts';
import { threadList } from './page.ts';

const THREAD = '/threads/:thread_id';

export const threadOperations: Operation[] = [
  { id: 'listThreads', method: 'GET', path: '/threads', kind: 'read', handle: list },
  { id: 'createThread', method: 'POST', path: '/threads', kind: 'write', handle: create },
  { id: 'getThread', method: 'GET', path: THREAD, kind: 'read', handle: get },
  { id: 'updateThread', method: 'POST', path: THREAD, kind: 'write', handle: update },
  { id: 'deleteThread', method: 'DELETE', path: THREAD, kind: 'write', handle: remove },
];

function list(input: Input): Answer {
  const { store } = input.project.world;
  return threadList<ThreadRow>(input, {
    what: 'thread',
    placeOf: (id) => placeOfThread(store, id),
    rows: (page) => pageThreads(store, page),
    view: viewThread,
    idOf: ({ id }) => id,
  });
}

/** Clients send an empty object, and may send nothing. */
function create(input: Input): Answer {
  const body = bodyAs('ThreadCreate', input.body === undefined ? {} : input.body);
  return { status: 200, body: viewThread(makeThread(input.project.world, body, '')) };
}

/** A thread with its messages; `at` is where in the body it stands, such as `thread.`. */
export function makeThread(world: World, body: SchemaValue<'ThreadCreate'>, at: string): ThreadRow {
  const row: ThreadRow = {
    id: world.draw.id('thread_', 'thread', '', world.ordinal('thread')),
    seq: world.nextSeq(),
    created_at: world.now,
    tool_resources: saidJson(body.tool_resources, {}, '{}'),
    metadata: saidJson(body.metadata, {}, '{}'),
    messages: 0,
  };
  const messages = body.messages ?? [];
  requireSayable(world, messages, `${at}messages`);
  putThread(world.store, row);
  addMessages(world, row, messages);
  return row;
}

function get(input: Input): Answer {
  return { status: 200, body: viewThread(existingThread(input)) };
}

function update(input: Input): Answer {
  const row = existingThread(input);
  const body = bodyAs('ThreadUpdate', input.body);
  const changed: ThreadRow = {
    ...row,
    tool_resources: saidJson(body.tool_resources, {}, row.tool_resources),
    metadata: saidJson(body.metadata, {}, row.metadata),
  };
  putThread(input.project.world.store, changed);
  return { status: 200, body: viewThread(changed) };
}

/** Its runs go with it, and their streams break off. */
function remove(input: Input): Answer {
  const { world } = input.project;
  const row = existingThread(input);
  forgetRunsOf(world, row.id);
  deleteThread(world.store, row);
  return { status: 200, body: { id: row.id, object: 'thread.deleted', deleted: true } };
}
