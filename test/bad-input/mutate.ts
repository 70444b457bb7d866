/** One mutation away from a valid request. */
import { type Draw, type Mutated, plain } from './draw.ts';
import { byBody, byText } from './mutate-body.ts';
import { byBytes, byForm } from './mutate-bytes.ts';
import { byMethod, byPath, byQuery } from './mutate-line.ts';
import type { Valid } from './valid.ts';

export function mutate(from: Valid, draw: Draw): Mutated {
  const ways = [byPath, byQuery, byHeader, byMethod, byText];
  const ofLine = from.body === undefined || draw.fraction() >= 0.7;
  if (ofLine) return draw.of(ways)(from, draw);
  if (Buffer.isBuffer(from.body)) return byBytes(from, draw);
  return from.code !== undefined && draw.fraction() < 0.5 ? byForm(from, draw) : byBody(from, draw);
}

function byHeader(from: Valid, draw: Draw): Mutated {
  const request = plain(from);
  const [name, value] = draw.of<[string, string | undefined]>([
    [
      'content-type',
      draw.of([
        'text/plain',
        'application/xml',
        'multipart/form-data; boundary=x',
        'application/json; charset=utf-16',
        'x',
        '',
        'application/merge-patch+json',
        '\u00ff',
      ]),
    ],
    ['content-type', undefined],
    [
      'accept',
      draw.of([
        'application/xml',
        'text/event-stream',
        'application/x-ndjson',
        '*/*;q=0',
        '',
        'x'.repeat(5_000),
      ]),
    ],
    [
      'authorization',
      draw.of([
        '',
        'Bearer',
        'Bearer ',
        'Basic abc',
        'bearer x',
        'Bearer a b',
        'Bearer  x',
        'Bearer a.b.c',
        'Bearer a.e30.c',
        'Bearer a.bnVsbA.c',
        'Bearer \u00ff',
        'Token x',
        `Bearer ${'x'.repeat(20_000)}`,
      ]),
    ],
    ['authorization', undefined],
    ['foundry-features', draw.of(['', 'Routines=V9', ',,,', '\u00ff', 'x'.repeat(5_000)])],
    ['x-ms-client-request-id', draw.of(['', '\u00ff', 'x'.repeat(5_000), '../..', '<script>'])],
    ['x-ms-user-identity', draw.of(['', 'a b', '\u00ff', 'x'.repeat(257), 'me@example.com'])],
    ['x-session-isolation-key', draw.of(['', '\u00ff', 'x'.repeat(5_000)])],
    ['x-ms-code-zip-sha256', draw.of(['', 'x', '0'.repeat(64)])],
    ['x-ms-agent-name', draw.of(['', 'a_b', '\u00ff', 'x'.repeat(64), 'digest'])],
    ['x-foundrite-peek', draw.of(['', '0', 'x'])],
    ['x-identity-header', draw.of(['', 'x', '\u00ff'])],
    ['x-identity-header', undefined],
    ['user-agent', draw.of(['', 'curl/8', 'azsdk-js-x', '\u00ff', 'x'.repeat(5_000)])],
    [
      'host',
      draw.of([
        'evil.test',
        'localhost:99999',
        'localhost.evil.test',
        '127.0.0.1:1',
        'LOCALHOST',
        'user@localhost',
        'local host',
        '[::1]',
        '[::1',
        '',
        'localhost:x',
        'x.services.ai.azure.com',
        '\u00ff',
      ]),
    ],
    ['host', undefined],
    ['content-length', draw.of(['-1', 'x', '+1', '0x1', '1e1', '1,1', ''])],
    ['content-encoding', draw.of(['gzip', 'br', 'identity', 'x'])],
    ['transfer-encoding', draw.of(['gzip', 'x', 'chunked, gzip', ''])],
    ['expect', draw.of(['100-continue', 'x'])],
    ['connection', draw.of(['close', 'x', 'keep-alive, x'])],
    ['upgrade', draw.of(['websocket', 'h2c'])],
    ['cookie', draw.of(['a=b', '\u00ff', 'x'.repeat(5_000)])],
    ['origin', 'https://evil.test'],
    ['if-match', draw.of(['*', '"x"'])],
    ['range', 'bytes=0-0'],
    ['x-http-method-override', 'DELETE'],
    ['x-forwarded-host', 'evil.test'],
    ['__proto__', 'x'],
    ['constructor', 'x'],
    ['bad name', 'x'],
    ['x-control', 'a\u0000b'],
    ['x-bell', 'a\u0007b'],
    ['x-folded', 'a\r\n b'],
  ]);
  const others = request.headers.filter(([other]) => other !== name);
  const headers = value === undefined ? others : [...others, [name, value] as const];
  const gone = value === undefined ? ' dropped' : '';
  return {
    from,
    mutation: { kind: `header ${name}${gone}`, at: name, value },
    raw: { ...request, headers },
  };
}
