/** The Dockerfile as far as it can be tried without an engine: what it copies is there, and its commands work. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const written = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');

/** Its instructions, each on one line, without comments. */
const instructions = written
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => ({ word: line.split(' ')[0] as string, rest: line.slice(line.indexOf(' ') + 1) }));
const all = (word: string) =>
  instructions.filter((each) => each.word === word).map(({ rest }) => rest);
const last = (word: string) => all(word).at(-1) as string;

const entrypoint = JSON.parse(last('ENTRYPOINT')) as string[];
const health = JSON.parse(/CMD (\[.*\])$/.exec(last('HEALTHCHECK'))?.[1] as string) as string[];
const variables = Object.fromEntries(
  [...last('ENV').matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
) as Record<string, string>;

test('every word is an instruction, the last stage is a server that is nobody special', () => {
  const known = [
    'FROM',
    'WORKDIR',
    'COPY',
    'RUN',
    'ENV',
    'USER',
    'VOLUME',
    'EXPOSE',
    'HEALTHCHECK',
    'ENTRYPOINT',
  ];
  expect(instructions.filter(({ word }) => !known.includes(word))).toEqual([]);
  expect(last('USER')).toBe('node');
  expect(last('EXPOSE')).toBe(variables.FOUNDRITE_PORT);
  expect(all('CMD')).toEqual([]);
});

test('what it copies is there, and is let into the context', () => {
  const copied = all('COPY')
    .filter((rest) => !rest.startsWith('--from'))
    .flatMap((rest) => rest.split(' ').slice(0, -1));
  const [first, ...admitted] = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

  expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  expect(first).toBe('*');
  expect(admitted.map((line) => line.slice(1)).sort()).toEqual(copied.sort());
});

test('what the build needs is copied: all that tsconfig.build.json names', () => {
  const { include } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.build.json'), 'utf8'));

  expect(all('COPY').map((rest) => rest.split(' ')[0])).toEqual(expect.arrayContaining(include));
});

/** As the container would run it, but for the folders and the port. */
async function container(more: Record<string, string>) {
  const data = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
  const env = {
    PATH: process.env.PATH,
    ...variables,
    FOUNDRITE_PORT: '0',
    FOUNDRITE_DATA_DIR: join(data, 'worlds'),
    FOUNDRITE_HOME: join(data, 'home'),
    ...more,
  };
  const [, bin = '', ...args] = entrypoint;
  const child = spawn(process.execPath, [bin.replace('/app/', ROOT), ...args], { env, cwd: data });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => (printed += chunk));
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(data, { recursive: true, force: true });
  });
  while (!printed.includes('foundrite ready') && child.exitCode === null)
    await Promise.race([once(child.stdout, 'data'), ended]);
  const url = /ready url=(\S+)/.exec(printed)?.[1] ?? '';
  return { child, ended, url, data, printed: () => printed };
}

function isHealthy(url: string): boolean {
  const [, ...args] = health;
  const env = { PATH: process.env.PATH, FOUNDRITE_PORT: new URL(url).port };
  return spawnSync(process.execPath, args, { env }).status === 0;
}

test('it starts as it stands, without control, is healthy, and ends by SIGTERM with its files closed', async () => {
  const { child, ended, url, data } = await container({});

  const listed = await fetch(`${url}/api/projects/local/routines`, {
    headers: { authorization: 'Bearer t' },
  });
  expect(listed.status).toBe(200);
  expect((await fetch(`${url}/_emulator/projects`)).status).toBe(404);
  expect((await fetch(`${url}/_emulator/ca.pem`)).status).toBe(200);
  expect(isHealthy(url)).toBe(true);

  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  expect(isHealthy(url)).toBe(false);
  const left = readdirSync(join(data, 'worlds'));
  expect(left.filter((name) => /\.db$/.test(name))).toHaveLength(1);
  expect(left.filter((name) => /-(wal|shm)$/.test(name))).toEqual([]);
});

test('with a token it has control, for those who bear it; control without one is refused', async () => {
  const { url } = await container({ FOUNDRITE_CONTROL_TOKEN: 'hush' });
  const ask = async (headers: Record<string, string>) =>
    (await fetch(`${url}/_emulator/projects`, { headers })).status;

  expect(await ask({})).toBe(401);
  expect(await ask({ authorization: 'Bearer hush' })).toBe(200);
  expect(isHealthy(url)).toBe(true);

  const refused = await container({ FOUNDRITE_CONTROL: 'true' });
  expect(await refused.ended).toEqual([2, null]);
  expect(refused.printed()).toContain('--control-token');
});
