/** What an assistant says whose words are a model's: what that is told, and what becomes of its run. */
import { describe } from 'vitest';
import {
  calls,
  chats,
  expectSameReplay,
  json,
  LOOK,
  newest,
  rest,
  run,
  speaker,
  submit,
  thread,
} from './assistant-model.ts';
import { expect, type Json, localAgent, openFoundry, since, test } from './fixture.ts';

describe('an assistant with a model', () => {
  test('tells it the thread, and says what it says', async ({ foundry }) => {
    const model = await localAgent((response, number) =>
      json(response, chats({ content: `Answer ${number}.` })),
    );
    const assistant = await speaker(foundry, model.url, {
      reply: { api_key: 'a-secret' },
      assistant: {
        instructions: 'Be short.',
        temperature: 0.5,
        tools: [LOOK, { type: 'code_interpreter' }],
        response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: {} } },
      },
    });
    const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
    const at = await thread(foundry, 'one', [{ type: 'text', text: 'two' }, image]);

    const first = await rest(foundry, await run(foundry, at, assistant));
    await foundry.post(`${at}/messages`, { role: 'user', content: 'three' });
    await rest(
      foundry,
      await run(foundry, at, assistant, {
        additional_instructions: 'And kind.',
        tool_choice: { type: 'function', function: { name: 'look' } },
        parallel_tool_calls: false,
        truncation_strategy: { type: 'last_messages', last_messages: 2 },
        max_completion_tokens: 300,
      }),
    );

    expect(first).toMatchObject({ status: 'completed', model: 'gpt-of-mine' });
    expect(await newest(foundry, at)).toMatchObject({
      role: 'assistant',
      content: [{ type: 'text', text: { value: 'Answer 2.', annotations: [] } }],
    });
    const parts = [{ type: 'text', text: 'two' }, image];
    expect(model.heard.map(({ url, headers: { authorization } }) => [url, authorization])).toEqual([
      ['/v1/chat/completions', 'Bearer a-secret'],
      ['/v1/chat/completions', 'Bearer a-secret'],
    ]);
    const [one, two] = model.heard.map(({ body }) => JSON.parse(body));
    expect(one).toEqual({
      model: 'gpt-of-mine',
      temperature: 0.5,
      top_p: 1,
      stream: false,
      tools: [LOOK],
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: {} } },
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: 'one' },
        { role: 'user', content: parts },
      ],
    });
    expect(two).toMatchObject({
      tool_choice: { type: 'function', function: { name: 'look' } },
      parallel_tool_calls: false,
      max_tokens: 300,
    });
    expect(two.messages.map(({ content }: Json) => content)).toEqual([
      expect.stringMatching(/^Be short\.\s+And kind\.$/),
      'Answer 1.',
      'three',
    ]);
    const outcomes = await foundry.journal({ kind: 'outcome' });
    expect(outcomes).toMatchObject([1, 2].map(() => ({ arrival: { status: 200 } })));
    expect(JSON.stringify(await foundry.journal())).not.toContain('a-secret');
    await expectSameReplay(foundry);
  });

  test('gives it back its own call ids, round by round', async ({ foundry }) => {
    const { choices } = calls('c') as { choices: { message: object }[] };
    Object.assign(choices[0]?.message ?? {}, { content: 'Words beside a call.' });
    const answers = [calls('a', 'b'), { choices }, chats({ content: 'Seen.' })];
    const model = await localAgent((response, number) => json(response, answers[number - 1]));
    const assistant = await speaker(foundry, model.url, { assistant: { tools: [LOOK] } });
    const at = await thread(foundry, 'Look around.');
    const path = await run(foundry, at, assistant);

    const first = await rest(foundry, path);
    await submit(foundry, path, first, () => 'nothing');
    const second = await rest(foundry, path);
    await submit(foundry, path, second, () => 'a door');
    const last = await rest(foundry, path);

    const asked = [first, second].map(
      ({ required_action }) => required_action.submit_tool_outputs.tool_calls,
    );
    expect(asked).toEqual([
      ['a', 'b'].map((id) => ({
        id: expect.stringMatching(/^call_[0-9a-f]{24}$/),
        type: 'function',
        function: { name: 'look', arguments: `{"at":"${id}"}` },
      })),
      [expect.objectContaining({ function: { name: 'look', arguments: '{"at":"c"}' } })],
    ]);
    expect(new Set(asked.flat().map(({ id }) => id)).size).toBe(3);
    expect(last.status).toBe('completed');
    const { data } = (await foundry.get(`${at}/messages?order=asc`)).body;
    expect(data.map(({ content }: Json) => content[0].text.value)).toEqual([
      'Look around.',
      'Seen.',
    ]);
    const called = (id: string) => ({
      id,
      type: 'function',
      function: { name: 'look', arguments: `{"at":"${id}"}` },
    });
    expect(JSON.parse(model.heard[2]?.body ?? '{}').messages).toEqual([
      { role: 'user', content: 'Look around.' },
      { role: 'assistant', content: null, tool_calls: [called('a'), called('b')] },
      { role: 'tool', tool_call_id: 'a', content: 'nothing' },
      { role: 'tool', tool_call_id: 'b', content: 'nothing' },
      { role: 'assistant', content: null, tool_calls: [called('c')] },
      { role: 'tool', tool_call_id: 'c', content: 'a door' },
    ]);
    await expectSameReplay(foundry);
  });

  test('counts its tokens as the model did', async ({ foundry }) => {
    const usage = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 };
    const model = await localAgent((response) =>
      json(response, { ...(chats({ content: 'Twelve and five.' }) as object), usage }),
    );
    const assistant = await speaker(foundry, model.url);

    const done = await rest(foundry, await run(foundry, await thread(foundry, 'Hi.'), assistant));

    expect(done.usage).toMatchObject(usage);
  });

  test.for([
    [{}, { status: 'completed', incomplete_details: null }],
    [
      { max_completion_tokens: 256 },
      { status: 'incomplete', incomplete_details: { reason: 'max_completion_tokens' } },
    ],
  ] as const)('cut short by its length, with %j, is %j', async ([limits, told], { foundry }) => {
    const model = await localAgent((response) =>
      json(response, chats({ content: 'This is cut' }, { finish_reason: 'length' })),
    );
    const assistant = await speaker(foundry, model.url);
    const at = await thread(foundry, 'Go on.');

    const done = await rest(foundry, await run(foundry, at, assistant, limits));

    expect(done).toMatchObject(told);
    expect((await newest(foundry, at)).content[0].text.value).toBe('This is cut');
  });

  test('stopped by its content filter fails, and its message says so', async ({ foundry }) => {
    const model = await localAgent((response) =>
      json(response, chats({ content: 'This is' }, { finish_reason: 'content_filter' })),
    );
    const assistant = await speaker(foundry, model.url);
    const at = await thread(foundry, 'Go on.');

    const failed = await rest(foundry, await run(foundry, at, assistant));

    expect(failed).toMatchObject({ status: 'failed', last_error: { code: 'content_filter' } });
    expect(await newest(foundry, at)).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'content_filter' },
      content: [{ text: { value: 'This is' } }],
    });
  });

  test.for([
    [429, 'Slow down.', 'rate_limit_exceeded'],
    [500, 'Broken.', 'server_error'],
    [404, 'No such model.', 'server_error'],
  ] as const)(
    'that answers %i fails with its words',
    async ([status, message, code], { foundry }) => {
      const model = await localAgent((response) => json(response, { error: { message } }, status));
      const assistant = await speaker(foundry, model.url);
      const at = await thread(foundry, 'Hi.');

      const failed = await rest(foundry, await run(foundry, at, assistant));

      expect(failed).toMatchObject({
        status: 'failed',
        last_error: { code, message: expect.stringContaining(message) },
      });
      expect(
        (await foundry.post(`${at}/messages`, { role: 'user', content: 'Again.' })).status,
      ).toBe(200);
      await expectSameReplay(foundry);
    },
  );

  test('that cannot be reached fails', async ({ foundry }) => {
    const model = await localAgent(() => {});
    await model.close();
    const assistant = await speaker(foundry, model.url);

    const failed = await rest(foundry, await run(foundry, await thread(foundry, 'Hi.'), assistant));

    expect(failed).toMatchObject({
      status: 'failed',
      last_error: { code: 'server_error', message: expect.stringContaining(model.url) },
    });
  });

  test('that says nothing has its run expire at its instant', async () => {
    const foundry = openFoundry({ settings: { run_expiry: '1s' } });
    const model = await localAgent(() => {});
    const assistant = await speaker(foundry, model.url);
    const path = await run(foundry, await thread(foundry, 'Hi.'), assistant);

    const expired = await rest(foundry, path);

    expect(expired).toMatchObject({ status: 'expired', last_error: null });
    expect(since(await foundry.now())).toBe('1s');
    await expectSameReplay(foundry);
  });
});
