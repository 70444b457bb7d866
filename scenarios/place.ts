/** Where in a YAML text something stands. */
import type { Document, LineCounter } from 'yaml';
import type { Key } from './match.ts';

/** Counted from 1. */
export interface Place {
  line: number;
  column: number;
}

/** Of the value at a path, or of the nearest one around it. */
export function placeIn(document: Document, lines: LineCounter, path: readonly Key[]): Place {
  for (let length = path.length; length >= 0; length -= 1) {
    const offset = offsetOf(document, path.slice(0, length));
    if (offset !== undefined) {
      const { line, col } = lines.linePos(offset);
      return { line, column: col };
    }
  }
  return { line: 1, column: 1 };
}

/** The key of a pair is a better place than its value, which may be absent. */
function offsetOf(document: Document, path: readonly Key[]): number | undefined {
  let node = document.contents as unknown;
  let offset = (node as Ranged | null)?.range?.[0];
  for (const key of path) {
    const { items } = (node ?? {}) as { items?: unknown[] };
    if (!items) return undefined;
    // A key such as 200 is a number in the document and text in a path.
    const pair = (items as Pair[]).find(
      (item) => item?.key && String(item.key.value) === String(key),
    );
    const inner = pair ? pair.value : typeof key === 'number' ? items[key] : undefined;
    if (!pair && inner === undefined) return undefined;
    node = inner;
    offset = (pair?.key ?? (inner as Ranged)).range?.[0];
  }
  return offset;
}

interface Ranged {
  range?: [number, number, number];
}

interface Pair {
  key: Ranged & { value?: unknown };
  value: unknown;
}
