import { describe } from 'vitest';
import {
  chooseProfile,
  keptProfile,
  PROFILES,
  type Profile,
  SWITCHES,
} from '../emulator/profile.ts';
import {
  CURL,
  CUSTOM,
  EVERY_5_MINUTES,
  expect,
  type Foundry,
  HOSTED,
  type Json,
  lid,
  openFoundry,
  refusal,
  responses,
  routine,
  START,
  since,
  test,
} from './fixture.ts';

type Probe = (foundry: Foundry) => Promise<unknown>;

const cron = (cron_expression: string, time_zone: string) =>
  routine({ type: 'schedule', cron_expression, time_zone });
const timer = (at: string, more: object = {}) => routine({ type: 'timer', at, ...more });
const PROMPT = { kind: 'prompt', model: 'gpt' };
const NEW_YORK = 'America/New_York';
const conversations = { conversation: 'c', conversation_id: 'd' };

/** The status of a PUT, and the rule of its refusal. */
async function put(foundry: Foundry, body: unknown, name = 'r'): Promise<unknown> {
  const answer = await foundry.put(`/routines/${encodeURIComponent(name)}`, body);
  return answer.rule ?? answer.status;
}

async function get(
  foundry: Foundry,
  path: string,
  headers: Record<string, string> = {},
): Promise<unknown> {
  const answer = await foundry.get(path, headers);
  return answer.rule ?? answer.status;
}

async function firings(foundry: Foundry, body: Json, ...to: string[]): Promise<string[]> {
  await foundry.routine('r', body);
  const fired: string[] = [];
  for (const until of to)
    fired.push(...(await foundry.advance(until)).fired.map((firing: Json) => firing.at));
  return fired;
}

async function phasesAfter(
  foundry: Foundry,
  change: (foundry: Foundry) => Promise<unknown>,
): Promise<string> {
  await foundry.routine('r', routine());
  await foundry.faults({ agent: '*', fault: { delay: '10s' } });
  await foundry.dispatch('r');
  await foundry.advance('PT5S');
  await change(foundry);
  await foundry.advance('PT1M');
  return (await foundry.runs('r'))[0].phase;
}

/** What an hour of a closed lid does to a trigger. */
function asleep(body: unknown): (name: string, value: string) => Promise<unknown> {
  return async (name, value) => {
    const host = lid(START);
    const foundry = openFoundry({ host, rate: 1, skip: false, switches: { [name]: value } });
    await foundry.agent('digest');
    await foundry.routine('r', body as object);
    await host.sleep(16 * 60_000);
    return (await foundry.runs('r')).map((run) => since(run.triggered_at));
  };
}

const LATE: Record<
  string,
  [(name: string, value: string) => Promise<unknown>, Record<string, unknown>]
> = {
  late_schedule: [
    asleep(routine(EVERY_5_MINUTES)),
    { skip: [], once: ['960s'], all: ['300s', '600s', '900s'] },
  ],
  late_timer: [asleep(timer('5m')), { fire: ['960s'], drop: [] }],
};

/** For each switch: what is done, and what each value makes of it. */
const TABLE: Record<string, [Probe, Record<string, unknown>]> = {
  envelope: [
    async (foundry) => {
      for (const name of ['a', 'b']) await foundry.routine(name, routine());
      await foundry.dispatch('a');
      await foundry.dispatch('a');
      const lists = [
        await foundry.get('/routines?limit=1'),
        await foundry.get('/routines/a/runs?limit=1'),
      ];
      return lists.map(({ body }) => Object.keys(body).sort().join(' '));
    },
    {
      superset: Array(2).fill(
        'continuationToken data first_id has_more last_id nextLink nextPageToken next_link value',
      ),
      v1: [
        'continuationToken data first_id has_more last_id value',
        'data first_id has_more last_id nextPageToken value',
      ],
      v2: Array(2).fill('data next_link'),
    },
  ],
  timestamps: [
    async (foundry) => {
      await foundry.routine('r', timer('30m'));
      const answers = [await foundry.get('/routines/r', CURL), await foundry.get('/routines/r')];
      return answers.map(({ body }) => [typeof body.created_at, typeof body.triggers.t.at].join());
    },
    {
      auto: ['string,string', 'number,number'],
      unix: Array(2).fill('number,number'),
      iso: Array(2).fill('string,string'),
    },
  ],
  default_order: [
    async (foundry) => {
      for (const name of ['a', 'b']) await foundry.routine(name, routine());
      return (await foundry.get('/routines')).body.data.map((item: Json) => item.name);
    },
    { asc: ['a', 'b'], desc: ['b', 'a'] },
  ],
  limit_out_of_range: [
    async (foundry) => [
      await get(foundry, '/routines?limit=101'),
      await get(foundry, '/routines?limit=0'),
      await get(foundry, '/routines?limit=100'),
    ],
    { clamp: [200, 200, 200], refuse: ['list/limit-1-to-100', 'list/limit-1-to-100', 200] },
  ],
  require_preview_header: [
    async (foundry) => [
      await get(foundry, '/routines'),
      await get(foundry, '/routines', { 'foundry-features': 'Routines=V2Preview' }),
      await get(foundry, '/routines', {
        'Foundry-Features': 'HostedAgents=V1Preview,Routines=V1Preview',
      }),
      await get(foundry, '/agents/digest'),
    ],
    {
      off: [200, 200, 200, 200],
      on: ['request/preview-header', 'request/preview-header', 200, 200],
    },
  ],
  require_api_version: [
    async (foundry) => [
      await get(foundry, '/routines'),
      await get(foundry, '/routines?api-version=v1'),
    ],
    { off: [200, 200], on: ['request/api-version', 200] },
  ],
  unknown_api_version: [
    async (foundry) => [
      await get(foundry, '/routines?api-version=2020-01-01'),
      await get(foundry, '/routines?api-version=v1'),
    ],
    { accept: [200, 200], refuse: ['request/api-version-known', 200] },
  ],
  token_audience: [
    async (foundry) => {
      const token = (aud: unknown) =>
        `x.${Buffer.from(JSON.stringify({ aud })).toString('base64url')}.`;
      const seen: unknown[] = [];
      for (const aud of [
        undefined,
        'https://management.azure.com',
        'https://ai.azure.com',
        'https://ai.azure.com/',
      ]) {
        seen.push(await get(foundry, '/routines', { authorization: `Bearer ${token(aud)}` }));
      }
      return seen;
    },
    {
      any: [200, 200, 200, 200],
      checked: ['request/token-audience', 'request/token-audience', 200, 200],
    },
  ],
  put_create_status: [
    async (foundry) => [await put(foundry, routine()), await put(foundry, routine())],
    { '200': [200, 200], '201': [201, 200] },
  ],
  delete_missing: [
    async (foundry) => {
      const answer = await foundry.delete('/routines/ghost');
      return answer.rule ?? answer.status;
    },
    { '204': 204, '404': 'routine/delete-missing' },
  ],
  routine_names: [
    async (foundry) => [
      await put(foundry, routine(), 'a b'),
      await put(foundry, routine(), '-a'),
      await put(foundry, routine(), 'a.b_c-9'),
    ],
    { any: [200, 200, 200], plain: ['routine/name-characters', 'routine/name-characters', 200] },
  ],
  trigger_names: [
    async (foundry) => [
      await put(foundry, { ...routine(), triggers: { 'a b': CUSTOM } }),
      await put(foundry, { ...routine(), triggers: { a: CUSTOM } }),
    ],
    { any: [200, 200], plain: ['routine/trigger-name-characters', 200] },
  ],
  require_agent_identity: [
    async (foundry) => {
      await foundry.agent('prompted', { kind: 'prompt', model: 'm' });
      return [
        await put(foundry, routine(CUSTOM, { action: responses('prompted') })),
        await put(foundry, routine()),
      ];
    },
    { off: [200, 200], on: ['routine/agent-has-identity', 200] },
  ],
  workflow_agents: [
    async (foundry) => {
      await foundry.agent('flow', { kind: 'workflow', workflow: 'x' });
      return [
        await put(foundry, routine(CUSTOM, { action: responses('flow') })),
        await put(foundry, routine()),
      ];
    },
    { accept: [200, 200], refuse: ['routine/workflow-agents', 200] },
  ],
  agent_checked: [
    async (foundry) => {
      const status = await put(foundry, routine(CUSTOM, { action: responses('ghost') }));
      if (status !== 200) return status;
      await foundry.dispatch('r');
      await foundry.advance('PT1S');
      return (await foundry.runs('r'))[0].error_status_code;
    },
    { on_put: 'routine/agent-exists', on_fire: 404 },
  ],
  agent_endpoint_id: [
    (foundry) =>
      put(
        foundry,
        routine(CUSTOM, {
          action: { type: 'invoke_agent_responses_api', agent_endpoint_id: 'digest' },
        }),
      ),
    { accept: 200, refuse: 'action/endpoint-id' },
  ],
  event_triggers: [
    async (foundry) => {
      const github = {
        type: 'github_issue',
        connection_id: 'c',
        owner: 'o',
        repository: 'r',
        issue_event: 'opened',
      };
      return [
        await put(foundry, routine(CUSTOM)),
        await put(foundry, routine(github)),
        await put(foundry, timer('5m')),
      ];
    },
    { accept: [200, 200, 200], refuse: ['routine/event-triggers', 'routine/event-triggers', 200] },
  ],
  conversation_field: [
    async (foundry) =>
      (
        await foundry.routine(
          'r',
          routine(CUSTOM, { action: responses('digest', { conversation: 'c' }) }),
        )
      ).action,
    {
      both: responses('digest', { conversation: 'c', conversation_id: 'c' }),
      conversation_id: responses('digest', { conversation_id: 'c' }),
      conversation: responses('digest', { conversation: 'c' }),
    },
  ],
  conversation_conflict: [
    async (foundry) => {
      const answer = await foundry.put(
        '/routines/r',
        routine(CUSTOM, { action: responses('digest', conversations) }),
      );
      return answer.rule ?? answer.body.action.conversation;
    },
    { refuse: 'action/conversation-conflict', conversation: 'c' },
  ],
  missing_time_zone: [
    async (foundry) => {
      const answer = await foundry.put(
        '/routines/r',
        routine({ type: 'schedule', cron_expression: '0 7 * * *' }),
      );
      return answer.rule ?? answer.body.triggers.t.time_zone;
    },
    { refuse: 'routine/schedule-needs-time-zone', utc: 'UTC' },
  ],
  past_timer: [
    async (foundry) => [
      await put(foundry, timer('2020-01-01T00:00:00Z')),
      (await foundry.advance('P1D')).fired.length,
    ],
    { refuse: ['routine/timer-is-future', 0], never_fires: [200, 0] },
  ],
  timer_zone: [
    async (foundry) => [
      await put(foundry, timer('2026-07-01T00:00:00', { time_zone: 'UTC' })),
      await put(foundry, timer('30m')),
    ],
    { accept: [200, 200], refuse: ['routine/timer-time-zone', 200] },
  ],
  after_timer: [
    async (foundry) => {
      await foundry.routine('r', timer('30m'));
      await foundry.advance('PT1H');
      return (await foundry.get('/routines/r')).body.enabled;
    },
    { unchanged: true, disabled: false },
  ],
  enable_rearms_timer: [
    async (foundry) => {
      await foundry.routine('r', timer('30m'));
      await foundry.steer('POST', '/routines/r:fire');
      await foundry.post('/routines/r:enable');
      return (await foundry.advance('PT1H')).fired.length;
    },
    { no: 0, yes: 1 },
  ],
  cron_days: [
    (foundry) => firings(foundry, cron('0 0 13 * 6', 'UTC'), 'P14D'),
    {
      or: ['2026-06-06T00:00:00.000Z', '2026-06-13T00:00:00.000Z'],
      and: ['2026-06-13T00:00:00.000Z'],
    },
  ],
  cron_gap: [
    async (foundry) => {
      await foundry.advance('2027-03-14T00:00:00Z');
      return firings(foundry, cron('30 2 * * *', NEW_YORK), 'P2D');
    },
    {
      after: ['2027-03-14T07:00:00.000Z', '2027-03-15T06:30:00.000Z'],
      skip: ['2027-03-15T06:30:00.000Z'],
    },
  ],
  cron_repeat: [
    async (foundry) => {
      await foundry.advance('2026-11-01T00:00:00Z');
      return firings(foundry, cron('30 1 * * *', NEW_YORK), 'P1D');
    },
    {
      first: ['2026-11-01T05:30:00.000Z'],
      both: ['2026-11-01T05:30:00.000Z', '2026-11-01T06:30:00.000Z'],
    },
  ],
  dispatch_input: [
    async (foundry) => {
      await foundry.routine('r', routine());
      const seen: unknown[] = [];
      for (const more of [{ input: 'x' }, { input: 5 }, { input: null }, {}]) {
        const payload = { type: 'invoke_agent_responses_api', ...more };
        const answer = await foundry.post('/routines/r:dispatch_async', { payload });
        seen.push(answer.rule ?? answer.status);
      }
      seen.push((await foundry.post('/routines/r:dispatch_async', {})).status);
      return seen;
    },
    {
      any: [200, 200, 200, 200, 200],
      string: [200, 'dispatch/input', 'dispatch/input', 200, 200],
      required: [200, 200, 200, 'dispatch/input', 200],
    },
  ],
  dispatch_when_disabled: [
    async (foundry) => {
      await foundry.routine('r', { ...routine(), enabled: false });
      const answer = await foundry.post('/routines/r:dispatch_async');
      return [answer.status, answer.rule, (await foundry.runs('r')).length];
    },
    { allow: [200, null, 1], refuse: [409, 'dispatch/when-disabled', 0] },
  ],
  dispatch_source: [
    async (foundry) => {
      await foundry.routine('r', routine());
      await foundry.dispatch('r');
      return (await foundry.runs('r'))[0].attempt_source;
    },
    { queued_dispatch: 'queued_dispatch', manual_dispatch: 'manual_dispatch' },
  ],
  dispatch_repeat: [
    async (foundry) => {
      await foundry.routine('r', routine());
      const dispatch = (id: string) =>
        foundry.post('/routines/r:dispatch_async', {}, { 'x-ms-client-request-id': id });
      const ids = [await dispatch('one'), await dispatch('one'), await dispatch('two')].map(
        ({ body }) => body.dispatch_id,
      );
      return [new Set(ids).size, (await foundry.runs('r')).length];
    },
    { new_run: [3, 3], same_run: [2, 2] },
  ],
  run_status: [
    async (foundry) => {
      await foundry.routine('r', routine());
      await foundry.dispatch('r');
      const before = (await foundry.runs('r'))[0].status;
      await foundry.advance('PT1S');
      return [before, (await foundry.runs('r'))[0].status];
    },
    { upper: ['RUNNING', 'FINISHED'], title: ['Running', 'Finished'] },
  ],
  runs_of_deleted: [
    async (foundry) => {
      await foundry.routine('r', routine());
      await foundry.dispatch('r');
      await foundry.delete('/routines/r');
      return get(foundry, '/routines/r/runs');
    },
    { listed: 200, hidden: 'routine/unknown-answers-404' },
  ],
  runs_of_recreated: [
    async (foundry) => {
      await foundry.routine('r', routine());
      await foundry.dispatch('r');
      await foundry.delete('/routines/r');
      await foundry.routine('r', routine());
      return (await foundry.runs('r')).length;
    },
    { empty: 0, kept: 1 },
  ],
  retry_after: [
    async (foundry) => {
      await foundry.routine('r', routine());
      await foundry.faults({
        agent: '*',
        attempts: [{ status: 429, headers: { 'retry-after': '9' } }],
      });
      await foundry.dispatch('r');
      await foundry.advance('PT1M');
      return (await foundry.attempts()).at(-1);
    },
    { ignored: '200 @1s complete', honoured: '200 @9s complete' },
  ],
  on_delete: [
    (foundry) => phasesAfter(foundry, (at) => at.delete('/routines/r')),
    { finish: 'completed', cancel: 'failed' },
  ],
  on_disable: [
    (foundry) => phasesAfter(foundry, (at) => at.post('/routines/r:disable')),
    { finish: 'completed', cancel: 'failed' },
  ],
  on_replace: [
    async (foundry) => {
      await foundry.agent('other');
      await foundry.set({ settings: { queue_delay: '8s' } });
      const phase = await phasesAfter(foundry, (at) =>
        at.put('/routines/r', routine(CUSTOM, { action: responses('other') })),
      );
      return [phase, (await foundry.runs('r'))[0].agent_id];
    },
    {
      old_action: ['completed', 'digest'],
      new_action: ['completed', 'other'],
      cancel: ['failed', 'digest'],
    },
  ],
  overlap: [
    async (foundry) => {
      await foundry.set({ settings: { attempt_timeout: '1h' } });
      await foundry.faults({ agent: '*', fault: { delay: '7m' } });
      await foundry.routine('r', routine(EVERY_5_MINUTES));
      await foundry.advance('PT19M59S');
      const missed = await foundry.journal('kind=missed');
      const started = (await foundry.runs('r')).map((run) =>
        run.started_at ? since(run.started_at) : run.phase,
      );
      return [started, missed.map((line) => line.why)];
    },
    {
      allow: [['300s', '600s', '900s'], []],
      queue: [['300s', '720s', '1140s'], []],
      skip: [['300s', '900s'], ['overlap']],
    },
  ],
  dedup_versions: [
    async (foundry) => [
      (await foundry.agent('a', HOSTED)).version,
      (await foundry.agent('a', HOSTED)).version,
    ],
    { on: ['1', '1'], off: ['1', '2'] },
  ],
  agents_order: [
    async (foundry) => {
      await foundry.agent('second');
      return (await foundry.get('/agents')).body.first_id;
    },
    { desc: 'second', asc: 'digest' },
  ],
  conflict_on_existing_agent: [
    async (foundry) =>
      (await foundry.post('/agents', { name: 'digest', definition: PROMPT })).status,
    { new_version: 200, conflict: 409 },
  ],
  delete_with_sessions: [
    async (foundry) => {
      await foundry.post('/agents/digest/endpoint/sessions', {});
      return (await foundry.delete('/agents/digest')).status;
    },
    { terminate: 200, refuse: 409 },
  ],
  protocols_patch: [
    async (foundry) => {
      const protocols = { agent_endpoint: { protocol_configuration: { responses: {} } } };
      await foundry.request('PATCH', '/agents/digest', { body: protocols });
      const more = { agent_endpoint: { protocol_configuration: { a2a: {} } } };
      const { body } = await foundry.request('PATCH', '/agents/digest', { body: more });
      return body.agent_endpoint.protocols;
    },
    { replace: ['a2a'], merge: ['responses', 'a2a'] },
  ],
  drafts: [
    async (foundry) => {
      const body = { definition: PROMPT, draft: true };
      return (await foundry.post('/agents/digest/versions', body)).body.draft;
    },
    { enabled: true, disabled: false },
  ],
  first_draft: [
    async (foundry) => {
      const body = { definition: PROMPT, draft: true };
      return (await foundry.post('/agents/fresh/versions', body)).status;
    },
    { accept: 200, refuse: 400 },
  ],
  delete_version_in_use: [
    async (foundry) => {
      await foundry.post('/agents/digest/endpoint/sessions', {});
      return (await foundry.delete('/agents/digest/versions/1')).status;
    },
    { refuse: 409, allow: 200 },
  ],
  unknown_session: [
    async (foundry) => {
      const path = '/agents/digest/endpoint/protocols/openai/responses';
      return (await foundry.post(path, { input: 'x', agent_session_id: 'session-1' })).status;
    },
    { refuse: 404, create: 200 },
  ],
  session_isolation: [
    async (foundry) => {
      const path = '/agents/digest/endpoint/sessions';
      const as = (user: string) => ({ headers: { 'x-ms-user-identity': user } });
      const session = { agent_session_id: 'session-1' };
      await foundry.request('POST', path, { body: session, ...as('ada') });
      return (await foundry.request('GET', `${path}/session-1`, as('bob'))).status;
    },
    { off: 200, on: 403 },
  ],
  stream_end: [
    async (foundry) => {
      const path = '/agents/digest/endpoint/protocols/openai/responses';
      const { text } = await foundry.post(path, { input: 'x', stream: true });
      return text.endsWith('data: [DONE]\n\n');
    },
    { bare: false, done: true },
  ],
  session_by_previous_response: [
    async (foundry) => {
      const path = '/agents/digest/endpoint/protocols/openai/responses';
      const { body } = await foundry.post(path, { input: 'x' });
      const next = await foundry.post(path, { input: 'y', previous_response_id: body.id });
      return next.body.agent_session_id === body.agent_session_id;
    },
    { new: false, same: true },
  ],
  unexposed_protocol: [
    async (foundry) => {
      const protocols = { agent_endpoint: { protocols: ['a2a'] } };
      await foundry.request('PATCH', '/agents/digest', { body: protocols });
      const path = '/agents/digest/endpoint/protocols/openai/responses';
      return (await foundry.post(path, { input: 'x' })).status;
    },
    { 404: 404, 400: 400 },
  ],
  unauthorized_body: [
    async (foundry) => {
      const refused = await foundry.emulator.fetch(
        new Request('http://localhost/api/projects/tests/threads', { headers: { 'api-key': 'k' } }),
      );
      const body = (await refused.json()) as object;
      return [refused.status, Object.keys(body).sort()];
    },
    { hybrid: [401, ['error', 'message', 'statusCode']], flat: [401, ['message', 'statusCode']] },
  ],
  openai_v1_api_version: [
    async (foundry) => {
      const body = { input: 'x', model: 'm' };
      return (await foundry.post('/openai/v1/responses?api-version=v1', body)).status;
    },
    { accept: 200, refuse: 400 },
  ],
  deleted_version: [
    async (foundry) => {
      await foundry.agent('digest', PROMPT);
      await foundry.delete('/agents/digest/versions/1');
      return get(foundry, '/agents/digest/versions/1');
    },
    { not_found: 'version/unknown-answers-404', shown: 200 },
  ],
  disabled_agent_code: [
    async (foundry) => {
      await foundry.post('/agents/digest:disable');
      return refusal(await foundry.post('/agents/digest/endpoint/protocols/invocations', {})).code;
    },
    { agent_disabled: 'agent_disabled', AgentDisabled: 'AgentDisabled' },
  ],
};

describe('a switch', () => {
  const cases = Object.entries(TABLE).flatMap(([name, [, values]]) =>
    Object.keys(values).map((value) => [name, value] as const),
  );

  test.for(cases)('%s is %s, and does what it says', async ([name, value], { foundry }) => {
    const [probe, expected] = TABLE[name] as [Probe, Record<string, unknown>];
    await foundry.set({ switches: { [name]: value } });

    expect(await probe(foundry)).toEqual(expected[value]);
  });

  const late = Object.entries(LATE).flatMap(([name, [, values]]) =>
    Object.keys(values).map((value) => [name, value] as const),
  );

  test.for(late)('%s is %s, and does what it says of what is late', async ([name, value]) => {
    const [probe, expected] = LATE[name] as (typeof LATE)[string];

    expect(await probe(name, value)).toEqual(expected[value]);
  });

  test('is tried in each of its values, and the values differ', () => {
    const tried = Object.fromEntries(
      Object.entries({ ...TABLE, ...LATE }).map(([name, [, values]]) => [
        name,
        Object.keys(values).sort(),
      ]),
    );
    const known = Object.fromEntries(
      Object.entries(SWITCHES).map(([name, { values }]) => [name, [...values].sort()]),
    );

    expect(tried).toEqual(known);
    for (const [name, [, values]] of Object.entries({ ...TABLE, ...LATE })) {
      const outcomes = Object.values(values).map((value) => JSON.stringify(value));
      expect(new Set(outcomes).size, name).toBe(outcomes.length);
    }
  });

  test('has a rule of its own', () => {
    const rules = Object.values(SWITCHES).map(({ rule }) => rule);

    expect(new Set(rules).size).toBe(rules.length);
  });
});

describe('a profile', () => {
  test('of lenient is every first value, and the others differ in these', async ({ foundry }) => {
    const differing: Record<string, object> = {};
    for (const profile of PROFILES) {
      const { world } = foundry.project;
      await foundry.set({ profile });
      const changed = Object.entries(world.profile.switches).filter(
        ([name, value]) => SWITCHES[name as keyof typeof SWITCHES].values[0] !== value,
      );
      differing[profile] = Object.fromEntries(changed);
    }

    expect(differing).toEqual({
      lenient: {},
      v1preview: {
        envelope: 'v1',
        timestamps: 'iso',
        limit_out_of_range: 'refuse',
        require_preview_header: 'on',
        delete_missing: '404',
        require_agent_identity: 'on',
        agent_endpoint_id: 'refuse',
        event_triggers: 'refuse',
        conversation_field: 'conversation_id',
        dispatch_input: 'string',
      },
      v2preview: {
        envelope: 'v2',
        timestamps: 'unix',
        limit_out_of_range: 'refuse',
        require_api_version: 'on',
        unknown_api_version: 'refuse',
        workflow_agents: 'refuse',
        conversation_field: 'conversation',
        dispatch_input: 'required',
      },
    });
  });

  test('of v1preview is what the seed shows', async ({ foundry }) => {
    const { id: conversation_id } = (await foundry.post('/openai/v1/conversations', {})).body;
    await foundry.set({ profile: 'v1preview' });
    const headers = { 'foundry-features': 'Routines=V1Preview' };
    const body = {
      description: 'Runs a daily summary agent on weekday mornings.',
      enabled: true,
      triggers: {
        'weekday-morning': { type: 'schedule', cron_expression: '0 7 * * 1-5', time_zone: 'UTC' },
      },
      action: {
        type: 'invoke_agent_responses_api',
        agent_name: 'digest',
        conversation_id,
      },
    };

    const put = await foundry.put('/routines/daily-summary', body, headers);
    await foundry.advance('2026-06-02T08:00:00Z');
    const runs = await foundry.get('/routines/daily-summary/runs', headers);
    const without = await foundry.get('/routines/daily-summary');
    const missing = await foundry.request('DELETE', '/routines/ghost', { headers });

    expect([put.status, put.body]).toEqual([
      200,
      {
        name: 'daily-summary',
        ...body,
        authorization: { identity: 'agent' },
        created_at: '2026-06-01T00:00:00Z',
        updated_at: '2026-06-01T00:00:00Z',
      },
    ]);
    expect(runs.body.value).toMatchObject([
      {
        status: 'FINISHED',
        phase: 'completed',
        trigger_type: 'schedule',
        attempt_source: 'schedule_delivery',
        started_at: '2026-06-01T07:00:00Z',
        conversation_id,
      },
      { started_at: '2026-06-02T07:00:00Z', ended_at: '2026-06-02T07:00:00Z' },
    ]);
    expect(refusal(without)).toEqual({
      status: 404,
      code: 'not_found',
      message: "Routines are in preview. Send the header 'Foundry-Features: Routines=V1Preview'.",
      param: 'Foundry-Features',
      rule: 'request/preview-header',
    });
    expect(missing.status).toBe(404);
  });

  test('of v2preview is what the GA clients read', async ({ foundry }) => {
    await foundry.set({ profile: 'v2preview' });
    for (const name of ['a', 'b', 'c'])
      await foundry.put(`/routines/${name}?api-version=v1`, routine(EVERY_5_MINUTES));

    const list = await foundry.get('/routines?api-version=v1&limit=2');
    const rest = await foundry.get(list.body.next_link.replace('http://localhost:3686', ''));
    const without = await foundry.get('/routines');
    const other = await foundry.get('/routines?api-version=2020-01-01');

    expect(Object.keys(list.body)).toEqual(['data', 'next_link']);
    expect(list.body.data[0]).toMatchObject({ name: 'a', created_at: 1780272000 });
    expect(rest.body).toEqual({ data: [expect.objectContaining({ name: 'c' })] });
    expect(refusal(without)).toEqual({
      status: 400,
      code: 'BadRequest',
      message: 'Missing required query parameter: api-version',
      param: 'api-version',
      rule: 'request/api-version',
    });
    expect(refusal(other)).toMatchObject({
      status: 400,
      code: 'BadRequest',
      rule: 'request/api-version-known',
    });
  });

  test('that an earlier version kept has the first values of what came since', () => {
    const change = {
      profile: 'v1preview',
      switches: { overlap: 'skip' },
      settings: { fired_max: 7 },
    };
    const { name, switches, settings } = chooseProfile(undefined, change) as Profile;
    const { on_delete: _, retry_after: __, ...olderSwitches } = switches;
    const { retry_on: ___, wait_factor: ____, ...olderSettings } = settings;
    const kept = { name, switches: olderSwitches, settings: olderSettings };

    expect(keptProfile(JSON.stringify(kept))).toEqual({ name, switches, settings });
  });

  test('may be chosen for a whole emulator', async () => {
    const foundry = openFoundry({
      profile: 'v1preview',
      switches: { require_preview_header: 'off' },
    });

    expect((await foundry.get('/routines')).body).toEqual({ value: [], data: [], has_more: false });
    expect((await foundry.get('/_emulator/health')).body.assumed).toContainEqual({
      rule: 'list/limit-1-to-100',
      value: 'refuse',
    });
  });
});
