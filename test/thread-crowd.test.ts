import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmulator, type Emulator } from '../emulator/emulator.ts';
import { type Serving, serve } from '../emulator/server.ts';
import { crowd, type Left, THREADS } from './crowd/crowd.ts';
import { problemsIn } from './crowd/problems.ts';

describe('100 threads, each used by several clients at once', () => {
  let emulator: Emulator;
  let server: Serving;
  let left: Left;

  beforeAll(async () => {
    emulator = createEmulator({ now: Date.parse('2026-06-01T00:00:00Z'), rate: 0, skip: false });
    server = await serve({ host: '127.0.0.1', port: 0, fetch: emulator.fetch });
    left = await crowd(server.url);
  }, 120_000);
  afterAll(async () => {
    await server.close();
    await emulator.close();
  });

  it('keep what the table and the lock promise, by the journal and by what every client saw', () => {
    expect(problemsIn(left)).toEqual([]);

    const count = (kind: string, status: number) =>
      left.notes.filter((note) => note.kind === kind && note.status === status).length;
    const races = new Set(left.notes.flatMap(({ race }) => race ?? []));
    expect(races.size).toBe(2 * THREADS);
    // Nobody takes a crowd without jostling for proof.
    expect(count('run', 200)).toBeGreaterThan(2 * THREADS);
    expect(count('run', 400)).toBeGreaterThan(4 * THREADS);
    expect(count('message', 200)).toBeGreaterThan(50);
    expect(count('message', 400)).toBeGreaterThan(2 * THREADS);
    expect(count('cancel', 200)).toBeGreaterThan(50);
    expect(count('submit', 200)).toBeGreaterThan(20);
    const ends = new Set([...left.runs.values()].flat().map(({ status }) => status));
    expect([...ends].sort()).toEqual(['cancelled', 'completed', 'failed']);
  });

  it.each<[string, (left: Left) => Partial<Left>, RegExp]>([
    [
      'a second creation that got 200',
      ({ notes }) => {
        const index = notes.findIndex(({ race, status }) => race && status === 400);
        return { notes: notes.map((one, at) => (at === index ? { ...one, status: 200 } : one)) };
      },
      /^first on thread_\w+: .*200.*200/,
    ],
    [
      'a move that the table does not have',
      ({ journal }) => ({
        journal: journal.map((line) =>
          line.kind === 'transition' && line.to === 'completed' ? { ...line, to: 'queued' } : line,
        ),
      }),
      /goes from in_progress to queued$/,
    ],
    [
      'two runs at once',
      ({ journal }) => ({
        journal: journal.filter(({ kind, to }) => kind !== 'transition' || to !== 'cancelled'),
      }),
      /is active on thread_\w+ beside run_/,
    ],
    [
      'a message under the lock',
      ({ journal }) => ({
        journal: journal.map((line) =>
          line.operation === 'createMessage' ? { ...line, status: 200 } : line,
        ),
      }),
      /a message came to thread_\w+ during run_/,
    ],
    [
      'a message that was accepted and is lost',
      ({ messages }) => ({
        messages: new Map([...messages].map(([id, all]) => [id, all.filter((one) => one.run_id)])),
      }),
      /has the messages , accepted were /,
    ],
  ])('and what says so would notice %s', (_, tamper, found) => {
    const problems = problemsIn({ ...left, ...tamper(left) });

    expect(problems).toEqual(expect.arrayContaining([expect.stringMatching(found)]));
  });
});
