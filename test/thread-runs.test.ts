import { describe } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import { THREAD_RUN_TRANSITIONS, type ThreadRunStatus } from '../emulator/lifecycle.ts';
import { replayJournal } from '../emulator/replay.ts';
import { refOfThreadRun } from '../emulator/work/thread-run-events.ts';
import {
  expect,
  type Foundry,
  type Json,
  openFoundry,
  START,
  scratchFolder,
  test,
} from './fixture.ts';

const LOOK_UP = { type: 'function', function: { name: 'look_up', parameters: {} } };
const ASKING = {
  kind: 'script',
  turns: [{ tool_calls: [{ name: 'look_up' }] }],
};
/** Two seconds and more of speaking, a word at a time. */
const SLOW = { kind: 'script', turns: [{ text: 'One two three four five.', every: '1s' }] };

interface Begun {
  assistant: string;
  /** The path of the run. */
  run: string;
  id: string;
  thread: string;
}

async function made(foundry: Foundry, path: string, body: object): Promise<Json> {
  const answer = await foundry.post(path, body);
  expect(answer.status, answer.text).toBe(200);
  return answer.body;
}

/** A run of an assistant with this reply, on a thread of its own. */
async function begin(foundry: Foundry, reply: object = { kind: 'echo' }): Promise<Begun> {
  const { id: assistant } = await made(foundry, '/assistants', { model: 'm', tools: [LOOK_UP] });
  await foundry.reply(assistant, reply);
  const messages = [{ role: 'user', content: 'What time is it?' }];
  const run = await made(foundry, '/threads/runs', {
    assistant_id: assistant,
    thread: { messages },
  });
  const { id, thread_id: thread } = run;
  return { assistant, id, thread, run: `/threads/${thread}/runs/${id}` };
}

async function advance(foundry: Foundry, by: string): Promise<void> {
  await foundry.steer('POST', '/clock:advance', { by });
}

async function read(foundry: Foundry, path: string): Promise<Json> {
  const answer = await foundry.get(path, { 'x-foundrite-peek': '1' });
  expect(answer.status, answer.text).toBe(200);
  return answer.body;
}

async function submit(foundry: Foundry, { run }: Begun, output: string): Promise<Json> {
  const { required_action } = await read(foundry, run);
  const [call] = required_action.submit_tool_outputs.tool_calls;
  const tool_outputs = [{ tool_call_id: call.id, output }];
  return made(foundry, `${run}/submit_tool_outputs`, { tool_outputs });
}

/** Everything that can be read of a run. */
async function told(foundry: Foundry, { run, thread }: Begun): Promise<Json> {
  return {
    run: await read(foundry, run),
    steps: await read(foundry, `${run}/steps`),
    messages: await read(foundry, `/threads/${thread}/messages`),
  };
}

describe('a thread run', () => {
  test('is the same after a thousand reads while the clock stands still', async () => {
    const foundry = openFoundry({ rate: 0, skip: false });
    const begun = await begin(foundry, SLOW);
    await advance(foundry, '2s');
    const before = await told(foundry, begun);
    const { journalSeq } = foundry.project.world;

    const url = `http://localhost/api/projects/tests${begun.run}`;
    for (let n = 0; n < 1_000; n += 1)
      await foundry.emulator.fetch(new Request(url, { headers: { authorization: 'Bearer t' } }));

    expect(await told(foundry, begun)).toEqual(before);
    expect(foundry.project.world.now).toBe(START + 2_000);
    expect(foundry.project.world.journalSeq).toBe(journalSeq);
  });

  test.for([
    ['in the queue', 'echo', '0s'],
    ['in the middle of a word', 'slow', '2700ms'],
    ['while it waits for outputs', 'asking', '1m'],
  ] as const)('goes on where it was after a restart %s', async ([, kind, by]) => {
    const dataDir = scratchFolder();
    const reply = { echo: { kind: 'echo' }, slow: SLOW, asking: ASKING }[kind];
    const first = openFoundry({ rate: 0, skip: false, dataDir });
    const whole = openFoundry({ rate: 0, skip: false });
    const [begun, same] = [await begin(first, reply), await begin(whole, reply)];
    for (const foundry of [first, whole]) await advance(foundry, by);
    const before = await told(first, begun);
    await first.emulator.close();

    const second = openFoundry({ rate: 0, skip: false, dataDir });

    expect(await told(second, begun)).toEqual(before);
    for (const foundry of [second, whole]) await advance(foundry, '20m');
    expect(await told(second, begun)).toEqual(await told(whole, same));
  });

  test('has the same journal when that is replayed', async () => {
    const foundry = openFoundry({ skip: true });
    const asking = await begin(foundry, ASKING);
    const slow = await begin(foundry, SLOW);
    const failing = await begin(foundry);
    const { assistant: agent } = failing;
    await foundry.faults({ at: 'transition', of: 'thread_run', agent, to: 'failed' });
    for (let n = 0; n < 4; n += 1) await foundry.get(failing.run);
    await advance(foundry, '2s');
    await submit(foundry, asking, 'Early.');
    await foundry.post(`${slow.run}/cancel`);
    for (let n = 0; n < 4; n += 1) await foundry.get(asking.run);
    const stepped = await begin(foundry, SLOW);
    for (let n = 0; n < 3; n += 1) await foundry.steer('POST', `/runs/${stepped.id}:step`);
    await foundry.delete(`/threads/${slow.thread}`);
    await begin(foundry, ASKING);
    await advance(foundry, '11m');
    const lines = canonicalLines(foundry.project);

    expect(await replayJournal(lines)).toEqual(lines);
    expect(lines.filter((line) => line.includes('"of":"thread_run"')).length).toBeGreaterThan(15);
  });

  test('takes back what it said with a turn that is rolled back', async () => {
    const foundry = openFoundry({ rate: 0, skip: false });
    const { id } = await begin(foundry, SLOW);
    const { world } = foundry.project;
    const topic = refOfThreadRun(id);
    const heard: unknown[] = [];
    const off = world.hear(topic, (event) => heard.push(event));

    world.turn(() => {
      world.say(topic, 'kept');
      world.attempt(() => {
        world.say(topic, 'in a savepoint');
        throw new Error('undone');
      });
    });
    expect(() =>
      world.turn(() => {
        world.say(topic, 'in a turn');
        throw new Error('undone');
      }),
    ).toThrow('undone');
    off();
    world.turn(() => world.say(topic, 'to nobody'));

    expect(heard).toEqual(['kept']);
    expect(world.hears(topic)).toBe(false);
  });

  test('takes its time though the message that it says is deleted', async () => {
    const foundry = openFoundry({ rate: 0, skip: false });
    const begun = await begin(foundry, SLOW);
    await advance(foundry, '2s');
    const [message] = (await read(foundry, `/threads/${begun.thread}/messages`)).data;
    expect((await foundry.delete(`/threads/${begun.thread}/messages/${message.id}`)).status).toBe(
      200,
    );

    await advance(foundry, '3499ms');
    const before = await read(foundry, begun.run);
    await advance(foundry, '1ms');

    expect([before.status, (await read(foundry, begun.run)).status]).toEqual([
      'in_progress',
      'completed',
    ]);
  });

  test('tells each word at its instant to those who hear it, and nothing else is kept of that', async () => {
    const foundry = openFoundry({ rate: 0, skip: false });
    const { id } = await begin(foundry, SLOW);
    const { world } = foundry.project;
    const heard: string[] = [];
    world.hear(refOfThreadRun(id), (event) => {
      heard.push(`${(world.now - START) / 1_000} ${(event as { event: string }).event}`);
    });

    await advance(foundry, '2500ms');

    expect(heard).toEqual([
      '0.5 thread.run.in_progress',
      '0.5 thread.run.step.created',
      '0.5 thread.run.step.in_progress',
      '0.5 thread.message.created',
      '0.5 thread.message.in_progress',
      '1.5 thread.message.delta',
      '2.5 thread.message.delta',
    ]);
  });
});

/** A way through the table from the beginning to each state. */
const WAYS: Record<ThreadRunStatus, readonly ThreadRunStatus[]> = {
  queued: [],
  in_progress: ['in_progress'],
  requires_action: ['in_progress', 'requires_action'],
  cancelling: ['cancelling'],
  cancelled: ['cancelling', 'cancelled'],
  failed: ['failed'],
  completed: ['in_progress', 'completed'],
  incomplete: ['in_progress', 'incomplete'],
  expired: ['expired'],
};
const STATUSES = Object.keys(WAYS) as ThreadRunStatus[];

describe('a thread run moved by hand', () => {
  test.for(STATUSES)('that is %s goes where the table lets it, and nowhere else', async (from) => {
    const foundry = openFoundry({ rate: 0, skip: false });
    for (const to of STATUSES) {
      const { id, run } = await begin(foundry, SLOW);
      const path = foundry.control(`/runs/${id}:step`);
      for (const status of WAYS[from]) await made(foundry, path, { to: status });
      const before = await read(foundry, run);

      const { status, body } = await foundry.post(path, { to });

      const allowed = THREAD_RUN_TRANSITIONS[from].includes(to);
      expect([to, status]).toEqual([to, allowed ? 200 : 409]);
      if (allowed) expect(body.status).toBe(to);
      expect(await read(foundry, run)).toEqual(allowed ? body : before);
    }
  });
});
