/** Paths of fields, as messages write them and as they are followed. */

/** A key, or a place in a list. */
export type Key = string | number;

/** The path of a field as messages write it, `triggers.a.b[0]`: names may hold dots, so the value decides where one ends. */
export function pathIn(value: unknown, written: string): Key[] {
  if (written === '') return [];
  const index = /^\[(\d+)\]\.?/.exec(written);
  if (index)
    return [
      Number(index[1]),
      ...pathIn((value as unknown[])?.[Number(index[1])], rest(written, index[0])),
    ];
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  const found = keys
    .filter((key) => written.startsWith(key) && /^(?:$|[.[])/.test(written.slice(key.length)))
    .sort((one, other) => other.length - one.length)[0];
  if (found === undefined) return [written];
  const below = written.slice(found.length).replace(/^\./, '');
  return [found, ...pathIn((value as Record<string, unknown>)[found], below)];
}

function rest(text: string, begin: string): string {
  return text.slice(begin.length);
}
