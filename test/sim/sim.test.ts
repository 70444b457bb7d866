import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { playSeed, report } from './seeds.ts';

/** The model, which is told from the contract alone. */
const MODEL = [
  'agent-answers.ts',
  'agent-steps.ts',
  'agents.ts',
  'answers.ts',
  'calls.ts',
  'conversations.ts',
  'cron.ts',
  'definition.ts',
  'deliveries.ts',
  'lists.ts',
  'model.ts',
  'resources.ts',
  'routine-steps.ts',
  'routines.ts',
  'sessions.ts',
  'state.ts',
  'step.ts',
  'versions.ts',
];
const FOLDER = new URL('.', import.meta.url);

function importsOf(file: string): string[] {
  const text = readFileSync(new URL(file, FOLDER), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, path = '']) => path);
}

describe('the model', () => {
  it('imports nothing but its own parts, and its cron nothing at all', () => {
    const outside = MODEL.flatMap((file) =>
      importsOf(file).filter(
        (path) => !MODEL.includes(path.slice(2)) && !path.startsWith('../thread-model/'),
      ),
    );

    expect(readdirSync(FOLDER)).toEqual(expect.arrayContaining(MODEL));
    expect(outside).toEqual([]);
    expect(importsOf('cron.ts')).toEqual([]);
  });

  it('says the same as the emulator in 200 stories', { timeout: 120_000 }, async () => {
    const figures = new Map<string, number>();
    for (let seed = 1; seed <= 200; seed += 1) {
      const failure = await playSeed(seed, figures);
      expect(failure && report(failure)).toBeUndefined();
    }

    // Nobody takes trivial stories for proof.
    const least: Record<string, number> = {
      steps: 4_000,
      firings: 150,
      'advance 200': 300,
      'put 200': 200,
      'dispatch 200': 50,
      'delete 204': 20,
      'attempt 200 complete': 120,
      'steps about agents': 1_500,
      'make version 200': 200,
      'patch agent 200': 100,
      'delete version 200': 5,
      'make session 201': 100,
      'drawn of 2': 50,
      'respond 200': 50,
      'invoke 200': 30,
      'get response 200': 2,
      'refused by agent/creating-answers-400': 10,
      'refused by agent/disabled-answers-403': 3,
      'attempt 404 fail': 20,
      'attempt 503 retry': 10,
      'attempt timeout retry': 5,
      'steps about threads': 700,
      'start run 200': 70,
      'start run 400': 30,
      'submit outputs 200': 5,
      'cancel run 200': 10,
      'reset 200': 10,
      restart: 10,
      'pages that follow': 10,
      'journals replayed': 15,
      'run failed by downstream_status': 10,
      'run failed by cancelled': 1,
    };
    const trivial = Object.entries(least).filter(
      ([what, times]) => (figures.get(what) ?? 0) < times,
    );
    expect(trivial.map(([what]) => `${what}: ${figures.get(what) ?? 0}`)).toEqual([]);
  });
});
