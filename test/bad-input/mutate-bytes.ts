/** One mutation away from a body that is no JSON: a form with its parts, or bytes. */
import { type Draw, type Mutated, plain, rawOf } from './draw.ts';
import type { Valid } from './valid.ts';
import { BOUNDARY, digestOf, FORM_TYPE, formOf, type Part, uploadOf } from './world.ts';

interface Change {
  parts?: readonly Part[];
  /** In place of a well-formed form. */
  body?: Buffer;
  headers?: Record<string, string>;
  fault?: string;
}

/** What is wrong of a form whose JSON is right. */
export function byForm(from: Valid, draw: Draw): Mutated {
  const json = Buffer.from(JSON.stringify(from.body));
  const code = from.code ?? Buffer.alloc(0);
  const [kind, change] = draw.of([
    ...partsWrong(json, code),
    ...formWrong(json, code),
    ...told(code),
  ]);
  const raw = rawOf({ ...from, headers: { ...from.headers, ...change.headers } }, json);
  const body = change.body ?? formOf(change.parts ?? uploadOf(json, code));
  return {
    from,
    mutation: { kind: `form ${kind}`, ...(change.fault ? { fault: change.fault } : {}) },
    raw: { ...raw, body },
  };
}

function partsWrong(json: Buffer, code: Buffer): [string, Change][] {
  const [metadata, zip] = uploadOf(json, code) as [Part, Part];
  const fault = 'a part is missing';
  return [
    ['without metadata', { parts: [zip], fault }],
    ['without code', { parts: [metadata], fault }],
    ['without parts', { parts: [], fault }],
    ['other name', { parts: [{ ...metadata, name: 'Metadata' }, zip], fault }],
    ['other code', { parts: [metadata, { ...zip, name: 'file' }], fault }],
    ['other order', { parts: [zip, metadata] }],
    ['one more', { parts: [metadata, zip, { name: '__proto__', content: json }] }],
    ['repeated', { parts: [metadata, metadata, zip, zip] }],
    ['metadata as a file', { parts: [{ ...metadata, more: '; filename="m.json"' }, zip] }],
    ['code without a file name', { parts: [metadata, { name: 'code', content: code }] }],
    [
      'no zip',
      { parts: [metadata, { ...zip, content: Buffer.from('text') }], fault: 'the code is no zip' },
    ],
    [
      'empty code',
      { parts: [metadata, { ...zip, content: Buffer.alloc(0) }], fault: 'the code is empty' },
    ],
  ];
}

function formWrong(json: Buffer, code: Buffer): [string, Change][] {
  const whole = formOf(uploadOf(json, code));
  const fault = 'it is no form';
  return [
    ['cut', { body: whole.subarray(0, whole.length >> 1), fault }],
    ['not ended', { body: whole.subarray(0, whole.length - BOUNDARY.length - 8), fault }],
    ['other edge', { headers: { 'content-type': FORM_TYPE.replace(BOUNDARY, 'x') }, fault }],
    ['no edge', { headers: { 'content-type': 'multipart/form-data' }, fault }],
    ['long edge', { headers: { 'content-type': `${FORM_TYPE}${'x'.repeat(5_000)}` }, fault }],
    ['JSON', { body: json, fault }],
    ['empty', { body: Buffer.alloc(0), fault }],
    ['other type', { headers: { 'content-type': 'application/zip' }, fault }],
    [
      'line feeds alone',
      { body: Buffer.from(whole.toString('latin1').replaceAll('\r', ''), 'latin1') },
    ],
  ];
}

function told(code: Buffer): [string, Change][] {
  const digest = digestOf(code);
  const says = (text: string) => ({ 'x-ms-code-zip-sha256': text });
  const fault = 'the digest is another';
  return [
    ['digest', { headers: says(digestOf(Buffer.from('x'))), fault }],
    ['digest of no form', { headers: says('x'), fault }],
    ['digest cut', { headers: says(digest.slice(1)), fault }],
    ['digest in capitals', { headers: says(digest.toUpperCase()) }],
  ];
}

/** Any bytes are right where bytes are taken. */
export function byBytes(from: Valid, draw: Draw): Mutated {
  const [kind, body] = draw.of<[string, Buffer]>([
    ['none', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(100)],
    ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
    ['no UTF-8', Buffer.from('c0affff4908080', 'hex')],
    ['beyond the journal', Buffer.alloc(16_385, 'x')],
    ['many', Buffer.alloc(1_000_000, '\u00e9')],
    ['JSON', Buffer.from('{"a":1}')],
    ['half JSON', Buffer.from('{"a":')],
  ]);
  return { from, mutation: { kind: `bytes ${kind}` }, raw: { ...plain(from), body } };
}
