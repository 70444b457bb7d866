/** Log streams: server-sent events of what a session's sandbox says, and lines that control puts there. */
import { isoInstant } from '../clock.ts';
import { type ApiError, invalid, notFound, shown } from '../errors.ts';
import { findAgent } from '../store/agents.ts';
import { findSessionsById, type SessionRow } from '../store/sessions.ts';
import { type LogAsked, type LogFrame, openLog } from '../work/logs.ts';
import { ownerIn, usableSession } from '../work/session-access.ts';
import { logLine, subjectOf } from '../work/sessions.ts';
import type { World } from '../world.ts';
import { readInstant } from './clock.ts';
import { type Controlled, controlTurn, projectOf } from './controlled.ts';
import { type Answer, bodyAs, type Input, type Operation } from './input.ts';
import { hostedAgent } from './sessions.ts';

/** What azd asks for at most. */
const TAIL_MAX = 300;

export const logOperations: Operation[] = [
  {
    id: 'streamVersionSessionLogs',
    method: 'GET',
    path: '/agents/:agent_name/versions/:agent_version/sessions/:session_id',
    verb: 'logstream',
    kind: 'call',
    handle: streamLogs,
  },
  {
    id: 'streamSessionLogs',
    method: 'GET',
    path: '/agents/:agent_name/sessions/:session_id',
    verb: 'logstream',
    kind: 'call',
    handle: streamLogs,
  },
];

async function streamLogs(input: Input): Promise<Answer> {
  const { world, engine } = input.project;
  const session = sessionOf(input);
  const asked = readAsked(input);
  const stream = openLog(engine, session, asked, frame);
  // Whoever looks at a sandbox that is still coming waits for it.
  const notAfter = world.now + world.profile.settings.skip_max;
  const from = world.now;
  const subject = { name: subjectOf(session), triggers: false };
  while (world.skip && (await engine.waits.follow(subject, notAfter)));
  if (world.now > from) world.turn(() => engine.waits.recordSkip(from, 'log stream'));
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };
  return { status: 200, stream, headers };
}

function sessionOf(input: Input): SessionRow {
  const { world } = input.project;
  const agent = hostedAgent(input);
  const { session_id: id = '', agent_version: version } = input.params;
  const session = usableSession(world, agent, id, ownerIn(world, input.headers));
  if (version === undefined || version === session.version) return session;
  throw notFound(
    `Session ${shown(id)} runs on version ${session.version}, and not on ${shown(version)}. Ask for its logs there.`,
    'log/version-of-session',
  );
}

function readAsked({ query }: Input): LogAsked {
  const kind = query.get('kind') || undefined;
  if (kind !== undefined && kind !== 'console' && kind !== 'system')
    throw invalid(
      `'kind' cannot be ${shown(kind)}. Use console or system.`,
      'kind',
      'log/kind-known',
    );
  const follow = query.get('follow') || 'true';
  if (follow !== 'true' && follow !== 'false')
    throw invalid(
      `'follow' cannot be ${shown(follow)}. Use true or false.`,
      'follow',
      'log/follow-is-boolean',
    );
  return { kind, tail: readTail(query.get('tail') || undefined), follow: follow === 'true' };
}

function readTail(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const tail = Number(text);
  if (/^\d{1,3}$/.test(text) && tail >= 1 && tail <= TAIL_MAX) return tail;
  throw invalid(
    `'tail' cannot be ${shown(text)}. Use a whole number from 1 to ${TAIL_MAX}.`,
    'tail',
    'log/tail-1-to-300',
  );
}

const encoder = new TextEncoder();

function frame({ at, stream, message }: LogFrame): Uint8Array {
  const data = JSON.stringify({ timestamp: isoInstant(at), stream, message });
  return encoder.encode(`event: log\ndata: ${data}\n\n`);
}

/** Control: a line for the log of a session. */
export function addSessionLog(call: Controlled): Answer {
  const project = projectOf(call);
  const { world } = project;
  const asked = bodyAs('SessionLogLine', call.body);
  const at = asked.at === undefined ? world.now : readInstant(asked.at, 'at');
  const session = sessionNamed(world, call.params.session_id ?? '', asked.agent);
  const { stream = 'stdout', message } = asked;
  controlTurn(call, project, 'addSessionLog', () => logLine(world, session, stream, message, at));
  return { status: 201, body: { timestamp: isoInstant(at), stream, message } };
}

function noSession(id: string, agent: string | undefined): ApiError {
  const whose = agent === undefined ? 'in this project' : `of agent ${agent}`;
  return notFound(
    `There is no session ${shown(id)} ${whose}. Begin one with POST /agents/{agent}/endpoint/sessions.`,
    'session/unknown-answers-404',
  );
}

/** An id is unique in its agent alone. */
function sessionNamed(world: World, id: string, agentName: string | undefined): SessionRow {
  const agent = agentName === undefined ? undefined : findAgent(world.store, agentName);
  const found = findSessionsById(world.store, id).filter(
    ({ agent_key }) => agentName === undefined || agent_key === agent?.key,
  );
  const [session] = found;
  if (session === undefined) throw noSession(id, agentName);
  if (found.length === 1) return session;
  throw invalid(
    `${found.length} agents have a session ${shown(id)}. Say which is meant: { "agent": … }.`,
    'agent',
    'control/session-is-one',
  );
}
