/** Stories of threads: plain steps, drawn by fast-check so that they shrink. */
import fc from 'fast-check';
import type { Outputs, ThreadStep } from '../thread-model/step.ts';
import type { Json, Status } from '../thread-model/world.ts';
import { some } from './bodies.ts';
import type { Setup, Step } from './step.ts';
import type { Story } from './story.ts';
import {
  assistantBody,
  message,
  metadata,
  reply,
  runBody,
  threadBody,
  words,
} from './thread-bodies.ts';

const thread = some<number>([6, 0], [2, 1], [1, 2]);
const assistant = some<number>([5, 0], [3, 1], [1, 2]);
const run = some<number>([10, -1], [1, 0], [1, 1]);
const number = fc.integer({ min: 0, max: 5 });
const statuses: Status[] = [
  'queued',
  'in_progress',
  'requires_action',
  'cancelling',
  'cancelled',
  'failed',
  'completed',
  'incomplete',
  'expired',
];

const is = <Word extends string>(...word: Word[]) => fc.constantFrom(...word);

const start = fc.record({ do: is('start run'), thread, assistant, body: runBody });
const submit = fc.record({
  do: is('submit outputs'),
  thread,
  run,
  outputs: some<Outputs>(
    [9, 'all'],
    [1, 'all but one'],
    [1, 'one more'],
    [1, 'none'],
    [1, 'nothing'],
  ),
});

/** Of assistants, threads, messages and runs, without what moves time. */
export const threadStep: fc.Arbitrary<ThreadStep> = some<ThreadStep>(
  [2, fc.record({ do: is('make assistant'), body: assistantBody })],
  [
    1,
    fc.record({
      do: is('get assistant', 'delete assistant'),
      assistant,
    }) as fc.Arbitrary<ThreadStep>,
  ],
  [
    1,
    fc.record({
      do: is('update assistant'),
      assistant,
      body: fc.record({ instructions: words, metadata }, { requiredKeys: [] }),
    }),
  ],
  [5, fc.record({ do: is('set reply'), assistant, reply })],
  [2, fc.record({ do: is('make thread'), body: threadBody })],
  [1, fc.record({ do: is('get thread', 'delete thread'), thread })],
  [1, fc.record({ do: is('update thread'), thread, body: fc.record({ metadata }) })],
  [6, fc.record({ do: is('add message'), thread, body: message })],
  [2, fc.record({ do: is('get message', 'delete message'), thread, message: number })],
  [
    1,
    fc.record({
      do: is('update message'),
      thread,
      message: number,
      body: fc.record({ metadata }),
    }),
  ],
  [14, start],
  [
    3,
    fc.record({
      do: is('start thread and run'),
      assistant,
      body: fc.record({ thread: threadBody, metadata }, { requiredKeys: [] }),
    }),
  ],
  [1, fc.record({ do: is('get run'), thread, run })],
  [6, fc.record({ do: is('cancel run'), thread, run })],
  [1, fc.record({ do: is('update run'), thread, run, body: fc.record({ metadata }) })],
  [12, submit],
  [1, fc.record({ do: is('get run step'), thread, run, step: number })],
  [
    5,
    fc
      .record({ do: is('step run'), thread, run, to: fc.constantFrom(undefined, ...statuses) })
      .map(({ to, ...one }) => ({
        ...one,
        ...(to && { to }),
        ...(to === 'failed' && { last_error: { code: 'server_error', message: 'By hand.' } }),
      })),
  ],
  [
    3,
    fc.record(
      {
        do: is('leaf through'),
        what: fc.constantFrom('assistants', 'threads', 'messages', 'runs', 'steps'),
        thread,
        run,
        limit: some<number>([4, 1], [4, 2], [2, 5], [1, 0], [1, 101]),
        order: fc.constantFrom('asc', 'desc'),
      },
      { requiredKeys: ['do', 'what', 'thread', 'run', 'limit'] },
    ) as fc.Arbitrary<ThreadStep>,
  ],
);

const advance = fc.record({
  do: is('advance'),
  by: some<string>(
    [4, '500ms'],
    [1, '499ms'],
    [2, '1s'],
    [4, '1500ms'],
    [5, '2s'],
    [3, '1m'],
    [1, '598s'],
    [2, '10m'],
  ),
});

const until = fc.constant<Step>({ do: 'advance', by: '2s' });

/** Moves that no client makes: those that come by themselves. */
export const runFault: fc.Arbitrary<Json> = fc
  .record({
    move: is(
      'queued failed',
      'queued expired',
      'in_progress failed',
      'in_progress expired',
      'in_progress completed',
      'in_progress incomplete',
      'requires_action expired',
      'cancelling completed',
      'cancelling failed',
      'cancelling expired',
    ),
    times: fc.integer({ min: 1, max: 2 }),
  })
  .map(({ move, times }) => {
    const [from, to] = move.split(' ');
    const error = to === 'failed' && { error: PLANNED };
    return { at: 'transition', of: 'thread_run', from, to, times, ...error };
  });
const PLANNED = { code: 'server_error', message: 'Planned.' };

export const runSetting = fc.constantFrom<Setup['settings']>(
  { run_queue_time: '0s' },
  { run_time: '0s' },
  { run_cancel_time: '30s' },
  { run_expiry: '1m' },
);

/** What makes a world worth a story. */
export const threadGround: fc.Arbitrary<ThreadStep[]> = fc.tuple(
  fc.record({ do: is('make assistant'), body: assistantBody }),
  fc.record({ do: is('set reply'), assistant: fc.constant(0), reply }),
  fc.record({ do: is('make thread'), body: threadBody }),
  fc.record({
    do: is('start run'),
    thread: fc.constant(0),
    assistant: fc.constant(0),
    body: runBody,
  }),
);

const operationFault: fc.Arbitrary<Json> = fc.record({
  operation: is(
    'createThreadRun',
    'createThreadAndRun',
    'getThreadRun',
    'cancelThreadRun',
    'submitToolOutputs',
    'createMessage',
  ),
  times: fc.integer({ min: 1, max: 2 }),
  fault: fc.constantFrom<unknown>(429, 503, 'lose_response', 'disconnect'),
});
const faults = fc.record({
  do: is('faults'),
  faults: fc.array(some<Json>([3, runFault], [1, operationFault]), { maxLength: 2 }),
});

/** Of threads, with the faults that strike them. */
export const struckStep = some<Step>([12, threadStep], [1, faults]);

const step = some<Step>([8, threadStep], [4, advance], [1, faults]);

/** What belongs together comes together, more often than it would by chance. */
const scene: fc.Arbitrary<Step[]> = fc.oneof(
  { weight: 10, arbitrary: step.map((one) => [one]) },
  { weight: 1, arbitrary: fc.tuple(start, advance) },
  { weight: 2, arbitrary: fc.tuple(start, until, submit) },
  { weight: 1, arbitrary: fc.tuple(start, until, submit, advance) },
  {
    weight: 1,
    arbitrary: fc.tuple(start, advance, fc.record({ do: is('cancel run'), thread, run })),
  },
);

/** Stories of nothing else. */
export const threadStories: fc.Arbitrary<Story> = fc.record({
  setup: fc.record({
    now: fc.constantFrom('2026-06-01T06:58:00Z', '2026-06-01T06:58:00.700Z'),
    agents: fc.constant<string[]>([]),
    settings: some<Setup['settings']>([6, {}], [2, runSetting]),
    switches: fc.constant<Setup['switches']>({}),
  }),
  first: threadGround,
  rest: fc
    .array(scene, { minLength: 4, maxLength: 11, size: 'max' })
    .map((scenes) => scenes.flat()),
});
