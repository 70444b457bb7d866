/** The tag Thread runs: assistants at work on threads, told as objects or as streams of events (contract/threads.md 4, 6, 9). */
import { isDeepStrictEqual } from 'node:util';
import type { SchemaValue } from '../../contracts/openapi.ts';
import { THREAD_RUN_TRANSITIONS } from '../lifecycle.ts';
import { type AssistantRow, findAssistant } from '../store/assistants.ts';
import {
  activeRunOf,
  findThreadRun,
  pageThreadRuns,
  placeOfThreadRun,
  putThreadRun,
  type ThreadRunRow,
} from '../store/thread-runs.ts';
import { streamThreadRun, type ThreadEvent } from '../thread-stream.ts';
import { madeCalls, viewThread, viewThreadRun } from '../work/thread-objects.ts';
import type { ToolOutput } from '../work/thread-run-children.ts';
import { beginThreadRun, cancelThreadRun, submitToolOutputs } from '../work/thread-runs.ts';
import { saidJson } from './assistants.ts';
import {
  type Answer,
  bodyAs,
  type CallInput,
  type Input,
  type Operation,
  type Subject,
} from './input.ts';
import { addMessages, requireSayable } from './messages.ts';
import { existingThread, requireUnlocked, subjectOf, threadSubject } from './on-thread.ts';
import { threadList } from './page.ts';
import { streamOf } from './stream.ts';
import { existing, missing, quoted, refusal } from './thread-refusal.ts';
import { makeThread } from './threads.ts';

const THREAD = '/threads/:thread_id';
const RUN = `${THREAD}/runs/:run_id`;

export const threadRunOperations: Operation[] = [
  {
    id: 'createThreadAndRun',
    method: 'POST',
    path: '/threads/runs',
    kind: 'call',
    handle: createWithThread,
  },
  {
    id: 'listThreadRuns',
    method: 'GET',
    path: `${THREAD}/runs`,
    kind: 'read',
    handle: list,
    subject: threadSubject,
  },
  { id: 'createThreadRun', method: 'POST', path: `${THREAD}/runs`, kind: 'call', handle: create },
  {
    id: 'getThreadRun',
    method: 'GET',
    path: RUN,
    kind: 'read',
    handle: get,
    subject: waitedOut,
  },
  { id: 'updateThreadRun', method: 'POST', path: RUN, kind: 'write', handle: update },
  { id: 'cancelThreadRun', method: 'POST', path: `${RUN}/cancel`, kind: 'write', handle: cancel },
  {
    id: 'submitToolOutputs',
    method: 'POST',
    path: `${RUN}/submit_tool_outputs`,
    kind: 'call',
    handle: submit,
  },
];

/** The run of a path, on its thread. */
export function existingRun(input: Input): ThreadRunRow {
  const { store } = input.project.world;
  const thread = existingThread(input);
  return existing('run', input.params.run_id, (id) => {
    const row = findThreadRun(store, id);
    return row?.thread === thread.id ? row : undefined;
  });
}

/** Who asks for a run again and again, and for nothing else, waits it out. */
function waitedOut(input: Input): Subject {
  return subjectOf(existingRun(input), input.project.world.profile.settings.outputs_patience);
}

type Created = SchemaValue<'ThreadRunCreate'> | SchemaValue<'ThreadAndRunCreate'>;

function assistantOf({ project }: Input, { assistant_id: id }: Created): AssistantRow {
  if (id === undefined) throw missing('assistant_id', 'thread-run/assistant-required');
  return existing('assistant', id, (known) => findAssistant(project.world.store, known));
}

function create(input: CallInput): Answer | Promise<Answer> {
  const { world } = input.project;
  const thread = existingThread(input);
  const asked = bodyAs('ThreadRunCreate', input.body);
  const assistant = assistantOf(input, asked);
  const { additional_instructions: further } = asked;
  const messages = asked.additional_messages ?? [];
  requireSayable(world, messages, 'additional_messages');
  if (messages.length > 0) requireUnlocked(world, thread);
  const active = activeRunOf(world.store, thread.id);
  if (active)
    throw refusal(
      `Thread ${thread.id} already has an active run ${active.id}.`,
      'thread-run/one-active',
    );
  return answerRun(input, asked.stream, (opened) => {
    addMessages(world, thread, messages);
    return beginThreadRun(world, { thread, assistant, asked, further, opened });
  });
}

function createWithThread(input: CallInput): Answer | Promise<Answer> {
  const { world } = input.project;
  const asked = bodyAs('ThreadAndRunCreate', input.body);
  const assistant = assistantOf(input, asked);
  return answerRun(input, asked.stream, (opened) => {
    const thread = makeThread(world, asked.thread ?? {}, 'thread.');
    const first = [{ event: 'thread.created', data: viewThread(thread) }];
    return beginThreadRun(world, {
      thread,
      assistant,
      asked,
      opened: (run) => opened(run, first),
    });
  });
}

/** A run that a turn begins or goes on with: as it stands then, or, asked for it, as a stream of what it says from then on. */
function answerRun(
  input: CallInput,
  streamed: boolean | null | undefined,
  work: (opened: (run: string, first?: readonly ThreadEvent[]) => void) => ThreadRunRow,
): Answer | Promise<Answer> {
  const leaving = new AbortController();
  let said: AsyncIterable<string> | undefined;
  const opened = (run: string, first: readonly ThreadEvent[] = []) => {
    if (streamed === true) said = streamThreadRun(input.project.engine, run, first, leaving.signal);
  };
  try {
    return input.begin(() => {
      const run = work(opened);
      if (said === undefined) return { answer: { status: 200, body: viewThreadRun(run) } };
      const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };
      const stream = streamOf(said, () => leaving.abort());
      return { answer: { status: 200, headers, stream } };
    });
  } catch (error) {
    leaving.abort();
    throw error;
  }
}

function list(input: Input): Answer {
  const { store } = input.project.world;
  const { id } = existingThread(input);
  return threadList(input, {
    what: 'run',
    placeOf: (run) => placeOfThreadRun(store, id, run),
    rows: (page) => pageThreadRuns(store, id, page),
    view: viewThreadRun,
    idOf: (run) => run.id,
  });
}

function get(input: Input): Answer {
  const { run_poll_after: pollAfterMs } = input.project.world.profile.settings;
  const headers: Record<string, string> =
    pollAfterMs > 0 ? { 'openai-poll-after-ms': String(pollAfterMs) } : {};
  return { status: 200, body: viewThreadRun(existingRun(input)), headers };
}

function update(input: Input): Answer {
  const row = existingRun(input);
  const { metadata } = bodyAs('ThreadRunUpdate', input.body);
  const changed = { ...row, metadata: saidJson(metadata, {}, row.metadata) };
  putThreadRun(input.project.world.store, changed);
  return { status: 200, body: viewThreadRun(changed) };
}

function cancel(input: Input): Answer {
  const row = existingRun(input);
  if (!THREAD_RUN_TRANSITIONS[row.status].includes('cancelling'))
    throw refusal(
      `Cannot cancel run with status '${row.status}'.`,
      'thread-run/cancel-needs-going',
    );
  return { status: 200, body: viewThreadRun(cancelThreadRun(input.project, row)) };
}

function submit(input: CallInput): Answer | Promise<Answer> {
  const row = existingRun(input);
  const { tool_outputs: given = [], stream } = bodyAs('SubmitToolOutputs', input.body);
  const outputs = given.map(readOutput);
  if (row.status !== 'requires_action')
    throw refusal(
      `Runs in status "${row.status}" do not accept tool outputs.`,
      'thread-run/submit-needs-requires-action',
    );
  requireOutputOfEach(row, outputs);
  return answerRun(input, stream, (opened) => {
    opened(row.id);
    return submitToolOutputs(input.project, row, outputs);
  });
}

type GivenOutput = NonNullable<SchemaValue<'SubmitToolOutputs'>['tool_outputs']>[number];

function readOutput({ tool_call_id: id, output }: GivenOutput, index: number): ToolOutput {
  if (id === undefined)
    throw missing(`tool_outputs[${index}].tool_call_id`, 'thread-run/tool-call-id-required');
  return { tool_call_id: id, output: output ?? '' };
}

/** One output for each call, in any order: no fewer, no others, none twice. */
function requireOutputOfEach(row: ThreadRunRow, outputs: readonly ToolOutput[]): void {
  const asked = madeCalls(row).map(({ id }) => id);
  const given = outputs.map(({ tool_call_id: id }) => id);
  if (isDeepStrictEqual(asked.toSorted(), given.toSorted())) return;
  throw refusal(
    `Expected tool outputs for call_ids ${listOf(asked)}, got ${listOf(given)}`,
    'thread-run/outputs-of-all-calls',
  );
}

function listOf(ids: readonly string[]): string {
  return `[${ids.map(quoted).join(', ')}]`;
}
