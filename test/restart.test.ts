import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { manualClock } from '../emulator/clock.ts';
import { createEmulator, type Emulator, type EmulatorOptions } from '../emulator/emulator.ts';
import { PROJECTS_MAX } from '../emulator/projects.ts';
import type { Json } from './started.ts';
import { every } from './started.ts';

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
