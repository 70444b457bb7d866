// The test command: our own tests, the real clients, and the packed package, with one line at the end that counts them.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
const report = join(folder, 'vitest.json');
const total = { passed: 0, failed: 0, skipped: 0 };

/** Runs one part; answers its exit code and what it printed. */
async function run(title, command, args) {
  process.stdout.write(`\n== ${title}\n`);
  return runBeside(command, args, (chunk) => process.stdout.write(chunk));
}

/** The same beside another part, whose lines those of this one would break. */
function runBeside(command, args, show = () => {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: process.env });
    let printed = '';
    child.stdout.on('data', (chunk) => {
      printed += chunk;
      show(chunk);
    });
    child.on('close', (code) => resolve({ code: code ?? 1, printed }));
  });
}

/** Downloads the real clients meanwhile; if it cannot, their own part says why. */
function installClients() {
  const child = spawn('node', ['test/clients/install.mjs'], { stdio: ['ignore', 2, 2] });
  return new Promise((resolve) => child.on('close', resolve));
}

/** A part that failed without counting anything still failed. */
function count({ passed, failed, skipped }, code) {
  total.passed += passed;
  total.failed += failed > 0 || code === 0 ? failed : 1;
  total.skipped += skipped;
}

function lastLine(printed) {
  const match = [...printed.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
  return {
    passed: Number(match?.[1] ?? 0),
    failed: Number(match?.[2] ?? 0),
    skipped: Number(match?.[3] ?? 0),
  };
}

try {
  const installed = installClients();
  const check = await run('types and lint', 'npm', ['run', '--silent', 'check']);
  count(
    { passed: check.code === 0 ? 1 : 0, failed: check.code === 0 ? 0 : 1, skipped: 0 },
    check.code,
  );

  const own = await run('our own tests', 'vitest', [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ]);
  const counted = JSON.parse(readFileSync(report, 'utf8'));
  count(
    {
      passed: counted.numPassedTests,
      failed: counted.numFailedTests,
      skipped: counted.numPendingTests,
    },
    own.code,
  );

  // It waits for registries and compilers more than it works.
  const packing = runBeside('node', ['test/pack.mjs']);
  await installed;
  const clients = await run('real clients', 'node', ['test/clients/run.mjs']);
  count(lastLine(clients.printed), clients.code);

  const pack = await packing;
  process.stdout.write(`\n== the packed package\n${pack.printed}`);
  count(lastLine(pack.printed), pack.code);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

process.stdout.write(
  `\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`,
);
process.exitCode = total.failed > 0 ? 1 : 0;
