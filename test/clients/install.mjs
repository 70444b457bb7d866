/** Installs the real clients where they are missing: npm packages beside this file, one virtual environment per Python version. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const CLIENTS = fileURLToPath(new URL('.', import.meta.url));
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const PYTHON_VERSIONS = ['2.1.0', '2.2.0', '2.10.0'];
/** Those that know routines. */
export const PYTHON_WITH_ROUTINES = ['2.2.0', '2.10.0'];
/** The one with azure-ai-agents beside it: an environment of its own would only take time. */
export const PYTHON_WITH_THREADS = '2.10.0';
/** What the pinned packages need. */
const PYTHON_NEEDED = [3, 11];

const windows = process.platform === 'win32';

export function pythonOf(version) {
  return join(
    CLIENTS,
    '.venv',
    version,
    ...(windows ? ['Scripts', 'python.exe'] : ['bin', 'python']),
  );
}

/** Not a client of ours: it tries the emulator against openapi.yaml. */
export const SCHEMATHESIS = 'schemathesis';

export function installJavaScript() {
  const lock = readFileSync(join(CLIENTS, 'package-lock.json'), 'utf8');
  return unlessDone(join(CLIENTS, 'node_modules'), lock, 'the JavaScript clients', () =>
    // One string: npm is a .cmd on Windows, which starts in a shell only.
    run('npm ci --ignore-scripts --no-audit --no-fund --loglevel=error', [], { shell: true }),
  );
}

/** Has pip for all the others: an environment takes most of its time to get its own. */
const PIP = 'pip';

/** Answers why the Python clients cannot be had here; undefined when they are there. */
export async function installPython() {
  const python = findPython();
  if (python.command === undefined) return python.reason;
  await installVersion(PIP, PIP, PIP, (folder) => run(python.command, ['-m', 'venv', folder]));
  await Promise.all(
    [...PYTHON_VERSIONS, SCHEMATHESIS].map((version) => {
      const pins = join(CLIENTS, 'requirements', `${version}.txt`);
      const what = version === SCHEMATHESIS ? version : `the Python client ${version}`;
      return installVersion(version, readFileSync(pins, 'utf8'), what, async (folder) => {
        await run(python.command, ['-m', 'venv', '--without-pip', folder]);
        const pip = ['-m', 'pip', '--python', pythonOf(version), 'install'];
        // Python compiles what is imported, which is a small part.
        const flags = ['--quiet', '--disable-pip-version-check', '--no-compile'];
        await run(pythonOf(PIP), [...pip, ...flags, '--requirement', pins]);
      });
    }),
  );
  return undefined;
}

function installVersion(version, pins, what, install) {
  const folder = join(CLIENTS, '.venv', version);
  // The interpreter that it was made with may have gone.
  if (!existsSync(pythonOf(version))) rmSync(folder, { recursive: true, force: true });
  return unlessDone(folder, pins, what, async () => {
    rmSync(folder, { recursive: true, force: true });
    await install(folder);
  });
}

function findPython() {
  const asked = 'import sys, venv, ensurepip; print(*sys.version_info[:2])';
  let reason = 'there is no Python';
  for (const command of windows ? ['python', 'py'] : ['python3', 'python']) {
    const found = spawnSync(command, ['-c', asked], { encoding: 'utf8' });
    if (found.error) continue;
    if (found.status !== 0) {
      reason = `${command} cannot make virtual environments (on Debian and Ubuntu: apt install python3-venv)`;
      continue;
    }
    const [major, minor] = found.stdout.trim().split(' ').map(Number);
    if (major === PYTHON_NEEDED[0] && minor >= PYTHON_NEEDED[1]) return { command };
    reason = `${command} is Python ${major}.${minor}, and they need ${PYTHON_NEEDED.join('.')}`;
  }
  return { reason };
}

/** What was installed for other pins is installed again. */
async function unlessDone(folder, pins, what, install) {
  const stamp = join(folder, '.foundrite');
  const wanted = createHash('sha256').update(pins).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  process.stderr.write(`clients: installing ${what}\n`);
  await install();
  writeFileSync(stamp, wanted);
}

function run(command, args, options = {}) {
  const child = spawn(command, args, { cwd: CLIENTS, stdio: ['ignore', 2, 2], ...options });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => {
      if (status === 0) resolve(undefined);
      else reject(new Error(`${[command, ...args].join(' ')} ended with ${status}`));
    });
  });
}

/** Run by itself, it installs behind what else runs: the tests of time must not wait for it. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setPriority(10);
  await Promise.all([installPython(), installJavaScript()]);
}
