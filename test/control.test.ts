import { describe } from 'vitest';
import { rules } from '../contracts/ledger.ts';
import { ASSUMED_RULES } from '../emulator/profile.ts';
import {
  type Answered,
  CUSTOM,
  EVERY_5_MINUTES,
  expect,
  type Foundry,
  type Json,
  localAgent,
  openFoundry,
  refusal,
  responses,
  routine,
  test,
} from './fixture.ts';

const CLOCK = {
  now: '2026-06-01T00:00:00.000Z',
  rate: 0,
  skip: true,
  advancing: false,
  waiting: [],
  heldBy: [],
};
const PROJECT = {
  name: 'tests',
  epoch: 1,
  seed: 'tests',
  profile: 'lenient',
  switches: {},
  settings: { provisioning_time: 0 },
  store: 'memory',
  clock: CLOCK,
};

async function projectNames(foundry: Foundry): Promise<string[]> {
  const { body } = await foundry.get('/_emulator/projects');
  return body.projects.map((project: Json) => project.name);
}

describe('a project', () => {
  test('is made on first use, is listed, and is gone when it is deleted', async ({ foundry }) => {
    await foundry.in('other').get('/routines');
    const before = (await foundry.get('/_emulator/projects')).body;

    await foundry.in('other').steer('DELETE', '');

    expect(before).toEqual({ projects: [PROJECT, { ...PROJECT, name: 'other' }] });
    expect(await projectNames(foundry)).toEqual(['tests']);
  });

  test('is made in every particular, once', async ({ foundry }) => {
    const body = {
      now: '2030-01-01T00:00:00+01:00',
      rate: 0,
      skip: false,
      seed: 7,
      profile: 'v2preview',
      switches: { overlap: 'queue' },
      settings: { queue_delay: '1m' },
      empty: true,
    };
    const made = await foundry.request('PUT', '/_emulator/projects/made', { body });
    const again = await foundry.request('PUT', '/_emulator/projects/made', { body });

    expect([made.status, made.body]).toEqual([
      201,
      {
        name: 'made',
        epoch: 1,
        seed: '7',
        profile: 'v2preview',
        switches: { overlap: 'queue' },
        settings: { queue_delay: 60_000 },
        store: 'memory',
        clock: { ...CLOCK, now: '2029-12-31T23:00:00.000Z', skip: false },
      },
    ]);
    expect(refusal(again)).toMatchObject({
      status: 409,
      code: 'conflict',
      rule: 'control/project-is-made-once',
    });
  });

  test('named local starts with demo agents, unless it is to be empty', async () => {
    const [full, empty] = [openFoundry({}, 'local'), openFoundry({ empty: true }, 'local')];

    expect((await full.get('/agents/demo-agent')).body).toMatchObject({
      name: 'demo-agent',
      state: 'enabled',
    });
    expect((await full.get('/agents/demo-prompt')).status).toBe(200);
    expect((await empty.get('/agents/demo-agent')).status).toBe(404);
    expect((await full.in('other').get('/agents/demo-agent')).status).toBe(404);
  });

  test('does not meet another', async ({ foundry }) => {
    const names = ['one', 'two', 'three'];
    const worlds = names.map((name) => foundry.in(name));

    await Promise.all(
      worlds.map(async (world, index) => {
        await world.agent('digest');
        await world.routine('r', routine(EVERY_5_MINUTES));
        if (index === 0) await world.faults({ agent: '*', fault: 400 });
        if (index === 1) await world.set({ settings: { queue_delay: '1h' } });
        await world.advance(`PT${(index + 1) * 10}M`);
      }),
    );

    const told = await Promise.all(
      worlds.map(async (world) => [
        await world.now(),
        (await world.runs('r')).map((run) => run.phase),
      ]),
    );
    expect(told).toEqual([
      ['2026-06-01T00:10:00.000Z', ['failed', 'failed']],
      ['2026-06-01T00:20:00.000Z', ['queued', 'queued', 'queued', 'queued']],
      ['2026-06-01T00:30:00.000Z', Array(6).fill('completed')],
    ]);
    expect(await foundry.now()).toBe(CLOCK.now);
  });

  test.for(['a:y', '50%', 'a%3Ay', 'a b/c', 'é☕', 'a:reset', 'clock'])(
    'may be named %j, to the service and to control alike',
    async (name, { foundry }) => {
      const world = foundry.in(name);

      const list = await world.get('/routines');
      const clock = await world.request('GET', world.control('/clock'));
      const advanced = await world.request('POST', world.control('/clock:advance'), {
        body: { by: '1m' },
      });
      const patched = await world.request('PATCH', world.control(''), { body: {} });
      const reset = await world.request('POST', world.control(':reset'));

      const statuses = [list, clock, advanced, patched, reset].map((answer) => answer.status);
      expect(statuses).toEqual([200, 200, 200, 200, 200]);
      expect([patched.body.name, reset.body.name]).toEqual([name, name]);
      expect(await projectNames(foundry)).toEqual(['tests', name]);
    },
  );

  test('has a name of at most 128 characters', async ({ foundry }) => {
    const put = (name: string) => foundry.request('PUT', foundry.in(name).control(''));

    expect((await put('p'.repeat(128))).status).toBe(201);
    expect(refusal(await put('p'.repeat(129)))).toMatchObject({
      status: 400,
      rule: 'control/project-name-max-128',
    });
    expect(refusal(await foundry.in('p'.repeat(129)).get('/routines'))).toMatchObject({
      status: 400,
    });
  });

  test.for([
    [
      { profile: 'v3' },
      'profile',
      'control/profile-known',
      /There is no profile 'v3'\. Use one of: lenient, v1preview, v2preview\./,
    ],
    [
      { switches: { overlapp: 'queue' } },
      'switches.overlapp',
      'control/switch-known',
      /There is no switch 'overlapp'/,
    ],
    [
      { switches: { overlap: 'never' } },
      'switches.overlap',
      'control/switch-known',
      /cannot be "never"\. Use one of: allow, queue, skip\./,
    ],
    [
      { switches: { toString: 'x' } },
      'switches.toString',
      'control/switch-known',
      /There is no switch 'toString'/,
    ],
    [
      { settings: { queue: '1s' } },
      'settings.queue',
      'control/setting-known',
      /There is no setting 'queue'.*queue_delay/,
    ],
    [
      { settings: { queue_delay: 'long' } },
      'settings.queue_delay',
      'control/setting-known',
      /a duration such as '30s'/,
    ],
    [
      { settings: { queue_delay: -1 } },
      'settings.queue_delay',
      'control/setting-known',
      /cannot be -1/,
    ],
    [
      { settings: { attempts_max: 0 } },
      'settings.attempts_max',
      'control/setting-known',
      /from 1 to 100/,
    ],
    [
      { settings: { attempts_max: 1.5 } },
      'settings.attempts_max',
      'control/setting-known',
      /a whole number/,
    ],
    [
      { settings: { attempts_max: '' } },
      'settings.attempts_max',
      'control/setting-known',
      /a whole number/,
    ],
    [
      { settings: { retry_on: '408 2xx' } },
      'settings.retry_on',
      'control/setting-known',
      /^The setting 'retry_on' cannot be "408 2xx"\. Use one or more words with spaces between them: a status from 300 to 599, 3xx, 4xx, 5xx, timeout, connection_failed, answer_lost, interrupted\.$/,
    ],
    ...['204', '1xx', '600', '40', '5XX', '408,429', 'answered', 'cancelled', ' ', 2].map(
      (words) => [
        { settings: { retry_on: words } },
        'settings.retry_on',
        'control/setting-known',
        /a status from 300 to 599, 3xx, 4xx, 5xx, timeout/,
      ],
    ),
    ...['', 'timeout', '1xx', '199', '600', '2xx, 302', 2].map((words) => [
      { settings: { completes_on: words } },
      'settings.completes_on',
      'control/setting-known',
      /a status from 200 to 599, 2xx, 3xx, 4xx, 5xx\.$/,
    ]),
    ...[0.99, 10.01, 'twice', '', ' ', '2s'].map((factor) => [
      { settings: { wait_factor: factor } },
      'settings.wait_factor',
      'control/setting-known',
      /a number from 1 to 10\.$/,
    ]),
    ...[-0.1, 1.01, 'some', ' '].map((share) => [
      { settings: { wait_jitter: share } },
      'settings.wait_jitter',
      'control/setting-known',
      /a number from 0 to 1\.$/,
    ]),
    [{ rate: 1 }, 'rate', 'control/body-has-known-fields', /rate is not a field here/],
  ] as [unknown, string, string, RegExp][])(
    'is not changed by %j',
    async ([body, param, rule, message], { foundry }) => {
      const answer = await foundry.request('PATCH', foundry.control(''), { body });

      expect(refusal(answer)).toEqual({
        status: 400,
        code: 'invalid_request',
        message: expect.stringMatching(message),
        param,
        rule,
      });
      expect((await foundry.set({})).settings).toEqual({ provisioning_time: 0 });
    },
  );

  test.for([
    [{ now: 'yesterday' }, 'now', 'clock/now-is-an-instant'],
    [{ now: '2026-06-01T00:00:00' }, 'now', 'clock/now-is-an-instant'],
    [{ rate: 2 }, 'rate', 'clock/rate-is-0-or-1'],
    [{ skip: 'yes' }, 'skip', 'clock/skip-is-boolean'],
    [{ seed: {} }, 'seed', 'control/seed-is-text-or-integer'],
    [{ profil: 'lenient' }, 'profil', 'control/body-has-known-fields'],
  ] as [unknown, string, string][])(
    'is not made with %j',
    async ([body, param, rule], { foundry }) => {
      const answer = await foundry.request('PUT', '/_emulator/projects/made', { body });

      expect(refusal(answer)).toMatchObject({ status: 400, param, rule });
      expect(await projectNames(foundry)).toEqual(['tests']);
    },
  );

  test('says which switches and settings differ from its profile', async ({ foundry }) => {
    const changed = await foundry.set({
      switches: { overlap: 'skip', envelope: 'superset' },
      settings: {
        first_wait: '2s',
        attempts_max: 3,
        queue_delay: '500',
        wait_factor: '1.5',
        wait_jitter: '0',
        retry_on: ' 503  timeout ',
        completes_on: 200,
      },
    });
    const profile = await foundry.set({ profile: 'v1preview', switches: { envelope: 'superset' } });
    const settings = {
      first_wait: 2_000,
      queue_delay: 500,
      wait_factor: 1.5,
      retry_on: '503 timeout',
      completes_on: '200',
    };

    expect(changed).toMatchObject({
      profile: 'lenient',
      switches: { overlap: 'skip' },
      settings,
    });
    expect(profile).toMatchObject({
      profile: 'v1preview',
      switches: { envelope: 'superset' },
      settings,
    });
  });

  test('is one of at most 256', async ({ foundry }) => {
    for (let n = 1; n < 256; n += 1) foundry.emulator.project(`p${n}`);

    const answer = await foundry.in('one-more').get('/routines');

    expect(refusal(answer)).toMatchObject({ status: 409, rule: 'control/projects-max-256' });
  });
});

describe('health', () => {
  test('tells clocks, armed faults, limits and assumed rules', async ({ foundry }) => {
    await foundry.set({ switches: { overlap: 'skip' } });

    const { body } = await foundry.get('/_emulator/health');

    expect(body).toMatchObject({
      status: 'ok',
      version: '0.1.0',
      projects: [
        { name: 'tests', clock: CLOCK, faults: [], stuck: [], switches: { overlap: 'skip' } },
      ],
      limits: { attempts_max: 3, attempt_timeout: 30_000 },
    });
    expect(body.assumed).toContainEqual({ rule: 'delivery/overlap', value: 'allow' });
  });

  test.for(['/_emulator/health', '/_emulator/ready'])(
    '%s answers HEAD without a body',
    async (path, { foundry }) => {
      const answer = await foundry.request('HEAD', path);

      expect([answer.status, answer.text]).toEqual([200, '']);
    },
  );

  test('and readiness need no token; the rest does when there is one', async () => {
    const foundry = openFoundry({ controlToken: 'secret' });
    const ask = (path: string, token: string) => foundry.get(path, { authorization: token });

    const open = [await ask('/_emulator/health', ''), await ask('/_emulator/ready', '')];
    const closed = [
      await ask('/_emulator/projects', 'Bearer wrong'),
      await ask('/_emulator/projects', ''),
    ];
    const right = await ask('/_emulator/projects', 'Bearer secret');

    expect(open.map((answer) => answer.status)).toEqual([200, 200]);
    expect(closed.map((answer) => [answer.status, answer.rule])).toEqual([
      [401, 'control/token'],
      [401, 'control/token'],
    ]);
    expect(right.status).toBe(200);
  });

  test('is all that is left when control is off', async () => {
    const foundry = openFoundry({ control: false });

    const health = await foundry.get('/_emulator/health');
    const projects = await foundry.get('/_emulator/projects');
    const clock = await foundry.request('POST', foundry.control('/clock:advance'), {
      body: { by: '1m' },
    });

    expect(health.status).toBe(200);
    expect([refusal(projects), refusal(clock)]).toMatchObject([
      { status: 404, rule: 'control/off' },
      { status: 404, rule: 'control/off' },
    ]);
  });
});

describe('the ledger', () => {
  const RULE = {
    id: 'delivery/first-wait-is-1s',
    statement: expect.stringMatching(/one second/),
    source: [expect.stringMatching(/^HOW-TO › /)],
    basis: 'documented',
    setting: 'first_wait',
    default: '1s',
  };

  async function list(foundry: Foundry, query: string): Promise<Json[]> {
    return (await foundry.get(`/_emulator/ledger${query}`)).body.rules;
  }

  test('is listed whole, by basis and by area', async ({ foundry }) => {
    const all = await list(foundry, '?basis=&area=');
    const assumed = await list(foundry, '?basis=assumed');
    const both = await list(foundry, '?basis=documented&area=delivery');

    expect(all.map(({ id }) => id)).toEqual(rules().map(({ id }) => id));
    expect(assumed).toHaveLength(ASSUMED_RULES);
    expect(both).toContainEqual(RULE);
    expect(both).toEqual(
      all.filter((each) => each.basis === 'documented' && each.id.startsWith('delivery/')),
    );
    expect(await list(foundry, '?basis=own&area=cron')).toEqual([]);
  });

  test('tells one rule, with its slash as it is or encoded', async ({ foundry }) => {
    const raw = await foundry.get('/_emulator/ledger/delivery/first-wait-is-1s');
    const encoded = await foundry.get('/_emulator/ledger/delivery%2Ffirst-wait-is-1s');

    expect([raw.status, raw.body]).toEqual([200, RULE]);
    expect(encoded.body).toEqual(raw.body);
  });

  test.for(['delivery/nothing', 'delivery%2Fnothing', 'delivery', 'delivery/nothing/at/all'])(
    'has no rule %s, and says how to list them',
    async (id, { foundry }) => {
      const answer = await foundry.get(`/_emulator/ledger/${id}`);

      expect(refusal(answer)).toMatchObject({
        status: 404,
        code: 'not_found',
        message: expect.stringMatching(
          /^There is no rule "delivery.* GET \/_emulator\/ledger lists/,
        ),
        rule: 'control/ledger-rule-known',
      });
    },
  );

  test.for([
    ['basis', 'certain', '\'basis\' cannot be "certain". Use one of: documented, observed, '],
    ['area', 'routines', '\'area\' cannot be "routines". Use one of: action, dispatch, '],
  ] as const)('is not listed by the %s %s', async ([param, value, message], { foundry }) => {
    const answer = await foundry.get(`/_emulator/ledger?${param}=${value}`);

    expect(refusal(answer)).toMatchObject({
      status: 400,
      param,
      message: expect.stringContaining(message),
      rule: 'control/ledger-filter-known',
    });
  });

  test('needs the token, and is not there when control is off', async () => {
    const [guarded, off] = [
      openFoundry({ controlToken: 'secret' }),
      openFoundry({ control: false }),
    ];

    for (const path of ['/_emulator/ledger', '/_emulator/ledger/cron/day-rule']) {
      const authorization = 'Bearer secret';
      expect(refusal(await guarded.get(path))).toMatchObject({ rule: 'control/token' });
      expect((await guarded.get(path, { authorization })).status).toBe(200);
      expect(refusal(await off.get(path))).toMatchObject({ status: 404, rule: 'control/off' });
    }
  });
});

describe('poison', () => {
  test('in a trigger is stuck, and the rest of its instant goes on', async ({ foundry }) => {
    for (const name of ['a', 'b', 'c']) await foundry.routine(name, routine(EVERY_5_MINUTES));
    foundry.project.world.store.db.exec("UPDATE routine SET trigger = 'not JSON' WHERE name = 'b'");

    const advanced = await foundry.advance('PT10M');

    const fired = advanced.fired.map((firing: Json) => firing.routine);
    const { body: health } = await foundry.get('/_emulator/health');
    expect([advanced.reached, fired]).toEqual([true, ['a', 'c', 'a', 'c']]);
    expect([await foundry.runs('a'), await foundry.runs('c')]).toMatchObject([
      [{ phase: 'completed' }, { phase: 'completed' }],
      [{ phase: 'completed' }, { phase: 'completed' }],
    ]);
    expect(health.status).toBe('stuck');
    expect(health.projects[0].stuck).toEqual([
      {
        at: '2026-06-01T00:05:00.000Z',
        item: 'trigger b#1',
        error: expect.stringContaining('JSON'),
      },
    ]);
    expect(await foundry.journal('kind=stuck')).toMatchObject([{ item: 'trigger', ref: 'b#1' }]);
    expect(foundry.notices.splice(0)).toEqual([
      expect.stringMatching(/^foundrite: trigger b#1 is stuck: /),
    ]);
  });

  test('does not spend the faults of what stood beside it', async ({ foundry }) => {
    for (const name of ['a', 'b']) {
      await foundry.routine(name, routine());
      await foundry.dispatch(name);
    }
    await foundry.faults({ agent: 'digest', times: 1, fault: 503 });
    foundry.project.world.store.db.exec("UPDATE run SET action = 'not JSON' WHERE routine = 'b'");

    await foundry.advance('PT1M');

    expect(await foundry.attempts('routine=a')).toEqual(['503 @0s retry', '200 @1s complete']);
    expect(foundry.notices.splice(0)).toHaveLength(1);
  });

  test.for([
    ['its definition', "UPDATE agent_version SET definition = 'not JSON' WHERE agent = 'sick'"],
    ['its reply', "INSERT INTO reply VALUES ('sick', 'not JSON', 0)"],
  ] as const)(
    'in an agent, %s, is stuck, and the rest goes on',
    async ([, damage], { foundry }) => {
      await foundry.agent('sick');
      await foundry.routine('a', routine(CUSTOM, { action: responses('sick') }));
      await foundry.routine('b', routine());
      await foundry.dispatch('a');
      await foundry.dispatch('b');
      foundry.project.world.store.db.exec(damage);

      const answer = await foundry.request('POST', foundry.control('/clock:advance'), {
        body: { by: 'PT1M' },
      });

      foundry.notices.splice(0);
      expect([answer.status, answer.body.reached]).toEqual([200, true]);
      expect(await foundry.runs('b')).toMatchObject([{ phase: 'completed' }]);
      expect((await foundry.get('/_emulator/health')).body.status).toBe('stuck');
    },
  );

  test('of more turns at one instant than are allowed stops the advance', async ({ foundry }) => {
    await foundry.set({ settings: { first_wait: 0, attempts_max: 50, instant_turns_max: 10 } });
    await foundry.faults({ agent: '*', fault: 503 });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    const advanced = await foundry.advance('PT1M');

    expect(advanced).toMatchObject({
      now: CLOCK.now,
      reached: false,
      stopped: {
        reason: 'stuck',
        detail: 'more than 10 turns at one instant (setting instant_turns_max)',
      },
    });
  });
});

describe('a reset', () => {
  test('brings back the beginning, in a new epoch', async ({ foundry }) => {
    const journal = await foundry.journal();
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.set({ profile: 'v1preview', settings: { queue_delay: '1m' } });
    await foundry.faults({ agent: '*', fault: 503 });
    await foundry.steer('PUT', '/clock', { skip: false });
    await foundry.advance('PT1H');

    const reset = await foundry.steer('POST', ':reset');

    expect(reset).toEqual({ ...PROJECT, epoch: 2 });
    expect((await foundry.get('/routines')).body.data).toEqual([]);
    expect(await foundry.steer('GET', '/faults')).toEqual({ faults: [] });
    expect(await foundry.journal()).toEqual(journal.slice(0, 1));
    expect((await foundry.get('/agents/digest')).status).toBe(404);
    expect((await foundry.advance('PT1H')).fired).toEqual([]);
  });

  test('and the same requests give the same ids again', async ({ foundry }) => {
    const play = async () => {
      await foundry.agent('digest');
      await foundry.routine('r', routine(EVERY_5_MINUTES));
      await foundry.dispatch('r');
      await foundry.advance('PT10M');
      return foundry.runs('r');
    };
    await foundry.steer('POST', ':reset');
    const first = await play();

    await foundry.steer('POST', ':reset');

    expect(await play()).toEqual(first);
  });

  test('drops the outcome of a call that was open', async ({ foundry }) => {
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT1H' },
    });
    await agent.arrival(1);

    await foundry.steer('POST', ':reset');
    open[0].end('{}');
    await advance;

    expect(await foundry.journal('kind=outcome,attempt')).toEqual([]);
  });

  test('ends an advance of the epoch before', async ({ foundry }) => {
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT1H' },
    });
    await agent.arrival(1);

    await foundry.steer('POST', ':reset');
    open[0].end('{}');
    const { body } = await advance;

    expect(body).toMatchObject({ reached: false, stopped: { reason: 'cancelled' } });
    expect(await foundry.clock()).toEqual(CLOCK);
    expect((await foundry.journal()).map((line) => line.kind)).toEqual(['world']);
  });
});

describe('a snapshot', () => {
  test('is listed with its instant and size, and brings its world back', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.advance('PT7M');
    const runs = await foundry.runs('r');

    const taken = await foundry.steer('PUT', '/snapshots/after-7m');
    await foundry.advance('PT1H');
    await foundry.delete('/routines/r');
    const restored = await foundry.steer('POST', ':reset', { snapshot: 'after-7m' });

    const snapshot = {
      name: 'after-7m',
      now: '2026-06-01T00:07:00.000Z',
      bytes: expect.any(Number),
    };
    expect(taken).toEqual(snapshot);
    expect(await foundry.steer('GET', '/snapshots')).toEqual({ snapshots: [taken] });
    expect(restored).toEqual({
      ...PROJECT,
      epoch: 2,
      clock: { ...CLOCK, now: '2026-06-01T00:07:00.000Z' },
    });
    expect(await foundry.runs('r')).toEqual(runs);
    expect((await foundry.advance('PT3M')).fired).toMatchObject([
      { routine: 'r', at: '2026-06-01T00:10:00.000Z' },
    ]);
  });

  test('goes on as the world it was taken of would have', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.faults({ agent: 'digest', times: 3, fault: 503 });
    await foundry.advance('2026-06-01T00:05:00Z');
    await foundry.steer('PUT', '/snapshots/s');
    await foundry.advance('PT1H');
    const first = [
      await foundry.runs('r'),
      await foundry.attempts(),
      await foundry.steer('GET', '/faults'),
    ];

    await foundry.steer('POST', ':reset', { snapshot: 's' });
    await foundry.advance('PT1H');

    expect([
      await foundry.runs('r'),
      await foundry.attempts(),
      await foundry.steer('GET', '/faults'),
    ]).toEqual(first);
  });

  test('keeps a held call held, and an open gate lets it go', async ({ foundry }) => {
    await foundry.routine('r', routine());
    await foundry.faults({ agent: 'digest', times: 1, fault: { kind: 'gate', name: 'g' } });
    await foundry.dispatch('r');
    await foundry.advance('PT5S');
    await foundry.steer('PUT', '/snapshots/s');
    await foundry.advance('PT10M');

    await foundry.steer('POST', ':reset', { snapshot: 's' });
    const released = await foundry.release('g');
    await foundry.advance('PT0S');

    expect(released.released).toBe(1);
    expect(await foundry.attempts()).toEqual(['200 @5s complete']);
  });

  test('of a world with an open call counts that call as interrupted', async ({ foundry }) => {
    const open: Json[] = [];
    const agent = await localAgent((response, number) => {
      if (number === 1) open.push(response);
      else response.end('{}');
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT1M' },
    });
    await agent.arrival(1);
    await foundry.steer('PUT', '/snapshots/s');
    open[0].end('{}');
    await advance;

    await foundry.steer('POST', ':reset', { snapshot: 's' });
    await foundry.advance('PT1M');

    expect(await foundry.attempts()).toEqual(['interrupted @0s retry', '200 @1s complete']);
  });

  test('replaces the one before of its name, and belongs to its project', async ({ foundry }) => {
    await foundry.steer('PUT', '/snapshots/s');
    await foundry.advance('PT1M');
    await foundry.steer('PUT', '/snapshots/s');

    const { snapshots } = await foundry.steer('GET', '/snapshots');
    expect(snapshots).toMatchObject([{ name: 's', now: '2026-06-01T00:01:00.000Z' }]);
    expect(await foundry.in('other').steer('GET', '/snapshots')).toEqual({ snapshots: [] });
  });

  test.for([
    ['PUT', '/snapshots/a%20b', undefined, 400, 'snapshot/name-form'],
    ['PUT', `/snapshots/${'s'.repeat(65)}`, undefined, 400, 'snapshot/name-form'],
    ['PUT', '/snapshots/..%2Fx', undefined, 400, 'snapshot/name-form'],
    ['POST', ':reset', { snapshot: 'ghost' }, 404, 'snapshot/known'],
    ['POST', ':reset', { snapshot: '../x' }, 400, 'snapshot/name-form'],
    ['POST', ':reset', { snapshto: 's' }, 400, 'control/body-has-known-fields'],
  ] as [string, string, unknown, number, string][])(
    'is refused: %s %s %j',
    async ([method, path, body, status, rule], { foundry }) => {
      const answer: Answered = await foundry.request(method, foundry.control(path), { body });

      expect(refusal(answer)).toMatchObject({ status, rule });
      expect((await foundry.clock()).now).toBe(CLOCK.now);
    },
  );
});

describe('a reply', () => {
  test.for([
    [{ kind: 'parrot' }, 400, 'kind', 'reply/kind-known'],
    [{ kind: 'script', turns: [] }, 400, 'turns', 'reply/script-has-turns'],
    [{ kind: 'script', turns: [{ txt: 'a' }] }, 400, 'turns[0]', 'reply/turn-known'],
    [{ kind: 'forward', url: 'localhost' }, 400, 'url', 'reply/url-is-http'],
    [
      { kind: 'model', url: 'http://localhost', api_key: 'a', api_key_env: 'B' },
      400,
      'api_key_env',
      'reply/model-key-one-way',
    ],
    [{ kind: 'model', url: 'http://localhost', api: 'x' }, 400, 'api', 'reply/model-api-known'],
  ] as [unknown, number, string, string][])(
    '%j is refused',
    async ([body, status, param, rule], { foundry }) => {
      const answer = await foundry.request('PUT', foundry.control('/agents/digest/reply'), {
        body,
      });

      expect(refusal(answer)).toMatchObject({ status, param, rule });
    },
  );
});

describe('a control call', () => {
  test('with a body that is no JSON is refused', async ({ foundry }) => {
    const answer = await foundry.request('PUT', foundry.control('/faults'), { raw: '{' });

    expect(refusal(answer)).toMatchObject({ status: 400, rule: 'request/body-is-json' });
  });

  test('without the body that it needs is refused', async ({ foundry }) => {
    const calls = [
      ['PUT', '/faults'],
      ['POST', '/clock:advance'],
      ['PUT', '/clock'],
      ['PATCH', ''],
      ['PUT', '/agents/digest/reply'],
    ];

    for (const [method = '', path = ''] of calls) {
      const answer = await foundry.request(method, foundry.control(path));
      expect(refusal(answer), `${method} ${path}`).toMatchObject({
        status: 400,
        rule: 'request/body-required',
      });
    }
  });
});

test('snapshots of projects whose long names begin alike are kept apart', async ({ foundry }) => {
  const one = foundry.in(`${'x'.repeat(110)}a`);
  const other = foundry.in(`${'x'.repeat(110)}b`);

  await one.steer('PUT', '/snapshots/s');

  expect((await one.steer('GET', '/snapshots')).snapshots).toHaveLength(1);
  expect((await other.steer('GET', '/snapshots')).snapshots).toEqual([]);
});
