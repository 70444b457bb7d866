/** The OpenAI client, as `getOpenAIClient` of five versions of @azure/ai-projects makes it, and by itself. */
import { DefaultAzureCredential } from '@azure/identity';
import OpenAI from 'openai';
import { beforeAll, describe, expect, test } from 'vitest';
import { AGENT, type Answer, makeWorld, ORIGIN, openWorld, TOKEN, type World } from './world.ts';

/** Versions 6 and 7 of the client answer alike; each test says what it expects. */
type Json = Answer['body'];

const SAID = 'Hello there, and welcome.';
const REFERENCE = { type: 'agent_reference', name: AGENT };

interface Way {
  name: string;
  client(world: World): Promise<Json>;
  /** By the project, an agent is reached by its reference. */
  body: Json;
  /** What its calls have beside: the versions whose agents are a preview say so at the agent. */
  query: Json;
  features?: string;
}

const versions = ['2.1.0', '2.2.0', '2.3.1', '2.6.0', '2.10.0'];
const azureConfig = { agentName: AGENT, allowPreview: true };

async function ofProject(version: string, world: World, options?: Json): Promise<Json> {
  const { AIProjectClient } = await import(`ai-projects-${version}`);
  const project = new AIProjectClient(world.endpoint, new DefaultAzureCredential());
  return project.getOpenAIClient(options);
}

const own = (baseURL: string, more: Json = {}) =>
  new OpenAI({ baseURL, apiKey: TOKEN, maxRetries: 0, ...more });
const atAgent = (world: World) => `${world.endpoint}/agents/${AGENT}/endpoint/protocols/openai`;
const V1 = { query: { 'api-version': 'v1' } };
const v1 = { defaultQuery: V1.query };
const PREVIEWS = ['2.1.0', '2.2.0'];
const FEATURES = 'HostedAgents=V1Preview,AgentEndpoints=V1Preview';
const insecure = (url: string) => url.replace(ORIGIN, ORIGIN.replace('https:', 'http:'));

const WAYS: Way[] = [
  ...versions.flatMap((version) => [
    {
      name: `@azure/ai-projects ${version} at the project`,
      client: (world: World) => ofProject(version, world),
      body: { agent_reference: REFERENCE },
      query: undefined,
    },
    {
      name: `@azure/ai-projects ${version} at the agent`,
      client: (world: World) => ofProject(version, world, { azureConfig }),
      body: {},
      ...V1,
      ...(PREVIEWS.includes(version) ? { features: FEATURES } : {}),
    },
  ]),
  {
    name: 'openai at the project',
    client: async (world) => own(`${world.endpoint}/openai/v1`),
    body: { agent_reference: REFERENCE },
    query: undefined,
  },
  {
    name: 'openai at the agent',
    client: async (world) => own(atAgent(world), v1),
    body: {},
    ...V1,
  },
  {
    name: 'openai at the agent, below v1 and without TLS',
    client: async (world) => own(insecure(`${atAgent(world)}/v1`), v1),
    body: {},
    ...V1,
  },
];

const item = (text: string, role = 'user') => ({ type: 'message', role, content: text });
const texts = (items: Json[]): string[] =>
  items.map(({ role, content }) => `${role}: ${content[0].text}`);

describe.each(WAYS)('$name', ({ name, client, body, query, features }) => {
  let world: World;
  let openai: Json;

  beforeAll(async () => {
    world = await openWorld(`openai-${name.replaceAll(/[^a-z0-9]+/gi, '-')}`);
    const turns = [{ text: SAID }];
    await world.control('PUT', `/agents/${AGENT}/reply`, { kind: 'script', turns });
    openai = await client(world);
  });

  const create = (request: Json) => openai.responses.create({ ...body, ...request });

  test('creates, reads and deletes a response', async () => {
    const { data: made, response } = await create({ input: 'Hi.' }).withResponse();

    expect(made).toMatchObject({
      id: expect.stringMatching(/^caresp_/),
      object: 'response',
      status: 'completed',
      output_text: SAID,
      agent_reference: { type: 'agent_reference', name: AGENT, version: '1' },
      error: null,
      incomplete_details: null,
    });
    expect(made.agent_session_id).toBe(response.headers.get('x-agent-session-id'));
    expect(await openai.responses.retrieve(made.id)).toMatchObject({
      id: made.id,
      output: made.output,
    });
    const [asked] = (await world.journal('request')).filter(({ operation }) =>
      /^create(?:Agent)?Response$/.test(operation ?? ''),
    );
    expect([asked?.query, asked?.headers?.['foundry-features']]).toEqual([query, features]);
    const inputs = (await all(openai.responses.inputItems.list(made.id))).map(
      ({ role, content }) => ({ role, content }),
    );
    expect(inputs).toEqual([{ role: 'user', content: [{ type: 'input_text', text: 'Hi.' }] }]);
    await openai.responses.delete(made.id);
    await expect(openai.responses.retrieve(made.id)).rejects.toMatchObject({
      status: 404,
      code: 'not_found',
    });
  });

  test('streams a response, event by event', async () => {
    const stream = await create({ input: 'Hi.', stream: true });

    const events: Json[] = await all(stream);

    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
    expect([...new Set(events.map((event) => event.type))]).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const deltas = events.filter((event) => event.type === 'response.output_text.delta');
    expect(deltas.length).toBeGreaterThan(1);
    expect(deltas.map(({ delta }) => delta).join('')).toBe(SAID);
    const { response } = events.at(-1);
    expect(await openai.responses.retrieve(response.id)).toMatchObject({
      status: 'completed',
      output: response.output,
    });
  });

  test('keeps a conversation', async () => {
    const conversation = await openai.conversations.create({
      metadata: { topic: 'greetings' },
      items: [item('Be kind.', 'system')],
    });
    expect(conversation).toMatchObject({
      id: expect.stringMatching(/^conv_/),
      object: 'conversation',
      created_at: Date.parse('2026-06-01T00:00:00Z') / 1_000,
      metadata: { topic: 'greetings' },
    });
    const { id } = conversation;

    const first = await create({ input: 'Hi.', conversation: id });
    const second = await create({ input: 'And again.', conversation: { id } });

    expect(second.agent_session_id).toBe(first.agent_session_id);
    expect(second.conversation).toMatchObject({ id });
    const items = await all(openai.conversations.items.list(id, { order: 'asc', limit: 2 }));
    expect(texts(items)).toEqual([
      'system: Be kind.',
      'user: Hi.',
      `assistant: ${SAID}`,
      'user: And again.',
      `assistant: ${SAID}`,
    ]);
    const added = await openai.conversations.items.create(id, { items: [item('One more.')] });
    expect(texts(added.data)).toEqual(['user: One more.']);
    const own = added.data[0].id;
    const of = { conversation_id: id };
    expect(texts([await openai.conversations.items.retrieve(own, of)])).toEqual([
      'user: One more.',
    ]);
    expect(await openai.conversations.items.delete(own, of)).toMatchObject({ id });
    await expect(openai.conversations.items.retrieve(own, of)).rejects.toMatchObject({
      status: 404,
    });
    const metadata = { topic: 'farewells' };
    expect(await openai.conversations.update(id, { metadata })).toMatchObject({ id, metadata });
    expect(await openai.conversations.retrieve(id)).toMatchObject({ id, metadata });
    expect(await openai.conversations.delete(id)).toEqual(
      expect.objectContaining({ id, object: 'conversation.deleted', deleted: true }),
    );
    await expect(openai.conversations.retrieve(id)).rejects.toMatchObject({
      status: 404,
      code: 'not_found',
    });
  });

  test('throws what was refused, with its status and code', async () => {
    expect(await refused(create({ input: 7 }))).toEqual({
      kind: 'BadRequestError',
      status: 400,
      code: 'invalid_request',
      param: 'input',
      type: 'invalid_request_error',
    });
    await world.api('POST', `/agents/${AGENT}:disable?api-version=v1`);
    expect(await refused(create({ input: 'Hi.' }))).toMatchObject({
      kind: 'PermissionDeniedError',
      status: 403,
      code: 'agent_disabled',
    });
    await world.api('DELETE', `/agents/${AGENT}?api-version=v1`);
    expect(await refused(create({ input: 'Hi.' }))).toMatchObject({
      kind: 'NotFoundError',
      status: 404,
      code: 'not_found',
    });
  });
});

describe('openai at the agent', () => {
  test('puts a stream together, and can be told that it failed', async () => {
    const world = await makeWorld('openai-helpers');
    const openai = own(atAgent(world), v1);
    const failed = { code: 'server_error', message: 'The model is out.' };
    const turns = [{ text: SAID }, { failed }];
    await world.control('PUT', `/agents/${AGENT}/reply`, { kind: 'script', turns });

    const stream = openai.responses.stream({ input: 'Hi.' } as Json);
    const said: string[] = [];
    stream.on('response.output_text.delta', ({ delta }) => said.push(delta));
    const final = await stream.finalResponse();

    expect([said.join(''), final.output_text, final.status]).toEqual([SAID, SAID, 'completed']);
    const answer = await openai.responses.create({ input: 'Hi.' } as Json);
    expect(answer).toMatchObject({ status: 'failed', error: failed });
  });

  test('works in the background, and is cancelled', async () => {
    const world = await makeWorld('openai-background');
    const openai = own(atAgent(world), v1);
    const turns = [{ accepted: { after: '30s', text: SAID } }];
    await world.control('PUT', `/agents/${AGENT}/reply`, { kind: 'script', turns });

    const first = await openai.responses.create({ input: 'Hi.', background: true } as Json);
    const second = await openai.responses.create({ input: 'Hi.', background: true } as Json);

    expect(['queued', 'in_progress']).toContain(first.status);
    expect((await openai.responses.cancel(second.id)).status).toBe('cancelled');
    await world.advance('30s');
    expect(await openai.responses.retrieve(first.id)).toMatchObject({ status: 'completed' });
    expect(await openai.responses.retrieve(second.id)).toMatchObject({ status: 'cancelled' });
  });
});

/** The error that a call ends with, and its class. */
async function refused(asked: Promise<Json>): Promise<Json> {
  const error: Json = await asked.then(
    () => expect.fail('it was not refused'),
    (thrown) => thrown,
  );
  const { status, code, param, type } = error;
  return { kind: error.constructor.name, status, code, param, type };
}

async function all(list: AsyncIterable<Json> | Promise<AsyncIterable<Json>>): Promise<Json[]> {
  const found: Json[] = [];
  for await (const each of await list) found.push(each);
  return found;
}
