/** What the tests of assistants, threads and runs make and hear, whichever client they are about. */
import type { Client, Told } from './assistants.ts';
import type { Answer, World } from './world.ts';

type Json = Answer['body'];

export const SAID = 'Hello there, and welcome.';
export const WEATHER = { name: 'get_weather', arguments: { city: 'Oslo' } };
export const TOOL = { type: 'function', function: { name: 'get_weather', parameters: {} } };

/** A turn that makes calls, and goes on with another when they are answered. */
export const calling = (tool_calls: Json[], next: Json) => ({ tool_calls, next });

/** An assistant that says these turns, made by no client. */
export async function assistant(world: World, ...turns: Json[]): Promise<string> {
  const body = { model: 'gpt-4.1', name: 'helper', tools: [TOOL] };
  const { id } = (await world.api('POST', '/assistants', { body })).body;
  if (turns.length > 0)
    await world.control('PUT', `/agents/${id}/reply`, { kind: 'script', turns });
  return id;
}

export async function thread(world: World): Promise<string> {
  const messages = [{ role: 'user', content: 'Hi.' }];
  return (await world.api('POST', '/threads', { body: { messages } })).body.id;
}

/** A thread of so many messages, all of one second. */
export async function conversation(world: World, count: number) {
  const thread_id = (await world.api('POST', '/threads', { body: {} })).body.id;
  const texts = Array.from({ length: count }, (_, index) => `message ${index + 1}`);
  for (const content of texts)
    await world.api('POST', `/threads/${thread_id}/messages`, { body: { role: 'user', content } });
  return { thread_id, texts };
}

export interface Heard {
  /** Deltas one after another count once, and the end of the stream, which one client keeps to itself, not at all. */
  names: string[];
  run: Json;
  message: Json;
  /** All that the deltas of the message said. */
  text: string;
  /** The call that the deltas of its step make. */
  calls: Json;
}

/** Hears a stream to its end; `cancels` cancels its run at the first piece of text. */
export async function heard(stream: AsyncIterable<Told>, cancels?: Client): Promise<Heard> {
  const result: Heard = { names: [], run: undefined, message: undefined, text: '', calls: {} };
  let isCancelled = false;
  for await (const { event, data } of stream) {
    if (event === 'done') continue;
    if (!event.endsWith('.delta') || result.names.at(-1) !== event) result.names.push(event);
    if (data.object === 'thread.run') result.run = data;
    if (data.object === 'thread.message') result.message = data;
    if (event === 'thread.run.step.delta') addCall(result.calls, data.delta.step_details);
    if (event !== 'thread.message.delta') continue;
    result.text += data.delta.content[0].text.value;
    if (cancels === undefined || isCancelled) continue;
    isCancelled = true;
    await cancels.cancel(result.run.thread_id, result.run.id);
  }
  return result;
}

function addCall(calls: Json, { tool_calls }: Json): void {
  for (const { id, function: called } of tool_calls) {
    if (id !== undefined) calls.id = id;
    if (called.name !== undefined) calls.name = called.name;
    calls.arguments = (calls.arguments ?? '') + called.arguments;
  }
}

/** A run as it is when nothing more happens to it by itself. */
export async function settled(client: Client, thread_id: string, id: string): Promise<Json> {
  const goesOn = ['queued', 'in_progress', 'cancelling'];
  for (;;) {
    const run = await client.getRun(thread_id, id);
    if (!goesOn.includes(run.status)) return run;
  }
}
