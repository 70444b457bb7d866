import { describe, onTestFinished } from 'vitest';
import { manualClock } from '../emulator/clock.ts';
import { createEmulator } from '../emulator/emulator.ts';
import {
  type Answered,
  expect,
  type Foundry,
  HOSTED,
  type Json,
  localAgent,
  openFoundry,
  refusal,
  START,
  test,
} from './fixture.ts';

const RESPONSES = '/endpoint/protocols/openai/responses';
const INVOCATIONS = '/endpoint/protocols/invocations';
const UUID = expect.stringMatching(
  /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
);

function ask(foundry: Foundry, input: unknown, more: object = {}): Promise<Answered> {
  return foundry.post(`/agents/digest${RESPONSES}`, { input, ...more });
}

const text = (answer: Answered): string => answer.body.output[0].content[0].text;

describe('an agent', () => {
  test('is made by its first version, and is read back with it', async ({ foundry }) => {
    const definition = { ...HOSTED, cpu: '1', memory: '2Gi', environment_variables: { A: 'b' } };
    const made = await foundry.post('/agents/new-one/versions', {
      definition,
      description: 'd',
      metadata: { team: 'x' },
    });

    const read = await foundry.get('/agents/new-one');

    const identity = { principal_id: UUID, client_id: UUID, status: 'active' };
    expect([made.status, made.body]).toEqual([
      200,
      {
        object: 'agent.version',
        id: 'new-one:1',
        name: 'new-one',
        version: '1',
        description: 'd',
        metadata: { team: 'x' },
        created_at: 1780272000,
        definition: {
          ...definition,
          container_configuration: { image: HOSTED.image },
          container_protocol_versions: HOSTED.protocol_versions,
        },
        draft: false,
        status: 'active',
        agent_guid: UUID,
        instance_identity: identity,
        blueprint: identity,
        blueprint_reference: {
          type: 'ManagedAgentIdentityBlueprint',
          blueprint_id: expect.stringMatching(/^new-one-/),
        },
      },
    ]);
    expect(read.body).toMatchObject({
      object: 'agent',
      id: 'new-one',
      name: 'new-one',
      versions: { latest: made.body },
      state: 'enabled',
      agent_endpoint: {
        protocols: ['responses', 'invocations'],
        protocol_configuration: { responses: {}, invocations: {} },
      },
    });
  });

  test('takes the older spelling of a definition and says both back', async ({ foundry }) => {
    const made = await foundry.agent('old', {
      kind: 'hosted',
      cpu: '1',
      memory: '2Gi',
      container_configuration: { image: 'i', registry_connection_id: 'c' },
      container_protocol_versions: [{ protocol: 'responses', version: '1' }],
    });

    expect(made.definition).toEqual({
      kind: 'hosted',
      cpu: '1',
      memory: '2Gi',
      image: 'i',
      container_configuration: { image: 'i', registry_connection_id: 'c' },
      protocol_versions: [{ protocol: 'responses', version: '1' }],
      container_protocol_versions: [{ protocol: 'responses', version: '1' }],
    });
  });

  test.for([
    { kind: 'prompt', model: 'gpt-4.1-mini', instructions: 'Be brief.' },
    { kind: 'workflow', workflow: 'steps: []' },
    { kind: 'external', otel_agent_id: 'x' },
  ])(
    'of kind $kind has no identity and answers through Responses',
    async (definition, { foundry }) => {
      const made = await foundry.agent('a', definition);
      const { body } = await foundry.get('/agents/a');

      expect(made.definition).toEqual(definition);
      for (const field of ['instance_identity', 'blueprint', 'blueprint_reference'])
        expect(body).not.toHaveProperty(field);
      expect(body.agent_endpoint.protocols).toEqual(['responses']);
    },
  );

  test('has a new version when its definition is new, and only then', async ({ foundry }) => {
    const version = async (image: string) =>
      (await foundry.agent('v', { ...HOSTED, image })).version;

    const versions = [
      await version('one'),
      await version('one'),
      await version('two'),
      await version('one'),
    ];

    expect(versions).toEqual(['1', '1', '2', '3']);
    expect((await foundry.get('/agents/v')).body.versions.latest.version).toBe('3');
  });

  test('that is deleted is gone, and made again it is another', async ({ foundry }) => {
    const before = await foundry.agent('a');
    await foundry.reply('a', { kind: 'script', turns: [{ text: 'old' }] });
    const deleted = await foundry.delete('/agents/a');
    const gone = [
      await foundry.get('/agents/a'),
      await foundry.delete('/agents/a'),
      await foundry.post(`/agents/a${RESPONSES}`, { input: 'x' }),
    ];

    const after = await foundry.agent('a');

    expect([deleted.status, deleted.body]).toEqual([
      200,
      { object: 'agent.deleted', name: 'a', deleted: true },
    ]);
    for (const answer of gone) {
      expect(refusal(answer)).toEqual({
        status: 404,
        code: 'not_found',
        message: "Agent a doesn't exist",
        param: null,
        rule: 'agent/unknown-answers-404',
      });
    }
    expect(after.agent_guid).not.toBe(before.agent_guid);
    expect(text(await foundry.post(`/agents/a${RESPONSES}`, { input: 'new' }))).toBe('new');
  });

  test('that is disabled refuses calls until it is enabled', async ({ foundry }) => {
    const disabled = await foundry.post('/agents/digest:disable');
    const state = (await foundry.get('/agents/digest')).body.state;
    const refused = [
      await ask(foundry, 'x'),
      await foundry.post(`/agents/digest${INVOCATIONS}`, {}),
    ];
    const enabled = await foundry.post('/agents/digest:enable');
    const taken = await ask(foundry, 'x');

    expect([disabled.status, disabled.text, state, enabled.status, taken.status]).toEqual([
      204,
      '',
      'disabled',
      204,
      200,
    ]);
    for (const answer of refused)
      expect(refusal(answer)).toMatchObject({
        status: 403,
        code: 'agent_disabled',
        rule: 'agent/disabled-answers-403',
      });
  });

  test.for([':enable', ':disable'])(
    'that nobody made answers 404 to %s',
    async (verb, { foundry }) => {
      expect(refusal(await foundry.post(`/agents/ghost${verb}`))).toMatchObject({
        status: 404,
        rule: 'agent/unknown-answers-404',
      });
    },
  );

  test.for([
    ['-a', 'agent/name-form'],
    ['a-', 'agent/name-form'],
    ['a_b', 'agent/name-form'],
    ['a%20b', 'agent/name-form'],
    ['a'.repeat(64), 'agent/name-form'],
  ] as [string, string][])('is not named %s', async ([name, rule], { foundry }) => {
    expect(
      refusal(await foundry.post(`/agents/${name}/versions`, { definition: HOSTED })),
    ).toMatchObject({ status: 400, param: 'agent_name', rule });
  });

  test('has a name of up to 63 characters that keeps its case', async ({ foundry }) => {
    const name = `A${'b'.repeat(61)}9`;

    expect((await foundry.agent(name)).name).toBe(name);
    expect((await foundry.get(`/agents/${name.toLowerCase()}`)).status).toBe(404);
  });

  test.for([
    [{}, 400, 'definition', 'agent/definition-required'],
    [{ definition: { kind: 'voice' } }, 400, 'definition.kind', 'agent/kind-known'],
    [
      { definition: HOSTED, description: 'd'.repeat(513) },
      400,
      'description',
      'agent/description-max-512',
    ],
    [
      {
        definition: HOSTED,
        metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v'])),
      },
      400,
      'metadata',
      'agent/metadata-limits',
    ],
    [
      { definition: HOSTED, metadata: { ['k'.repeat(65)]: 'v' } },
      400,
      'metadata',
      'agent/metadata-limits',
    ],
    [
      { definition: HOSTED, metadata: { k: 'v'.repeat(513) } },
      400,
      'metadata.k',
      'agent/metadata-limits',
    ],
    [
      { definition: { ...HOSTED, protocol_versions: [{ protocol: 'smoke', version: '1' }] } },
      400,
      'definition.protocol_versions[0].protocol',
      'agent/protocol-known',
    ],
  ] as [unknown, number, string | null, string][])(
    'is not made of %j',
    async ([body, status, param, rule], { foundry }) => {
      expect(refusal(await foundry.post('/agents/a/versions', body))).toMatchObject({
        status,
        param,
        rule,
      });
      expect((await foundry.get('/agents/a')).status).toBe(404);
    },
  );

  test('takes a description of 512 characters and 16 metadata of 64 and 512', async ({
    foundry,
  }) => {
    const metadata = Object.fromEntries(
      Array.from({ length: 16 }, (_, n) => [`${n}`.padStart(64, 'k'), 'v'.repeat(512)]),
    );

    const { status, body } = await foundry.post('/agents/a/versions', {
      definition: HOSTED,
      description: 'd'.repeat(512),
      metadata,
    });

    expect([status, body.metadata]).toEqual([200, metadata]);
  });
});

describe('an agent’s Responses endpoint', () => {
  test('says back what it hears, unless it is told what to say', async ({ foundry }) => {
    const { id: conversation } = (await foundry.post('/openai/v1/conversations', {})).body;
    const { id: previous } = (await ask(foundry, 'before')).body;
    const answer = await ask(foundry, 'hello', {
      model: 'm',
      metadata: { a: 'b' },
      conversation,
      previous_response_id: previous,
    });

    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-agent-session-id')).toBe(answer.body.agent_session_id);
    expect(answer.body).toMatchObject({
      id: expect.stringMatching(/^caresp_/),
      object: 'response',
      created_at: 1780272000,
      completed_at: 1780272000,
      status: 'completed',
      error: null,
      model: 'm',
      metadata: { a: 'b' },
      conversation: { id: conversation },
      previous_response_id: previous,
      agent_reference: { type: 'agent_reference', name: 'digest', version: '1' },
      output: [
        {
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'hello', annotations: [] }],
        },
      ],
    });
  });

  test.for([
    ['hello', 'hello'],
    ['', ''],
    [[{ role: 'user', content: 'last' }], 'last'],
    [
      [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'a' },
            { type: 'input_text', text: 'b' },
          ],
        },
      ],
      'ab',
    ],
    [[], '[]'],
  ] as [unknown, string][])('hears %j as %j', async ([input, heard], { foundry }) => {
    expect(text(await ask(foundry, input))).toBe(heard);
  });

  test('is the same under its older path, and gives each answer an id of its own', async ({
    foundry,
  }) => {
    const older = await foundry.post('/agents/digest/endpoint/protocols/openai/v1/responses', {
      input: 'x',
    });
    const newer = await ask(foundry, 'x');

    expect(older.status).toBe(200);
    expect({ ...older.body, ...pick(newer.body) }).toEqual(newer.body);
    expect(older.body.id).not.toBe(newer.body.id);
  });

  test('goes on in the session that it is given', async ({ foundry }) => {
    await foundry.post('/agents/digest/endpoint/sessions', { agent_session_id: 'session-1' });
    const sessions: Json[] = [];
    for (const field of ['agent_session_id', 'session_id'])
      sessions.push((await ask(foundry, 'x', { [field]: 'session-1' })).body.agent_session_id);

    expect(sessions).toEqual(['session-1', 'session-1']);
  });

  test.for([
    [{ input: 5 }, 400, 'input', 'response/input-is-string-or-items'],
    [{ stream: 'yes' }, 400, 'stream', 'response/stream-is-boolean'],
    [{ conversation: 5 }, 400, 'conversation', 'response/conversation-is-id-or-object'],
    [[], 400, null, 'response/body-is-object'],
  ] as [unknown, number, string | null, string][])(
    'refuses %j',
    async ([body, status, param, rule], { foundry }) => {
      expect(refusal(await foundry.post(`/agents/digest${RESPONSES}`, body))).toMatchObject({
        status,
        param,
        rule,
      });
    },
  );
});

function pick(body: Json): object {
  const { id, output, agent_session_id } = body;
  return { id, output, agent_session_id };
}

describe('an agent’s Invocations endpoint', () => {
  test.for([{ a: [1] }, 'text', 5, null, []])('says %j back whole', async (body, { foundry }) => {
    await foundry.post('/agents/digest/endpoint/sessions', { agent_session_id: 'session-1' });

    const answer = await foundry.request(
      'POST',
      `/agents/digest${INVOCATIONS}?agent_session_id=session-1`,
      { raw: JSON.stringify(body) },
    );

    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      invocation_id: answer.headers.get('x-agent-invocation-id'),
      session_id: 'session-1',
      status: 'completed',
      output: body,
    });
    expect(answer.headers.get('x-agent-session-id')).toBe('session-1');
  });
});

describe('an invocation whose work goes on', () => {
  const accepted = (text: string) => ({
    kind: 'script',
    turns: [{ accepted: { after: '1h', text } }],
  });

  test('is read and cancelled while a newer version is creating', async ({ foundry }) => {
    await foundry.reply('digest', accepted('done'));
    const path = `/agents/digest${INVOCATIONS}`;
    const { invocation_id: id } = (await foundry.post(path, {})).body;
    await foundry.set({ settings: { provisioning_time: '2h' } });
    await foundry.post('/agents/digest/versions', { definition: { ...HOSTED, image: 'newer' } });

    expect((await foundry.get(`${path}/${id}`)).body).toMatchObject({ status: 'in_progress' });
    expect((await foundry.get(`${path}/inv_0`)).status).toBe(404);
    expect((await foundry.post(`${path}/${id}/cancel`)).body).toMatchObject({
      status: 'cancelled',
    });
    expect((await foundry.post(path, {})).body.error.code).toBe('agent_version_not_ready');
  });

  test('has completed, whatever it says of errors', async ({ foundry }) => {
    const text = JSON.stringify({ error: 'none' });
    await foundry.reply('digest', accepted(text));
    const path = `/agents/digest${INVOCATIONS}`;
    const { invocation_id: id } = (await foundry.post(`${path}?agent_session_id=`, {})).body;
    await foundry.advance('1h');

    expect((await foundry.get(`${path}/${id}`)).body).toMatchObject({
      status: 'completed',
      output: text,
    });
  });
});

describe('a script', () => {
  const turns = [{ text: 'one' }, { text: 'two' }];

  test.for([
    [undefined, ['one', 'two', 'two', 'two']],
    ['last', ['one', 'two', 'two', 'two']],
    ['cycle', ['one', 'two', 'one', 'two']],
    ['error', ['one', 'two', 500, 500]],
  ] as [string | undefined, unknown[]][])(
    'that repeats %s is spoken turn by turn',
    async ([repeat, said], { foundry }) => {
      await foundry.reply('digest', {
        kind: 'script',
        turns,
        ...(repeat === undefined ? {} : { repeat }),
      });

      const heard: unknown[] = [];
      for (let n = 0; n < 4; n += 1) {
        const answer = await ask(foundry, 'x');
        heard.push(answer.status === 200 ? text(answer) : answer.status);
      }

      expect(heard).toEqual(said);
    },
  );

  test('begins again when it is set again', async ({ foundry }) => {
    await foundry.reply('digest', { kind: 'script', turns });
    await ask(foundry, 'x');
    await foundry.reply('digest', { kind: 'script', turns });

    expect(text(await ask(foundry, 'x'))).toBe('one');
  });

  test.for([
    [
      { tool_calls: [{ name: 'look', arguments: { a: 1 } }, { name: 'go' }] },
      200,
      {
        status: 'completed',
        output: [
          { type: 'function_call', name: 'look', arguments: '{"a":1}' },
          { type: 'function_call', name: 'go', arguments: '{}' },
        ],
      },
    ],
    [
      { failed: { code: 'boom', message: 'm' } },
      200,
      { status: 'failed', error: { code: 'boom', message: 'm' }, completed_at: null, output: [] },
    ],
    [
      { accepted: { after: '1m', text: 'later' } },
      202,
      { status: 'in_progress', completed_at: null },
    ],
    [{ status: 418, body: { any: 'thing' } }, 418, { any: 'thing' }],
  ] as [unknown, number, object][])('may say %j', async ([turn, status, body], { foundry }) => {
    await foundry.reply('digest', { kind: 'script', turns: [turn] });

    const answer = await ask(foundry, 'x');

    expect([answer.status, answer.body]).toMatchObject([status, body]);
  });

  test('may say text, headers and a status of its own', async ({ foundry }) => {
    await foundry.reply('digest', {
      kind: 'script',
      turns: [
        {
          status: 429,
          headers: { 'Retry-After': '3', 'content-type': 'text/plain' },
          body: 'slow',
        },
      ],
    });

    const { status, headers, text: body } = await ask(foundry, 'x');

    expect([status, body, headers.get('retry-after'), headers.get('content-type')]).toEqual([
      429,
      'slow',
      '3',
      'text/plain',
    ]);
    expect(headers.get('x-foundrite-body-by')).toBe('reply');
  });

  test.for([
    [{ text: 'done' }, { status: 'completed', output: 'done' }],
    [
      { failed: { code: 'boom', message: 'm' } },
      { status: 'failed', error: { code: 'boom', message: 'm' } },
    ],
    [{ accepted: { after: '1m' } }, { status: 'in_progress' }],
    [{ tool_calls: [{ name: 'look' }] }, { status: 'completed', tool_calls: [{ name: 'look' }] }],
  ] as [unknown, object][])(
    'speaks to an invocation too: %j',
    async ([turn, body], { foundry }) => {
      await foundry.reply('digest', { kind: 'script', turns: [turn] });

      expect((await foundry.post(`/agents/digest${INVOCATIONS}`, { x: 1 })).body).toMatchObject(
        body,
      );
    },
  );
});

describe('an agent of the user’s own', () => {
  test('hears a client’s call, and its answer is passed on', async ({ foundry }) => {
    const agent = await localAgent((response) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        'x-agent-session-id': 's-9',
      });
      response.end('{"mine":true}');
    });
    await foundry.reply('digest', { kind: 'forward', url: `${agent.url}/base/?key=k` });

    const { status, body, headers } = await ask(foundry, 'x', { store: false });

    expect([status, body]).toEqual([200, { mine: true }]);
    expect([headers.get('x-agent-session-id'), headers.get('x-foundrite-body-by')]).toEqual([
      's-9',
      'reply',
    ]);
    expect(agent.heard.map((call) => [call.url, JSON.parse(call.body)])).toEqual([
      ['/base/responses?key=k', { input: 'x', store: false }],
    ]);
  });

  test('of whom the file says nothing is all by default', async () => {
    const emulator = createEmulator({ agents: { digest: null } });
    onTestFinished(() => emulator.close());

    const answer = await emulator.fetch(
      new Request('http://localhost/api/projects/p/agents/digest', {
        headers: { authorization: 'Bearer t' },
      }),
    );

    expect(answer.status).toBe(200);
  });

  test('that is not there gives 424', async ({ foundry }) => {
    const agent = await localAgent(() => {});
    await agent.close();
    await foundry.reply('digest', { kind: 'forward', url: agent.url });

    expect(refusal(await ask(foundry, 'x'))).toEqual({
      status: 424,
      code: 'session_not_ready',
      message: `The agent could not be reached: ECONNREFUSED. Its reply is forward, to ${agent.url}: start what answers there, or set another reply.`,
      param: null,
      rule: 'agent/unreachable-answers-424',
    });
  });

  test('that is silent for two minutes gives 408', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host });
    await foundry.agent('digest');
    const agent = await localAgent(() => {});
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const call = ask(foundry, 'x');
    await agent.arrival(1);

    host.tick(120_000);

    expect(refusal(await call)).toMatchObject({
      status: 408,
      message: 'The agent sent nothing for 120 seconds (setting gateway_silence).',
      rule: 'stream/silence-ends-it',
    });
  });
});
