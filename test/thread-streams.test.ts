import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, onTestFinished, test } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import { manualClock } from '../emulator/clock.ts';
import { replayJournal } from '../emulator/replay.ts';
import { serve } from '../emulator/server.ts';
import { expect, type Foundry, START } from './fixture.ts';
import {
  BEGUN,
  deltas,
  listener,
  opened,
  type Reading,
  SAID,
  SAYING,
  settled,
  stream,
} from './thread-stream-reader.ts';

test('a call to /threads/runs is not one to a thread of that name', async () => {
  const { foundry, helper } = await opened([{ text: 'ok' }]);

  const made = await foundry.post('/threads/runs', { assistant_id: helper });

  expect(made.body).toMatchObject({ object: 'thread.run', status: 'queued' });
  expect((await foundry.get('/threads/runs')).body.error.message).toContain("'thread_id': 'runs'");
});

test('of two runs that are made at once on one thread exactly one is', async () => {
  const { foundry, helper, thread } = await opened([{ text: 'ok' }]);
  const make = (stream: boolean) =>
    foundry.post(`/threads/${thread}/runs`, { assistant_id: helper, stream });

  for (const [one, other] of [
    [false, false],
    [true, false],
    [true, true],
  ] as const) {
    const answers = await Promise.all([make(one), make(other)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400]);
    await foundry.advance('2s');
  }
  expect((await foundry.get(`/threads/${thread}/runs`)).body.data).toHaveLength(3);
});

test('a stream moves time with skip alone', async () => {
  const { foundry, helper } = await opened([{ text: 'one two', every: '1s' }], { skip: false });
  const run = { assistant_id: helper };
  const told = await stream(foundry, '/threads/runs', run);
  const read = told.until();
  await settled();

  expect(told.events.at(-1)?.event).toBe('thread.run.queued');
  expect(await foundry.clock()).toMatchObject({
    now: new Date(START).toISOString(),
    waiting: [{ what: expect.stringContaining('stream of thread run run_') }],
  });

  await foundry.advance('2.5s');
  await read;
  await foundry.call('set', { body: { skip: true } });
  await (await stream(foundry, '/threads/runs', run)).until();

  expect(told.events.at(-1)?.event).toBe('done');
  expect(await foundry.now()).toBe('2026-06-01T00:00:05.000Z');
});

test('streams that are read side by side with skip all come to their end', async () => {
  const { foundry, helper } = await opened([
    { text: 'one two three', every: '700ms' },
    { text: 'one', every: '1s' },
    { stuck: true },
    { text: 'one two three four', every: '900ms' },
  ]);

  const answers = await Promise.all(
    Array.from({ length: 4 }, () =>
      foundry.post('/threads/runs', { assistant_id: helper, stream: true }),
    ),
  );

  const ends = answers.map(({ text }) => text.split('\n').filter(Boolean).slice(-4)[0]);
  expect(ends.sort()).toEqual([
    ...Array.from({ length: 3 }, () => 'event: thread.run.completed'),
    'event: thread.run.expired',
  ]);
});

test('a stream breaks off with its thread and with its world', async () => {
  const { foundry, helper, thread } = await opened([{ stuck: true }], { skip: false });
  const ends: [string, () => Promise<unknown>][] = [
    ['its thread', () => foundry.delete(`/threads/${thread}`)],
    ['its world', () => foundry.call('reset')],
    ['the emulator', () => foundry.emulator.close()],
  ];
  for (const [what, end] of ends) {
    if (what === 'the emulator') await foundry.assistant('helper', {});
    const path = what === 'its thread' ? `/threads/${thread}/runs` : '/threads/runs';
    const assistant_id = foundry.assistants.helper ?? helper;
    const told = await stream(foundry, path, { assistant_id });
    const broken = expect(told.until(), what).rejects.toThrow('terminated');
    await settled();

    await end();

    await broken;
    expect(foundry.project.engine.waits.streams).toBe(0);
  }
});

test('a reader who leaves does not stop the run, and 300 of them leave nothing behind', async () => {
  const { foundry, helper } = await opened([{ text: 'one two', every: '1m' }], { skip: false });
  const { world, engine } = foundry.project;
  const left = countListeners(world);
  const threads: string[] = [];
  for (let dropped = 0; dropped < 300; dropped += 1) {
    const told = await stream(foundry, '/threads/runs', { assistant_id: helper });
    const waiting = dropped % 3;
    if (waiting > 0) await told.until('thread.run.queued');
    // Some go while they wait for the next event.
    const read = waiting === 2 ? told.until() : undefined;
    if (read) await settled();
    await told.leave();
    await read;
    threads.push(told.events[0]?.data.id);
  }
  await settled();

  expect(left()).toBe(0);
  expect(engine.waits.streams).toBe(0);
  expect(engine.waits.list()).toEqual([]);
  expect(world.store.sql("SELECT * FROM due WHERE kind = 'wake'").all()).toEqual([]);
  expect((await foundry.get('/threads')).body.data).toHaveLength(20);

  await foundry.advance('3m');

  const runs = world.store.sql('SELECT status, count(*) AS runs FROM thread_run GROUP BY 1').all();
  expect(runs).toEqual([{ status: 'completed', runs: 300 }]);
});

function countListeners(world: Foundry['project']['world']): () => number {
  let listeners = 0;
  for (const kind of ['onTurn', 'hear'] as const) {
    const listen = world[kind].bind(world) as (...given: unknown[]) => () => void;
    const counted = (...given: unknown[]) => {
      const off = listen(...given);
      let on = true;
      listeners += 1;
      return () => {
        if (on) listeners -= 1;
        on = false;
        off();
      };
    };
    Object.assign(world, { [kind]: counted });
  }
  return () => listeners;
}

describe('faults of our own answers', () => {
  const RUN = { operation: 'createThreadRun' };
  async function struck(fault: unknown): Promise<Reading> {
    const { foundry, helper, thread } = await opened([{ text: 'ok' }]);
    await foundry.faults({ ...RUN, fault });
    return stream(foundry, `/threads/${thread}/runs`, { assistant_id: helper });
  }

  test('lose a stream after its first event', async () => {
    const told = await struck('lose_response');

    await expect(told.until()).rejects.toThrow('fetch failed');
    expect(told.events.map(({ event }) => event)).toEqual(['thread.run.created']);
  });

  test('rewrite its events', async () => {
    const told = await struck({ kind: 'rewrite', set: { '/status': 'lost' } });
    await told.until();

    expect(told.events.filter(({ data }) => data.status === 'lost').length).toBeGreaterThan(3);
    expect(told.events.at(-1)).toEqual({ event: 'done', data: '[DONE]' });
  });

  test('slow it down', async () => {
    const told = await struck({ kind: 'slow_body', bytes: 1_000, every: '1s' });
    await told.until();

    expect(told.events.at(-1)?.event).toBe('done');
  });

  test('garble it', async () => {
    const told = await struck('garble');
    await told.until();

    expect(told.events.map(({ event }) => event)).toEqual(['thread.run.created']);
  });
});

test('a journal with streams replays to itself', async () => {
  const { foundry, helper, thread } = await opened([
    { tool_calls: [{ name: 'f' }] },
    { text: 'one two', every: '1s' },
  ]);
  const runs = `/threads/${thread}/runs`;
  await foundry.post(runs, { assistant_id: helper, stream: true });
  const [run] = (await foundry.get(runs)).body.data;
  const [call] = run.required_action.submit_tool_outputs.tool_calls;
  await foundry.post(`${runs}/${run.id}/submit_tool_outputs`, {
    tool_outputs: [{ tool_call_id: call.id, output: 'x' }],
    stream: true,
  });
  const told = await stream(foundry, runs, { assistant_id: helper });
  await told.until('thread.message.delta');
  await told.leave();
  await foundry.advance('10s');

  const lines = canonicalLines(foundry.project);
  expect(await replayJournal(lines)).toEqual(lines);
});

test("at the host's pace a stream tells each event when its instant comes", async () => {
  const host = manualClock(START);
  const { foundry, helper, thread } = await opened([{ text: 'one two', every: '1s' }], {
    rate: 1,
    skip: false,
    host,
  });
  const port = await serve({ fetch: foundry.emulator.fetch, host: '127.0.0.1', port: 0 });
  onTestFinished(() => port.close());
  const answer = await fetch(`${port.url}/api/projects/tests/threads/${thread}/runs`, {
    method: 'POST',
    headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
    body: JSON.stringify({ assistant_id: helper, stream: true }),
  });
  const events: string[] = [];
  const hear = listener(({ event }) => events.push(event.replace('thread.', '')));
  const read = (async () => {
    for await (const bytes of answer.body ?? []) hear(bytes);
  })();
  const after = async (ms: number, count: number) => {
    host.tick(ms);
    await expect
      .poll(() => {
        // What is set off by a timer comes a millisecond later.
        host.tick(1);
        return events.length;
      })
      .toBe(count);
  };

  await after(0, 2);
  await after(500, 7);
  await after(1_000, 8);
  await after(1_000, 13);
  await read;

  expect(events).toEqual([...BEGUN, ...SAYING, ...deltas('message', 2), ...SAID]);
});

test("at the host's pace a stream keeps its process alive, with nothing else in it", async () => {
  const program = `
    import { createEmulator } from ${JSON.stringify(new URL('../emulator/emulator.ts', import.meta.url).href)};
    const emulator = createEmulator({
      rate: 1,
      skip: false,
      assistants: { helper: { id: 'asst_helper', model: 'm' } },
      settings: { run_queue_time: '150ms', run_time: '50ms' },
    });
    const url = 'http://localhost/api/projects/tests/threads/runs';
    const body = JSON.stringify({ assistant_id: 'asst_helper', stream: true });
    const headers = { authorization: 'Bearer test', 'content-type': 'application/json' };
    const answer = await emulator.fetch(new Request(url, { method: 'POST', headers, body }));
    console.log(await answer.text());
    await emulator.close();`;

  const { stdout } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '--eval',
    program,
  ]);

  expect(stdout).toContain('event: done');
});
