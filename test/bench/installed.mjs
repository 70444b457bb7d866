// The package as a user has it: packed and installed into an empty folder. In the checkout bin.mjs would run the TypeScript.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BenchError, freePort, startChild } from './measure.mjs';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

export function install() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'foundrite-bench-')));
  try {
    const npm = (args, cwd) =>
      execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const packed = JSON.parse(
      npm(['pack', '--json', '--silent', '--pack-destination', folder], CHECKOUT),
    );
    const [{ filename }] = Array.isArray(packed) ? packed : Object.values(packed);
    writeFileSync(join(folder, 'package.json'), '{ "name": "bench", "private": true }\n');
    const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'];
    npm(['install', ...quiet, join(folder, filename)], folder);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw new BenchError(`The package cannot be packed and installed: ${error.message}`);
  }
  const bin = join(folder, 'node_modules', 'foundrite', 'cli', 'bin.mjs');
  // Certificates and compile cache go there too, so that the bench neither uses nor leaves anything of this user's.
  mkdirSync(join(folder, 'tmp'));
  const env = { ...process.env, FOUNDRITE_HOME: join(folder, 'home'), TMPDIR: join(folder, 'tmp') };

  return {
    folder,
    /** `options` are those of `spawn`. */
    async start(flags = [], nodeFlags = [], options = {}) {
      const port = await freePort();
      const args = ['start', '--port', String(port), '--host', '127.0.0.1', '--rate', '0'];
      const command = [...nodeFlags, bin, ...args, '--seed', 'bench', ...flags];
      const child = startChild(process.execPath, command, { cwd: folder, env, ...options });
      return { ...child, url: `http://127.0.0.1:${port}` };
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export async function startBare(flags = []) {
  const port = await freePort();
  const script = fileURLToPath(new URL('./bare.mjs', import.meta.url));
  const child = startChild(process.execPath, [script, String(port), ...flags]);
  return { ...child, url: `http://127.0.0.1:${port}` };
}
