/** Signal 9 at random moments under load: one emulator process after the other on one folder, one agent beside them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { replayJournal } from '../../emulator/replay.ts';
import { BIN, type Json, type Started, start } from '../started.ts';
import type { Call } from './agent.ts';
import { type Chance, Client, CONTROL, chance } from './load.ts';
import { killsInCalls, problemsIn, type Story } from './story.ts';

const AGENT = fileURLToPath(new URL('agent.ts', import.meta.url));
const ROUTINES = '/api/projects/local/routines';
/** Waits are short, so that many attempts fall into a short life. */
const FLAGS = [
  ['--rate', '1'],
  ['--journal-max', '10000000'],
  ...['first_wait=30', 'wait_max=60', 'attempt_timeout=400'].map((one) => ['--setting', one]),
].flat();

const now = () => performance.timeOrigin + performance.now();

/** Where in the life of a process it is killed. */
export type Moment = 'load' | 'advance' | 'upset' | 'start';

/** Those of a process that is ready, in this order. */
const MOMENTS: Moment[] = ['load', 'advance', 'load', 'upset'];

export interface Agent {
  url: string;
  calls(): Promise<Call[]>;
  end(): Promise<void>;
}

export async function startAgent(seed: string): Promise<Agent> {
  const child = spawn(process.execPath, [AGENT, seed], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [first] = await once(child.stdout, 'data');
  const url = String(first).trim();
  return {
    url,
    calls: async () => (await (await fetch(url)).json()) as Call[],
    async end() {
      const gone = once(child, 'close');
      child.stdin.end();
      await gone;
    },
  };
}

export interface Killing {
  folder: string;
  kills: number;
  seed: string;
  /** Called after each kill, with what it met. */
  onKill?: (kill: number, moment: Moment) => void;
}

export interface Killed {
  story: Story;
  moments: Record<Moment, number>;
  /** How many kills found a call open. */
  inCalls: number;
  /** How long the journal is that was played again. */
  lines: number;
  /** In sentences; none when all is as it must be. */
  problems: string[];
}

/** One line for a person. */
export function figuresOf({ story, moments, inCalls, lines, problems }: Killed): string {
  const count = (kind: string) => story.told.filter((line) => line.kind === kind).length;
  const firings = story.after.journal.filter((line) => line.kind === 'fire').length;
  const interrupted = story.after.journal.filter((line) => line.outcome === 'interrupted').length;
  const where = Object.entries(moments).map(([moment, times]) => `${moment} ${times}`);
  return [
    `${story.kills.length} kills (${where.join(', ')}), ${inCalls} with a call open`,
    `${count('dispatch')} dispatches, ${count('change')} changes and ${count('timer')} timers told, ${count('kept')} things kept on threads`,
    `${firings} firings, ${story.calls.length} calls counted by the agent, ${interrupted} attempts interrupted`,
    `${lines} lines played again`,
    `${problems.length} problems`,
  ].join('; ');
}

export function emulatorOn(folder: string, ...more: string[]): Promise<Started> {
  return start('--data-dir', folder, '--seed', 'kill', ...FLAGS, ...more);
}

export async function killOver({ folder, kills, seed, onKill }: Killing): Promise<Killed> {
  const draw = chance(`${seed} moments`);
  const agent = await startAgent(seed);
  const client = new Client(`${seed} load`);
  const at: number[] = [];
  const moments: Record<Moment, number> = { load: 0, advance: 0, upset: 0, start: 0 };
  const startedAt = now();
  let emulator: Started | undefined = await emulatorOn(folder);
  const startMs = now() - startedAt;
  try {
    await client.take(emulator);
    await client.prepare(agent.url);
    for (let kill = 1; kill <= kills; kill += 1) {
      const moment = emulator === undefined ? 'start' : (MOMENTS[kill % MOMENTS.length] ?? 'load');
      moments[moment] += 1;
      at.push(
        emulator === undefined
          ? await killStarting(folder, draw(Math.ceil(startMs)))
          : await killUnderLoad(emulator, client, moment, draw),
      );
      onKill?.(kill, moment);
      emulator = undefined;
      // Now and then the next kill meets the next process before it is ready.
      if (moment !== 'start' && kill < kills && draw(8) === 0) continue;
      emulator = await emulatorOn(folder);
      await client.take(emulator);
    }
    emulator ??= await emulatorOn(folder);
    const story = await endOf(emulator, client, agent, at);
    const inCalls = killsInCalls(story);
    const lines = await canonicalJournal(emulator);
    const problems = [...problemsIn(story), ...(await replayProblems(lines))];
    if (inCalls < kills / 2) problems.push(`weak: only ${inCalls} kills met a call`);
    return { story, moments, inCalls, lines: lines.length, problems };
  } finally {
    await emulator?.end('SIGKILL');
    await agent.end();
  }
}

/** Loads it, and ends it in the middle; the instant of the kill. */
async function killUnderLoad(
  emulator: Started,
  client: Client,
  moment: Moment,
  draw: Chance,
): Promise<number> {
  const broken = [client.work()];
  // Counted in answers: how fast they come is the machine's affair.
  const enough = client.answers + 10 + draw(40);
  while (client.answers < enough) await sleep(1);
  await sleep(draw(30));
  if (moment === 'advance') broken.push(client.advance());
  if (moment === 'upset') broken.push(client.upset());
  if (moment !== 'load') await sleep(draw(80));
  const at = now();
  await emulator.end('SIGKILL');
  await Promise.all(broken);
  return at;
}

/** Ends one that has begun so long ago; it may be ready already. */
async function killStarting(folder: string, afterMs: number): Promise<number> {
  const args = [BIN, 'start', '--port', '0', '--data-dir', folder, ...FLAGS];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  const gone = once(child, 'close');
  await sleep(afterMs);
  const at = now();
  child.kill('SIGKILL');
  await gone;
  return at;
}

/** Lets everything come to its end, and asks what has become of it. */
export async function endOf(
  emulator: Started,
  client: Client,
  agent: Agent,
  kills: readonly number[],
  restMs = 5_000,
): Promise<Story> {
  // Timers are put one second ahead, and runs of threads take two.
  await emulator.ask('POST', `${CONTROL}/clock:advance`, { by: '2s' });
  await client.take(emulator);
  const timers = client.told.flatMap((line) => (line.kind === 'timer' ? [line.routine] : []));
  const names = ['manual-0', 'manual-1', ...client.schedules.keys(), ...timers];
  let runs = new Map<string, Json[]>();
  const until = now() + restMs;
  do {
    runs = new Map();
    for (const name of names) runs.set(name, await runsOf(emulator, name));
  } while (now() < until && [...runs.values()].flat().some((run) => !isOver(run)));
  const { now: instant } = (await emulator.ask('GET', `${CONTROL}/clock`)).body;
  return {
    told: client.told,
    calls: await agent.calls(),
    kills,
    after: {
      // What came due since the runs were read is not looked for.
      now: Date.parse(instant) - 60_000,
      runs,
      schedules: client.schedules,
      journal: await journalOf(emulator),
      kept: await keptOf(emulator, client),
    },
  };
}

/** Where the replay goes another way, with what it should be. */
async function replayProblems(lines: string[]): Promise<string[]> {
  const replayed = await replayJournal(lines);
  const at = lines.findIndex((line, index) => line !== replayed[index]);
  if (at < 0 && lines.length === replayed.length) return [];
  const index = at < 0 ? lines.length : at;
  return [`not replayed: ${replayed[index]} instead of ${lines[index]}`];
}

function isOver(run: Json): boolean {
  return run.phase === 'completed' || run.phase === 'failed';
}

async function runsOf(emulator: Started, routine: string): Promise<Json[]> {
  const runs: Json[] = [];
  for (let after = ''; ; ) {
    const path = `${ROUTINES}/${routine}/runs?limit=100&after=${after}`;
    const { status, body } = await emulator.ask('GET', path);
    if (status === 404) return runs;
    runs.push(...body.data);
    if (!body.has_more) return runs;
    after = body.last_id;
  }
}

async function keptOf(emulator: Started, client: Client): Promise<Map<string, Json | null>> {
  const kept = new Map<string, Json | null>();
  for (const line of client.told) {
    if (line.kind !== 'kept') continue;
    const { status, body } = await emulator.ask('GET', line.path);
    kept.set(line.path, status === 200 ? body : null);
  }
  return kept;
}

async function journalOf(emulator: Started): Promise<Json[]> {
  const lines: Json[] = [];
  for (;;) {
    const after = lines.at(-1)?.seq ?? 0;
    const { body } = await emulator.ask('GET', `${CONTROL}/journal?limit=10000&after=${after}`);
    if (body.entries.length === 0) return lines;
    lines.push(...body.entries);
  }
}

async function canonicalJournal(emulator: Started): Promise<string[]> {
  const lines: string[] = [];
  for (;;) {
    const after = lines.length === 0 ? 0 : JSON.parse(lines.at(-1) ?? '').seq;
    const path = `${CONTROL}/journal?canonical=true&limit=10000&after=${after}`;
    const answer = await fetch(emulator.url + path, {
      headers: { accept: 'application/x-ndjson' },
    });
    const text = (await answer.text()).trimEnd();
    if (text === '') return lines;
    lines.push(...text.split('\n'));
  }
}
