import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, onTestFinished, test } from 'vitest';
import { canonicalLines } from '../emulator/api/journal.ts';
import { manualClock } from '../emulator/clock.ts';
import { replayJournal } from '../emulator/replay.ts';
import { serve } from '../emulator/server.ts';
import {
  type Answered,
  expect,
  type Foundry,
  type Json,
  localAgent,
  openFoundry,
  START,
  scratchFolder,
  since,
} from './fixture.ts';

const RESPONSES = '/agents/digest/endpoint/protocols/openai/responses';
const INVOCATIONS = '/agents/digest/endpoint/protocols/invocations';
const SESSIONS = '/agents/digest/endpoint/sessions';
const CONVERSATIONS = '/openai/v1/conversations';

/** A world whose sandboxes need ten seconds to come up. */
async function cold(): Promise<Foundry> {
  const foundry = openFoundry({ skip: false, settings: { cold_start: '10s' } });
  await foundry.agent('digest');
  return foundry;
}

/** A call to `digest` that waits for something; it has begun. */
async function begun(foundry: Foundry, body: object = {}): Promise<{ answer: Promise<Answered> }> {
  const before = foundry.project.world.journalSeq;
  const answer = foundry.inFlight('POST', RESPONSES, { body: { input: 'x', ...body } });
  while (foundry.project.world.journalSeq === before) await breath();
  return { answer };
}

function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function onlySession(foundry: Foundry): Promise<string> {
  const { data } = (await foundry.get(SESSIONS)).body;
  expect(data).toHaveLength(1);
  return data[0].agent_session_id;
}

async function expectReplayed(foundry: Foundry): Promise<Json[]> {
  const lines = canonicalLines(foundry.project);
  expect(await replayJournal(lines)).toEqual(lines);
  return lines.map((line) => JSON.parse(line) as Json);
}

/** An agent of the user's own that answers when it is told to. */
async function slowAgent(): Promise<{
  url: string;
  arrival(number: number): Promise<void>;
  say(number: number, id?: string): void;
}> {
  const open: ServerResponse[] = [];
  const agent = await localAgent((response) => void open.push(response));
  return {
    ...agent,
    say: (number, id = `resp_${number}`) =>
      void open[number - 1]?.end(
        JSON.stringify({ id, object: 'response', status: 'completed', output: [] }),
      ),
  };
}

describe('the journal of calls that end later', () => {
  test('of two that wait for their sandboxes while the clock is advanced is replayed', async () => {
    const foundry = await cold();
    const one = await begun(foundry);
    await foundry.advance('4s');
    const other = await begun(foundry, { background: true });

    await foundry.advance('1m');

    expect((await one.answer).status).toBe(200);
    expect((await other.answer).status).toBe(200);
    const lines = await expectReplayed(foundry);
    const calls = lines.filter(({ operation }) => operation === 'createAgentResponse');
    expect(calls.map(({ status }) => status)).toEqual([undefined, undefined]);
    const given = lines.filter(({ kind }) => kind === 'given');
    expect(given.map(({ call, at, status }) => [call, since(at), status])).toEqual([
      [calls[0]?.seq, '10s', 200],
      [calls[1]?.seq, '14s', 200],
    ]);
  });

  test('tells the end of one at its instant, whatever else an advance meets', async () => {
    const foundry = await cold();
    await foundry.reply('digest', { kind: 'script', turns: [{ text: 'a', every: '1s' }] });
    const { answer } = await begun(foundry);

    await foundry.advance('1h');

    const created = await answer.then(({ body }) => body.created_at);
    expect(created).toBe((START + 10_000) / 1_000);
    await expectReplayed(foundry);
  });

  test('of two that are out at once and come back the other way round is replayed', async () => {
    const agent = await slowAgent();
    const foundry = openFoundry({ skip: false });
    await foundry.agent('digest');
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const one = await begun(foundry);
    await agent.arrival(1);
    const other = await begun(foundry);
    await agent.arrival(2);

    agent.say(2);
    await other.answer;
    agent.say(1);
    await one.answer;

    const lines = await expectReplayed(foundry);
    const given = lines.filter(({ kind }) => kind === 'given');
    expect(given.map(({ kept }) => kept.row.id)).toEqual(['resp_2', 'resp_1']);
  });

  test.for([
    ['its agent is disabled', ':disable'],
    ['its conversation is deleted', 'conversation'],
    ['its agent is deleted', 'agent'],
    ['its session is deleted', 'session'],
  ])('of one that is out while %s is replayed', async ([, what]) => {
    const agent = await slowAgent();
    const foundry = openFoundry({ skip: false });
    await foundry.agent('digest');
    await foundry.reply('digest', { kind: 'forward', url: agent.url });
    const conversation = (await foundry.post(CONVERSATIONS, {})).body.id;
    const { answer } = await begun(foundry, { conversation });
    await agent.arrival(1);

    if (what === ':disable') await foundry.post('/agents/digest:disable');
    else if (what === 'agent') await foundry.request('DELETE', '/agents/digest?force=true');
    else if (what === 'session')
      await foundry.request('DELETE', `${SESSIONS}/${await onlySession(foundry)}`);
    else await foundry.request('DELETE', `${CONVERSATIONS}/${conversation}`);
    agent.say(1);

    expect((await answer).status).toBe(200);
    const logged = foundry.project.world.store.sql('SELECT * FROM session_log').all();
    expect(logged).toHaveLength(what === 'session' || what === 'agent' ? 0 : 1);
    await expectReplayed(foundry);
  });

  test('of one that nothing answers, and of one that has no end yet, is replayed', async () => {
    const agent = await localAgent((response, number) => {
      if (number === 1) response.destroy();
    });
    const foundry = openFoundry({ skip: false });
    await foundry.agent('digest');
    await foundry.reply('digest', { kind: 'forward', url: agent.url });

    const lost = await foundry.post(RESPONSES, { input: 'x' });
    await begun(foundry);
    await agent.arrival(2);

    expect(lost.status).toBe(424);
    const lines = await expectReplayed(foundry);
    expect(lines.filter(({ kind }) => kind === 'given')).toMatchObject([
      { status: 424, code: 'session_not_ready', rule: 'agent/unreachable-answers-424' },
    ]);
  });

  test('of work that is cancelled before it ends is replayed', async () => {
    const foundry = openFoundry({ skip: false });
    await foundry.agent('digest');
    const accepted = { kind: 'script', turns: [{ accepted: { after: '10s' } }] };
    await foundry.reply('digest', accepted);
    const { headers } = await foundry.post(INVOCATIONS, {});
    const id = headers.get('x-agent-invocation-id');

    await foundry.post(`${INVOCATIONS}/${id}/cancel`);
    await foundry.advance('1m');

    await expectReplayed(foundry);
  });
});

test('what a stream said while the disk was full is kept when there is room again', async () => {
  const response = { id: 'resp_own', object: 'response', status: 'completed', output: [] };
  const event = { type: 'response.completed', response: { ...response, text: 'x'.repeat(10_000) } };
  const open: ServerResponse[] = [];
  const agent = await localAgent((answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    open.push(answer);
  });
  const foundry = openFoundry({ dataDir: scratchFolder() });
  await foundry.agent('digest');
  await foundry.reply('digest', { kind: 'forward', url: agent.url });
  const answer = await foundry.fetch(foundry.endpoint + RESPONSES, {
    method: 'POST',
    headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
    body: JSON.stringify({ input: 'x', stream: true }),
  });
  const { db } = foundry.project.world.store;
  db.pragma(`max_page_count = ${db.pragma('page_count', { simple: true })}`);

  open[0]?.end(`data: ${JSON.stringify(event)}\n\n`);
  await answer.text();
  await breath();
  expect((await foundry.get('/openai/v1/responses/resp_own')).status).toBe(404);
  db.pragma('max_page_count = 1000000');
  await foundry.post('/agents/digest:disable');

  expect((await foundry.get('/openai/v1/responses/resp_own')).status).toBe(200);
  expect(foundry.notices).toEqual([expect.stringContaining('stands still')]);
  await expectReplayed(foundry);
});

describe('at the pace of a host that is slow', () => {
  test.for([
    ['streams', { turns: [{ text: 'one two three', every: '200ms', chunk: 5 }] }, { stream: true }],
    ['work that is accepted', { turns: [{ accepted: { after: '500ms' } }] }, {}],
    ['work in the background', { turns: [{ text: 'later' }] }, { background: true }],
  ] as const)('%s is replayed to the millisecond', async ([, script, body]) => {
    // It is a little later whenever it is asked.
    const clock = manualClock(START);
    let asked = 0;
    const now = () => {
      asked += 1;
      return clock.now() + asked;
    };
    const host = { ...clock, now };
    const foundry = openFoundry({ rate: 1, skip: false, host });
    await foundry.agent('digest');
    await foundry.reply('digest', { kind: 'script', ...script });

    for (let count = 0; count < 5; count += 1) {
      const init = {
        method: 'POST',
        headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
        body: JSON.stringify({ input: 'x', ...body }),
      };
      const answer = await foundry.fetch(foundry.endpoint + RESPONSES, init);
      const text = answer.text();
      for (let ms = 0; ms < 1_000; ms += 50) {
        clock.tick(50);
        await breath();
      }
      await text;
    }

    const lines = await expectReplayed(foundry);
    expect(lines.filter(({ kind }) => kind === 'transition').length).toBeGreaterThanOrEqual(5);
  });
});

describe('a client that goes away before its answer begins', () => {
  test.for([true, false])('ends the call to an agent outside (stream: %s)', async (stream) => {
    let closed = () => {};
    const over = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const server = createServer((request) => void request.socket.once('close', closed));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const foundry = openFoundry();
    await foundry.agent('digest');
    await foundry.reply('digest', { kind: 'forward', url });
    const front = await serve({ host: '127.0.0.1', port: 0, fetch: foundry.emulator.fetch });
    onTestFinished(() => front.close());
    const leave = new AbortController();
    const asked = fetch(`${front.url}/api/projects/tests${RESPONSES}?api-version=v1`, {
      method: 'POST',
      headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'x', stream }),
      signal: leave.signal,
    });
    asked.catch(() => {});
    await once(server, 'request');

    leave.abort();

    await expect(asked).rejects.toThrow('aborted');
    await over;
    while (foundry.project.answering > 0) await breath();
    expect(foundry.project.engine.waits.streams).toBe(0);
    await expectReplayed(foundry);
  });

  test('is not waited for when its sandbox comes up', async () => {
    const foundry = await cold();
    const leave = new AbortController();
    const asked = foundry.fetch(foundry.endpoint + RESPONSES, {
      method: 'POST',
      headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
      body: JSON.stringify({ input: 'x' }),
      signal: leave.signal,
    });
    asked.catch(() => {});
    while ((await foundry.clock()).waiting.length === 0) await breath();

    leave.abort();

    await expect(asked).rejects.toThrow();
    expect((await foundry.clock()).waiting).toEqual([]);
    await foundry.advance('1m');
    expect((await foundry.get('/openai/v1/responses')).body.data).toEqual([]);
    await expectReplayed(foundry);
  });
});

describe('a call whose sandbox comes up', () => {
  test('is refused when its session was deleted meanwhile', async () => {
    const foundry = await cold();
    const { answer } = await begun(foundry);
    const id = await onlySession(foundry);

    await foundry.request('DELETE', `${SESSIONS}/${id}`);
    await foundry.advance('10s');

    const { status, headers, rule } = await answer;
    expect({ status, rule }).toEqual({ status: 404, rule: 'session/ended-answers-404' });
    expect(headers.get('x-adc-response-details')).toBe('SandboxNotFound');
    expect(foundry.project.world.store.sql('SELECT * FROM session_log').all()).toEqual([]);
    await expectReplayed(foundry);
  });

  test('is refused when its agent was disabled meanwhile', async () => {
    const foundry = await cold();
    const { answer } = await begun(foundry);

    await foundry.post('/agents/digest:disable');
    await foundry.advance('10s');

    expect(await answer).toMatchObject({ status: 403, rule: 'agent/disabled-answers-403' });
    await expectReplayed(foundry);
  });

  test('is refused when its agent was deleted meanwhile', async () => {
    const foundry = await cold();
    const { answer } = await begun(foundry, { stream: true });

    await foundry.request('DELETE', '/agents/digest?force=true');
    await foundry.advance('10s');

    expect((await answer).status).toBe(404);
    await expectReplayed(foundry);
  });

  test('is answered when its session was stopped meanwhile, and the session is awake', async () => {
    const foundry = await cold();
    const { answer } = await begun(foundry);
    const id = await onlySession(foundry);

    await foundry.post(`${SESSIONS}/${id}:stop`);
    expect((await foundry.get(`${SESSIONS}/${id}`)).body.status).toBe('idle');
    await foundry.advance('10s');

    expect((await answer).status).toBe(200);
    expect((await foundry.get(`${SESSIONS}/${id}`)).body.status).toBe('active');
    await expectReplayed(foundry);
  });
});
