/** Replies of the kind model, against a server of that shape that others made: aimock answers as OpenAI's APIs do. */
import { LLMock } from '@copilotkit/aimock';
import { createParser } from 'eventsource-parser';
import OpenAI from 'openai';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Answer, makeWorld, send, TOKEN, type World } from './world.ts';

type Json = Answer['body'];

const KEY = 'a-key-that-nobody-may-see';
const LOOK = {
  type: 'function',
  name: 'look',
  description: 'Looks.',
  parameters: { type: 'object', properties: { where: { type: 'string' } } },
};

const mock = new LLMock({ port: 0, chunkSize: 4, logLevel: 'silent' });

beforeAll(async () => {
  mock.onToolResult('call_of_the_model', { content: 'I saw it.' });
  mock.onMessage('watch', {
    toolCalls: [{ id: 'call_of_the_model', name: 'look', arguments: '{"where":"there"}' }],
  });
  mock.onMessage('hello', { content: 'Hello from a model.' });
  mock.onMessage('look', { toolCalls: [{ name: 'look', arguments: '{"where":"here"}' }] });
  mock.onMessage('and now', { content: 'Still here.' });
  mock.onMessage('too long', { content: 'This is cut', finishReason: 'length' });
  mock.onMessage(
    'break',
    { content: 'Words that end in the middle.' },
    { truncateAfterChunks: 7, latency: 10 },
  );
  await mock.start();
  return () => mock.stop();
});

let worlds = 0;

/** Runs an assistant in a new thread, whose words are the model's: the client, its run when it has come to rest. */
async function assisted(api: 'chat' | 'responses', content: string) {
  worlds += 1;
  const world = await makeWorld(`model-${worlds}`);
  const client = new OpenAI({
    apiKey: TOKEN,
    baseURL: world.endpoint,
    defaultQuery: { 'api-version': 'v1' },
  });
  const { name, description, parameters } = LOOK;
  const assistant = await client.beta.assistants.create({
    model: 'gpt-of-the-assistant',
    tools: [{ type: 'function', function: { name, description, parameters } }],
  });
  const reply = { kind: 'model', url: `${mock.url}/v1`, api, api_key: KEY };
  await world.control('PUT', `/agents/${assistant.id}/reply`, reply);
  const run = await client.beta.threads.createAndRunPoll({
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content }] },
  });
  return { client, run };
}

async function newestText(client: OpenAI, thread: string): Promise<unknown> {
  const { data } = await client.beta.threads.messages.list(thread, { limit: 1 });
  const [said] = data[0]?.content ?? [];
  return said?.type === 'text' ? said.text.value : undefined;
}

/** A world with the prompt agent `chat`, whose words are the model's. */
async function chatting(api: 'chat' | 'responses', more: object = {}): Promise<World> {
  worlds += 1;
  const world = await makeWorld(`model-${worlds}`);
  const definition = {
    kind: 'prompt',
    model: 'gpt-of-the-agent',
    instructions: 'Be short.',
    temperature: 0.3,
    tools: [LOOK, { type: 'code_interpreter', container: { type: 'auto' } }],
  };
  await world.api('POST', '/agents/chat/versions?api-version=v1', { body: { definition } });
  const reply = { kind: 'model', url: `${mock.url}/v1`, api, api_key: KEY, ...more };
  await world.control('PUT', '/agents/chat/reply', reply);
  mock.clearRequests();
  return world;
}

const RESPONSES = '/agents/chat/endpoint/protocols/openai/responses';

function ask(world: World, input: unknown, more: object = {}): Promise<Answer> {
  return world.api('POST', `${RESPONSES}?api-version=v1`, { body: { input, ...more } });
}

async function streamed(world: World, input: unknown): Promise<Json[]> {
  const answer = await fetch(`${world.endpoint}${RESPONSES}?api-version=v1`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ input, stream: true }),
  });
  const events: Json[] = [];
  const parser = createParser({ onEvent: ({ data }) => events.push(JSON.parse(data)) });
  parser.feed(await answer.text());
  return events;
}

function lastAsked(): Json {
  return mock.getLastRequest()?.body;
}

describe.each(['chat', 'responses'] as const)('a model that speaks %s', (api) => {
  test('answers for its agent', async () => {
    const world = await chatting(api);

    const { status, body } = await ask(world, 'hello');

    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: expect.stringMatching(/^resp_/),
      object: 'response',
      status: 'completed',
      model: 'gpt-of-the-agent',
      agent_reference: { name: 'chat', version: '1' },
      output: [
        { type: 'message', content: [{ type: 'output_text', text: 'Hello from a model.' }] },
      ],
      usage: { total_tokens: expect.any(Number) },
    });
    expect((await world.api('GET', `${RESPONSES}/${body.id}?api-version=v1`)).body).toEqual(body);
  });

  test('streams for its agent', async () => {
    const world = await chatting(api);

    const events = await streamed(world, 'hello');

    const types = events.map(({ type }) => type.replace('response.', ''));
    expect(types.filter((type, index) => type !== types[index - 1])).toEqual([
      'created',
      'in_progress',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'completed',
    ]);
    const deltas = events.flatMap(({ delta }) => delta ?? []);
    expect(deltas.length).toBeGreaterThan(2);
    expect(deltas.join('')).toBe('Hello from a model.');
    const { response } = events.at(-1);
    expect(response).toMatchObject({ status: 'completed', agent_reference: { name: 'chat' } });
    expect(response.output[0].content[0].text).toBe('Hello from a model.');
    expect((await world.api('GET', `${RESPONSES}/${response.id}?api-version=v1`)).body).toEqual(
      response,
    );
  });

  test('calls the tools of the definition, and hears what they gave', async () => {
    const world = await chatting(api);

    const { body } = await ask(world, 'look');
    const streaming = await streamed(world, 'look');

    const called = { type: 'function_call', name: 'look', arguments: '{"where":"here"}' };
    expect(body.output).toMatchObject([called]);
    expect(streaming.at(-1).response.output).toMatchObject([called]);
    const output = { type: 'function_call_output', call_id: body.output[0].call_id, output: 'ok' };
    const next = await ask(world, [output, { role: 'user', content: 'and now' }], {
      previous_response_id: body.id,
    });
    expect(next.body.output[0].content[0].text).toBe('Still here.');
    expect(lastAsked()).toMatchObject({ temperature: 0.3 });
    expect(JSON.stringify(lastAsked().tools)).toContain('"look"');
    expect(JSON.stringify(lastAsked().tools)).not.toContain('code_interpreter');
  });

  test('answers for an assistant', async () => {
    const { client, run } = await assisted(api, 'hello');

    expect(run).toMatchObject({
      status: 'completed',
      model: 'gpt-of-the-assistant',
      usage: { total_tokens: expect.any(Number) },
    });
    expect(await newestText(client, run.thread_id)).toBe('Hello from a model.');
  });

  test('gets back its own call id from an assistant', async () => {
    const { client, run } = await assisted(api, 'watch');
    const [call] = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    const tool_outputs = [{ tool_call_id: call?.id ?? '', output: 'a door' }];

    const done = await client.beta.threads.runs.submitToolOutputsAndPoll(run.id, {
      thread_id: run.thread_id,
      tool_outputs,
    });

    expect(call).toMatchObject({
      id: expect.stringMatching(/^call_[0-9a-f]{24}$/),
      function: { name: 'look', arguments: '{"where":"there"}' },
    });
    expect(done.status).toBe('completed');
    expect(await newestText(client, run.thread_id)).toBe('I saw it.');
  });

  test('that fails has its run fail', async () => {
    mock.nextRequestError(500, { message: 'out of order' });
    const { run } = await assisted(api, 'hello');
    mock.nextRequestError(429, { message: 'slow down' });
    const { run: limited } = await assisted(api, 'hello');

    expect([run, limited]).toMatchObject([
      {
        status: 'failed',
        last_error: { code: 'server_error', message: expect.stringContaining('out of order') },
      },
      { status: 'failed', last_error: { code: 'rate_limit_exceeded' } },
    ]);
  });

  test('that answers an error is a response that failed', async () => {
    const world = await chatting(api);
    mock.nextRequestError(500, { message: 'out of order' });

    const { status, body } = await ask(world, 'hello');

    const error = { code: 'server_error', message: expect.stringContaining('out of order') };
    expect([status, body]).toMatchObject([200, { status: 'failed', error, output: [] }]);
    mock.nextRequestError(500, { message: 'out of order' });
    const [...events] = await streamed(world, 'hello');
    expect(events.at(-1)).toMatchObject({ type: 'response.failed', response: { error } });
  });

  test('that is asked too often says so', async () => {
    const world = await chatting(api);
    mock.nextRequestError(429, { message: 'slow down' });

    const { status, body } = await ask(world, 'hello');

    expect([status, body.error]).toMatchObject([429, { code: 'rate_limit_exceeded' }]);
  });

  test('that breaks off in the middle has failed', async () => {
    const world = await chatting(api);

    const events = await streamed(world, 'break');

    expect(events.some(({ delta }) => delta)).toBe(true);
    expect(events.at(-1)).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error' } },
    });
    expect(events.map((event) => event.sequence_number)).toEqual([...events.keys()]);
  });

  test('gets its key, which is shown nowhere', async () => {
    const world = await chatting(api);

    const asked = await ask(world, 'hello');

    expect(Object.values(mock.getLastRequest()?.headers ?? {}).length).toBeGreaterThan(0);
    const { body: journal } = await world.control('GET', '/journal');
    const reply = await world.control('PUT', '/agents/chat/reply', {
      kind: 'model',
      url: mock.url,
      api_key: KEY,
    });
    expect(JSON.stringify([asked.body, journal, reply.body])).not.toContain(KEY);
    expect(reply.body.reply.api_key).toBe('not-shown');
  });
});

test('a conversation is told to a model as messages', async () => {
  const world = await chatting('chat');
  const { body: conversation } = await world.api('POST', '/openai/v1/conversations', { body: {} });
  await ask(world, 'hello', { conversation: conversation.id });

  await ask(world, 'and now', { conversation: conversation.id });

  expect(lastAsked().messages).toEqual([
    { role: 'system', content: 'Be short.' },
    { role: 'user', content: 'hello' },
    { role: 'assistant', content: 'Hello from a model.' },
    { role: 'user', content: 'and now' },
  ]);
});

test('a model that stops early is a response that is incomplete', async () => {
  const world = await chatting('chat');

  const { body } = await ask(world, 'too long');

  expect(body).toMatchObject({
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
  });
});

test('a model that cannot be reached is a response that failed', async () => {
  const world = await chatting('chat', { url: 'http://127.0.0.1:9/v1' });

  expect((await ask(world, 'hello')).body).toMatchObject({
    status: 'failed',
    error: { message: expect.stringContaining('could not be reached') },
  });
});

test('a routine reaches a model through its agent', async () => {
  const world = await chatting('chat');
  await world.api('PUT', '/routines/daily', {
    body: {
      triggers: { t: { type: 'custom', provider: 'p', parameters: {} } },
      action: { type: 'invoke_agent_responses_api', agent_name: 'chat', input: 'hello' },
    },
  });

  await world.api('POST', '/routines/daily:dispatch_async', { body: {} });
  await world.advance('1m');

  const { body } = await world.api('GET', '/routines/daily/runs');
  expect(body.data).toMatchObject([{ phase: 'completed' }]);
});

test('the official client streams from a model', async () => {
  const world = await chatting('chat');
  const client = new OpenAI({
    apiKey: TOKEN,
    baseURL: `${world.endpoint}/agents/chat/endpoint/protocols/openai`,
    defaultQuery: { 'api-version': 'v1' },
  });

  const stream = client.responses.stream({ input: 'hello' });
  const final = await stream.finalResponse();

  expect(final.output_text).toBe('Hello from a model.');
});

test('a key may lie in the environment of the emulator', async () => {
  const world = await chatting('chat', { api_key: undefined, api_key_env: 'PATH' });
  onTestFinished(() => mock.clearRequests());

  const { status } = await ask(world, 'hello');

  expect(status).toBe(200);
  const both = { kind: 'model', url: mock.url, api_key: 'a', api_key_env: 'B' };
  const refused = await send(
    'PUT',
    `${new URL(world.endpoint).origin}/_emulator/projects/${world.name}/agents/chat/reply`,
    { body: both },
  );
  expect(refused.body.error).toMatchObject({ param: 'api_key_env' });
});
