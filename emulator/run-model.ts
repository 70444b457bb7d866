/** A thread run told to a model as a Responses request, and the model's answer told as a run's turn. Pure. */
import { type Json, listOf } from './chat.ts';
import type { Arrival } from './faults.ts';
import type { MadeCall, RunTurn, RunUsage } from './run-replies.ts';

/** What of a run, as its object has it, a model is asked with. */
export interface AskedRun {
  model: string;
  instructions: string;
  tools: unknown;
  temperature: number | null;
  top_p: number | null;
  tool_choice: unknown;
  parallel_tool_calls: boolean;
  response_format: unknown;
  max_completion_tokens: number | null;
}

/** A prompt agent's definition that answers as the assistant of a run would. */
export function definitionOf(run: AskedRun): Json {
  const { model, temperature, top_p, parallel_tool_calls } = run;
  const format = formatOf(run.response_format);
  const functions = listOf(run.tools).filter(({ type }) => type === 'function');
  return {
    kind: 'prompt',
    model,
    instructions: run.instructions === '' ? null : run.instructions,
    temperature,
    top_p,
    // Other tools run in the service, and no model knows them.
    tools: functions.map((tool) => ({ type: 'function', ...(tool.function as Json) })),
    tool_choice: choiceOf(run.tool_choice),
    // True is what a model does without being told.
    ...(parallel_tool_calls ? {} : { parallel_tool_calls }),
    ...(format === undefined ? {} : { text: { format } }),
    max_output_tokens: run.max_completion_tokens,
  };
}

/** `auto` is what a model does without being told. */
function choiceOf(choice: unknown): unknown {
  if (choice === 'auto') return null;
  const { type, function: called } = (choice ?? {}) as Json;
  return type === 'function' ? { type, name: (called as Json | undefined)?.name } : choice;
}

function formatOf(format: unknown): Json | undefined {
  const { type, json_schema } = (format ?? {}) as Json;
  if (type === 'json_schema') return { type, ...(json_schema as Json) };
  return type === 'json_object' ? { type } : undefined;
}

/** A message of the thread as an item; images by address go with it, files the model cannot see. */
export function itemOf({ role, content }: { role: string; content: unknown }): Json | undefined {
  const parts = listOf(content).flatMap((part) => partOf(part));
  if (parts.length === 0) return undefined;
  const plain = role === 'assistant' || parts.every(({ type }) => type === 'input_text');
  return { role, content: plain ? parts.map(({ text }) => text ?? '').join('') : parts };
}

function partOf(part: Json): Json[] {
  if (part.type === 'text') return [{ type: 'input_text', text: textOf(part) }];
  const { url, detail } = (part.image_url ?? {}) as Json;
  if (part.type !== 'image_url') return [];
  return [{ type: 'input_image', image_url: url, ...(detail === undefined ? {} : { detail }) }];
}

function textOf(part: Json): string {
  return String((part.text as Json | undefined)?.value ?? '');
}

/** The words of a message's content, as an echo hears them. */
export function wordsOf(content: unknown): string {
  return listOf(content)
    .map((part) => (part.type === 'text' ? textOf(part) : ''))
    .join('');
}

/** The calls that a run has made and what came of them, with the ids that the model gave them. */
export function itemsOfCalls(made: readonly MadeCall[]): Json[] {
  const calls = made.map(({ id, own, name, arguments: args }) => ({
    type: 'function_call',
    call_id: own ?? id,
    name,
    arguments: args,
  }));
  const outputs = made.map(({ id, own, output }) => ({
    type: 'function_call_output',
    call_id: own ?? id,
    output: output ?? '',
  }));
  return [...calls, ...outputs];
}

/** What a run says whose model gave this. `capped`: the run limits its tokens, so that it may end as incomplete. */
export function turnOfModel(arrival: Arrival, capped: boolean): RunTurn {
  // Who has heard nothing by the run's expiry goes on waiting, and it expires.
  if (arrival.kind === 'later') return { stuck: true };
  if (arrival.kind !== 'answered') return serverError(`The model gave no answer: ${arrival.kind}.`);
  const answer = JSON.parse(arrival.body) as Json;
  if (arrival.status === 429)
    return { failed: { code: 'rate_limit_exceeded', message: messageIn(answer) } };
  if (answer.status === 'failed') return serverError(messageIn(answer));
  const output = listOf(answer.output);
  const usage = usageOf(answer.usage);
  const counted = usage === undefined ? {} : { usage };
  const calls = output.filter(({ type }) => type === 'function_call').map(callOf);
  if (calls.length > 0) return { ...counted, tool_calls: calls, asks: true };
  const text = output.flatMap(({ content }) => listOf(content)).map(saidIn);
  return { ...counted, ...endOf(answer, text.join(''), capped) };
}

function endOf(answer: Json, text: string, capped: boolean): RunTurn {
  const { reason } = (answer.incomplete_details ?? {}) as Json;
  if (reason === 'content_filter') {
    const message = 'The answer was stopped by the content filter of its model.';
    return { failed: { code: 'content_filter', message }, text };
  }
  // The status is not one of version v1: only who has set a limit is told that it was reached.
  return reason !== undefined && capped ? { text, incomplete: 'max_completion_tokens' } : { text };
}

function serverError(message: string): RunTurn {
  return { failed: { code: 'server_error', message } };
}

function messageIn({ error }: Json): string {
  return String((error as Json | undefined)?.message ?? 'The model failed without a word.');
}

function callOf({ call_id, name, arguments: args }: Json): {
  id: string;
  name: string;
  arguments: string;
} {
  return { id: String(call_id), name: String(name), arguments: String(args ?? '') };
}

function saidIn({ text, refusal }: Json): string {
  return String(text ?? refusal ?? '');
}

function usageOf(usage: unknown): RunUsage | undefined {
  const { input_tokens, output_tokens, total_tokens } = (usage ?? {}) as Json;
  if (typeof input_tokens !== 'number' || typeof output_tokens !== 'number') return undefined;
  const total = typeof total_tokens === 'number' ? total_tokens : input_tokens + output_tokens;
  return { prompt_tokens: input_tokens, completion_tokens: output_tokens, total_tokens: total };
}
