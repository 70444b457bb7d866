/** Definitions of routines as stories have them: most can be put, and some break one rule. */
import fc from 'fast-check';
import type { Json } from './definition.ts';

/** Of several values, each as often as its number says. */
export function some<T>(...weighted: [number, T | fc.Arbitrary<T>][]): fc.Arbitrary<T> {
  return fc.oneof(
    ...weighted.map(([weight, value]) => ({
      weight,
      arbitrary: (value instanceof fc.Arbitrary ? value : fc.constant(value)) as fc.Arbitrary<T>,
    })),
  );
}

export const name = some([16, 'daily'], [6, 'weekly'], [1, 'a:b c/ü']);
export const agentName = some([24, 'digest'], [6, 'other'], [1, 'ghost']);
const cron = some<string>(
  [14, '*/5 * * * *'],
  [4, '0 * * * *'],
  [6, '*/10 * * * *'],
  [2, '0 7 * * 1-5'],
  [2, '30 2 * * *'],
  [2, '0,30 2,3 * * *'],
  [1, '*/30 2 * * *'],
  [1, '0 0 1 * MON'],
  [1, '0 0 31 * *'],
  [1, '15 */6 * JUN-AUG 7'],
  [1, '59 23 * * *'],
  [1, '1,58 0,23 1 * *'],
  [
    3,
    fc
      .tuple(
        some([3, '0'], [1, '30'], [1, '5-59/20'], [1, '58'], [1, '*/7'], [1, '0,3'], [1, '1,58']),
        some([3, '*'], [1, '7'], [1, '*/6'], [1, '2'], [1, '0,23'], [1, '8-10']),
        some([4, '*'], [1, '1'], [1, '31'], [1, '1-7'], [1, '29']),
        some([5, '*'], [1, '6'], [1, 'feb'], [1, '3,10'], [1, '2']),
        some([4, '*'], [1, '1-5'], [1, 'MON'], [1, '0'], [1, '7'], [1, 'sat,sun']),
      )
      .map((fields) => fields.join(' ')),
  ],
  [
    1,
    fc.constantFrom(
      '*/4 * * * *',
      '* * * * * *',
      '60 * * * *',
      '@daily',
      '0 0 31 2 *',
      'a b c d e',
    ),
  ],
);
const zone = some(
  [8, 'UTC'],
  [3, 'Europe/Berlin'],
  [2, 'Asia/Kolkata'],
  [1, 'India Standard Time'],
);

const schedule = fc.record({
  type: fc.constant('schedule'),
  cron_expression: cron,
  time_zone: zone,
});
/** `@5m` is an instant in ISO 8601, five minutes after the story's beginning: see instantsIn. */
const timer = fc.oneof(
  fc.record({
    type: fc.constant('timer'),
    at: some<string>([2, '30s'], [3, '2m'], [3, '5m'], [2, '1h'], [1, '1d']),
  }),
  fc.record({
    type: fc.constant('timer'),
    at: fc
      .tuple(some([2, '1m'], [3, '5m'], [2, '1h']), some([3, ''], [1, ' offset'], [1, ' unix']))
      .map(([after, form]) => `@${after}${form}`),
  }),
  fc.record({
    type: fc.constant('timer'),
    at: fc.constant('@5m local'),
    time_zone: fc.constant('Asia/Kolkata'),
  }),
);
const event = fc.constantFrom<Json>(
  { type: 'custom', provider: 'tests', parameters: { room: 7 } },
  { type: 'custom', provider: 'tests', event_name: 'opened', parameters: {} },
  { type: 'github_issue', connection_id: 'c', owner: 'o', repository: 'r', issue_event: 'opened' },
);
const badTrigger = fc.constantFrom<Json>(
  { type: 'schedule', cron_expression: '0 7 * * *' },
  { type: 'schedule', time_zone: 'UTC' },
  { type: 'schedule', cron_expression: '0 7 * * *', time_zone: 'Mars/Phobos' },
  { type: 'timer' },
  { type: 'timer', at: '-5m' },
  { type: 'timer', at: '0m' },
  { type: 'timer', at: 'soon' },
  { type: 'timer', at: '2020-01-01T00:00:00Z' },
  { type: 'timer', at: '2026-06-01T09:00:00' },
  { type: 'custom', provider: 'tests' },
  { type: 'github_issue', connection_id: 'c' },
  { type: 'cron' },
);
const trigger = some<Json>(
  [8, schedule as fc.Arbitrary<Json>],
  [6, timer as fc.Arbitrary<Json>],
  [2, event],
);

export const input = fc.constantFrom<unknown>('hello', 7, null, { order: 7 }, []);
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.record(
          {
            type: fc.constant('invoke_agent_responses_api'),
            agent_name: agentName,
            input: fc.constantFrom<unknown>('summarise', ''),
          },
          { requiredKeys: ['type', 'agent_name'] },
        ),
        some<Json>(
          [16, {}],
          [8, { conversation: '<conversation 0>' }],
          [1, { conversation: '<conversation 1>' }],
          [1, { conversation: 'conv_1' }],
        ),
      )
      .map(([one, spoken]): Json => ({ ...one, ...spoken })),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.record(
          {
            type: fc.constant('invoke_agent_invocations_api'),
            agent_endpoint_id: agentName,
            input,
          },
          { requiredKeys: ['type', 'agent_endpoint_id'] },
        ),
        some<string | undefined>(
          [16, undefined],
          [8, '<session 0 of '],
          [1, '<session 1 of '],
          [1, 'session_1'],
        ),
      )
      .map(([one, ref]): Json => {
        if (ref === undefined) return one;
        const session_id = ref.startsWith('<') ? `${ref}${one.agent_endpoint_id}>` : ref;
        return { ...one, session_id };
      }),
  },
);
const badAction = fc.constantFrom<Json>(
  { type: 'invoke_agent_responses_api' },
  { type: 'invoke_agent_responses_api', agent_name: 'digest', agent_endpoint_id: 'digest' },
  {
    type: 'invoke_agent_responses_api',
    agent_name: 'digest',
    conversation: 'a',
    conversation_id: 'b',
  },
  { type: 'invoke_agent_responses_api', agent_name: 'digest', conversation_id: 'b' },
  { type: 'call', agent_name: 'digest' },
);
function bodyOf(trigger: fc.Arbitrary<Json>, action: fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  return fc.record(
    {
      triggers: fc
        .tuple(some([3, 't'], [1, 'morning']), trigger)
        .map(([key, one]) => ({ [key]: one })),
      action,
      description: fc.constantFrom('first', 'second'),
      enabled: some<boolean>([7, true], [1, false]),
      authorization: fc.constantFrom({ identity: 'agent' }, { identity: 'creator' }),
    },
    { requiredKeys: ['triggers', 'action'] },
  );
}
const bad = fc.oneof(
  bodyOf(badTrigger, action),
  bodyOf(trigger, badAction),
  fc.constantFrom<Json>(
    { triggers: {}, action: { type: 'invoke_agent_responses_api', agent_name: 'digest' } },
    { triggers: { t: { type: 'custom', provider: 'p', parameters: {} } } },
  ),
);
export const body = some<Json>([16, bodyOf(trigger, action)], [1, bad]);

/** The instants that a story writes as `@5m`, as they are sent. */
export function instantsIn(body: Json, start: number, ms: (duration: string) => number): Json {
  const triggers = Object.entries((body.triggers ?? {}) as Record<string, Json>);
  const written = triggers.map(([key, one]) => {
    const [, after, form] = /^@(\w+)(?: (\w+))?$/.exec(String(one.at)) ?? [];
    if (after === undefined) return [key, one];
    const at = start + ms(after);
    const iso = (instant: number) => new Date(instant).toISOString();
    const local = iso(at + 19_800_000).slice(0, 19);
    const forms: Record<string, unknown> = { unix: at / 1_000, local, offset: `${local}+05:30` };
    return [key, { ...one, at: forms[form ?? ''] ?? iso(at) }];
  });
  return { ...body, ...(body.triggers !== undefined && { triggers: Object.fromEntries(written) }) };
}
