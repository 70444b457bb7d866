/**
 * Every field of seed 002 makes the round trip, for each kind of agent: what a request says is what its answer, the next read, the
 * list and the version say. The names are the page's, so that none is forgotten.
 */
import { createHash } from 'node:crypto';
import { test as base, describe } from 'vitest';
import { type Answered, expect, type Foundry, type Json, openFoundry } from './fixture.ts';
import { type Field, fieldsOf, HEADING, referenceUnitsOf, valuesOf } from './seed-fields.ts';
import { plain, readSeed } from './seed-units.ts';

const page = readSeed('002');
if (page === undefined)
  process.stderr.write('seed-fields: skipped, because there is no seed 002 in ../shared/seeds.\n');
const fields = fieldsOf(page ?? '');
const [featureValues = '', protocolValues = ''] = valuesOf(page ?? '');

const NAME = 'round-trip';
const PROTOCOLS = ['activity', 'responses', 'a2a', 'mcp', 'invocations', 'invocations_ws'];
const FEATURES = [
  'HostedAgents',
  'WorkflowAgents',
  'AgentEndpoints',
  'CodeAgents',
  'ExternalAgents',
];
const UUID = expect.stringMatching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);

const HOSTED = {
  kind: 'hosted',
  cpu: '0.5',
  memory: '1Gi',
  environment_variables: { LOG_LEVEL: 'debug' },
  rai_config: { rai_policy_name: 'strict' },
  tools: [{ type: 'code_interpreter' }],
  telemetry_config: { endpoints: [{ kind: 'OTLP', data: ['Traces'], endpoint: 'https://otel' }] },
  session_configuration: { idle_timeout_seconds: 600 },
};
const VERSIONS = PROTOCOLS.map((protocol) => ({ protocol, version: '1.0.0' }));
const IMAGE = 'myregistry.azurecr.io/agent:1';
const BOTH_SPELLINGS = {
  image: IMAGE,
  container_configuration: { image: IMAGE },
  protocol_versions: VERSIONS,
  container_protocol_versions: VERSIONS,
};

/** Each kind of definition with all that it may say, and what is said back where that is more. */
const DEFINITIONS: { kind: string; spelled: string; sent: Json; answered?: Json }[] = [
  {
    kind: 'hosted',
    spelled: 'as seed 003 spells it',
    sent: { ...HOSTED, image: IMAGE, container_protocol_versions: VERSIONS },
    answered: { ...HOSTED, ...BOTH_SPELLINGS },
  },
  {
    kind: 'hosted',
    spelled: 'in the newer spelling',
    sent: {
      ...HOSTED,
      container_configuration: { image: IMAGE },
      protocol_versions: VERSIONS,
    },
    answered: { ...HOSTED, ...BOTH_SPELLINGS },
  },
  {
    kind: 'prompt',
    spelled: 'with every field',
    sent: {
      kind: 'prompt',
      model: 'gpt-4.1-mini',
      instructions: 'Be brief.',
      temperature: 0.5,
      top_p: 0.9,
      reasoning: { effort: 'low' },
      tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: true }],
      tool_choice: 'auto',
      text: { format: { type: 'text' } },
      structured_inputs: { city: { description: 'Where', default_value: 'Oslo', required: false } },
      rai_config: { rai_policy_name: 'strict' },
    },
  },
  {
    kind: 'workflow',
    spelled: 'with every field',
    sent: { kind: 'workflow', workflow: 'kind: Workflow\ntrigger: {}\n' },
  },
  {
    kind: 'external',
    spelled: 'with every field',
    sent: { kind: 'external', otel_agent_id: 'checkout-bot' },
  },
  {
    kind: 'external',
    spelled: 'without an id of its own',
    sent: { kind: 'external' },
    answered: { kind: 'external', otel_agent_id: NAME },
  },
];

/** What a body says beside its definition, by the page's names, in the page's order. */
function requested(definition: Json): Record<string, Json> {
  const hosted = definition.kind === 'hosted';
  return {
    name: NAME,
    metadata: Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [`${index}`.padEnd(64, 'k'), 'v'.repeat(512)]),
    ),
    description: 'Every field makes the round trip.',
    definition,
    blueprint_reference: { type: 'ManagedAgentIdentityBlueprint', blueprint_id: 'blueprint-1' },
    agent_endpoint: {
      version_selector: {
        version_selection_rules: [
          { type: 'FixedRatio', agent_version: '@latest', traffic_percentage: 100 },
        ],
      },
      protocols: hosted ? PROTOCOLS : ['responses'],
      authorization_schemes: [
        { type: 'Entra', isolation_key_source: { kind: 'Entra' } },
        { type: 'BotService' },
        { type: 'BotServiceRbac' },
      ],
    },
    agent_card: {
      version: '1.0',
      description: 'What it can do.',
      skills: [{ id: 's', name: 'Skill', description: 'd', tags: ['t'], examples: ['e'] }],
    },
  };
}

/** The page's fields of one part, each under the field that holds it. */
function pathsOf(part: string): string[] {
  const holders: Record<string, RegExp> = {
    'definition.': /^(?:hosted|prompt|workflow|external)$/,
    'blueprint_reference.': /^ManagedAgentIdentityBlueprint$/,
    'versions.': /^latest$/,
    'agent_endpoint.': /^(?:version_selector|protocols|authorization_schemes)$/,
    'agent_card.': /^(?:version|description|skills)$/,
  };
  let identity = '';
  let isCard = false;
  return fields
    .filter(({ section }) => section === part)
    .map(({ name, type }: Field) => {
      if (type === 'AgentIdentity') identity = name;
      if (name === 'agent_card') isCard = true;
      if (name === 'principal_id' || name === 'client_id') return `${identity}.${name}`;
      const holder = Object.entries(holders).find(([, names]) => names.test(name))?.[0] ?? '';
      return holder === 'agent_card.' && !isCard ? name : `${holder}${name}`;
    });
}

/** The paths of an answer that the page knows: two levels, and no deeper. */
function has(body: Json, path: string): boolean {
  const [first = '', second] = path.split('.');
  return second === undefined ? first in body : body[first]?.[second] !== undefined;
}

const test = base.extend<{ foundry: Foundry }>({
  foundry: async ({ task: _ }, use) => {
    const foundry = openFoundry();
    await foundry.set({ settings: { provisioning_time: '0s' } });
    await use(foundry);
  },
});

function create(foundry: Foundry, body: Json, headers = {}): Promise<Answered> {
  return foundry.post('/agents?api-version=v1', body, headers);
}

describe.skipIf(page === undefined)('the fields of seed 002', () => {
  base('are all read from the page, and all are tried', () => {
    const units = referenceUnitsOf(page ?? '');
    const text = (page ?? '').split('\n').filter((line) => !HEADING.test(line));
    const headings = ['RequestBody', 'Responses'];
    const kept = units.map((unit) => plain(unit.text)).join('');
    const whole = headings.reduce(
      (said, heading) => said.replace(new RegExp(`(?<=[.])${heading}(?=Content-Type|object)`), ''),
      plain(text.join('')),
    );
    expect(kept.replaceAll('-', '')).toBe(whole.replaceAll('-', ''));
    expect(featureValues).toBe(FEATURES.map((name) => `${name}=V1Preview`).join(''));
    expect(protocolValues).toBe(PROTOCOLS.join(''));

    const sent = requested({ kind: 'hosted' });
    const ofDefinition = ['hosted', 'prompt', 'workflow', 'external'].map(
      (kind) => `definition.${kind}`,
    );
    const tried = Object.entries(sent).flatMap(([name, value]) => {
      if (name === 'definition') return [name, ...ofDefinition];
      if (name === 'blueprint_reference') return [name, `${name}.${value.type}`];
      const isFlat = typeof value !== 'object' || name === 'metadata';
      return isFlat ? [name] : [name, ...Object.keys(value).map((inner) => `${name}.${inner}`)];
    });
    expect(pathsOf('Request Body')).toEqual(tried);
  });

  test.for(DEFINITIONS)('come back of a $kind agent, $spelled', async (each, { foundry }) => {
    const { sent, answered = sent } = each;
    const { name, definition: _, ...body } = requested(sent);

    const created = await create(foundry, { name, ...body, definition: sent });

    expect(created.status, created.text).toBe(200);
    const agent = created.body;
    const { metadata, description, blueprint_reference, agent_endpoint, agent_card } = body;
    expect(agent).toMatchObject({
      object: 'agent',
      id: NAME,
      name: NAME,
      agent_endpoint,
      agent_card,
      blueprint_reference,
    });
    expect(agent.agent_endpoint.protocol_configuration).toEqual(
      Object.fromEntries(agent_endpoint.protocols.map((protocol: string) => [protocol, {}])),
    );
    expect(agent.versions.latest).toMatchObject({ metadata, description, blueprint_reference });
    expect(agent.versions.latest.definition).toEqual(answered);
    expect(agent.agent_card).toEqual(agent_card);

    // All that the page names is there, and of fields that it does not name only the later page's.
    const isHosted = each.kind === 'hosted';
    const identities = ['instance_identity', 'blueprint'];
    const promised = pathsOf('Responses').filter(
      (path) =>
        !path.endsWith('.ManagedAgentIdentityBlueprint') &&
        (isHosted || !identities.includes(path.split('.')[0] ?? '')),
    );
    expect(promised.filter((path) => !has(agent, path))).toEqual([]);
    const known = new Set(promised.map((path) => path.split('.')[0]));
    expect(Object.keys(agent).filter((field) => !known.has(field))).toEqual(['state']);
    if (isHosted) {
      const identity = { principal_id: UUID, client_id: UUID };
      expect(agent).toMatchObject({ instance_identity: identity, blueprint: identity });
    }

    const read = (path: string) => foundry.get(`/agents${path}?api-version=v1`);
    expect((await read(`/${NAME}`)).body).toEqual(agent);
    expect((await read('')).body.data).toEqual([agent]);
    expect((await read(`/${NAME}/versions/1`)).body).toEqual(agent.versions.latest);
    expect((await read(`/${NAME}/versions`)).body.data).toEqual([agent.versions.latest]);
  });

  test('that no page knows are not said back', async ({ foundry }) => {
    const { body } = await create(foundry, {
      name: NAME,
      surprise: 1,
      definition: { kind: 'prompt', model: 'm', surprise: 1 },
      agent_endpoint: { protocols: ['responses'], surprise: 1 },
    });
    expect(JSON.stringify(body)).not.toContain('surprise');
  });

  test('that are left out get what the page says of them', async ({ foundry }) => {
    const definition = { kind: 'prompt', model: 'm' };

    const { body } = await create(foundry, { name: NAME, definition });

    expect(body.agent_endpoint).toEqual({
      version_selector: {
        version_selection_rules: [
          { type: 'FixedRatio', agent_version: '@latest', traffic_percentage: 100 },
        ],
      },
      protocols: ['responses'],
      protocol_configuration: { responses: {} },
      authorization_schemes: [{ type: 'Entra', isolation_key_source: { kind: 'Entra' } }],
    });
    expect(body.versions.latest).toMatchObject({ metadata: {}, definition });
    for (const field of ['agent_card', 'blueprint_reference', 'instance_identity', 'blueprint'])
      expect(body).not.toHaveProperty(field);
  });

  test('that the page requires are missed', async ({ foundry }) => {
    const whole = requested(DEFINITIONS[2]?.sent);
    const required = fields
      .filter(({ section, required: is }) => section === 'Request Body' && is)
      .map(({ name }) => name);
    expect(required).toEqual(['name', 'definition', 'version', 'skills']);

    const without = (field: string, body: Json): Json =>
      Object.fromEntries(Object.entries(body).filter(([name]) => name !== field));
    for (const field of ['name', 'definition'])
      expect(await create(foundry, without(field, whole)), field).toMatchObject({
        status: 400,
        body: { error: { param: field } },
      });
    for (const field of ['version', 'skills']) {
      const body = { ...whole, agent_card: without(field, whole.agent_card) };
      expect(await create(foundry, body), field).toMatchObject({
        status: 400,
        body: { error: { param: `agent_card.${field}` } },
      });
    }
    expect((await foundry.get(`/agents/${NAME}`)).status).toBe(404);
  });

  test('of the query and the headers are heeded', async ({ foundry }) => {
    const headers = fields.filter(({ section }) => section.startsWith('Query'));
    expect(headers.map(({ name }) => name)).toEqual([
      'api-version',
      'Foundry-Features',
      'x-ms-agent-name',
      'x-ms-code-zip-sha256',
    ]);
    const body = { definition: { kind: 'prompt', model: 'm' } };
    const values = FEATURES.map((name) => `${name}=V1Preview`);
    for (const [index, value] of [...values, values.join(','), values.join(' , ')].entries()) {
      const features = { 'foundry-features': value };
      const answer = await create(foundry, { name: `f${index}`, ...body }, features);
      expect(answer.status, `${value}: ${answer.text}`).toBe(200);
    }
    await foundry.set({ switches: { require_api_version: 'on' } });
    const without = await foundry.post('/agents', { name: 'g', ...body });
    expect(without).toMatchObject({ status: 400, body: { error: { code: 'BadRequest' } } });
  });

  test('of an upload name the agent and check the bytes', async ({ foundry }) => {
    // The shortest archive: it holds no file.
    const zip = Buffer.concat([Buffer.from('PK\x05\x06'), Buffer.alloc(18)]);
    const digest = createHash('sha256').update(zip).digest('hex');
    const code_configuration = { runtime: 'python_3_13', entry_point: ['python', 'main.py'] };
    const definition = {
      kind: 'hosted',
      cpu: '1',
      memory: '2Gi',
      code_configuration,
      protocol_versions: [{ protocol: 'responses', version: '1.0.0' }],
    };
    const upload = async (sha256: string) => {
      const form = new FormData();
      const metadata = JSON.stringify({ description: 'd', metadata: { a: 'b' }, definition });
      form.append('metadata', new Blob([metadata], { type: 'application/json' }));
      form.append('code', new Blob([zip], { type: 'application/zip' }), 'code.zip');
      const answer = await foundry.fetch(`${foundry.endpoint}/agents?api-version=v1`, {
        method: 'POST',
        body: form,
        headers: {
          authorization: 'Bearer test',
          'x-ms-agent-name': NAME,
          'x-ms-code-zip-sha256': sha256,
        },
      });
      return { status: answer.status, body: (await answer.json()) as Json };
    };

    const refused = await upload('0'.repeat(64));
    expect(refused.status).toBe(400);
    expect((await foundry.get(`/agents/${NAME}`)).status).toBe(404);

    const { status, body } = await upload(digest);

    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject({ name: NAME, versions: { latest: { description: 'd' } } });
    expect(body.versions.latest.definition.code_configuration).toEqual({
      ...code_configuration,
      dependency_resolution: 'bundled',
      content_hash: digest,
    });
    const download = await foundry.fetch(
      `${foundry.endpoint}/agents/${NAME}/code:download?api-version=v1`,
      { headers: { authorization: 'Bearer test' } },
    );
    expect(Buffer.from(await download.arrayBuffer())).toEqual(zip);
    expect(download.headers.get('x-ms-code-zip-sha256')).toBe(digest);
    expect(download.headers.get('x-ms-agent-version')).toBe('1');
  });
});
