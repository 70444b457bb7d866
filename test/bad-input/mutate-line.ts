/** One mutation away from a valid request line: the path, the query, the method. */
import { type Draw, type Mutated, plain } from './draw.ts';
import type { Valid } from './valid.ts';

export function byPath(from: Valid, draw: Draw): Mutated {
  const [path = '', query] = from.path.split('?');
  const segments = path.split('/');
  const last = segments.length - 1;
  const index = 2 + draw.below(last - 1);
  const [name = '', verb = ''] = (segments[index] ?? '').split(/(?=:[a-z_]+$)/);
  const replaced = (segment: string) => segments.with(index, segment).join('/');
  const inserted = (segment: string) => segments.toSpliced(index, 0, segment).join('/');
  const [kind, made] = draw.of<[string, string]>([
    [
      'name',
      replaced(
        draw.of([
          'other',
          'x'.repeat(128),
          'x'.repeat(129),
          'x'.repeat(3_000),
          '0',
          '-',
          '.',
          '_',
          '*',
          "'",
          ';a=b',
          '@',
          '~',
          '$',
          '+',
          'a,b',
          '=',
          '!',
        ]) + verb,
      ),
    ],
    [
      'prototype',
      replaced(draw.of(['__proto__', 'constructor', 'toString', 'hasOwnProperty']) + verb),
    ],
    [
      'encoded',
      replaced(
        draw.of([
          '%2f',
          'a%2Fb',
          '%00',
          'a%00',
          '%2e%2e',
          '%2E',
          '%5c',
          '%3a',
          '%3Aenable',
          '%25',
          '%20',
          '%0d%0a',
          '%7f',
          '%c3%a9',
          'e%cc%81',
          '%f0%9f%98%80',
          '%e2%80%ae',
          '%23',
          '%3f',
        ]) + verb,
      ),
    ],
    [
      'not encoding',
      replaced(draw.of(['%', '%z', '%zz', '%2', '%ff', '%ed%a0%80', '%c0%af', 'a%']) + verb),
    ],
    [
      'raw bytes',
      replaced(draw.of(['\u00e9', '\u00ff\u00fe', '"', '<a>', '{x}', '|', '^', '`']) + verb),
    ],
    ['case', replaced((segments[index] ?? '').toUpperCase())],
    ['empty segment', replaced('')],
    ['no name', replaced(verb)],
    ['dropped', segments.toSpliced(index, 1).join('/')],
    ['inserted', inserted(draw.of(['x', 'agents', 'endpoint', '_emulator', 'v1']))],
    ['dots', inserted(draw.of(['.', '..', '%2e%2e', '..;']))],
    ['slash', draw.of([`${path}/`, `/${path}`, inserted(''), `${path}//`])],
    ['backslash', draw.of([replaced(`a\\b${verb}`), path.replace('/', '\\'), `${path}\\..\\x`])],
    [
      'verb',
      `${replaced(name)}${draw.of([':foo', ':', ':enable', ':dispatch', ':dispatchAsync', ':ENABLE', ':reset', ':fire', '::enable', ':enable:enable'])}`,
    ],
    ['fragment', `${path}#x`],
  ]);
  return {
    from,
    mutation: { kind: `path ${kind}` },
    raw: { ...plain(from), path: query === undefined ? made : `${made}?${query}` },
  };
}

/** Values of the parameters that the API knows, most of them wrong. */
const PARAMETERS: Record<string, readonly string[]> = {
  limit: [
    '-1',
    '0',
    '1',
    '100',
    '101',
    '10000',
    '10001',
    '1.5',
    '1e2',
    '0x10',
    'NaN',
    ' 5',
    '+5',
    '٣',
    '99999999999999999999',
    'true',
  ],
  order: ['ASC', 'asc', 'up', 'asc,desc', 'constructor', '%00'],
  after: [
    'nothing',
    '__proto__',
    '%00',
    '-1',
    '1.5',
    '99999999999999999999',
    '%F0%9F%98%80',
    'x'.repeat(5_000),
  ],
  before: ['x', 'digest', '%00', '__proto__'],
  filter: [
    'x',
    "constructor%3D'a'",
    "__proto__%20!%3D%20'a'",
    "toString%3D'a'",
    "status%3D'__proto__'",
    "status%3D'constructor'",
    "phase%3D'x'%20and%20",
    "id%3D'a'%00",
    'start_time>1e309',
    'start_time>99999999999999999999999',
    'x'.repeat(3_000),
    "trigger_name%3D'😀'",
  ],
  'api-version': ['v2', '2025-05-01', 'V1', '%00', 'x'.repeat(1_000)],
  force: ['yes', 'TRUE', '1'],
  include_drafts: ['yes', 'TRUE', '1', 'null'],
  recursive: ['yes', 'TRUE', '0'],
  follow: ['no', 'FALSE', 'false'],
  tail: ['0', '1', '301', '-1', '1.5', '1e2', 'x'],
  path: [
    '',
    '/',
    '..',
    'a/../../b',
    '%00',
    'data',
    'notes.txt/x',
    'none',
    'x'.repeat(1_025),
    '%F0%9F%98%80',
  ],
  agent_version: ['0', '2', 'draft-1', '@latest', '__proto__', '%00'],
  agent_name: ['digest', 'nobody', '%00', 'x'.repeat(3_000)],
  agent_id: ['digest:1', ':', 'digest', '::', '%00', '__proto__'],
  conversation_id: ['none', '%00', '__proto__'],
  run_id: ['nothing', '%00', '__proto__'],
  include: ['x', '', '%00'],
  item_type: ['message', 'x', '__proto__'],
  pagination_token: ['nothing', '%00', 'session-1'],
  agent_session_id: ['%00', 'x'.repeat(256), 'x'.repeat(257), '%0d%0a', '😀', '%F0%9F%98%80'],
  kind: ['none', ',', ',,,', 'request,', '__proto__', 'a,'.repeat(2_000)],
  run: ['nothing', '%00', '__proto__'],
  routine: ['nothing', '%00', '__proto__'],
  wait: ['-1', '0', '1e3', 'P', 'x', '99999999999999999999', '5', 'PT0S', '1.5'],
  canonical: ['yes', 'TRUE', '1', 'true', 'false'],
  basis: ['x', '__proto__', 'constructor', 'Assumed'],
  area: ['x', '__proto__', 'constructor', 'Routine'],
  resource: ['https://management.azure.com', 'https://ai.azure.com/', 'x', '%00'],
};

export function byQuery(from: Valid, draw: Draw): Mutated {
  const [path = '', query = ''] = from.path.split('?');
  const parts = query.split('&').filter(Boolean);
  const own = draw.of(parts.length > 0 ? parts : ['api-version=v1']);
  const [ownName = ''] = own.split('=');
  const known = draw.of(Object.keys(PARAMETERS));
  // Mostly those that the operation has, since the others are ignored.
  const name = parts.length > 0 && draw.fraction() < 0.6 ? ownName : known;
  const rest = parts.filter((part) => !part.startsWith(`${name}=`));
  const value = draw.of(PARAMETERS[name] ?? ['']);
  const [kind, made, at] = draw.of<[string, string[], string?]>([
    [`${name}`, [...rest, `${name}=${value}`], name],
    [`${name}`, [...rest, `${name}=${value}`], name],
    [`${name}`, [...rest, `${name}=${value}`], name],
    ['empty', [...rest, `${name}=`], name],
    ['bare', [...rest, name], name],
    ['dropped', parts.filter((part) => part !== own), ownName],
    [
      'unknown',
      [
        ...parts,
        draw.of([
          'x=1',
          'toString',
          '__proto__=1',
          'constructor[a]=1',
          '$top=1',
          'api_version=v1',
          'Limit=0',
        ]),
      ],
    ],
    ['repeated', [...parts, own]],
    ['repeated otherwise', [...parts, `${name}=${value}`], name],
    ['not encoding', [...parts, draw.of(['x=%zz', '%', 'x=%ff', '%ed%a0%80=1', 'limit=%'])]],
    [
      'shape',
      [draw.of(['&', '&&&', '=', '=x', '?', '?limit=1', '#', ';limit=1', 'a'.repeat(20_000)])],
    ],
  ]);
  return {
    from,
    mutation: { kind: `query ${kind}`, ...(at === undefined ? {} : { at }), value },
    raw: { ...plain(from), path: `${path}?${made.join('&')}` },
  };
}

export function byMethod(from: Valid, draw: Draw): Mutated {
  const others = [
    'GET',
    'HEAD',
    'PUT',
    'POST',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'PROPFIND',
    'QUERY',
    'FOO',
    'get',
    'G\u0000T',
  ];
  const method = draw.of(others.filter((other) => other !== from.method));
  return {
    from,
    mutation: { kind: 'method', value: method },
    raw: { ...plain(from), method },
  };
}
