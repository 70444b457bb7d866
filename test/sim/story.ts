/** Stories: plain steps, drawn by fast-check so that they shrink, and told as a list that can be read. */
import fc from 'fast-check';
import { agentName, body, input, name, some } from './bodies.ts';
import type { Json } from './definition.ts';
import type { Setup, Step } from './step.ts';

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

const fault = some<unknown>(
  [6, 503],
  [4, 429],
  [3, 408],
  [1, 400],
  [1, 302],
  [1, 204],
  [5, 'timeout'],
  [2, 'disconnect'],
  [2, 'lose_response'],
  [1, 'garble'],
  [3, 'ok'],
  [5, fc.record({ delay: some<string>([4, '10s'], [1, '30s'], [1, '30001ms'], [2, '6m']) })],
  [1, { status: 500, delay: '10s' }],
  [1, { status: 429, headers: { 'retry-after': '4' } }],
  [1, { kind: 'disconnect', delay: '5s' }],
  [1, { kind: 'lose_response', delay: '5s' }],
);
const struckAgent = some<string>([5, 'digest'], [5, '*'], [1, 'other']);
const agentFault = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      agent: struckAgent,
      attempts: fc.array(fault, { minLength: 2, maxLength: 4, size: 'max' }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        agent: struckAgent,
        fault,
        times: fc.integer({ min: 1, max: 4 }),
        protocol: fc.constantFrom('responses', 'invocations'),
      },
      { requiredKeys: ['agent', 'fault'] },
    ),
  },
);
const operationFault = fc.record({
  operation: fc.constantFrom(
    'createOrUpdateRoutine',
    'getRoutine',
    'dispatchRoutineAsync',
    'deleteRoutine',
    'enableRoutine',
    'disableRoutine',
  ),
  times: fc.integer({ min: 1, max: 2 }),
  fault: fc.constantFrom<unknown>(429, 503, 'lose_response', 'disconnect'),
});
const faults = fc.record({
  do: fc.constant('faults' as const),
  faults: some<Json[]>(
    [6, fc.array(agentFault as fc.Arbitrary<Json>, { minLength: 1, maxLength: 3 })],
    [2, fc.array(operationFault as fc.Arbitrary<Json>, { minLength: 1, maxLength: 2 })],
    [1, []],
  ),
});

const setting = fc.constantFrom<Setup['settings']>(
  { attempts_max: 1 },
  { attempts_max: 2 },
  { attempts_max: 5, first_wait: '2s', wait_factor: 3 },
  { first_wait: '6m', wait_max: '6m' },
  { attempt_timeout: '10s' },
  { attempt_timeout: '10m' },
  { queue_delay: '10s' },
  { queue_delay: '6m' },
  { worker_concurrency: 1 },
  { worker_concurrency: 2 },
  { retry_on: '408 5xx timeout' },
  { retry_on: '400 429 connection_failed answer_lost interrupted' },
  { completes_on: '200 408' },
);
/** What becomes of what is under way, more often than the rest. */
const underWay = fc.constantFrom<Setup['switches']>(
  { overlap: 'queue' },
  { overlap: 'skip' },
  { on_delete: 'cancel', on_disable: 'cancel' },
  { on_replace: 'cancel' },
  { on_replace: 'new_action' },
);
const other = fc.constantFrom<Setup['switches']>(
  { delete_missing: '404' },
  { dispatch_when_disabled: 'refuse' },
  { dispatch_source: 'manual_dispatch' },
  { default_order: 'desc' },
  { limit_out_of_range: 'refuse' },
  { past_timer: 'never_fires' },
  { missing_time_zone: 'utc' },
  { agent_checked: 'on_fire' },
  { runs_of_deleted: 'hidden' },
  { runs_of_recreated: 'kept' },
  { cron_days: 'and' },
  { after_timer: 'disabled' },
  { put_create_status: '201' },
);
const switches = fc.oneof(underWay, other);
const settings = fc.record({
  do: fc.constant('settings' as const),
  settings: some<Setup['settings']>([2, setting], [1, {}]),
  switches: some<Setup['switches']>([1, switches], [1, {}]),
});

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
const agent = fc.record({
  do: fc.constant('agent' as const),
  name: agentName,
  verb: fc.constantFrom(
    'create' as const,
    'delete' as const,
    'enable' as const,
    'disable' as const,
    'disable' as const,
  ),
});
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

const step = some<Step>(
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
  [1, agent],
  [5, faults],
  [3, settings],
  [4, fc.record({ do: fc.constant('snapshot' as const), name: snapshotName })],
  [1, { do: 'reset' }],
  [4, fc.record({ do: fc.constant('reset' as const), snapshot: snapshotName })],
  [2, pageOf],
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
  switches: some<Setup['switches']>([2, {}], [1, switches]),
});

/** One story of seven keeps its world in files and is restarted on the way. */
export const stories: fc.Arbitrary<Story> = fc.record({
  setup,
  first: fc.oneof(
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
  rest: fc.oneof(
    { withCrossShrink: true },
    { weight: 1, arbitrary: fc.array(step, { maxLength: 18, size: 'max' }) },
    { weight: 5, arbitrary: fc.array(step, { minLength: 6, maxLength: 18, size: 'max' }) },
    {
      weight: 1,
      arbitrary: fc.array(some<Step>([8, step], [1, { do: 'restart' }]), {
        minLength: 4,
        maxLength: 16,
        size: 'max',
      }),
    },
  ),
});

/** A story as a numbered list. */
export function tell(told: Story): string[] {
  const { now, settings: set, switches: switched } = told.setup;
  const extra = [set, switched].filter((one) => Object.keys(one).length > 0);
  return [
    ` 0. the world stands at ${now}${extra.map((one) => `, ${JSON.stringify(one)}`).join('')}`,
    ...stepsOf(told).map((one, index) => {
      const { do: verb, ...more } = one;
      const words = Object.entries(more).map(([key, value]) =>
        typeof value === 'string' && key !== 'until'
          ? `${key === 'name' ? '' : `${key} `}${value}`
          : `${key} ${JSON.stringify(value)}`,
      );
      return `${String(index + 1).padStart(2)}. ${verb} ${words.join(' ')}`;
    }),
  ];
}
