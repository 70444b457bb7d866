/** Compares what assistants, threads and runs have come to, and learns the ids and whatever else is drawn. */
import type { ThreadExpected } from '../thread-model/step.ts';
import {
  viewAssistant,
  viewMessage,
  viewRun,
  viewRunStep,
  viewThread,
} from '../thread-model/views.ts';
import {
  type Made,
  type Run,
  type RunStep,
  type Thread,
  there,
  threadOf,
} from '../thread-model/world.ts';
import { type Answer, API } from './asked.ts';
import type { Compared } from './compared.ts';
import type { Json } from './definition.ts';
import { threadsOf } from './state.ts';

/** The answer to a step: its status and text, and what it tells of what was asked for. */
export function compareToldOfThreads(
  both: Compared,
  { status, error, made, told }: ThreadExpected,
  answer: Answer,
): void {
  const { body } = answer;
  if (answer.status !== status)
    both.differ('the status', status, `${answer.status} ${answer.rule} ${JSON.stringify(body)}`);
  if (error) {
    both.count(`threads refused ${status}`);
    if (error.message !== undefined) both.same('the refusal', error.message, body.error?.message);
    return;
  }
  if (!told) return;
  if (made) compareMade(both, 'the answer', made, told, body);
  else both.same('the answer', told(), body);
}

/** What is known of it must be told, the rest must not change; ids of its calls are learned with it. */
function compareMade(
  both: Compared,
  where: string,
  one: Made,
  told: () => Json,
  body: Json = {},
): void {
  if (one.id === undefined && typeof body.id === 'string') one.id = body.id;
  if ('steps' in one) learnOfRun(both, one as Run, body);
  if ('calls' in one) learnCalls(one as RunStep, body.step_details);
  const known = told();
  const seen = Object.fromEntries(Object.keys(known).map((key) => [key, body[key]]));
  both.same(where, known, seen);
  for (const [key, value] of Object.entries(body)) {
    if (key in known) continue;
    if (key in one.drawn) both.same(`${where} ${key}, which never changes`, one.drawn[key], value);
    one.drawn[key] = value;
  }
}

/** A run's answer tells the thread that was made with it, and the calls that it waits for. */
function learnOfRun(both: Compared, run: Run, { thread_id, required_action }: Json): void {
  const thread = threadOf(both.model.state.threads, run.thread);
  if (typeof thread_id === 'string') thread.id ??= thread_id;
  const { submit_tool_outputs } = (required_action ?? {}) as Json;
  if (run.status === 'requires_action') learnCalls(run.steps.at(-1), submit_tool_outputs);
}

function learnCalls(step: RunStep | undefined, told: unknown): void {
  const { tool_calls = [] } = (told ?? {}) as { tool_calls?: Json[] };
  for (const [index, call] of (step?.calls ?? []).entries()) {
    const id = tool_calls[index]?.id;
    if (typeof id === 'string') call.id ??= id;
  }
}

/** Everything that is listed, where it is news; `whole` looks at what answers have told already, too. */
export async function compareThreads(both: Compared, whole: boolean): Promise<void> {
  const world = threadsOf(both.model.state);
  const threads = world.threads.filter(there);
  if (whole || threads.some(({ id }) => id === undefined)) {
    const assistants = world.assistants.filter(there);
    await compareList(both, 'assistants', assistants, viewAssistant);
    await compareList(both, 'threads', threads, viewThread);
  }
  for (const thread of threads) await compareThread(both, thread);
}

async function compareThread(both: Compared, thread: Thread): Promise<void> {
  const world = threadsOf(both.model.state);
  const path = `threads/${thread.id}`;
  await compareList(both, `${path}/runs`, thread.runs, (run) => viewRun(world, run));
  const messages = thread.messages.filter(there);
  await compareList(both, `${path}/messages`, messages, (one) => viewMessage(world, thread, one));
  for (const run of thread.runs) {
    const steps = `${path}/runs/${run.id}/steps`;
    await compareList(both, steps, run.steps, (step) => viewRunStep(world, run, step));
  }
}

async function compareList<T extends Made>(
  both: Compared,
  what: string,
  all: T[],
  view: (one: T) => Json,
): Promise<void> {
  const isBare = all.length === 0 && !both.thorough;
  if (isBare || !both.isNews(what, all.map(view))) return;
  const listed = await both.readAll(`${API}/${what}?order=asc`);
  both.same(`how many there are in ${what}`, all.length, listed.length);
  for (const [index, one] of all.entries())
    compareMade(both, `number ${index} of ${what}`, one, () => view(one), listed[index]);
  both.isNews(what, all.map(view));
}
