/** Polysync's job, as clients/polysync.ts makes it of seed 004 alone, in the world's own time. */
import { describe } from 'vitest';
import { type Connection, type Job, Polysync, Refused, split } from './clients/polysync.ts';
import { expect, type Foundry, type Json, since, test } from './fixture.ts';

const BEARER = { authorization: 'Bearer test' };
const CALL = { name: 'get_weather', arguments: { city: 'Oslo' } };

/** Between two polls the world's clock moves on as far as the job waits. What it asks is noted, with its body. */
function polysync(foundry: Foundry, more: Partial<Connection> = {}, asked: string[] = []) {
  const { endpoint } = foundry;
  const noted: typeof fetch = (url, init) => {
    asked.push(`${init?.method} ${String(url).slice(endpoint.length)} ${init?.body ?? ''}`.trim());
    return foundry.fetch(url, init);
  };
  const wait = (ms: number) => foundry.advance(`${ms}ms`);
  return new Polysync({ endpoint, fetch: noted, wait, headers: BEARER, ...more });
}

/** The id of an assistant that says this. */
async function assistant(foundry: Foundry, reply?: object, name = 'helper'): Promise<string> {
  const made = await foundry.post('/assistants', { model: 'gpt-4.1', name });
  expect(made.status, made.text).toBe(200);
  if (reply !== undefined) await foundry.reply(made.body.id, reply);
  return made.body.id;
}

const script = (...turns: object[]) => ({ kind: 'script', turns });

/** The statuses that its runs went through, in order. */
async function passed(foundry: Foundry): Promise<string[]> {
  const lines = await foundry.journal({ kind: 'transition' });
  return lines.filter(({ of }: Json) => of === 'thread_run').map(({ to }: Json) => to);
}

describe('a job', () => {
  test('asks for a thread, a message and a run, polls, and reads the latest message', async ({
    foundry,
  }) => {
    const id = await assistant(foundry, script({ text: 'All is well.' }));

    const asked: string[] = [];
    const jobs = polysync(foundry, {}, asked);

    const { runId, status, outputs } = await jobs.run(id, { user_message: 'How?' });

    const { thread, run } = split(runId);
    expect({ status, outputs }).toEqual({
      status: 'Success',
      outputs: { thread_id: thread, response: 'All is well.' },
    });
    expect(runId).toMatch(/^agent#thread_\w+#run_\w+$/);
    expect(asked).toEqual([
      'POST /threads',
      `POST /threads/${thread}/messages {"role":"user","content":"How?"}`,
      `POST /threads/${thread}/runs {"assistant_id":"${id}"}`,
      `GET /threads/${thread}/runs/${run}`,
      `GET /threads/${thread}/runs/${run}`,
      `GET /threads/${thread}/messages?order=desc&limit=1`,
    ]);
    expect(since(await foundry.now())).toBe('5s');
  });

  test('goes on in the thread of the job before it', async ({ foundry }) => {
    const first = await assistant(foundry, script({ text: 'A draft.' }), 'writer');
    const second = await assistant(foundry, script({ text: 'Better so.' }), 'editor');
    const asked: string[] = [];
    const jobs = polysync(foundry, {}, asked);

    const written = await jobs.run(first, { user_message: 'Write.' });
    const thread_id = written.outputs?.thread_id ?? '';
    const edited = await jobs.run(second, { user_message: 'Edit.', thread_id });

    expect(edited.outputs).toEqual({ thread_id, response: 'Better so.' });
    const { body } = await foundry.get(`/threads/${thread_id}/messages?order=asc`);
    expect(body.data.map(({ content }: Json) => content[0].text.value)).toEqual([
      'Write.',
      'A draft.',
      'Edit.',
      'Better so.',
    ]);
    expect(asked.filter((line) => line === 'POST /threads')).toHaveLength(1);
  });

  test('is refused a thread whose run is not at its end', async ({ foundry }) => {
    const id = await assistant(foundry, script({ stuck: true }));
    const jobs = polysync(foundry);
    const { thread } = split(await jobs.start(id, { user_message: 'Hi.' }));

    const again = jobs.start(id, { user_message: 'And again.', thread_id: thread });

    await expect(again).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining(`Can't add messages to ${thread} while a run`),
    });
  });

  test.for([
    {
      ends: 'failed',
      turn: { failed: { code: 'server_error' } },
      status: 'Failed',
      after: '5s',
    },
    { ends: 'expired', turn: { stuck: true }, status: 'Failed', after: '600s' },
  ])('fails when its run is $ends', async ({ ends, turn, status, after }, { foundry }) => {
    const id = await assistant(foundry, script(turn));

    const finished = await polysync(foundry).run(id, { user_message: 'Hi.' });

    expect(finished).toEqual({ runId: finished.runId, status });
    expect((await passed(foundry)).at(-1)).toBe(ends);
    expect(since(await foundry.now())).toBe(after);
  });

  test('is cancelled by way of a run that is cancelling', async ({ foundry }) => {
    const id = await assistant(foundry, script({ stuck: true }));
    const jobs = polysync(foundry);
    const runId = await jobs.start(id, { user_message: 'Hi.' });
    await foundry.advance('1s');

    await jobs.cancel(runId);

    expect(await jobs.status(runId)).toBe('Running');
    expect(await jobs.monitor(runId)).toEqual({ runId, status: 'Cancelled' });
    expect(await passed(foundry)).toEqual(['queued', 'in_progress', 'cancelling', 'cancelled']);
    await expect(jobs.cancel(runId)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining("Cannot cancel run with status 'cancelled'."),
    });
  });

  test('sits in requires_action until its run expires', async ({ foundry }) => {
    const id = await assistant(foundry, script({ tool_calls: [CALL] }));
    const jobs = polysync(foundry, { pollMs: 60_000 });
    const runId = await jobs.start(id, { user_message: 'Hi.' });
    await foundry.advance('9m59s');

    expect(await jobs.status(runId)).toBe('Running');
    expect((await passed(foundry)).at(-1)).toBe('requires_action');
    expect(await jobs.monitor(runId)).toEqual({ runId, status: 'Failed' });
    expect((await passed(foundry)).at(-1)).toBe('expired');
  });

  test('waits for nothing where time moves with those who wait', async ({ foundry }) => {
    await foundry.call('set', { body: { skip: true } });
    const stuck = await assistant(foundry, script({ tool_calls: [CALL] }));
    const polls: number[] = [];
    const jobs = polysync(foundry, { wait: async (ms) => void polls.push(ms) });

    const finished = await jobs.run(stuck, { user_message: 'Hi.' });

    expect(finished.status).toBe('Failed');
    expect(since(await foundry.now())).toBe('600s');
    // The run bears ten polls that tell nothing new.
    expect(polls.length).toBeLessThan(15);
  });
});

test('discovery finds more agents than a page has', async ({ foundry }) => {
  const made: Job[] = [];
  for (let number = 1; number <= 45; number += 1) {
    const name = `agent ${number}`;
    made.push({ externalId: await assistant(foundry, undefined, name), name, model: 'gpt-4.1' });
  }

  const asked: string[] = [];
  const found = await polysync(foundry, {}, asked).discover();

  expect(found).toEqual(made.reverse());
  expect(asked).toEqual([
    'GET /assistants?api-version=v1',
    `GET /assistants?api-version=v1&after=${found[19]?.externalId}`,
    `GET /assistants?api-version=v1&after=${found[39]?.externalId}`,
  ]);
});

test('an API key gets 401 from every call of a job', async ({ foundry }) => {
  const id = await assistant(foundry, script({ stuck: true }));
  const runId = await polysync(foundry).start(id, { user_message: 'Hi.' });
  const { thread } = split(runId);
  const keyed = polysync(foundry, { headers: { 'api-key': 'a-key-of-the-resource' } });

  for (const call of [
    () => keyed.discover(),
    () => keyed.start(id, { user_message: 'Hi.' }),
    () => keyed.start(id, { user_message: 'Hi.', thread_id: thread }),
    () => keyed.status(runId),
    () => keyed.outputs(runId),
    () => keyed.cancel(runId),
  ]) {
    const refused = await call().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Refused);
    expect(refused).toMatchObject({ status: 401, message: expect.stringMatching(/Unauthorized/) });
  }
  expect(await polysync(foundry).status(runId)).toBe('Running');
});

test.for(['', 'agent#thread_1', 'run#thread_1#run_1', 'agent##run_1', 'agent#thread_1#run_1#2'])(
  "'%s' is no RunId of a job",
  (runId) => {
    expect(() => split(runId)).toThrow('is no agent#{threadId}#{runId}');
  },
);
