import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import { type Agent, emulatorOn, endOf, figuresOf, killOver, startAgent } from './kill/kill.ts';
import { Client, timer } from './kill/load.ts';
import { problemsIn } from './kill/story.ts';

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => Database;
const KILLS = 10;
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), 'foundrite-kill-'));
  cleanups.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe('signal 9 at random moments under load', () => {
  it('loses nothing acknowledged, doubles no firing, and ends every delivery within the policy', async () => {
    const seed = randomBytes(4).toString('hex');
    console.log(`again: npm run test:kill -- --kills ${KILLS} --seed ${seed}`);

    const killed = await killOver({ folder: scratch(), kills: KILLS, seed });

    console.log(figuresOf(killed));
    expect(killed.problems).toEqual([]);
  }, 120_000);
});

describe('what looks for losses and doubles', () => {
  it('finds each one that is planted behind the emulator’s back, and nothing else', async () => {
    const folder = scratch();
    const agent = await startAgent('planted');
    cleanups.push(() => agent.end());
    const client = new Client('planted');
    // Advances are whole minutes: what fires every five minutes has most of one to come when all is looked at.
    const first = await emulatorOn(folder, '--now', '2026-06-01T00:00:05Z');
    cleanups.push(() => first.end('SIGKILL'));
    await client.take(first);
    await client.prepare(agent.url);
    const work = client.work();
    while (client.told.length < 100) await sleep(5);
    await client.advance();
    await first.end('SIGKILL');
    await work;
    const second = await emulatorOn(folder);
    cleanups.push(() => second.end('SIGKILL'));
    await second.ask('PUT', '/api/projects/local/routines/a-0', timer('1d', 'planted'));
    const change = { kind: 'put', value: 'planted', enabled: true } as const;
    client.told.push({ kind: 'change', subject: 'a-0', change, answer: 'done' });
    const before = problemsIn(await endOf(second, client, agent, []));
    await second.end();

    const planted = await plant(folder, client, agent);
    const third = await emulatorOn(folder);
    cleanups.push(() => third.end('SIGKILL'));
    const found = problemsIn(await endOf(third, client, agent, [], 100));

    expect(before).toEqual([]);
    expect(found.sort()).toEqual(planted.sort());
  }, 60_000);
});

/** Changes the file of a world that no process has open; the sentences that must be said of it. */
async function plant(folder: string, client: Client, agent: Agent): Promise<string[]> {
  const file = readdirSync(folder).find((name) => /^local-\w+\.db$/.test(name)) ?? '';
  const db = new Sqlite(join(folder, file));
  const one = <Row>(sql: string, ...values: unknown[]) => db.prepare(sql).get(...values) as Row;
  const told = client.told.flatMap((line) => (line.kind === 'dispatch' ? [line] : []));
  const [lost, stuck, called] = told as unknown as [Dispatch, Dispatch, Dispatch];
  db.prepare('DELETE FROM run WHERE dispatch_id = ?').run(lost.id);

  db.prepare("DELETE FROM routine WHERE name = 'a-0'").run();
  db.prepare("DELETE FROM due WHERE subject = 'routine:a-0'").run();

  const firing = one<{ seq: number; id: string; scheduled_fire_at: number }>(
    "SELECT * FROM run WHERE routine = 'each-5' LIMIT 1",
  );
  copyRow(db, 'run', firing.seq, { id: 'run-double', dispatch_id: 'disp-double' });
  const line = one<{ seq: number; at: number }>(
    "SELECT * FROM journal WHERE kind = 'fire' AND run = ?",
    firing.id,
  );
  copyRow(db, 'journal', line.seq, {});

  const run = one<{ id: string }>('SELECT id FROM run WHERE dispatch_id = ?', stuck.id);
  db.prepare("UPDATE run SET phase = 'dispatching' WHERE id = ?").run(run.id);

  const whose = one<{ id: string }>('SELECT id FROM run WHERE dispatch_id = ?', called.id).id;
  const { allowed } = one<{ allowed: number }>(
    "SELECT count(*) AS allowed FROM journal WHERE kind = 'attempt' AND run = ?",
    whose,
  );
  const beyond = one<{ seq: number; run: string }>(
    `SELECT * FROM journal WHERE kind = 'attempt' AND run <> ? AND json_extract(data, '$.next') = 'complete'
       AND json_extract(data, '$.attempt') = 1 LIMIT 1`,
    whose,
  );
  copyRow(db, 'journal', beyond.seq, {
    data: JSON.stringify({ attempt: 2, outcome: 'timeout', next: 'fail' }),
  });
  const kept = client.told.flatMap((line) => (line.kind === 'kept' ? [line.path] : []));
  const [said = ''] = kept.filter((path) => path.includes('/messages/'));
  const [ran = ''] = kept.filter((path) => path.includes('/runs/'));
  const idIn = (path: string) => path.slice(path.lastIndexOf('/') + 1);
  db.prepare('DELETE FROM message WHERE id = ?').run(idIn(said));
  db.prepare("UPDATE thread_run SET status = 'queued', ended_at = NULL WHERE id = ?").run(
    idIn(ran),
  );
  db.close();

  const calls = (await agent.calls()).filter(({ id }) => id === called.id).length;
  const headers = { 'x-ms-client-request-id': called.id };
  for (let n = 0; n < 3; n += 1)
    await fetch(agent.url, { method: 'POST', headers }).catch(() => undefined);
  const at = new Date(firing.scheduled_fire_at).toISOString();
  return [
    `lost: the dispatch ${lost.id} of ${lost.routine}`,
    'lost: a-0 is null, and was told to be planted on',
    `lost: ${said}`,
    ...client.told.flatMap((line) => {
      if (line.kind !== 'kept' || line.path !== ran) return [];
      if (line.status === undefined) return `stuck: ${ran} is queued`;
      return `lost: ${ran} is queued, and was told to be ${line.status}`;
    }),
    `doubled: the firing of each-5 at ${at}`,
    `doubled: the line of the firing ${firing.id}`,
    `doubled: the firing of each-5 in the journal at ${new Date(line.at).toISOString()}`,
    `stuck: the run ${run.id} is dispatching`,
    `beyond the policy: the run ${beyond.run} went on after its end`,
    `beyond the policy: ${called.id} was called ${calls + 3} times, ${allowed} were allowed`,
  ];
}

interface Dispatch {
  routine: string;
  id: string;
}

/** Adds a row like another, at the end of its table. */
function copyRow(db: Database, table: string, seq: number, other: object): void {
  const last = db.prepare(`SELECT max(seq) AS seq FROM ${table}`).get() as { seq: number };
  const row = db.prepare(`SELECT * FROM ${table} WHERE seq = ?`).get(seq) as object;
  const copy = { ...row, ...other, seq: last.seq + 1 };
  const names = Object.keys(copy);
  const places = names.map((name) => `@${name}`).join(', ');
  db.prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${places})`).run(copy);
  if (table === 'journal') db.prepare('UPDATE world SET journal_seq = ?').run(copy.seq);
}
