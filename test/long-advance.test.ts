import { afterEach, describe, expect, it } from 'vitest';
import { every, type Json, type Started, start } from './started.ts';

const CONTROL = '/_emulator/projects/local';
const ROUTINES = '/api/projects/local/routines';
const TO = '2026-07-01T00:00:00Z';
/** How many calls in a row must all be answered in time. */
const CALLS = 25;

let started: Started | undefined;
afterEach(async () => {
  await started?.end();
  started = undefined;
});

async function startWith(routines: number, cron: string): Promise<Started> {
  started = await start('--rate', '0', '--now', '2026-06-01T00:00:00Z', '--seed', 'long');
  for (let n = 0; n < routines; n += 1) await started.ask('PUT', `${ROUTINES}/r${n}`, every(cron));
  return started;
}

/** Advances as ndjson; `onLine` answers true when the caller hangs up. */
async function advance(
  emulator: Started,
  to: string,
  onLine: (line: Json) => boolean | undefined,
): Promise<void> {
  const hangUp = new AbortController();
  try {
    const answer = await fetch(`${emulator.url}${CONTROL}/clock:advance`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify({ to }),
      signal: hangUp.signal,
    });
    let rest = '';
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      const lines = (rest + new TextDecoder().decode(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (onLine(JSON.parse(line))) hangUp.abort();
    }
  } catch (error) {
    if (!hangUp.signal.aborted) throw error;
  }
}

/** Waits until no advance runs: hanging up is noticed at the next instant. */
async function atRest(emulator: Started): Promise<{ now: string }> {
  for (;;) {
    const { body } = await emulator.ask('GET', `${CONTROL}/clock`);
    if (!body.advancing) return body;
  }
}

async function trace(emulator: Started): Promise<string[]> {
  const entries: Json[] = [];
  for (;;) {
    const after = entries.at(-1)?.seq ?? 0;
    const { body } = await emulator.ask(
      'GET',
      `${CONTROL}/journal?limit=10000&canonical=true&after=${after}`,
    );
    if (body.entries.length === 0) break;
    entries.push(...body.entries);
  }
  return entries
    .filter((entry) => entry.kind === 'fire' || entry.kind === 'attempt')
    .map(({ seq: _, ...entry }) => JSON.stringify(entry));
}

describe('a long advance', () => {
  it('reports progress and lets health answer within 50 ms, until its caller hangs up', async () => {
    const emulator = await startWith(1_000, '0 * * * *');

    const latencies: number[] = [];
    let progress = 0;
    let instants = 0;
    let over = false;
    const advancing = advance(emulator, TO, (line) => {
      if (line.kind === 'progress') progress += 1;
      if (line.kind === 'instant') instants += 1;
      return progress >= 3;
    }).finally(() => {
      over = true;
    });
    while (!over) {
      const began = performance.now();
      const { status } = await emulator.ask('GET', '/_emulator/health');
      latencies.push(performance.now() - began);
      expect(status).toBe(200);
    }
    await advancing;

    // Others on the machine add to some; a slice that is too long adds to all.
    const longest = latencies
      .map((_, at) => Math.max(...latencies.slice(at, at + CALLS)))
      .slice(0, 1 - CALLS);
    latencies.sort((a, b) => a - b);
    const of = (share: number) => latencies[Math.floor(latencies.length * share)]?.toFixed(1);
    console.log(
      `health during an advance: ${latencies.length} calls, p50 ${of(0.5)} ms, p99 ${of(0.99)} ms, ${CALLS} in a row within ${Math.min(...longest).toFixed(1)} ms`,
    );
    expect(latencies.length).toBeGreaterThan(CALLS);
    expect(Math.min(...longest)).toBeLessThan(50);
    expect(instants).toBeGreaterThan(3);
    const { now } = await atRest(emulator);
    expect(now > '2026-06-01T00:00:00.000Z' && now < '2026-07-01T00:00:00.000Z').toBe(true);
  }, 60_000);

  it('that was hung up on and continued by the same `to` leaves the trace of one that was not', async () => {
    const whole = await startWith(30, '*/15 * * * *');
    await whole.ask('PUT', `${CONTROL}/faults`, {
      faults: [{ agent: '*', probability: 0.3, fault: 503 }],
    });
    await advance(whole, '2026-06-02T00:00:00Z', () => undefined);
    const expected = await trace(whole);
    await whole.end();

    const cut = await startWith(30, '*/15 * * * *');
    await cut.ask('PUT', `${CONTROL}/faults`, {
      faults: [{ agent: '*', probability: 0.3, fault: 503 }],
    });
    let instants = 0;
    await advance(
      cut,
      '2026-06-02T00:00:00Z',
      (line) => line.kind === 'instant' && ++instants === 20,
    );
    const middle = await atRest(cut);
    let summary: Json;
    await advance(cut, '2026-06-02T00:00:00Z', (line) => {
      summary = line;
      return false;
    });

    expect(middle.now < '2026-06-02T00:00:00.000Z').toBe(true);
    expect(summary).toMatchObject({
      kind: 'summary',
      reached: true,
      now: '2026-06-02T00:00:00.000Z',
    });
    expect(expected.length).toBeGreaterThan(30 * 96);
    expect(await trace(cut)).toEqual(expected);
  }, 60_000);
});
