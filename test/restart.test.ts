import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import { manualClock } from '../emulator/clock.ts';
import { createEmulator, type Emulator, type EmulatorOptions } from '../emulator/emulator.ts';
import { PROJECTS_MAX } from '../emulator/projects.ts';
import { replayJournal } from '../emulator/replay.ts';
import {
  CUSTOM,
  EVERY_5_MINUTES,
  type Foundry,
  lid,
  localAgent,
  openFoundry,
  responses,
  routine,
  START,
  scratchFolder,
  since,
} from './fixture.ts';
import { every, type Json, type Started, start } from './started.ts';

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => Database;
const HOST_NOW = Date.parse('2026-06-01T00:00:00Z');
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'foundrite-restart-'));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function open(options: EmulatorOptions): Emulator {
  const emulator = createEmulator({ notice: () => {}, ...options });
  cleanups.push(() => emulator.close());
  return emulator;
}

async function ask(
  emulator: Emulator,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Json }> {
  const answer = await emulator.fetch(
    new Request(`http://localhost${path}`, {
      method,
      headers: { authorization: 'Bearer t' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
}

const CLOCK = '/_emulator/projects/local/clock';

async function nowOf(emulator: Emulator): Promise<number> {
  return Date.parse((await ask(emulator, 'GET', CLOCK)).body.now);
}

describe('a world at the pace of the host that was moved ahead', () => {
  it('runs on from there after a restart', async () => {
    const dataDir = folder();
    const host = manualClock(HOST_NOW);
    const first = open({ dataDir, host, rate: 1, skip: false });
    await ask(first, 'POST', `${CLOCK}:advance`, { by: 'P1D' });
    await first.close();

    host.tick(5_000);
    const second = open({ dataDir, host, rate: 1, skip: false });
    const reopened = await nowOf(second);
    host.tick(2_000);

    expect(reopened - HOST_NOW).toBe(86_400_000 + 5_000);
    expect((await nowOf(second)) - reopened).toBe(2_000);
  });

  it('runs on from a snapshot, whenever that was taken', async () => {
    const host = manualClock(HOST_NOW);
    const emulator = open({ host, rate: 1, skip: false });
    await ask(emulator, 'PUT', '/_emulator/projects/local/snapshots/one');
    host.tick(3_600_000);

    await ask(emulator, 'POST', '/_emulator/projects/local:reset', { snapshot: 'one' });
    host.tick(1_000);

    expect(await nowOf(emulator)).toBe(HOST_NOW + 1_000);
  });
});

describe('a folder with many projects', () => {
  it('closes the idle ones only, and opens them again as they were', async () => {
    const emulator = open({ dataDir: folder(), rate: 1, host: manualClock(HOST_NOW), seed: 's' });
    await ask(emulator, 'GET', '/api/projects/idle/routines');
    const routines = '/api/projects/local/routines';
    await ask(emulator, 'PUT', `${routines}/busy`, every('*/5 * * * *'));

    for (let n = 0; n < PROJECTS_MAX; n += 1)
      await ask(emulator, 'GET', `/api/projects/w${n}/routines`);
    const { projects } = (await ask(emulator, 'GET', '/_emulator/projects')).body;
    const names = projects.map((project: Json) => project.name);
    const again = await ask(emulator, 'PUT', '/_emulator/projects/idle', { seed: 'other' });

    expect([names.length, names.includes('local'), names.includes('idle')]).toEqual([
      PROJECTS_MAX,
      true,
      false,
    ]);
    expect([again.status, again.body.error.code]).toEqual([409, 'conflict']);
  }, 60_000);
});

describe('closing', () => {
  it('ends calls to agents, and breaks off what waits for them without calling it a bug', async () => {
    const hanging = createServer(() => {});
    await new Promise<void>((resolve) => hanging.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => void hanging.close());
    const called = new Promise<void>((resolve) => hanging.once('request', () => resolve()));
    const ended = new Promise<void>((resolve) =>
      hanging.once('connection', (socket) => socket.once('close', () => resolve())),
    );
    const notices: string[] = [];
    const emulator = open({ notice: (message) => notices.push(message) });
    const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`;
    const reply = '/_emulator/projects/local/agents/demo-agent/reply';
    await ask(emulator, 'PUT', reply, { kind: 'forward', url });
    const invoke = '/api/projects/local/agents/demo-agent/endpoint/protocols/invocations';
    const answer = ask(emulator, 'POST', invoke, {}).catch((error: Error) => error.message);

    await called;
    await emulator.close();

    await ended;
    expect(await answer).toBe('fetch failed');
    expect(notices).toEqual([]);
  });
});

/** In seconds. */
const HOUR = 3_600;
const WEEK = 7 * 24 * HOUR;

/** What a world was in the middle of when its process ended, and what became of it when one began again later. */
async function asleep(slept: number, options: EmulatorOptions): Promise<Json> {
  const dataDir = scratchFolder();
  const agent = await localAgent((response, number) => {
    if (number > 1) response.end('{}');
  });
  const host = lid(START);
  const before = openFoundry({ dataDir, rate: 1, skip: false, host, ...options });
  for (const name of ['digest', 'flaky', 'gated', 'local']) await before.agent(name);
  await before.reply('local', { kind: 'forward', url: agent.url });
  await before.faults(
    { agent: 'flaky', attempts: [503] },
    { agent: 'gated', attempts: [{ kind: 'gate', name: 'g' }] },
  );
  await before.routine('schedule', routine(EVERY_5_MINUTES));
  await before.routine('timer', routine({ type: 'timer', at: '10m' }));
  for (const [name, of] of [
    ['retry', 'flaky'],
    ['held', 'gated'],
    ['open', 'local'],
  ] as const) {
    await before.routine(name, routine(CUSTOM, { action: responses(of) }));
    await before.dispatch(name);
  }
  await host.sleep(0);
  await agent.arrival(1);
  await before.emulator.close();

  const later = lid(START + slept * 1_000);
  const after = openFoundry({ dataDir, rate: 1, skip: false, host: later, ...options });
  const firings = async (name: string) =>
    (await after.journal(`kind=fire&routine=${name}&limit=10000`)).map((line) => since(line.at));
  // Worlds of a folder are opened at the start: nobody need ask.
  await settled(later, after);
  const schedule = await firings('schedule');
  const timer = await firings('timer');
  await later.sleep(295_000);
  await settled(later, after);
  const phases = ['retry', 'held', 'open'].map(async (name) => (await after.runs(name))[0].phase);
  return {
    schedule,
    next: (await firings('schedule')).slice(schedule.length),
    timer,
    missed: (await after.journal('kind=missed')).map((line) => [line.routine, line.count]),
    retry: await after.attempts('routine=retry'),
    held: await after.attempts('routine=held'),
    open: await after.attempts('routine=open'),
    calls: agent.heard.length,
    phases: await Promise.all(phases),
    enabled: (await after.get('/routines/timer')).body.enabled,
    replays: await isReplayed(canonicalLines(after.project)),
    notices: [...before.notices, ...after.notices],
  };
}

async function isReplayed(lines: string[]): Promise<boolean> {
  return (await replayJournal(lines)).join('\n') === lines.join('\n');
}

/** Lets retries come, and calls of real agents return at the instant at which they were made. */
async function settled(host: ReturnType<typeof lid>, foundry: Foundry): Promise<void> {
  for (let second = 0; second < 5; second += 1) {
    await host.sleep(second === 0 ? 0 : 1_000);
    while ((await foundry.clock()).heldBy.some((held: Json) => held.kind === 'call'))
      await new Promise((resolve) => setImmediate(resolve));
    await host.sleep(0);
  }
  await host.sleep(1_000);
}

/** What becomes of it after so many seconds where nobody says otherwise: schedules skip, timers fire once, retries run now. */
function asUsual(slept: number): Json {
  return {
    schedule: [],
    next: [`${slept + 300}s`],
    timer: [`${slept}s`],
    missed: [['schedule', slept / 300]],
    retry: ['503 @0s retry', `200 @${slept}s complete`],
    // Its ceiling passed while nothing ran.
    held: [`timeout @${slept}s retry`, `200 @${slept + 1}s complete`],
    open: ['interrupted @0.999s retry', `200 @${slept}s complete`],
    calls: 2,
    phases: ['completed', 'completed', 'completed'],
    enabled: true,
    replays: true,
    notices: [],
  };
}

const EACH = Array.from({ length: 12 }, (_, n) => `${(n + 1) * 300}s`);
/** Nothing is late: all of it happens at its own instant. */
const IN_TIME = {
  schedule: EACH,
  timer: ['600s'],
  missed: [],
  retry: ['503 @0s retry', '200 @1s complete'],
  held: ['timeout @30s retry', '200 @31s complete'],
};

describe('a restart at the pace of the host', () => {
  const cases: [what: string, slept: number, options: EmulatorOptions, other: object][] = [
    ['an hour', HOUR, {}, {}],
    ['a week', WEEK, {}, {}],
    [
      'an hour, late_schedule once',
      HOUR,
      { switches: { late_schedule: 'once' } },
      { schedule: ['3600s'], missed: [['schedule', 11]] },
    ],
    [
      'a week, late_schedule once',
      WEEK,
      { switches: { late_schedule: 'once' } },
      { schedule: [`${WEEK}s`], missed: [['schedule', 2015]] },
    ],
    ['an hour, late_schedule all', HOUR, { switches: { late_schedule: 'all' } }, IN_TIME],
    [
      'an hour, late_timer drop',
      HOUR,
      { switches: { late_timer: 'drop' } },
      {
        timer: [],
        missed: [
          ['schedule', 12],
          ['timer', 1],
        ],
      },
    ],
    [
      'a week, late_timer drop',
      WEEK,
      { switches: { late_timer: 'drop' } },
      {
        timer: [],
        missed: [
          ['schedule', 2016],
          ['timer', 1],
        ],
      },
    ],
    ['an hour, late_after 2h', HOUR, { settings: { late_after: '2h' } }, IN_TIME],
    ['a week, late_after 2h', WEEK, { settings: { late_after: '2h' } }, {}],
    [
      'an hour, after_timer disabled',
      HOUR,
      { switches: { after_timer: 'disabled' } },
      { enabled: false },
    ],
    [
      'an hour, retry_on without interrupted',
      HOUR,
      { settings: { retry_on: '5xx timeout' } },
      {
        open: ['interrupted @0.999s fail'],
        calls: 1,
        phases: ['completed', 'completed', 'failed'],
      },
    ],
  ];

  it.each(cases)('after %s', async (_what, slept, options, other) => {
    expect(await asleep(slept, options)).toEqual({ ...asUsual(slept), ...other });
  });

  it('after an hour of a process that was killed, too', async () => {
    const dataDir = folder();
    const routines = '/api/projects/local/routines';
    const first = await startOn(dataDir);
    await first.ask('PUT', `${routines}/schedule`, every('*/5 * * * *'));
    await first.ask('PUT', `${routines}/timer`, {
      ...every('*/5 * * * *'),
      triggers: { once: { type: 'timer', at: '30m' } },
    });
    await first.end('SIGKILL');
    // As if the host's clock had gone on by an hour.
    const file = readdirSync(dataDir).find((name) => /^local-\w+\.db$/.test(name)) ?? '';
    const db = new Sqlite(join(dataDir, file));
    db.exec('UPDATE world SET host_offset = host_offset + 3600000');
    db.close();

    const second = await startOn(dataDir);
    let runs: Json[] = [];
    while (runs[0]?.phase !== 'completed')
      runs = (await second.ask('GET', `${routines}/timer/runs`)).body.data;
    const journal = '/_emulator/projects/local/journal?kind=missed';
    const { entries } = (await second.ask('GET', journal)).body;
    const planned = (await second.ask('GET', `${routines}/schedule/runs`)).body.data;

    expect(runs).toHaveLength(1);
    expect(entries.map((line: Json) => [line.routine, line.count])).toEqual([['schedule', 12]]);
    expect(planned).toEqual([]);
  }, 30_000);
});

describe('a client that waited for an instant when its world ended', () => {
  /** A stream of a run that says nothing until it expires, at second 1. */
  async function waiting(foundry: Foundry): Promise<void> {
    const { body: assistant } = await foundry.post('/assistants', { model: 'm' });
    await foundry.reply(assistant.id, { kind: 'script', turns: [{ stuck: true }] });
    foundry.inFlight('POST', '/threads/runs', {
      body: { assistant_id: assistant.id, stream: true },
    });
    await foundry.advance('1s');
    expect((await foundry.clock()).waiting).toHaveLength(1);
  }

  async function expectAtRest(foundry: Foundry): Promise<void> {
    expect(since((await foundry.advance('idle')).now)).toBe('1s');
    expect(await isReplayed(canonicalLines(foundry.project))).toBe(true);
  }

  it('is not waited for after a restart', async () => {
    const dataDir = scratchFolder();
    const before = openFoundry({ dataDir, rate: 0, skip: false });
    await waiting(before);
    await before.emulator.close();

    await expectAtRest(openFoundry({ dataDir, rate: 0, skip: false }));
  });

  it('is not waited for in a snapshot that was taken then', async () => {
    const foundry = openFoundry({ rate: 0, skip: false });
    await waiting(foundry);
    await foundry.steer('PUT', '/snapshots/then');
    await foundry.steer('POST', ':reset', { snapshot: 'then' });

    await expectAtRest(foundry);
  });
});

async function startOn(dataDir: string): Promise<Started> {
  const emulator = await start('--data-dir', dataDir, '--rate', '1');
  cleanups.push(() => emulator.end('SIGKILL'));
  return emulator;
}

describe('a restart of a world that stands still', () => {
  it.each([HOUR, WEEK])(
    'after %d seconds goes on where it stood, and nothing is late',
    async (slept) => {
      const dataDir = scratchFolder();
      const before = openFoundry({ dataDir, host: lid(START) });
      await before.agent('digest');
      await before.routine('schedule', routine(EVERY_5_MINUTES));
      await before.routine('timer', routine({ type: 'timer', at: '10m' }));
      await before.faults({ agent: 'digest', attempts: [503] });
      await before.routine('retry', routine());
      await before.dispatch('retry');
      await before.advance('PT0S');
      await before.emulator.close();

      const host = lid(START + slept * 1_000);
      const after = openFoundry({ dataDir, host });
      await host.sleep(5_000);
      const stood = [await after.now(), await after.attempts()];
      const { fired } = await after.advance('PT10M');

      expect(stood).toEqual(['2026-06-01T00:00:00.000Z', ['503 @0s retry']]);
      expect(fired.map((each: Json) => [each.routine, since(each.at), each.late])).toEqual([
        ['schedule', '300s', false],
        ['timer', '600s', false],
        ['schedule', '600s', false],
      ]);
      expect((await after.attempts('routine=retry')).at(-1)).toBe('200 @1s complete');
      expect(await after.journal('kind=missed')).toEqual([]);
    },
  );
});
