/** The steps of a thread run and the messages that they make: written when they begin, and ended with their run. */
import { piecesOf } from '../events.ts';
import { wordsOf } from '../run-model.ts';
import { type AskedCall, type MadeCall, type RunTurn, usageOf } from '../run-replies.ts';
import {
  openStepOf,
  putRunStep,
  type RunStepRow,
  stepsOfRun,
  type ThreadRunRow,
} from '../store/thread-runs.ts';
import {
  addMessage,
  findMessage,
  type MessageRow,
  newestUserMessage,
  putMessage,
} from '../store/threads.ts';
import type { World } from '../world.ts';
import { madeCalls, type RunSnapshot } from './thread-objects.ts';
import { sayCalls, sayMessage, sayStep, sayText } from './thread-run-events.ts';

/** A step begins, and the message that it makes. */
export function beginStep(world: World, run: ThreadRunRow, of: 'message' | 'calls'): RunStepRow {
  const { id, thread, assistant } = run;
  const ordinal = stepsOfRun(world.store, id).length + 1;
  const step: RunStepRow = {
    seq: world.nextSeq(),
    id: world.draw.id('step_', 'run step', id, ordinal),
    run: id,
    thread,
    assistant,
    created_at: world.now,
    status: 'in_progress',
    ended_at: null,
    message: of === 'message' ? world.draw.id('msg_', 'run message', id, ordinal) : null,
    calls: of === 'calls' ? '[]' : null,
    last_error: null,
    usage: null,
  };
  putRunStep(world.store, step);
  for (const event of ['created', 'in_progress']) sayStep(world, step, event);
  if (step.message !== null) beginMessage(world, step, step.message);
  return step;
}

function beginMessage(world: World, { run, thread, assistant }: RunStepRow, id: string): void {
  const message: MessageRow = {
    id,
    seq: world.nextSeq(),
    thread,
    created_at: world.now,
    status: 'in_progress',
    incomplete_reason: null,
    completed_at: null,
    incomplete_at: null,
    role: 'assistant',
    content: '[]',
    assistant,
    run,
    attachments: '[]',
    metadata: '{}',
  };
  addMessage(world.store, message);
  for (const event of ['created', 'in_progress']) sayMessage(world, message, event);
}

/** The message that a run is saying; undefined when it says none, or it was deleted. */
function openMessage({ store }: World, step: RunStepRow | undefined): MessageRow | undefined {
  const message = step?.message == null ? undefined : findMessage(store, step.thread, step.message);
  return message?.status === 'in_progress' ? message : undefined;
}

export function textOf(turn: RunTurn): string | undefined {
  return 'text' in turn ? turn.text : undefined;
}

/** In how many pieces a turn's text is said. */
export function countPieces(turn: RunTurn): number {
  return [...piecesOf(textOf(turn) ?? '', chunkOf(turn))].length;
}

/** Says the next `most` pieces of a turn's text; nothing where the message was deleted. */
export function sayOn(world: World, run: ThreadRunRow, turn: RunTurn, most: number): void {
  const message = openMessage(world, openStepOf(world.store, run.id));
  if (message === undefined) return;
  const text = textOf(turn) ?? '';
  const annotations = ('annotations' in turn ? turn.annotations : undefined) ?? [];
  const before: unknown = JSON.parse(message.content);
  let said = wordsOf(before);
  // An empty text is said too: whoever reads the message finds it.
  const isFirst = Array.isArray(before) && before.length === 0;
  const left =
    text === '' && isFirst ? [''] : [...piecesOf(text.slice(said.length), chunkOf(turn))];
  for (const [index, piece] of left.slice(0, most).entries()) {
    sayText(world, message, piece, isFirst && index === 0 ? [] : undefined);
    said += piece;
  }
  const whole = said.length === text.length;
  if (whole && left.length > 0 && annotations.length > 0) sayText(world, message, '', annotations);
  const value = { value: said, annotations: whole ? annotations : [] };
  putMessage(world.store, { ...message, content: JSON.stringify([{ type: 'text', text: value }]) });
}

function chunkOf(turn: RunTurn): number | undefined {
  return 'chunk' in turn ? turn.chunk : undefined;
}

const REASONS = {
  cancelled: 'run_cancelled',
  failed: 'run_failed',
  expired: 'run_expired',
  incomplete: 'max_tokens',
} as const;

/** How a run ends, or goes on; its step and its message end with it (contract/threads.md 7.2). */
export type StepEnd = 'completed' | keyof typeof REASONS;

/** Ends the step that a run is at, and the message that it was saying. */
export function endStep(world: World, run: ThreadRunRow, end: StepEnd): void {
  const step = openStepOf(world.store, run.id);
  if (step === undefined) return;
  const message = openMessage(world, step);
  if (message) endMessage(world, message, reasonOf(run, end));
  const isWhole = end === 'completed' || end === 'incomplete';
  // A run that was cut short has said all the same what its step has.
  const status = isWhole ? 'completed' : end;
  const usage = isWhole ? JSON.stringify(usageOfStep(world, run, step)) : null;
  const last_error = end === 'failed' ? errorOfStep(run) : null;
  const ended: RunStepRow = { ...step, status, ended_at: world.now, usage, last_error };
  putRunStep(world.store, ended);
  sayStep(world, ended);
}

/** Why a run's end leaves its message incomplete (contract/threads.md 5.3); null where it does not. */
function reasonOf({ last_error }: ThreadRunRow, end: StepEnd): MessageRow['incomplete_reason'] {
  if (end === 'completed') return null;
  const { code } = JSON.parse(last_error ?? '{}') as { code?: string };
  return code === 'content_filter' ? code : REASONS[end];
}

function endMessage(
  world: World,
  message: MessageRow,
  incomplete_reason: MessageRow['incomplete_reason'],
): void {
  const ended: MessageRow =
    incomplete_reason === null
      ? { ...message, status: 'completed', completed_at: world.now }
      : { ...message, status: 'incomplete', incomplete_reason, incomplete_at: world.now };
  putMessage(world.store, ended);
  sayMessage(world, ended);
}

/** A step knows two codes (contract/threads.md 5.5). */
function errorOfStep({ last_error }: ThreadRunRow): string {
  const error = JSON.parse(last_error ?? '{}') as { code: string; message: string };
  const code = error.code === 'rate_limit_exceeded' ? error.code : 'server_error';
  return JSON.stringify({ ...error, code });
}

function usageOfStep({ store }: World, run: ThreadRunRow, step: RunStepRow): unknown {
  const turn = JSON.parse(run.turn ?? '{"stuck":true}') as RunTurn;
  const { instructions } = JSON.parse(run.snapshot) as RunSnapshot;
  const heard = wordsOf(JSON.parse(newestUserMessage(store, run.thread)?.content ?? '[]'));
  const message = step.message === null ? undefined : findMessage(store, run.thread, step.message);
  const said = message
    ? wordsOf(JSON.parse(message.content))
    : madeCalls(step)
        .map((call) => call.name + call.arguments)
        .join('');
  return usageOf(turn, instructions + heard, said);
}

/** Tells the calls of a step; its run waits for their outputs. */
export function tellCalls(
  world: World,
  run: ThreadRunRow,
  asked: readonly AskedCall[],
  chunk: number | undefined,
): MadeCall[] {
  const open = openStepOf(world.store, run.id);
  if (open?.message != null) endStep(world, run, 'completed');
  const step = open?.calls == null ? beginStep(world, run, 'calls') : open;
  const calls = asked.map(({ id, name, arguments: given }, index) => ({
    id: world.draw.id('call_', 'tool call', step.id, index),
    ...(id === undefined ? {} : { own: id }),
    name,
    arguments: typeof given === 'string' ? given : JSON.stringify(given ?? {}),
    output: null,
  }));
  putRunStep(world.store, { ...step, calls: JSON.stringify(calls) });
  sayCalls(world, step, calls, chunk);
  return calls;
}

/** What was given for a call. */
export interface ToolOutput {
  tool_call_id: string;
  output: string;
}

/** The outputs came: the step of the calls is done. */
export function takeOutputs(world: World, run: ThreadRunRow, outputs: readonly ToolOutput[]): void {
  const step = openStepOf(world.store, run.id);
  if (step === undefined) return;
  const calls = madeCalls(step).map((call) => {
    const given = outputs.find(({ tool_call_id }) => tool_call_id === call.id);
    return { ...call, output: given?.output ?? null };
  });
  putRunStep(world.store, { ...step, calls: JSON.stringify(calls) });
  endStep(world, run, 'completed');
}
