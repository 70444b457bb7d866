/** The tag Assistants: what runs on threads is made, changed and deleted (contract/threads.md 4, 5.1, 6). */
import type { SchemaValue } from '../../contracts/openapi.ts';
import { unixSeconds } from '../clock.ts';
import {
  type AssistantRow,
  deleteAssistant,
  findAssistant,
  pageAssistants,
  placeOfAssistant,
  putAssistant,
} from '../store/assistants.ts';
import { deleteReply } from '../store/faults.ts';
import { type Answer, bodyAs, type Input, type Operation } from './input.ts';
import { threadList } from './page.ts';
import { existing } from './thread-refusal.ts';

const ASSISTANT = '/assistants/:assistant_id';

export const assistantOperations: Operation[] = [
  { id: 'listAssistants', method: 'GET', path: '/assistants', kind: 'read', handle: list },
  { id: 'createAssistant', method: 'POST', path: '/assistants', kind: 'write', handle: create },
  { id: 'getAssistant', method: 'GET', path: ASSISTANT, kind: 'read', handle: get },
  { id: 'updateAssistant', method: 'POST', path: ASSISTANT, kind: 'write', handle: update },
  { id: 'deleteAssistant', method: 'DELETE', path: ASSISTANT, kind: 'write', handle: remove },
];

function named({ project, params }: Input): AssistantRow {
  return existing('assistant', params.assistant_id, (id) => findAssistant(project.world.store, id));
}

function list(input: Input): Answer {
  const { store } = input.project.world;
  return threadList<AssistantRow>(input, {
    what: 'assistant',
    placeOf: (id) => placeOfAssistant(store, id),
    rows: (page) => pageAssistants(store, page),
    view,
    idOf: ({ id }) => id,
  });
}

function create(input: Input): Answer {
  return makeAssistant(input, bodyAs('AssistantCreate', input.body));
}

/** Of a body that was checked. Inside a turn. */
export function makeAssistant(input: Input, body: SchemaValue<'AssistantCreate'>): Answer {
  const { world } = input.project;
  // An id that comes again says nothing of what the one before it said.
  if (input.id !== undefined) deleteReply(world.store, input.id);
  const row: AssistantRow = {
    id: input.id ?? world.draw.id('asst_', 'assistant', '', world.ordinal('assistant')),
    seq: world.nextSeq(),
    created_at: world.now,
    model: body.model,
    name: null,
    description: null,
    instructions: null,
    tools: '[]',
    tool_resources: '{}',
    temperature: 1,
    top_p: 1,
    response_format: '"auto"',
    metadata: '{}',
  };
  return put(input, changed(row, body));
}

function put({ project: { world } }: Input, row: AssistantRow): Answer {
  putAssistant(world.store, row);
  return { status: 200, body: view(row) };
}

function get(input: Input): Answer {
  return { status: 200, body: view(named(input)) };
}

function update(input: Input): Answer {
  const row = named(input);
  return put(input, changed(row, bodyAs('AssistantUpdate', input.body)));
}

/** What is named changes, and null takes it back to what a new assistant has. */
function changed(row: AssistantRow, body: SchemaValue<'AssistantUpdate'>): AssistantRow {
  return {
    ...row,
    model: body.model ?? row.model,
    name: said(body.name, null, row.name),
    description: said(body.description, null, row.description),
    instructions: said(body.instructions, null, row.instructions),
    tools: saidJson(body.tools, [], row.tools),
    tool_resources: saidJson(body.tool_resources, {}, row.tool_resources),
    temperature: said(body.temperature, 1, row.temperature),
    top_p: said(body.top_p, 1, row.top_p),
    response_format: saidJson(body.response_format, 'auto', row.response_format),
    metadata: saidJson(body.metadata, {}, row.metadata),
  };
}

function said<Value>(value: Value | null | undefined, unset: Value, before: Value): Value {
  return value === undefined ? before : (value ?? unset);
}

/** The same of a field that is kept as JSON. */
export function saidJson(value: unknown, unset: unknown, before: string): string {
  return value === undefined ? before : JSON.stringify(value ?? unset);
}

function remove(input: Input): Answer {
  const row = named(input);
  deleteAssistant(input.project.world.store, row);
  return { status: 200, body: { id: row.id, object: 'assistant.deleted', deleted: true } };
}

/** In the order of the live service. */
function view(row: AssistantRow): Record<string, unknown> {
  return {
    id: row.id,
    object: 'assistant',
    created_at: unixSeconds(row.created_at),
    name: row.name,
    description: row.description,
    model: row.model,
    instructions: row.instructions,
    tools: JSON.parse(row.tools),
    top_p: row.top_p,
    temperature: row.temperature,
    tool_resources: JSON.parse(row.tool_resources),
    metadata: JSON.parse(row.metadata),
    response_format: JSON.parse(row.response_format),
  };
}
