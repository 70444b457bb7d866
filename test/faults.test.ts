import { describe } from 'vitest';
import {
  type Answered,
  CUSTOM,
  EVERY_5_MINUTES,
  expect,
  type Foundry,
  invocations,
  type Json,
  openFoundry,
  refusal,
  responses,
  routine,
  test,
} from './fixture.ts';

/** The statuses of a client's repeated calls; a call whose answer never arrives is `broken`. */
async function statuses(
  foundry: Foundry,
  times: number,
  path = '/routines',
): Promise<(number | string)[]> {
  const seen: (number | string)[] = [];
  for (let n = 0; n < times; n += 1) {
    seen.push(
      await foundry.get(path).then(
        (answer) => answer.status,
        () => 'broken',
      ),
    );
  }
  return seen;
}

async function counts(foundry: Foundry): Promise<number[]> {
  return (await foundry.steer('GET', '/faults')).faults.map((fault: Json) => fault.fired);
}

describe('a fault plan', () => {
  test('is empty until something is armed, is said back with its counts, and is cleared', async ({
    foundry,
  }) => {
    const plan = [
      { agent: 'digest', attempts: [503, 'timeout', 'ok'] },
      {
        operation: 'getRoutine',
        times: 2,
        fault: { status: 429, headers: { 'Retry-After': '7' } },
      },
    ];

    const before = await foundry.steer('GET', '/faults');
    const armed = await foundry.faults(...plan);
    const health = await foundry.get('/_emulator/health');
    await foundry.steer('DELETE', '/faults');

    const listed = { faults: plan.map((entry) => ({ entry, fired: 0 })) };
    expect(before).toEqual({ faults: [] });
    expect(armed).toEqual(listed);
    expect(health.body.projects[0].faults).toEqual(listed.faults);
    expect(await foundry.steer('GET', '/faults')).toEqual({ faults: [] });
  });

  test('is tried in order, and the first entry that matches wins', async ({ foundry }) => {
    await foundry.agent('other');
    await foundry.faults(
      { agent: 'digest', protocol: 'invocations', fault: 400 },
      { agent: 'digest', fault: 401 },
      { agent: 'digest', fault: 402 },
      { agent: '*', fault: 403 },
    );
    const actions = [responses('digest'), invocations('digest'), responses('other')];
    for (const [index, action] of actions.entries()) {
      await foundry.routine(`r${index}`, routine(CUSTOM, { action }));
      await foundry.dispatch(`r${index}`);
    }

    await foundry.advance('PT1S');

    expect(await foundry.attempts()).toEqual(['401 @0s fail', '400 @0s fail', '403 @0s fail']);
    expect(await counts(foundry)).toEqual([1, 1, 0, 1]);
  });

  test('spares what an entry calls ok from the entries after it', async ({ foundry }) => {
    await foundry.faults({ agent: 'digest', fault: 'ok' }, { agent: '*', fault: 400 });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    await foundry.advance('PT1S');

    expect(await foundry.attempts()).toEqual(['200 @0s complete']);
  });

  test('is spent after so many times', async ({ foundry }) => {
    await foundry.faults({ agent: 'digest', times: 2, fault: 503 });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    await foundry.dispatch('r');

    await foundry.advance('PT1M');

    expect(await foundry.attempts()).toEqual([
      '503 @0s retry',
      '503 @0s retry',
      '200 @1s complete',
      '200 @1s complete',
    ]);
    expect(await counts(foundry)).toEqual([2]);
  });

  test('starts counting anew when it is put again', async ({ foundry }) => {
    await foundry.faults({ operation: 'listRoutines', times: 1, fault: 503 });
    const first = await statuses(foundry, 2);

    await foundry.faults({ operation: 'listRoutines', times: 1, fault: 503 });

    expect([first, await statuses(foundry, 2)]).toEqual([
      [503, 200],
      [503, 200],
    ]);
  });

  test('strikes by attempt number, each delivery for itself', async ({ foundry }) => {
    await foundry.faults({ agent: 'digest', attempts: [503, 'ok'] });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    await foundry.dispatch('r');

    await foundry.advance('PT1M');

    expect(await foundry.attempts()).toEqual([
      '503 @0s retry',
      '503 @0s retry',
      '200 @1s complete',
      '200 @1s complete',
    ]);
  });

  test('of probability 0 is inert, and of 1 always strikes', async ({ foundry }) => {
    await foundry.faults({ operation: 'listRoutines', probability: 0, fault: 503 });
    const never = await statuses(foundry, 20);
    await foundry.faults({ operation: 'listRoutines', probability: 1, fault: 503 });
    const always = await statuses(foundry, 20);

    expect([new Set(never), new Set(always)]).toEqual([new Set([200]), new Set([503])]);
  });

  test('draws by seed: 0.3 of first attempts fail, the same ones again, and others by another seed', async () => {
    const failing = async (seed: string) => {
      const foundry = openFoundry({ seed });
      await foundry.agent('digest');
      await foundry.routine('r', routine(EVERY_5_MINUTES));
      await foundry.faults({ agent: 'digest', probability: 0.3, fault: 503 });
      await foundry.advance('P10D');
      const lines: Json[] = [];
      for (let after = 0; ; ) {
        const page = await foundry.journal(`kind=attempt&limit=10000&after=${after}`);
        if (page.length === 0) break;
        lines.push(...page);
        after = page.at(-1).seq;
      }
      const first = lines.filter((line) => line.attempt === 1);
      return {
        all: first.length,
        failed: first.filter((line) => line.status === 503).map((line) => line.at),
      };
    };

    const [one, again, other] = [
      await failing('one'),
      await failing('one'),
      await failing('other'),
    ];

    expect([one.all, again.all, other.all]).toEqual([2_880, 2_880, 2_880]);
    for (const { failed } of [one, other]) {
      expect(failed.length).toBeGreaterThanOrEqual(760);
      expect(failed.length).toBeLessThanOrEqual(970);
    }
    expect(again).toEqual(one);
    expect(other.failed).not.toEqual(one.failed);
  }, 60_000);

  test('is written down each time it strikes', async ({ foundry }) => {
    await foundry.faults(
      { agent: 'digest', attempts: [503, 'timeout'] },
      { operation: 'getRoutine', fault: 'disconnect' },
    );
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    await foundry.advance('PT1M');
    await statuses(foundry, 1, '/routines/r');

    const lines = await foundry.journal('kind=fault');

    expect(lines).toMatchObject([
      { routine: 'r', agent: 'digest', attempt: 1, entry: 0, fault: '503' },
      { routine: 'r', agent: 'digest', attempt: 2, entry: 0, fault: 'timeout' },
      { operation: 'getRoutine', entry: 1, fault: 'disconnect' },
    ]);
  });

  test.for([
    [
      'an unknown operation',
      { operation: 'getRoutin', fault: 503 },
      'faults[0].operation',
      'fault/operation-known',
    ],
    [
      'an operation that faults cannot reach',
      { operation: 'getClock', fault: 503 },
      'faults[0].operation',
      'fault/operation-known',
    ],
    [
      'a misspelt field',
      { agent: 'a', fault: 503, probabilty: 0 },
      'faults[0].probabilty',
      'control/body-has-known-fields',
    ],
    [
      'a status that is none',
      { agent: 'a', fault: 99 },
      'faults[0].fault',
      'fault/status-200-to-599',
    ],
    [
      'a word that is none',
      { agent: 'a', fault: 'time-out' },
      'faults[0].fault',
      'fault/kind-known',
    ],
    [
      'a probability above 1',
      { agent: 'a', fault: 503, probability: 1.1 },
      'faults[0].probability',
      'fault/probability-0-to-1',
    ],
    [
      'times below 1',
      { agent: 'a', fault: 503, times: 0 },
      'faults[0].times',
      'fault/times-at-least-1',
    ],
    ['no fault', { agent: 'a' }, 'faults[0]', 'fault/attempts-or-fault'],
    [
      'a delay that is none',
      { agent: 'a', fault: { delay: 'soon' } },
      'faults[0].fault.delay',
      'fault/delay-is-a-duration',
    ],
    [
      'a piece’s wait that is none',
      { agent: 'a', attempts: ['ok', { kind: 'slow_body', every: 'x' }] },
      'faults[0].attempts[1].every',
      'fault/delay-is-a-duration',
    ],
    [
      'a pointer that is none',
      { agent: 'a', fault: { kind: 'rewrite', remove: ['id'] } },
      'faults[0].fault.remove[0]',
      'fault/rewrite-by-pointer',
    ],
  ] as [string, unknown, string, string][])(
    'is refused with %s, and nothing is armed',
    async ([, entry, param, rule], { foundry }) => {
      const answer = await foundry.request('PUT', foundry.control('/faults'), {
        body: { faults: [entry] },
      });

      expect(refusal(answer)).toMatchObject({ status: 400, param, rule });
      expect(await foundry.steer('GET', '/faults')).toEqual({ faults: [] });
    },
  );
});

describe('a fault of the emulator’s own answers', () => {
  test('has status, headers and body of the plan, and says that a fault wrote it', async ({
    foundry,
  }) => {
    await foundry.faults({
      operation: 'listRoutines',
      fault: {
        status: 429,
        headers: { 'Retry-After': '7', 'content-type': 'text/plain' },
        body: 'slow',
      },
    });

    const answer = await foundry.get('/routines');

    expect([answer.status, answer.text]).toEqual([429, 'slow']);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'retry-after': '7',
      'content-type': 'text/plain',
      'x-foundrite-body-by': 'fault',
    });
  });

  test('is an error that clients can read unless the plan says otherwise', async ({ foundry }) => {
    await foundry.faults({ operation: 'listRoutines', fault: 503 });

    const answer = await foundry.get('/routines');

    expect([answer.status, answer.body]).toEqual([
      503,
      {
        error: {
          code: 'injected_fault',
          message: 'A fault of the plan answers 503.',
          param: null,
          type: 'injected_fault',
        },
      },
    ]);
  });

  test('counts the attempts of its own entry', async ({ foundry }) => {
    await foundry.faults(
      { operation: 'listRoutines', times: 1, fault: 429 },
      { operation: 'listRoutines', attempts: [500, 'ok', 503] },
    );

    expect(await statuses(foundry, 5)).toEqual([429, 500, 200, 503, 200]);
  });

  test('leaves the other operations alone', async ({ foundry }) => {
    await foundry.faults({ operation: 'listRoutines', fault: 503 });
    await foundry.routine('r', routine());

    expect([await statuses(foundry, 1, '/routines/r'), await statuses(foundry, 1)]).toEqual([
      [200],
      [503],
    ]);
  });

  test.for([
    ['status', 503, false],
    ['disconnect', 'disconnect', false],
    ['lose_response', 'lose_response', true],
    ['timeout', 'timeout', false],
  ] as [string, unknown, boolean][])(
    'of kind %s acts on a PUT or not',
    async ([, fault, acts], { foundry }) => {
      await foundry.faults({ operation: 'createOrUpdateRoutine', fault });

      const outcome = await foundry.put('/routines/r', routine()).then(
        (answer) => answer.status,
        (error: Json) => `${error.name}: ${error.message} (${error.cause.code})`,
      );

      expect(outcome).toBe(fault === 503 ? 503 : 'TypeError: fetch failed (ECONNRESET)');
      expect((await foundry.get('/routines/r')).status).toBe(acts ? 200 : 404);
    },
  );

  test('of kind gate holds the call until the gate is released', async ({ foundry }) => {
    await foundry.faults({
      operation: 'createOrUpdateRoutine',
      times: 1,
      fault: { kind: 'gate', name: 'g 1' },
    });

    const put = foundry.inFlight('PUT', '/routines/r', { body: routine() });
    while ((await foundry.clock()).waiting.length === 0);
    const meanwhile = (await foundry.get('/routines/r')).status;
    const clock = await foundry.clock();
    const released = await foundry.release('g 1');

    expect(meanwhile).toBe(404);
    expect(clock).toMatchObject({
      waiting: [{ what: 'gate g 1', until: null }],
      heldBy: [{ kind: 'gate', what: 'g 1' }],
    });
    expect(released).toEqual({ gate: 'g 1', released: 1 });
    expect((await put).status).toBe(200);
    expect(await foundry.release('g 1')).toEqual({ gate: 'g 1', released: 0, waiting: [] });
  });

  test('of kind rewrite sets and removes by pointer', async ({ foundry }) => {
    await foundry.routine('a/b', routine());
    await foundry.faults({
      operation: 'getRoutine',
      fault: {
        kind: 'rewrite',
        set: { '/triggers/t/parameters/x~1y': [1], '/enabled': null, '/new~0': 1 },
        remove: ['/description', '/none/of/it'],
      },
    });

    const { body } = await foundry.get('/routines/a%2Fb');

    expect(body).toMatchObject({
      enabled: null,
      'new~': 1,
      triggers: { t: { parameters: { 'x/y': [1] } } },
    });
    expect(body).not.toHaveProperty('description');
  });

  test('of kind rewrite replaces the whole, and takes items out of lists', async ({ foundry }) => {
    for (const name of ['a', 'b']) await foundry.routine(name, routine());
    await foundry.faults(
      {
        operation: 'listRoutines',
        times: 1,
        fault: { kind: 'rewrite', remove: ['/data/0', '/value'] },
      },
      { operation: 'listRoutines', fault: { kind: 'rewrite', set: { '': 5 } } },
    );

    const first = (await foundry.get('/routines')).body;
    const second = await foundry.get('/routines');

    expect([first.data.map((item: Json) => item.name), first.value]).toEqual([['b'], undefined]);
    expect(second.text).toBe('5');
  });

  test('of kind rewrite reaches the answer and nothing else of the process', async ({
    foundry,
  }) => {
    await foundry.routine('r', routine());
    await foundry.faults({
      operation: 'getRoutine',
      fault: {
        kind: 'rewrite',
        set: { '/__proto__/polluted': 1, '/constructor/prototype/polluted': 1 },
      },
    });

    await foundry.get('/routines/r');
    const polluted = ({} as Json).polluted;
    Reflect.deleteProperty(Object.prototype, 'polluted');

    expect(polluted).toBeUndefined();
  });

  test('of kind garble damages the body', async ({ foundry }) => {
    await foundry.faults({ operation: 'listRoutines', fault: 'garble' });

    const { status, text } = await foundry.get('/routines');

    expect(status).toBe(200);
    expect(() => JSON.parse(text)).toThrow();
    expect('{"value":[],"data":[],"has_more":false}'.startsWith(text.slice(0, -1))).toBe(true);
  });

  test.for([
    [{ delay: '90s' }, '2026-06-01T00:01:30.000Z', 200],
    [{ status: 503, delay: '2m' }, '2026-06-01T00:02:00.000Z', 503],
    [{ kind: 'slow_body', every: '1s', bytes: 20 }, '2026-06-01T00:00:02.000Z', 200],
  ] as [unknown, string, number][])(
    'that takes time, %j, moves the clock with skip',
    async ([fault, now, status], { foundry }) => {
      await foundry.faults({ operation: 'listRoutines', fault });

      const answer = await foundry.get('/routines');

      expect([answer.status, answer.headers.get('x-foundrite-now')]).toEqual([status, now]);
    },
  );

  test('that takes time runs what is due on the way', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.faults({ operation: 'listRoutines', fault: { delay: '6m' } });

    await foundry.get('/routines');

    expect(await foundry.runs('r')).toMatchObject([
      { triggered_at: '2026-06-01T00:05:00Z', phase: 'completed' },
    ]);
  });

  test('that takes time blocks without skip until the clock is moved there', async () => {
    const foundry = openFoundry({ skip: false });
    await foundry.faults({ operation: 'listRoutines', fault: { delay: '90s' } });
    let answered = false;
    const get = foundry.get('/routines').then((answer) => {
      answered = true;
      return answer;
    });
    while ((await foundry.clock()).waiting.length === 0);

    const waiting = (await foundry.clock()).waiting;
    await foundry.advance('PT89S');
    const early = answered;
    await foundry.advance('PT1S');
    await get;

    expect(waiting).toEqual([
      { what: 'The answer to listRoutines (fault delay)', until: '2026-06-01T00:01:30.000Z' },
    ]);
    expect(early).toBe(false);
    expect((await foundry.clock()).waiting).toEqual([]);
  });
});

describe('a fault of a call to an agent', () => {
  async function one(foundry: Foundry, fault: unknown): Promise<Json> {
    await foundry.routine(
      'r',
      routine(CUSTOM, { action: responses('digest', { input: 'hello' }) }),
    );
    await foundry.faults({ agent: 'digest', fault });
    await foundry.dispatch('r');
    await foundry.advance('PT10M');
    return (await foundry.runs('r'))[0];
  }

  test('of kind rewrite changes what the run is told', async ({ foundry }) => {
    expect(await one(foundry, { kind: 'rewrite', set: { '/id': 'resp_rewritten' } })).toMatchObject(
      { phase: 'completed', response_id: 'resp_rewritten' },
    );
  });

  test('of kind rewrite leaves an answer that is no JSON as it is', async ({ foundry }) => {
    await foundry.reply('digest', { kind: 'script', turns: [{ status: 200, body: 'plain' }] });

    expect(await one(foundry, { kind: 'rewrite', set: { '/id': 'x' } })).toMatchObject({
      phase: 'completed',
    });
  });

  test('of kind garble completes the run under the id that was promised', async ({ foundry }) => {
    const run = await one(foundry, 'garble');

    expect(run).toMatchObject({ phase: 'completed', response_id: run.action_correlation_id });
  });

  test('of kind slow_body counts against the time of the attempt', async ({ foundry }) => {
    await one(foundry, { kind: 'slow_body', every: '10ms', bytes: 10_000 });
    await one(foundry, { kind: 'slow_body', every: '1s', bytes: 1 });

    expect(await foundry.attempts()).toEqual([
      '200 @0.01s complete',
      'timeout @630s retry',
      'timeout @661s retry',
      'timeout @693s fail',
    ]);
  });

  test('of kind lose_response loses what the agent did, and a disconnect keeps it from acting', async ({
    foundry,
  }) => {
    const spoken = async (fault: unknown) => {
      await foundry.reply('digest', {
        kind: 'script',
        turns: [
          { status: 200, body: { id: 'resp_1' } },
          { status: 200, body: { id: 'resp_2' } },
        ],
      });
      await foundry.routine('r', routine());
      await foundry.faults({ agent: 'digest', times: 1, fault });
      await foundry.dispatch('r');
      await foundry.advance('PT1M');
      return (await foundry.runs('r')).at(-1).response_id;
    };

    expect([await spoken('lose_response'), await spoken('disconnect')]).toEqual([
      'resp_2',
      'resp_1',
    ]);
  });

  test('does not strike a client that calls the agent itself', async ({ foundry }) => {
    await foundry.faults({ agent: 'digest', fault: 503 });

    const answer: Answered = await foundry.post(
      '/agents/digest/endpoint/protocols/openai/responses',
      { input: 'x' },
    );

    expect(answer.status).toBe(200);
  });
});

test('a fault meets an answer that a sandbox held up when it comes', async ({ foundry }) => {
  await foundry.set({ settings: { cold_start: '5s' } });
  await foundry.faults({
    agent: 'digest',
    attempts: ['lose_response', { kind: 'slow_body', every: '1s', bytes: 1_000_000 }],
  });
  await foundry.routine('r', routine());
  await foundry.dispatch('r');

  await foundry.advance('PT1M');

  expect(await foundry.attempts()).toEqual(['answer_lost @5s retry', '200 @7s complete']);
});

test('a fault at a transition strikes also what takes no time, and is told in the journal', async ({
  foundry,
}) => {
  await foundry.faults({ at: 'transition', of: 'version', agent: 'weak', to: 'failed' });

  const made = await foundry.agent('weak');

  expect(made).toMatchObject({ status: 'failed', error: { code: 'ProvisioningError' } });
  expect((await foundry.agent('strong')).status).toBe('active');
  const { body } = await foundry.get(foundry.control('/journal?kind=fault,transition'));
  expect(body.entries).toMatchObject([
    { kind: 'fault', of: 'version', entry: 0, agent: 'weak', to: 'failed' },
    { kind: 'transition', of: 'version', agent: 'weak', from: 'creating', to: 'failed' },
  ]);
});

test.for([
  ['a delay', { delay: '1h' }],
  ['a timeout', 'timeout'],
  ['a gate', { kind: 'gate', name: 'door' }],
])(
  'a client that %s holds is let go, undone, when its project is deleted',
  async ([, fault], { foundry }) => {
    await foundry.steer('PUT', '/clock', { skip: false });
    await foundry.faults({ operation: 'createOrUpdateRoutine', fault });
    const held = foundry.inFlight('PUT', '/routines/r', { body: routine() });
    while ((await foundry.clock()).waiting.length === 0) await new Promise(setImmediate);

    await foundry.steer('DELETE', '');

    await expect(held).rejects.toThrow();
    expect((await foundry.get('/routines')).body.data).toEqual([]);
  },
);
