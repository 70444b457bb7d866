/** azure-ai-projects and azure-ai-agents as PyPI has them. The scripts assert; here each of their tests is one of ours. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { blocksOf, indented, readSeed } from '../seed-units.ts';
import {
  PYTHON_VERSIONS,
  PYTHON_WITH_ROUTINES,
  PYTHON_WITH_THREADS,
  pythonOf,
} from './install.mjs';

interface Line {
  name: string;
  error?: string;
}

interface Outcome {
  script: string;
  version: string;
  lines: Line[];
  /** What was said on stderr by a script that did not come to its end. */
  broken: string | undefined;
}

const ENDS_AFTER_MS = 120_000;
const missing = process.env.FOUNDRITE_CLIENTS_NO_PYTHON;

/** What the page lost at the beginning of the lines of its loop, which no line of it tells. */
const LOOP_LEVELS = [0, 0, 1, 2, 2, 2, 2, 2, 3, 2, 3, 1];

/** The samples of seed 003 as they are printed, but for that. */
function samplesOf(page: string): string[] {
  const python = blocksOf(page.split('\n')).filter(({ language }) => language === 'python');
  return python.map((block) => {
    const isLoop = block.lines.includes('import time');
    return (isLoop ? atLevels(block.lines) : indented(block)).join('\n');
  });
}

/** A statement that goes on in the next line stays at its level there. */
function atLevels(lines: string[]): string[] {
  let statement = -1;
  let depth = 0;
  return lines.map((line) => {
    if (depth === 0) statement += 1;
    depth += (line.match(/[([{]/g) ?? []).length - (line.match(/[)\]}]/g) ?? []).length;
    return '    '.repeat(LOOP_LEVELS[statement] ?? 0) + line;
  });
}

const seed = readSeed('003');
if (seed === undefined)
  process.stderr.write('clients: seed.py is skipped, because there is no seed 003.\n');

if (missing === undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'foundrite-python-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const blocks = join(folder, 'blocks.json');
  if (seed !== undefined) writeFileSync(blocks, JSON.stringify(samplesOf(seed)));
  const runs = [
    ...PYTHON_WITH_ROUTINES.map((version) => run('routines.py', version)),
    ...PYTHON_VERSIONS.map((version) => run('agents.py', version)),
    run('threads.py', PYTHON_WITH_THREADS),
    ...(seed === undefined ? [] : [run('seed.py', '2.1.0', blocks)]),
  ];
  // The names of the tests are the scripts', so these run before there are any.
  for (const { script, version, lines, broken } of await Promise.all(runs)) {
    describe(`${script}, beside azure-ai-projects ${version}`, () => {
      test('comes to the end of its tests', () => {
        expect(broken).toBeUndefined();
        expect(lines.length).toBeGreaterThanOrEqual(5);
      });
      test.each(lines)('$name', ({ error }) => {
        if (error !== undefined) expect.fail(error);
      });
    });
  }
} else {
  test.skip.each(PYTHON_VERSIONS)(`azure-ai-projects %s is not here: ${missing}`, () => {});
}

test.skipIf(seed === undefined)('the samples of seed 003 are all there, and unchanged', () => {
  const printed = blocksOf((seed ?? '').split('\n')).filter(
    ({ language }) => language === 'python',
  );
  const samples = samplesOf(seed ?? '');
  expect(samples.map((text) => text.split('\n').map((line) => line.trimStart()))).toEqual(
    printed.map(({ lines }) => lines),
  );
  const calls = (text: string) => (text.match(/project\.(?:beta\.)?agents\.\w+\(/g) ?? []).length;
  expect(calls(samples.join('\n'))).toBe(calls(seed ?? ''));
});

function run(script: string, version: string, ...more: string[]): Promise<Outcome> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const options = { timeout: ENDS_AFTER_MS, env: { ...process.env, PYTHONUTF8: '1' } };
  return new Promise((resolve) => {
    execFile(pythonOf(version), [path, version, ...more], options, (failure, stdout, stderr) => {
      const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
      resolve({
        script,
        version,
        lines: lines.map((line) => JSON.parse(line) as Line),
        broken: failure ? `${failure.message}\n${stderr}` : undefined,
      });
    });
  });
}
