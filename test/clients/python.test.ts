/** azure-ai-projects as PyPI has it: 2.2.0 and the newest. routines.py asserts; here each of its tests is one of ours. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { PYTHON_VERSIONS, pythonOf } from './install.mjs';

interface Line {
  name: string;
  error?: string;
}

interface Outcome {
  version: string;
  lines: Line[];
  /** What was said on stderr by a script that did not come to its end. */
  broken: string | undefined;
}

const ENDS_AFTER_MS = 120_000;
const script = fileURLToPath(new URL('routines.py', import.meta.url));
const missing = process.env.FOUNDRITE_CLIENTS_NO_PYTHON;

if (missing === undefined) {
  // The names of the tests are the script's, so it runs before there are any.
  for (const { version, lines, broken } of await Promise.all(PYTHON_VERSIONS.map(run))) {
    describe(`azure-ai-projects ${version}`, () => {
      test('comes to the end of its tests', () => {
        expect(broken).toBeUndefined();
        expect(lines.length).toBeGreaterThan(10);
      });
      test.each(lines)('$name', ({ error }) => {
        if (error !== undefined) expect.fail(error);
      });
    });
  }
} else {
  test.skip.each(PYTHON_VERSIONS)(`azure-ai-projects %s is not here: ${missing}`, () => {});
}

function run(version: string): Promise<Outcome> {
  const options = { timeout: ENDS_AFTER_MS, env: { ...process.env, PYTHONUTF8: '1' } };
  return new Promise((resolve) => {
    execFile(pythonOf(version), [script, version], options, (failure, stdout, stderr) => {
      const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
      resolve({
        version,
        lines: lines.map((line) => JSON.parse(line) as Line),
        broken: failure ? `${failure.message}\n${stderr}` : undefined,
      });
    });
  });
}
