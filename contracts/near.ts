/** Finds what somebody meant who wrote a name that there is not. */

const NEAR_MAX = 3;
/** From 0, nothing in common, to 1. */
const NEAR_MIN = 0.5;

/** A sentence, after a blank, with the names that are most like what was written; nothing if none is. */
export function near(text: string, names: readonly string[]): string {
  const found = nearest(text, names);
  return found.length === 0 ? '' : ` Near it: ${found.join(', ')}.`;
}

export function nearest(text: string, names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, likeness: Math.max(samePairs(text, name), sameOrder(text, name)) }))
    .filter((each) => each.likeness >= NEAR_MIN)
    .sort((one, other) => other.likeness - one.likeness)
    .slice(0, NEAR_MAX)
    .map(({ name }) => name);
}

/** The share of neighbouring letters that two words have both: it finds shortened ones. */
function samePairs(one: string, other: string): number {
  const [pairs, others] = [pairsOf(one), pairsOf(other)];
  const shared = [...pairs].filter((pair) => others.has(pair)).length;
  return (2 * shared) / Math.max(pairs.size + others.size, 1);
}

function pairsOf(text: string): Set<string> {
  return new Set(
    Array.from({ length: Math.max(text.length - 1, 0) }, (_, at) => text.slice(at, at + 2)),
  );
}

/** By how many letters were left out, added, mistaken or swapped with the next: it finds slips of the fingers. */
function sameOrder(one: string, other: string): number {
  let [before, row]: [number[], number[]] = [
    [],
    Array.from({ length: other.length + 1 }, (_, j) => j),
  ];
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1;
      const swapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      next[j] = Math.min(
        at(row, j) + 1,
        at(next, j - 1) + 1,
        at(row, j - 1) + cost,
        swapped ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, row] = [row, next];
  }
  return 1 - at(row, other.length) / Math.max(one.length, other.length, 1);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
