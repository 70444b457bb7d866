import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { replayJournal } from '../emulator/replay.ts';
import { type Json, type Started, start } from './started.ts';

const CONTROL = '/_emulator/projects/local';
const ROUTINES = '/api/projects/local/routines';
const KILLS = 10;
const FLAGS = [
  '--rate',
  '1',
  '--setting',
  'first_wait=30',
  '--setting',
  'wait_max=60',
  '--setting',
  'attempt_timeout=2000',
];

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** An agent that takes its time, fails every third call, and counts calls by delivery. */
async function startAgent(): Promise<{ url: string; calls: Map<string, number>; open(): number }> {
  const calls = new Map<string, number>();
  let served = 0;
  let open = 0;
  const server = createServer((request, response) => {
    const id = String(request.headers['x-ms-client-request-id']);
    calls.set(id, (calls.get(id) ?? 0) + 1);
    served += 1;
    open += 1;
    const status = served % 3 === 0 ? 503 : 200;
    void sleep(40).then(() => {
      open -= 1;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ id: `resp_${served}` }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  cleanups.push(() => server.closeAllConnections());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    open: () => open,
  };
}

function timer(at: string): unknown {
  return {
    triggers: { once: { type: 'timer', at } },
    action: { type: 'invoke_agent_responses_api', agent_name: 'demo-agent' },
  };
}

async function runsOf(emulator: Started, routine: string): Promise<Json[]> {
  const runs: Json[] = [];
  for (let after = ''; ; ) {
    const { body } = await emulator.ask(
      'GET',
      `${ROUTINES}/${routine}/runs?limit=100&after=${after}`,
    );
    runs.push(...body.data);
    if (!body.has_more) return runs;
    after = body.last_id;
  }
}

async function untilAtRest(emulator: Started, routines: string[]): Promise<Map<string, Json[]>> {
  for (;;) {
    const runs = new Map<string, Json[]>();
    for (const routine of routines) runs.set(routine, await runsOf(emulator, routine));
    const all = [...runs.values()].flat();
    if (all.every((run) => run.phase === 'completed' || run.phase === 'failed')) return runs;
    await sleep(20);
  }
}

describe('signal 9 at random moments', () => {
  it('loses nothing acknowledged, doubles no firing, and ends every delivery within the policy', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'foundrite-kill-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const agent = await startAgent();
    const acknowledged = new Set<string>();
    const timers: string[] = [];
    let killsWithOpenCalls = 0;

    let emulator = await start('--data-dir', folder, ...FLAGS);
    cleanups.push(() => emulator.end('SIGKILL'));
    await emulator.ask('PUT', `${CONTROL}/agents/demo-agent/reply`, {
      kind: 'forward',
      url: agent.url,
    });
    await emulator.ask('PUT', `${ROUTINES}/manual`, timer('10d'));
    for (let kill = 0; kill < KILLS; kill += 1) {
      const routine = `timer-${kill}`;
      if ((await emulator.ask('PUT', `${ROUTINES}/${routine}`, timer('1s'))).status === 200)
        timers.push(routine);
      const victim = emulator;
      const killed = sleep(randomInt(20, 400)).then(() => {
        if (agent.open() > 0) killsWithOpenCalls += 1;
        return victim.end('SIGKILL');
      });
      for (let alive = true; alive; ) {
        const answer = await victim
          .ask('POST', `${ROUTINES}/manual:dispatch_async`)
          .catch(() => undefined);
        if (answer?.status === 200) acknowledged.add(answer.body.dispatch_id);
        alive = answer !== undefined;
        await sleep(10);
      }
      await killed;
      emulator = await start('--data-dir', folder, ...FLAGS);
    }
    await sleep(1_100);
    const runs = await untilAtRest(emulator, ['manual', ...timers]);

    const manual = runs.get('manual') ?? [];
    const seen = manual.map((run) => run.dispatch_id);
    expect([...acknowledged].filter((id) => !seen.includes(id))).toEqual([]);
    expect(new Set(seen).size).toBe(seen.length);
    for (const routine of timers)
      expect([routine, runs.get(routine)?.length]).toEqual([routine, 1]);
    const { body } = await emulator.ask('GET', `${CONTROL}/journal?kind=attempt&limit=10000`);
    const attempts = new Map<string, number[]>();
    for (const entry of body.entries)
      attempts.set(entry.run, [...(attempts.get(entry.run) ?? []), entry.attempt]);
    for (const numbers of attempts.values())
      expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    for (const [run, numbers] of attempts) expect([run, numbers.length <= 3]).toEqual([run, true]);
    for (const [id, count] of agent.calls) expect([id, count <= 3]).toEqual([id, true]);
    const canonical = await fetch(`${emulator.url}${CONTROL}/journal?canonical=true&limit=10000`, {
      headers: { accept: 'application/x-ndjson' },
    });
    const lines = (await canonical.text()).trimEnd().split('\n');
    const replayed = await replayJournal(lines);
    const differs = replayed.findIndex((line, index) => line !== lines[index]);
    expect(replayed.slice(differs - 3, differs + 3)).toEqual(lines.slice(differs - 3, differs + 3));
    expect(replayed.length).toBe(lines.length);
    console.log(
      `${KILLS} kills, ${killsWithOpenCalls} with a call open; ${acknowledged.size} dispatches acknowledged, ${manual.length} runs`,
    );
    expect(acknowledged.size).toBeGreaterThan(KILLS);
  }, 60_000);
});

describe('a folder in use', () => {
  it('is refused to a second process by name', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'foundrite-two-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const first = await start('--data-dir', folder);
    cleanups.push(() => first.end());
    await first.ask('GET', ROUTINES);

    const refused = await start('--data-dir', folder).catch((error: Error) => error.message);

    expect(refused).toContain('ended with 14');
    expect(refused).toContain('Another process is using');
  }, 30_000);
});
