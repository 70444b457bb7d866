/** Assistants, threads and runs by `@azure/ai-agents` and by the beta of `openai`, unmodified, over TLS and with `DefaultAzureCredential`. */
import { describe, expect, test, vi } from 'vitest';
import {
  assistant,
  calling,
  heard,
  SAID,
  settled,
  TOOL,
  thread,
  WEATHER,
} from './threads-fixture.ts';
import { type Note, WAYS } from './threads-ways.ts';
import { type Answer, makeWorld, NOW, type World } from './world.ts';

type Json = Answer['body'];

/** Long enough to be cut short: what it says comes bit by bit. */
const LONG = { text: 'word '.repeat(2_000), every: '100ms' };
const FAILURE = { code: 'server_error', message: 'The model is out.' };

/** Between two polls: what one client does by itself, the other is told. */
const POLL_MS = 1_000;

/** How a run comes to each of its ends. */
const ENDS: { end: string; turn: Json; ofPoll?: Json }[] = [
  { end: 'completed', turn: { text: SAID } },
  { end: 'failed', turn: { failed: FAILURE, text: 'Hello' } },
  { end: 'cancelled', turn: LONG, ofPoll: { stuck: true } },
  { end: 'expired', turn: { stuck: true } },
  // Of its own accord no run ends like this.
  { end: 'incomplete', turn: { text: 'Hello', incomplete: 'max_completion_tokens' } },
];

const onWire = async (world: World, path: string) => (await world.api('GET', path)).body;

describe.each(WAYS)('$name', (way) => {
  const { name, connect, watched, throwsEnds } = way;
  const named = `threads-${name.replaceAll(/\W+/g, '-')}`;

  async function make(about: string) {
    const world = await makeWorld(`${named}-${about}`);
    return { world, client: connect(world) };
  }

  test('creates, reads, changes and deletes assistants, threads and messages', async () => {
    const { world, client } = await make('crud');
    const created_at = Date.parse(NOW) / 1_000;

    const made = await client.createAssistant({
      model: 'gpt-4.1',
      name: 'writer',
      instructions: 'Be brief.',
      tools: [TOOL, { type: 'code_interpreter' }],
      tool_resources: { code_interpreter: { file_ids: ['file-1'] } },
      temperature: 0.5,
      metadata: { team: 'press' },
    });
    expect(made).toMatchObject({ object: 'assistant', name: 'writer', created_at, top_p: 1 });
    expect(await onWire(world, `/assistants/${made.id}`)).toMatchObject(made);
    expect(await client.getAssistant(made.id)).toEqual(made);
    const described = await client.updateAssistant(made.id, { description: 'Writes.' });
    expect(described).toEqual({ ...made, description: 'Writes.' });

    const own = await client.createThread({
      messages: [{ role: 'user', content: 'Hi.' }],
      metadata: { topic: 'greetings' },
    });
    expect(await onWire(world, `/threads/${own.id}`)).toMatchObject(own);
    expect(await client.getThread(own.id)).toEqual(own);
    const metadata = { topic: 'farewells' };
    expect(await client.updateThread(own.id, { metadata })).toEqual({ ...own, metadata });

    const said = await client.say(own.id, {
      role: 'user',
      content: [{ type: 'text', text: 'And this.' }],
      attachments: [{ file_id: 'file-1', tools: [{ type: 'file_search' }] }],
    });
    expect(await onWire(world, `/threads/${own.id}/messages/${said.id}`)).toMatchObject(said);
    expect(said.content).toMatchObject([{ text: { value: 'And this.', annotations: [] } }]);
    expect(await client.getMessage(own.id, said.id)).toEqual(said);
    expect(await client.updateMessage(own.id, said.id, { metadata })).toEqual({
      ...said,
      metadata,
    });
    expect(await client.messages(own.id)).toMatchObject([{ id: said.id }, { role: 'user' }]);

    const gone = { id: own.id, object: 'thread.deleted', deleted: true };
    expect(await client.deleteThread(own.id)).toEqual(gone);
    await expect(client.getThread(own.id)).rejects.toThrow(`No thread found with id '${own.id}'.`);
    const left = { id: made.id, object: 'assistant.deleted', deleted: true };
    expect(await client.deleteAssistant(made.id)).toEqual(left);
    await expect(client.getAssistant(made.id)).rejects.toThrow('No assistant found');
  });

  test('creates runs of its own words, and reads, changes and lists them and their steps', async () => {
    const { world, client } = await make('runs');
    const assistant_id = await assistant(world);
    const body = {
      assistant_id,
      instructions: 'Be kind.',
      additional_instructions: 'And brief.',
      additional_messages: [{ role: 'user', content: 'One more.' }],
      temperature: 0.5,
      max_completion_tokens: 300,
      truncation_strategy: { type: 'last_messages', last_messages: 5 },
      metadata: { topic: 'greetings' },
    };
    const thread_id = await thread(world);

    const made = await client.run(thread_id, body);
    const other = await client.runThread({
      assistant_id,
      thread: { messages: [{ role: 'user', content: 'Hello.' }] },
    });

    const asked = await onWire(world, `/threads/${thread_id}/runs/${made.id}`);
    expect(asked).toMatchObject({ ...made, status: expect.any(String) });
    expect(made).toMatchObject({
      object: 'thread.run',
      status: 'queued',
      instructions: expect.stringContaining('Be kind.'),
      temperature: 0.5,
      max_completion_tokens: 300,
    });
    await world.advance('10s');
    const done = await client.getRun(thread_id, made.id);
    expect(done).toMatchObject({
      status: 'completed',
      usage: { total_tokens: expect.any(Number) },
    });
    const metadata = { topic: 'farewells' };
    expect(await client.updateRun(thread_id, made.id, { metadata })).toEqual({
      ...done,
      metadata,
    });
    expect(await client.runs(thread_id)).toEqual([{ ...done, metadata }]);
    const [step] = await client.steps(thread_id, made.id);
    expect(step).toMatchObject({
      type: 'message_creation',
      status: 'completed',
      run_id: made.id,
    });
    expect(await client.getStep(thread_id, made.id, step.id)).toEqual(step);
    const [message] = await client.messages(thread_id, { run_id: made.id });
    expect(step.step_details.message_creation).toEqual({ message_id: message.id });
    expect(await client.getRun(other.thread_id, other.id)).toMatchObject({ status: 'completed' });
  });

  test('polls a run to each of its ends, and no poll waits longer than its interval', async () => {
    const world = await makeWorld(`${named}-polls`, { settings: { run_poll_after: POLL_MS } });

    await Promise.all(
      ENDS.map(async ({ end, turn, ofPoll }) => {
        const assistant_id = await assistant(world, ofPoll ?? turn);
        const thread_id = await thread(world);
        const polls: { run: string; tookMs: number }[] = [];
        const watch: Note = async (method, url, answer) => {
          const startedAt = performance.now();
          const answered = await answer;
          const [, run] = /\/runs\/(run_\w+)\?/.exec(url) ?? [];
          if (method === 'GET' && run !== undefined)
            polls.push({ run, tookMs: performance.now() - startedAt });
          return answered;
        };
        const client = connect(world, watched(watch));

        const polled = client.poll(thread_id, { assistant_id }).catch((error) => error);
        if (end === 'cancelled') {
          const { run } = await vi.waitUntil(() => polls[0], { timeout: 10_000 });
          await client.cancel(thread_id, run);
        }

        const message =
          end === 'failed' ? `Operation failed: ${FAILURE.message}` : 'Operation failed';
        const thrown = throwsEnds && end !== 'completed';
        expect(await polled, end).toMatchObject(thrown ? { message } : { status: end });
        expect(Math.max(...polls.map(({ tookMs }) => tookMs)), end).toBeLessThan(POLL_MS);
        expect(polls.length, end).toBeLessThan(7);
        const { status } = await settled(client, thread_id, polls[0]?.run ?? '');
        expect(status).toBe(end);
      }),
    );
  });

  test('answers the calls of a run by hand, round after round', async () => {
    const { world, client } = await make('rounds');
    const both = [WEATHER, { ...WEATHER, arguments: { city: 'Bergen' } }];
    const turn = calling(both, calling([WEATHER], { text: SAID }));
    const assistant_id = await assistant(world, turn);
    const thread_id = await thread(world);
    const { id } = await client.run(thread_id, { assistant_id });

    const rounds: string[][] = [];
    let run = await settled(client, thread_id, id);
    while (run.status === 'requires_action') {
      const calls = run.required_action.submit_tool_outputs.tool_calls;
      rounds.push(calls.map((call: Json) => JSON.parse(call.function.arguments).city));
      const outputs = calls.map((call: Json) => ({ tool_call_id: call.id, output: 'rain' }));
      expect(await client.submit(thread_id, id, outputs)).toMatchObject({ status: 'queued' });
      run = await settled(client, thread_id, id);
    }

    expect(run.status).toBe('completed');
    expect(rounds).toEqual([['Oslo', 'Bergen'], ['Oslo']]);
    const steps = await client.steps(thread_id, id, { order: 'asc' });
    expect(steps.map(({ type, status }) => `${type} ${status}`)).toEqual([
      'tool_calls completed',
      'tool_calls completed',
      'message_creation completed',
    ]);
    const [{ content }] = await client.messages(thread_id);
    expect(content[0].text.value).toBe(SAID);
  });

  test.each(ENDS)('streams a run until it is $end', async ({ end, turn }) => {
    const { world, client } = await make(`streams-${end}`);
    const assistant_id = await assistant(world, turn, turn, calling([WEATHER], turn));
    const body = { assistant_id };
    const thread_id = await thread(world);
    const messages = [{ role: 'user', content: 'Hi.' }];
    const cancels = end === 'cancelled' ? client : undefined;

    const ofRun = await heard(client.streamRun(thread_id, body), cancels);
    const ofThread = await heard(client.streamThread({ ...body, thread: { messages } }), cancels);
    const { id } = await client.run(thread_id, body);
    const parked = await settled(client, thread_id, id);
    const [call] = parked.required_action.submit_tool_outputs.tool_calls;
    const outputs = [{ tool_call_id: call.id, output: 'rain' }];
    const ofSubmit = await heard(client.streamSubmit(thread_id, id, outputs), cancels);

    expect(ofRun.names.slice(0, 3)).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
    ]);
    expect(ofThread.names).toEqual(['thread.created', ...ofRun.names]);
    expect(ofSubmit.names).toEqual([
      'thread.run.step.completed',
      ...ofRun.names.filter((event) => event !== 'thread.run.created'),
    ]);
    for (const { names, run, message, text } of [ofRun, ofThread, ofSubmit]) {
      expect(names.slice(-TAILS[end].length)).toEqual(TAILS[end]);
      expect(run.status).toBe(end);
      expect(await client.getRun(run.thread_id, run.id)).toEqual(run);
      if (message !== undefined) {
        expect(await client.getMessage(run.thread_id, message.id)).toEqual(message);
        expect(message.content[0]?.text.value ?? '').toBe(text);
      }
    }
    if (end === 'completed') expect(ofRun.text).toBe(SAID);
  });

  test('streams the calls of a run, and goes on when they are answered', async () => {
    const { world, client } = await make('streams-calls');
    const assistant_id = await assistant(world, calling([WEATHER], { text: SAID }));
    const thread_id = await thread(world);

    const asked = await heard(client.streamRun(thread_id, { assistant_id }));

    expect(asked.names.slice(-1)).toEqual(['thread.run.requires_action']);
    const [call] = asked.run.required_action.submit_tool_outputs.tool_calls;
    expect(call).toMatchObject({ type: 'function', function: { name: WEATHER.name } });
    expect(asked.calls).toEqual({ id: call.id, ...call.function });
    const outputs = [{ tool_call_id: call.id, output: 'rain' }];
    const answered = await heard(client.streamSubmit(thread_id, asked.run.id, outputs));
    expect([answered.run.status, answered.text]).toEqual(['completed', SAID]);
  });

  test('is in the journal with TLS, our token and its api-version', async () => {
    const { world, client } = await make('journal');
    const assistant_id = await assistant(world);
    await client.runThread({ assistant_id });
    const sent = (await world.journal('request')).filter(
      ({ operation }) => operation === 'createThreadAndRun',
    );
    expect(sent).toMatchObject([{ tls: true, query: { 'api-version': 'v1' } }]);
    expect(sent[0]?.principal).toMatch(/^(?:foundrite|test)$/);
  });
});

/** The last events of a stream by the end of its run. */
const TAILS: Json = {
  completed: ['thread.message.completed', 'thread.run.step.completed', 'thread.run.completed'],
  failed: ['thread.message.incomplete', 'thread.run.step.failed', 'thread.run.failed'],
  cancelled: [
    'thread.run.cancelling',
    'thread.message.incomplete',
    'thread.run.step.cancelled',
    'thread.run.cancelled',
  ],
  expired: ['thread.run.expired'],
  incomplete: ['thread.message.incomplete', 'thread.run.step.completed', 'thread.run.incomplete'],
};
