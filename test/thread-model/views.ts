/** Assistants, threads, messages, runs and their steps as contract 5 and 7.2 tell them; what is not known is left out. */
import {
  type Assistant,
  assistantOf,
  type Json,
  lasts,
  type Message,
  type Run,
  type RunStep,
  type Thread,
  type ThreadWorld,
  type ToolCall,
  threadOf,
} from './world.ts';

export function viewAssistant({ id, createdAt, body }: Assistant): Json {
  return {
    id,
    object: 'assistant',
    created_at: seconds(createdAt),
    name: null,
    description: null,
    instructions: null,
    tools: [],
    metadata: {},
    response_format: 'auto',
    temperature: 1,
    top_p: 1,
    ...body,
  };
}

export function viewThread({ id, createdAt, metadata }: Thread): Json {
  return { id, object: 'thread', created_at: seconds(createdAt), metadata };
}

export function viewMessage(world: ThreadWorld, thread: Thread, message: Message): Json {
  const { id, createdAt, role, status, text, reason, endedAt, metadata } = message;
  const run = thread.runs.find(({ key }) => key === message.run);
  const at = endedAt === undefined ? null : seconds(endedAt);
  return {
    id,
    object: 'thread.message',
    created_at: seconds(createdAt),
    thread_id: thread.id,
    status,
    incomplete_details: reason === undefined ? null : { reason },
    completed_at: status === 'completed' ? at : null,
    incomplete_at: status === 'incomplete' ? at : null,
    role,
    ...(text !== null && { content: status === 'in_progress' ? [] : [textOf(text)] }),
    assistant_id: run ? assistantOf(world, run.assistant).id : null,
    run_id: run?.id ?? null,
    attachments: [],
    metadata,
  };
}

function textOf(value: string): Json {
  return { type: 'text', text: { value, annotations: [] } };
}

export function viewRun(world: ThreadWorld, run: Run): Json {
  const { id, status, endedAt, instructions } = run;
  const at = endedAt === undefined ? null : seconds(endedAt);
  const expires = seconds(run.createdAt + lasts(world, 'run_expiry'));
  const keepsExpiry = endedAt === undefined || status === 'expired';
  return {
    id,
    object: 'thread.run',
    created_at: seconds(run.createdAt),
    thread_id: threadOf(world, run.thread).id,
    assistant_id: assistantOf(world, run.assistant).id,
    status,
    ...startOf(run),
    expires_at: keepsExpiry ? expires : null,
    completed_at: status === 'completed' || status === 'incomplete' ? at : null,
    cancelled_at: status === 'cancelled' ? at : null,
    failed_at: status === 'failed' ? at : null,
    required_action: requiredAction(run),
    ...(run.lastError !== undefined && { last_error: run.lastError }),
    incomplete_details: run.incomplete === undefined ? null : { reason: run.incomplete },
    model: run.model,
    ...(instructions !== undefined && { instructions }),
    metadata: run.metadata,
    ...((endedAt === undefined || status === 'expired') && { usage: null }),
  };
}

/** contract 7.2: of what has completed it is set, though nobody says to what where a run never began. */
function startOf({ status, startedAt }: Run): Json {
  if (startedAt === undefined && status === 'completed') return {};
  return { started_at: startedAt === undefined ? null : seconds(startedAt) };
}

function requiredAction({ status, steps }: Run): Json | null {
  const calls = steps.at(-1)?.calls;
  if (status !== 'requires_action' || !calls) return null;
  return {
    type: 'submit_tool_outputs',
    submit_tool_outputs: { tool_calls: calls.map((call) => viewCall(call, false)) },
  };
}

function viewCall({ id, name, arguments: said, output }: ToolCall, withOutput: boolean): Json {
  const of = { name, arguments: said, ...(withOutput && { output }) };
  return { id, type: 'function', function: of };
}

export function viewRunStep(world: ThreadWorld, run: Run, step: RunStep): Json {
  const { id, status, endedAt, lastError, calls, told } = step;
  const at = endedAt === undefined ? null : seconds(endedAt);
  const { messages, id: thread } = threadOf(world, run.thread);
  const message = messages.find(({ key }) => key === step.message);
  const type = calls ? 'tool_calls' : 'message_creation';
  const details = calls
    ? { tool_calls: told ? calls.map((call) => viewCall(call, true)) : [] }
    : { message_creation: { message_id: message?.id } };
  return {
    id,
    object: 'thread.run.step',
    created_at: seconds(step.createdAt),
    run_id: run.id,
    thread_id: thread,
    assistant_id: assistantOf(world, run.assistant).id,
    type,
    status,
    step_details: { type, ...details },
    ...(lastError !== undefined && { last_error: lastError }),
    completed_at: status === 'completed' ? at : null,
    cancelled_at: status === 'cancelled' ? at : null,
    failed_at: status === 'failed' ? at : null,
    expired_at: status === 'expired' ? at : null,
    metadata: {},
    ...(status === 'in_progress' && { usage: null }),
  };
}

/** All times of this family are whole seconds. */
function seconds(at: number): number {
  return Math.floor(at / 1_000);
}
