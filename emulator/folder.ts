/** Makes folders. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * For its owner alone; one that is there stays as it is. Throws what the system says. Not Node's own recursive way, which never comes
 * back where a folder that is there takes no entry and says ENOENT, as /proc does.
 */
export function makeFolder(path: string): void {
  if (existsSync(path)) {
    // Passes a folder; a file that is in its place says EEXIST.
    mkdirSync(path, { recursive: true });
    return;
  }
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may have made it meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
