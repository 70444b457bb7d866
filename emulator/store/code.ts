/** The code that agents run: each zip once, by its digest, for as long as a version runs it. */
import type { Store } from './store.ts';

export const CODE_TABLES = `
CREATE TABLE code (sha256 TEXT PRIMARY KEY, zip BLOB NOT NULL) STRICT;
`;

export function keepCode(store: Store, sha256: string, zip: Uint8Array): void {
  store.sql('INSERT OR IGNORE INTO code VALUES (?, ?)').run(sha256, zip);
}

export function readCode(store: Store, sha256: string): Buffer | undefined {
  const row = store.sql('SELECT zip FROM code WHERE sha256 = ?').get(sha256);
  return (row as { zip: Buffer } | undefined)?.zip;
}

/** Drops what no version runs any more. */
export function dropUnusedCode(store: Store): void {
  store
    .sql(
      'DELETE FROM code WHERE sha256 NOT IN (SELECT code_sha256 FROM agent_version WHERE code_sha256 IS NOT NULL)',
    )
    .run();
}
