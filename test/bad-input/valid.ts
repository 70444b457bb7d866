/** For every operation valid requests of several shapes. */
import {
  CUSTOM,
  HOSTED,
  INVOCATIONS,
  ISSUE,
  type Known,
  PLAN,
  PROMPT,
  RESPONSES,
  SCHEDULE,
  SCRIPT,
  SNAPSHOT,
  TIMER,
  WORLD,
} from './world.ts';

export interface Valid {
  operation: string;
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: unknown;
}

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;

/** Valid requests by operation, each a shape of its own; `serial` makes names that are not there yet. */
export function valid({ runs }: Known, serial: number): Valid[] {
  const all: Valid[] = [];
  let operation = '';
  const add = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    all.push({
      operation,
      method,
      path,
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers }),
    });
  const of = (name: string) => {
    operation = name;
  };

  of('listRoutines');
  add('GET', `${API}/routines`);
  add('GET', `${API}/routines?api-version=v1&limit=2&order=asc`);
  add('GET', `${API}/routines?limit=1&after=daily&order=desc`, undefined, {
    'foundry-features': 'Routines=V1Preview',
  });
  add('GET', `${API}/routines?before=x`, undefined, { 'user-agent': 'curl/8' });
  of('createOrUpdateRoutine');
  for (const [name, trigger, action] of [
    ['daily', SCHEDULE, RESPONSES],
    [`new-${serial}`, TIMER, INVOCATIONS],
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
  of('getAgent');
  add('GET', `${API}/agents/digest`);
  add('GET', `${API}/agents/writer?api-version=v1`);
  of('deleteAgent');
  add('DELETE', `${API}/agents/digest?force=true`);
  add('DELETE', `${API}/agents/off`);
  of('createAgentVersion');
  for (const [name, definition] of [
    ['digest', { ...HOSTED, cpu: '2' }],
    [`new-${serial}`, PROMPT],
    ['flow', { kind: 'workflow', workflow: 'y' }],
    ['ext', { kind: 'external', otel_agent_id: 'o' }],
  ] as const)
    add('POST', `${API}/agents/${name}/versions`, {
      definition,
      description: 'd',
      metadata: { team: 'a' },
      draft: false,
      blueprint_reference: { type: 'ManagedAgentIdentityBlueprint', blueprint_id: 'b' },
    });
  of('enableAgent');
  add('POST', `${API}/agents/off:enable`);
  of('disableAgent');
  add('POST', `${API}/agents/digest:disable`);
  for (const [name, tail] of [
    ['createAgentResponse', 'openai/responses'],
    ['createAgentResponseV1', 'openai/v1/responses'],
  ] as const) {
    of(name);
    add('POST', `${API}/agents/digest/endpoint/protocols/${tail}`, {
      input: 'Hi',
      model: 'm',
      stream: false,
      store: true,
      background: null,
      previous_response_id: null,
      agent_session_id: 's',
      conversation: { id: 'c' },
      agent_reference: { type: 'agent_reference', name: 'digest' },
      metadata: { a: 'b' },
    });
    add('POST', `${API}/agents/writer/endpoint/protocols/${tail}?api-version=v1`, {
      input: [{ role: 'user', content: 'Hi' }],
      conversation: 'c',
      session_id: 's',
    });
  }
  of('createAgentInvocation');
  const invoke = `${API}/agents/digest/endpoint/protocols/invocations`;
  add('POST', invoke);
  add('POST', `${invoke}?agent_session_id=s1`, { message: 'Hi', more: [1, { a: null }] });
  add('POST', invoke, 'text');

  of('getHealth');
  add('GET', '/_emulator/health');
  of('headHealth');
  add('HEAD', '/_emulator/health');
  of('getReady');
  add('GET', '/_emulator/ready');
  of('headReady');
  add('HEAD', '/_emulator/ready');
  of('listProjects');
  add('GET', '/_emulator/projects');
  of('createProject');
  add('PUT', `/_emulator/projects/fresh-${serial}`);
  add('PUT', `/_emulator/projects/fresh-${serial}`, {
    now: '2026-06-01T07:00:00+02:00',
    rate: 0,
    skip: true,
    seed: 7,
    profile: 'v1preview',
    switches: { envelope: 'v2', require_api_version: 'off' },
    settings: { attempts_max: 2, first_wait: '5s', retry_on: '5xx timeout' },
    empty: true,
  });
  of('updateProject');
  add('PATCH', CONTROL, {
    profile: 'lenient',
    switches: { overlap: 'skip' },
    settings: { queue_delay: 'PT1S', wait_jitter: 0.5, page_max: 10 },
  });
  add('PATCH', CONTROL, {});
  of('deleteProject');
  add('DELETE', '/_emulator/projects/spare');
  of('resetProject');
  add('POST', `${CONTROL}:reset`);
  add('POST', `${CONTROL}:reset`, { snapshot: SNAPSHOT });
  of('getClock');
  add('GET', `${CONTROL}/clock`);
  of('setClock');
  add('PUT', `${CONTROL}/clock`, { now: '2026-06-01T00:20:00Z', rate: 0, skip: true });
  add('PUT', `${CONTROL}/clock`, { rate: 1 });
  of('advanceClock');
  add('POST', `${CONTROL}/clock:advance`, { by: '1h30m' });
  add('POST', `${CONTROL}/clock:advance`, { to: '2026-06-01T08:00:00Z' });
  add('POST', `${CONTROL}/clock:advance`, { until: 'idle' });
  add('POST', `${CONTROL}/clock:advance`, { by: 'PT2H' }, { accept: 'application/x-ndjson' });
  of('stopClock');
  add('POST', `${CONTROL}/clock:stop`);
  of('getFaults');
  add('GET', `${CONTROL}/faults`);
  of('setFaults');
  add('PUT', `${CONTROL}/faults`, PLAN);
  for (const entry of PLAN.faults) add('PUT', `${CONTROL}/faults`, { faults: [entry] });
  of('clearFaults');
  add('DELETE', `${CONTROL}/faults`);
  of('releaseGate');
  add('POST', `${CONTROL}/gates/g:release`);
  of('setAgentReply');
  add('PUT', `${CONTROL}/agents/digest/reply`, { kind: 'echo' });
  add('PUT', `${CONTROL}/agents/digest/reply`, SCRIPT);
  add('PUT', `${CONTROL}/agents/nobody/reply`, { kind: 'forward', url: 'http://127.0.0.1:1/' });
  for (const turn of SCRIPT.turns)
    add('PUT', `${CONTROL}/agents/digest/reply`, { kind: 'script', turns: [turn], repeat: 'last' });
  of('fireRoutine');
  add('POST', `${CONTROL}/routines/daily:fire`);
  add('POST', `${CONTROL}/routines/once:fire`, { scheduled_fire_at: '2026-06-01T06:00:00Z' });
  add('POST', `${CONTROL}/routines/issue:fire`, { payload: { action: 'opened', n: [1] } });
  of('getJournal');
  add('GET', `${CONTROL}/journal`);
  add('GET', `${CONTROL}/journal?kind=request,fire&after=2&limit=3&routine=daily`);
  add('GET', `${CONTROL}/journal?run=${runs[0]}&canonical=true`);
  add('GET', `${CONTROL}/journal?kind=none&wait=1&canonical=false`);
  add('GET', `${CONTROL}/journal?canonical=true`, undefined, { accept: 'application/x-ndjson' });
  of('listSnapshots');
  add('GET', `${CONTROL}/snapshots`);
  of('takeSnapshot');
  add('PUT', `${CONTROL}/snapshots/second.1`);
  of('getLedger');
  add('GET', '/_emulator/ledger?basis=assumed&area=routine');
  add('GET', '/_emulator/ledger?area=fault');
  of('getLedgerRule');
  add('GET', '/_emulator/ledger/run/list');
  add('GET', '/_emulator/ledger/run%2Ffilter');
  of('getIdentityToken');
  add(
    'GET',
    '/_emulator/identity?resource=https%3A%2F%2Fai.azure.com&api-version=2019-08-01',
    undefined,
    { 'x-identity-header': 'secret' },
  );
  of('getCa');
  add('GET', '/_emulator/ca.pem');
  return all;
}
