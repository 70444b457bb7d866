/** What stands around the steps of a story: faults, settings and switches. */
import fc from 'fast-check';
import { some } from './bodies.ts';
import type { Json } from './definition.ts';
import type { Setup } from './step.ts';

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
const versionFault = fc.record({
  at: fc.constant('transition'),
  of: fc.constant('version'),
  from: fc.constant('creating'),
  to: fc.constant('failed'),
  error: fc.constantFrom(
    { code: 'ImageError', message: 'No such image.' },
    { code: 'ProvisioningError', message: 'No room.' },
  ),
  times: fc.integer({ min: 1, max: 2 }),
});
const operationFault = fc.record({
  operation: fc.constantFrom(
    'createOrUpdateRoutine',
    'getRoutine',
    'dispatchRoutineAsync',
    'deleteRoutine',
    'enableRoutine',
    'disableRoutine',
    'createAgentVersion',
    'patchAgent',
    'deleteAgentVersion',
    'createSession',
    'createAgentResponse',
    'createResponse',
    'createAgentInvocation',
  ),
  times: fc.integer({ min: 1, max: 2 }),
  fault: fc.constantFrom<unknown>(429, 503, 'lose_response', 'disconnect'),
});
export const faults = fc.record({
  do: fc.constant('faults' as const),
  faults: some<Json[]>(
    [6, fc.array(agentFault as fc.Arbitrary<Json>, { minLength: 1, maxLength: 3 })],
    [3, fc.array(operationFault as fc.Arbitrary<Json>, { minLength: 1, maxLength: 2 })],
    [2, versionFault.map((one) => [one as Json])],
    [1, []],
  ),
});

const ofDeliveries = fc.constantFrom<Setup['settings']>(
  { attempts_max: 1 },
  { attempts_max: 2 },
  { attempts_max: 5, first_wait: '2s', wait_factor: 3 },
  { first_wait: '6m', wait_max: '6m' },
  { attempt_timeout: '10s' },
  { attempt_timeout: '10m' },
  { queue_delay: '10s' },
  { queue_delay: '6m' },
  { queue_delay: '6m' },
  { worker_concurrency: 1 },
  { worker_concurrency: 2 },
  { retry_on: '408 5xx timeout' },
  { retry_on: '400 429 connection_failed answer_lost interrupted' },
  { completes_on: '200 408' },
);
const agentSetting = fc.constantFrom<Setup['settings']>(
  { provisioning_time: '0s' },
  { provisioning_time: '5m' },
  { provisioning_time: '5m' },
  { cold_start: '10s' },
  { cold_start: '40s' },
  { session_idle: '5m' },
  { session_life: '1h' },
  { session_life: '1d' },
);
export const setting = fc.oneof(ofDeliveries, agentSetting);
/** What becomes of what is under way, more often than the rest. */
const underWay = fc.constantFrom<Setup['switches']>(
  { overlap: 'queue' },
  { overlap: 'skip' },
  { on_delete: 'cancel', on_disable: 'cancel' },
  { on_delete: 'cancel', on_disable: 'cancel', on_replace: 'cancel' },
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
const ofAgents = fc.constantFrom<Setup['switches']>(
  { agents_order: 'asc' },
  { dedup_versions: 'off' },
  { conflict_on_existing_agent: 'conflict' },
  { delete_with_sessions: 'refuse' },
  { protocols_patch: 'merge' },
  { drafts: 'disabled' },
  { first_draft: 'refuse' },
  { delete_version_in_use: 'allow' },
  { deleted_version: 'shown' },
  { unknown_session: 'create' },
  { session_by_previous_response: 'same' },
  { unexposed_protocol: '400' },
);
export const switches = some<Setup['switches']>([4, underWay], [2, other], [2, ofAgents]);
export const settings = fc.record({
  do: fc.constant('settings' as const),
  settings: some<Setup['settings']>([2, setting], [1, {}]),
  switches: some<Setup['switches']>([1, switches], [1, {}]),
});
