/** What a flag, a variable or a key of foundrite.yaml says, read: each throws what to write instead. */
import { isIP } from 'node:net';
import type { Instant } from '../emulator/clock.ts';
import { shown } from '../emulator/errors.ts';

export function text(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw new Error('write a text.');
  return String(value);
}

/** What a call can bear; blanks around it are none of it, as in a header. */
export function token(value: unknown): string {
  const written = text(value).trim();
  if (written === '') throw new Error('it is empty. Write a text, or leave it out.');
  if (/\s/.test(written)) throw new Error('it holds blanks, which no call can bear.');
  return written;
}

/** `auto`: for those who bear a token, if there is one. */
export function control(value: unknown): boolean | 'auto' {
  if (value === 'auto') return value;
  try {
    return yesOrNo(value);
  } catch {
    throw new Error('write true, false or auto.');
  }
}

export function wholeNumber(min: number, max: number): (value: unknown) => number {
  return (value) => {
    const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max))
      throw new Error(`write a whole number from ${min} to ${max}.`);
    return number;
  };
}

export function oneOf<const T extends string>(...values: T[]): (value: unknown) => T {
  return (value) => {
    if (!values.includes(value as T)) throw new Error(`write one of ${values.join(', ')}.`);
    return value as T;
  };
}

export function yesOrNo(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  if (value === '1' || value === 'true') return true;
  if (value === '0' || value === 'false') return false;
  throw new Error('write true or false.');
}

const INSTANT = /^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d))$/;

export function instant(value: unknown): Instant {
  const at = typeof value === 'string' && INSTANT.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at)) throw new Error('write date, time and zone, like 2026-06-01T07:00:00Z.');
  return at;
}

/** `a=1` by flag (repeated), `a=1,b=2` by variable, a mapping in the file. */
export function pairs(value: unknown): Record<string, string> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, text(one)]));
  }
  const written = Array.isArray(value) ? value.map(String) : String(value).split(/[,\n]/);
  return Object.fromEntries(
    written
      .map((pair) => pair.trim())
      .filter((pair) => pair !== '')
      .map((pair) => {
        const cut = pair.indexOf('=');
        if (cut < 1) throw new Error(`write name=value; ${shown(pair)} is not.`);
        return [pair.slice(0, cut).trim(), pair.slice(cut + 1).trim()];
      }),
  );
}

export function numbersIn(settings: Record<string, string>): Record<string, number | string> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value,
    ]),
  );
}

const HOST_NAME =
  /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

export function hostNames(value: unknown): string[] {
  const names = Array.isArray(value) ? value.map(String) : String(value).split(',');
  return names.map((written) => {
    const name = written.trim();
    if (isIP(name) === 0 && !HOST_NAME.test(name)) {
      throw new Error(`write a host name or an address; ${shown(name)} is neither.`);
    }
    return name;
  });
}
