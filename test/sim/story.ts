/** Stories: plain steps, drawn by fast-check so that they shrink, and told as a list that can be read. */
import fc from 'fast-check';
import { agentGround, agentStep } from './agent-story.ts';
import { body, input, name, some } from './bodies.ts';
import type { Json } from './definition.ts';
import type { Setup, Step } from './step.ts';
import { struckStep, threadGround } from './thread-story.ts';
import { faults, setting, settings, switches } from './weather.ts';

export interface Story {
  setup: Setup;
  /** Puts that make the world worth a story; shrunk like the rest. */
  first: Step[];
  rest: Step[];
}

export function stepsOf({ first, rest }: Story): Step[] {
  return [...first, ...rest];
}

const short = some(
  [3, '0s'],
  [2, '1s'],
  [1, '999ms'],
  [2, '30s'],
  [1, '31s'],
  [3, '1m'],
  [2, '90s'],
);
const long = some(
  [6, '5m'],
  [1, '299999ms'],
  [4, '10m'],
  [5, '1h'],
  [1, '6h'],
  [2, '1d'],
  [1, '8d'],
);
const duration = fc.oneof(short, long);

const put = fc.record({ do: fc.constant('put' as const), name, body });

const dispatch = fc.record(
  {
    do: fc.constant('dispatch' as const),
    name,
    body: some<Json>(
      [2, {}],
      [
        2,
        fc.record({
          payload: fc.record(
            { type: fc.constant('invoke_agent_responses_api'), input },
            { requiredKeys: ['type'] },
          ),
        }),
      ],
      [
        1,
        fc.record({
          payload: fc.record(
            { type: fc.constant('invoke_agent_invocations_api'), input },
            { requiredKeys: ['type'] },
          ),
        }),
      ],
    ),
  },
  { requiredKeys: ['do', 'name'] },
);
const fire = fc.record(
  {
    do: fc.constant('fire' as const),
    name,
    body: some<Json>([1, {}], [1, { payload: { issue: 7 } }]),
  },
  { requiredKeys: ['do', 'name'] },
);
const advance = some<Step>(
  [12, duration.map((by) => ({ do: 'advance', by }))],
  [4, { do: 'advance', until: 'idle' }],
  [1, { do: 'advance', back: '1s' }],
  [1, duration.map((by) => ({ do: 'set', by }))],
);
const snapshotName = some<string>([5, 'before'], [1, 'after']);
const page = fc.record(
  {
    do: fc.constant('page' as const),
    of: name,
    limit: some<number>([3, 1], [3, 2], [1, 3], [1, 0], [1, 101]),
    order: fc.constantFrom('asc' as const, 'desc' as const),
    after: some<string>([1, 'nobody']),
  },
  { requiredKeys: ['do', 'limit'] },
);
/** Rarely asked for what is not there. */
const pageOf = fc.tuple(page, fc.integer({ min: 0, max: 9 })).map(([one, odd]) => {
  const { after, ...rest } = one;
  return odd === 0 && after !== undefined ? { ...rest, after } : rest;
});

const routineStep = some<Step>(
  [6, put],
  [1, fc.record({ do: fc.constant('get' as const), name })],
  [
    3,
    fc.record({
      do: fc.constantFrom('enable' as const, 'disable' as const, 'disable' as const),
      name,
    }),
  ],
  [3, fc.record({ do: fc.constant('delete' as const), name })],
  [10, dispatch],
  [4, fire],
  [20, advance],
  [5, faults],
  [3, settings],
  [4, fc.record({ do: fc.constant('snapshot' as const), name: snapshotName })],
  [1, { do: 'reset' }],
  [4, fc.record({ do: fc.constant('reset' as const), snapshot: snapshotName })],
  [2, pageOf],
);

/** About half of a story is about agents; but while time stands still, little comes of it. */
const step = fc.oneof(
  { weight: 5, arbitrary: routineStep },
  { weight: 4, arbitrary: agentStep as fc.Arbitrary<Step> },
);

const now = fc.constantFrom(
  '2026-06-01T06:58:00Z',
  '2026-06-01T00:00:00Z',
  '2026-03-28T23:30:00Z',
  '2026-10-24T23:30:00Z',
  '2027-12-31T23:52:00Z',
);
const setup = fc.record({
  now,
  agents: fc.constant<string[]>(['digest', 'other']),
  settings: some<Setup['settings']>([3, {}], [1, setting]),
  switches: some<Setup['switches']>([1, {}], [1, switches]),
});

/** One story of seven keeps its world in files and is restarted on the way. */
const ofRoutinesAndAgents: fc.Arbitrary<Story> = fc.record({
  setup,
  first: fc
    .tuple(
      agentGround,
      fc.oneof(
        { withCrossShrink: true },
        { weight: 1, arbitrary: fc.constant<Step[]>([]) },
        {
          weight: 14,
          arbitrary: fc.array(some<Step>([3, put], [2, faults]), {
            minLength: 2,
            maxLength: 4,
            size: 'max',
          }),
        },
      ),
    )
    .map((steps) => steps.flat()),
  rest: fc.oneof(
    { withCrossShrink: true },
    { weight: 1, arbitrary: fc.array(step, { maxLength: 20, size: 'max' }) },
    { weight: 5, arbitrary: fc.array(step, { minLength: 8, maxLength: 20, size: 'max' }) },
    {
      weight: 1,
      arbitrary: fc.array(some<Step>([8, step], [1, { do: 'restart' }]), {
        minLength: 8,
        maxLength: 20,
        size: 'max',
      }),
    },
  ),
});

const ofThreads = fc.oneof(
  { withCrossShrink: true },
  { weight: 1, arbitrary: fc.constant<Step[]>([]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(threadGround, fc.array(struckStep, { minLength: 4, maxLength: 10, size: 'max' }))
      .map((steps) => steps.flat()),
  },
);

/** One of two has threads in between. They are drawn last, and so leave what is drawn before them as it is. */
export const stories: fc.Arbitrary<Story> = fc
  .tuple(ofRoutinesAndAgents, ofThreads)
  .map(([story, threads]) => ({ ...story, rest: spread(story.rest, threads) }));

/** The steps of one list evenly among those of the other. */
function spread(steps: Step[], among: Step[]): Step[] {
  const behind = (index: number) => Math.floor((index * steps.length) / among.length);
  const at = (place: number) => among.filter((_, index) => behind(index) === place);
  return [...steps.flatMap((step, place) => [...at(place), step]), ...at(steps.length)];
}

/** A story as a numbered list. */
export function tell(told: Story): string[] {
  const { now, settings: set, switches: switched } = told.setup;
  const extra = [set, switched].filter((one) => Object.keys(one).length > 0);
  return [
    ` 0. the world stands at ${now}${extra.map((one) => `, ${JSON.stringify(one)}`).join('')}`,
    ...stepsOf(told).map((one, index) => {
      const { do: verb, ...more } = one;
      const said = Object.entries(more).filter(([, value]) => value !== undefined);
      const words = said.map(([key, value]) =>
        typeof value === 'string' && key !== 'until'
          ? `${key === 'name' ? '' : `${key} `}${value}`
          : `${key} ${JSON.stringify(value)}`,
      );
      return `${String(index + 1).padStart(2)}. ${verb} ${words.join(' ')}`;
    }),
  ];
}
