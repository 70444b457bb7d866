/** Threads, messages, runs and steps as clients read them (contract/threads.md 5.2 to 5.5): every field, in the service's order. */
import { type Instant, unixSeconds } from '../clock.ts';
import type { MadeCall } from '../run-replies.ts';
import type { RunStepRow, ThreadRunRow } from '../store/thread-runs.ts';
import type { MessageRow, ThreadRow } from '../store/threads.ts';

/** The assistant as it was when its run was made, with what the run overrides, in the words of the wire. */
export interface RunSnapshot {
  model: string;
  instructions: string;
  tools: unknown[];
  tool_resources: unknown;
  temperature: number;
  top_p: number;
  max_completion_tokens: number | null;
  max_prompt_tokens: number | null;
  truncation_strategy: unknown;
  response_format: unknown;
  tool_choice: unknown;
  parallel_tool_calls: boolean;
}

type Json = Record<string, unknown>;

function seconds(at: Instant | null): number | null {
  return at === null ? null : unixSeconds(at);
}

function json(text: string | null): unknown {
  return text === null ? null : (JSON.parse(text) as unknown);
}

export function viewThread(row: ThreadRow): Json {
  return {
    id: row.id,
    object: 'thread',
    created_at: unixSeconds(row.created_at),
    tool_resources: json(row.tool_resources),
    metadata: json(row.metadata),
  };
}

export function viewMessage(row: MessageRow): Json {
  const { status, incomplete_reason: reason } = row;
  return {
    id: row.id,
    object: 'thread.message',
    created_at: unixSeconds(row.created_at),
    thread_id: row.thread,
    status,
    incomplete_details: reason === null ? null : { reason },
    completed_at: seconds(row.completed_at),
    incomplete_at: seconds(row.incomplete_at),
    role: row.role,
    // What was said so far is told to those who hear it, and to nobody else.
    content: status === 'in_progress' ? [] : json(row.content),
    assistant_id: row.assistant,
    run_id: row.run,
    attachments: json(row.attachments),
    metadata: json(row.metadata),
  };
}

/** Those that the instant of the end is told under; a run that expired has none (contract/threads.md 7.2). */
const STAMPS: Readonly<Record<string, string>> = {
  cancelled: 'cancelled_at',
  failed: 'failed_at',
  completed: 'completed_at',
  incomplete: 'completed_at',
};

export function viewThreadRun(row: ThreadRunRow): Json {
  const snapshot = json(row.snapshot) as RunSnapshot;
  const { status, incomplete_reason: reason } = row;
  const stamps: Json = { cancelled_at: null, failed_at: null, completed_at: null };
  const stamp = STAMPS[status];
  if (stamp !== undefined) stamps[stamp] = seconds(row.ended_at);
  return {
    id: row.id,
    object: 'thread.run',
    created_at: unixSeconds(row.created_at),
    assistant_id: row.assistant,
    thread_id: row.thread,
    status,
    started_at: seconds(row.started_at),
    expires_at: stamp === undefined ? unixSeconds(row.expires_at) : null,
    ...stamps,
    required_action: row.calls === null ? null : actionOf(madeCalls(row)),
    last_error: json(row.last_error),
    model: snapshot.model,
    instructions: snapshot.instructions,
    tools: snapshot.tools,
    tool_resources: snapshot.tool_resources,
    metadata: json(row.metadata),
    temperature: snapshot.temperature,
    top_p: snapshot.top_p,
    max_completion_tokens: snapshot.max_completion_tokens,
    max_prompt_tokens: snapshot.max_prompt_tokens,
    truncation_strategy: snapshot.truncation_strategy,
    incomplete_details: reason === null ? null : { reason },
    usage: json(row.usage),
    response_format: snapshot.response_format,
    tool_choice: snapshot.tool_choice,
    parallel_tool_calls: snapshot.parallel_tool_calls,
  };
}

function actionOf(calls: readonly MadeCall[]): Json {
  const tool_calls = calls.map(({ id, name, arguments: text }) => ({
    id,
    type: 'function',
    function: { name, arguments: text },
  }));
  return { type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls } };
}

/** The tool calls that a run waits for, or that a step is of. */
export function madeCalls({ calls }: { calls: string | null }): MadeCall[] {
  return calls === null ? [] : (JSON.parse(calls) as MadeCall[]);
}

export function viewRunStep(row: RunStepRow): Json {
  const { status } = row;
  const at = (ended: RunStepRow['status']) => (status === ended ? seconds(row.ended_at) : null);
  return {
    id: row.id,
    object: 'thread.run.step',
    created_at: unixSeconds(row.created_at),
    run_id: row.run,
    assistant_id: row.assistant,
    thread_id: row.thread,
    type: row.message === null ? 'tool_calls' : 'message_creation',
    status,
    cancelled_at: at('cancelled'),
    completed_at: at('completed'),
    expired_at: at('expired'),
    failed_at: at('failed'),
    last_error: json(row.last_error),
    step_details: detailsOf(row),
    usage: json(row.usage),
    metadata: {},
  };
}

function detailsOf(row: RunStepRow): Json {
  if (row.message !== null)
    return { type: 'message_creation', message_creation: { message_id: row.message } };
  const tool_calls = madeCalls(row).map(({ id, name, arguments: text, output }) => ({
    id,
    type: 'function',
    function: { name, arguments: text, output },
  }));
  return { type: 'tool_calls', tool_calls };
}
