/**
 * Assistants, threads, messages, runs and run steps told a second time, from the reference of the service's contract, and
 * where it leaves a choice from the README and the ledger's statements: neither this file nor the ones it stands on import
 * anything of ours, and whoever wrote it had not read the emulator. What each request is answered, and with which text; which
 * moves a run makes, when, and what its fields say in each status; what its end does to its message and its step.
 *
 * Not modelled: replies by a model, paced texts, streams, skip, tools other than functions, attachments, texts of refusals
 * that are not public, and what no rule decides, such as counted tokens: those only must not change once they were told.
 */
import { pagesOf } from './lists.ts';
import {
  activeRunOf,
  beginRun,
  forget,
  move,
  outputsFor,
  settle,
  stepByHand,
  submit,
  TABLE,
} from './runs.ts';
import type {
  AssistantStep,
  MessageStep,
  OnThread,
  Outputs,
  RunStep as StepOfRun,
  ThreadExpected,
  ThreadStep,
} from './step.ts';
import { viewAssistant, viewMessage, viewRun, viewRunStep, viewThread } from './views.ts';
import {
  type Assistant,
  idOf,
  type Json,
  type Message,
  made,
  numbered,
  type Run,
  type RunStep,
  type Thread,
  type ThreadWorld,
  there,
} from './world.ts';

/** Takes one step, and says what must be answered. */
export function takeThreadStep(world: ThreadWorld, step: ThreadStep): ThreadExpected {
  switch (step.do) {
    case 'make assistant':
      return makeAssistant(world, step.body);
    case 'make thread':
      return ok(makeThread(world, step.body), viewThread);
    case 'get assistant':
    case 'update assistant':
    case 'delete assistant':
    case 'set reply':
      return onAssistant(world, step);
    case 'start thread and run':
      return startThreadAndRun(world, step);
    case 'leaf through':
      return pagesOf(world, step);
    default:
      return onThread(world, step);
  }
}

type To<Word extends ThreadStep['do']> = Extract<ThreadStep, { do: Word }>;

function ok<T extends Assistant | Thread | Message | Run | RunStep>(
  one: T,
  view: (one: T) => Json,
): ThreadExpected {
  return { status: 200, made: one, told: () => view(one) };
}

function refused(status: number, message?: string): ThreadExpected {
  return { status, error: { status, ...(message !== undefined && { message }) } };
}

function unknown(what: string, id: string): ThreadExpected {
  return refused(404, `No ${what} found with id '${id}'.`);
}

// Assistants

function makeAssistant(world: ThreadWorld, body: Json): ThreadExpected {
  if (body.model === undefined) return refused(400);
  const assistant: Assistant = {
    ...made(world),
    body: { ...body },
    reply: { kind: 'echo' },
    asked: 0,
    deleted: false,
  };
  world.assistants.push(assistant);
  return ok(assistant, viewAssistant);
}

function onAssistant(world: ThreadWorld, step: AssistantStep): ThreadExpected {
  const assistant = numbered(world.assistants, step.assistant);
  if (step.do === 'set reply') {
    if (!there(assistant)) return { status: 404, skipped: true };
    assistant.reply = step.reply;
    assistant.asked = 0;
    return { status: 200 };
  }
  if (!there(assistant)) return unknown('assistant', idOf(assistant, 'asst'));
  if (step.do === 'delete assistant') return remove(assistant, 'assistant');
  if (step.do === 'update assistant') Object.assign(assistant.body, step.body);
  return ok(assistant, viewAssistant);
}

/** contract 8.3. */
function remove(one: Assistant | Thread | Message, object: string): ThreadExpected {
  one.deleted = true;
  return { status: 200, told: () => ({ id: one.id, object: `${object}.deleted`, deleted: true }) };
}

// Threads and messages

function makeThread(world: ThreadWorld, { messages = [], metadata = {} }: Json): Thread {
  const thread: Thread = {
    ...made(world),
    metadata: metadata as Json,
    messages: [],
    runs: [],
    deleted: false,
  };
  for (const message of messages as Json[]) addMessage(world, thread, message);
  world.threads.push(thread);
  return thread;
}

function addMessage(world: ThreadWorld, thread: Thread, body: Json): Message {
  const { role, content, metadata = {} } = body;
  const message: Message = {
    ...made(world),
    role: String(role),
    status: 'completed',
    text: String(content),
    endedAt: world.now,
    metadata: metadata as Json,
    deleted: false,
  };
  thread.messages.push(message);
  return message;
}

function onThread(world: ThreadWorld, step: OnThread): ThreadExpected {
  const thread = numbered(world.threads, step.thread);
  if (!there(thread))
    return step.do === 'step run' ? refused(404) : unknown('thread', idOf(thread, 'thread'));
  switch (step.do) {
    case 'get thread':
      return ok(thread, viewThread);
    case 'update thread':
      thread.metadata = (step.body.metadata ?? thread.metadata) as Json;
      return ok(thread, viewThread);
    case 'delete thread':
      forget(world, thread);
      return remove(thread, 'thread');
    case 'add message': {
      const { role } = step.body;
      if (role !== 'user' && role !== 'assistant')
        return refused(
          400,
          `Invalid value: '${role}'. Supported values are: 'user' and 'assistant'.`,
        );
      const active = activeRunOf(thread);
      if (active)
        return refused(
          400,
          `Can't add messages to ${thread.id} while a run ${active.id} is active.`,
        );
      const message = addMessage(world, thread, step.body);
      return ok(message, (one) => viewMessage(world, thread, one));
    }
    case 'get message':
    case 'update message':
    case 'delete message':
      return onMessage(world, thread, step);
    case 'start run':
      return startRun(world, thread, step);
    default:
      return onRun(world, thread, step);
  }
}

function onMessage(world: ThreadWorld, thread: Thread, step: MessageStep): ThreadExpected {
  const message = numbered(thread.messages, step.message);
  if (!there(message)) return unknown('message', idOf(message, 'msg'));
  if (step.do === 'delete message') return remove(message, 'thread.message');
  if (step.do === 'update message')
    message.metadata = (step.body.metadata ?? message.metadata) as Json;
  return ok(message, (one) => viewMessage(world, thread, one));
}

// Runs

function startRun(world: ThreadWorld, thread: Thread, step: To<'start run'>): ThreadExpected {
  const assistant = numbered(world.assistants, step.assistant);
  if (!there(assistant)) return unknown('assistant', idOf(assistant, 'asst'));
  const active = activeRunOf(thread);
  const added = (step.body.additional_messages ?? []) as Json[];
  // contract 15 row 11: whether the messages or the run are told of, nobody has said.
  if (active && added.length > 0) return refused(400);
  if (active) return refused(400, `Thread ${thread.id} already has an active run ${active.id}.`);
  for (const message of added) addMessage(world, thread, message);
  return begun(world, thread, assistant, step.body);
}

function startThreadAndRun(
  world: ThreadWorld,
  { assistant: number, body }: To<'start thread and run'>,
): ThreadExpected {
  const assistant = numbered(world.assistants, number);
  if (!there(assistant)) return unknown('assistant', idOf(assistant, 'asst'));
  const thread = makeThread(world, (body.thread ?? {}) as Json);
  return begun(world, thread, assistant, body);
}

/** contract 15 row 10: what an assistant is by now is what its run stays. */
function begun(world: ThreadWorld, thread: Thread, of: Assistant, body: Json): ThreadExpected {
  const added = body.additional_instructions !== undefined;
  const run = beginRun(world, thread, {
    ...made(world),
    thread: thread.key,
    assistant: of.key,
    lastError: null,
    model: body.model ?? of.body.model,
    // contract 14 row 4.
    instructions: added ? undefined : (body.instructions ?? of.body.instructions ?? ''),
    metadata: (body.metadata ?? {}) as Json,
    steps: [],
  });
  return ok(run, (one) => viewRun(world, one));
}

function onRun(world: ThreadWorld, thread: Thread, step: StepOfRun): ThreadExpected {
  const run = numbered(thread.runs, step.run);
  if (!run) return step.do === 'step run' ? refused(404) : unknown('run', idOf(run, 'run'));
  const answered = () => ok(run, (one) => viewRun(world, one));
  switch (step.do) {
    case 'get run':
      return answered();
    case 'update run':
      run.metadata = (step.body.metadata ?? run.metadata) as Json;
      return answered();
    case 'get run step': {
      const one = numbered(run.steps, step.step);
      if (!one) return unknown('step', 'step_notmade');
      return ok(one, () => viewRunStep(world, run, one));
    }
    case 'cancel run':
      if (!TABLE[run.status].includes('cancelling'))
        return refused(400, `Cannot cancel run with status '${run.status}'.`);
      move(world, run, 'cancelling');
      return answered();
    case 'submit outputs':
      return submitted(world, run, step.outputs) ?? answered();
    case 'step run':
      return stepped(world, run, step);
  }
}

function submitted(world: ThreadWorld, run: Run, which: Outputs): ThreadExpected | undefined {
  const outputs = outputsFor(run, which);
  if (!outputs) return refused(400);
  if (run.status !== 'requires_action')
    return refused(400, `Runs in status "${run.status}" do not accept tool outputs.`);
  const list = (ids: Iterable<string>) => `[${[...ids].map((id) => `'${id}'`).join(', ')}]`;
  const open = run.steps.at(-1)?.calls?.map(({ id = '' }) => id) ?? [];
  const text = `Expected tool outputs for call_ids ${list(open)}, got ${list(outputs.keys())}`;
  if (which !== 'all') return refused(400, text);
  submit(world, run, outputs);
  return undefined;
}

/** By hand: the next move that is due, or the one that is named, if the table has it. */
function stepped(world: ThreadWorld, run: Run, { to, last_error }: To<'step run'>): ThreadExpected {
  const next = TABLE[run.status];
  if (to === undefined) return stepByHand(world, run) ? { status: 200 } : refused(409);
  if (!next.includes(to)) return refused(409);
  // What the run would say then, nobody has told.
  if (['queued', 'completed', 'incomplete', 'requires_action'].includes(to))
    return { status: 200, skipped: true };
  settle(world, run, to, to === 'failed' ? last_error : undefined);
  return { status: 200 };
}
