/** Which scenario files there are, and which were written while somebody watches. */
import { existsSync, readdirSync, statSync, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../emulator/clock.ts';
import { EXIT, usage } from './exit.ts';

/** Editors write a file more than once. */
const SETTLE_MS = 100;

/** Files as they are named; folders with all that is in them; without any, `scenarios` here, or those of the package. */
export function filesIn(paths: readonly string[]): string[] {
  const files = rootsOf(paths).flatMap((path) => {
    if (!existsSync(path)) throw usage(`"${path}" is not there: name scenario files or folders.`);
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .map((file) => join(path, file))
      .filter(
        (file) => /\.ya?ml$/.test(file) && statSync(file, { throwIfNoEntry: false })?.isFile(),
      )
      .sort();
  });
  if (files.length === 0)
    throw usage(`There is no scenario (*.yaml) in ${rootsOf(paths).join(', ')}.`);
  return [...new Set(files)];
}

function rootsOf(paths: readonly string[]): readonly string[] {
  if (paths.length > 0) return paths;
  return existsSync('scenarios') ? ['scenarios'] : [ownScenarios()];
}

/** One folder up in the checkout, two from what is compiled. */
function ownScenarios(): string {
  const near = fileURLToPath(new URL('../scenarios', import.meta.url));
  const below = fileURLToPath(new URL('../../scenarios', import.meta.url));
  return existsSync(join(near, 'scenario.schema.json')) ? near : below;
}

/** Plays again what was written; ends with the process. */
export function watchFiles(
  paths: readonly string[],
  round: (files: readonly string[]) => Promise<number>,
): void {
  const changed = new Set<string>();
  let cancel = () => {};
  let playing = Promise.resolve();
  const settle = () => {
    const files = [...changed].filter((file) => existsSync(file));
    changed.clear();
    if (files.length === 0) return;
    playing = playing
      .then(() => round(files))
      .then(
        () => {},
        (error: unknown) => void process.stderr.write(`foundrite: ${(error as Error).message}\n`),
      );
  };
  // Folders, not files: many editors put a new file in the place of the old one, whose watcher would hear no more.
  const watched = new Set<string>();
  const watchFolder = (folder: string, wantedFile: (file: string) => boolean) => {
    if (watched.has(folder)) return;
    watched.add(folder);
    watch(folder, (_event, name) => {
      const file = join(folder, String(name));
      if (existsSync(file) && statSync(file).isDirectory()) watchTree(file);
      if (!/\.ya?ml$/.test(file) || !wantedFile(file)) return;
      changed.add(file);
      cancel();
      cancel = systemClock.after(SETTLE_MS, settle);
    });
  };
  const watchTree = (root: string) => {
    watchFolder(root, () => true);
    for (const entry of readdirSync(root, { withFileTypes: true, recursive: true }))
      if (entry.isDirectory()) watchFolder(join(entry.parentPath, entry.name), () => true);
  };
  for (const root of rootsOf(paths)) {
    if (statSync(root).isDirectory()) watchTree(root);
    else watchFolder(dirname(root), (file) => resolve(file) === resolve(root));
  }
  // Nobody sees what it would play.
  process.stdout.once('error', () => process.exit(EXIT.ok));
  process.stdout.write('Watching; Ctrl-C ends.\n');
}
