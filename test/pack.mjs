// The package as a user gets it: packed, installed into an empty folder, started, asked; and on a Node that is too old.
import { execFileSync, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tryAction } from './packed-action.mjs';

const folder = mkdtempSync(join(tmpdir(), 'foundrite-pack-'));
const counts = { passed: 0, failed: 0 };

/** What an installation may come to; a dependency that goes beyond is a decision, not an accident. */
const CEILINGS = { tarballKiB: 720, unpackedMiB: 3.5, packages: 50, installedMiB: 45 };

const SCENARIO = `scenario: a new routine is enabled
proves: [routine/enabled-by-default]
agents: { digest: {} }
steps:
  - PUT: /routines/daily
    body:
      triggers: { morning: { type: schedule, cron_expression: "0 7 * * *", time_zone: UTC } }
      action: { type: invoke_agent_responses_api, agent_name: digest }
    2xx: {}
  - GET: /routines/daily
    200: { enabled: true }
`;

const VITEST = `import { expect } from 'vitest';
import { test } from 'foundrite/vitest';

test('a project of its own', async ({ foundry }) => {
  expect((await foundry.get('/routines')).body.data).toEqual([]);
  expect((await foundry.advance('1d')).now).toBe('2026-06-02T00:00:00.000Z');
});
`;

/** Compiled, not run: with the types as they are in the package. */
const CONSUMER = `import { createEmulator, type Emulator, type EmulatorOptions } from 'foundrite';

const options: EmulatorOptions = { now: 0, seed: 'x', rate: 0, agents: { digest: {} } };
const emulator: Emulator = createEmulator(options);
const answer: Response = await emulator.fetch(new Request('http://localhost/_emulator/health'));
// @ts-expect-error a rate is 0 or 1
createEmulator({ rate: 2 });
console.log(answer.status, emulator.describe().store);
`;
const VITEST_CONSUMER = `import { test } from 'foundrite/vitest';

test('typed', async ({ foundry }) => {
  const { status }: { status: number } = await foundry.get('/routines');
  // @ts-expect-error there is no such word
  await foundry.nonsense(status);
});
`;

async function test(name, check) {
  try {
    await check();
    counts.passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    counts.failed += 1;
    console.log(`FAIL ${name}\n     ${error.message}`);
  }
}

function npm(args, cwd) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** With the compiler of the checkout, in the folder of the user. */
function compile(args) {
  const more = ['--noEmit', '--strict', '--target', 'es2023', '--types', 'node'];
  try {
    execFileSync('tsc', [...more, ...args], { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    throw new Error(`tsc ${args.join(' ')}: ${error.stdout}`);
  }
}

/** Each with its own files, without those of packages below it. */
function installedPackages() {
  const { packages } = JSON.parse(
    readFileSync(join(folder, 'node_modules', '.package-lock.json'), 'utf8'),
  );
  return Object.entries(packages).map(([path, { hasInstallScript = false }]) => {
    const own = readdirSync(join(folder, path), { recursive: true, encoding: 'utf8' })
      .filter((file) => !file.split('/').includes('node_modules'))
      .map((file) => statSync(join(folder, path, file)))
      .filter((file) => file.isFile());
    const bytes = own.reduce((sum, file) => sum + file.size, 0);
    return { name: path.replace(/.*node_modules\//, ''), bytes, hasInstallScript };
  });
}

function round(number) {
  return Math.round(number * 10) / 10;
}

/** The `PATH` of a user who never heard of our checkout. */
function outsidePath() {
  return process.env.PATH.split(':')
    .filter((part) => !part.includes('node_modules'))
    .join(':');
}

function run(bin, args, env, until) {
  return new Promise((resolve, reject) => {
    const child = spawn(bin, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const printed = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) {
      child[stream].on('data', (chunk) => {
        printed[stream] += chunk;
        const found = until?.exec(printed.stdout);
        if (found) resolve({ child, found, printed });
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ child, code, printed }));
  });
}

try {
  const packed = JSON.parse(
    npm(['pack', '--json', '--silent', '--pack-destination', folder], process.cwd()),
  );
  const [{ filename, files, size, unpackedSize }] = Array.isArray(packed)
    ? packed
    : Object.values(packed);
  const tarball = join(folder, filename);
  writeFileSync(
    join(folder, 'package.json'),
    '{ "name": "empty", "private": true, "type": "module", "allowScripts": { "node": true } }\n',
  );
  const began = performance.now();
  npm(['install', '--no-audit', '--no-fund', tarball], folder);
  const seconds = (performance.now() - began) / 1000;
  const bin = join(folder, 'node_modules', '.bin');
  const outside = { ...process.env, PATH: outsidePath() };
  const inside = { ...outside, PATH: `${bin}:${outside.PATH}` };

  await test('what is packed is what is used, and publint has nothing to say', () => {
    const paths = files.map(({ path }) => path);
    for (const path of ['README.md', 'LICENSE', 'package.json', 'openapi.yaml', 'cli/bin.mjs'])
      if (!paths.includes(path)) throw new Error(`${path} is missing`);
    const odd = paths.filter((path) => !/^(dist|scenarios)\/|^[^/]+$|^cli\/bin\.mjs$/.test(path));
    odd.push(...paths.filter((path) => /(?<!\.d)\.ts$|\.test\.|\.map$|^test\//.test(path)));
    if (odd.length > 0) throw new Error(`packed for nothing: ${odd.join(', ')}`);
    execFileSync('publint', ['run', tarball, '--strict'], { encoding: 'utf8', stdio: 'pipe' });
  });

  await test('it is as small as it was, and nothing runs when it is installed', () => {
    const installed = installedPackages();
    const figures = {
      tarballKiB: size / 1024,
      unpackedMiB: unpackedSize / 1024 ** 2,
      packages: installed.length,
      installedMiB: installed.reduce((sum, { bytes }) => sum + bytes, 0) / 1024 ** 2,
    };
    const told = Object.entries(figures).map(
      ([name, value]) => `${name} ${round(value)} (at most ${CEILINGS[name]})`,
    );
    console.log(`     ${told.join(', ')}, ${files.length} files, installed in ${round(seconds)} s`);
    const heaviest = installed.sort((one, other) => other.bytes - one.bytes).slice(0, 6);
    console.log(
      `     heaviest: ${heaviest.map(({ name, bytes }) => `${name} ${round(bytes / 1024 ** 2)} MiB`).join(', ')}`,
    );
    const over = Object.keys(figures).filter((name) => figures[name] > CEILINGS[name]);
    if (over.length > 0) throw new Error(`more than it may be: ${over.join(', ')}`);
    const scripts = installed.filter(({ hasInstallScript }) => hasInstallScript);
    if (scripts.length > 0)
      throw new Error(`runs at install: ${scripts.map(({ name }) => name).join(', ')}`);
  });

  npm(['install', '--no-audit', '--no-fund', 'node@22', 'vitest@5', '@types/node@22'], folder);

  await test('each export resolves, and its types serve a strict consumer', () => {
    const { exports } = JSON.parse(
      readFileSync(join(folder, 'node_modules/foundrite/package.json')),
    );
    const names = Object.keys(exports).filter((name) => name !== './vitest');
    const urls = names.map((name) => `import.meta.resolve('foundrite${name.slice(1)}')`);
    const script = `const { existsSync } = await import('node:fs'); const urls = [${urls}];
      for (const url of urls) if (!existsSync(new URL(url))) throw new Error(url);
      await import('foundrite');`;
    execFileSync('node', ['--input-type=module', '-e', script], {
      cwd: folder,
      env: inside,
      stdio: 'pipe',
    });
    writeFileSync(join(folder, 'consumer.ts'), CONSUMER);
    writeFileSync(join(folder, 'fixture.ts'), VITEST_CONSUMER);
    // Libraries are checked too, except vitest's own.
    compile(['consumer.ts', '--module', 'nodenext', '--skipLibCheck', 'false']);
    compile([
      'consumer.ts',
      '--module',
      'esnext',
      '--moduleResolution',
      'bundler',
      '--skipLibCheck',
      'false',
    ]);
    compile(['consumer.ts', 'fixture.ts', '--module', 'node16', '--skipLibCheck', 'true']);
  });

  await test('beside the package node@22 it starts and answers one request', async () => {
    const { child, found, printed } = await run(
      join(bin, 'foundrite'),
      ['start', '--port', '0'],
      inside,
      /foundrite ready url=(\S+)/,
    );
    if (!found) throw new Error(`it did not get ready: ${printed.stdout}${printed.stderr}`);
    const ended = new Promise((resolve) => child.on('close', resolve));
    const answer = await fetch(`${found[1]}/api/projects/local/routines`, {
      headers: { authorization: 'Bearer t' },
    }).finally(() => child.kill('SIGTERM'));
    const body = await answer.json();
    const code = await ended;
    if (answer.status !== 200 || !Array.isArray(body.data))
      throw new Error(`${answer.status} ${JSON.stringify(body)}`);
    if (code !== 0) throw new Error(`it ended with ${code}`);
  });

  await test("it plays a scenario of one's own, and its own", async () => {
    mkdirSync(join(folder, 'scenarios'));
    writeFileSync(join(folder, 'scenarios', 'a-new-routine-is-enabled.yaml'), SCENARIO);
    const mine = await run(join(bin, 'foundrite'), ['play'], inside);
    if (mine.code !== 0 || !/1 passed/.test(mine.printed.stdout))
      throw new Error(`${mine.code}: ${mine.printed.stdout}${mine.printed.stderr}`);
    rmSync(join(folder, 'scenarios'), { recursive: true });
    const own = await run(join(bin, 'foundrite'), ['play', '--rule', 'cron'], inside);
    if (own.code !== 0 || !/\d passed/.test(own.printed.stdout))
      throw new Error(`${own.code}: ${own.printed.stdout}${own.printed.stderr}`);
  });

  await test('its fixture runs in vitest', async () => {
    writeFileSync(join(folder, 'routine.test.ts'), VITEST);
    const { code, printed } = await run(join(bin, 'vitest'), ['run'], inside);
    if (code !== 0 || !/1 passed/.test(printed.stdout))
      throw new Error(`${code}: ${printed.stdout}${printed.stderr}`);
  });

  await tryAction({ test, run, folder, tarball, env: inside });

  await test('the doctor finds it sound, and says when its native module is not there', async () => {
    const { PATH, HOME } = inside;
    const examine = () => run(join(bin, 'foundrite'), ['doctor', '--port', '0'], { PATH, HOME });
    const sound = await examine();
    if (sound.code !== 0) throw new Error(sound.printed.stdout);
    const prebuilds = join(folder, 'node_modules', 'better-sqlite3', 'prebuilds');
    renameSync(prebuilds, `${prebuilds}-away`);
    const ill = await examine();
    renameSync(`${prebuilds}-away`, prebuilds);
    if (
      ill.code !== 14 ||
      !/^wrong +node +Node .* cannot load better-sqlite3: /.test(ill.printed.stdout)
    )
      throw new Error(`${ill.code}: ${ill.printed.stdout}${ill.printed.stderr}`);
  });

  const oldNode = execFileSync('node', ['-p', 'process.versions.node'], {
    env: outside,
    encoding: 'utf8',
  }).trim();
  const [major] = oldNode.split('.').map(Number);
  if (major < 22) {
    await test(`on Node ${oldNode} it says in one sentence what it needs, and ends with 14`, async () => {
      const { code, printed } = await run(
        join(bin, 'foundrite'),
        ['start', '--port', '0'],
        outside,
      );
      if (code !== 14) throw new Error(`it ended with ${code}: ${printed.stderr}`);
      if (!/22\.18/.test(printed.stderr) || printed.stderr.trim().split('\n').length !== 1)
        throw new Error(printed.stderr);
    });
  } else {
    console.log(`skip on an old Node: the one outside is ${oldNode}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 ? 1 : 0;
