/**
 * Identity and chance. Ids and fault draws are hashes of what they are for, never of the order in which they were asked for,
 * so that two clients working side by side get the same ids whoever comes first.
 */
import { hash, randomFillSync } from 'node:crypto';

/** Draws by key from one seed. */
export interface Draw {
  readonly seed: string;
  /** `prefix` and 24 hex digits that depend on the seed, the purpose, the parent and the ordinal only. */
  id(prefix: string, purpose: string, parent: string, ordinal: number | string): string;
  /** A number in [0, 1) by the same key. */
  fraction(purpose: string, parent: string, ordinal: number | string): number;
  /** A UUID by the same key. */
  uuid(purpose: string, parent: string, ordinal: number | string): string;
}

export function drawFrom(seed: string): Draw {
  const digest = (purpose: string, parent: string, ordinal: number | string) =>
    hash('sha256', `${seed}\n${purpose}\n${parent}\n${ordinal}`, 'hex');
  return {
    seed,
    id: (prefix, purpose, parent, ordinal) =>
      `${prefix}${digest(purpose, parent, ordinal).slice(0, 24)}`,
    fraction: (purpose, parent, ordinal) =>
      Number.parseInt(digest(purpose, parent, ordinal).slice(0, 13), 16) / 2 ** 52,
    uuid(purpose, parent, ordinal) {
      const hex = digest(purpose, parent, ordinal);
      const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
    },
  };
}

/** Filled at once: a draw of its own for each request id cost a twelfth of a read (measured). */
const pool = Buffer.alloc(4_096);
let drawn = pool.length;

/** Real randomness, for what must not repeat: an unnamed seed, a token's id, a certificate's serial. */
export function randomHex(bytes: number): string {
  if (drawn + bytes > pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += bytes;
  return pool.toString('hex', drawn - bytes, drawn);
}
