import { describe } from 'vitest';
import { manualClock } from '../emulator/clock.ts';
import type { EmulatorOptions } from '../emulator/emulator.ts';
import {
  type Answered,
  EVERY_5_MINUTES,
  expect,
  type Foundry,
  type Json,
  lid,
  localAgent,
  openFoundry,
  refusal,
  routine,
  START,
  scratchFolder,
  since,
  test,
} from './fixture.ts';

const cron = (cron_expression: string) =>
  routine({ type: 'schedule', cron_expression, time_zone: 'UTC' });
const timer = (at: string) => routine({ type: 'timer', at });

function ask(foundry: Foundry, body: unknown): Promise<Answered> {
  return foundry.request('POST', foundry.control('/clock:advance'), { body });
}

/** The phases that a client sees that reads the runs of a routine until all have ended, at most so often. */
async function poll(foundry: Foundry, name: string, times = 50): Promise<string[]> {
  const seen: string[] = [];
  for (let n = 0; n < times; n += 1) {
    const { body } = await foundry.get(`/routines/${name}/runs`);
    const phases = body.data.map((run: Json) => run.phase);
    seen.push(phases.join(' '));
    if (phases.every((phase: string) => phase === 'completed' || phase === 'failed')) return seen;
  }
  return seen;
}

describe('an advance', () => {
  test('by, to and until idle says where it came, what fired, and how to go on', async ({
    foundry,
  }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.dispatch('r');

    const idle = await foundry.advance('idle');
    const by = await foundry.advance('PT5M');
    const to = await foundry.advance('2026-06-01T02:09:00+02:00');

    const [, run] = await foundry.runs('r');
    expect(idle).toEqual({
      now: '2026-06-01T00:00:00.000Z',
      reached: true,
      fired: [],
      fired_truncated: false,
      cursor: idle.cursor,
    });
    expect(by).toEqual({
      now: '2026-06-01T00:05:00.000Z',
      reached: true,
      fired: [
        { routine: 'r', trigger: 't', at: '2026-06-01T00:05:00.000Z', run: run.id, late: false },
      ],
      fired_truncated: false,
      cursor: by.cursor,
    });
    expect(to).toMatchObject({ now: '2026-06-01T00:09:00.000Z', reached: true, fired: [] });
    const after = await foundry.journal(`after=${idle.cursor}`);
    expect(after.map((line) => line.kind)).toEqual(['fire', 'attempt', 'advance', 'advance']);
    expect(after[2].seq).toBe(by.cursor);
  });

  test('includes its end', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));

    const short = await foundry.advance('PT4M59.999S');
    const end = await foundry.advance('1ms');

    expect([short.fired.length, end.fired.length, end.now]).toEqual([
      0,
      1,
      '2026-06-01T00:05:00.000Z',
    ]);
    expect(await foundry.runs('r')).toMatchObject([{ phase: 'completed' }]);
  });

  test('by nothing runs what is due now', async ({ foundry }) => {
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    const before = (await foundry.runs('r'))[0].phase;

    const advanced = await foundry.advance('PT0S');

    expect([before, (await foundry.runs('r'))[0].phase, advanced.now]).toEqual([
      'queued',
      'completed',
      '2026-06-01T00:00:00.000Z',
    ]);
  });

  test('until idle follows retries to their end, and fires what lies on the way alone', async ({
    foundry,
  }) => {
    await foundry.routine('alongside', routine(EVERY_5_MINUTES));
    await foundry.routine('r', routine());
    await foundry.set({ settings: { queue_delay: '4m' } });
    await foundry.faults({ agent: 'digest', times: 3, fault: 'timeout' });
    await foundry.dispatch('r');

    const advanced = await foundry.advance('idle');

    // The firing at five minutes queues a delivery of its own, which ends at nine.
    expect(advanced).toMatchObject({ now: '2026-06-01T00:09:00.000Z', reached: true });
    expect(advanced.fired).toHaveLength(1);
  });

  test('until idle of a world at rest goes nowhere', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));

    expect(await foundry.advance('idle')).toMatchObject({
      now: '2026-06-01T00:00:00.000Z',
      reached: true,
      fired: [],
    });
  });

  test('until idle fires no trigger while a delivery waits for a worker that a gate holds', async ({
    foundry,
  }) => {
    await foundry.set({ settings: { worker_concurrency: 1, attempt_timeout: '1h' } });
    await foundry.faults({ agent: 'digest', times: 1, fault: { kind: 'gate', name: 'g' } });
    await foundry.routine('alongside', routine(EVERY_5_MINUTES));
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    await foundry.dispatch('r');
    await foundry.advance('PT1S');

    const advanced = await foundry.advance('idle');

    expect([advanced.now, advanced.fired]).toEqual(['2026-06-01T00:00:01.000Z', []]);
  });

  test.for([
    [
      { to: '2026-05-31T23:59:59Z' },
      'to',
      'clock/never-goes-back',
      /^The clock stands at 2026-06-01T00:00:00\.000Z and does not go back to 2026-05-31T23:59:59\.000Z\./,
    ],
    [{ to: 'tomorrow' }, 'to', 'clock/now-is-an-instant', /is no instant/],
    [{ to: '2026-06-02T00:00:00' }, 'to', 'clock/now-is-an-instant', /Write it with an offset/],
    [{ by: 'a while' }, 'by', 'clock/advance-by-to-or-until', /is no duration/],
    [{ by: '-1m' }, 'by', 'clock/advance-by-to-or-until', /is no duration/],
    [{ by: 'P99999999D' }, 'by', expect.any(String), /./],
    [{ until: 'noon' }, 'until', 'clock/advance-by-to-or-until', /must be "idle"/],
    [{}, null, 'clock/advance-by-to-or-until', /use one of these forms/],
    [
      { by: '1m', to: '2026-06-02T00:00:00Z' },
      null,
      'clock/advance-by-to-or-until',
      /use one of these forms/,
    ],
  ] as [unknown, string | null, string, RegExp][])(
    '%j is refused',
    async ([body, param, rule, message], { foundry }) => {
      expect(refusal(await ask(foundry, body))).toEqual({
        status: 400,
        code: 'invalid_request',
        message: expect.stringMatching(message),
        param,
        rule,
      });
      expect(await foundry.now()).toBe('2026-06-01T00:00:00.000Z');
    },
  );

  test('stops where a call is held, and the same `to` goes on', async ({ foundry }) => {
    await foundry.routine('r', routine());
    await foundry.routine('alongside', routine(EVERY_5_MINUTES));
    await foundry.faults({ agent: 'digest', times: 1, fault: { kind: 'gate', name: 'g' } });
    await foundry.set({ settings: { queue_delay: '10s' } });
    await foundry.dispatch('r');

    const held = await foundry.advance('2026-06-01T00:05:00Z');
    await foundry.release('g');
    const rest = await foundry.advance('2026-06-01T00:05:00Z');

    expect(held).toMatchObject({
      now: '2026-06-01T00:00:10.000Z',
      reached: false,
      stopped: { reason: 'held' },
      fired: [],
    });
    expect(rest).toMatchObject({
      now: '2026-06-01T00:05:00.000Z',
      reached: true,
      fired: [{ routine: 'alongside' }],
    });
    expect(await foundry.attempts('routine=r')).toEqual(['200 @10s complete']);
  });

  test('stops after firedMax firings, and the same `to` goes on', async ({ foundry }) => {
    await foundry.set({ settings: { fired_max: 3 } });
    for (const name of ['a', 'b']) await foundry.routine(name, routine(EVERY_5_MINUTES));

    const first = await foundry.advance('2026-06-01T01:00:00Z');
    const second = await foundry.advance('2026-06-01T01:00:00Z');

    expect(first).toMatchObject({
      now: '2026-06-01T00:10:00.000Z',
      reached: false,
      fired_truncated: true,
      stopped: { reason: 'fired_max' },
    });
    expect(first.fired).toHaveLength(4);
    expect(second.fired.map((firing: Json) => since(firing.at))).toEqual([
      '900s',
      '900s',
      '1200s',
      '1200s',
    ]);
  });

  test('stops after wall_max of the host’s time', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host, settings: { attempt_timeout: '1h' } });
    await foundry.agent('digest');
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT1H' },
    });
    await agent.arrival(1);

    host.tick(61_000);
    open[0].end('{}');
    const { body } = await advance;

    expect(body).toMatchObject({
      now: '2026-06-01T00:05:00.000Z',
      reached: false,
      stopped: { reason: 'wall' },
    });
  });

  test('that is under way refuses a second one, ends at clock:stop, and says so', async ({
    foundry,
  }) => {
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT1H' },
    });
    await agent.arrival(1);

    const second = await ask(foundry, { by: 'PT1M' });
    const set = await foundry.request('PUT', foundry.control('/clock'), {
      body: { now: '2026-06-01T03:00:00Z' },
    });
    const stop = await foundry.steer('POST', '/clock:stop');
    open[0].end('{}');
    const { body } = await advance;

    const busy = { status: 409, code: 'conflict', rule: 'clock/one-advance-at-a-time' };
    expect([refusal(second), refusal(set)]).toMatchObject([busy, busy]);
    expect(stop).toMatchObject({ advancing: true, now: '2026-06-01T00:05:00.000Z' });
    expect(body).toMatchObject({
      now: '2026-06-01T00:05:00.000Z',
      reached: false,
      stopped: { reason: 'stop' },
    });
    expect(body.fired).toHaveLength(1);
  });

  test('tells what fired also when something is fired by hand meanwhile', async ({ foundry }) => {
    const open: Json[] = [];
    const agent = await localAgent((response, number) => {
      if (number === 1) open.push(response);
      else response.end('{}');
    });
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('a', routine(EVERY_5_MINUTES));
    await foundry.routine('b', routine());
    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT5M' },
    });
    await agent.arrival(1);

    await foundry.steer('POST', '/routines/b:fire');
    open[0].end('{}');
    const { body } = await advance;

    expect(body.fired.map((firing: Json) => firing.routine)).toContain('a');
  });

  test('lets requests in, and they are marked as interleaved', async ({ foundry }) => {
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');
    const before = await foundry.steer('GET', '/journal');
    const advance = foundry.inFlight('POST', foundry.control('/clock:advance'), {
      body: { by: 'PT5M' },
    });
    await agent.arrival(1);

    await foundry.routine('late', routine());
    open[0].end('{}');
    await advance;

    const after = await foundry.steer('GET', '/journal');
    expect([before.interleaved, after.interleaved]).toEqual([false, true]);
  });

  test('tells each settled instant as a line, and a summary last', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.faults({ agent: 'digest', times: 1, fault: 503 });
    const headers = { accept: 'application/x-ndjson' };

    const { body, headers: said } = await foundry.request(
      'POST',
      foundry.control('/clock:advance'),
      { body: { by: 'PT12M' }, headers },
    );

    const runs = await foundry.runs('r');
    const fired = (index: number) => [
      { routine: 'r', trigger: 't', at: body[index * 2].at, run: runs[index].id, late: false },
    ];
    expect(said.get('content-type')).toBe('application/x-ndjson');
    expect(body).toEqual([
      {
        kind: 'instant',
        at: '2026-06-01T00:05:00.000Z',
        turns: expect.any(Number),
        fired: fired(0),
      },
      { kind: 'instant', at: '2026-06-01T00:05:01.000Z', turns: expect.any(Number), fired: [] },
      {
        kind: 'instant',
        at: '2026-06-01T00:10:00.000Z',
        turns: expect.any(Number),
        fired: fired(1),
      },
      {
        kind: 'summary',
        now: '2026-06-01T00:12:00.000Z',
        reached: true,
        fired_count: 2,
        cursor: expect.any(Number),
      },
    ]);
  });

  test('tells its progress each second of the host, and ends when its reader hangs up', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host });
    await foundry.agent('digest');
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    const url = `http://localhost${foundry.control('/clock:advance')}`;
    const headers = { accept: 'application/x-ndjson' };
    const response = await foundry.emulator.fetch(
      new Request(url, { method: 'POST', headers, body: '{"by":"PT1H"}' }),
    );
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await agent.arrival(1);

    host.tick(2_000);
    const frames = [await reader.read(), await reader.read()].map(({ value }) =>
      JSON.parse(new TextDecoder().decode(value)),
    );
    await reader.cancel();
    open[0].end('{}');
    while ((await foundry.clock()).advancing);

    const progress = { kind: 'progress', now: '2026-06-01T00:05:00.000Z', fired_count: 0 };
    expect(frames).toEqual([progress, progress]);
    expect(await foundry.now()).toBe('2026-06-01T00:05:00.000Z');
    expect((await foundry.journal('kind=advance')).at(-1)).toMatchObject({ stopped: 'cancelled' });
  });

  test('ends when a caller who waits for one answer hangs up', async ({ foundry }) => {
    const open: Json[] = [];
    const agent = await localAgent((response) => void open.push(response));
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    const hangUp = new AbortController();
    const request = new Request(`http://localhost${foundry.control('/clock:advance')}`, {
      method: 'POST',
      body: '{"by":"PT1H"}',
      signal: hangUp.signal,
    });
    const answer = foundry.emulator.fetch(request);
    await agent.arrival(1);

    hangUp.abort();
    await answer;
    open[0].end('{}');

    expect(await foundry.clock()).toMatchObject({
      now: '2026-06-01T00:05:00.000Z',
      advancing: false,
    });
  });
});

describe('setting the clock', () => {
  test('moves it forward through all that is due', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));

    const clock = await foundry.steer('PUT', '/clock', {
      now: '2026-06-01T00:12:00Z',
      skip: false,
    });

    expect(clock).toEqual({
      now: '2026-06-01T00:12:00.000Z',
      rate: 0,
      skip: false,
      advancing: false,
      waiting: [],
      heldBy: [],
    });
    expect((await foundry.runs('r')).map((run) => run.triggered_at)).toEqual([
      '2026-06-01T00:05:00Z',
      '2026-06-01T00:10:00Z',
    ]);
  });

  test('never makes what was due on the way late', async ({ foundry }) => {
    await foundry.faults({ agent: 'digest', times: 1, fault: { kind: 'gate', name: 'g' } });
    await foundry.set({ settings: { queue_delay: '10s' } });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    await foundry.request('PUT', foundry.control('/clock'), {
      body: { now: '2026-06-01T00:10:00Z' },
    });
    await foundry.advance('2026-06-01T00:20:00Z');

    expect(await foundry.attempts()).toEqual(['timeout @40s retry', '200 @41s complete']);
  });

  test.for([
    [{ now: '2026-05-01T00:00:00Z' }, 'now', 'clock/never-goes-back'],
    [{ now: 'noon' }, 'now', 'clock/now-is-an-instant'],
    [{ rate: 0.5 }, 'rate', 'clock/rate-is-0-or-1'],
    [{ skip: 1 }, 'skip', 'clock/skip-is-boolean'],
    [{ pace: 1 }, 'pace', 'control/body-has-known-fields'],
    [{}, null, 'control/body-has-known-fields'],
  ] as [unknown, string | null, string][])(
    'to %j is refused',
    async ([body, param, rule], { foundry }) => {
      const answer = await foundry.request('PUT', foundry.control('/clock'), { body });

      expect(refusal(answer)).toMatchObject({ status: 400, param, rule });
    },
  );
});

describe('skip', () => {
  test('takes a repeated read for a wait, and the first one not', async ({ foundry }) => {
    await foundry.set({ settings: { queue_delay: '1m' } });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    const nows: (string | null)[] = [];
    const phases: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      const { headers, body } = await foundry.get('/routines/r/runs');
      nows.push(headers.get('x-foundrite-now'));
      phases.push(body.data[0].phase);
    }

    expect(phases).toEqual(['queued', 'completed', 'completed', 'completed']);
    expect(nows).toEqual([
      '2026-06-01T00:00:00.000Z',
      ...Array(3).fill('2026-06-01T00:01:00.000Z'),
    ]);
    expect(await foundry.journal('kind=skip')).toMatchObject([
      {
        from: '2026-06-01T00:00:00.000Z',
        to: '2026-06-01T00:01:00.000Z',
        cause: 'listRoutineRuns routine:r',
      },
    ]);
  });

  test('tells principals and questions apart', async ({ foundry }) => {
    await foundry.set({ settings: { queue_delay: '1m' } });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    await foundry.get('/routines/r/runs');
    await foundry.get('/routines/r/runs', { authorization: 'Bearer another' });
    await foundry.get('/routines/r/runs?limit=1');
    await foundry.get('/routines/r/runs?order=desc');

    expect(await foundry.now()).toBe('2026-06-01T00:00:00.000Z');
  });

  test('does not move for a peek, nor for control, nor when it is off', async ({ foundry }) => {
    await foundry.set({ settings: { queue_delay: '1m' } });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    for (let n = 0; n < 3; n += 1) {
      await foundry.get('/routines/r/runs', { 'x-foundrite-peek': '' });
      await foundry.journal();
    }
    await foundry.steer('PUT', '/clock', { skip: false });
    for (let n = 0; n < 3; n += 1) await foundry.get('/routines/r/runs');

    expect(await foundry.now()).toBe('2026-06-01T00:00:00.000Z');
  });

  test('leaves 50 repeated reads of what is at rest where they are', async ({ foundry }) => {
    await foundry.routine('r', timer('30m'));
    await foundry.routine('daily', cron('0 7 * * *'));
    await foundry.advance('PT1H');
    const before = await foundry.now();

    for (let n = 0; n < 50; n += 1) {
      for (const path of [
        '/routines',
        '/routines/r',
        '/routines/r/runs',
        '/routines/daily/runs',
        '/agents/digest',
        '/routines/ghost/runs',
      ]) {
        await foundry.get(path);
      }
    }

    expect(await foundry.now()).toBe(before);
    expect(await foundry.journal('kind=skip')).toEqual([]);
  });

  test('brings a poll loop through a delivery of nine minutes, and no cron alongside runs away', async ({
    foundry,
  }) => {
    await foundry.routine('alongside', routine(EVERY_5_MINUTES));
    await foundry.routine('r', routine());
    await foundry.set({ settings: { queue_delay: '9m' } });
    await foundry.dispatch('r');

    const seen = await poll(foundry, 'r');

    expect(seen).toEqual(['queued', 'completed']);
    expect(await foundry.now()).toBe('2026-06-01T00:09:00.000Z');
    expect(await foundry.runs('alongside')).toHaveLength(1);
  });

  test('brings a poll loop through retries and timeouts, one news at a time', async ({
    foundry,
  }) => {
    await foundry.routine('r', routine());
    await foundry.faults({ agent: 'digest', attempts: ['timeout', 503, 'ok'] });
    await foundry.dispatch('r');

    expect(await poll(foundry, 'r')).toEqual(['queued', 'dispatching', 'completed']);
    expect(await foundry.attempts()).toEqual([
      'timeout @30s retry',
      '503 @31s retry',
      '200 @33s complete',
    ]);
  });

  test('brings a poll loop through a wait for a worker', async ({ foundry }) => {
    await foundry.set({ settings: { worker_concurrency: 1 } });
    await foundry.faults({ agent: 'digest', times: 1, fault: { delay: '20s' } });
    for (const name of ['a', 'b']) {
      await foundry.routine(name, routine());
      await foundry.dispatch(name);
    }

    expect((await poll(foundry, 'b')).at(-1)).toBe('completed');
  });

  test('brings a poll loop through a delivery that queues longer than one wait may last', async ({
    foundry,
  }) => {
    await foundry.routine('r', routine());
    await foundry.set({ settings: { queue_delay: '25m' } });
    await foundry.dispatch('r');

    expect((await poll(foundry, 'r')).at(-1)).toBe('completed');
    expect(await foundry.now()).toBe('2026-06-01T00:25:00.000Z');
  });

  test('follows the triggers of the routine that is read', async ({ foundry }) => {
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.routine(
      'alongside',
      routine({ ...EVERY_5_MINUTES, cron_expression: '2-57/5 * * * *' }),
    );

    const counts: number[] = [];
    for (let n = 0; n < 3; n += 1)
      counts.push((await foundry.get('/routines/r/runs')).body.data.length);

    expect(counts[0]).toBe(0);
    expect(counts[1]).toBe(1);
  });

  test('does not let a held call run out of time', async ({ foundry }) => {
    await foundry.routine('r', routine());
    await foundry.faults({ agent: 'digest', fault: { kind: 'gate', name: 'g' } });
    await foundry.dispatch('r');

    const seen = await poll(foundry, 'r', 10);

    expect(seen).toEqual(['queued', ...Array(9).fill('dispatching')]);
    expect(await foundry.now()).toBe('2026-06-01T00:00:00.000Z');
  });

  test('makes a wait for the journal move the clock', async ({ foundry }) => {
    await foundry.set({ settings: { queue_delay: '3m' } });
    await foundry.routine('r', routine());
    await foundry.dispatch('r');

    const lines = await foundry.journal('kind=attempt&routine=r&wait=10s');

    expect(lines).toMatchObject([{ kind: 'attempt', at: '2026-06-01T00:03:00.000Z' }]);
  });
});

describe('at the host’s pace', () => {
  async function paced(
    options: EmulatorOptions = {},
  ): Promise<{ foundry: Foundry; host: ReturnType<typeof lid> }> {
    const host = lid(START);
    const foundry = openFoundry({ host, rate: 1, skip: false, ...options });
    await foundry.agent('digest');
    return { foundry, host };
  }

  test('what is due runs at its instant, and retries wait their time', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host, rate: 1, skip: false });
    await foundry.agent('digest');
    await foundry.routine('r', routine(EVERY_5_MINUTES));
    await foundry.faults({ agent: 'digest', attempts: [503] });
    const settle = () => new Promise((resolve) => setImmediate(resolve));

    for (let second = 0; second < 602; second += 1) {
      host.tick(1_000);
      await settle();
    }

    expect(await foundry.attempts()).toEqual([
      '503 @300s retry',
      '200 @301s complete',
      '503 @600s retry',
      '200 @601s complete',
    ]);
    expect(await foundry.now()).toBe('2026-06-01T00:10:02.000Z');
  });

  test('a dispatch is delivered at once, without anyone asking', async () => {
    const { foundry, host } = await paced();
    await foundry.routine('r', routine());

    await foundry.dispatch('r');
    await host.sleep(0);

    expect(await foundry.runs('r')).toMatchObject([{ phase: 'completed' }]);
  });

  test('a schedule that is an hour late goes on from its next instant, and what it missed is counted', async () => {
    const { foundry, host } = await paced();
    await foundry.routine('r', routine(EVERY_5_MINUTES));

    await host.sleep(62 * 60_000);
    await host.sleep(3 * 60_000);

    expect(await foundry.journal('kind=missed')).toMatchObject([
      { routine: 'r', trigger: 't', why: 'late', count: 12 },
    ]);
    expect((await foundry.runs('r')).map((run) => run.triggered_at)).toEqual([
      '2026-06-01T01:05:00Z',
    ]);
  });

  test.for([
    ['once', ['2026-06-01T01:00:00Z'], 11],
    [
      'all',
      Array.from(
        { length: 12 },
        (_, n) =>
          `2026-06-01T0${Math.floor((n + 1) / 12)}:${String(((n + 1) * 5) % 60).padStart(2, '0')}:00Z`,
      ),
      0,
    ],
  ] as [string, string[], number][])(
    'a late schedule is made up for %s',
    async ([value, instants, missed]) => {
      const { foundry, host } = await paced({ switches: { late_schedule: value } });
      await foundry.routine('r', routine(EVERY_5_MINUTES));

      await host.sleep(62 * 60_000);

      expect((await foundry.runs('r')).map((run) => run.scheduled_fire_at)).toEqual(instants);
      expect((await foundry.journal('kind=missed')).map((line) => line.count)).toEqual(
        missed === 0 ? [] : [missed],
      );
    },
  );

  test.for([
    ['fire', ['2026-06-01T01:00:00Z'], []],
    ['drop', [], [{ why: 'late', count: 1 }]],
  ] as [string, string[], object[]][])('a late timer may %s', async ([value, instants, missed]) => {
    const { foundry, host } = await paced({ switches: { late_timer: value } });
    await foundry.routine('r', timer('30m'));

    await host.sleep(60 * 60_000);
    await host.sleep(24 * 60 * 60_000);

    expect((await foundry.runs('r')).map((run) => run.triggered_at)).toEqual(instants);
    expect(await foundry.journal('kind=missed')).toMatchObject(missed);
  });

  test('a late retry runs now', async () => {
    const { foundry, host } = await paced();
    await foundry.routine('r', routine());
    await foundry.faults({ agent: 'digest', attempts: [503] });
    await foundry.dispatch('r');
    await host.sleep(0);

    await host.sleep(60 * 60_000);

    expect((await foundry.attempts()).map((attempt) => attempt.split(' ')[0])).toEqual([
      '503',
      '200',
    ]);
    expect(await foundry.runs('r')).toMatchObject([{ phase: 'completed' }]);
  });

  test('what is late by less than a minute fires as if it were not', async () => {
    const { foundry, host } = await paced();
    await foundry.routine('r', routine(EVERY_5_MINUTES));

    await host.sleep(5 * 60_000 + 59_000);

    expect(await foundry.runs('r')).toMatchObject([{ scheduled_fire_at: '2026-06-01T00:05:00Z' }]);
    expect(await foundry.journal('kind=missed')).toEqual([]);
  });

  test('a restart after an hour skips what a schedule missed', async () => {
    const dataDir = scratchFolder();
    const before = openFoundry({ dataDir, rate: 1, skip: false, host: lid(START) });
    await before.agent('digest');
    await before.routine('r', routine(EVERY_5_MINUTES));
    await before.routine('once', timer('10m'));
    await before.emulator.close();

    const host = lid(START + 62 * 60_000);
    const after = openFoundry({ dataDir, rate: 1, skip: false, host });
    await after.runs('r');
    await host.sleep(0);

    expect(await after.journal('kind=missed')).toMatchObject([{ routine: 'r', count: 12 }]);
    expect(await after.runs('r')).toEqual([]);
    expect(await after.runs('once')).toMatchObject([
      { triggered_at: '2026-06-01T01:02:00Z', phase: 'completed' },
    ]);
  });

  test('a world that stands still resumes where it stood', async () => {
    const dataDir = scratchFolder();
    const before = openFoundry({ dataDir });
    await before.agent('digest');
    await before.routine('r', routine(EVERY_5_MINUTES));
    await before.advance('PT7M');
    await before.emulator.close();

    const after = openFoundry({ dataDir, host: lid(START + 10 * 60 * 60_000) });

    expect(await after.now()).toBe('2026-06-01T00:07:00.000Z');
    expect((await after.advance('PT3M')).fired).toMatchObject([
      { at: '2026-06-01T00:10:00.000Z', late: false },
    ]);
    expect(await after.runs('r')).toHaveLength(2);
  });

  test('with skip, a timer that is past for the world and not for the host fires at once', async () => {
    const { foundry, host } = await paced({ skip: true });
    await foundry.advance('PT1H');

    const made = await foundry.put('/routines/r', timer('2026-06-01T00:30:00Z'));
    await host.sleep(0);
    const past = await foundry.put('/routines/past', timer('2026-05-31T00:00:00Z'));

    expect(made.status).toBe(200);
    expect(await foundry.runs('r')).toMatchObject([{ phase: 'completed' }]);
    expect(past.status).toBe(400);
  });

  test('set to stand still, a world stands, and goes on from there', async () => {
    const { foundry, host } = await paced();
    await host.sleep(60_000);
    await foundry.steer('PUT', '/clock', { rate: 0 });
    await host.sleep(3_600_000);
    const stood = await foundry.now();

    await foundry.steer('PUT', '/clock', { rate: 1 });
    await host.sleep(1_000);

    expect([stood, await foundry.now()]).toEqual([
      '2026-06-01T00:01:00.000Z',
      '2026-06-01T00:01:01.000Z',
    ]);
  });
});

describe('a call that is blocked at rate 0 without skip', () => {
  test('says after five seconds which instant it needs and how to move there', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host, skip: false });
    await foundry.faults({ operation: 'listRoutines', fault: { delay: '90s' } });
    const get = foundry.inFlight('GET', '/routines');
    while ((await foundry.clock()).waiting.length === 0);

    host.tick(5_000);
    await foundry.advance('PT90S');
    await get;

    expect(foundry.notices).toEqual([
      "The answer to listRoutines (fault delay) waits for 2026-06-01T00:01:30.000Z, and the clock of project 'tests' stands at 2026-06-01T00:00:00.000Z. Move it: foundrite clock advance --project tests --to 2026-06-01T00:01:30.000Z",
    ]);
  });
});

test('who is blocked goes on when skip is turned on', async () => {
  const foundry = openFoundry({ rate: 0, skip: false });
  await foundry.faults({ operation: 'listRoutines', fault: { delay: '90s' } });
  const answers = [foundry.inFlight('GET', '/routines'), foundry.inFlight('GET', '/routines')];
  await expect.poll(async () => (await foundry.clock()).waiting.length).toBe(2);

  await foundry.steer('PUT', '/clock', { skip: true });

  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
  expect(since(await foundry.now())).toBe('90s');
});

test('a cron stays usable when the rule for its days is changed', async ({ foundry }) => {
  await foundry.routine('r', cron('0 0 31 2 1'));

  await foundry.set({ switches: { cron_days: 'and' } });
  const enabled = await foundry.post('/routines/r:enable');
  const advanced = await foundry.advance('P14D');

  expect(enabled.status).toBe(200);
  expect([advanced.reached, (await foundry.get('/_emulator/health')).body.status]).toEqual([
    true,
    'ok',
  ]);
});

describe('at the end of time', () => {
  /** The last instant of JavaScript. */
  const END = 8_640_000_000_000_000;

  test('a poll for what never comes ends', async () => {
    const foundry = openFoundry({ now: END - 700_000, agents: { digest: {} } });
    await foundry.routine('r', cron('0 7 * * *'));

    const polled = await foundry.get(
      '/_emulator/projects/tests/journal?run=none&routine=r&wait=0s',
    );

    expect([polled.status, polled.body.entries]).toEqual([200, []]);
  });

  test('the clock stands still, and what waits for later waits', async () => {
    const host = manualClock(START);
    const foundry = openFoundry({ host, now: END - 500, rate: 1, skip: false });
    await foundry.clock();
    host.tick(60_000);

    expect((await foundry.clock()).now).toBe('+275760-09-13T00:00:00.000Z');
    expect((await foundry.get('/routines')).status).toBe(200);
  });

  test('a delay that ends after it ends with it', async () => {
    const foundry = openFoundry();
    await foundry.faults({ operation: 'listRoutines', fault: { delay: '99999999d' } });
    const get = foundry.inFlight('GET', '/routines');

    expect((await get).status).toBe(200);
    expect((await foundry.clock()).now).toBe('+275760-09-13T00:00:00.000Z');
  });
});
