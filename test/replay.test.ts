import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import { createEmulator, type EmulatorOptions } from '../emulator/emulator.ts';
import { replayJournal } from '../emulator/replay.ts';
import { every, start } from './started.ts';

const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));
const CONTROL = '/_emulator/projects/local';
const ROUTINES = '/api/projects/local/routines';
const OPTIONS: EmulatorOptions = { now: Date.parse('2026-06-01T06:59:00Z'), seed: 'replay' };

type Ask = (method: string, path: string, body?: unknown) => Promise<unknown>;

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function inProcess(options: EmulatorOptions): {
  ask: Ask;
  lines(): string[];
  close(): Promise<void>;
} {
  const emulator = createEmulator(options);
  cleanups.push(() => emulator.close());
  return {
    async ask(method, path, body) {
      const answer = await emulator.fetch(
        new Request(`http://localhost${path}`, {
          method,
          headers: { authorization: 'Bearer in-process' },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      );
      return answer.text();
    },
    lines: () => canonicalLines(emulator.project('local')),
    close: () => emulator.close(),
  };
}

/** Requests of every kind that changes a world: refused ones, faults, gates, firings by hand, waits. */
async function story(ask: Ask): Promise<void> {
  await ask('PUT', `${CONTROL}/faults`, {
    faults: [
      { operation: 'getRoutine', times: 1, fault: 429 },
      { agent: 'demo-agent', attempts: ['timeout', 503, 'ok'], times: 2 },
      { agent: 'demo-agent', times: 1, fault: { kind: 'gate', name: 'door' } },
      { agent: '*', probability: 0.4, fault: 'lose_response' },
    ],
  });
  await ask('PUT', `${ROUTINES}/nightly`, every('*/15 * * * *'));
  await ask('PUT', `${ROUTINES}/refused`, every('* * * * *'));
  await ask('PUT', `${ROUTINES}/once`, {
    ...every('x'),
    triggers: { t: { type: 'timer', at: '20m' } },
  });
  await ask('GET', `${ROUTINES}/nightly`);
  await ask('POST', `${ROUTINES}/nightly:dispatch_async`, {
    payload: { type: 'invoke_agent_responses_api', input: 'now' },
  });
  await ask('POST', `${CONTROL}/clock:advance`, { by: '40m' });
  await ask('POST', `${CONTROL}/gates/door:release`);
  await ask('POST', `${CONTROL}/routines/nightly:fire`, {});
  for (let n = 0; n < 6; n += 1) await ask('GET', `${ROUTINES}/nightly/runs`);
  await ask('PUT', `${CONTROL}/agents/demo-agent/reply`, {
    kind: 'script',
    turns: [{ text: 'a' }, { status: 500 }],
  });
  await ask('POST', `${ROUTINES}/nightly:disable`);
  await ask('PATCH', CONTROL, {
    switches: { on_delete: 'cancel' },
    settings: {
      queue_delay: '5s',
      retry_on: '5xx timeout answer_lost',
      wait_factor: 1.5,
      wait_jitter: 0.8,
    },
  });
  await ask('POST', `${ROUTINES}/once:dispatch_async`);
  await ask('DELETE', `${ROUTINES}/once`);
  await ask('POST', `${ROUTINES}/nightly:enable`);
  await ask('POST', `${CONTROL}/clock:advance`, { by: 'P3D' });
}

describe('replay', () => {
  it('of a journal gives the same journal, compared with cmp', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'foundrite-replay-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const world = inProcess(OPTIONS);
    await story(world.ask);
    const [before, after] = [join(folder, 'before.ndjson'), join(folder, 'after.ndjson')];
    writeFileSync(
      before,
      world
        .lines()
        .map((line) => `${line}\n`)
        .join(''),
    );

    writeFileSync(
      after,
      execFileSync(process.execPath, [BIN, 'replay', before], {
        encoding: 'utf8',
        maxBuffer: 2 ** 28,
      }),
    );

    execFileSync('cmp', [before, after]);
    expect(world.lines().length).toBeGreaterThan(700);
  }, 30_000);

  it('in-process and over TLS the same requests give one canonical journal', async () => {
    const world = inProcess({ ...OPTIONS, skip: true });
    await story(world.ask);

    const folder = mkdtempSync(join(tmpdir(), 'foundrite-replay-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const emulator = await start(
      '--rate',
      '0',
      '--skip',
      '--now',
      '2026-06-01T06:59:00Z',
      '--seed',
      'replay',
    );
    cleanups.push(() => emulator.end());
    const { request } = await import('node:https');
    const ca = await (await fetch(`${emulator.url}/_emulator/ca.pem`)).text();
    const overTls: Ask = (method, path, body) =>
      new Promise((resolve, reject) => {
        const url = new URL(path, emulator.url.replace('http:', 'https:'));
        const call = request(
          url,
          { method, ca, headers: { authorization: 'Bearer tls', 'user-agent': 'another/1' } },
          (answer) => {
            let text = '';
            answer.on('data', (chunk) => {
              text += String(chunk);
            });
            answer.on('end', () => resolve(text));
          },
        );
        call.on('error', reject);
        call.end(body === undefined ? undefined : JSON.stringify(body));
      });
    await story(overTls);
    const answer = await fetch(`${emulator.url}${CONTROL}/journal?canonical=true&limit=10000`, {
      headers: { accept: 'application/x-ndjson' },
    });

    expect((await answer.text()).trimEnd().split('\n')).toEqual(world.lines());
  }, 30_000);

  it('another seed, or another step, gives another journal', async () => {
    const one = inProcess(OPTIONS);
    const otherSeed = inProcess({ ...OPTIONS, seed: 'other' });
    const otherStep = inProcess(OPTIONS);

    await story(one.ask);
    await story(otherSeed.ask);
    await story(otherStep.ask);
    await otherStep.ask('POST', `${ROUTINES}/nightly:disable`);

    expect(otherSeed.lines().slice(1)).not.toEqual(one.lines().slice(1));
    expect(otherStep.lines()).not.toEqual(one.lines());
  });

  it('of a journal from before a setting came gives the same journal', async () => {
    const world = inProcess(OPTIONS);
    await story(world.ask);
    const [first = '', ...rest] = world.lines();
    const made = JSON.parse(first);
    delete made.made.profile.settings.retry_on;
    delete made.made.profile.settings.wait_factor;
    const lines = [JSON.stringify(made), ...rest];

    expect(await replayJournal(lines)).toEqual(lines);
  }, 30_000);

  it('of calls to a real agent, and of an end between two runs of one instant, gives the same journal', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'foundrite-replay-'));
    cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
    let heard = () => {};
    const called = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const agent = createServer((request, response) => {
      if (request.url?.startsWith('/invocations')) response.end('{}');
      else heard();
    });
    await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => void agent.close());
    cleanups.push(() => agent.closeAllConnections());
    const url = `http://127.0.0.1:${(agent.address() as AddressInfo).port}`;
    const endpoint = '/api/projects/local/agents/demo-agent/endpoint/protocols/invocations';
    const before = inProcess({ ...OPTIONS, dataDir });
    await before.ask('PUT', `${CONTROL}/agents/demo-agent/reply`, { kind: 'forward', url });
    await before.ask('POST', endpoint, {});
    await before.ask('PUT', `${ROUTINES}/r`, every('0 0 * * *'));
    await before.ask('POST', `${ROUTINES}/r:dispatch_async`);
    const advance = before.ask('POST', `${CONTROL}/clock:advance`, { by: 'PT0S' });
    advance.catch(() => undefined);
    await called;
    // Due at the same instant, and not begun when the process ends.
    await before.ask('POST', `${ROUTINES}/r:dispatch_async`);
    await before.close();

    const after = inProcess({ ...OPTIONS, dataDir });
    const lines = after.lines();

    expect(lines.filter((line) => line.includes('"interrupted"'))).toHaveLength(1);
    expect(await replayJournal(lines)).toEqual(lines);
  });

  it('of real calls side by side, of which one is withdrawn, gives the same journal', async () => {
    const held: (() => void)[] = [];
    const agent = createServer((_, response) => {
      if (held.push(() => response.end('{}')) > 3) response.end('{}');
    });
    await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => void agent.close());
    cleanups.push(() => agent.closeAllConnections());
    const url = `http://127.0.0.1:${(agent.address() as AddressInfo).port}`;
    const agents = { far: { kind: 'prompt', reply: { kind: 'forward', url } } } as const;
    const world = inProcess({ ...OPTIONS, agents, switches: { on_delete: 'cancel' } });
    const routine = (agent_name: string) =>
      every('0 0 * * *', { action: { type: 'invoke_agent_responses_api', agent_name } });
    for (const name of ['gone', 'one', 'two'])
      await world.ask('PUT', `${ROUTINES}/${name}`, routine('far'));
    await world.ask('PUT', `${ROUTINES}/here`, routine('demo-agent'));
    for (const name of ['gone', 'one', 'two', 'here'])
      await world.ask('POST', `${ROUTINES}/${name}:dispatch_async`);
    const advance = world.ask('POST', `${CONTROL}/clock:advance`, { by: '1s' });
    await expect.poll(() => held.length).toBe(3);

    await world.ask('DELETE', `${ROUTINES}/gone`);
    for (const answer of held.slice(1)) answer();
    await advance;
    await world.ask('POST', `${ROUTINES}/one:dispatch_async`);
    await world.ask('POST', `${CONTROL}/clock:advance`, { by: '1m' });

    const lines = world.lines();
    expect(lines.filter((line) => line.includes('"outcome","routine"'))).toHaveLength(3);
    expect(await replayJournal(lines)).toEqual(lines);
  });

  it('of answers from a real agent, whole, streamed and too long for the journal, keeps what they left', async () => {
    const answer = (id: string, text: string) => ({
      ...{ id, object: 'response', status: 'completed' },
      output: [{ type: 'message', id: `msg_${id}`, role: 'assistant', content: [{ text }] }],
    });
    const agent = createServer(async (request, response) => {
      const { input, stream } = JSON.parse(Buffer.concat(await request.toArray()).toString());
      const said = answer(`caresp_${input.length}`, input.repeat(8_000));
      if (stream !== true) return response.end(JSON.stringify(said));
      const event = { type: 'response.completed', sequence_number: 0, response: said };
      response.setHeader('content-type', 'text/event-stream');
      return response.end(`event: response.completed\ndata: ${JSON.stringify(event)}\n\n`);
    });
    await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => void agent.close());
    const url = `http://127.0.0.1:${(agent.address() as AddressInfo).port}`;
    const protocols = '/api/projects/local/agents/demo-agent/endpoint/protocols/openai';
    const world = inProcess(OPTIONS);
    await world.ask('PUT', `${CONTROL}/agents/demo-agent/reply`, { kind: 'forward', url });

    for (const body of [
      { input: 'a' },
      { input: 'ab', stream: true },
      { input: 'abc' },
      { input: 'abcd', stream: true },
    ]) {
      await world.ask('POST', `${protocols}/responses`, body);
      const response = `${protocols}/responses/caresp_${body.input.length}`;
      expect(await world.ask('DELETE', response)).toContain('"deleted":true');
    }

    const lines = world.lines();
    expect(await replayJournal(lines)).toEqual(lines);
  });

  it('of a journal without its beginning is refused with what to do', async () => {
    const world = inProcess(OPTIONS);
    await story(world.ask);

    await expect(replayJournal(world.lines().slice(1))).rejects.toThrow(
      /begins with the line of kind world/,
    );
    await expect(replayJournal(['{"seq":1'])).rejects.toThrow(
      /Line 1 is no line of a canonical journal/,
    );
  });
});
