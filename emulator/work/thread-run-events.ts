/** What a thread run tells those who hear it, event by event (contract/threads.md 9). Nothing of it is stored. */
import { piecesOf } from '../events.ts';
import type { MadeCall } from '../run-replies.ts';
import type { RunStepRow, ThreadRunRow } from '../store/thread-runs.ts';
import type { MessageRow } from '../store/threads.ts';
import type { World } from '../world.ts';
import { viewMessage, viewRunStep, viewThreadRun } from './thread-objects.ts';

/** What due rows of a run refer to, whose readers wait for it, and the topic under which it is heard. */
export function refOfThreadRun(id: string): string {
  return `thread_run:${id}`;
}

/** Views cost something: they are made for somebody only. */
function say(world: World, run: string, event: string, data: () => unknown): void {
  const topic = refOfThreadRun(run);
  if (world.hears(topic)) world.say(topic, { event, data: data() });
}

export function sayRun(world: World, run: ThreadRunRow, event: string = run.status): void {
  say(world, run.id, `thread.run.${event}`, () => viewThreadRun(run));
}

export function sayStep(world: World, step: RunStepRow, event: string = step.status): void {
  say(world, step.run, `thread.run.step.${event}`, () => viewRunStep(step));
}

export function sayMessage(
  world: World,
  message: MessageRow,
  event: string = message.status,
): void {
  say(world, message.run ?? '', `thread.message.${event}`, () => viewMessage(message));
}

/** A piece of a message's text. The first one says that there are annotations, the last which. */
export function sayText(
  world: World,
  { id, run }: MessageRow,
  value: string,
  annotations?: readonly unknown[],
): void {
  say(world, run ?? '', 'thread.message.delta', () => {
    const told = annotations?.map((one, index) => ({ index, ...(one as object) }));
    const text = told === undefined ? { value } : { value, annotations: told };
    const content = [{ index: 0, type: 'text', text }];
    return { id, object: 'thread.message.delta', delta: { role: 'assistant', content } };
  });
}

/** The calls of a step. Their ids and names are said once: who puts the pieces together adds each to what was before. */
export function sayCalls(
  world: World,
  step: RunStepRow,
  calls: readonly MadeCall[],
  chunk: number | undefined,
): void {
  const delta = (index: number, call: object) =>
    say(world, step.run, 'thread.run.step.delta', () => {
      const tool_calls = [{ index, ...call }];
      const step_details = { type: 'tool_calls', tool_calls };
      return { id: step.id, object: 'thread.run.step.delta', delta: { step_details } };
    });
  for (const [index, { id, name, arguments: text }] of calls.entries()) {
    const called = { name, arguments: '', output: null };
    delta(index, { id, type: 'function', function: called });
    for (const piece of piecesOf(text, chunk))
      delta(index, { type: 'function', function: { arguments: piece } });
  }
}
