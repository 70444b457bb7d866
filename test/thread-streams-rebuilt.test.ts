import { describe, test } from 'vitest';
import { expect, type Foundry, type Json } from './fixture.ts';
import {
  BEGUN,
  deltas,
  listener,
  opened,
  SAID,
  SAYING,
  STEP,
  type Told,
} from './thread-stream-reader.ts';

/** Objects as their reader puts them together: whole ones as they come, and what pieces add to them. */
class Rebuilt {
  readonly objects = new Map<string, Json>();
  /** Messages and steps that were told by pieces; each was whole when its end told it whole. */
  readonly pieced = new Set<string>();
  events: string[] = [];

  hear({ event, data }: Told): void {
    this.events.push(event);
    if (event === 'done') return;
    const known = this.objects.get(data.id);
    if (event === 'thread.message.delta') this.#addText(known, data);
    else if (event === 'thread.run.step.delta') this.#addCalls(known, data);
    else {
      if (event.startsWith('thread.message.') && this.pieced.has(data.id))
        expect(known.content).toEqual(data.content);
      this.objects.set(data.id, structuredClone(data));
    }
  }

  #addText(message: Json, { id, delta }: Json): void {
    this.pieced.add(id);
    for (const { index, type, text } of delta.content) {
      message.content[index] ??= { type, text: { value: '', annotations: [] } };
      const said = message.content[index].text;
      said.value += text.value ?? '';
      for (const { index: place, ...annotation } of text.annotations ?? [])
        said.annotations[place] = annotation;
    }
  }

  #addCalls(step: Json, { id, delta }: Json): void {
    this.pieced.add(id);
    const { tool_calls: calls } = step.step_details;
    for (const { index, id: call, type, function: piece } of delta.step_details.tool_calls) {
      calls[index] ??= { id: '', type, function: { name: '', arguments: '' } };
      calls[index].id += call ?? '';
      const called = calls[index].function;
      called.name += piece.name ?? '';
      called.arguments += piece.arguments ?? '';
      if ('output' in piece) called.output = piece.output;
    }
  }
}

/** The same bytes in pieces of lengths that a seed decides; 1 is byte by byte. */
function rebuiltFrom(bytes: Uint8Array, seed: number): Rebuilt {
  const rebuilt = new Rebuilt();
  const feed = listener((told) => rebuilt.hear(told));
  let state = seed;
  for (let from = 0; from < bytes.length; ) {
    state = (state * 48_271) % 2_147_483_647;
    const length = seed === 1 ? 1 : 1 + (state % 200);
    feed(bytes.subarray(from, from + length));
    from += length;
  }
  return rebuilt;
}

const BYTE_BY_BYTE = 1;
const SEEDS = Array.from({ length: 20 }, (_, index) => 1_000 + index * 7_919);

/** Whatever the stream told is what is read afterwards. */
async function expectRead(foundry: Foundry, text: string): Promise<string[]> {
  const bytes = Buffer.from(text);
  const first = rebuiltFrom(bytes, BYTE_BY_BYTE);
  for (const seed of SEEDS) {
    const other = rebuiltFrom(bytes, seed);
    expect(other.objects).toEqual(first.objects);
    expect(other.events).toEqual(first.events);
  }
  for (const object of first.objects.values()) {
    const answer = await foundry.get(pathOf(object), { 'x-foundrite-peek': '1' });
    expect(object).toEqual(answer.body);
  }
  return first.events.map((event) => event.replace(/^thread\./, ''));
}

function pathOf({ object, id, thread_id, run_id }: Json): string {
  if (object === 'thread') return `/threads/${id}`;
  if (object === 'thread.message') return `/threads/${thread_id}/messages/${id}`;
  if (object === 'thread.run') return `/threads/${thread_id}/runs/${id}`;
  return `/threads/${thread_id}/runs/${run_id}/steps/${id}`;
}

const CITED = {
  type: 'url_citation',
  text: '[1]',
  start_index: 0,
  end_index: 3,
  url_citation: { url: 'https://example.org/', title: 'Grüße' },
};

describe('what a stream tells is what is read afterwards, wherever its bytes are cut', () => {
  const cases: [name: string, turn: object, events: string[]][] = [
    [
      'a text',
      { text: 'Grüße aus 東京 🙂.' },
      [...BEGUN, ...SAYING, ...deltas('message', 4), ...SAID],
    ],
    [
      'a text in its time, with what it cites',
      { text: '[1] says so', every: '1s', chunk: 4, annotations: [CITED] },
      [...BEGUN, ...SAYING, ...deltas('message', 4), ...SAID],
    ],
    ['an empty text', { text: '' }, [...BEGUN, ...SAYING, ...deltas('message', 1), ...SAID]],
    [
      'a text that is cut at a token cap',
      { text: 'half', incomplete: 'max_completion_tokens' },
      [
        ...BEGUN,
        ...SAYING,
        ...deltas('message', 1),
        'message.incomplete',
        'run.step.completed',
        'run.incomplete',
        'done',
      ],
    ],
    [
      'tool calls',
      {
        tool_calls: [{ name: 'get_weather', arguments: { city: 'Zürich' } }, { name: 'get_time' }],
        chunk: 5,
      },
      [...BEGUN, ...STEP, ...deltas('run.step', 7), 'run.requires_action', 'done'],
    ],
    ['a failure', { failed: { code: 'rate_limit_exceeded' } }, [...BEGUN, 'run.failed', 'done']],
    [
      'a failure in the middle of a text',
      { failed: { code: 'server_error' }, text: 'half of it', every: '1s' },
      [
        ...BEGUN,
        ...SAYING,
        ...deltas('message', 3),
        'message.incomplete',
        'run.step.failed',
        'run.failed',
        'done',
      ],
    ],
    ['a run that is stuck until it expires', { stuck: true }, [...BEGUN, 'run.expired', 'done']],
    [
      'a text that takes too long',
      { text: 'too long', every: '8m' },
      [
        ...BEGUN,
        ...SAYING,
        ...deltas('message', 1),
        'message.incomplete',
        'run.step.expired',
        'run.expired',
        'done',
      ],
    ],
  ];
  test.for(cases)('%s', async ([, turn, events]) => {
    const { foundry, helper, thread } = await opened([turn]);

    const answer = await foundry.post(`/threads/${thread}/runs`, {
      assistant_id: helper,
      stream: true,
    });

    expect(await expectRead(foundry, answer.text)).toEqual(events);
  });

  test('two rounds of tool calls, and the text after them', async () => {
    const second = {
      tool_calls: [{ name: 'second', arguments: '{"n":2}' }],
      next: { text: 'ok' },
    };
    const { foundry, helper, thread } = await opened([
      { tool_calls: [{ name: 'first' }, { name: 'other' }], next: second },
    ]);
    const runs = `/threads/${thread}/runs`;
    const asking = [...BEGUN.slice(1), ...STEP];

    const first = await foundry.post(runs, { assistant_id: helper, stream: true });
    const events = [await expectRead(foundry, first.text)];
    const [run] = (await foundry.get(runs)).body.data;
    const submit = async () => {
      const { required_action: action } = (await foundry.get(`${runs}/${run.id}`)).body;
      const tool_outputs = action.submit_tool_outputs.tool_calls.map(({ id }: Json) => ({
        tool_call_id: id,
        output: `of ${id}`,
      }));
      const path = `${runs}/${run.id}/submit_tool_outputs`;
      const { text } = await foundry.post(path, { tool_outputs, stream: true });
      events.push(await expectRead(foundry, text));
    };
    await submit();
    await submit();

    expect(events).toEqual([
      ['run.created', ...asking, ...deltas('run.step', 4), 'run.requires_action', 'done'],
      ['run.step.completed', ...asking, ...deltas('run.step', 2), 'run.requires_action', 'done'],
      ['run.step.completed', ...BEGUN.slice(1), ...SAYING, ...deltas('message', 1), ...SAID],
    ]);
  });

  test('a cancellation, also of a run that waits for its start', async () => {
    const { foundry, helper, thread } = await opened([{ text: 'one two', every: '1s' }], {
      skip: false,
    });
    const runs = `/threads/${thread}/runs`;
    const cancelled = async (after: string) => {
      const answer = foundry.post(runs, { assistant_id: helper, stream: true });
      await foundry.advance(after);
      const [run] = (await foundry.get(runs)).body.data;
      await foundry.post(`${runs}/${run.id}/cancel`);
      await foundry.advance('1s');
      return expectRead(foundry, (await answer).text);
    };

    expect(await cancelled('PT0S')).toEqual([
      'run.created',
      'run.queued',
      'run.cancelling',
      'run.cancelled',
      'done',
    ]);
    expect(await cancelled('1.5s')).toEqual([
      ...BEGUN,
      ...SAYING,
      ...deltas('message', 1),
      'run.cancelling',
      'message.incomplete',
      'run.step.cancelled',
      'run.cancelled',
      'done',
    ]);
  });

  test('a thread that is made with its run', async () => {
    const { foundry, helper } = await opened([{ text: 'ok' }]);

    const thread = { messages: [{ role: 'user', content: 'Hi.' }], metadata: { a: 'b' } };
    const answer = await foundry.post('/threads/runs', {
      assistant_id: helper,
      thread,
      stream: true,
    });

    const events = await expectRead(foundry, answer.text);
    expect(events).toEqual(['created', ...BEGUN, ...SAYING, ...deltas('message', 1), ...SAID]);
  });
});
