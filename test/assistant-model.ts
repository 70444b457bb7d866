/** What the tests of assistants whose words are a model's share: what that says, and a thread on which it does. */
import type { ServerResponse } from 'node:http';
import { canonicalLines } from '../emulator/api/journal.ts';
import { replayJournal } from '../emulator/replay.ts';
import { expect, type Foundry, type Json } from './fixture.ts';

export const LOOK = {
  type: 'function',
  function: { name: 'look', description: 'Looks.', parameters: { type: 'object' } },
};

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** What a chat model says. */
export function chats(message: object, more: object = {}): unknown {
  return { choices: [{ message: { role: 'assistant', ...message }, ...more }] };
}

export function calls(...ids: string[]): unknown {
  const tool_calls = ids.map((id) => ({
    id,
    type: 'function',
    function: { name: 'look', arguments: `{"at":"${id}"}` },
  }));
  return chats({ content: null, tool_calls }, { finish_reason: 'tool_calls' });
}

/** An assistant whose words are those of a model at an address; its id. */
export async function speaker(
  foundry: Foundry,
  url: string,
  more: { reply?: object; assistant?: object } = {},
): Promise<string> {
  const { body } = await foundry.post('/assistants', { model: 'gpt-of-mine', ...more.assistant });
  await foundry.reply(body.id, { kind: 'model', url: `${url}/v1`, ...more.reply });
  return body.id;
}

/** A thread with these messages of its user, and its path. */
export async function thread(foundry: Foundry, ...said: unknown[]): Promise<string> {
  const messages = said.map((content) => ({ role: 'user', content }));
  const { body } = await foundry.post('/threads', { messages });
  return `/threads/${body.id}`;
}

export async function run(
  foundry: Foundry,
  at: string,
  assistant: string,
  more = {},
): Promise<string> {
  const { body } = await foundry.post(`${at}/runs`, { assistant_id: assistant, ...more });
  return `${at}/runs/${body.id}`;
}

/** The run as it is when it has come to rest; time moves on for it. */
export async function rest(foundry: Foundry, at: string): Promise<Json> {
  for (;;) {
    const { body } = await foundry.get(at);
    if (!['queued', 'in_progress', 'cancelling'].includes(body.status)) return body;
  }
}

export async function newest(foundry: Foundry, at: string): Promise<Json> {
  const { body } = await foundry.get(`${at}/messages?limit=1`);
  return body.data[0];
}

export function submit(foundry: Foundry, at: string, pending: Json, say: (id: string) => string) {
  const { tool_calls } = pending.required_action.submit_tool_outputs;
  const tool_outputs = tool_calls.map(({ id }: Json) => ({ tool_call_id: id, output: say(id) }));
  return foundry.post(`${at}/submit_tool_outputs`, { tool_outputs });
}

export async function expectSameReplay(foundry: Foundry): Promise<void> {
  const lines = canonicalLines(foundry.project);
  expect(await replayJournal(lines)).toEqual(lines);
}
