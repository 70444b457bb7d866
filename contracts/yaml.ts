/**
 * YAML of the checkout, read. Parsing it takes up to a second in every process, so what was read is kept beside the
 * dependencies as JSON, with the text that it was read from. The package has none: there it is JSON already (publish.ts).
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const KEPT = new URL('../node_modules/.cache/foundrite/', import.meta.url);

export function readYaml(file: URL): unknown {
  const text = readFileSync(file, 'utf8');
  const kept = new URL(`${basename(fileURLToPath(file))}.json`, KEPT);
  if (existsSync(kept)) {
    const [from, read] = JSON.parse(readFileSync(kept, 'utf8')) as [string, unknown];
    if (from === text) return read;
  }
  const read: unknown = (require('yaml') as typeof import('yaml')).parse(text);
  keep(kept, JSON.stringify([text, read]));
  return read;
}

function keep(file: URL, text: string): void {
  const draft = new URL(`${file.href}.${process.pid}`);
  try {
    mkdirSync(KEPT, { recursive: true });
    writeFileSync(draft, text);
    // In one step: other processes read it meanwhile.
    renameSync(draft, file);
  } catch (error) {
    // Where nothing can be written the next process parses once more.
    if (!UNWRITABLE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

const UNWRITABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT']);
