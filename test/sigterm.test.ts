/** How long a real process takes from SIGTERM to its end: who stops a hundred emulators after their tests waits for this. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { Agent, get } from 'node:http';
import { Agent as SecureAgent, get as secureGet } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { every, type Started, start } from './started.ts';

/** What a user is promised, of an idle emulator. */
const PROMISED_MS = 100;
const TRIES = 5;
const CONNECTIONS = 20;
const WORLDS = 4;
/** Of the log, of the file, and of the folder when the log is gone. */
const SYNCS_OF_A_CLOSE = 3;
const SYNCS = 20;

const folder = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Beside each emulator a Node that only listens, and ends in the same way: what this machine takes for that at this moment. */
const BARE = `const server = require('node:http').createServer().listen(0, '127.0.0.1', () => console.log('ready'));
  process.on('SIGTERM', () => server.close(() => process.exit(0)));`;

interface Ends {
  /** In ms, the shortest first. */
  ours: number[];
  bare: number[];
}

async function ends(
  prepare: (running: Started) => Promise<void>,
  ...args: string[]
): Promise<Ends> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let round = 0; round < TRIES; round += 1) {
    const node = spawn(process.execPath, ['-e', BARE], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void node.kill('SIGKILL'));
    await once(node.stdout, 'data');
    bare.push(await endOf(node));
    const running = await start(...args.map((arg) => arg.replace('{round}', String(round))));
    onTestFinished(() => running.end('SIGKILL'));
    await prepare(running);
    ours.push(await endOf(running.child));
  }
  for (const times of [ours, bare]) times.sort((one, other) => one - other);
  const shown = (times: number[]) => times.map((ms) => Math.round(ms)).join(', ');
  process.stdout.write(
    `${expect.getState().currentTestName}: ${shown(ours)} ms; a bare Node: ${shown(bare)} ms\n`,
  );
  return { ours, bare };
}

async function endOf(child: ChildProcess): Promise<number> {
  const gone = once(child, 'exit');
  const asked = performance.now();
  child.kill('SIGTERM');
  expect(await gone).toEqual([0, null]);
  return performance.now() - asked;
}

/** A busy machine adds to a time and takes nothing away: the shortest says what the work takes, less what a bare Node takes of it. */
function ownMs({ ours, bare }: Ends): number {
  return (ours[0] as number) - (bare[0] as number);
}

/** As pools of clients do: connections that have asked, been answered, and are kept. */
async function keepConnections(url: string): Promise<void> {
  const secure = url.startsWith('https');
  const options = { keepAlive: true, maxSockets: CONNECTIONS, rejectUnauthorized: false };
  const agent = secure ? new SecureAgent(options) : new Agent(options);
  onTestFinished(() => agent.destroy());
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      const request = (secure ? secureGet : get)(`${url}/_emulator/health`, { agent }, (answer) => {
        answer.resume().once('end', resolve);
      });
      request.once('error', reject);
    });
  await Promise.all(Array.from({ length: CONNECTIONS }, ask));
  const kept = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
  // Each that the server ends is an error to none.
  for (const socket of kept) socket.on('error', () => {});
  expect(kept.length).toBe(CONNECTIONS);
}

test('idle', async () => {
  expect(ownMs(await ends(async () => {}))).toBeLessThan(PROMISED_MS);
});

test('with idle connections, plain, over TLS, and silent ones', async () => {
  const times = await ends(async ({ url }) => {
    await keepConnections(url);
    await keepConnections(url.replace('http:', 'https:'));
    const silent = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
    onTestFinished(() => void silent.destroy());
    await once(silent, 'connect');
  });

  expect(ownMs(times)).toBeLessThan(PROMISED_MS);
});

/** How long this disk takes at this moment to say that something is on it, in ms. */
function syncMs(): number {
  const file = openSync(join(folder, 'sync'), 'w');
  const began = performance.now();
  for (let round = 0; round < SYNCS; round += 1) {
    writeSync(file, 'x');
    fsyncSync(file);
  }
  closeSync(file);
  return (performance.now() - began) / SYNCS;
}

test('with worlds in files, which it writes out', async () => {
  const disk: number[] = [];
  const times = await ends(
    async ({ ask }) => {
      for (let project = 1; project < WORLDS; project += 1)
        expect((await ask('PUT', `/_emulator/projects/p${project}`, {})).status).toBe(201);
      const put = await ask('PUT', '/api/projects/local/routines/r', every('0 7 * * *'));
      expect(put.status).toBe(200);
      disk.push(syncMs());
    },
    '--data-dir',
    join(folder, 'data-{round}'),
  );

  const left = readdirSync(join(folder, 'data-0'));
  expect(left.filter((name) => name.endsWith('.db'))).toHaveLength(WORLDS);
  expect(left.filter((name) => /-(wal|shm)$/.test(name))).toEqual([]);
  // Closing one moves its log into its file, which the disk must confirm: that is not ours to make faster.
  const forDisk = WORLDS * SYNCS_OF_A_CLOSE * Math.max(...disk);
  process.stdout.write(`of which the disk may take ${Math.round(forDisk)} ms\n`);
  expect(ownMs(times)).toBeLessThan(PROMISED_MS + forDisk);
});
