import { describe } from 'vitest';
import {
  type Answered,
  CURL,
  CUSTOM,
  EVERY_5_MINUTES,
  expect,
  type Foundry,
  invocations,
  type Json,
  refusal,
  responses,
  routine,
  test,
} from './fixture.ts';

const TIMER = { type: 'timer', at: '2026-09-01T09:00:00Z' };

/** The body of seed 001's first PUT. */
const SEED = {
  description: 'Runs a daily summary agent on weekday mornings.',
  enabled: true,
  triggers: {
    'weekday-morning': { type: 'schedule', cron_expression: '0 7 * * 1-5', time_zone: 'UTC' },
  },
  action: { type: 'invoke_agent_responses_api', agent_name: 'digest' },
};
const MADE = {
  name: 'daily-summary',
  ...SEED,
  authorization: { identity: 'agent' },
  created_at: '2026-06-01T00:00:00Z',
  updated_at: '2026-06-01T00:00:00Z',
};

async function names(foundry: Foundry): Promise<string[]> {
  return (await foundry.get('/routines')).body.data.map((item: Json) => item.name);
}

describe('a routine', () => {
  test('that seed 001 puts is answered whole, and is the same when it is read', async ({
    foundry,
  }) => {
    const put = await foundry.put('/routines/daily-summary', SEED, {
      ...CURL,
      'foundry-features': 'Routines=V1Preview',
    });

    const read = await foundry.get('/routines/daily-summary', CURL);
    const list = await foundry.get('/routines', CURL);

    expect({ status: put.status, body: put.body }).toEqual({ status: 200, body: MADE });
    expect({ status: read.status, body: read.body }).toEqual({ status: 200, body: MADE });
    expect(list.body.data).toEqual([MADE]);
    expect(put.headers.get('x-foundrite-now')).toBe('2026-06-01T00:00:00.000Z');
  });

  test('that says little is enabled, described by nothing and runs as the agent', async ({
    foundry,
  }) => {
    const made = await foundry.routine('terse', routine());

    expect(made).toEqual({
      name: 'terse',
      description: '',
      enabled: true,
      triggers: { t: CUSTOM },
      action: responses('digest'),
      authorization: { identity: 'agent' },
      created_at: '2026-06-01T00:00:00Z',
      updated_at: '2026-06-01T00:00:00Z',
    });
  });

  test('is replaced whole by a PUT, but for when it was made and whose identity it has', async ({
    foundry,
  }) => {
    await foundry.routine('r', {
      ...routine(EVERY_5_MINUTES, { action: invocations('digest', { input: 1, session_id: 's' }) }),
      description: 'old',
      enabled: false,
      authorization: { identity: 'creator' },
    });
    await foundry.advance('PT1H');

    const replaced = await foundry.put(
      '/routines/r',
      {
        triggers: { other: CUSTOM },
        action: responses('digest'),
        authorization: { identity: 'agent' },
      },
      CURL,
    );

    expect({ status: replaced.status, body: replaced.body }).toEqual({
      status: 200,
      body: {
        name: 'r',
        description: '',
        enabled: true,
        triggers: { other: CUSTOM },
        action: responses('digest'),
        authorization: { identity: 'creator' },
        created_at: '2026-06-01T00:00:00Z',
        updated_at: '2026-06-01T01:00:00Z',
      },
    });
  });

  test('that runs as the agent still does after it was replaced', async ({ foundry }) => {
    await foundry.routine('r', routine());

    const replaced = await foundry.routine('r', {
      ...routine(),
      authorization: { identity: 'creator' },
    });

    expect(replaced.authorization).toEqual({ identity: 'agent' });
  });

  test('ignores what azd echoes back and whatever is unknown', async ({ foundry }) => {
    const made = await foundry.routine('r', {
      ...routine({ ...CUSTOM, surprise: 1 }),
      name: 'another',
      created_at: '2020-01-01T00:00:00Z',
      updated_at: '2020-01-01T00:00:00Z',
      anything: [1],
    });

    expect(made).toEqual({ ...made, name: 'r', triggers: { t: CUSTOM } });
    expect(made.created_at).toBe('2026-06-01T00:00:00Z');
    expect(made).not.toHaveProperty('anything');
  });

  test('is disabled and enabled without a body, as often as one likes', async ({ foundry }) => {
    const before = await foundry.routine('r', routine());
    await foundry.advance('PT1M');

    const said: Json[] = [];
    for (const verb of ['disable', 'disable', 'enable', 'enable']) {
      const answer = await foundry.request('POST', `/routines/r:${verb}`, { headers: CURL });
      said.push({ status: answer.status, body: answer.body });
    }

    const now = { ...before, updated_at: '2026-06-01T00:01:00Z' };
    expect(said).toEqual([
      { status: 200, body: { ...now, enabled: false } },
      { status: 200, body: { ...now, enabled: false } },
      { status: 200, body: { ...now, enabled: true } },
      { status: 200, body: { ...now, enabled: true } },
    ]);
  });

  test('that is deleted is gone, answers 204 again, and keeps its runs', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.advance('PT5M');

    const first = await foundry.delete('/routines/r');
    const again = await foundry.delete('/routines/r');

    expect([first.status, first.text, again.status]).toEqual([204, '', 204]);
    expect(refusal(await foundry.get('/routines/r'))).toEqual({
      status: 404,
      code: 'not_found',
      message: "There is no routine 'r' in project 'tests'.",
      param: null,
      rule: 'routine/unknown-answers-404',
    });
    expect((await foundry.advance('PT1H')).fired).toEqual([]);
    expect(await foundry.runs('r')).toMatchObject([{ phase: 'completed' }]);
  });

  test('that is made again has no runs yet', async ({ foundry }) => {
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    await foundry.advance('PT1M');
    await foundry.delete('/routines/r');

    await foundry.routine('r', routine());

    expect(await foundry.runs('r')).toEqual([]);
  });

  test.for([
    ['GET', ''],
    ['POST', ':enable'],
    ['POST', ':disable'],
    ['POST', ':dispatch_async'],
    ['GET', '/runs'],
  ] as const)('that nobody made answers 404 to %s %s', async ([method, suffix], { foundry }) => {
    const answer = await foundry.request(method, `/routines/ghost${suffix}`);

    expect(refusal(answer)).toEqual({
      status: 404,
      code: 'not_found',
      message: "There is no routine 'ghost' in project 'tests'.",
      param: null,
      rule: 'routine/unknown-answers-404',
    });
  });

  test.for([
    ['curl/8.7.1', '2026-06-01T00:00:00Z', '2026-09-01T09:00:00Z'],
    ['Mozilla/5.0 (X11; Linux x86_64)', '2026-06-01T00:00:00Z', '2026-09-01T09:00:00Z'],
    ['AZURECLI/2.60 azsdk-python-core', '2026-06-01T00:00:00Z', '2026-09-01T09:00:00Z'],
    ['Mozilla/5.0 WindowsPowerShell/5.1', '2026-06-01T00:00:00Z', '2026-09-01T09:00:00Z'],
    ['azsdk-js-ai-projects-rest/2.10.0', 1780272000, '2026-09-01T09:00:00Z'],
    ['azsdk-net-AI.Projects/2.0.0', 1780272000, 1788253200],
    ['azsdk-go-azext-routines', 1780272000, 1788253200],
    ['', 1780272000, 1788253200],
  ] as const)('is dated as %s can read it', async ([agent, createdAt, at], { foundry }) => {
    await foundry.routine('r', routine(TIMER));

    const { body } = await foundry.get('/routines/r', { 'user-agent': agent });

    expect(body).toMatchObject({
      created_at: createdAt,
      updated_at: createdAt,
      triggers: { t: { type: 'timer', at } },
    });
  });

  test.for([
    ['conversation', 'conv_1'],
    ['conversation_id', 'conv_1'],
  ] as const)('takes %s and says both spellings back', async ([field, id], { foundry }) => {
    const made = await foundry.routine(
      'r',
      routine(CUSTOM, { action: responses('digest', { [field]: id }) }),
    );

    expect(made.action).toEqual(responses('digest', { conversation: id, conversation_id: id }));
  });

  test('may say both spellings of one conversation, and not of two', async ({ foundry }) => {
    const both = (one: string, other: string) =>
      routine(CUSTOM, {
        action: responses('digest', { conversation: one, conversation_id: other }),
      });

    await foundry.routine('r', both('c', 'c'));
    const refused = await foundry.put('/routines/r', both('c', 'd'));

    expect(refusal(refused)).toEqual({
      status: 400,
      code: 'invalid_request',
      message:
        "'conversation' and 'conversation_id' are two spellings of one field and differ. Send one of them.",
      param: 'action.conversation',
      rule: 'action/conversation-conflict',
    });
  });

  test('may name its agent by its endpoint id', async ({ foundry }) => {
    const action = { type: 'invoke_agent_responses_api', agent_endpoint_id: 'digest' };
    const made = await foundry.routine('r', routine(CUSTOM, { action }));

    await foundry.dispatch('r');
    await foundry.advance('PT1M');

    expect(made.action).toEqual(action);
    expect(await foundry.runs('r')).toMatchObject([
      { phase: 'completed', agent_id: 'digest', agent_endpoint_id: 'digest' },
    ]);
  });

  test.for([null, 0, '', 'text', [], { deep: [{ null: null }] }])(
    'keeps the input %j as it is',
    async (input, { foundry }) => {
      const action = responses('digest', { input });
      const made = await foundry.routine('r', routine(CUSTOM, { action }));

      expect(made.action).toEqual(action);
    },
  );
});

const PUT_REFUSED: [string, unknown, string | null, string, string | RegExp][] = [
  ['no object', [], null, 'routine/body-is-object', 'The body is []; send an object.'],
  [
    'no triggers',
    { action: responses('digest') },
    'triggers',
    'routine/exactly-one-trigger',
    'triggers must be provided.',
  ],
  [
    'no trigger',
    { ...routine(), triggers: {} },
    'triggers',
    'routine/exactly-one-trigger',
    'triggers has 0 entries; give exactly 1.',
  ],
  [
    'two triggers',
    { ...routine(), triggers: { a: CUSTOM, b: CUSTOM } },
    'triggers',
    'routine/exactly-one-trigger',
    'triggers has 2 entries; give exactly 1.',
  ],
  [
    'no action',
    { triggers: { t: CUSTOM } },
    'action',
    'routine/action-required',
    'action must be provided.',
  ],
  [
    'an action without a type',
    routine(CUSTOM, { action: { agent_name: 'digest' } }),
    'action.type',
    'action/type-known',
    /must be provided; use one of invoke_agent_responses_api, invoke_agent_invocations_api\./,
  ],
  [
    'an unknown action',
    routine(CUSTOM, { action: { type: 'run', agent_name: 'digest' } }),
    'action.type',
    'action/type-known',
    /is "run", an unrecognized type discriminator id/,
  ],
  [
    'no agent',
    routine(CUSTOM, { action: { type: 'invoke_agent_responses_api' } }),
    'action.agent_name',
    'action/exactly-one-selector',
    'exactly one of agent_name or agent_endpoint_id must be provided',
  ],
  [
    'two agents',
    routine(CUSTOM, { action: responses('digest', { agent_endpoint_id: 'digest' }) }),
    'action.agent_name',
    'action/exactly-one-selector',
    'exactly one of agent_name or agent_endpoint_id must be provided',
  ],
  [
    'an agent that is not there',
    routine(CUSTOM, { action: responses('ghost') }),
    'action.agent_name',
    'routine/agent-exists',
    `There is no agent "ghost" in project 'tests'. Create it first: POST /agents/ghost/versions.`,
  ],
  [
    'an endpoint that is not there',
    routine(CUSTOM, {
      action: { type: 'invoke_agent_invocations_api', agent_endpoint_id: 'ghost' },
    }),
    'action.agent_endpoint_id',
    'routine/agent-exists',
    /There is no agent "ghost"/,
  ],
  [
    'enabled that is no boolean',
    { ...routine(), enabled: 'yes' },
    'enabled',
    'routine/enabled-is-boolean',
    'enabled is "yes"; send a boolean.',
  ],
  [
    'a description that is no text',
    { ...routine(), description: 5 },
    'description',
    'routine/description-max-1024',
    'description is 5; send a string.',
  ],
  [
    'an unknown identity',
    { ...routine(), authorization: { identity: 'me' } },
    'authorization.identity',
    'routine/authorization-known',
    'authorization.identity is "me"; use one of agent, creator.',
  ],
  [
    'a trigger without a type',
    routine({ provider: 'p' }),
    'triggers.t.type',
    'trigger/type-known',
    /^triggers\.t\.type must be provided; use one of schedule, timer, github_issue, custom\.$/,
  ],
  [
    'an unknown trigger',
    routine({ type: 'webhook' }),
    'triggers.t.type',
    'trigger/type-known',
    /is "webhook", an unrecognized type discriminator id/,
  ],
  [
    'a schedule without a cron',
    routine({ type: 'schedule', time_zone: 'UTC' }),
    'triggers.t.cron_expression',
    'routine/cron-required',
    'triggers.t.cron_expression must be provided for schedule routines.',
  ],
  [
    'azd’s cron',
    routine({ type: 'schedule', cron: '0 7 * * *', time_zone: 'UTC' }),
    'triggers.t.cron_expression',
    'routine/cron-required',
    /must be provided/,
  ],
  [
    'a schedule without a zone',
    routine({ type: 'schedule', cron_expression: '0 7 * * *' }),
    'triggers.t.time_zone',
    'routine/schedule-needs-time-zone',
    /^triggers\['t'\]\.time_zone must be provided for schedule routines/,
  ],
  [
    'an unknown zone',
    routine({ ...EVERY_5_MINUTES, time_zone: 'Mars/Base' }),
    'triggers.t.time_zone',
    'routine/time-zone-known',
    /^There is no time zone "Mars\/Base"\./,
  ],
  [
    'a zone that is no text',
    routine({ ...EVERY_5_MINUTES, time_zone: 5 }),
    'triggers.t.time_zone',
    'routine/time-zone-is-string',
    'triggers.t.time_zone is 5; send a string.',
  ],
  [
    'a timer without at',
    routine({ type: 'timer' }),
    'triggers.t.at',
    'routine/timer-at-required',
    'triggers.t.at must be provided for timer routines.',
  ],
  [
    'an at that is neither text nor number',
    routine({ type: 'timer', at: true }),
    'triggers.t.at',
    'routine/timer-at-required',
    /is true; send a string or a number/,
  ],
  [
    'a local timer without a zone',
    routine({ type: 'timer', at: '2026-09-01T09:00:00' }),
    'triggers.t.at',
    'routine/local-timer-needs-time-zone',
    /is a local time\. Add a time_zone, or an offset/,
  ],
  [
    'a timer in an unknown zone',
    routine({ type: 'timer', at: '2026-09-01T09:00:00', time_zone: 'Mars' }),
    'triggers.t.time_zone',
    'routine/time-zone-known',
    /There is no time zone "Mars"/,
  ],
  [
    'a timer that is past',
    routine({ type: 'timer', at: '2026-05-31T23:59:59Z' }),
    'triggers.t.at',
    'routine/timer-is-future',
    /is 2026-05-31T23:59:59\.000Z, which is not after now \(2026-06-01T00:00:00\.000Z\)/,
  ],
  [
    'a timer that is now',
    routine({ type: 'timer', at: '2026-06-01T00:00:00Z' }),
    'triggers.t.at',
    'routine/timer-is-future',
    /which is not after now/,
  ],
  [
    'a custom trigger without a provider',
    routine({ type: 'custom', parameters: {} }),
    'triggers.t.provider',
    'trigger/custom-fields',
    /must be provided for custom routines/,
  ],
  [
    'a custom trigger without parameters',
    routine({ type: 'custom', provider: 'p' }),
    'triggers.t.parameters',
    'trigger/custom-fields',
    /must be provided for custom routines/,
  ],
  [
    'an issue trigger without its event',
    routine({ type: 'github_issue', connection_id: 'c', owner: 'o', repository: 'r' }),
    'triggers.t.issue_event',
    'trigger/github-issue-fields',
    /must be provided for github_issue routines/,
  ],
];

describe('a PUT is refused', () => {
  test.for(PUT_REFUSED)('with %s', async ([, body, param, rule, message], { foundry }) => {
    const answer = await foundry.put('/routines/r', body);

    const told = typeof message === 'string' ? message : expect.stringMatching(message);
    expect(refusal(answer)).toEqual({
      status: 400,
      code: 'invalid_request',
      message: told,
      param,
      rule,
    });
    expect(await names(foundry)).toEqual([]);
  });

  test('without a body', async ({ foundry }) => {
    const answer = await foundry.request('PUT', '/routines/r');

    expect(refusal(answer)).toEqual({
      status: 400,
      code: 'invalid_request',
      message: 'This request needs a JSON body. Send one JSON object.',
      param: null,
      rule: 'request/body-required',
    });
  });

  test('with a body that is no JSON', async ({ foundry }) => {
    const answer = await foundry.request('PUT', '/routines/r', { raw: '{"triggers":' });

    expect(refusal(answer)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      message: expect.stringMatching(/^The body is not JSON: .*Send one JSON object\.$/),
      rule: 'request/body-is-json',
    });
  });

  test('with more than 16 MiB', async ({ foundry }) => {
    const answer = await foundry.request('PUT', '/routines/r', {
      raw: ' '.repeat(16 * 2 ** 20 + 1),
    });

    expect(refusal(answer)).toMatchObject({ status: 413, rule: 'request/body-max' });
  });

  test('without changing the routine that is there', async ({ foundry }) => {
    const before = await foundry.routine('r', routine(EVERY_5_MINUTES));

    await foundry.put('/routines/r', routine({ ...EVERY_5_MINUTES, cron_expression: '* * * * *' }));

    expect((await foundry.get('/routines/r', CURL)).body).toEqual(before);
    expect((await foundry.advance('PT5M')).fired).toHaveLength(1);
  });
});

const GITHUB = {
  type: 'github_issue',
  connection_id: 'c',
  owner: 'o',
  repository: 'r',
  issue_event: 'opened',
};
const byName = (agent_name: string) => routine(CUSTOM, { action: responses(agent_name) });

/** The field, its limit, a body that has it, and the rule. */
const LIMITS: [string, number, (value: string) => object, string][] = [
  [
    'description',
    1024,
    (value) => ({ ...routine(), description: value }),
    'routine/description-max-1024',
  ],
  ['action.agent_name', 256, byName, 'action/agent-name-max-256'],
  [
    'action.agent_endpoint_id',
    256,
    (value) =>
      routine(CUSTOM, { action: { type: 'invoke_agent_responses_api', agent_endpoint_id: value } }),
    'action/agent-endpoint-id-max-256',
  ],
  [
    'action.conversation',
    256,
    (value) => routine(CUSTOM, { action: responses('digest', { conversation: value }) }),
    'action/conversation-max-256',
  ],
  [
    'action.conversation_id',
    256,
    (value) => routine(CUSTOM, { action: responses('digest', { conversation_id: value }) }),
    'action/conversation-max-256',
  ],
  [
    'action.session_id',
    256,
    (value) => routine(CUSTOM, { action: invocations('digest', { session_id: value }) }),
    'action/session-id-max-256',
  ],
  [
    'triggers.t.provider',
    128,
    (value) => routine({ ...CUSTOM, provider: value }),
    'trigger/custom-fields',
  ],
  [
    'triggers.t.event_name',
    256,
    (value) => routine({ ...CUSTOM, event_name: value }),
    'trigger/custom-fields',
  ],
  [
    'triggers.t.connection_id',
    256,
    (value) => routine({ ...GITHUB, connection_id: value }),
    'trigger/github-issue-fields',
  ],
  [
    'triggers.t.owner',
    128,
    (value) => routine({ ...GITHUB, owner: value }),
    'trigger/github-issue-fields',
  ],
  [
    'triggers.t.repository',
    128,
    (value) => routine({ ...GITHUB, repository: value }),
    'trigger/github-issue-fields',
  ],
];

describe('a limit in UTF-16 units', () => {
  test.for(LIMITS)(
    'holds for %s: %i, and one more is refused',
    async ([field, max, body, rule], { foundry }) => {
      // Agents have shorter names than actions may write: only the length is asked about here.
      await foundry.set({ switches: { agent_checked: 'on_fire' } });
      const edge = [body('x'.repeat(max)), body('😀'.repeat(max / 2))];
      const past = [body('x'.repeat(max + 1)), body(`😀${'x'.repeat(max - 1)}`)];

      const taken: number[] = [];
      for (const value of edge) taken.push((await foundry.put('/routines/r', value)).status);
      const refused: Answered[] = [];
      for (const value of past) refused.push(await foundry.put('/routines/r', value));

      expect(taken).toEqual([200, 200]);
      for (const answer of refused) {
        expect(refusal(answer)).toEqual({
          status: 400,
          code: 'invalid_request',
          message: expect.stringMatching(
            new RegExp(`, ${max + 1} characters; shorten it to ${max}\\.$`),
          ),
          param: field,
          rule,
        });
      }
    },
  );

  test('holds for a name: 128, and one more is refused', async ({ foundry }) => {
    const put = (name: string) => foundry.put(`/routines/${encodeURIComponent(name)}`, routine());

    const taken = [await put('n'.repeat(128)), await put('😀'.repeat(64))];
    const refused = [await put('n'.repeat(129)), await put(`${'😀'.repeat(64)}n`)];

    expect(taken.map((answer) => answer.status)).toEqual([200, 200]);
    for (const answer of refused) {
      expect(refusal(answer)).toEqual({
        status: 400,
        code: 'invalid_request',
        message: "A routine's name has 1 to 128 characters; this one has 129. Shorten it.",
        param: 'routine_name',
        rule: 'routine/name-max-128',
      });
    }
  });

  test('holds for a dispatch’s input: 32,768, and one more is refused', async ({ foundry }) => {
    await foundry.routine('r', routine());
    const dispatch = (input: string) =>
      foundry.post('/routines/r:dispatch_async', {
        payload: { type: 'invoke_agent_responses_api', input },
      });

    const taken = [await dispatch('x'.repeat(32_768)), await dispatch('😀'.repeat(16_384))];
    const refused = [await dispatch('x'.repeat(32_769)), await dispatch(`${'😀'.repeat(16_384)}x`)];

    expect(taken.map((answer) => answer.status)).toEqual([200, 200]);
    for (const answer of refused) {
      expect(refusal(answer)).toEqual({
        status: 400,
        code: 'invalid_request',
        message: "The payload's input has 32769 characters. Send at most 32768.",
        param: 'payload.input',
        rule: 'dispatch/input-max-32768',
      });
    }
  });
});

const NAMES: [string, string][] = [
  ['a%3Ab%20c%2Fd', 'a:b c/d'],
  ['a:b', 'a:b'],
  ['nightly%3Aenable', 'nightly:enable'],
  ['x%3Adispatch_async', 'x:dispatch_async'],
  ['runs', 'runs'],
  ['100%25', '100%'],
  ['a%253Ab', 'a%3Ab'],
  ['%E2%98%95', '☕'],
  ['a+b&c=d', 'a+b&c=d'],
  ['a%3Fb%23c', 'a?b#c'],
  ['UPPER', 'UPPER'],
  [' lead', ' lead'],
  ['__proto__', '__proto__'],
];

describe('a name', () => {
  test.for(NAMES)('%s is split off the raw path and means %j', async ([raw, name], { foundry }) => {
    const put = await foundry.put(`/routines/${raw}`, routine());
    const disabled = await foundry.post(`/routines/${raw}:disable`);
    const enabled = await foundry.post(`/routines/${raw}:enable`);
    const dispatched = await foundry.post(`/routines/${raw}:dispatch_async`);
    const runs = await foundry.get(`/routines/${raw}/runs`);
    const read = await foundry.get(`/routines/${raw}`);
    const listed = await names(foundry);
    const fired = await foundry.request('POST', foundry.control(`/routines/${raw}:fire`));
    const deleted = await foundry.delete(`/routines/${raw}`);

    expect([put.status, put.body.name]).toEqual([200, name]);
    expect([disabled.body.name, disabled.body.enabled]).toEqual([name, false]);
    expect([enabled.body.name, enabled.body.enabled]).toEqual([name, true]);
    expect([dispatched.status, runs.body.data.length]).toEqual([200, 1]);
    expect([read.body.name, listed]).toEqual([name, [name]]);
    expect([fired.status, fired.body.routine]).toEqual([200, name]);
    expect([deleted.status, await names(foundry)]).toEqual([204, []]);
  });

  test('that ends in a verb, sent unescaped, is a name to GET, PUT and DELETE', async ({
    foundry,
  }) => {
    const put = await foundry.put('/routines/x:enable', routine());
    const read = await foundry.get('/routines/x:enable');
    const disabled = await foundry.post('/routines/x:enable:disable');
    const deleted = await foundry.delete('/routines/x:enable');

    expect([put.body.name, read.body.name, disabled.body.name, deleted.status]).toEqual([
      'x:enable',
      'x:enable',
      'x:enable',
      204,
    ]);
  });

  test('differs from another by case', async ({ foundry }) => {
    await foundry.routine('daily', routine());

    expect((await foundry.get('/routines/Daily')).status).toBe(404);
  });

  test('with broken percent-encoding is refused', async ({ foundry }) => {
    const answer = await foundry.put('/routines/%zz', routine());

    expect(refusal(answer)).toEqual({
      status: 400,
      code: 'invalid_request',
      message: "The path segment '%zz' is not valid percent-encoding.",
      param: null,
      rule: 'request/path-decodes',
    });
  });

  test.for(['r:dispatch', 'r:dispatchAsync', 'r:Enable', 'r%3Aenable', 'r', 'r/dispatch'])(
    'and no verb of it: POST %s is no route',
    async (path, { foundry }) => {
      await foundry.routine('r', routine());

      const answer = await foundry.post(`/routines/${path}`);

      expect(refusal(answer)).toMatchObject({
        status: 404,
        code: 'unknown_route',
        rule: 'request/route-known',
      });
    },
  );
});

describe('a dispatch', () => {
  test.for([undefined, {}, { payload: { type: 'invoke_agent_responses_api' } }])(
    'with the body %j gives three ids, and a run that carries them',
    async (body, { foundry }) => {
      await foundry.routine('r', routine());

      const { status, body: said } = await foundry.post('/routines/r:dispatch_async', body);

      const [run, ...more] = await foundry.runs('r');
      expect(status).toBe(200);
      expect(said).toEqual({
        dispatch_id: expect.stringMatching(/^disp-/),
        action_correlation_id: expect.stringMatching(/^caresp_/),
        task_id: expect.stringMatching(/^task-/),
      });
      expect(more).toEqual([]);
      expect(run).toEqual({
        id: expect.stringMatching(/^run-/),
        status: 'RUNNING',
        phase: 'queued',
        attempt_source: 'queued_dispatch',
        action_type: 'invoke_agent_responses_api',
        agent_id: 'digest',
        triggered_at: '2026-06-01T00:00:00Z',
        ...said,
      });
    },
  );

  test('has ids of its own each time', async ({ foundry }) => {
    await foundry.routine('r', routine());

    const ids = [await foundry.dispatch('r'), await foundry.dispatch('r')].flatMap(Object.values);

    expect(new Set(ids).size).toBe(6);
  });

  test('of a disabled routine is taken', async ({ foundry }) => {
    await foundry.routine('r', { ...routine(), enabled: false });

    await foundry.dispatch('r');
    await foundry.advance('PT1M');

    expect(await foundry.runs('r')).toMatchObject([{ phase: 'completed' }]);
  });

  test.for([
    [
      'another type',
      { payload: { type: 'invoke_agent_invocations_api' } },
      'payload.type',
      'dispatch/payload-type-matches',
      /^The payload's type is 'invoke_agent_invocations_api', and the routine's action is 'invoke_agent_responses_api'\./,
    ],
    [
      'an unknown type',
      { payload: { type: 'run' } },
      'payload.type',
      'dispatch/payload-type-known',
      /use one of invoke_agent_responses_api, invoke_agent_invocations_api/,
    ],
    [
      'no type',
      { payload: { input: 'x' } },
      'payload.type',
      'dispatch/payload-type-known',
      /^payload\.type must be provided/,
    ],
    [
      'a payload that is no object',
      { payload: 'x' },
      'payload',
      'dispatch/payload-is-object',
      'payload is "x"; send an object.',
    ],
    [
      'a body that is no object',
      [],
      null,
      'dispatch/body-is-object',
      'The body is []; send an object.',
    ],
  ] as [string, unknown, string | null, string, string | RegExp][])(
    'is refused with %s',
    async ([, body, param, rule, message], { foundry }) => {
      await foundry.routine('r', routine());

      const answer = await foundry.post('/routines/r:dispatch_async', body);

      const told = typeof message === 'string' ? message : expect.stringMatching(message);
      expect(refusal(answer)).toEqual({
        status: 400,
        code: 'invalid_request',
        message: told,
        param,
        rule,
      });
      expect(await foundry.runs('r')).toEqual([]);
    },
  );
});

/** What a client finds when it pages, and how many pages it asks for. */
type Pager = (foundry: Foundry, path: string) => Promise<{ ids: string[]; pages: number }>;

const idOf = (item: Json): string => item.name ?? item.id;

/** Contract 5.2: each follows only what its client reads. */
const PAGERS: Record<string, Pager> = {
  'JavaScript 2.5 and newer': async (foundry, path) => {
    const ids: string[] = [];
    let pages = 0;
    let next: string | undefined = path;
    while (next) {
      const { body }: Answered = await foundry.get(next);
      pages += 1;
      ids.push(...body.data.map(idOf));
      next = body.next_link?.replace('http://localhost:3686', '');
    }
    return { ids, pages };
  },
  '.NET, while there is more': async (foundry, path) => {
    const ids: string[] = [];
    let pages = 0;
    let after = '';
    for (;;) {
      const { body } = await foundry.get(`${path}${after}`);
      pages += 1;
      ids.push(...body.data.map(idOf));
      if (!body.has_more) return { ids, pages };
      after = `&after=${encodeURIComponent(body.last_id)}`;
    }
  },
  '.NET, until a page has no last_id': async (foundry, path) => {
    const ids: string[] = [];
    let pages = 0;
    let after = '';
    for (;;) {
      const { body } = await foundry.get(`${path}${after}`);
      pages += 1;
      ids.push(...body.data.map(idOf));
      if (!body.last_id) return { ids, pages: pages - 1 };
      after = `&after=${encodeURIComponent(body.last_id)}`;
    }
  },
  azd: async (foundry, path) => {
    const ids: string[] = [];
    let pages = 0;
    let after = '';
    for (;;) {
      const { body } = await foundry.get(`${path}${after}`);
      pages += 1;
      ids.push(...body.value.map(idOf));
      const token = path.includes('/runs') ? body.nextPageToken : body.continuationToken;
      if (!token) return { ids, pages };
      after = `&after=${encodeURIComponent(token)}`;
    }
  },
};

describe('a list', () => {
  const NAMES_IN_ORDER = ['b', 'a:1', 'c d', 'é', 'a'];

  async function five(foundry: Foundry): Promise<string[]> {
    for (const name of NAMES_IN_ORDER) await foundry.routine(name, routine());
    for (let n = 0; n < 5; n += 1) await foundry.dispatch('b');
    return (await foundry.runs('b')).map((run) => run.id);
  }

  test.for(Object.keys(PAGERS))('is paged through by %s', async (client, { foundry }) => {
    const runs = await five(foundry);
    const page = PAGERS[client] as Pager;

    const found = {
      asc: await page(foundry, '/routines?limit=2&order=asc'),
      desc: await page(foundry, '/routines?limit=2&order=desc'),
      runs: await page(foundry, '/routines/b/runs?limit=2&order=desc'),
      one: await page(foundry, '/routines?limit=5'),
    };

    expect(found).toEqual({
      asc: { ids: NAMES_IN_ORDER, pages: 3 },
      desc: { ids: NAMES_IN_ORDER.toReversed(), pages: 3 },
      runs: { ids: runs.toReversed(), pages: 3 },
      one: { ids: NAMES_IN_ORDER, pages: 1 },
    });
  });

  test('has the superset envelope, and its links carry every parameter', async ({ foundry }) => {
    await five(foundry);

    const { body } = await foundry.get(
      `/routines/b/runs?limit=2&order=desc&before=x&filter=${encodeURIComponent("phase = 'queued'")}&api-version=v1`,
    );

    const last = body.data.at(-1).id;
    const link =
      `http://localhost:3686/api/projects/tests/routines/b/runs?api-version=v1&after=${last}` +
      `&limit=2&order=desc&filter=phase+%3D+%27queued%27`;
    expect(body).toEqual({
      value: body.data,
      data: [expect.anything(), expect.anything()],
      first_id: body.data[0].id,
      last_id: last,
      has_more: true,
      next_link: link,
      nextLink: link,
      continuationToken: last,
      nextPageToken: last,
    });
  });

  test('of nothing has neither ids nor links', async ({ foundry }) => {
    expect((await foundry.get('/routines')).body).toEqual({ value: [], data: [], has_more: false });
  });

  test('gives the last page without links', async ({ foundry }) => {
    await five(foundry);

    const { body } = await foundry.get('/routines?after=%C3%A9');

    expect(body).toEqual({
      value: body.data,
      data: [expect.objectContaining({ name: 'a' })],
      first_id: 'a',
      last_id: 'a',
      has_more: false,
    });
  });

  test('holds 100 unless told otherwise, and never more', async ({ foundry }) => {
    for (let n = 0; n < 101; n += 1) await foundry.routine(`r${n}`, routine());

    const lengths: number[] = [];
    for (const query of ['', '?limit=', '?limit=1000', '?limit=100', '?limit=0', '?limit=-3']) {
      lengths.push((await foundry.get(`/routines${query}`)).body.data.length);
    }

    expect(lengths).toEqual([100, 100, 100, 100, 1, 1]);
  });

  test('goes on after an item that was deleted meanwhile', async ({ foundry }) => {
    await five(foundry);
    const first = await foundry.get('/routines?limit=2');
    await foundry.delete('/routines/b');
    await foundry.delete('/routines/a:1');

    const next = await foundry.get(first.body.next_link.replace('http://localhost:3686', ''));

    expect(next.status, next.text).toBe(200);
    expect(next.body.data.map(idOf)).toEqual(['c d', 'é']);
  });

  test.for([
    [
      '/routines?limit=many',
      'limit',
      'list/limit-1-to-100',
      /^'limit' cannot be "many"\. Use a whole number from 1 to 100\.$/,
    ],
    ['/routines?limit=1.5', 'limit', 'list/limit-1-to-100', /cannot be "1\.5"/],
    [
      '/routines?order=up',
      'order',
      'list/order-known',
      /^'order' cannot be "up"\. Use asc or desc\.$/,
    ],
    [
      '/routines?after=ghost',
      'after',
      'list/after-known',
      /^There is no routine "ghost" to continue after/,
    ],
    [
      '/routines/b/runs?after=ghost',
      'after',
      'list/after-known',
      /^There is no run "ghost" to continue after/,
    ],
    ['/routines/b/runs?filter=who', 'filter', 'run/filter', /^The filter "who" cannot be read\./],
  ] as [string, string, string, RegExp][])(
    'refuses %s',
    async ([path, param, rule, message], { foundry }) => {
      await foundry.routine('b', routine());

      expect(refusal(await foundry.get(path))).toEqual({
        status: 400,
        code: 'invalid_request',
        message: expect.stringMatching(message),
        param,
        rule,
      });
    },
  );

  test.for([
    ["attributes.status = 'FINISHED'", ['completed']],
    ["attributes.status = 'finished'", ['completed']],
    ["status != 'FINISHED'", ['failed', 'queued']],
    ["phase = 'failed' and error_type = 'downstream_status'", ['failed']],
    ['phase != \'queued\' AND attempt_source = "queued_dispatch"', ['completed', 'failed']],
    ["status = 'KILLED'", []],
    ['start_time > 1780272000000', ['failed']],
    ['start_time <= 1780272000000', ['completed']],
    ['', ['completed', 'failed', 'queued']],
  ] as [string, string[]][])(
    'of runs keeps to the filter %j',
    async ([filter, phases], { foundry }) => {
      await foundry.routine('r', routine());
      await foundry.dispatch('r');
      await foundry.advance('PT1S');
      await foundry.faults({ agent: 'digest', fault: 400 });
      await foundry.dispatch('r');
      await foundry.advance('PT1S');
      await foundry.dispatch('r');

      const { body } = await foundry.get(
        `/routines/r/runs?order=asc&filter=${encodeURIComponent(filter)}`,
      );

      expect(body.data.map((run: Json) => run.phase)).toEqual(phases);
    },
  );

  test('of runs may be filtered by text that holds an and', async ({ foundry }) => {
    await foundry.routine('r', {
      triggers: { 'now and then': CUSTOM },
      action: responses('digest'),
    });
    await foundry.steer('POST', '/routines/r:fire');

    const filter = encodeURIComponent("trigger_name = 'now and then'");
    const { status, body } = await foundry.get(`/routines/r/runs?filter=${filter}`);

    expect([status, body.data?.length]).toEqual([200, 1]);
  });
});

describe('a request', () => {
  test.for([
    ['no token', {}],
    ['an api-key', { 'api-key': 'secret' }],
    ['another scheme', { authorization: 'Basic abc' }],
    ['an empty token', { authorization: 'Bearer ' }],
  ] as [string, Record<string, string>][])('with %s gets 401', async ([, headers], { foundry }) => {
    const url = 'http://localhost/api/projects/unseen/routines';
    const response = await foundry.emulator.fetch(new Request(url, { headers }));
    const answer = await foundry.answered('GET', '/api/projects/unseen/routines', response);

    const message =
      'Unauthorized. Access token is missing, invalid, audience is incorrect (https://ai.azure.com), or have expired.';
    expect(answer.status).toBe(401);
    expect(answer.body).toEqual({
      statusCode: 401,
      message,
      error: { code: 'Unauthorized', message, param: null, type: 'invalid_request_error' },
    });
    expect([answer.rule, answer.headers.get('www-authenticate')]).toEqual([
      'request/bearer-token',
      'Bearer',
    ]);
    const { body } = await foundry.get('/_emulator/projects');
    expect(body.projects.map((project: Json) => project.name)).toEqual(['tests']);
  });

  test('to an unknown route gets a 404 that clients can read', async ({ foundry }) => {
    const answers = [
      await foundry.get('/routine'),
      await foundry.get('/api/projects/tests/routines/a/b/c'),
      await foundry.request('PATCH', '/routines/a'),
      await foundry.get('/_emulator/nothing'),
    ];

    expect(answers.map((answer) => [answer.status, answer.rule])).toEqual([
      [404, 'request/route-known'],
      [404, 'request/route-known'],
      [404, 'request/route-known'],
      [404, 'request/route-known'],
    ]);
  });

  test.for([
    ['POST', '/agents:import'],
    ['POST', '/agents/digest/versions:import'],
    ['POST', '/agents/digest/endpoint/protocols/a2a'],
    ['POST', '/openai/v1/responses/compact'],
    ['GET', '/files/f/content'],
    ['DELETE', '/vector_stores/v'],
  ] as const)('for what is not emulated, %s %s, gets 501', async ([method, path], { foundry }) => {
    expect(refusal(await foundry.request(method, path))).toMatchObject({
      status: 501,
      code: 'NotEmulated',
      rule: 'request/not-emulated',
    });
  });

  test('for a host that is not ours gets 421', async ({ foundry }) => {
    const ask = async (host: string) => {
      const request = new Request(`http://${host}/api/projects/tests/routines`, {
        headers: { authorization: 'Bearer test' },
      });
      const response = await foundry.emulator.fetch(request);
      return foundry.answered('GET', '/api/projects/tests/routines', response);
    };

    const taken = [
      'localhost:3686',
      '127.0.0.1:1',
      '[::1]:80',
      'host.docker.internal',
      'x.services.ai.azure.com',
      'LOCALHOST',
    ];
    const refused = ['example.com', 'services.ai.azure.com.evil.test', 'xservices.ai.azure.com'];
    const statuses: number[] = [];
    for (const host of taken) statuses.push((await ask(host)).status);
    const answers: Answered[] = [];
    for (const host of refused) answers.push(await ask(host));

    expect(statuses).toEqual(taken.map(() => 200));
    for (const answer of answers) {
      expect(refusal(answer)).toMatchObject({ status: 421, rule: 'request/known-host' });
    }
  });

  test('to a project of a broken name is refused like any other', async ({ foundry }) => {
    const answer = await foundry.get('/api/projects/%zz/routines');

    expect(refusal(answer)).toMatchObject({ status: 400, rule: 'request/path-decodes' });
  });

  test.for([
    undefined,
    'Routines=V1Preview',
    'Routines=V2Preview',
    'HostedAgents=V1Preview, Routines=V2Preview',
    'Any=Thing',
  ])('may carry the preview header %j', async (header, { foundry }) => {
    const headers: Record<string, string> =
      header === undefined ? {} : { 'foundry-features': header };

    expect((await foundry.get('/routines', headers)).status).toBe(200);
  });

  test('keeps the client’s own request id', async ({ foundry }) => {
    const answer = await foundry.get('/routines', { 'x-ms-client-request-id': 'mine' });

    expect(answer.headers.get('x-request-id')).toBe('mine');
  });
});
