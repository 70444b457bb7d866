/** What `@azure/ai-agents` and the beta of `openai` are told when they ask for what is not to be had. */
import { describe, expect, test } from 'vitest';
import { assistant, SAID, settled, TOOL, thread, WEATHER } from './threads-fixture.ts';
import { WAYS } from './threads-ways.ts';
import { type Answer, makeWorld } from './world.ts';

type Json = Answer['body'];

describe.each(WAYS)('$name', (way) => {
  const { name, connect, refusal, listRefusal } = way;
  const named = `threads-refused-${name.replaceAll(/\W+/g, '-')}`;

  async function make(about: string) {
    const world = await makeWorld(`${named}-${about}`);
    return { world, client: connect(world) };
  }

  test('is refused with the text and the code of the service, whatever it asks', async () => {
    const { world, client } = await make('refused');
    const assistant_id = await assistant(world, { text: SAID }, { stuck: true });
    const done = await thread(world);
    const { id: over } = await client.run(done, { assistant_id });
    await world.advance('10s');
    const busy = await thread(world);
    const { id: active } = await client.run(busy, { assistant_id });
    const hi = { role: 'user', content: 'Hi.' };
    const none = (of: string, id: string) => `No ${of} found with id '${id}'.`;
    const submitted = 'do not accept tool outputs.';
    const output = [{ tool_call_id: 'call_1', output: 'rain' }];

    const refusals: [() => Promise<Json>, number, string, (string | null)?][] = [
      [() => client.getAssistant('asst_none'), 404, none('assistant', 'asst_none')],
      [() => client.updateAssistant('asst_none', {}), 404, none('assistant', 'asst_none')],
      [() => client.deleteAssistant('asst_none'), 404, none('assistant', 'asst_none')],
      [() => client.getThread('thread_none'), 404, none('thread', 'thread_none')],
      [() => client.updateThread('thread_none', {}), 404, none('thread', 'thread_none')],
      [() => client.deleteThread('thread_none'), 404, none('thread', 'thread_none')],
      [() => client.say('thread_none', hi), 404, none('thread', 'thread_none')],
      [() => client.getMessage(done, 'msg_none'), 404, none('message', 'msg_none')],
      [() => client.updateMessage(done, 'msg_none', {}), 404, none('message', 'msg_none')],
      [() => client.run('thread_none', { assistant_id }), 404, none('thread', 'thread_none')],
      [() => client.run(done, { assistant_id: 'asst_none' }), 404, none('assistant', 'asst_none')],
      [() => client.runThread({ assistant_id: 'asst_none' }), 404, none('assistant', 'asst_none')],
      [() => client.getRun(done, 'run_none'), 404, none('run', 'run_none')],
      [() => client.updateRun(done, 'run_none', {}), 404, none('run', 'run_none')],
      [() => client.cancel(done, 'run_none'), 404, none('run', 'run_none')],
      [() => client.submit(done, 'run_none', output), 404, none('run', 'run_none')],
      [() => client.getStep(done, over, 'step_none'), 404, none('step', 'step_none')],
      [
        () => client.getThread('x'),
        400,
        "Invalid 'thread_id': 'x'. Expected an ID that begins with 'thread'.",
        'invalid_value',
      ],
      [
        () => client.run(done, { assistant_id: 'bot' }),
        400,
        "Invalid 'assistant_id': 'bot'. Expected an ID that begins with 'asst'.",
        'invalid_value',
      ],
      [
        () => client.run(done, { assistant_id: 'asst_a:7' }),
        400,
        "Invalid 'assistant_id': 'asst_a:7'. Expected an ID that contains letters, numbers, underscores, or dashes, but this value contained additional characters.",
        'invalid_value',
      ],
      [
        () => client.run(done, {}),
        400,
        "Missing required parameter: 'assistant_id'.",
        'missing_required_parameter',
      ],
      [
        () => client.say(done, { ...hi, role: 'human' }),
        400,
        "Invalid value: 'human'. Supported values are: 'user' and 'assistant'.",
        'invalid_value',
      ],
      [
        () => client.say(busy, hi),
        400,
        `Can't add messages to ${busy} while a run ${active} is active.`,
      ],
      [
        () => client.run(busy, { assistant_id }),
        400,
        `Thread ${busy} already has an active run ${active}.`,
      ],
      [() => client.cancel(done, over), 400, "Cannot cancel run with status 'completed'."],
      [() => client.submit(busy, active, output), 400, `Runs in status "queued" ${submitted}`],
      [() => client.submit(done, over, output), 400, `Runs in status "completed" ${submitted}`],
    ];

    for (const [ask, status, text, code = null] of refusals)
      await expect(ask(), text).rejects.toMatchObject(refusal(status, text, code));
    const lists: [() => Promise<Json>, string][] = [
      [() => client.messages('thread_none'), none('thread', 'thread_none')],
      [() => client.runs('thread_none'), none('thread', 'thread_none')],
      [() => client.steps(done, 'run_none'), none('run', 'run_none')],
    ];
    for (const [ask, text] of lists)
      await expect(ask(), text).rejects.toMatchObject(listRefusal(404, text, null));
    const tooMany =
      "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 1000 instead.";
    await expect(client.assistants({ limit: 1_000 })).rejects.toMatchObject(
      listRefusal(400, tooMany, 'integer_above_max_value'),
    );
  });

  test('is told which field is wrong, whatever it sends', async () => {
    const { world, client } = await make('fields');
    const assistant_id = await assistant(world);
    const thread_id = await thread(world);
    const metadata = { key: 'x'.repeat(513) };
    const model = 'gpt-4.1';

    const wrong: [() => Promise<Json>, string][] = [
      [() => client.createAssistant({ model: '' }), 'model'],
      [() => client.createAssistant({ model, temperature: 3 }), 'temperature'],
      [() => client.createAssistant({ model, name: 'x'.repeat(257) }), 'name'],
      [() => client.createAssistant({ model, tools: Array(129).fill(TOOL) }), 'tools'],
      [() => client.updateAssistant(assistant_id, { metadata }), 'metadata'],
      [() => client.createThread({ metadata }), 'metadata'],
      [() => client.updateThread(thread_id, { metadata }), 'metadata'],
      [() => client.say(thread_id, { role: 'user', content: [] }), 'content'],
      [() => client.run(thread_id, { assistant_id, top_p: 2 }), 'top_p'],
      [() => client.run(thread_id, { assistant_id, max_prompt_tokens: 1 }), 'max_prompt_tokens'],
      [() => client.runThread({ assistant_id, metadata }), 'metadata'],
    ];
    for (const [ask, param] of wrong) {
      const error = await ask().catch((thrown) => thrown);
      expect(error, param).toMatchObject({ message: expect.stringContaining(param) });
      expect([error.status, error.statusCode], param).toContain(400);
    }
    for (const query of [{ limit: 0 }, { order: 'sideways' as 'asc' }, { after: 'asst_none' }]) {
      const error = await client.assistants(query).catch((thrown) => thrown);
      expect([error.status, error.statusCode], JSON.stringify(query)).toContain(400);
    }
  });

  test('is told which outputs are missing', async () => {
    const { world, client } = await make('outputs');
    const calls = [WEATHER, WEATHER];
    const assistant_id = await assistant(world, { tool_calls: calls });
    const thread_id = await thread(world);
    const { id } = await client.run(thread_id, { assistant_id });
    const run = await settled(client, thread_id, id);
    const [first, second] = run.required_action.submit_tool_outputs.tool_calls;

    const one = client.submit(thread_id, id, [{ tool_call_id: first.id, output: 'rain' }]);
    const got = `Expected tool outputs for call_ids ['${first.id}', '${second.id}'], got ['${first.id}']`;
    await expect(one).rejects.toMatchObject(refusal(400, got, null));
    await expect(client.submit(thread_id, id, [])).rejects.toThrow(/tool.outputs/i);
    const headers = { 'x-foundrite-peek': '1' };
    const { body } = await world.api('GET', `/threads/${thread_id}/runs/${id}`, { headers });
    expect(body.status).toBe('requires_action');
  });

  test('asks again after a fault, and is told of one that stays', async () => {
    const { world, client } = await make('faults');
    const assistant_id = await assistant(world);
    const thread_id = await thread(world);
    const again = { status: 503, headers: { 'retry-after': '0', 'retry-after-ms': '1' } };
    await world.arm(
      { operation: 'createThreadRun', times: 1, fault: again },
      { operation: 'listMessages', fault: 400 },
    );

    const { id } = await client.run(thread_id, { assistant_id });

    expect(await client.runs(thread_id)).toMatchObject([{ id }]);
    await expect(client.messages(thread_id)).rejects.toMatchObject({ code: 'injected_fault' });
    expect(await world.timesFired()).toEqual([1, 1]);
  });
});
