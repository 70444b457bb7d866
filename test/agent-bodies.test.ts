/** What agents are made of: every field, as it comes and as it is said back, and the code that comes beside it. */
import { createHash } from 'node:crypto';
import { describe, onTestFinished } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import { createEmulator } from '../emulator/emulator.ts';
import { PROFILES, type ProfileName } from '../emulator/profile.ts';
import { replayJournal } from '../emulator/replay.ts';
import { expect, type Foundry, HOSTED, type Json, openFoundry, refusal, test } from './fixture.ts';

const RAI = { rai_policy_name: 'strict', invocations_moderation: { enabled: true } };
const PROTOCOLS = [{ protocol: 'responses', version: '1.0.0' }];
const TOOLS = [{ type: 'function', name: 'look', parameters: { type: 'object' } }];

/** Each kind with every field that it has, as it is said back. */
const DEFINITIONS: Record<string, Record<string, unknown>> = {
  hosted: {
    kind: 'hosted',
    cpu: '0.5',
    memory: '1Gi',
    image: 'registry/digest:1',
    container_configuration: { image: 'registry/digest:1', registry_connection_id: 'mine' },
    protocol_versions: PROTOCOLS,
    container_protocol_versions: PROTOCOLS,
    environment_variables: { LOG_LEVEL: 'debug', EMPTY: '' },
    tools: TOOLS,
    telemetry_config: { endpoints: [{ kind: 'OTLP', data: ['traces'] }] },
    session_configuration: { idle_timeout_seconds: 600 },
    enable_memory_snapshot: true,
    rai_config: RAI,
  },
  prompt: {
    kind: 'prompt',
    model: 'gpt',
    instructions: 'Be brief.',
    temperature: 0.5,
    top_p: 0.9,
    reasoning: { effort: 'low' },
    tools: TOOLS,
    tool_choice: { type: 'function', name: 'look' },
    text: { format: { type: 'json_object' } },
    structured_inputs: { topic: { description: 'what of', required: true } },
    harness: { kind: 'default' },
    skills: ['sum'],
    rai_config: RAI,
  },
  workflow: { kind: 'workflow', workflow: 'kind: workflow\nsteps: []', rai_config: RAI },
  external: { kind: 'external', otel_agent_id: 'gcp-7', rai_config: RAI },
};

/** Everything of a request to make an agent beside its name and definition. */
const BESIDE = {
  description: 'Sums up.',
  metadata: { team: 'news', '': 'x' },
  blueprint_reference: { type: 'ManagedAgentIdentityBlueprint', blueprint_id: 'shared-1a2b3' },
  agent_endpoint: {
    version_selector: {
      version_selection_rules: [
        { type: 'FixedRatio', agent_version: '1', traffic_percentage: 100 },
      ],
    },
    protocols: ['responses', 'activity'],
    protocol_configuration: { responses: {}, activity: { enable_m365_public_endpoint: true } },
    authorization_schemes: [
      { type: 'Entra', isolation_key_source: { kind: 'Header' } },
      { type: 'BotService' },
      { type: 'BotServiceRbac' },
    ],
  },
  agent_card: {
    version: '1.0.0',
    description: 'A card.',
    skills: [{ id: 'sum', name: 'Sum up', description: 'd', tags: ['news'], examples: ['x'] }],
  },
  state: 'disabled',
};

describe('a request to make an agent', () => {
  test.for(Object.entries(DEFINITIONS))(
    'of kind %s has every field said back, by every operation',
    async ([kind, definition], { foundry }) => {
      const made = await foundry.post('/agents', { name: 'whole', definition, ...BESIDE });
      const { body: read } = await foundry.get('/agents/whole');
      const { body: version } = await foundry.get('/agents/whole/versions/1');
      const { body: list } = await foundry.get('/agents?limit=1');

      const { description, metadata, blueprint_reference, ...ofAgent } = BESIDE;
      expect([made.status, made.body]).toEqual([200, read]);
      expect(list.data).toEqual([read]);
      expect(read).toMatchObject({
        ...ofAgent,
        blueprint_reference,
        versions: { latest: version },
      });
      expect(version).toMatchObject({ description, metadata, blueprint_reference, definition });
      expect(version.definition).toEqual(definition);
      expect(Object.hasOwn(read, 'instance_identity')).toBe(kind === 'hosted');
    },
  );

  test('of which little is said gets what every agent has', async ({ foundry }) => {
    const { body } = await foundry.post('/agents', {
      name: 'plain',
      definition: { kind: 'prompt', model: 'gpt' },
    });

    expect(body).toMatchObject({ object: 'agent', id: 'plain', state: 'enabled' });
    expect(body.versions.latest).toMatchObject({ description: '', metadata: {}, draft: false });
    for (const field of ['agent_card', 'blueprint_reference', 'instance_identity', 'blueprint'])
      expect(body).not.toHaveProperty(field);
  });

  const wrong = (value: unknown): unknown => (typeof value === 'number' ? 'one' : 7);
  const fieldsOf = (of: object): string[] => Object.keys(of).filter((field) => field !== 'kind');

  test.for(
    Object.entries(DEFINITIONS).flatMap(([kind, definition]) =>
      fieldsOf(definition).map((field) => [kind, field] as const),
    ),
  )('is refused with a wrong type in %s %s', async ([kind, field], { foundry }) => {
    const whole = DEFINITIONS[kind] ?? {};
    const definition = { ...whole, [field]: wrong(whole[field]) };

    const answer = await foundry.post('/agents', { name: 'broken', definition });

    expect(refusal(answer)).toMatchObject({ status: 400, param: `definition.${field}` });
    expect((await foundry.get('/agents/broken')).status).toBe(404);
  });

  test.for([
    ...fieldsOf(BESIDE).map((field) => [field, { [field]: 7 }] as const),
    ...fieldsOf(BESIDE.agent_endpoint).map(
      (field) => [`agent_endpoint.${field}`, { agent_endpoint: { [field]: 7 } }] as const,
    ),
    ...fieldsOf(BESIDE.agent_card).map(
      (field) =>
        [`agent_card.${field}`, { agent_card: { ...BESIDE.agent_card, [field]: 7 } }] as const,
    ),
    ['name', { name: 7 }] as const,
    ['draft', { draft: 'yes' }] as const,
  ])('is refused with a wrong type in %s', async ([param, change], { foundry }) => {
    const definition = { kind: 'prompt', model: 'gpt' };

    const answer = await foundry.post('/agents', { name: 'broken', definition, ...change });

    expect(refusal(answer)).toMatchObject({ status: 400, param });
  });
});

describe('a version', () => {
  test('is seen creating once, and then active, by who polls it', async () => {
    const foundry = openFoundry({ skip: true, settings: { provisioning_time: '3m' } });
    const made = await foundry.post('/agents/digest/versions', { definition: HOSTED });
    const poll = async (): Promise<string> =>
      (await foundry.get('/agents/digest/versions/1')).body.status;

    expect([made.body.status, await poll(), await poll(), await poll()]).toEqual([
      'creating',
      'creating',
      'active',
      'active',
    ]);
  });

  test.for(['getAgent', 'listAgentVersions'])(
    'is waited for by who repeats %s',
    async (operation) => {
      const path = operation === 'getAgent' ? '/agents/digest' : '/agents/digest/versions';
      const foundry = openFoundry({ skip: true, settings: { provisioning_time: '3m' } });
      await foundry.post('/agents/digest/versions', { definition: HOSTED });
      await foundry.get(path);

      const { body } = await foundry.get(path);

      expect((body.data?.[0] ?? body.versions.latest).status).toBe('active');
    },
  );

  test('takes a second in lenient and three minutes in the previews', () => {
    const takes = (profile: ProfileName) => {
      const emulator = createEmulator({ profile });
      onTestFinished(() => emulator.close());
      return emulator.project('p').world.profile.settings.provisioning_time;
    };

    expect(PROFILES.map(takes)).toEqual([1_000, 180_000, 180_000]);
  });
});

const CODE = {
  kind: 'hosted',
  cpu: '1',
  memory: '2Gi',
  code_configuration: { runtime: 'python_3_13', entry_point: ['python', 'main.py'] },
};

/** Uploads code; parts in the order in which they are given. */
async function upload(
  foundry: Foundry,
  path: string,
  parts: Record<string, string | Blob>,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Json }> {
  const form = new FormData();
  for (const [name, part] of Object.entries(parts)) form.append(name, part);
  const answer = await foundry.fetch(`http://localhost/api/projects/tests${path}`, {
    method: 'POST',
    headers: { authorization: 'Bearer t', ...headers },
    body: form,
  });
  return { status: answer.status, body: await answer.json() };
}

/** A zip as far as anybody looks: its signature, and every byte that there is. */
const zipOf = (length: number): Buffer =>
  Buffer.concat([
    Buffer.from('PK\u0003\u0004'),
    Buffer.alloc(length - 4, Buffer.from([0, 255, 10, 13])),
  ]);

const metadata = JSON.stringify({ description: 'by code', definition: CODE });

describe('the code of an agent', () => {
  test('is fetched byte for byte, and is kept once for all who run it', async ({ foundry }) => {
    const zip = zipOf(100_000);
    const sha256 = createHash('sha256').update(zip).digest('hex');
    const parts = { code: new Blob([zip]), metadata };

    const made = await upload(foundry, '/agents/one/versions', parts);
    await upload(foundry, '/agents', parts, { 'x-ms-agent-name': 'two' });
    const answer = await foundry.fetch(
      'http://localhost/api/projects/tests/agents/two/code:download?api-version=v1',
      { headers: { authorization: 'Bearer t' } },
    );

    expect(made.body).toMatchObject({
      description: 'by code',
      definition: { code_configuration: { content_hash: sha256 } },
    });
    expect(answer.headers.get('x-ms-code-zip-sha256')).toBe(sha256);
    expect(Buffer.from(await answer.arrayBuffer()).equals(zip)).toBe(true);
    expect(kept(foundry)).toBe(1);
  });

  test('goes with the last version that runs it', async ({ foundry }) => {
    const parts = { metadata, code: new Blob([zipOf(10)]) };
    await upload(foundry, '/agents/one/versions', parts);
    await upload(foundry, '/agents/two/versions', parts);

    await foundry.delete('/agents/one');
    const shared = kept(foundry);
    await foundry.delete('/agents/two/versions/1');

    expect([shared, kept(foundry)]).toEqual([1, 0]);
  });

  test('of which the digest is wrong is kept nowhere', async ({ foundry }) => {
    const headers = { 'x-ms-code-zip-sha256': '0'.repeat(64) };

    const answer = await upload(
      foundry,
      '/agents/one/versions',
      { metadata, code: new Blob([zipOf(10)]) },
      headers,
    );

    expect([answer.status, kept(foundry)]).toEqual([400, 0]);
    expect((await foundry.get('/agents/one')).status).toBe(404);
  });

  test('may have 250 MB, and not a byte more', async ({ foundry }) => {
    const status = async (length: number): Promise<number> =>
      (
        await upload(foundry, '/agents/large/versions', {
          metadata,
          code: new Blob([zipOf(length)]),
        })
      ).status;

    expect(await status(262_144_001)).toBe(413);
    expect(await status(262_144_000)).toBe(200);
  }, 60_000);

  test('comes again where a journal is replayed', async ({ foundry }) => {
    const parts = { metadata, code: new Blob([zipOf(1_000)]) };
    await upload(foundry, '/agents', parts, { 'x-ms-agent-name': 'one' });
    await upload(foundry, '/agents', parts, { 'x-ms-code-zip-sha256': 'wrong' });
    const lines = canonicalLines(foundry.emulator.project('tests'));

    expect(lines.filter((line) => line.includes('"base64"'))).toHaveLength(2);
    expect(await replayJournal(lines)).toEqual(lines);
  });
});

function kept(foundry: Foundry): number {
  const { store } = foundry.emulator.project('tests').world;
  return (store.sql('SELECT count(*) AS n FROM code').get() as { n: number }).n;
}
