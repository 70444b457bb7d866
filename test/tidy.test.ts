import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The folders of design 3 that are there yet. */
function filesOf(...folders: string[]): string[] {
  const there = folders.filter((folder) => existsSync(resolve(ROOT, folder)));
  return there.flatMap((folder) =>
    readdirSync(resolve(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
      .filter((file) => file.endsWith('.ts') && !file.includes('node_modules')),
  );
}

function importsOf(file: string): string[] {
  const text = readFileSync(resolve(ROOT, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, path = '']) =>
    relative(ROOT, resolve(ROOT, dirname(file), path)).replaceAll('\\', '/'),
  );
}

/** The rings of design 4: a file imports from its own ring or one below. */
const RINGS: [ring: number, files: RegExp][] = [
  [4, /^emulator\/(?:emulator|server|replay|certificate|in-process|vitest)\.ts$/],
  [3, /^emulator\/(?:app|identity)\.ts$|^emulator\/api\//],
  [
    2,
    /^emulator\/(?:world|engine|batch|calls|waits|endpoint|projects|streaming|beats|thread-stream)\.ts$|^emulator\/work\//,
  ],
  [
    1,
    /^emulator\/(?:downstream|outside|model|retell|replies|run-replies|run-model|faults|fault-plan|fault-agent)\.ts$|^emulator\/store\//,
  ],
  [0, /^emulator\/[a-z]+\.ts$/],
];

function ringOf(file: string): number {
  return RINGS.find(([, files]) => files.test(file))?.[0] ?? -1;
}

describe('the code', () => {
  it('imports in one direction between folders', () => {
    const allowed: Record<string, string[]> = {
      contracts: ['contracts'],
      emulator: ['emulator', 'contracts'],
      scenarios: ['scenarios', 'contracts'],
      cli: ['cli', 'emulator', 'contracts', 'scenarios'],
    };
    const wrong = Object.entries(allowed).flatMap(([folder, others]) =>
      filesOf(folder).flatMap((file) =>
        importsOf(file)
          .filter((path) => !others.includes(path.split('/')[0] ?? '') && path !== 'package.json')
          .map((path) => `${file} imports ${path}`),
      ),
    );

    expect(wrong).toEqual([]);
  });

  it('imports inside emulator/ from its own ring or one below, but for types', () => {
    const wrong = filesOf('emulator').flatMap((file) => {
      const text = readFileSync(resolve(ROOT, file), 'utf8');
      const values = [...text.matchAll(/^import (?!type )[^;]*? from '(\.[^']+)'/gm)];
      return values
        .map(([, path = '']) =>
          relative(ROOT, resolve(ROOT, dirname(file), path)).replaceAll('\\', '/'),
        )
        .filter((path) => path.startsWith('emulator/') && ringOf(path) > ringOf(file))
        .map((path) => `${file} (ring ${ringOf(file)}) imports ${path} (ring ${ringOf(path)})`);
    });

    expect(filesOf('emulator').filter((file) => ringOf(file) < 0)).toEqual([]);
    expect(wrong).toEqual([]);
  });

  it('has no import cycle of values', () => {
    const graph = new Map(
      filesOf('contracts', 'emulator', 'scenarios', 'cli').map((file) => {
        const text = readFileSync(resolve(ROOT, file), 'utf8');
        const values = [...text.matchAll(/^import (?!type )[^;]*? from '(\.[^']+)'/gm)].map(
          ([, path = '']) =>
            relative(ROOT, resolve(ROOT, dirname(file), path)).replaceAll('\\', '/'),
        );
        return [file, values] as const;
      }),
    );
    const cycles: string[] = [];
    const done = new Set<string>();
    const walk = (file: string, path: string[]) => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      if (path.includes(file) || done.has(file)) return;
      for (const next of graph.get(file) ?? []) walk(next, [...path, file]);
      done.add(file);
    };
    for (const file of graph.keys()) walk(file, []);

    expect(cycles).toEqual([]);
  });

  it('keeps to the words of the design and has no drawer for odds and ends', () => {
    const folders = filesOf('contracts', 'emulator', 'scenarios', 'cli').map((file) =>
      file.split('/').slice(0, -1),
    );
    const names = filesOf('contracts', 'emulator', 'scenarios', 'cli').map((file) =>
      file.split('/').at(-1),
    );

    expect(
      folders.flat().filter((name) => /^(?:utils?|helpers?|common|shared|lib)$/.test(name)),
    ).toEqual([]);
    expect(names.filter((name) => !/^[a-z][a-z-]*\.ts$/.test(name ?? ''))).toEqual([]);
  });

  it('holds no path of a machine and no note to self', () => {
    const bad = filesOf('contracts', 'emulator', 'scenarios', 'cli', 'test').filter((file) =>
      /(?<![.\w])\/(?:work|home|root)\/[a-z]|\b(?:TODO|FIXME|XXX)\b/.test(
        readFileSync(resolve(ROOT, file), 'utf8'),
      ),
    );

    expect(bad.filter((file) => file !== 'test/tidy.test.ts')).toEqual([]);
  });
});
