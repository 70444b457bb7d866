import { describe, expect, it } from 'vitest';
import { match, problemsIn } from '../scenarios/match.ts';
import { type Frame, fillAll } from '../scenarios/slot.ts';

const START = Date.parse('2026-06-01T06:59:00Z');

function frame(more: Partial<Frame> = {}): Frame {
  return { start: START, now: START, captures: new Map(), toleranceMs: 0, ...more };
}

/** Each mismatch in a line: `where: expected, not actual`. */
function missed(pattern: unknown, actual: unknown, at = frame()): string[] {
  return match(pattern, actual, at).map(
    (one) => `${one.where}: ${one.expected}, not ${one.actual}`,
  );
}

describe('an expectation', () => {
  it.each([
    ['an object is a subset', { a: 1 }, { a: 1, b: 2 }],
    ['an object in an object too', { a: { b: 1 } }, { a: { b: 1, c: 2 } }],
    ['a list is whole', [1, 2], [1, 2]],
    ['an empty list is empty', [], []],
    ['<rest> opens the end of a list', [1, '<rest>'], [1, 2, 3]],
    ['<rest> opens the beginning of a list', ['<rest>', 3], [1, 2, 3]],
    ['<rest> opens the middle of a list', [1, '<rest>', 4], [1, 2, 3, 4]],
    ['<rest> may be nothing', [1, '<rest>'], [1]],
    [
      'a type',
      { s: '<string>', n: '<number>', i: '<integer>', b: '<boolean>' },
      { s: '', n: 1.5, i: 2, b: false },
    ],
    [
      'a kind of value',
      { o: '<object>', a: '<array>', n: '<null>', x: '<any>' },
      { o: {}, a: [], n: null, x: null },
    ],
    ['a field that is absent', { a: '<absent>' }, { b: 1 }],
    ['a regular expression', '</^run-[0-9a-f]{4}$/>', 'run-12ab'],
    ['flags of a regular expression', '</RUN/i>', 'a run'],
    ['an offset as ISO', '+1m', '2026-06-01T07:00:00.000Z'],
    ['an offset as unix seconds', '+1m', START / 1000 + 60],
    ['an offset that is cut to whole seconds', '+1m0.5s', START / 1000 + 60],
    ['a negative offset', '-59m', '2026-06-01T06:00:00Z'],
    ['only ISO', '<iso +1m>', '2026-06-01T07:00:00Z'],
    ['only unix', '<unix +1m>', START / 1000 + 60],
    ['any instant', '<instant>', '2030-01-01T00:00:00+02:00'],
    ['an instant within a tolerance', '<instant +1m ±2s>', '2026-06-01T07:00:02Z'],
    ['an instant near now', '<instant ±1s>', '2026-06-01T06:59:01Z'],
    ['anything else', '<not completed>', 'failed'],
    ['anything but a number', '<not 3>', '3'],
    ['a length of text', '<length 3>', 'abc'],
    ['a length of a list', '<length 2>', [1, 1]],
    ['a number of fields', '<length 1>', { a: 1 }],
    ['null', null, null],
  ])('fits: %s', (_, pattern, actual) => {
    expect(missed(pattern, actual)).toEqual([]);
  });

  it.each([
    ['types are strict', 1, '1', '(the whole): 1, not "1"'],
    ['a missing field', { a: 1 }, {}, 'a: 1, not (absent)'],
    ['a field that should be absent', { a: '<absent>' }, { a: null }, 'a: <absent>, not null'],
    ['a list that is longer', [1], [1, 2], '(the whole): 1 item, not 2 items: [1,2]'],
    [
      'a list that is shorter than its <rest>',
      [1, 2, '<rest>'],
      [1],
      '(the whole): at least 2 items, not 1 item: [1]',
    ],
    ['an order', { a: [1, 2] }, { a: [2, 2] }, 'a[0]: 1, not 2'],
    ['the place behind a <rest>', ['<rest>', 9], [1, 2], '[1]: 9, not 2'],
    ['an object where a list is', { a: [] }, { a: {} }, 'a: a list, not {}'],
    ['a list where an object is', { a: {} }, { a: [] }, 'a: an object, not []'],
    ['a number that is whole', '<integer>', 1.5, '(the whole): <integer>, not 1.5'],
    ['a type that is absent', { a: '<any>' }, {}, 'a: <any>, not (absent)'],
    [
      'an offset, told as one',
      '+1m',
      '2026-06-01T07:00:01Z',
      '(the whole): +1m, not "2026-06-01T07:00:01Z" (+1m1s)',
    ],
    [
      'an instant that is too late by a second',
      '<instant +1m ±1s>',
      '2026-06-01T07:00:02Z',
      '(the whole): <instant +1m ±1s>, not "2026-06-01T07:00:02Z" (+1m2s)',
    ],
    [
      'ISO where unix is asked',
      '<unix +1m>',
      '2026-06-01T07:00:00Z',
      '(the whole): <unix +1m>, not "2026-06-01T07:00:00Z" (+1m)',
    ],
    [
      'half a second, where milliseconds are written',
      '+1m0.5s',
      '2026-06-01T07:00:00.000Z',
      '(the whole): +1m0.5s, not "2026-06-01T07:00:00.000Z" (+1m)',
    ],
    [
      'a unix instant, told with its offset',
      '+1m',
      START / 1000 + 61,
      `(the whole): +1m, not ${START / 1000 + 61} (+1m1s)`,
    ],
    [
      'a field beside which others are',
      { phse: 1 },
      { phase: 2, id: 3 },
      'phse: 1, not (absent; there are phase, id)',
    ],
    ['text that is no instant', '+1m', '+1m', '(the whole): +1m, not "+1m"'],
    ['the same value', '<not failed>', 'failed', '(the whole): <not failed>, not "failed"'],
    ['nothing where something else is asked', { a: '<not 1>' }, {}, 'a: <not 1>, not (absent)'],
    ['a field of the prototype', { toString: '<any>' }, {}, 'toString: <any>, not (absent)'],
  ])('does not fit: %s', (_, pattern, actual, said) => {
    expect(missed(pattern, actual)).toEqual([said]);
  });

  it('lists every field that differs, in the order in which they are written', () => {
    const pattern = { phase: 'completed', id: '<string>', error: '<absent>' };

    expect(missed(pattern, { phase: 'failed', id: 3, error: 'x' })).toEqual([
      'phase: "completed", not "failed"',
      'id: <string>, not 3',
      'error: <absent>, not "x"',
    ]);
  });

  it('keeps what a marker found, and compares later places with it', () => {
    const at = frame();

    expect(
      missed(
        { runs: [{ id: '<string as run>' }], last: '{{run}}' },
        { runs: [{ id: 'r1' }], last: 'r1' },
        at,
      ),
    ).toEqual([]);
    expect(at.captures.get('run')).toBe('r1');
    expect(missed('{{run}}', 'r2', at)).toEqual(['(the whole): "r1", not "r2"']);
    expect(missed('<not {{run}}>', 'r1', at)).toHaveLength(1);
  });

  it('keeps nothing where it does not fit', () => {
    const at = frame();
    match('<string as run>', 3, at);

    expect(at.captures.size).toBe(0);
  });

  it.each([
    ['<strin>', /<strin> is no marker\. There are <string>/],
    ['</(/>', /Invalid regular expression|Unterminated group/],
    ['<instant soon>', /no marker/],
    [['<rest>', 1, '<rest>'], /only one <rest>/],
    ['+1m3', /\+1m3 is no offset; write it like \+90s/],
    [{ a: [{ b: '<lenght 3>' }] }, /no marker/],
  ])('that cannot be read is told with its place: %j', (pattern, message) => {
    const [problem, ...others] = problemsIn(pattern);

    expect(others).toEqual([]);
    expect(problem?.message).toMatch(message);
  });
});

describe('a slot', () => {
  it('puts captures, instants and repetitions into texts and keys', () => {
    const at = frame({
      captures: new Map<string, unknown>([
        ['run', 'r1'],
        ['n', 3],
      ]),
    });

    expect(
      fillAll({ '{{run}}': ['a {{run}} {{n}}', '{{n}}', '{{+1h}}', '{{ab*3}}', '{{x*2}}y'] }, at),
    ).toEqual({
      r1: ['a r1 3', 3, '2026-06-01T07:59:00.000Z', 'ababab', 'xxy'],
    });
  });

  it('that nothing has set is refused', () => {
    expect(() => fillAll('{{run}}', frame())).toThrow('{{run}} was not captured before this step');
  });
});
