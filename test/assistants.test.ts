import { describe } from 'vitest';
import { expect, type Foundry, type Json, openFoundry, test } from './fixture.ts';

async function made(foundry: Foundry, path: string, body: unknown): Promise<string> {
  const { status, text, body: one } = await foundry.post(path, body);
  expect(status, text).toBe(200);
  return (one as { id: string }).id;
}

function said(count: number): Json[] {
  return Array.from({ length: count }, (_, n) => ({ role: 'user', content: String(n) }));
}

const text = (message: Json): string => message.content[0].text.value;

/** What a client that follows a list reads: pages after the last item, until there are no more. */
async function followed(foundry: Foundry, path: string): Promise<string[]> {
  const all: Json[] = [];
  for (let after = ''; ; after = `&after=${all.at(-1)?.id}`) {
    const { body } = await foundry.get(`${path}${after}`);
    all.push(...body.data);
    if (!body.has_more) return all.map(text);
  }
}

describe('a list of 47 messages', () => {
  const numbers = Array.from({ length: 47 }, (_, n) => String(n));

  test('is followed to its end in pages of any size and both orders', async ({ foundry }) => {
    const thread = await made(foundry, '/threads', { messages: said(47) });
    const path = `/threads/${thread}/messages`;

    expect(await followed(foundry, `${path}?order=asc`)).toEqual(numbers);
    expect(await followed(foundry, `${path}?order=desc`)).toEqual(numbers.toReversed());
    for (const limit of [1, 7, 46, 47, 48, 100])
      expect(await followed(foundry, `${path}?order=asc&limit=${limit}`)).toEqual(numbers);
  });

  test('is followed back to its beginning', async ({ foundry }) => {
    const thread = await made(foundry, '/threads', { messages: said(47) });
    const path = `/threads/${thread}/messages?order=asc&limit=10`;
    const { body: whole } = await foundry.get(`/threads/${thread}/messages?limit=1`);
    const read = [text(whole.data[0])];
    for (let first = whole.first_id; ; ) {
      const { body } = await foundry.get(`${path}&before=${first}`);
      read.unshift(...body.data.map(text));
      first = body.first_id;
      if (!body.has_more) break;
    }

    expect(read).toEqual(numbers);
  });

  test('is followed to its end by a client that deletes what it has read', async ({ foundry }) => {
    const thread = await made(foundry, '/threads', { messages: said(47) });
    const path = `/threads/${thread}/messages`;
    const read: string[] = [];
    for (let after = ''; ; ) {
      const { body } = await foundry.get(`${path}?order=asc&limit=10${after}`);
      read.push(...body.data.map(text));
      for (const { id } of body.data) await foundry.delete(`${path}/${id}`);
      if (!body.has_more) break;
      after = `&after=${body.last_id}`;
    }

    expect(read).toEqual(numbers);
    expect((await foundry.get(path)).body.data).toEqual([]);
  });
});

test('a text of 1,500,000 characters is taken whole, and one more is refused', async ({
  foundry,
}) => {
  const thread = await made(foundry, '/threads', {});
  const path = `/threads/${thread}/messages`;
  const whole = 't'.repeat(1_500_000);
  const id = await made(foundry, path, { role: 'user', content: whole });
  const { status, body } = await foundry.post(path, { role: 'user', content: `${whole}t` });

  expect(text((await foundry.get(`${path}/${id}`)).body)).toBe(whole);
  expect([status, body.error.param, body.error.code]).toEqual([
    400,
    'content',
    'string_above_max_length',
  ]);
});

test('whoever reads the messages of a thread again waits for the run on it', async () => {
  const foundry = openFoundry({ skip: true });
  const assistant = await made(foundry, '/assistants', { model: 'm' });
  const thread = await made(foundry, '/threads', { messages: said(1) });
  const run = await made(foundry, `/threads/${thread}/runs`, { assistant_id: assistant });
  const path = `/threads/${thread}/messages?run_id=${run}`;
  const reads = [];
  for (let n = 0; n < 4; n += 1) reads.push((await foundry.get(path)).body.data);

  const states = reads.map(([message]) => message?.status);
  expect(states).toEqual([undefined, 'in_progress', 'completed', 'completed']);
  expect(text(reads.at(-1)?.[0])).toBe('0');
});

// A wrong type in each field is refused, with the field's place

const block = (wrong: Json) => ({ role: 'user', content: [wrong] });
const tool = (wrong: Json) => ({ tools: [{ type: 'x' }, wrong] });

const OF_ASSISTANTS: [string, Json][] = [
  ['model', { model: 5 }],
  ['name', { name: {} }],
  ['description', { description: 5 }],
  ['instructions', { instructions: ['x'] }],
  ['tools', { tools: null }],
  ['tools', { tools: 'code_interpreter' }],
  ['tools[1]', tool([])],
  ['tools[1].type', tool({ type: 5 })],
  ['tools[1].function', tool({ type: 'function', function: 'look' })],
  ['tools[1].function.name', tool({ type: 'function', function: { name: 5 } })],
  [
    'tools[1].function.description',
    tool({ type: 'function', function: { name: 'f', description: 5 } }),
  ],
  ['tools[1].bing_grounding', tool({ type: 'bing_grounding', bing_grounding: 'b' })],
  ['tools[1].azure_ai_search', tool({ type: 'azure_ai_search', azure_ai_search: [] })],
  ['tools[1].openapi', tool({ type: 'openapi', openapi: 5 })],
  ['tools[1].azure_function', tool({ type: 'azure_function', azure_function: 5 })],
  ['tools[1].connected_agent.id', tool({ type: 'connected_agent', connected_agent: {} })],
  [
    'tools[1].file_search.ranking_options.score_threshold',
    tool({ type: 'file_search', file_search: { ranking_options: { score_threshold: 'x' } } }),
  ],
  ['tool_resources', { tool_resources: [] }],
  ['tool_resources.code_interpreter', { tool_resources: { code_interpreter: 5 } }],
  [
    'tool_resources.file_search.vector_store_ids[0]',
    { tool_resources: { file_search: { vector_store_ids: [5] } } },
  ],
  ['temperature', { temperature: '1' }],
  ['top_p', { top_p: true }],
  ['response_format', { response_format: [] }],
  ['response_format.type', { response_format: { type: 5 } }],
  ['metadata', { metadata: 'x' }],
  ['metadata.k', { metadata: { k: null } }],
];

const OF_MESSAGES: [string, Json][] = [
  ['role', { role: null, content: 'x' }],
  ['content', { role: 'user', content: null }],
  ['content[0]', block('x')],
  ['content[0].type', block({ text: 'x' })],
  ['content[0].text', block({ type: 'text' })],
  ['content[0].image_file', block({ type: 'image_file', image_file: 'f' })],
  ['content[0].image_file.file_id', block({ type: 'image_file', image_file: { file_id: 5 } })],
  ['content[0].image_url.url', block({ type: 'image_url', image_url: { url: 5 } })],
  ['attachments', { role: 'user', content: 'x', attachments: {} }],
  ['attachments[0]', { role: 'user', content: 'x', attachments: ['f'] }],
  ['attachments[0].tools', { role: 'user', content: 'x', attachments: [{ tools: 'x' }] }],
  ['metadata', { role: 'user', content: 'x', metadata: 5 }],
];

const OF_RUNS: [string, Json][] = [
  ['model', { model: 5 }],
  ['instructions', { instructions: 5 }],
  ['tools', { tools: 'x' }],
  ['tools[1].type', tool({})],
  ['tool_resources', { tool_resources: 5 }],
  ['stream', { stream: 'yes' }],
  ['temperature', { temperature: 3 }],
  ['top_p', { top_p: 'x' }],
  ['max_prompt_tokens', { max_prompt_tokens: 255 }],
  ['max_prompt_tokens', { max_prompt_tokens: 256.5 }],
  ['max_completion_tokens', { max_completion_tokens: '256' }],
  ['truncation_strategy', { truncation_strategy: 'auto' }],
  ['truncation_strategy.type', { truncation_strategy: { type: 'none' } }],
  [
    'truncation_strategy.last_messages',
    { truncation_strategy: { type: 'last_messages', last_messages: 0 } },
  ],
  ['tool_choice', { tool_choice: 'maybe' }],
  ['tool_choice.function.name', { tool_choice: { type: 'function', function: {} } }],
  ['response_format', { response_format: 'none' }],
  ['parallel_tool_calls', { parallel_tool_calls: 1 }],
  ['metadata', { metadata: [] }],
];

const refused = async (foundry: Foundry, path: string, body: Json) => {
  const answer = await foundry.post(path, body);
  return [answer.status, answer.body.error?.param];
};

describe('a wrong type is refused with its field', () => {
  test.for(OF_ASSISTANTS)('%s of an assistant', async ([param, wrong], { foundry }) => {
    const id = await made(foundry, '/assistants', { model: 'm' });

    expect(await refused(foundry, '/assistants', { model: 'm', ...wrong })).toEqual([400, param]);
    expect(await refused(foundry, `/assistants/${id}`, wrong)).toEqual([400, param]);
  });

  test.for(OF_MESSAGES)('%s of a message', async ([param, wrong], { foundry }) => {
    const thread = await made(foundry, '/threads', {});
    const assistant_id = await made(foundry, '/assistants', { model: 'm' });
    const messages = [{ role: 'user', content: 'x' }, wrong];

    expect(await refused(foundry, `/threads/${thread}/messages`, wrong)).toEqual([400, param]);
    expect(await refused(foundry, '/threads', { messages })).toEqual([400, `messages[1].${param}`]);
    expect(await refused(foundry, '/threads/runs', { assistant_id, thread: { messages } })).toEqual(
      [400, `thread.messages[1].${param}`],
    );
    expect(
      await refused(foundry, `/threads/${thread}/runs`, {
        assistant_id,
        additional_messages: messages,
      }),
    ).toEqual([400, `additional_messages[1].${param}`]);
  });

  test.for(OF_RUNS)('%s of a run', async ([param, wrong], { foundry }) => {
    const thread = await made(foundry, '/threads', {});
    const assistant_id = await made(foundry, '/assistants', { model: 'm' });

    for (const path of [`/threads/${thread}/runs`, '/threads/runs'])
      expect(await refused(foundry, path, { assistant_id, ...wrong })).toEqual([400, param]);
    expect((await foundry.get(`/threads/${thread}/runs`)).body.data).toEqual([]);
  });
});
