/**
 * Expectations. Objects match as subsets, arrays whole and in order, types are strict. A marker such as `<string as run>`
 * stands for what is not known beforehand; `+1m` is the instant one minute after the scenario's `now`.
 */
import { parseDuration, showDuration } from '../contracts/duration.ts';
import { type Frame, fillIn, PatternError, readOffset } from './slot.ts';

export type Key = string | number;

export interface Mismatch {
  /** Where in the expectation. */
  pattern: Key[];
  /** Where in the answer, as people write it: `data[0].phase`. */
  where: string;
  expected: string;
  actual: string;
}

const MARKER = /^<(.+)>$/s;
const REGEX = /^\/(.*)\/([imsu]*)$/s;
const TYPES = ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null', 'any'];
const ABSENT = Symbol('absent');

type Marker =
  | { kind: 'type'; type: string }
  | { kind: 'absent' }
  | { kind: 'rest' }
  | { kind: 'regex'; regex: RegExp }
  | {
      kind: 'instant';
      form: 'instant' | 'iso' | 'unix';
      offset?: number;
      near?: number;
    }
  | { kind: 'not'; value: unknown }
  | { kind: 'length'; length: number };

interface Read {
  marker: Marker;
  as: string | undefined;
}

/** What is wrong with an expectation, by its place in it; reads every marker without an answer at hand. */
export function problemsIn(pattern: unknown): { path: Key[]; message: string }[] {
  const found: { path: Key[]; message: string }[] = [];
  const visit = (value: unknown, path: Key[]) => {
    if (typeof value === 'string') {
      try {
        // A capture may stand for anything that a marker names.
        readMarker(value.replace(/\{\{[^}]*\}\}/g, '1'));
        if (
          /^[+-]\d[\d.a-z]*$/.test(value) &&
          readOffset(value) === undefined &&
          !/^[+-][\d.]+$/.test(value)
        )
          found.push({ path, message: `${value} is no offset; write it like +90s, +1m3s or +2d` });
      } catch (error) {
        if (!(error instanceof PatternError)) throw error;
        found.push({ path, message: error.message });
      }
    } else if (Array.isArray(value)) {
      if (value.filter((item) => item === '<rest>').length > 1)
        found.push({ path, message: 'a list can have only one <rest>' });
      for (const [index, item] of value.entries()) visit(item, [...path, index]);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) visit(item, [...path, key]);
    }
  };
  visit(pattern, []);
  return found;
}

/** The names that an expectation captures, in order. */
export function capturesIn(pattern: unknown): string[] {
  if (typeof pattern === 'string') {
    const name = / as (\w+)>$/.exec(pattern)?.[1];
    return MARKER.test(pattern) && name !== undefined ? [name] : [];
  }
  if (typeof pattern !== 'object' || pattern === null) return [];
  return Object.values(pattern).flatMap(capturesIn);
}

function readMarker(text: string): Read | undefined {
  const inner = MARKER.exec(text)?.[1];
  if (inner === undefined) return undefined;
  const named = /^(.+) as ([A-Za-z_]\w*)$/s.exec(inner);
  const body = named?.[1] ?? inner;
  const marker = markerOf(body);
  if (marker === undefined)
    throw new PatternError(
      `${text} is no marker. There are <string>, <number>, <integer>, <boolean>, <object>, <array>, <null>, <any>, <absent>, <rest>, </regex/>, <instant>, <iso>, <unix> (with +1m and ±1s), <not VALUE>, <length N>; " as name" keeps what was found.`,
    );
  return { marker, as: named?.[2] };
}

function markerOf(body: string): Marker | undefined {
  if (TYPES.includes(body)) return { kind: 'type', type: body };
  if (body === 'absent' || body === 'rest') return { kind: body };
  const regex = REGEX.exec(body);
  if (regex) {
    try {
      return { kind: 'regex', regex: new RegExp(regex[1] ?? '', regex[2]) };
    } catch (error) {
      throw new PatternError(`<${body}>: ${(error as Error).message}`);
    }
  }
  const [word = '', ...rest] = body.split(' ');
  if (word === 'instant' || word === 'iso' || word === 'unix') return instantOf(word, rest);
  if (word === 'not') return { kind: 'not', value: literal(body.slice('not '.length)) };
  if (word === 'length' && /^\d+$/.test(rest.join(' ')))
    return { kind: 'length', length: Number(rest[0]) };
  return undefined;
}

function instantOf(form: 'instant' | 'iso' | 'unix', words: string[]): Marker | undefined {
  const marker: Marker = { kind: 'instant', form };
  for (const word of words) {
    const offset = readOffset(word);
    const near = word.startsWith('±') ? parseDuration(word.slice(1)) : undefined;
    if (offset !== undefined) marker.offset = offset;
    else if (near !== undefined) marker.near = near;
    else return undefined;
  }
  return marker;
}

function literal(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What an answer does not keep of an expectation; nothing when it keeps all. Captures are set on the way. */
export function match(pattern: unknown, actual: unknown, frame: Frame): Mismatch[] {
  const found: Mismatch[] = [];
  // An answer without a body has nothing to compare.
  compare(pattern, actual === undefined ? ABSENT : actual, { frame, found, path: [], where: '' });
  return found;
}

interface Place {
  frame: Frame;
  found: Mismatch[];
  path: Key[];
  where: string;
  /** The fields that are there, where one of them is looked for. */
  beside?: readonly string[];
}

function compare(pattern: unknown, actual: unknown, at: Place): void {
  let expected: unknown = pattern;
  let read: Read | undefined;
  try {
    if (typeof pattern === 'string') expected = fillIn(pattern, at.frame);
    if (typeof pattern === 'string' && typeof expected === 'string') read = readMarker(expected);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    // What should have been captured before it was not there to be found, or makes no marker.
    miss(at, `${String(pattern)} (${error.message})`, actual);
    return;
  }
  if (read) {
    if (!fits(read.marker, actual, at.frame)) miss(at, expected as string, actual);
    else if (read.as !== undefined) at.frame.captures.set(read.as, actual);
    return;
  }
  if (typeof expected === 'string') {
    const offset = readOffset(expected);
    const marker: Marker = {
      kind: 'instant',
      form: 'instant',
      ...(offset === undefined ? {} : { offset }),
    };
    const kept = offset === undefined ? expected === actual : fits(marker, actual, at.frame);
    if (!kept) miss(at, offset === undefined ? shown(expected) : expected, actual);
  } else if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) miss(at, 'a list', actual);
    else compareLists(expected, actual, at);
  } else if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) {
      miss(at, 'an object', actual);
      return;
    }
    for (const [written, inner] of Object.entries(expected)) {
      const key = filledKey(written, at.frame);
      const there = Object.hasOwn(actual, key);
      const value = there ? (actual as Record<string, unknown>)[key] : ABSENT;
      compare(inner, value, {
        ...at,
        beside: Object.keys(actual),
        path: [...at.path, written],
        where: at.where === '' ? key : `${at.where}.${key}`,
      });
    }
  } else if (expected !== actual) {
    miss(at, shown(expected), actual);
  }
}

/** A name that cannot be filled in is looked for as it is written, and not found. */
function filledKey(written: string, frame: Frame): string {
  try {
    return String(fillIn(written, frame));
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return written;
  }
}

function compareLists(expected: unknown[], actual: unknown[], at: Place): void {
  const rest = expected.indexOf('<rest>');
  const fixed = rest < 0 ? expected.length : expected.length - 1;
  if (rest < 0 ? actual.length !== fixed : actual.length < fixed) {
    const came = actual.length === 0 ? 'no items' : `${counted(actual.length)}: ${shown(actual)}`;
    miss(at, `${rest < 0 ? '' : 'at least '}${counted(fixed)}`, actual, came);
    return;
  }
  const skipped = actual.length - fixed;
  for (const [index, inner] of expected.entries()) {
    if (index === rest) continue;
    const place = rest >= 0 && index > rest ? index - 1 + skipped : index;
    compare(inner, actual[place], {
      ...at,
      beside: [],
      path: [...at.path, index],
      where: `${at.where}[${place}]`,
    });
  }
}

function counted(items: number): string {
  if (items === 0) return 'no items';
  return items === 1 ? '1 item' : `${items} items`;
}

function fits(marker: Marker, actual: unknown, frame: Frame): boolean {
  switch (marker.kind) {
    case 'absent':
      return actual === ABSENT;
    case 'rest':
      return true;
    case 'type':
      return isOf(marker.type, actual);
    case 'regex':
      return typeof actual === 'string' && marker.regex.test(actual);
    case 'not':
      return actual !== ABSENT && JSON.stringify(actual) !== JSON.stringify(marker.value);
    case 'length':
      return lengthOf(actual) === marker.length;
    case 'instant':
      return isInstant(marker, actual, frame);
  }
}

function isOf(type: string, actual: unknown): boolean {
  if (actual === ABSENT) return false;
  switch (type) {
    case 'any':
      return true;
    case 'null':
      return actual === null;
    case 'array':
      return Array.isArray(actual);
    case 'object':
      return typeof actual === 'object' && actual !== null && !Array.isArray(actual);
    case 'integer':
      return Number.isInteger(actual);
    default:
      return typeof actual === type;
  }
}

function lengthOf(actual: unknown): number | undefined {
  if (typeof actual === 'string' || Array.isArray(actual)) return actual.length;
  if (typeof actual === 'object' && actual !== null) return Object.keys(actual).length;
  return undefined;
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function isInstant(
  { form, offset, near }: Extract<Marker, { kind: 'instant' }>,
  actual: unknown,
  frame: Frame,
): boolean {
  const iso = typeof actual === 'string' && ISO.test(actual);
  if (
    form === 'iso'
      ? !iso
      : form === 'unix'
        ? typeof actual !== 'number'
        : !iso && typeof actual !== 'number'
  )
    return false;
  const at = iso ? Date.parse(actual as string) : (actual as number) * 1_000;
  if (Number.isNaN(at)) return false;
  // A tolerance without an offset is about now.
  if (offset === undefined && near === undefined) return true;
  const wanted = offset === undefined ? frame.now : frame.start + offset;
  const tolerance = near ?? frame.toleranceMs;
  // Where an instant is written in whole seconds, more than that cannot be expected of it.
  const whole = !iso || !(actual as string).includes('.');
  const cut = tolerance === 0 && whole ? Math.floor(wanted / 1_000) * 1_000 : wanted;
  return Math.abs(at - cut) <= tolerance;
}

function miss(at: Place, expected: string, actual: unknown, text?: string): void {
  const isInstant = /^(?:[+-]\d|<(?:instant|iso|unix)\b)/.test(expected);
  at.found.push({
    pattern: at.path,
    where: at.where === '' ? '(the whole)' : at.where,
    expected,
    actual: text ?? (actual === ABSENT ? absent(at) : said(actual, at.frame, isInstant)),
  });
}

/** A name that is misspelt is found beside those that are there. */
function absent({ beside = [] }: Place): string {
  return beside.length === 0 ? '(absent)' : `(absent; there are ${beside.join(', ')})`;
}

/** An instant is told with its offset too, since that is how it is expected. */
function said(actual: unknown, frame: Frame, isInstant: boolean): string {
  const iso = typeof actual === 'string' && ISO.test(actual);
  if (!iso && !(isInstant && typeof actual === 'number')) return shown(actual);
  const offset = (iso ? Date.parse(actual) : Number(actual) * 1_000) - frame.start;
  return `${shown(actual)} (${offset < 0 ? '' : '+'}${showDuration(offset)})`;
}

/** A value in one line, cut where it would fill the screen. */
export function shown(value: unknown, max = 300): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > max ? `${text.slice(0, max - 1)}…` : text;
}
