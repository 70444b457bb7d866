/** Agents of @azure/ai-projects as npm has it, five versions, signed in by DefaultAzureCredential: each says what it can do. */
import { createHash } from 'node:crypto';
import { DefaultAzureCredential } from '@azure/identity';
import { beforeAll, describe, expect, test } from 'vitest';
import { AGENT, type Answer, type Entry, makeWorld, NOW, type World } from './world.ts';

/** What a client answers; each test says what it expects of it. */
type Json = Answer['body'];

interface Version {
  version: string;
  /** Sessions and endpoints are its preview, and it sends the header of the preview by itself. */
  preview: boolean;
  /** What it calls the PATCH of an agent. */
  patch: string;
  pages: boolean;
  /** Stops sessions, streams their logs and takes code. */
  runs: boolean;
  disables: boolean;
  drafts: boolean;
}

const OLDEST = { preview: true, pages: false, runs: false, disables: false, drafts: false };
const VERSIONS: Version[] = [
  { ...OLDEST, version: '2.1.0', patch: 'patchAgent' },
  { ...OLDEST, version: '2.2.0', patch: 'updateAgent', pages: true, runs: true },
  ...[
    { version: '2.3.1', patch: 'updateAgent', drafts: false },
    { version: '2.6.0', patch: 'patchAgentObject', drafts: true },
    { version: '2.10.0', patch: 'patchAgentObject', drafts: true },
  ].map((each) => ({ ...each, preview: false, pages: true, runs: true, disables: true })),
];
const FEATURES = 'HostedAgents=V1Preview,AgentEndpoints=V1Preview';

const start = new Date(NOW);
const PROMPT = { kind: 'prompt', model: 'gpt-4.1-mini', instructions: 'Be brief.' };
const ONE = { type: 'version_ref', agent_version: '1' };
const IMAGE = 'example.azurecr.io/agent:2';
const PROTOCOLS = [{ protocol: 'responses', version: '1.0.0' }];
const ROUTED = {
  version_selector: {
    version_selection_rules: [{ type: 'FixedRatio', agent_version: '1', traffic_percentage: 100 }],
  },
};
/** The shortest archive: it holds no file. */
const ZIP = Buffer.concat([Buffer.from('PK\x05\x06'), Buffer.alloc(18)]);

const notFound = { name: 'RestError', statusCode: 404, code: 'not_found' };

describe.each(VERSIONS)('@azure/ai-projects $version', (can) => {
  const { version } = can;
  let AIProjectClient: new (endpoint: string, credential: unknown, options?: Json) => Json;

  beforeAll(async () => {
    ({ AIProjectClient } = await import(`ai-projects-${version}`));
  });

  async function make(name: string, options: Json = {}) {
    const world = await makeWorld(`js-${version.replaceAll('.', '-')}-agents-${name}`, options);
    const client = new AIProjectClient(world.endpoint, new DefaultAzureCredential());
    const agents: Json = client.agents;
    return { world, agents, sessions: sessionsOf(can.preview ? client.beta.agents : agents) };
  }

  /** In the words of the later versions: the first wants the caller's key of isolation, and a folder. */
  function sessionsOf(own: Json): Json {
    if (version !== '2.1.0') return own;
    return {
      patchAgent: (...args: Json[]) => own.patchAgent(...args),
      getSession: (...args: Json[]) => own.getSession(...args),
      listSessions: (...args: Json[]) => own.listSessions(...args),
      createSession: (name: string, ...rest: Json[]) => own.createSession(name, 'me', ...rest),
      deleteSession: (name: string, id: string) => own.deleteSession(name, id, 'me'),
      uploadSessionFile: (...args: Json[]) => own.uploadSessionFile(...args),
      downloadSessionFile: (...args: Json[]) => own.downloadSessionFile(...args),
      deleteSessionFile: (...args: Json[]) => own.deleteSessionFile(...args),
      listSessionFiles: async function* (name: string, id: string, { path = '.' } = {}) {
        yield* (await own.listSessionFiles(name, id, path)).entries;
      },
    };
  }

  /** The first version says that it is another. */
  const told = version === '2.1.0' ? '2.0.2' : version;
  const sentBy = (world: World): Promise<Entry[]> =>
    world.requestsOf(new RegExp(`azsdk-js-ai-projects/${told.replaceAll('.', '\\.')} `));

  /** As this version spells it. */
  const hosted = (image: string) =>
    version === '2.1.0'
      ? { kind: 'hosted', cpu: '1', memory: '2Gi', image, container_protocol_versions: PROTOCOLS }
      : {
          kind: 'hosted',
          cpu: '1',
          memory: '2Gi',
          container_configuration: { image },
          protocol_versions: PROTOCOLS,
        };

  test('creates, reads, updates, lists and deletes an agent and its versions', async () => {
    const { agents } = await make('crud');
    const options = { description: 'Writes.', metadata: { team: 'press' } };
    const first = {
      ...options,
      object: 'agent.version',
      id: 'writer:1',
      name: 'writer',
      version: '1',
      status: 'active',
      created_at: start,
      definition: PROMPT,
    };

    const made = await agents.create('writer', PROMPT, options);

    expect(made).toMatchObject({ object: 'agent', id: 'writer', name: 'writer' });
    expect(made.versions.latest).toMatchObject(first);
    expect(made.agent_endpoint.version_selector).toEqual({
      version_selection_rules: [
        { type: 'FixedRatio', agent_version: '@latest', traffic_percentage: 100 },
      ],
    });
    expect(await agents.get('writer')).toEqual(made);
    expect(await agents.update('writer', PROMPT, options)).toEqual(made);
    const changed = await agents.update('writer', { ...PROMPT, temperature: 0.5 });
    expect(changed.versions.latest).toMatchObject({
      version: '2',
      definition: { ...PROMPT, temperature: 0.5 },
    });
    expect(await agents.createVersion('writer', { ...PROMPT, top_p: 0.1 })).toMatchObject({
      id: 'writer:3',
    });

    expect(await agents.getVersion('writer', '1')).toMatchObject(first);
    expect(await fieldsOf(agents.list(), 'name')).toEqual(['writer', AGENT]);
    expect(await fieldsOf(agents.list({ kind: 'hosted' }), 'name')).toEqual([AGENT]);
    expect(await fieldsOf(agents.listVersions('writer'), 'version')).toEqual(['3', '2', '1']);
    expect(await agents.deleteVersion('writer', '1')).toEqual({
      object: 'agent.version.deleted',
      name: 'writer',
      version: '1',
      deleted: true,
    });
    await expect(agents.getVersion('writer', '1')).rejects.toMatchObject(notFound);
    expect(await agents.delete('writer')).toEqual({
      object: 'agent.deleted',
      name: 'writer',
      deleted: true,
    });
    await expect(agents.get('writer')).rejects.toMatchObject(notFound);
    expect(await fieldsOf(agents.list(), 'name')).toEqual([AGENT]);
  });

  test('reads a hosted version in its own spelling, and sees it provisioned', async () => {
    const { agents } = await make('hosted', { settings: { provisioning_time: '2m' } });

    const made = await agents.createVersion('runner', hosted(IMAGE), {
      foundryFeatures: 'HostedAgents=V1Preview',
    });

    expect(made).toMatchObject({ version: '1', status: 'creating', definition: hosted(IMAGE) });
    const identity = { principal_id: expect.any(String), client_id: expect.any(String) };
    expect(made).toMatchObject({ instance_identity: identity, blueprint: identity });
    // Nothing new to say: it waits for what is.
    expect(await agents.getVersion('runner', '1')).toMatchObject({ status: 'creating' });
    expect(await agents.getVersion('runner', '1')).toMatchObject({ status: 'active' });
  });

  if (can.drafts)
    test('makes, lists and deletes a draft', async () => {
      const { agents } = await make('drafts');
      const features = { foundryFeatures: 'DraftAgents=V1Preview' };

      const draft = await agents.createVersion(AGENT, hosted(IMAGE), { ...features, draft: true });

      expect(draft).toMatchObject({
        version: expect.stringMatching(/^draft-\d{13}$/),
        draft: true,
      });
      const versions = (options?: Json) => fieldsOf(agents.listVersions(AGENT, options), 'version');
      expect(await versions()).toEqual(['1']);
      expect(await versions({ ...features, includeDrafts: true })).toEqual([draft.version, '1']);
      expect((await agents.get(AGENT)).versions.latest.version).toBe('1');
      expect(await agents.getVersion(AGENT, draft.version)).toMatchObject({ draft: true });
      await agents.deleteVersion(AGENT, draft.version);
      await expect(agents.getVersion(AGENT, draft.version)).rejects.toMatchObject(notFound);
    });

  if (!can.drafts)
    test('drops the wish for a draft, and makes a release', async () => {
      const { agents } = await make('drafts');
      const made = await agents.createVersion(AGENT, hosted(IMAGE), { draft: true });
      expect(made.version).toBe('2');
    });

  test('routes its traffic, and gives it a card', async () => {
    const { world, agents, sessions } = await make('patch');
    await agents.createVersion(AGENT, hosted(IMAGE));
    const spelled = can.preview
      ? { protocols: ['responses'] }
      : { protocol_configuration: { responses: {} } };
    const agentCard = { version: '1.0', skills: [{ id: 's', name: 'Skill' }] };

    const patched = await sessions[can.patch](AGENT, {
      agentEndpoint: { ...ROUTED, ...spelled },
      agentCard,
    });

    expect(patched.agent_endpoint).toMatchObject({ ...ROUTED, ...spelled });
    expect(patched.agent_card).toEqual(agentCard);
    expect(patched.versions.latest.version).toBe('2');
    expect(await agents.get(AGENT)).toEqual(patched);
    const session = await sessions.createSession(AGENT, ONE);
    expect(session.version_indicator).toEqual(ONE);
    const sent = (await sentBy(world)).find((entry) => entry.operation === 'patchAgent');
    expect(sent?.headers?.['foundry-features']).toBe(can.preview ? FEATURES : undefined);
    expect(sent?.body).toEqual({
      agent_endpoint: { ...ROUTED, ...spelled },
      agent_card: agentCard,
    });
  });

  if (can.disables)
    test('disables an agent, and enables it again', async () => {
      const { agents, sessions } = await make('disable');
      for (const _ of ['once', 'again']) expect(await agents.disable(AGENT)).toBeUndefined();
      expect((await agents.get(AGENT)).state).toBe('disabled');
      await expect(sessions.createSession(AGENT, ONE)).rejects.toMatchObject({
        statusCode: 403,
        code: 'agent_disabled',
      });
      for (const _ of ['once', 'again']) expect(await agents.enable(AGENT)).toBeUndefined();
      expect((await agents.get(AGENT)).state).toBe('enabled');
      await expect(agents.disable('none')).rejects.toMatchObject(notFound);
    });

  test('creates, reads, lists, stops and deletes a session', async () => {
    const { world, sessions } = await make('sessions');
    const agentSessionId = 'session-of-mine';

    const made = await sessions.createSession(AGENT, ONE, { agentSessionId });

    expect(made).toEqual({
      agent_session_id: agentSessionId,
      version_indicator: ONE,
      status: 'active',
      created_at: start,
      last_accessed_at: start,
      expires_at: new Date(start.getTime() + 30 * 24 * 3_600_000),
    });
    expect(await sessions.getSession(AGENT, agentSessionId)).toEqual(made);
    await world.advance('1m');
    const second = await sessions.createSession(AGENT, ONE);
    expect(await fieldsOf(sessions.listSessions(AGENT), 'agent_session_id')).toEqual([
      second.agent_session_id,
      agentSessionId,
    ]);
    if (can.runs) {
      for (const _ of ['once', 'again'])
        expect(await sessions.stopSession(AGENT, agentSessionId)).toBeUndefined();
      const stopped = await sessions.getSession(AGENT, agentSessionId);
      expect(stopped).toMatchObject({ status: 'idle' });
      if (version === '2.10.0')
        expect(stopped.stopped_at).toEqual(new Date(start.getTime() + 60_000));
    }
    for (const _ of ['once', 'again'])
      expect(await sessions.deleteSession(AGENT, agentSessionId)).toBeUndefined();
    await expect(sessions.getSession(AGENT, agentSessionId)).rejects.toMatchObject(notFound);
    await expect(sessions.createSession('none', ONE)).rejects.toMatchObject(notFound);
    const sent = await sentBy(world);
    expect(new Set(sent.map((entry) => entry.headers?.['foundry-features']))).toEqual(
      new Set([can.preview ? FEATURES : undefined]),
    );
  });

  test('writes, reads, lists and deletes the files of a session', async () => {
    const { sessions } = await make('files');
    const { agent_session_id: id } = await sessions.createSession(AGENT, ONE);
    const bytes = new Uint8Array([0, 255, 10, 13]);

    for (const path of ['data/a b.bin', 'data/c.bin', 'top.bin'])
      expect(await sessions.uploadSessionFile(AGENT, id, path, bytes)).toEqual({
        path: expect.stringContaining(path),
        bytes_written: 4,
      });

    const read = await sessions.downloadSessionFile(AGENT, id, 'data/a b.bin');
    expect(await bytesOf(read.readableStreamBody)).toEqual(Buffer.from(bytes));
    const top = await all(sessions.listSessionFiles(AGENT, id));
    expect(top).toEqual([
      { name: 'data', size: 0, is_directory: true, modified_time: modified(version) },
      { name: 'top.bin', size: 4, is_directory: false, modified_time: modified(version) },
    ]);
    const data = sessions.listSessionFiles(AGENT, id, { path: 'data' });
    expect(await fieldsOf(data, 'name')).toEqual(['a b.bin', 'c.bin']);
    await expect(sessions.deleteSessionFile(AGENT, id, 'data')).rejects.toMatchObject({
      statusCode: 409,
    });
    await sessions.deleteSessionFile(AGENT, id, 'data', { recursive: true });
    await sessions.deleteSessionFile(AGENT, id, 'top.bin');
    expect(await all(sessions.listSessionFiles(AGENT, id))).toEqual([]);
    const gone = sessions.downloadSessionFile(AGENT, id, 'top.bin');
    // Before 2.6.0 a refused download is not read: the client looks for its code in nothing.
    if (can.drafts) await expect(gone).rejects.toMatchObject({ statusCode: 404 });
    else await expect(gone).rejects.toThrow("(reading 'code')");
  });

  if (can.runs)
    test("streams a session's logs", async () => {
      const { sessions } = await make('logs');
      const { agent_session_id: id } = await sessions.createSession(AGENT, ONE);

      const { readableStreamBody: body } = await sessions.getSessionLogStream(AGENT, '1', id);

      let text = '';
      for await (const chunk of body) {
        text += chunk;
        if (text.includes('Successfully connected')) break;
      }
      const [first = ''] = text.split('\n\n');
      const [, data = ''] = /^event: log\ndata: (.*)$/.exec(first) ?? [];
      expect(JSON.parse(data)).toEqual({
        timestamp: expect.any(String),
        stream: 'status',
        message: "Connecting to the container 'agent-container'...",
      });
      await expect(sessions.getSessionLogStream(AGENT, '1', 'none')).rejects.toMatchObject({
        statusCode: 404,
      });
    });

  if (can.runs)
    test('uploads the code of a version, and gets it back', async () => {
      const { agents, sessions } = await make('code');
      const digest = createHash('sha256').update(ZIP).digest('hex');
      const definition = {
        kind: 'hosted',
        cpu: '1',
        memory: '2Gi',
        protocol_versions: PROTOCOLS,
        code_configuration: { runtime: 'python_3_13', entry_point: ['python', 'main.py'] },
      };
      const upload = (sha256: string) =>
        sessions.createVersionFromCode(AGENT, sha256, {
          metadata: { description: 'From code.', definition },
          code: { contents: ZIP, filename: 'code.zip' },
        });

      await expect(upload('0'.repeat(64))).rejects.toMatchObject({ statusCode: 400 });
      const made = await upload(digest);

      expect(made).toMatchObject({ version: '2', description: 'From code.' });
      expect(made.definition.code_configuration).toMatchObject({
        ...definition.code_configuration,
        content_hash: digest,
      });
      expect(await upload(digest)).toEqual(made);
      for (const options of [{}, { agentVersion: '2' }]) {
        const { readableStreamBody } = await sessions.downloadAgentCode(AGENT, options);
        expect(await bytesOf(readableStreamBody)).toEqual(ZIP);
      }
      const ofAnImage = sessions.downloadAgentCode(AGENT, { agentVersion: '1' });
      await expect(ofAnImage).rejects.toMatchObject({ statusCode: 409 });
      expect(await fieldsOf(agents.listVersions(AGENT), 'version')).toEqual(['2', '1']);
    });

  test(
    can.pages
      ? 'pages through agents, versions and sessions'
      : 'gets the first page whole, and never asks for the second',
    async () => {
      const { agents, sessions } = await make('pages');
      for (const name of ['a1', 'a2', 'a3', 'a4']) await agents.create(name, PROMPT);
      for (const image of ['2', '3', '4', '5']) await agents.createVersion(AGENT, hosted(image));
      const ids: string[] = [];
      for (let count = 0; count < 5; count += 1)
        ids.unshift((await sessions.createSession(AGENT, ONE)).agent_session_id);

      for (const order of ['desc', 'asc']) {
        const paged = { limit: 2, order };
        const pages = ([...items]: string[]) => {
          const [a, b, c, d, e] = order === 'desc' ? items : items.reverse();
          return can.pages ? [[a, b], [c, d], [e]] : [[a, b]];
        };
        expect(await pagesOf(agents.list(paged), 'name')).toEqual(
          pages(['a4', 'a3', 'a2', 'a1', AGENT]),
        );
        expect(await pagesOf(agents.listVersions(AGENT, paged), 'version')).toEqual(
          pages(['5', '4', '3', '2', '1']),
        );
        expect(await pagesOf(sessions.listSessions(AGENT, paged), 'agent_session_id')).toEqual(
          pages(ids),
        );
      }
    },
  );

  test('throws what was refused, with its status, code and parameter', async () => {
    const { agents, sessions } = await make('refused');
    await expect(agents.create('-no-', PROMPT)).rejects.toMatchObject({
      name: 'RestError',
      statusCode: 400,
      code: 'invalid_request',
      details: { error: { code: 'invalid_request', param: 'name' } },
    });
    const uneven = { ...hosted(IMAGE), memory: '3Gi' };
    await expect(agents.createVersion(AGENT, uneven)).rejects.toMatchObject({
      statusCode: 400,
      code: 'bad_request',
    });
    const unknown = [
      () => agents.get('none'),
      () => agents.update('none', PROMPT),
      () => agents.delete('none'),
      () => all(agents.listVersions('none')),
      () => agents.deleteVersion(AGENT, '9'),
      () => sessions[can.patch]('none', { agentEndpoint: ROUTED }),
      () => all(sessions.listSessions('none')),
      () => sessions.getSession(AGENT, 'none'),
    ];
    for (const ask of unknown) await expect(ask(), ask.toString()).rejects.toMatchObject(notFound);
  });

  test('needs the header of the preview where that is required', async () => {
    const { world, sessions } = await make('preview');
    await world.control('PATCH', '', { switches: { require_preview_header: 'on' } });
    const patched = sessions[can.patch](AGENT, { agentEndpoint: ROUTED });
    if (can.preview) expect(await patched).toMatchObject({ name: AGENT });
    else
      await expect(patched).rejects.toMatchObject({
        statusCode: 403,
        code: 'preview_feature_required',
        details: { error: { param: 'Foundry-Features', type: 'invalid_request_error' } },
      });
  });
});

/** Seconds on the wire, which the first version takes for milliseconds. */
function modified(version: string): Date {
  return version === '2.1.0' ? new Date(start.getTime() / 1_000) : start;
}

async function all(list: AsyncIterable<Json>): Promise<Json[]> {
  const found: Json[] = [];
  for await (const item of list) found.push(item);
  return found;
}

async function fieldsOf(list: AsyncIterable<Json>, field: string): Promise<unknown[]> {
  return (await all(list)).map((item) => item[field]);
}

async function pagesOf(list: Json, field: string): Promise<unknown[][]> {
  return (await all(list.byPage())).map((page) => page.map((item: Json) => item[field]));
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
