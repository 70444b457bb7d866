// The package as a user gets it: packed, installed into an empty folder, started, asked; and on a Node that is too old.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'foundrite-pack-'));
const counts = { passed: 0, failed: 0 };

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
  const [{ filename }] = Array.isArray(packed) ? packed : Object.values(packed);
  writeFileSync(
    join(folder, 'package.json'),
    '{ "name": "empty", "private": true, "allowScripts": { "node": true } }\n',
  );
  npm(
    ['install', '--no-audit', '--no-fund', join(folder, filename), 'node@22', 'vitest@5'],
    folder,
  );
  const bin = join(folder, 'node_modules', '.bin');
  const outside = { ...process.env, PATH: outsidePath() };

  await test('beside the package node@22 it starts and answers one request', async () => {
    const { child, found, printed } = await run(
      join(bin, 'foundrite'),
      ['start', '--port', '0'],
      { ...outside, PATH: `${bin}:${outside.PATH}` },
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
    const env = { ...outside, PATH: `${bin}:${outside.PATH}` };
    const mine = await run(join(bin, 'foundrite'), ['play'], env);
    if (mine.code !== 0 || !/1 passed/.test(mine.printed.stdout))
      throw new Error(`${mine.code}: ${mine.printed.stdout}${mine.printed.stderr}`);
    rmSync(join(folder, 'scenarios'), { recursive: true });
    const own = await run(join(bin, 'foundrite'), ['play', '--rule', 'cron'], env);
    if (own.code !== 0 || !/\d passed/.test(own.printed.stdout))
      throw new Error(`${own.code}: ${own.printed.stdout}${own.printed.stderr}`);
  });

  await test('its fixture runs in vitest', async () => {
    writeFileSync(join(folder, 'routine.test.ts'), VITEST);
    const env = { ...outside, PATH: `${bin}:${outside.PATH}` };
    const { code, printed } = await run(join(bin, 'vitest'), ['run'], env);
    if (code !== 0 || !/1 passed/.test(printed.stdout))
      throw new Error(`${code}: ${printed.stdout}${printed.stderr}`);
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
