/** Valid requests of the control API. */
import type { Collect } from './valid.ts';
import { type Known, SCRIPT, SESSION, SNAPSHOT, WORLD } from './world.ts';

const CONTROL = `/_emulator/projects/${WORLD}`;
const PLAN = {
  faults: [
    { agent: 'digest', protocol: 'responses', attempts: [503, 'timeout', 'ok'] },
    {
      agent: '*',
      fault: { status: 429, headers: { 'Retry-After': '7' }, body: 'no', delay: '1s' },
    },
    { operation: 'getRoutine', times: 2, fault: { kind: 'slow_body', every: '1s', bytes: 8 } },
    { operation: 'listRoutines', probability: 0.5, fault: { delay: 'PT2S' } },
    { operation: 'getAgent', fault: { kind: 'rewrite', set: { '/name': 'z' }, remove: ['/id'] } },
    {
      operation: 'getRoutine',
      fault: { status: 418, headers: { 'x-tea': 'b', allow: 'x' }, body: { a: 1 } },
    },
    {
      at: 'transition',
      of: 'thread_run',
      from: 'in_progress',
      agent: '*',
      to: 'failed',
      error: { code: 'x', message: 'y' },
    },
    { agent: 'writer', fault: { kind: 'gate', name: 'g' } },
    { agent: 'writer', fault: { kind: 'disconnect', delay: '1s' } },
  ],
};

export function validControl({ of, add }: Collect, { runs }: Known): void {
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
  add('PUT', `/_emulator/projects/fresh-{new}`);
  add('PUT', `/_emulator/projects/fresh-{new}`, {
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
  add('PUT', `${CONTROL}/agents/writer/reply`, {
    kind: 'model',
    url: 'http://127.0.0.1:1/v1',
    model: 'm',
    api: 'responses',
    api_key: 'secret',
  });
  of('addSessionLog');
  add('POST', `${CONTROL}/sessions/${SESSION}/log`, { message: 'hello' });
  add('POST', `${CONTROL}/sessions/${SESSION}/log`, {
    agent: 'digest',
    stream: 'stderr',
    message: 'two\nlines',
    at: '2026-05-31T23:00:00Z',
  });
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
}
