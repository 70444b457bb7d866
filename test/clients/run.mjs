/** `npm run test:clients`: installs the real clients where they are missing, and runs the tests inside `foundrite exec`. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installJavaScript, installPython, ROOT } from './install.mjs';

const [missing] = await Promise.all([installPython(), installJavaScript()]);
const env = { ...process.env };
delete env.FOUNDRITE_CLIENTS_NO_PYTHON;
if (missing !== undefined) {
  process.stderr.write(`clients: the Python clients are skipped: ${missing}.\n`);
  if (process.env.CI === 'true') {
    process.stderr.write('clients: CI does not skip. Install Python.\n');
    process.exit(1);
  }
  env.FOUNDRITE_CLIENTS_NO_PYTHON = missing;
}

const folder = mkdtempSync(join(tmpdir(), 'foundrite-clients-'));
const report = join(folder, 'report.json');
try {
  const code = await runTests();
  process.exitCode = code;
  // Without one nothing ran, and it was said why.
  if (existsSync(report)) {
    const { passed, failed, skipped } = counts();
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function runTests() {
  const vitest = [
    join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--config',
    'test/clients/vitest.config.ts',
  ];
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const exec = [
    join(ROOT, 'cli', 'bin.mjs'),
    'exec',
    '--now',
    '2026-06-01T00:00:00Z',
    '--',
    process.execPath,
  ];
  const child = spawn(
    process.execPath,
    [...exec, ...vitest, ...reporters, ...process.argv.slice(2)],
    {
      cwd: ROOT,
      env,
      stdio: 'inherit',
    },
  );
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** A test file that could not be loaded has no tests, and counts as one that failed. */
function counts() {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const broken = testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  ).length;
  return {
    passed: numPassedTests,
    failed: numFailedTests + broken,
    skipped: numPendingTests + numTodoTests,
  };
}
