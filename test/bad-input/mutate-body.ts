/** One mutation away from a valid body: one field, one value, or the text itself. */
import { type Draw, type Mutated, rawOf } from './draw.ts';
import type { Valid } from './valid.ts';

/** What is not the value of any field: it stands for text that JSON.stringify would not write. */
const RAW = '\u0001raw\u0001';

const UNICODE = [
  'a\u0000b',
  '\u202eabc',
  '😀',
  '\u00e9',
  'e\u0301',
  '\u200b',
  '\ufeff',
  '\uffff',
  '\u2028',
  'ﬃ',
  'İ',
  "'; DROP TABLE routine; --",
  '%00',
  '../../etc/passwd',
  '{{y}}',
  '\r\nx: y',
];
const KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'unknown',
  '',
  'a-b',
  '0',
  '$ref',
  'a b',
  'content-length',
];
const NUMBERS = [
  -1,
  0,
  1,
  2,
  1.5,
  -0.5,
  100,
  101,
  199,
  200,
  599,
  600,
  2 ** 31,
  2 ** 53,
  1e21,
  -1e21,
];
const NUMBER_TEXTS = ['1e309', '-1e309', '1e-400', '100000000000000000000000', '-0', '1.0', '1E2'];
const LENGTHS = [64, 65, 128, 129, 256, 257, 512, 513, 1024, 1025, 32_768, 32_769, 200_000];
const WORDS = [
  '2026-02-30T00:00:00Z',
  '+275760-09-13T00:00:00.001Z',
  '1e3',
  '-5s',
  '999999999999999999d',
  '1'.repeat(400).concat('ms'),
  '0s',
  'P',
  'NaN',
  'null',
  'true',
  '*/1 * * * *',
  'Mars/Phobos',
  '/',
  '~',
  '/__proto__/x',
  '*',
  'http://',
  'file:///etc/passwd',
  'ftp://x',
];

type Path = (string | number)[];

/** Every place in a value, the whole included. */
function places(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  const inner = keys.flatMap((key) =>
    places((value as Record<string | number, unknown>)[key], [...path, key]),
  );
  return [path, ...inner];
}

function at(value: unknown, path: Path): unknown {
  return path.reduce((node, key) => (node as Record<string | number, unknown>)[key], value);
}

/** As an error names it. */
export function fieldOf(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number' || (/^\d+$/.test(key) && text !== '')) return `${text}[${key}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');
}

export function byBody(from: Valid, draw: Draw): Mutated {
  const body = structuredClone(from.body);
  const path = draw.of(places(body));
  const [kind, value, text] = changed(at(body, path), draw);
  const parentPath = path.slice(0, -1);
  const key = path.at(-1);
  const holder = at(body, parentPath) as Record<string | number, unknown>;
  const made = (what: string, field: Path, now: unknown, whole: unknown = body): Mutated => {
    const json = JSON.stringify(whole);
    const sent = text === undefined ? json : json.replace(JSON.stringify(RAW), () => text);
    return {
      from,
      mutation: { kind: `body ${what}`, at: fieldOf(field), value: now },
      raw: rawOf(from, sent),
    };
  };
  if (key === undefined) return made(`whole ${kind}`, path, value, value);
  const structural = draw.fraction();
  if (structural < 0.2) {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
    return made(Array.isArray(holder) ? 'item dropped' : 'drop', path, undefined);
  }
  if (structural < 0.28 && !Array.isArray(holder)) {
    const other = draw.of([
      `${key}x`,
      String(key).toUpperCase(),
      String(key).replaceAll('_', ''),
      ...KEYS,
    ]);
    const entries = Object.entries(holder).filter(([name]) => name !== key);
    const renamed = Object.fromEntries([...entries, [other, holder[key]]]);
    const grand = parentPath.at(-1);
    if (grand === undefined) return made('rename', path, other, renamed);
    (at(body, parentPath.slice(0, -1)) as Record<string | number, unknown>)[grand] = renamed;
    return made('rename', path, other);
  }
  if (structural < 0.36 && !Array.isArray(holder)) {
    const added = draw.of(KEYS.filter((name) => !Object.hasOwn(holder, name)));
    // Defined, not assigned: __proto__ is to be a field like any other.
    const own = { value: draw.of([1, 'x', null, {}, [], { type: 'x' }]), enumerable: true };
    Object.defineProperty(holder, added, own);
    return made(`add ${added}`, [...parentPath, added], own.value);
  }
  if (structural < 0.4 && Array.isArray(holder)) {
    holder.splice(Number(key), 0, holder[Number(key)]);
    return made('item repeated', parentPath, holder[Number(key)]);
  }
  holder[key] = value;
  return made(kind, path, value);
}

/** Another value in place of one: what was done, the value, and its text where JSON has none for it. */
function changed(old: unknown, draw: Draw): [kind: string, value: unknown, text?: string] {
  const wrong = ['text', 7, true, [], {}, null, 1.5].filter(
    (value) => kindOf(value) !== kindOf(old),
  );
  const ways: (() => [string, unknown, string?])[] = [
    () => ['null', null],
    () => ['type', draw.of(wrong)],
    () => ['type', draw.of(wrong)],
    () => ['empty', draw.of(['', [], {}])],
    () => {
      const depth = draw.of([50, 400, 600, 5_000, 100_000]);
      const open = draw.of(['[', '{"a":']);
      const text = `${open.repeat(depth)}1${(open === '[' ? ']' : '}').repeat(depth)}`;
      return [`nested ${depth}`, RAW, text];
    },
    () => [
      'huge',
      draw.of([
        Array(10_000).fill(0),
        Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`k${i}`, i])),
      ]),
    ],
    () => ['surrogate', RAW, draw.of(['"\\ud800"', '"\\udc00x"', '{"\\ud83d":1}', '"a\\uDBFFb"'])],
  ];
  if (typeof old === 'number') {
    ways.push(
      () => ['number', draw.of(NUMBERS)],
      () => ['number', draw.of(NUMBERS)],
    );
  }
  if (typeof old === 'number' || draw.fraction() < 0.1) {
    const text = draw.of(NUMBER_TEXTS);
    ways.push(() => ['number text', RAW, text]);
  }
  if (typeof old === 'string') {
    ways.push(
      () => ['long', 'x'.repeat(draw.of(LENGTHS))],
      () => ['long', '😀'.repeat(draw.of(LENGTHS) >> 1)],
      () => ['word', draw.of([`${old}x`, old.toUpperCase(), ` ${old}`, old.slice(1), ...WORDS])],
      () => ['word', draw.of([...WORDS])],
      () => ['unicode', draw.of(UNICODE)],
    );
  }
  return draw.of(ways)();
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
}

/** Text that is no JSON, or only just. */
export function byText(from: Valid, draw: Draw): Mutated {
  const { body } = from;
  const text = body === undefined || Buffer.isBuffer(body) ? '{}' : JSON.stringify(body);
  const [kind, sent] = draw.of<[string, string | Buffer]>([
    ['truncated', text.slice(0, 1 + draw.below(Math.max(text.length - 1, 1)))],
    ['garbage after', `${text}${draw.of(['x', '{}', ']', '\0', ','])}`],
    ['comma', text.replace(/([}\]])$/, ',$1')],
    ['no quotes', text.replaceAll('"', '')],
    ['single quotes', text.replaceAll('"', "'")],
    ['comment', `/* a */${text}`],
    ['NaN', text.replace(/:[^,{}[\]]+/, ':NaN')],
    ['hex', text.replace(/:[^,{}[\]]+/, ':0x10')],
    ['control character', text.replace(/"/, '"\n')],
    ['duplicate key', text.replace(/^\{("[^"]+":)/, '{$1"first",$1')],
    ['bad UTF-8', Buffer.concat([Buffer.from('{"a":"'), draw.of(BAD_UTF8), Buffer.from('"}')])],
    ['BOM', `\ufeff${text}`],
    ['UTF-16', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['blank', ' \n\t'],
    ['empty', ''],
    ['YAML', 'a: 1\n'],
    ['XML', '<a/>'],
    ['gzip', Buffer.from('1f8b0800000000000003ab0600aa3ef4a502000000', 'hex')],
  ]);
  return {
    from,
    mutation: { kind: `text ${kind}` },
    raw: rawOf(from, sent),
  };
}

/** A lone continuation, an overlong slash, half a character, a surrogate, and beyond Unicode. */
export const BAD_UTF8 = ['80', 'c0af', 'e282', 'eda080', 'f4908080', 'ff'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
