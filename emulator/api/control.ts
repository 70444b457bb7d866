/** The tag Control: what can be done to a world beyond the API. The routes are the table of contracts/control.ts. */
import type { Hono } from 'hono';
import { CONTROL_CALLS, type ControlCall } from '../../contracts/control.ts';
import type { Emulated } from '../emulator.ts';
import { ApiError, notFound } from '../errors.ts';
import { answerIdentity, isSecret } from '../identity.ts';
import { readJson, readText } from './body.ts';
import { advance, setClock, viewClock } from './clock.ts';
import { type Controlled, projectOf } from './controlled.ts';
import { fire, release, replacePlan, setFaults, viewPlan } from './faults.ts';
import { type Connection, pathParams, rawPath, toResponse } from './http.ts';
import type { Answer } from './input.ts';
import { readJournal } from './journal.ts';
import { getRule, listRules } from './ledger.ts';
import { addSessionLog } from './logs.ts';
import {
  create,
  health,
  listSnapshots,
  remove,
  reset,
  takeSnapshot,
  update,
  viewProject,
} from './projects.ts';
import { setReply } from './replies.ts';
import { stepRun } from './thread-run-step.ts';

type Handler = (call: Controlled) => Answer | Response | Promise<Answer | Response>;

const HANDLERS: Record<string, Handler> = {
  getHealth: ({ emulated }) => ({ status: 200, body: health(emulated) }),
  getReady: ({ emulated }) => ({ status: 200, body: emulated.ready() }),
  getCa: ({ emulated }) => certificate(emulated),
  getIdentityToken: ({ c, emulated }) => answerIdentity(c.req.raw, emulated.identity),
  listProjects: ({ emulated }) => ({
    status: 200,
    body: { projects: emulated.projects.list().map(viewProject) },
  }),
  createProject: create,
  updateProject: update,
  deleteProject: remove,
  resetProject: reset,
  getClock: (call) => ({ status: 200, body: viewClock(projectOf(call)) }),
  setClock,
  advanceClock: advance,
  stopClock: (call) => {
    const project = projectOf(call);
    project.engine.stop();
    return { status: 200, body: viewClock(project) };
  },
  getFaults: (call) => ({ status: 200, body: { faults: viewPlan(projectOf(call)) } }),
  setFaults,
  clearFaults: (call) => {
    replacePlan(call, projectOf(call), []);
    return { status: 204 };
  },
  releaseGate: release,
  setAgentReply: setReply,
  fireRoutine: fire,
  stepRun,
  addSessionLog,
  getJournal: (call) => readJournal(call, projectOf(call)),
  listSnapshots,
  takeSnapshot,
  getLedger: listRules,
  getLedgerRule: getRule,
};

export function controlOperations(app: Hono<{ Bindings: Connection }>, emulated: Emulated): void {
  // Those with a verb first: `{p}:reset` would do as a name for `{p}`.
  const paths = new Set(CONTROL_CALLS.map(({ path }) => path));
  const verbsFirst = [...paths].sort(
    (one, other) => Number(/:/.test(other)) - Number(/:/.test(one)),
  );
  for (const path of verbsFirst) {
    const calls = CONTROL_CALLS.filter((call) => call.path === path);
    for (const call of calls) {
      const handler = HANDLERS[call.operation];
      if (!handler) throw new Error(`nothing handles ${call.operation}`);
      app.on(call.method, routeOf(path), (c) => answer(c, emulated, call, handler));
    }
    app.all(routeOf(path), (c) => {
      if (!calls.some(({ open }) => open)) admit(c, emulated);
      throw wrongMethod(c.req.method, path, calls);
    });
  }
}

function wrongMethod(method: string, path: string, calls: ControlCall[]): ApiError {
  const known = calls.flatMap((call) => (call.method === 'GET' ? ['GET', 'HEAD'] : [call.method]));
  return new ApiError({
    status: 405,
    code: 'method_not_allowed',
    message: `There is no ${method} /_emulator${path}. Use ${known.join(', ')}.`,
    rule: 'request/route-known',
    headers: { allow: known.join(', ') },
  });
}

/** A verb after the last parameter is a part of its segment, which Hono matches as one parameter. */
function routeOf(path: string): string {
  const segments = path.split('/').map((segment) => {
    const parameter = /^\{(\w+)\}(:\w+)?$/.exec(segment);
    if (!parameter) return segment;
    if (parameter[1] === 'rule') return ':rule{.+}';
    return parameter[2] ? `:${parameter[1]}{[^/]+${parameter[2]}}` : `:${parameter[1]}`;
  });
  return `/_emulator${segments.join('/')}`;
}

async function answer(
  c: Controlled['c'],
  emulated: Emulated,
  call: ControlCall,
  handler: Handler,
): Promise<Response> {
  if (!call.open) admit(c, emulated);
  if (call.method !== 'GET') refuseForeignPage(c, emulated);
  const params = pathParams(rawPath(c.req.url), `/_emulator${call.path}`);
  const body = call.method === 'GET' ? undefined : readJson(await readText(c));
  const open = params.p === undefined ? undefined : emulated.projects.find(params.p);
  if (open) open.answering += 1;
  let result: Answer | Response;
  try {
    result = await handler({ c, emulated, params, body });
  } finally {
    if (open) open.answering -= 1;
  }
  if (result instanceof Response) return result;
  const project = params.p === undefined ? undefined : emulated.projects.find(params.p);
  return toResponse(
    result,
    project?.world.now ?? emulated.host.now(),
    c.req.header('x-ms-client-request-id') ?? 'control',
  );
}

function admit(c: Controlled['c'], emulated: Emulated): void {
  if (c.env?.own) return;
  if (!emulated.control)
    throw notFound('Control is off: this emulator was started with --no-control.', 'control/off');
  if (emulated.controlToken === undefined) return;
  const token = /^bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (token !== undefined && isSecret(token, emulated.controlToken)) return;
  throw new ApiError({
    status: 401,
    code: 'Unauthorized',
    message:
      'This control call needs the token that the emulator was started with: Authorization: Bearer CONTROL_TOKEN.',
    rule: 'control/token',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

/** A page of any origin may send a POST here unasked, though it cannot read the answer; its browser names it. */
function refuseForeignPage(c: Controlled['c'], { cors }: Emulated): void {
  const origin = c.req.header('origin');
  if (origin === undefined || cors === '*' || cors === origin) return;
  if (URL.parse(origin)?.host === c.req.header('host')) return;
  throw new ApiError({
    status: 403,
    code: 'forbidden_origin',
    message: `A page of ${origin} may not change this emulator. Start it with --cors ${origin} to let it.`,
    rule: 'control/own-pages-only',
  });
}

function certificate(emulated: Emulated): Answer {
  const pem = emulated.caPem?.();
  if (pem === undefined)
    throw notFound('There is no CA here: this emulator has no TLS of its own.', 'control/ca');
  return { status: 200, text: pem, headers: { 'content-type': 'application/x-pem-file' } };
}
