/**
 * Every `az rest` call that seed 003 prints, sent with its method, path, query, headers and body as they are printed: its answer is
 * the one written here, and what is read and called afterwards shows what it did.
 */
import { test as base, describe } from 'vitest';
import { azRest, type Call, wordsOf } from './az-rest.ts';
import { type Answered, expect, type Foundry, type Json, openFoundry } from './fixture.ts';
import { blocksOf, endOfStatement, readSeed } from './seed-units.ts';

const PROJECT = 'tests';
const AGENT = 'my-agent';
const CREATED_AT = Date.parse('2026-06-01T00:00:00Z') / 1_000;
const PROVISIONED_AFTER = '2m';

/** What the page leaves open. */
const FILLED: Readonly<Record<string, string>> = {
  '<your-foundry-account-name>': 'contoso',
  '<your-project-name>': PROJECT,
  '<your-agent-name>': AGENT,
};

const seed = readSeed('003');
if (seed === undefined)
  process.stderr.write('seed-rest: skipped, because there is no seed 003 in ../shared/seeds.\n');

/** The commands and assignments of the page, one by one. */
function statementsOf(page: string): string[] {
  const shell = blocksOf(page.split('\n')).filter(({ language }) => language === 'shell');
  return shell.flatMap(({ lines }) => {
    const statements: string[] = [];
    for (let index = 0; index < lines.length; ) {
      const end = endOfStatement(lines, index, 'shell');
      statements.push(lines.slice(index, end).join('\n'));
      index = end;
    }
    return statements;
  });
}

const ASSIGNED = /^([A-Z_]+)=(?!\$\()(.*)$/s;
const CAPTURED = /^[A-Z_]+=\$\((.*)\)$/s;

const statements = statementsOf(seed ?? '');
const commands = statements
  .map((statement) => CAPTURED.exec(statement)?.[1] ?? statement)
  .filter((statement) => statement.startsWith('az rest '));

/** The call of this number on the page, from 1. */
function call(number: number, more: Readonly<Record<string, string>> = {}): Call {
  const variables: Record<string, string> = {};
  for (const statement of statements) {
    const [, name = '', value = ''] = ASSIGNED.exec(statement) ?? [];
    const [word = ''] = wordsOf(value, variables);
    if (name !== '') variables[name] = FILLED[word] ?? word;
  }
  return azRest(wordsOf(commands[number - 1] ?? '', { ...variables, ...more }));
}

const UUID = expect.stringMatching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const IDENTITY = { principal_id: UUID, client_id: UUID, status: 'active' };
const IDENTITIES = {
  instance_identity: IDENTITY,
  blueprint: IDENTITY,
  blueprint_reference: {
    type: 'ManagedAgentIdentityBlueprint',
    blueprint_id: expect.stringMatching(/^my-agent-[0-9a-z]{5}$/),
  },
};

/** The definition that the page prints, of another image. */
function printed(image: string): Json {
  return {
    kind: 'hosted',
    image: `myregistry.azurecr.io/my-agent:${image}`,
    cpu: '1',
    memory: '2Gi',
    container_protocol_versions: [{ protocol: 'responses', version: '1.0.0' }],
  };
}

/** A version as it is answered, with both spellings of its definition. */
function version(number: unknown, image: string, more: object = {}): Json {
  const definition = printed(image);
  return {
    object: 'agent.version',
    id: typeof number === 'string' ? `${AGENT}:${number}` : expect.stringMatching(/^my-agent:/),
    name: AGENT,
    version: number,
    description: '',
    metadata: {},
    created_at: CREATED_AT,
    definition: {
      ...definition,
      container_configuration: { image: definition.image },
      protocol_versions: definition.container_protocol_versions,
    },
    draft: false,
    status: 'active',
    agent_guid: UUID,
    ...IDENTITIES,
    ...more,
  };
}

function agent(latest: Json, more: object = {}): Json {
  return {
    object: 'agent',
    id: AGENT,
    name: AGENT,
    versions: { latest },
    state: 'enabled',
    agent_endpoint: endpoint([['@latest', 100]]),
    ...IDENTITIES,
    ...more,
  };
}

function endpoint(split: [version: string, percentage: number][]): Json {
  return {
    version_selector: {
      version_selection_rules: split.map(([agent_version, traffic_percentage]) => ({
        agent_version,
        traffic_percentage,
        type: 'FixedRatio',
      })),
    },
    protocols: ['responses'],
    protocol_configuration: { responses: {} },
    authorization_schemes: [{ type: 'Entra', isolation_key_source: { kind: 'Entra' } }],
  };
}

function list(...data: Json[]): Json {
  const ids = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  return { object: 'list', data, ...ids, has_more: false };
}

/** What matters of an answer; its other headers are the same for all. */
function told({ status, headers, body }: Answered): Json {
  return { status, type: headers.get('content-type'), body };
}

const NOT_FOUND = { status: 404, body: { error: { code: 'not_found' } } };
const refused = (status: number, code: string) => ({ status, body: { error: { code } } });
const ok = (body: Json): Json => ({ status: 200, type: 'application/json', body });
const DONE = { status: 204, type: null, body: undefined };

/** The page's project, in which my-agent has two releases and the second is the latest, as the page takes them to be there. */
class Page {
  readonly foundry: Foundry;

  constructor(foundry: Foundry) {
    this.foundry = foundry;
  }

  async make(): Promise<void> {
    const provisioning = (provisioning_time: string) =>
      this.foundry.set({ settings: { provisioning_time } });
    await provisioning('0s');
    for (const image of ['v0', 'v1']) await this.foundry.agent(AGENT, printed(image));
    await provisioning(PROVISIONED_AFTER);
  }

  /** The call of this number on the page. A stream of logs ends after two minutes in which nothing is logged. */
  async send(number: number, more: Readonly<Record<string, string>> = {}): Promise<Answered> {
    const { method, url, headers, body } = call(number, more);
    const path = url.pathname + url.search;
    const answer = await this.foundry.fetch(new URL(path, this.foundry.endpoint), {
      method,
      headers: { authorization: 'Bearer test', ...headers },
      ...(body === undefined ? {} : { body }),
    });
    if (path.includes(':logstream')) await this.foundry.advance('2m');
    return this.foundry.answered(method, path, answer);
  }

  /** Below the agent. */
  async get(path = '', query = ''): Promise<Answered> {
    return this.foundry.get(`/agents/${AGENT}${path}?api-version=v1${query}`);
  }

  async read(path = '', query = ''): Promise<Json> {
    return (await this.get(path, query)).body;
  }

  ask(): Promise<Answered> {
    const path = `/agents/${AGENT}/endpoint/protocols/openai/responses?api-version=v1`;
    return this.foundry.post(path, { input: 'hi' });
  }

  /** Through the project, by the agent's reference. */
  askByReference(version?: string): Promise<Answered> {
    const reference = { type: 'agent_reference', name: AGENT, version };
    return this.foundry.post('/openai/v1/responses', { input: 'hi', agent_reference: reference });
  }

  openSession(agent_version?: string): Promise<Answered> {
    const indicator = { version_indicator: { type: 'version_ref', agent_version } };
    const path = `/agents/${AGENT}/endpoint/sessions?api-version=v1`;
    return this.foundry.post(path, agent_version === undefined ? {} : indicator);
  }

  /** The version that a call without a session reaches. */
  async reached(): Promise<string> {
    const answer = await this.ask();
    expect(answer.status, answer.text).toBe(200);
    const id = answer.headers.get('x-agent-session-id');
    return (await this.read(`/endpoint/sessions/${id}`)).version_indicator.agent_version;
  }
}

const test = base.extend<{ page: Page }>({
  page: async ({ task: _ }, use) => {
    const page = new Page(openFoundry({}, PROJECT));
    await page.make();
    await use(page);
  },
});

const SECOND = version('2', 'v1');
const FIRST = version('1', 'v0');

describe.skipIf(seed === undefined)('az rest of seed 003', () => {
  base('is found whole', () => {
    const lines = (seed ?? '').split('\n');
    expect(commands).toHaveLength(lines.filter((line) => line.includes('az rest --')).length);
    expect(commands).toHaveLength(15);
    const withBody = commands.filter((command) => command.includes('--body'));
    expect(withBody).toHaveLength(lines.filter((line) => line.includes('--body')).length);
  });

  test('lists the agents of the project', async ({ page }) => {
    const another = { kind: 'prompt', model: 'gpt-4.1-mini' };
    await page.foundry.agent('another', another);

    const answer = await page.send(1);

    const [first] = answer.body.data;
    expect(first).toMatchObject({ id: 'another', versions: { latest: { definition: another } } });
    expect(told(answer)).toEqual(ok(list(first, agent(SECOND))));
    expect(answer.body.data[1]).toEqual(await page.read());
  });

  test('reads an agent with its latest version, status and definition', async ({ page }) => {
    expect(told(await page.send(2))).toEqual(ok(agent(SECOND)));
    await page.foundry.delete(`/agents/${AGENT}`);
    expect(await page.send(2)).toMatchObject(NOT_FOUND);
  });

  test('reads a version', async ({ page }) => {
    expect(told(await page.send(3))).toEqual(ok(FIRST));
    await page.foundry.delete(`/agents/${AGENT}/versions/1`);
    expect(await page.send(3)).toMatchObject(NOT_FOUND);
  });

  test('lists the versions, and drafts where it asks for them', async ({ page }) => {
    const draft = (await page.send(7)).body;

    expect(told(await page.send(4))).toEqual(ok(list(SECOND, FIRST)));
    expect(told(await page.send(5))).toEqual(ok(list(draft, SECOND, FIRST)));
  });

  test('creates a version, which is the latest at once and answers when it is active', async ({
    page,
  }) => {
    const made = version('3', 'v2', { status: 'creating' });
    const active = version('3', 'v2');

    expect(told(await page.send(6))).toEqual(ok(made));

    expect(await page.read('/versions/3')).toEqual(made);
    expect(await page.read()).toEqual(agent(made));
    expect(await page.read('/versions')).toEqual(list(made, SECOND, FIRST));
    expect(await page.ask()).toMatchObject(refused(400, 'agent_version_not_ready'));
    await page.foundry.advance(PROVISIONED_AFTER);
    expect(await page.read('/versions/3')).toEqual(active);
    expect(await page.read('/versions')).toEqual(list(active, SECOND, FIRST));
    expect(await page.reached()).toBe('3');
    // The same call again changes nothing.
    expect(told(await page.send(6))).toEqual(ok(active));
  });

  test('creates a draft, which is read, tested, deleted and promoted, and gets no traffic', async ({
    page,
  }) => {
    const named = expect.stringMatching(/^draft-\d{13}$/);
    const draft = (status: string) => version(named, 'experimental', { draft: true, status });

    const answer = await page.send(7);

    expect(told(answer)).toEqual(ok(draft('creating')));
    const { id, version: name } = answer.body;
    expect(id).toBe(`${AGENT}:${name}`);
    await page.foundry.advance(PROVISIONED_AFTER);
    expect(await page.read(`/versions/${name}`)).toEqual(draft('active'));
    expect(await page.read()).toEqual(agent(SECOND));
    expect(await page.read('/versions')).toEqual(list(SECOND, FIRST));
    expect(await page.reached()).toBe('2');

    // Tested directly.
    const session = await page.openSession(name);
    expect(session.status, session.text).toBe(201);
    expect(session.body.version_indicator).toEqual({ type: 'version_ref', agent_version: name });
    expect((await page.askByReference(name)).body.agent_reference).toMatchObject({ version: name });

    // No rule can name it.
    const rule = { type: 'FixedRatio', agent_version: name, traffic_percentage: 100 };
    const pinned = { version_selector: { version_selection_rules: [rule] } };
    const patched = await page.foundry.request('PATCH', `/agents/${AGENT}?api-version=v1`, {
      body: { agent_endpoint: pinned },
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(patched.status).toBe(400);
    expect(await page.read()).toEqual(agent(SECOND));

    // Promoted, and deleted.
    const body = { definition: printed('experimental') };
    const promoted = await page.foundry.post(`/agents/${AGENT}/versions?api-version=v1`, body);
    expect(told(promoted)).toEqual(
      ok({
        ...version('3', 'experimental', { status: 'creating' }),
        created_at: CREATED_AT + 120,
      }),
    );
    // Its sessions are still active.
    const deleted = await page.foundry.delete(
      `/agents/${AGENT}/versions/${name}?api-version=v1&force=true`,
    );
    expect(told(deleted)).toEqual(
      ok({ object: 'agent.version.deleted', name: AGENT, version: name, deleted: true }),
    );
    expect(await page.get(`/versions/${name}`)).toMatchObject(NOT_FOUND);
  });

  test('creates a release where drafts are not enabled', async ({ page }) => {
    await page.foundry.set({ switches: { drafts: 'disabled' } });

    expect(told(await page.send(7))).toEqual(
      ok(version('3', 'experimental', { status: 'creating' })),
    );
  });

  test('disables an agent, and enables it again', async ({ page }) => {
    const before = await page.read('/versions');

    for (const _ of ['once', 'again']) expect(told(await page.send(8))).toEqual(DONE);

    const off = agent(SECOND, { state: 'disabled' });
    expect(await page.read()).toEqual(off);
    expect((await page.send(1)).body).toEqual(list(off));
    expect(await page.read('/versions')).toEqual(before);
    for (const answer of [await page.ask(), await page.askByReference(), await page.openSession()])
      expect(answer).toMatchObject(refused(403, 'agent_disabled'));

    for (const _ of ['once', 'again']) expect(told(await page.send(9))).toEqual(DONE);

    expect(await page.read()).toEqual(agent(SECOND));
    expect((await page.send(1)).body).toEqual(list(agent(SECOND)));
    expect(await page.reached()).toBe('2');
  });

  test('deletes a version', async ({ page }) => {
    const deleted = { object: 'agent.version.deleted', name: AGENT, version: '1', deleted: true };

    expect(told(await page.send(10))).toEqual(ok(deleted));

    expect(await page.get('/versions/1')).toMatchObject(NOT_FOUND);
    expect(await page.read('/versions')).toEqual(list(SECOND));
    expect(await page.read()).toEqual(agent(SECOND));
    expect(await page.openSession('1')).toMatchObject({ status: 404 });
    expect(await page.reached()).toBe('2');
    expect(await page.send(10)).toMatchObject(NOT_FOUND);
  });

  test('deletes an agent, all its versions and its sessions', async ({ page }) => {
    const session = (await page.openSession()).body.agent_session_id;

    expect(told(await page.send(11))).toEqual(
      ok({ object: 'agent.deleted', name: AGENT, deleted: true }),
    );

    for (const path of ['', '/versions', '/versions/1', '/versions/2', '/endpoint/sessions'])
      expect(await page.get(path), path).toMatchObject(NOT_FOUND);
    expect((await page.send(1)).body).toEqual(list());
    expect(await page.ask()).toMatchObject(NOT_FOUND);
    expect(await page.askByReference()).toMatchObject(NOT_FOUND);
    expect(await page.send(11)).toMatchObject(NOT_FOUND);
    await page.foundry.agent(AGENT, printed('v0'));
    expect(await page.get(`/endpoint/sessions/${session}`)).toMatchObject({ status: 404 });
    expect(await page.read('/endpoint/sessions')).toMatchObject({ data: [] });
  });

  test("streams a session's logs", async ({ page }) => {
    const SESSION_ID = (await page.openSession('1')).body.agent_session_id;
    const AGENT_VERSION = '1';

    const answer = await page.send(12, { AGENT_VERSION, SESSION_ID });

    expect(answer.status, answer.text).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const frames = answer.text.split('\n\n').filter((frame) => frame.startsWith('event:'));
    const logged = frames.map((frame) => {
      const [, data = ''] = /^event: log\ndata: (.*)$/.exec(frame) ?? [];
      return JSON.parse(data);
    });
    const line = (stream: string, message: unknown) => ({
      timestamp: expect.stringMatching(/^2026-06-01T00:00:/),
      stream,
      message,
    });
    expect(logged.slice(0, 3)).toEqual([
      line('status', "Connecting to the container 'agent-container'..."),
      line('status', "Successfully connected to container: 'agent-container'"),
      line('stdout', expect.stringMatching(/"GET \/readiness HTTP\/1\.1" 200 OK$/)),
    ]);
    const other = await page.send(12, { AGENT_VERSION: '2', SESSION_ID });
    expect(other).toMatchObject({ status: 404 });
  });

  test('routes all traffic to one version', async ({ page }) => {
    const pinned = agent(SECOND, { agent_endpoint: endpoint([['1', 100]]) });

    expect(told(await page.send(13))).toEqual(ok(pinned));

    expect(await page.read()).toEqual(pinned);
    expect((await page.send(1)).body).toEqual(list(pinned));
    expect(await page.reached()).toBe('1');
    // The version that is made next gets none of it.
    await page.send(6);
    expect(await page.reached()).toBe('1');
  });

  test('splits traffic between two versions, and leaves sessions where they are', async ({
    page,
  }) => {
    const before = (await page.openSession()).body;
    const split = agent(SECOND, {
      agent_endpoint: endpoint([
        ['1', 90],
        ['2', 10],
      ]),
    });

    expect(told(await page.send(14))).toEqual(ok(split));

    expect(await page.read()).toEqual(split);
    const reached: string[] = [];
    for (let count = 0; count < 200; count += 1) reached.push(await page.reached());
    const onFirst = reached.filter((version) => version === '1').length;
    expect(onFirst).toBeGreaterThanOrEqual(165);
    expect(onFirst).toBeLessThanOrEqual(195);
    expect(new Set(reached)).toEqual(new Set(['1', '2']));
    const after = await page.read(`/endpoint/sessions/${before.agent_session_id}`);
    expect(after.version_indicator).toEqual(before.version_indicator);
  });

  test("extracts the agent identity's principal id", async ({ page }) => {
    const { query = '' } = call(15);

    const { body } = await page.send(15);

    const extracted = query.split('.').reduce((value, field) => value?.[field], body);
    expect(extracted).toEqual(UUID);
    expect(extracted).toBe((await page.read()).instance_identity.principal_id);
    expect(extracted).toBe((await page.read('/versions/1')).instance_identity.principal_id);
  });
});
