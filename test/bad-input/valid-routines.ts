/** Valid requests of routines. */
import type { Collect } from './valid.ts';
import {
  CUSTOM,
  INVOCATIONS,
  ISSUE,
  type Known,
  RESPONSES,
  SCHEDULE,
  TIMER,
  WORLD,
} from './world.ts';

const API = `/api/projects/${WORLD}`;

export function validRoutines({ of, add }: Collect, { runs, conversation }: Known): void {
  of('listRoutines');
  add('GET', `${API}/routines`);
  add('GET', `${API}/routines?api-version=v1&limit=2&order=asc`);
  add('GET', `${API}/routines?limit=1&after=daily&order=desc`, undefined, {
    'foundry-features': 'Routines=V1Preview',
  });
  add('GET', `${API}/routines?before=x`, undefined, { 'user-agent': 'curl/8' });
  of('createOrUpdateRoutine');
  for (const [name, trigger, action] of [
    ['daily', SCHEDULE, { ...RESPONSES, conversation }],
    ['new', TIMER, INVOCATIONS],
    ['once', { type: 'timer', at: 'PT2H' }, { ...RESPONSES, agent_name: 'writer' }],
    ['a%20b%3A%2F', { type: 'timer', at: 1_790_000_000 }, { ...INVOCATIONS, input: null }],
    ['issue', ISSUE, INVOCATIONS],
    ['hook', CUSTOM, { type: 'invoke_agent_responses_api', agent_name: 'flow' }],
  ] as const)
    add('PUT', `${API}/routines/${name}?api-version=v1`, {
      description: 'd',
      enabled: name !== 'issue',
      triggers: { morning: trigger },
      action,
      authorization: { identity: 'creator' },
    });
  add('PUT', `${API}/routines/terse`, {
    triggers: { t: SCHEDULE },
    action: { type: 'invoke_agent_responses_api', agent_name: 'digest' },
  });
  of('getRoutine');
  add('GET', `${API}/routines/daily`);
  add('GET', `${API}/routines/once?api-version=v1`, undefined, { 'user-agent': 'azsdk-js-x' });
  of('deleteRoutine');
  add('DELETE', `${API}/routines/daily?api-version=v1`);
  add('DELETE', `${API}/routines/never-there`);
  of('enableRoutine');
  add('POST', `${API}/routines/daily:enable`);
  add('POST', `${API}/routines/once:enable?api-version=v1`);
  of('disableRoutine');
  add('POST', `${API}/routines/hook:disable`);
  of('dispatchRoutineAsync');
  add('POST', `${API}/routines/daily:dispatch_async`);
  add('POST', `${API}/routines/daily:dispatch_async`, {});
  add(
    'POST',
    `${API}/routines/daily:dispatch_async?api-version=v1`,
    { payload: { type: 'invoke_agent_responses_api', input: 'Now' } },
    { 'x-ms-client-request-id': 'mine' },
  );
  add('POST', `${API}/routines/hook:dispatch_async`, {
    payload: { type: 'invoke_agent_invocations_api', input: { a: [1] } },
  });
  of('listRoutineRuns');
  add('GET', `${API}/routines/daily/runs`);
  add('GET', `${API}/routines/daily/runs?limit=1&order=desc&after=${runs[0]}`);
  add('GET', `${API}/routines/daily/runs?filter=attributes.status%20%3D%20%27FINISHED%27&limit=5`);
}
