import { describe, expect, it } from 'vitest';
import {
  FinalResponse,
  frame,
  type OutputItem,
  type ResponseEvent,
  responseEvents,
  type Told,
} from '../emulator/events.ts';
import type { Json } from './fixture.ts';

function message(text: string, status = 'completed'): OutputItem {
  const content = [{ type: 'output_text', text, annotations: [] }];
  return { type: 'message', id: 'msg_1', role: 'assistant', status, content };
}

function call(id: string, args: string): OutputItem {
  const ids = { id: `fc_${id}`, call_id: `call_${id}` };
  return { type: 'function_call', ...ids, name: 'look', arguments: args, status: 'completed' };
}

function response(output: OutputItem[], more: object = {}): Told {
  const ended = { completed_at: 7, error: null, incomplete_details: null, usage: null };
  return { id: 'r', object: 'response', status: 'completed', output, ...ended, ...more };
}

/** What a client makes of a stream that hears every event. */
function rebuilt(events: ResponseEvent[]): Json {
  let built: Json;
  for (const event of events as Json[]) {
    const item = built?.output[event.output_index];
    const part = item?.content?.[event.content_index];
    if (event.type === 'response.created') built = structuredClone(event.response);
    else if (event.type === 'response.output_item.added')
      built.output[event.output_index] = structuredClone(event.item);
    else if (event.type === 'response.content_part.added')
      item.content[event.content_index] = structuredClone(event.part);
    else if (event.type === 'response.output_text.delta') part.text += event.delta;
    else if (event.type === 'response.refusal.delta') part.refusal += event.delta;
    else if (event.type === 'response.function_call_arguments.delta') item.arguments += event.delta;
    else if (event.type === 'response.output_item.done') item.status = event.item.status;
    else if (/\.(?:completed|failed|incomplete|cancelled)$/.test(event.type))
      built = { ...event.response, output: built.output };
  }
  return built;
}

const OUTPUTS: [string, Told][] = [
  ['a text', response([message('Nothing is due today, as far as I can see.\n')])],
  ['an empty text', response([message('')])],
  ['blanks', response([message('  \n ')])],
  ['tool calls', response([call('1', '{"where":"here"}'), call('2', '{}')])],
  ['a text and a tool call', response([message('Let me look.'), call('1', '{}')])],
  [
    'a refusal',
    response([{ ...message(''), content: [{ type: 'refusal', refusal: 'I will not say that.' }] }]),
  ],
  [
    'two parts',
    response([
      {
        ...message(''),
        content: [
          { type: 'output_text', text: 'one', annotations: [] },
          { type: 'output_text', text: 'two', annotations: [] },
        ],
      },
    ]),
  ],
  ['an item of another type', response([{ type: 'reasoning', id: 'rs_1', summary: [] }])],
  ['nothing, and fails', response([], { status: 'failed', error: { code: 'x', message: 'y' } })],
  ['half, and fails', response([message('half', 'incomplete')], { status: 'failed' })],
  ['half, and is incomplete', response([message('half')], { status: 'incomplete' })],
  ['half, and is cancelled', response([message('half')], { status: 'cancelled' })],
];

describe('the events of a response', () => {
  it.each(OUTPUTS)('that says %s add up to it', (_, told) => {
    for (const chunk of [undefined, 1, 3, 1_000])
      expect(rebuilt([...responseEvents(told, chunk)])).toEqual(told);
  });

  it.each(OUTPUTS)('that says %s are numbered from 0, and end as it does', (_, told) => {
    const events = [...responseEvents(told)];

    expect(events.map((event) => event.sequence_number)).toEqual([...events.keys()]);
    expect(events.at(-1)).toMatchObject({ type: `response.${told.status}`, response: told });
  });

  it('come in the documented order, each with its place', () => {
    const events = [...responseEvents(response([message('two words')]))];

    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events[5]).toEqual({
      type: 'response.output_text.delta',
      sequence_number: 5,
      item_id: 'msg_1',
      output_index: 0,
      content_index: 0,
      delta: ' words',
      logprobs: [],
    });
    expect(events[0]).toMatchObject({ response: { status: 'in_progress', output: [] } });
  });

  it('have no end while it is being made', () => {
    const types = [...responseEvents(response([], { status: 'in_progress' }))].map((e) => e.type);

    expect(types).toEqual(['response.created', 'response.in_progress']);
  });

  it('never split a character', () => {
    const text = 'a😀b😀😀';
    const deltas = [...responseEvents(response([message(text)]), 2)]
      .filter((event) => 'delta' in event)
      .map((event) => event.delta as string);

    expect(deltas.join('')).toBe(text);
    expect(deltas.filter((delta) => /\p{Surrogate}/u.test(delta))).toEqual([]);
  });
});

describe('the final response of a stream that is passed on', () => {
  const told = response([message('Grüße')]);
  const text = [...responseEvents(told)].map(frame).join('');

  it.each([1, 7, 100_000])('is heard in pieces of %i bytes', (size) => {
    const final = new FinalResponse('text/event-stream; charset=utf-8');
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) final.hear(bytes.subarray(at, at + size));

    expect(final.response).toEqual(told);
  });

  it('is heard with the line ends of other systems', () => {
    const final = new FinalResponse('text/event-stream');
    final.hear(Buffer.from(text.replaceAll('\n', '\r\n')));

    expect(final.response).toEqual(told);
  });

  it('is the whole answer where that is no stream', () => {
    const final = new FinalResponse('application/json');
    final.hear(Buffer.from(JSON.stringify(told)));

    expect(final.response).toEqual(told);
  });

  it.each([
    ['text/event-stream', `event: x\ndata: {"type":"response.completed","response":7}\n\n`],
    ['text/event-stream', text.slice(0, -10)],
    ['text/event-stream', 'data: {"type":"response.completed", no JSON\n\n'],
    ['application/json', '{"mine":true}'],
    ['application/json', 'no JSON'],
    [undefined, ''],
  ])('is none in %s %j', (type, said) => {
    const final = new FinalResponse(type);
    final.hear(Buffer.from(said));

    expect(final.response).toBeUndefined();
  });

  it('is not held when it is too long, and the next event is heard again', () => {
    const final = new FinalResponse('text/event-stream');
    final.hear(Buffer.from(frame({ type: 'x', long: 'x'.repeat(3_000_000) } as never)));
    const long = frame({
      type: 'response.completed',
      response: { object: 'response', long: 'x'.repeat(2_000_000) },
    } as never);
    for (let at = 0; at < long.length; at += 65_536)
      final.hear(Buffer.from(long.slice(at, at + 65_536)));

    expect(final.response).toBeUndefined();

    final.hear(Buffer.from(text));

    expect(final.response).toEqual(told);
  });
});
