/** What the beta of `openai` alone has: its paging, its helpers, and its ways to sign in. */
import { AzureOpenAI } from 'openai';
import { describe, expect, test } from 'vitest';
import { openai, openaiOf } from './assistants.ts';
import {
  assistant,
  calling,
  conversation,
  SAID,
  settled,
  thread,
  WEATHER,
} from './threads-fixture.ts';
import { type Answer, makeWorld, TOKEN } from './world.ts';

type Json = Answer['body'];

describe('openai', () => {
  test('pages through every list by itself', async () => {
    const world = await makeWorld('threads-openai-pages');
    const asked: string[] = [];
    const noted: typeof fetch = (url, init) => {
      asked.push(new URL(String(url)).pathname.split('/').at(-1) ?? '');
      return fetch(url, init);
    };
    const client = openai(world, { fetch: noted });
    const { thread_id, texts } = await conversation(world, 47);
    for (let number = 0; number < 25; number += 1) await assistant(world);
    const assistant_id = await assistant(world);
    for (let number = 0; number < 5; number += 1) {
      await client.run(thread_id, { assistant_id });
      await world.advance('10s');
    }

    const said = await client.messages(thread_id, { order: 'asc' });
    expect(said.slice(0, 47).map(({ content }) => content[0].text.value)).toEqual(texts);
    expect(said).toHaveLength(52);
    expect(await client.messages(thread_id)).toEqual(said.toReversed());
    const made = await client.assistants();
    expect(new Set(made.map(({ id }) => id)).size).toBe(made.length);
    expect(made.length).toBeGreaterThanOrEqual(26);
    const runs = await client.runs(thread_id, { limit: 2 });
    expect(runs).toHaveLength(5);
    const [{ id }] = runs;
    expect(await client.steps(thread_id, id, { limit: 1 })).toHaveLength(1);
    expect(asked.filter((path) => path === 'messages')).toHaveLength(6);
    // Beside the five that were made.
    expect(asked.filter((path) => path === 'runs')).toHaveLength(5 + 3);
  });

  test('polls as often as the answer says, and answers calls on the way', async () => {
    const settings = { run_poll_after: '20ms' };
    const world = await makeWorld('threads-openai-helpers', { settings });
    const { threads } = openaiOf(world).beta;
    const assistant_id = await assistant(world, calling([WEATHER], { text: SAID }));
    const startedAt = performance.now();

    const asked = await threads.createAndRunPoll({
      assistant_id,
      thread: { messages: [{ role: 'user', content: 'Hi.' }] },
    });
    const { id, thread_id, required_action } = asked;
    const tool_outputs = (required_action?.submit_tool_outputs.tool_calls ?? []).map((call) => ({
      tool_call_id: call.id,
      output: 'rain',
    }));
    const done = await threads.runs.submitToolOutputsAndPoll(id, { thread_id, tool_outputs });

    expect([asked.status, done.status]).toEqual(['requires_action', 'completed']);
    // Without the header it would wait for five seconds each time.
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    const { response } = await threads.runs.retrieve(id, { thread_id }).withResponse();
    expect(response.headers.get('openai-poll-after-ms')).toBe('20');
  });

  test.each([
    { end: 'completed', turn: { text: SAID } },
    { end: 'failed', turn: { failed: { code: 'server_error' } } },
    { end: 'cancelled', turn: { text: SAID } },
    { end: 'expired', turn: { stuck: true } },
    { end: 'incomplete', turn: { text: SAID, incomplete: 'max_prompt_tokens' } },
  ])('polls a new thread, and a run with its outputs, until it is $end', async (given) => {
    const { end, turn } = given;
    const world = await makeWorld(`threads-openai-polls-${end}`);
    const { threads } = openaiOf(world).beta;
    const polling = { pollIntervalMs: 10 };
    const plan = { at: 'transition', of: 'thread_run', from: 'in_progress', to: 'cancelling' };
    const arm = async () => end === 'cancelled' && world.arm({ ...plan, times: 1 });

    await arm();
    const assistant_id = await assistant(world, turn, calling([WEATHER], turn));
    const ofThread = await threads.createAndRunPoll({ assistant_id }, polling);
    const { id, thread_id, required_action } = await threads.createAndRunPoll(
      { assistant_id },
      polling,
    );
    await arm();
    const [call] = required_action?.submit_tool_outputs.tool_calls ?? [];
    const tool_outputs = [{ tool_call_id: call?.id ?? '', output: 'rain' }];
    const ofOutputs = await threads.runs.submitToolOutputsAndPoll(
      id,
      { thread_id, tool_outputs },
      polling,
    );

    expect([ofThread.status, ofOutputs.status]).toEqual([end, end]);
  });

  test('puts runs, messages and steps together from what a stream tells', async () => {
    const world = await makeWorld('threads-openai-final');
    const { threads } = openaiOf(world).beta;
    const client = openai(world);
    const turn = { text: SAID, every: '1s' };
    const thread_id = await thread(world);

    const stream = threads.runs.stream(thread_id, { assistant_id: await assistant(world, turn) });
    const said: (string | undefined)[] = [];
    stream.on('textDelta', ({ value }) => said.push(value));
    const run = await stream.finalRun();

    expect(said.length).toBeGreaterThan(1);
    expect(said.join('')).toBe(SAID);
    expect(await client.getRun(thread_id, run.id)).toEqual(run);
    expect(await client.messages(thread_id, { run_id: run.id })).toEqual(
      await stream.finalMessages(),
    );
    expect(await client.steps(thread_id, run.id)).toEqual(await stream.finalRunSteps());
  });

  test('leaves a stream, and its run goes on', async () => {
    const world = await makeWorld('threads-openai-left');
    const { threads } = openaiOf(world).beta;
    const client = openai(world);
    const thread_id = await thread(world);
    const body = { assistant_id: await assistant(world, { text: SAID, every: '1s' }) };

    for await (const { event } of threads.runs.stream(thread_id, body))
      if (event === 'thread.message.delta') break;

    const [{ id }] = await client.runs(thread_id);
    expect(await settled(client, thread_id, id)).toMatchObject({ status: 'completed' });
    const [message] = await client.messages(thread_id);
    expect(message.content[0].text.value).toBe(SAID);
  });

  test('deletes a message', async () => {
    const world = await makeWorld('threads-openai-delete');
    const client = openai(world);
    const { messages } = openaiOf(world).beta.threads;
    const thread_id = await thread(world);
    const [{ id }] = await client.messages(thread_id);

    expect(await messages.delete(id, { thread_id })).toEqual({
      id,
      object: 'thread.message.deleted',
      deleted: true,
    });
    await expect(client.getMessage(thread_id, id)).rejects.toMatchObject({ status: 404 });
  });

  test('gets 401 with a key, and is let in with a token', async () => {
    const world = await makeWorld('threads-openai-key');
    const sent: string[] = [];
    const noted: typeof fetch = (url, init) => {
      const names = [...new Headers(init?.headers).keys()];
      sent.push(...names.filter((name) => ['api-key', 'authorization'].includes(name)));
      return fetch(url, init);
    };
    const azureOpenAI = (how: Json) =>
      new AzureOpenAI({ baseURL: world.endpoint, apiVersion: 'v1', fetch: noted, ...how }).beta;
    const keyed = azureOpenAI({ apiKey: 'a-key-of-the-resource' });
    const refused = { status: 401, code: 'Unauthorized' };

    await expect(keyed.threads.create()).rejects.toMatchObject(refused);
    await expect(keyed.assistants.list()).rejects.toThrow(/^401 Unauthorized/);
    const signedIn = azureOpenAI({ azureADTokenProvider: async () => TOKEN });
    expect(await signedIn.threads.create()).toMatchObject({ object: 'thread' });
    expect(sent).toEqual(['api-key', 'api-key', 'authorization']);
  });
});
