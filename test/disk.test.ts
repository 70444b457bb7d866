import { spawnSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import { checkResponse } from '../contracts/openapi.ts';
import { canonicalLines } from '../emulator/api/journal.ts';
import { createEmulator } from '../emulator/emulator.ts';
import { replayJournal } from '../emulator/replay.ts';
import { countOpenAttempts } from '../emulator/store/attempts.ts';
import { BIN, type Json, type Started, startUnder } from './started.ts';

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => Database;
const ROUTINES = '/api/projects/local/routines';
const CONTROL = '/_emulator/projects/local';
/** More than a page of the database holds. */
const LONG = 'x'.repeat(10_000);
const IN_USE = 'Another process is using';
const IS_ROOT = process.getuid?.() === 0;

/** A small disk of its own, seen by the command alone: by root, or by anybody where users may have namespaces. */
const APART = ['unshare', IS_ROOT ? '-m' : '-Urm'];
const mounts =
  spawnSync(APART[0] ?? '', [...APART.slice(1), 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()])
    .status === 0;
if (!mounts)
  console.log('left out, since this user may mount nothing: tests of full and read-only disks');

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), 'foundrite-disk-'));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Runs a script of the shell with the disk prepared, then the emulator in its place. */
function prepared(script: string, ...words: string[]): string[] {
  return [
    ...APART,
    'sh',
    '-c',
    `set -e; ${script}; shift ${words.length}; exec "$@"`,
    'sh',
    ...words,
  ];
}

async function started(prefix: string[], ...args: string[]): Promise<Started> {
  const emulator = await startUnder(prefix, ...args);
  cleanups.push(() => emulator.end('SIGKILL'));
  return emulator;
}

/** What a start that must fail says, with its exit code before it. */
async function refused(prefix: string[], ...args: string[]): Promise<string> {
  const emulator = await startUnder(prefix, ...args).catch((error: Error) => error.message);
  if (typeof emulator === 'string') return emulator.trim();
  await emulator.end();
  return `started at ${emulator.url}`;
}

function timer(at: string): Record<string, unknown> {
  return {
    triggers: { once: { type: 'timer', at } },
    action: { type: 'invoke_agent_responses_api', agent_name: 'demo-agent' },
  };
}

/** A folder with a world that has a routine. */
async function folderWithWorld(): Promise<string> {
  const folder = scratch();
  const emulator = await started([], '--data-dir', folder, '--rate', '1');
  expect((await emulator.ask('PUT', `${ROUTINES}/kept`, timer('10d'))).status).toBe(200);
  await emulator.end('SIGKILL');
  return folder;
}

/** The routines of a folder, read by an emulator that may write it. */
async function routinesIn(folder: string): Promise<string[]> {
  const emulator = await started([], '--data-dir', folder);
  const { body } = await emulator.ask('GET', ROUTINES);
  await emulator.end();
  return body.data.map((routine: Json) => routine.name);
}

function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const block of [65_536, 4_096, 1]) {
      try {
        for (;;) writeSync(file, Buffer.alloc(block));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(file);
  }
}

/** Seconds of the processor that a process has used. */
function usedBy(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

describe.runIf(mounts)('a full disk', () => {
  const SMALL = 'mount -t tmpfs -o size=2m tmpfs "$1"';

  it('refuses what cannot be written, serves what can be read, and goes on by itself when there is room', async () => {
    const folder = scratch();
    const emulator = await started(prepared(SMALL, folder), '--data-dir', folder, '--rate', '1');
    const disk = `/proc/${emulator.child.pid}/root${folder}`;
    const world = readdirSync(disk).find((name) => name.endsWith('.db')) ?? '';
    for (const [name, at] of [
      ['kept', '10d'],
      ['soon', '1s'],
    ] as const)
      expect((await emulator.ask('PUT', `${ROUTINES}/${name}`, timer(at))).status).toBe(200);
    const told: string[] = [];
    for (let n = 0; n < 3; n += 1)
      told.push((await emulator.ask('POST', `${ROUTINES}/kept:dispatch_async`)).body.dispatch_id);
    fill(join(disk, 'filler'));

    let refusal: { status: number; headers: Headers; text: string };
    for (;;) {
      const answer = await fetch(`${emulator.url}${ROUTINES}/kept:dispatch_async`, {
        method: 'POST',
        headers: { authorization: 'Bearer test' },
      });
      refusal = { status: answer.status, headers: answer.headers, text: await answer.text() };
      if (answer.status !== 200) break;
      told.push(JSON.parse(refusal.text).dispatch_id);
    }
    // What a refused turn took of the log is left for smaller ones: until that is used up, too.
    const same = { settings: { attempts_max: 3 } };
    while ((await emulator.ask('PATCH', CONTROL, same)).status !== 507);
    const put = await emulator.ask('PUT', `${ROUTINES}/late`, timer('10d'));
    const patched = await emulator.ask('PATCH', CONTROL, { settings: { attempts_max: 5 } });
    const snapshot = await emulator.ask('PUT', `${CONTROL}/snapshots/one`);
    const reset = await emulator.ask('POST', `${CONTROL}:reset`);
    const other = await emulator.ask('GET', '/api/projects/other/routines');
    await sleep(1_200);
    const before = usedBy(emulator.child.pid);
    await sleep(1_500);
    const used = usedBy(emulator.child.pid) - before;
    const health = (await emulator.ask('GET', '/_emulator/health')).body;
    const routine = await emulator.ask('GET', `${ROUTINES}/kept`);
    const fired = (await emulator.ask('GET', `${ROUTINES}/soon/runs`)).body.data;
    const files = readdirSync(disk, { recursive: true }).filter((name) =>
      /new|snapshots.one/.test(String(name)),
    );
    rmSync(join(disk, 'filler'));
    const runs = await untilOver(emulator, ['kept', 'soon']);

    const full = `The disk of ${join(folder, world)} is full. Make room on it, or choose another --data-dir.`;
    const message = `${full} What could not be written has not happened: ask again then.`;
    expect([refusal.status, JSON.parse(refusal.text).error]).toEqual([
      507,
      { code: 'store_unwritable', message, param: null, type: 'server_error' },
    ]);
    const { status, headers, text } = refusal;
    expect(checkResponse('POST', `${ROUTINES}/kept:dispatch_async`, status, headers, text)).toEqual(
      [],
    );
    expect([put, patched, snapshot, reset, other].map((answer) => answer.status)).toEqual(
      Array(5).fill(507),
    );
    expect(files).toEqual([]);
    expect(used).toBeLessThan(0.5);
    expect([
      health.status,
      health.projects.map((project: Json) => [project.name, project.unwritable]),
    ]).toEqual(['unwritable', [['local', full]]]);
    expect(routine.status).toBe(200);
    expect(fired).toEqual([]);
    expect(
      emulator
        .printed()
        .split('\n')
        .filter((line) => line.includes('stands still')),
    ).toEqual([
      `foundrite: project 'local' stands still. ${full} It goes on when it can be written.`,
    ]);
    // Everything that was acknowledged, nothing that was not.
    expect(
      runs
        .get('kept')
        ?.map((run) => run.dispatch_id)
        .sort(),
    ).toEqual(told.sort());
    expect([...runs.values()].flat().every((run) => run.phase === 'completed')).toBe(true);
    expect(runs.get('soon')?.map((run) => run.attempt_source)).toEqual(['timer_delivery']);
    const after = (await emulator.ask('GET', '/_emulator/health')).body;
    expect([after.status, after.projects[0].unwritable, after.projects[0].stuck]).toEqual([
      'ok',
      null,
      [],
    ]);
    expect((await emulator.ask('GET', CONTROL)).body.settings ?? {}).toEqual({});
    expect((await emulator.ask('PUT', `${CONTROL}/snapshots/one`)).status).toBe(200);
  }, 60_000);

  it('ends a start with 14, whether the folder has a world or not, and what is there stays', async () => {
    const filled = `${SMALL}; cp -r "$2"/. "$1"; dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null || true`;
    const empty = scratch();
    const kept = await folderWithWorld();
    const folder = scratch();
    const out = scratch();

    const onEmpty = await refused(prepared(filled, folder, empty), '--data-dir', folder);
    const keeping = `${filled}; trap 'rm "$1/filler"; cp -r "$1"/. "$3"' EXIT`;
    const script = `set -e; ${keeping}; code=0; "$4" "$5" start --port 0 --data-dir "$1" || code=$?; exit $code`;
    const [command = '', ...words] = APART;
    const onKept = spawnSync(
      command,
      [...words, 'sh', '-c', script, 'sh', folder, kept, out, process.execPath, BIN],
      {
        encoding: 'utf8',
        timeout: 20_000,
      },
    );

    expect(onEmpty).toMatch(
      /^ended with 14: foundrite: The disk of \S+ is full\. Make room on it, or choose another --data-dir\.$/,
    );
    expect([onKept.status, onKept.stderr]).toEqual([
      14,
      expect.stringMatching(/^foundrite: .*\n$/),
    ]);
    expect(await routinesIn(out)).toEqual(['kept']);
  }, 60_000);
});

it.runIf(mounts)('doctor calls no world damaged for want of room, and touches none', async () => {
  const folder = scratch();
  const kept = await folderWithWorld();
  const script =
    'mount -t tmpfs -o size=2m tmpfs "$1"; cp -r "$2"/. "$1"; dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null || true';
  const [command = '', ...words] = prepared(script, folder, kept);

  const { status, stdout } = spawnSync(
    command,
    [...words, process.execPath, BIN, 'doctor', '--port', '0', '--data-dir', folder],
    { encoding: 'utf8' },
  );

  expect(status).toBe(14);
  expect(stdout).toMatch(/\nwrong +folder +\S+ has 0 MiB left\n/);
  expect(stdout).toMatch(/\nwarning +folder +\S+\.db cannot be checked until there is room\n/);
  expect(stdout).not.toContain('damaged');
});

describe('an answer that cannot be written', () => {
  it.each(['echo', 'script', 'forward'])(
    'is kept until it can be, when the agent’s reply is %s',
    async (kind) => {
      let calls = 0;
      const agent = createServer((_request, response) => {
        calls += 1;
        response.end(JSON.stringify({ id: 'resp_1', pad: LONG }));
      });
      await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
      cleanups.push(() => void agent.close());
      cleanups.push(() => agent.closeAllConnections());
      const url = `http://127.0.0.1:${(agent.address() as AddressInfo).port}`;
      const notices: string[] = [];
      const emulator = createEmulator({ seed: 'full', notice: (message) => notices.push(message) });
      cleanups.push(() => emulator.close());
      const ask = async (method: string, path: string, body?: unknown) => {
        const headers = { authorization: 'Bearer t' };
        const init =
          body === undefined
            ? { method, headers }
            : { method, headers, body: JSON.stringify(body) };
        const answer = await emulator.fetch(new Request(`http://localhost${path}`, init));
        return { status: answer.status, body: (await answer.json()) as Json };
      };
      const reply = {
        echo: { kind },
        script: { kind, turns: [{ text: 'a' }] },
        forward: { kind, url },
      }[kind];
      await ask('PUT', `${CONTROL}/agents/demo-agent/reply`, reply).catch(() => undefined);
      const { action } = timer('10d') as { action: object };
      await ask('PUT', `${ROUTINES}/r`, { ...timer('10d'), action: { ...action, input: LONG } });
      await ask('POST', `${ROUTINES}/r:dispatch_async`);
      const { world } = emulator.project('local');
      const { db } = world.store;
      // From the turn that opens the attempt on, there is no room for another page.
      const off = world.onTurn(() => {
        if (countOpenAttempts(world.store) > 0)
          db.pragma(`max_page_count = ${db.pragma('page_count', { simple: true })}`);
      });

      const full = [await ask('POST', `${CONTROL}/clock:advance`, { by: '1m' })];
      full.push(await ask('POST', `${CONTROL}/clock:advance`, { by: '1m' }));
      const reading = await ask('GET', `${ROUTINES}/r/runs`);
      off();
      db.pragma('max_page_count = 1000000');
      const advanced = await ask('POST', `${CONTROL}/clock:advance`, { by: '1m' });
      const after = await ask('GET', `${ROUTINES}/r/runs`);
      const { entries } = (await ask('GET', `${CONTROL}/journal?kind=attempt`)).body;
      const lines = canonicalLines(emulator.project('local'));

      expect(full.map(({ status }) => status)).toEqual([507, 507]);
      expect(reading.body.data.map((run: Json) => run.phase)).toEqual(['dispatching']);
      expect(advanced.status).toBe(200);
      expect(after.body.data.map((run: Json) => run.phase)).toEqual(['completed']);
      expect(entries.map((line: Json) => [line.attempt, line.status, line.next])).toEqual([
        [1, 200, 'complete'],
      ]);
      expect(calls).toBe(kind === 'forward' ? 1 : 0);
      expect(notices).toEqual([
        expect.stringContaining('stands still. The disk of the memory of this process is full.'),
      ]);
      expect((await ask('GET', '/_emulator/health')).body.projects[0].stuck).toEqual([]);
      expect(await replayJournal(lines)).toEqual(lines);
    },
  );
});

async function untilOver(emulator: Started, routines: string[]): Promise<Map<string, Json[]>> {
  for (;;) {
    const runs = new Map<string, Json[]>();
    for (const routine of routines) {
      const all: Json[] = [];
      for (let more = true; more; ) {
        const after = all.at(-1)?.id ?? '';
        const { body } = await emulator.ask(
          'GET',
          `${ROUTINES}/${routine}/runs?limit=100&after=${after}`,
        );
        all.push(...body.data);
        more = body.has_more;
      }
      runs.set(routine, all);
    }
    const lists = [...runs.values()];
    if (lists.every((all) => all.length > 0 && all.every((run) => run.phase === 'completed')))
      return runs;
    await sleep(50);
  }
}

const ALLOW = 'Allow it for this user, or choose another --data-dir.';

describe.runIf(mounts)('a read-only disk', () => {
  const READ_ONLY = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"';

  it.each(['an empty folder', 'a folder with a world'])(
    'ends a start on %s with 14',
    async (what: string) => {
      const folder = what === 'an empty folder' ? scratch() : await folderWithWorld();

      const said = await refused(prepared(READ_ONLY, folder), '--data-dir', folder);

      expect(said).toMatch(/^ended with 14: foundrite: \S+ cannot be written: [^\n]+$/);
      expect(said).toContain(folder);
      expect(said).toContain(ALLOW);
      expect(await routinesIn(folder)).toEqual(what === 'an empty folder' ? [] : ['kept']);
    },
    30_000,
  );

  it('or on a folder whose world alone may not be written', async () => {
    const folder = await folderWithWorld();
    const world = readdirSync(folder).find((name) => name.endsWith('.db')) ?? '';
    // As when it was copied from a read-only medium: the log beside it is whole.
    const said = await refused(prepared(READ_ONLY, join(folder, world)), '--data-dir', folder);

    expect(said).toMatch(/^ended with 14: foundrite: \S+ cannot be written: [^\n]+$/);
    expect(said).toContain(join(folder, world));
    expect(await routinesIn(folder)).toEqual(['kept']);
  }, 30_000);
});

describe('a folder that cannot be one', () => {
  it('because it is a file, or lies below one, ends a start with 14', async () => {
    const file = join(scratch(), 'taken');
    writeFileSync(file, 'mine');

    const said = [
      await refused([], '--data-dir', file),
      await refused([], '--data-dir', join(file, 'below')),
    ];

    for (const each of said)
      expect(each).toMatch(
        /^ended with 14: foundrite: \S+ is no folder, or lies below a file: [^\n]+ Choose another --data-dir\.$/,
      );
    expect(readFileSync(file, 'utf8')).toBe('mine');
  }, 30_000);

  it.runIf(existsSync('/proc/self'))(
    'because none can be made there, ends a start with 14 and does not hang',
    () => {
      const end = (env: NodeJS.ProcessEnv, ...args: string[]) =>
        spawnSync(process.execPath, [BIN, 'start', '--port', '0', ...args], {
          env: { ...process.env, ...env },
          encoding: 'utf8',
          timeout: 10_000,
        });

      const { status, stderr } = end({}, '--data-dir', '/proc/none/below');
      // Without a certificate that could be kept it goes on, and says so, up to the folder.
      const home = end({ FOUNDRITE_HOME: '/proc/none' }, '--data-dir', '/proc/none');

      expect(status).toBe(14);
      expect(stderr).toMatch(
        /^foundrite: \/proc\/none\/below cannot be made: [^\n]+ Choose another --data-dir\.\n$/,
      );
      expect([home.status, home.stderr]).toEqual([
        14,
        expect.stringContaining('The certificate could not be kept in /proc/none/tls'),
      ]);
    },
    30_000,
  );

  it.each(['', 'SQLite format 3'])(
    'because of a file %j in it that is no project',
    async (text) => {
      const folder = scratch();
      writeFileSync(join(folder, 'notes.db'), text);

      const said = await refused([], '--data-dir', folder);

      expect(said).toMatch(/^ended with 14: foundrite: \S+notes\.db [^\n]+$/);
      expect(said).not.toContain('no such table');
      if (text === '') expect(said).toContain('holds no project of Foundrite');
      expect(readFileSync(join(folder, 'notes.db'), 'utf8')).toBe(text);
    },
  );

  it('because this user may not write it, ends a start with 14', async () => {
    const folder = scratch();
    mkdirSync(join(folder, 'closed'), { mode: 0o500 });
    // Root passes every permission unless it lets go of that power.
    const powerless = IS_ROOT
      ? ['setpriv', '--bounding-set', '-dac_override,-dac_read_search']
      : [];

    const said = await refused(powerless, '--data-dir', join(folder, 'closed'));

    expect(said).toMatch(/^ended with 14: foundrite: \S+closed\S* cannot be written: [^\n]+$/);
    expect(said).toContain(ALLOW);
  }, 30_000);
});

describe('a folder in use', () => {
  it('is refused to a second process by name, be it start or exec, and to a second emulator of one process', async () => {
    const folder = scratch();
    const first = await started([], '--data-dir', folder);
    await first.ask('GET', ROUTINES);

    const again = await refused([], '--data-dir', folder);
    const exec = spawnSync(process.execPath, [BIN, 'exec', '--data-dir', folder, '--', 'true'], {
      encoding: 'utf8',
    });

    const sentence = `foundrite: ${IN_USE} ${folder}. Stop it, or choose another --data-dir.`;
    expect(again).toBe(`ended with 14: ${sentence}`);
    expect([exec.status, exec.stderr.trim()]).toEqual([14, sentence]);
    expect(() => createEmulator({ dataDir: folder })).toThrow(IN_USE);
    expect((await first.ask('GET', ROUTINES)).status).toBe(200);
  }, 30_000);

  it('is free again after a start that failed', async () => {
    const folder = await folderWithWorld();
    const file = join(folder, readdirSync(folder).find((name) => name.endsWith('.db')) ?? '');
    const copy = scratch();
    cpSync(folder, copy, { recursive: true });
    const db = new Sqlite(file);
    db.pragma('user_version = 99');
    db.close();

    expect(() => createEmulator({ dataDir: folder })).toThrow('written by another Foundrite');
    rmSync(folder, { recursive: true });
    cpSync(copy, folder, { recursive: true });
    const emulator = createEmulator({ dataDir: folder });
    cleanups.push(() => emulator.close());

    expect(emulator.project('local').world.unwritable).toBeUndefined();
  }, 30_000);

  it('answers 507 for a project whose file somebody else holds, and opens it when it is let go', async () => {
    const folder = scratch();
    const path = '/api/projects/mine/routines';
    const first = await started([], '--data-dir', folder);
    await first.ask('GET', path);
    await first.end();
    const file = join(folder, readdirSync(folder).find((name) => name.startsWith('mine-')) ?? '');
    const aside = join(scratch(), 'mine.db');
    cpSync(file, aside);
    rmSync(file);
    const second = await started([], '--data-dir', folder);
    cpSync(aside, file);
    const holder = new Sqlite(file);
    holder.pragma('locking_mode = EXCLUSIVE');
    holder.exec('BEGIN EXCLUSIVE; COMMIT');

    const held = await second.ask('GET', path);
    holder.close();
    const free = await second.ask('GET', path);

    expect([held.status, held.body.error.message]).toEqual([
      507,
      expect.stringContaining(`${IN_USE} ${file}.`),
    ]);
    expect(free.status).toBe(200);
    expect(existsSync(`${file}.new`)).toBe(false);
  }, 30_000);
});
