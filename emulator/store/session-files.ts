/** The files of sessions: folders and bytes below the home of each. */
import type { Instant } from '../clock.ts';
import type { Store } from './store.ts';

export const SESSION_FILE_TABLES = `
CREATE TABLE session_file (
  session INTEGER NOT NULL,
  path TEXT NOT NULL,
  folder TEXT NOT NULL,
  content BLOB,
  modified_at INTEGER NOT NULL,
  PRIMARY KEY (session, path)
) STRICT;
CREATE INDEX session_file_folder ON session_file (session, folder, path);
`;

/** What is told of a file or folder without its bytes. */
export interface FileEntry {
  /** Below the home, without a slash at either end, e.g. `data/in.csv`. */
  path: string;
  /** Bytes; null for a folder. */
  size: number | null;
  modified_at: Instant;
}

const ENTRY = 'SELECT path, length(content) AS size, modified_at FROM session_file';

export function findFile(store: Store, session: number, path: string): FileEntry | undefined {
  return store.sql(`${ENTRY} WHERE session = ? AND path = ?`).get(session, path) as
    | FileEntry
    | undefined;
}

export function readFile(store: Store, session: number, path: string): Buffer | undefined {
  const row = store
    .sql('SELECT content FROM session_file WHERE session = ? AND path = ?')
    .get(session, path) as { content: Buffer | null } | undefined;
  return row?.content ?? undefined;
}

/** Writes a file, or a folder where there is no content. */
export function putFile(
  store: Store,
  file: { session: number; path: string; content: Buffer | null; modified_at: Instant },
): void {
  store
    .sql(
      'INSERT OR REPLACE INTO session_file VALUES (@session, @path, @folder, @content, @modified_at)',
    )
    .run({ ...file, folder: folderOf(file.path) });
}

/** What lies directly in a folder, by name. */
export function listFolder(store: Store, session: number, folder: string): FileEntry[] {
  return store
    .sql(`${ENTRY} WHERE session = ? AND folder = ? AND path <> '' ORDER BY path`)
    .all(session, folder) as FileEntry[];
}

/** Removes a file, or a folder with all that is below it. */
export function removeFile(store: Store, session: number, path: string): void {
  // '0' is the character after '/': all that begins with the folder's path and a slash.
  store
    .sql('DELETE FROM session_file WHERE session = ? AND (path = ? OR (path > ? AND path < ?))')
    .run(session, path, `${path}/`, `${path}0`);
}

/** The folder that a path lies in; the home is empty. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
