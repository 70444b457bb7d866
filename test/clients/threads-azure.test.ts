/** What `@azure/ai-agents` alone has: its pages, its polling, and how it reads a refusal; and a job of seed 004, over TLS. */
import { AgentsClient } from '@azure/ai-agents';
import { describe, expect, test } from 'vitest';
import { azure, azureOf, type Listed } from './assistants.ts';
import { Polysync, split } from './polysync.ts';
import {
  assistant,
  calling,
  conversation,
  heard,
  SAID,
  settled,
  thread,
  WEATHER,
} from './threads-fixture.ts';
import { type Answer, makeWorld, TOKEN, type World } from './world.ts';

type Json = Answer['body'];

describe('@azure/ai-agents', () => {
  test('comes by the first page of a list, and by the others with a cursor', async () => {
    const world = await makeWorld('threads-azure-pages');
    const client = azure(world);
    const { thread_id, texts } = await conversation(world, 47);
    const textsOf = (page: Json[]) => page.map(({ content }) => content[0].text.value);

    const newest = await client.messages(thread_id);
    expect(textsOf(newest)).toEqual(texts.toReversed().slice(0, 20));
    const after = newest.at(-1).id;
    const older = await client.messages(thread_id, { after, limit: 100 });
    expect(textsOf(older)).toEqual(texts.toReversed().slice(20));
    const before = older[0].id;
    expect(await client.messages(thread_id, { before, limit: 20 })).toEqual(newest);
    const oldest = await client.messages(thread_id, { order: 'asc', limit: 3 });
    expect(textsOf(oldest)).toEqual(texts.slice(0, 3));
  });

  test('goes on in every list from what it had last', async () => {
    const world = await makeWorld('threads-azure-lists');
    const client = azure(world);
    const raw = azureOf(world);
    const calls = calling([WEATHER], calling([WEATHER], { text: SAID }));
    const assistants = [
      await assistant(world),
      await assistant(world),
      await assistant(world, calls),
    ];
    const threads = [await thread(world), await thread(world), await thread(world)];
    const [thread_id = '', assistant_id = ''] = [threads[0], assistants[2]];
    const runs: string[] = [];
    for (let number = 0; number < 3; number += 1) {
      const { id } = await client.run(thread_id, { assistant_id });
      for (let run = await settled(client, thread_id, id); run.status !== 'completed'; ) {
        const [call] = run.required_action.submit_tool_outputs.tool_calls;
        await client.submit(thread_id, id, [{ tool_call_id: call.id, output: 'rain' }]);
        run = await settled(client, thread_id, id);
      }
      runs.push(id);
    }

    const pages = async (list: (query: Listed) => Promise<Json[]>) => {
      const found: string[] = [];
      for (let after: string | undefined; ; after = found.at(-1)) {
        const page = await list({ limit: 2, ...(after === undefined ? {} : { after }) });
        if (page.length === 0) return found;
        found.push(...page.map(({ id }) => id));
      }
    };
    expect(await pages((query) => client.assistants(query))).toEqual(assistants.toReversed());
    expect(await pages((query) => Array.fromAsync(raw.threads.list(query)))).toEqual(
      threads.toReversed(),
    );
    expect(await pages((query) => client.runs(thread_id, query))).toEqual(runs.toReversed());
    const [run = ''] = runs;
    expect(await pages((query) => client.steps(thread_id, run, query))).toHaveLength(3);
    expect(await pages((query) => client.messages(thread_id, query))).toHaveLength(4);
  });

  test('keeps asking about a run that waits for outputs, until it expires', async () => {
    const world = await makeWorld('threads-azure-parked');
    const client = azure(world);
    const assistant_id = await assistant(world, { tool_calls: [WEATHER] });
    const thread_id = await thread(world);

    const polled = client.poll(thread_id, {
      assistant_id,
      polling_options: { interval_in_ms: 20 },
    });

    await expect(polled).rejects.toThrow('Operation failed');
    expect(await client.runs(thread_id)).toMatchObject([{ status: 'expired' }]);
  });

  test('asks for more of a step in a spelling of its own', async () => {
    const world = await makeWorld('threads-azure-include');
    const client = azure(world);
    const assistant_id = await assistant(world);
    const include = ['step_details.tool_calls[*].file_search.results[*].content'];
    const run = await client.run(await thread(world), { assistant_id, include });
    expect(run.status).toBe('queued');
  });

  test('loses the text of a stream that is refused, and nothing else', async () => {
    const world = await makeWorld('threads-azure-stream-refused');
    const client = azure(world);
    const stream = client.streamRun('thread_none', { assistant_id: await assistant(world) });
    await expect(heard(stream)).rejects.toMatchObject({ name: 'RestError', statusCode: 404 });
  });
});

describe('@azure/ai-agents, signed out', () => {
  const nobody = { getToken: async () => ({ token: '', expiresOnTimestamp: 4_102_444_800_000 }) };
  const refused = (world: World) =>
    new AgentsClient(world.endpoint, nobody).threads.create().then(
      () => expect.fail('it was let in'),
      (error) => error,
    );

  test('is told why', async () => {
    expect(await refused(await makeWorld('threads-azure-nobody'))).toMatchObject({
      name: 'RestError',
      statusCode: 401,
      code: 'Unauthorized',
      message: expect.stringMatching(/^Unauthorized\. Access token is missing/),
    });
  });

  test('cannot read the body that the live gateway writes', async () => {
    const switches = { unauthorized_body: 'flat' };
    const world = await makeWorld('threads-azure-flat');
    await world.control('PATCH', '', { switches });
    expect(await refused(world)).toBeInstanceOf(TypeError);
  });
});

test('a job of seed 004 runs over TLS, and not with a key', async () => {
  const world = await makeWorld('threads-polysync');
  const externalId = await assistant(world, { text: SAID });
  const { endpoint } = world;
  const connection = { endpoint, fetch, wait: async () => {}, pollMs: 0 };
  const headers = { authorization: `Bearer ${TOKEN}` };

  const { runId, outputs } = await new Polysync({ ...connection, headers }).run(externalId, {
    user_message: 'Hi.',
  });

  expect(outputs).toEqual({ thread_id: split(runId).thread, response: SAID });
  const keyed = new Polysync({ ...connection, headers: { 'api-key': 'a-key' } });
  await expect(keyed.discover()).rejects.toMatchObject({ status: 401 });
});
