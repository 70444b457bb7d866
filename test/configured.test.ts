/** Agents, routines and faults of a configuration: in every new world, by the same checks as the API's. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { reconfigure } from '../cli/reconfigure.ts';
import { canonicalLines } from '../emulator/api/journal.ts';
import { createEmulator, type EmulatorOptions, OptionError } from '../emulator/emulator.ts';
import { replayJournal } from '../emulator/replay.ts';
import { HOSTED } from '../emulator/vitest.ts';
import { type Foundry, openFoundry, START, test } from './fixture.ts';

const DAILY = {
  triggers: { morning: { type: 'schedule', cron_expression: '0 7 * * *', time_zone: 'UTC' } },
  action: { type: 'invoke_agent_responses_api', agent_name: 'digest' },
};

const SAYS_DONE = { kind: 'script', turns: [{ text: 'done' }] };

/** A run of an assistant that was told hello, and the text of its message. */
async function answered(foundry: Foundry, assistant_id: string) {
  const thread = { messages: [{ role: 'user', content: 'hello' }] };
  const { body } = await foundry.post('/threads/runs', { assistant_id, thread });
  await foundry.advance('idle');
  const path = `/threads/${body.thread_id}`;
  const run = (await foundry.get(`${path}/runs/${body.id}`)).body;
  const { data } = (await foundry.get(`${path}/messages?limit=1`)).body;
  return { run, text: data[0].content[0].text.value as string };
}

/** Every problem that an emulator has with such options. */
function problems(options: EmulatorOptions): string[] {
  try {
    void createEmulator({ now: START, ...options }).close();
  } catch (error) {
    if (error instanceof OptionError) return error.problems.map(({ message }) => message);
    throw error;
  }
  return [];
}

describe('a new world', () => {
  test('has the agents of the configuration, with all their versions and active at once', async () => {
    const second = { ...HOSTED, image: 'example.azurecr.io/agent:2' };
    const foundry = openFoundry({
      agents: {
        digest: {
          versions: [
            { definition: HOSTED, description: 'first', metadata: { a: 'b' } },
            { definition: second },
          ],
        },
        asked: { kind: 'prompt' },
        flow: { kind: 'workflow' },
        outside: { kind: 'external' },
        off: { state: 'disabled' },
      },
      settings: { provisioning_time: '2m' },
    });

    const digest = (await foundry.get('/agents/digest')).body;

    expect(digest.versions.latest).toMatchObject({
      version: '2',
      status: 'active',
      definition: { image: second.image },
    });
    expect((await foundry.get('/agents/asked')).body).toMatchObject({
      versions: { latest: { definition: { kind: 'prompt' } } },
    });
    expect((await foundry.get('/agents/flow')).body.versions.latest.status).toBe('active');
    expect((await foundry.get('/agents/outside')).body.versions.latest.status).toBe('active');
    expect((await foundry.get('/agents/off')).body.state).toBe('disabled');
    expect((await foundry.in('another').get('/agents/digest')).body.versions.latest.version).toBe(
      '2',
    );
    expect(foundry.emulator.project('another').world.profile.settings.provisioning_time).toBe(
      120_000,
    );
  });

  test('has the routines of the configuration, armed, and its replies and faults', async () => {
    const foundry = openFoundry({
      agents: { digest: { reply: { kind: 'script', turns: [{ text: 'done' }] } } },
      routines: { daily: DAILY, paused: { ...DAILY, enabled: false } },
      faults: [{ agent: 'digest', attempts: [503, 'ok'] }],
    });

    await foundry.advance('8h');

    expect(await foundry.attempts('routine=daily')).toEqual([
      '503 @25200s retry',
      '200 @25201s complete',
    ]);
    expect(await foundry.runs('paused')).toEqual([]);
  });

  test('has the assistants of the configuration, under ids that stay', async () => {
    const options: EmulatorOptions = {
      seed: 'ids',
      agents: {},
      assistants: {
        helper: { model: 'gpt-4.1', instructions: 'Be brief.', metadata: { team: 'a' } },
        'the clerk': { name: null, id: 'asst_Clerk1', reply: SAYS_DONE },
        plain: null,
      },
    };
    const foundry = openFoundry(options);
    const { helper, plain } = foundry.assistants;

    expect((await foundry.get('/assistants?order=asc')).body.data).toMatchObject([
      { id: helper, name: 'helper', model: 'gpt-4.1', instructions: 'Be brief.' },
      { id: 'asst_Clerk1', name: null, model: 'gpt-4.1-mini' },
      { id: plain, name: 'plain', model: 'gpt-4.1-mini' },
    ]);
    expect(helper).toMatch(/^asst_[0-9a-z]{24}$/);
    expect(foundry.assistants).toEqual({ helper, plain, 'the clerk': 'asst_Clerk1' });
    expect(openFoundry(options).assistants).toEqual(foundry.assistants);
    expect(openFoundry({ ...options, seed: 'other' }).assistants.helper).not.toBe(helper);

    await foundry.delete(`/assistants/${helper}`);
    await foundry.delete('/assistants/asst_Clerk1');
    await foundry.call('reset');

    const { run } = await answered(foundry, 'asst_Clerk1');
    expect(run).toMatchObject({ assistant_id: 'asst_Clerk1', status: 'completed' });
    expect((await foundry.get(`/assistants/${helper}`)).body.metadata).toEqual({ team: 'a' });
    const lines = canonicalLines(foundry.project);
    expect(await replayJournal(lines)).toEqual(lines);
  });

  test('named local has a demo assistant, but where another takes its place', async () => {
    const id = 'asst_DemoAssistant00000000001';
    const names = async (options: EmulatorOptions) => {
      const local = openFoundry(options).in('local');
      const { data } = (await local.get('/assistants')).body;
      expect(local.assistants).toEqual(
        Object.fromEntries(data.map((one: { id: string; name: string }) => [one.name, one.id])),
      );
      return data.map((one: { name: string }) => one.name);
    };

    expect(await names({})).toEqual(['demo-assistant']);
    expect(await names({ empty: true })).toEqual([]);
    expect(await names({ assistants: { own: { id } } })).toEqual(['own']);
    expect(await names({ assistants: { 'demo-assistant': {} } })).toEqual(['demo-assistant']);
  });

  test('is made the same by reset and by replay', async () => {
    const foundry = openFoundry({ agents: { digest: {} }, routines: { daily: DAILY } });
    await foundry.agent('digest', { kind: 'prompt', model: 'm' });
    await foundry.delete('/routines/daily');

    await foundry.call('reset');
    await foundry.advance('1d');

    expect(await foundry.runs('daily')).toHaveLength(1);
    expect((await foundry.get('/agents/digest')).body.versions.latest.version).toBe('1');
    const lines = canonicalLines(foundry.project);
    expect(await replayJournal(lines)).toEqual(lines);
  });

  test('does without a timer whose instant has passed for it, and says so', async () => {
    const timer = { type: 'timer', at: '2026-06-01T09:00:00Z' };
    const foundry = openFoundry({
      agents: { digest: {} },
      routines: { once: { ...DAILY, triggers: { t: timer } }, daily: DAILY },
    });

    const late = { now: '2026-06-02T00:00:00Z' };
    await foundry.in('late').call('project', { body: late });

    expect((await foundry.in('late').get('/routines/once')).status).toBe(404);
    expect((await foundry.in('late').get('/routines/daily')).status).toBe(200);
    expect(await foundry.in('late').journal('kind=world')).toMatchObject([
      { without: ['routines.once.triggers.t.at'] },
    ]);
    expect(foundry.notices.splice(0)).toEqual([
      expect.stringMatching(
        /^foundrite: project 'late' is made without this: routines\.once\.triggers\.t\.at/,
      ),
    ]);
    expect((await foundry.get('/routines/once')).status).toBe(200);
  });

  test('numbers its rules by the list, where a definition that comes twice is one version', async () => {
    const second = { definition: { ...HOSTED, image: 'example.azurecr.io/agent:2' } };
    const version_selection_rules = [
      { type: 'FixedRatio', agent_version: '1', traffic_percentage: 90 },
      { type: 'FixedRatio', agent_version: '3', traffic_percentage: 10 },
    ];
    const foundry = openFoundry({
      agents: {
        digest: {
          versions: [{ definition: HOSTED }, { definition: HOSTED }, second],
          endpoint: { version_selector: { version_selection_rules } },
        },
      },
    });

    expect((await foundry.get('/agents/digest')).body).toMatchObject({
      versions: { latest: { version: '2' } },
      agent_endpoint: {
        version_selector: {
          version_selection_rules: [{ agent_version: '1' }, { agent_version: '2' }],
        },
      },
    });
  });

  test('that is there already keeps what it has', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const first = openFoundry({ dataDir, agents: { digest: {} } });
    await first.get('/agents/digest');
    await first.emulator.close();

    const agents = { digest: {}, other: {} };
    const second = openFoundry({ dataDir, agents, routines: { daily: DAILY } });

    expect((await second.get('/agents/digest')).status).toBe(200);
    expect((await second.get('/agents/other')).status).toBe(404);
    expect((await second.get('/routines/daily')).status).toBe(404);
    expect((await second.in('new').get('/agents/other')).status).toBe(200);
    expect(second.notices.splice(0)).toEqual([
      expect.stringMatching(/^foundrite: project tests of .* began with other agents, /),
    ]);
    await second.emulator.close();
    const third = openFoundry({ dataDir, agents: { digest: {} } });
    expect(third.notices).toEqual([
      expect.stringMatching(/^foundrite: project new of .* began with other agents, /),
    ]);
    third.notices.splice(0);
  });

  test('of the vitest fixture has them too', async ({ foundry }) => {
    const { emulator } = openFoundry({ agents: { digest: {} }, routines: { daily: DAILY } });

    expect(emulator.project(foundry.name).world.made.routines).toEqual({ daily: DAILY });
  });
});

describe('a configuration', () => {
  test.for<[EmulatorOptions, string]>([
    [{ agents: [] as never }, 'agents is []; write a mapping'],
    [{ agents: { a: 7 } }, 'agents.a is 7; write a mapping'],
    [{ agents: { a: { knd: 'hosted' } } }, 'agents.a.knd is no key of an agent; it has kind, '],
    [{ agents: { a: { kind: 'x' } } }, 'agents.a.kind'],
    [{ agents: { a: { kind: 7 } } }, 'agents.a.kind is 7; write a text'],
    [{ agents: { 'a b': {} } }, 'agents.a b: An agent cannot be named "a b".'],
    [{ agents: { a: { definition: [] } } }, 'agents.a.definition is []; write a mapping'],
    [{ agents: { a: { definition: { kind: 'hosted', cpu: 1 } } } }, 'agents.a.definition.cpu is 1'],
    [{ agents: { a: { kind: 'hosted', versions: [] } } }, 'agents.a.versions says what kind says'],
    [{ agents: { a: { versions: [] } } }, 'agents.a.versions is []; write a list'],
    [{ agents: { a: { versions: [7] } } }, 'agents.a.versions[0] is 7; write a mapping'],
    [
      { agents: { a: { versions: [{ definition: HOSTED, metadata: { k: 1 } }] } } },
      'agents.a.versions[0].metadata.k is 1',
    ],
    [
      { agents: { a: { versions: [{ definition: HOSTED, darft: true }] } } },
      'agents.a.versions[0].darft is not a field here; use one of definition, ',
    ],
    [
      { agents: { a: { endpoint: { version_selector: { version_selection_rules: [] } } } } },
      'agents.a.endpoint.version_selector.version_selection_rules',
    ],
    [
      {
        agents: {
          a: {
            endpoint: {
              version_selector: {
                version_selection_rules: [
                  { type: 'FixedRatio', agent_version: '7', traffic_percentage: 100 },
                ],
              },
            },
          },
        },
      },
      'agents.a.endpoint.version_selector.version_selection_rules[0].agent_version',
    ],
    [{ agents: { a: { card: { version: 7 } } } }, 'agents.a.card.'],
    [{ agents: { a: { card: { versoin: '7' } } } }, 'agents.a.card.versoin is not a field here'],
    [
      { agents: { a: { endpoint: { protocls: [] } } } },
      'agents.a.endpoint.protocls is not a field here',
    ],
    [
      { agents: { a: { definition: { ...HOSTED, cup: '1' } } } },
      'agents.a.definition.cup is not a field here',
    ],
    [{ agents: { a: { state: 'gone' } } }, 'agents.a.state is "gone"; write enabled or disabled.'],
    [{ agents: { a: { reply: 'shout' } } }, 'agents.a.reply.kind'],
    [
      { agents: { a: { reply: { kind: 'forward', url: 'http://:' } } } },
      'agents.a.reply.url is "http://:"',
    ],
    [{ assistants: [] as never }, 'assistants is []; write a mapping'],
    [{ assistants: { a: 7 } }, 'assistants.a is 7; write a mapping'],
    [
      { assistants: { a: { modle: 'm' } } },
      'assistants.a.modle is no key of an assistant; it has ',
    ],
    [{ assistants: { a: { model: 7 } } }, 'assistants.a.model is 7'],
    [{ assistants: { a: { tools: [{ type: 7 }] } } }, 'assistants.a.tools[0].type'],
    [{ assistants: { a: { temperature: 3 } } }, 'assistants.a.temperature is 3'],
    [{ assistants: { a: { id: 'helper' } } }, 'assistants.a.id is "helper"; write asst_ and '],
    [{ assistants: { a: { id: 'asst_a b' } } }, 'assistants.a.id is "asst_a b"; write asst_ and '],
    [
      { assistants: { a: { id: 'asst_1' }, b: { id: 'asst_1' } } },
      'assistants.b.id is "asst_1", the id of assistants.a; write another.',
    ],
    [{ assistants: { a: { reply: 'shout' } } }, 'assistants.a.reply.kind'],
    [
      { assistants: { a: { reply: { kind: 'script', turns: [{ txt: 'x' }] } } } },
      'assistants.a.reply.turns[0]',
    ],
    [
      { assistants: { a: { reply: { kind: 'forward', url: 'http://127.0.0.1:1' } } } },
      'assistants.a.reply.kind cannot be "forward"',
    ],
    ...(['agents', 'assistants', 'routines'] as const).map((key): [object, string] => [
      { [key]: JSON.parse('{ "__proto__": { "model": "m" } }') },
      `${key}.__proto__ cannot be a name; write another.`,
    ]),
    [{ routines: { r: 7 } }, 'routines.r is 7; write a mapping'],
    [{ routines: { r: {} } }, 'routines.r.triggers must be provided'],
    [
      { routines: { r: { ...DAILY, enbled: true } } },
      'routines.r.enbled is not a field here; use one of ',
    ],
    [
      {
        routines: {
          r: {
            ...DAILY,
            triggers: { t: { type: 'schedule', cron_expression: '* * * * *', time_zone: 'UTC' } },
          },
        },
      },
      'routines.r.triggers.t.cron_expression: The cron expression "* * * * *" has firings 1 minute',
    ],
    [{ faults: [{ agent: 'a' }] }, 'faults[0]'],
    [{ faults: [{ operation: 'x', fault: 'timeout' }] }, 'faults[0].operation: There is no'],
    [{ settings: { nosuch: 1 } }, "settings.nosuch: There is no setting 'nosuch'."],
  ])('%j is refused', ([options, message]) => {
    const [first] = problems({ agents: {}, ...options });

    expect(first?.slice(0, message.length)).toBe(message);
  });

  test('is told what is wrong, and not what follows from it', () => {
    const routed = { version_selector: { version_selection_rules: [] } };
    const calls = (agent_name: string) => ({ ...DAILY, action: { ...DAILY.action, agent_name } });

    expect(
      problems({
        agents: { a: { kind: 'x', endpoint: routed, state: 'disabled' }, b: 7, digset: {} },
        routines: { one: calls('a'), two: calls('b'), three: calls('digest') },
      }),
    ).toEqual([
      'agents.b is 7; write a mapping, such as { kind: hosted }.',
      expect.stringMatching(/^agents\.a\.kind /),
      'routines.three.action.agent_name: there is no agent "digest"; name it under agents. Near it: digset.',
    ]);
  });

  test('is told every switch, setting and fault that is wrong', () => {
    expect(
      problems({
        switches: { overlap: 'x', nosuch: 'y' },
        settings: { first_wait: 'soon', wait_max: 'later' },
        faults: [{ agent: 'a' }, { agent: 'a', attempts: [503] }, { operation: 'x', fault: 503 }],
      }).map((message) => /^[\w.[\]]+/.exec(message)?.[0]),
    ).toEqual([
      'switches.overlap',
      'switches.nosuch',
      'settings.first_wait',
      'settings.wait_max',
      'faults[0]',
      'faults[2].operation',
    ]);
  });

  test('names the place of what is no body at all', () => {
    expect(problems({ agents: { c: { reply: 5 } } })[0]).toMatch(/^agents\.c\.reply is 5; /);
  });

  test('with an option that there is not is refused with the nearest', () => {
    const slip = { agnets: {} } as EmulatorOptions;
    expect(problems(slip)).toEqual([
      expect.stringMatching(/^agnets is no option of an emulator\. Near it: agents/),
    ]);
  });

  test('is told all that is wrong with it', () => {
    const wrong = problems({
      agents: { a: { kind: 'x' }, b: { state: 7 }, c: {} },
      routines: { r: {} },
      faults: [{ agent: 'a' }],
      switches: { nosuch: 'x' },
    });

    expect(wrong.map((each) => each.split(/[ :]/)[0])).toEqual([
      'switches.nosuch',
      'agents.b.state',
      'agents.a.kind',
      'routines.r.triggers',
      'faults[0]',
    ]);
  });
});

describe('a changed configuration', () => {
  const before: EmulatorOptions = {
    agents: {
      digest: { versions: [{ definition: HOSTED }], reply: 'echo', state: 'disabled' },
      old: {},
    },
    routines: { daily: DAILY },
    faults: [{ agent: 'digest', attempts: [503] }],
    settings: { queue_delay: '10s' },
    switches: { overlap: 'queue' },
  };
  const second = { ...HOSTED, image: 'example.azurecr.io/agent:2' };

  test('is applied to all worlds by calls, in the journal and in its replay', async () => {
    const foundry = openFoundry(before);
    await foundry.get('/agents/digest');
    await foundry.set({ switches: { retry_after: 'honoured' }, settings: { attempts_max: 5 } });

    const applied = await reconfigure(foundry.emulator, before, {
      agents: { digest: { versions: [{ definition: HOSTED }, { definition: second }] }, new: {} },
      routines: {
        daily: { ...DAILY, description: 'changed' },
        nightly: { ...DAILY, enabled: false },
      },
      settings: { page_max: 7 },
    });

    expect(applied).toEqual({
      changed: [
        'switches, settings',
        'agents.digest (version 2)',
        'agents.new (version 1)',
        'routines.daily',
        'routines.nightly',
        'faults',
      ],
      left: ['agents.old'],
      projects: ['tests'],
      refused: [],
    });
    const digest = (await foundry.get('/agents/digest')).body;
    expect(digest).toMatchObject({ state: 'enabled', versions: { latest: { version: '2' } } });
    expect((await foundry.get('/agents/old')).status).toBe(200);
    expect((await foundry.get('/routines/daily')).body.description).toBe('changed');
    expect((await foundry.call('plan')).faults).toEqual([]);
    const { switches, settings } = foundry.project.world.profile;
    expect(switches).toMatchObject({ overlap: 'allow', retry_after: 'honoured' });
    expect(settings).toMatchObject({ queue_delay: 0, page_max: 7, attempts_max: 5 });
    const lines = canonicalLines(foundry.project);
    expect(await replayJournal(lines)).toEqual(lines);
  });

  test('leads the rules of an endpoint to the versions that the file means', async () => {
    const version = (image: string) => ({ definition: { ...HOSTED, image } });
    const [a, b, c] = [version('a'), version('b'), version('c')];
    const rule = (agent_version: string, traffic_percentage: number) => ({
      type: 'FixedRatio',
      agent_version,
      traffic_percentage,
    });
    const version_selection_rules = [rule('1', 90), rule('2', 10)];
    const file = (...versions: object[]) => ({
      agents: { digest: { versions, endpoint: { version_selector: { version_selection_rules } } } },
    });
    const files = [file(a, b), file(a, c), file(c, a, b), file(a, b)] as const;
    const foundry = openFoundry(files[0]);
    const routed = async () => {
      const { agent_endpoint } = (await foundry.get('/agents/digest')).body;
      const rules = agent_endpoint.version_selector.version_selection_rules;
      const images = rules.map(async ({ agent_version }: { agent_version: string }) => {
        const { body } = await foundry.get(`/agents/digest/versions/${agent_version}`);
        return body.definition.image;
      });
      return (await Promise.all(images)).join(' ');
    };
    const change = async (from: number, to: number) => {
      const [before, after] = [files[from], files[to]];
      const { changed, refused } = await reconfigure(foundry.emulator, before ?? {}, after ?? {});
      expect(refused).toEqual([]);
      return changed;
    };
    expect(await routed()).toBe('a b');

    expect(await change(0, 1)).toEqual([
      'agents.digest (version 3; its rules for 1, 2 go to versions 1, 3)',
    ]);
    expect(await routed()).toBe('a c');
    // What was put at the head stands already; the last is made again, since it is no more the newest.
    expect(await change(1, 2)).toEqual([
      'agents.digest (version 4; its rules for 1, 2 go to versions 3, 1)',
    ]);
    expect(await routed()).toBe('c a');
    expect(await change(2, 3)).toEqual(['agents.digest (its rules for 1, 2 go to versions 1, 4)']);
    expect(await routed()).toBe('a b');
    expect((await foundry.get('/agents/digest')).body.versions.latest.definition.image).toBe('b');
    const lines = canonicalLines(foundry.project);
    expect(await replayJournal(lines)).toEqual(lines);
  });

  test('changes its assistants under their ids', async () => {
    const first: EmulatorOptions = {
      assistants: {
        helper: {
          instructions: 'Be brief.',
          tools: [{ type: 'code_interpreter' }],
          reply: SAYS_DONE,
        },
        fixed: { id: 'asst_1' },
        old: { reply: SAYS_DONE },
      },
    };
    const next: EmulatorOptions = {
      assistants: {
        helper: { model: 'gpt-4.1' },
        fixed: { id: 'asst_2', reply: SAYS_DONE },
        new: { id: 'asst_3', reply: SAYS_DONE },
      },
    };
    const foundry = openFoundry(first);
    const { helper, old } = foundry.assistants;
    await foundry.post(`/assistants/${helper}`, { description: 'of a client' });
    expect((await answered(foundry, String(helper))).text).toBe('done');

    const applied = await reconfigure(foundry.emulator, first, next);

    expect(applied).toMatchObject({
      changed: [
        'assistants.fixed',
        'assistants.old (deleted)',
        'assistants.helper',
        'assistants.new',
      ],
      left: [],
      refused: [],
    });
    expect((await foundry.get(`/assistants/${helper}`)).body).toMatchObject({
      model: 'gpt-4.1',
      instructions: null,
      tools: [],
      description: 'of a client',
    });
    for (const gone of [old, 'asst_1'])
      expect((await foundry.get(`/assistants/${gone}`)).status).toBe(404);
    expect((await foundry.get('/assistants/asst_2')).body.name).toBe('fixed');
    expect((await answered(foundry, String(helper))).text).toBe('hello');
    expect((await answered(foundry, 'asst_3')).text).toBe('done');
    const lines = canonicalLines(foundry.project);
    expect(await replayJournal(lines)).toEqual(lines);
  });

  test('makes an assistant again that is gone, and lets one be that is there', async () => {
    const first: EmulatorOptions = { assistants: { a: { id: 'asst_1' }, b: { id: 'asst_2' } } };
    const next: EmulatorOptions = { assistants: { a: { id: 'asst_1', reply: SAYS_DONE } } };
    const last: EmulatorOptions = { assistants: { a: { id: 'asst_1', model: 'm' } } };
    const foundry = openFoundry(first);
    for (const id of ['asst_1', 'asst_2']) await foundry.delete(`/assistants/${id}`);
    const change = async (before: EmulatorOptions, after: EmulatorOptions) => {
      const { changed, refused } = await reconfigure(foundry.emulator, before, after);
      expect(refused).toEqual([]);
      return changed;
    };

    expect(await change(first, next)).toEqual(['assistants.a']);
    expect((await answered(foundry, 'asst_1')).text).toBe('done');
    expect(await change({}, next)).toEqual(['assistants.a']);
    expect(await change(next, {})).toEqual(['assistants.a (deleted)']);
    expect(await change({}, last)).toEqual(['assistants.a']);
    expect((await answered(foundry, 'asst_1')).text).toBe('hello');

    expect((await foundry.get('/assistants')).body.data).toMatchObject([
      { id: 'asst_1', model: 'm' },
    ]);
    const lines = canonicalLines(foundry.project);
    expect(await replayJournal(lines)).toEqual(lines);
  });

  test('takes away what an agent had said of it', async () => {
    const split = (first: number) => ({
      version_selector: {
        version_selection_rules: [
          { type: 'FixedRatio', agent_version: '1', traffic_percentage: first },
          { type: 'FixedRatio', agent_version: '2', traffic_percentage: 100 - first },
        ],
      },
    });
    const versions = [{ definition: HOSTED }, { definition: second }];
    const card = { version: '1', description: 'd', skills: [{ id: 's', name: 's' }] };
    const rest = { digest: { versions } };
    const first = {
      agents: { digest: { versions, card, endpoint: { ...split(90), protocols: ['responses'] } } },
    };
    const next = { agents: { digest: { versions, endpoint: split(10) } } };
    const foundry = openFoundry(first);
    const view = async () => (await foundry.get('/agents/digest')).body;
    const percentages = async () =>
      (await view()).agent_endpoint.version_selector.version_selection_rules.map(
        (rule: { traffic_percentage: number }) => rule.traffic_percentage,
      );
    expect(await percentages()).toEqual([90, 10]);
    expect(await view()).toMatchObject({ agent_card: card });

    const changed = await reconfigure(foundry.emulator, first, next);
    expect(changed).toMatchObject({ changed: ['agents.digest'], refused: [] });
    expect(await percentages()).toEqual([10, 90]);
    expect(await view()).not.toHaveProperty('agent_card');
    const back = await reconfigure(foundry.emulator, next, { agents: rest });

    expect(back).toMatchObject({ changed: ['agents.digest'], refused: [] });
    expect(await percentages()).toEqual([100]);
  });

  test('holds for worlds that are made later', async () => {
    const foundry = openFoundry(before);

    const applied = await reconfigure(foundry.emulator, before, { agents: { new: {} } });

    expect(applied).toMatchObject({ projects: [], left: expect.arrayContaining(['agents.old']) });
    expect((await foundry.get('/agents/new')).status).toBe(200);
    expect((await foundry.get('/agents/digest')).status).toBe(404);
    expect(foundry.project.world.profile.settings.queue_delay).toBe(0);
  });

  test('that says the same does nothing', async () => {
    const foundry = openFoundry(before);
    await foundry.get('/agents/digest');
    const lines = foundry.project.world.journalSeq;

    const applied = await reconfigure(foundry.emulator, before, structuredClone(before));

    expect(applied).toMatchObject({ changed: [], left: [] });
    expect(foundry.project.world.journalSeq).toBe(lines);
  });

  test('that is wrong changes nothing', async () => {
    const foundry = openFoundry(before);
    await foundry.get('/agents/digest');

    const change = reconfigure(foundry.emulator, before, { routines: { daily: {} }, agents: {} });

    await expect(change).rejects.toThrow('routines.daily.triggers must be provided');
    expect((await foundry.in('new').get('/routines/daily')).status).toBe(200);
  });

  test('tells what one world refuses, and applies the rest', async () => {
    const foundry = openFoundry(before);
    const strict = foundry.in('strict');
    await strict.call('project', { body: { switches: { routine_names: 'plain' } } });
    await foundry.get('/routines/daily');

    const named = { 'a b': DAILY, daily: { ...DAILY, description: 'changed' } };
    const applied = await reconfigure(foundry.emulator, before, { ...before, routines: named });

    expect(applied.refused).toEqual([
      {
        param: 'routines.a b',
        message: expect.stringMatching(/^routines\.a b: project 'strict' refuses it: .*"a b"/),
      },
    ]);
    expect((await foundry.get('/routines/a%20b')).status).toBe(200);
    expect((await strict.get('/routines/daily')).body.description).toBe('changed');
  });

  test('meets no fault that was meant for clients, no token and no closed control', async () => {
    const faults = [{ operation: 'createOrUpdateRoutine', fault: { status: 429 } }];
    const switches = { token_audience: 'checked' };
    const options = { agents: { digest: {} }, faults, switches };
    const foundry = openFoundry({ ...options, control: false });
    foundry.emulator.project('tests');

    const applied = await reconfigure(foundry.emulator, options, {
      ...options,
      routines: { daily: DAILY },
    });

    expect(applied).toMatchObject({ changed: ['routines.daily'], refused: [] });
  });
});
