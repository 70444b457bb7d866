/** Every control call in one table: the routes of the emulator, the player's step words and `Control` are read from it. */

export interface ControlCall {
  /** The step word and, on the command line, the verb. */
  word: string;
  /** As in openapi.yaml. */
  operation: string;
  method: 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE';
  /** Below `/_emulator`, with `{p}` for the project; `{name}` and `{id}` are further parameters. */
  path: string;
  /** Answered even where control is off or needs a token. */
  open?: true;
}

export const CONTROL_CALLS: readonly ControlCall[] = [
  { word: 'health', operation: 'getHealth', method: 'GET', path: '/health', open: true },
  { word: 'ready', operation: 'getReady', method: 'GET', path: '/ready', open: true },
  { word: 'ca', operation: 'getCa', method: 'GET', path: '/ca.pem', open: true },
  { word: 'identity', operation: 'getIdentityToken', method: 'GET', path: '/identity', open: true },
  { word: 'projects', operation: 'listProjects', method: 'GET', path: '/projects' },
  { word: 'project', operation: 'createProject', method: 'PUT', path: '/projects/{p}' },
  { word: 'settings', operation: 'updateProject', method: 'PATCH', path: '/projects/{p}' },
  { word: 'forget', operation: 'deleteProject', method: 'DELETE', path: '/projects/{p}' },
  { word: 'reset', operation: 'resetProject', method: 'POST', path: '/projects/{p}:reset' },
  { word: 'clock', operation: 'getClock', method: 'GET', path: '/projects/{p}/clock' },
  { word: 'set', operation: 'setClock', method: 'PUT', path: '/projects/{p}/clock' },
  {
    word: 'advance',
    operation: 'advanceClock',
    method: 'POST',
    path: '/projects/{p}/clock:advance',
  },
  { word: 'stop', operation: 'stopClock', method: 'POST', path: '/projects/{p}/clock:stop' },
  { word: 'plan', operation: 'getFaults', method: 'GET', path: '/projects/{p}/faults' },
  { word: 'faults', operation: 'setFaults', method: 'PUT', path: '/projects/{p}/faults' },
  { word: 'unfault', operation: 'clearFaults', method: 'DELETE', path: '/projects/{p}/faults' },
  {
    word: 'release',
    operation: 'releaseGate',
    method: 'POST',
    path: '/projects/{p}/gates/{gate}:release',
  },
  {
    word: 'reply',
    operation: 'setAgentReply',
    method: 'PUT',
    path: '/projects/{p}/agents/{agent_name}/reply',
  },
  {
    word: 'fire',
    operation: 'fireRoutine',
    method: 'POST',
    path: '/projects/{p}/routines/{routine_name}:fire',
  },
  {
    word: 'step',
    operation: 'stepRun',
    method: 'POST',
    path: '/projects/{p}/runs/{run_id}:step',
  },
  {
    word: 'log',
    operation: 'addSessionLog',
    method: 'POST',
    path: '/projects/{p}/sessions/{session_id}/log',
  },
  { word: 'journal', operation: 'getJournal', method: 'GET', path: '/projects/{p}/journal' },
  { word: 'snapshots', operation: 'listSnapshots', method: 'GET', path: '/projects/{p}/snapshots' },
  {
    word: 'snapshot',
    operation: 'takeSnapshot',
    method: 'PUT',
    path: '/projects/{p}/snapshots/{snapshot}',
  },
  { word: 'ledger', operation: 'getLedger', method: 'GET', path: '/ledger' },
  { word: 'rule', operation: 'getLedgerRule', method: 'GET', path: '/ledger/{rule}' },
];

/** What a call's path needs beside the project, by the names of openapi.yaml. */
export function paramsOf({ path }: ControlCall): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'p');
}

/** What lines of the journal are about. */
export const JOURNAL_KINDS: readonly string[] = [
  'world',
  'request',
  'control',
  'fire',
  'attempt',
  'outcome',
  'given',
  'fault',
  'transition',
  'advance',
  'skip',
  'missed',
  'late',
  'cancelled',
  'stuck',
  'resumed',
];
