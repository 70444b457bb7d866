/** The tag Sessions: sandboxes of a hosted agent, made, read, stopped and deleted (contract/agents.md 12). */
import { unixSeconds } from '../clock.ts';
import { requireEnabled } from '../endpoint.ts';
import { conflict, invalid, shown } from '../errors.ts';
import { idleAt } from '../lifecycle.ts';
import { type AgentRow, findAgent } from '../store/agents.ts';
import { findSession, pageSessions, placeOfSession, type SessionRow } from '../store/sessions.ts';
import { ownerIn, requireOwner, sessionNotReady, unknownSession } from '../work/session-access.ts';
import { deleteSession, startSession, statusOf, stopSession, subjectOf } from '../work/sessions.ts';
import type { World } from '../world.ts';
import { existingAgent, existingVersion, nameOf } from './existing.ts';
import { type Answer, bodyAs, type Input, type Operation, type Subject } from './input.ts';
import { agentList } from './page.ts';

const VERSION_NAMED = 'version_indicator.agent_version';

export const SESSIONS = '/agents/:agent_name/endpoint/sessions';

export const sessionOperations: Operation[] = [
  { id: 'createSession', method: 'POST', path: SESSIONS, kind: 'write', handle: create },
  { id: 'listSessions', method: 'GET', path: SESSIONS, kind: 'read', handle: list },
  {
    id: 'getSession',
    method: 'GET',
    path: `${SESSIONS}/:session_id`,
    kind: 'read',
    handle: get,
    subject: sessionSubject,
  },
  {
    id: 'deleteSession',
    method: 'DELETE',
    path: `${SESSIONS}/:session_id`,
    kind: 'write',
    handle: remove,
  },
  {
    id: 'stopSession',
    method: 'POST',
    path: `${SESSIONS}/:session_id`,
    verb: 'stop',
    kind: 'write',
    handle: stop,
  },
];

/** The agent of a path whose calls run in sandboxes; no other has sessions. */
export function hostedAgent(input: Input): AgentRow {
  const { agent, version } = existingAgent(input.project.world, nameOf(input));
  const { kind } = JSON.parse(version.definition) as { kind: string };
  if (kind === 'hosted') return agent;
  throw invalid(
    `Agent ${agent.name} is a ${kind} agent, and only hosted agents have sessions.`,
    'agent_name',
    'session/hosted-only',
  );
}

/** The session of a path that has not been deleted, of whoever asks. */
export function existingSession(input: Input): { agent: AgentRow; session: SessionRow } {
  const { world } = input.project;
  const agent = hostedAgent(input);
  const id = input.params.session_id ?? '';
  const session = findSession(world.store, agent.key, id);
  if (session === undefined || session.ended === 'deleted') throw unknownSession(id);
  requireOwner(world, session, ownerIn(world, input.headers));
  return { agent, session };
}

function create(input: Input): Answer {
  const { world, faults } = input.project;
  const agent = hostedAgent(input);
  const body = input.body === undefined ? {} : bodyAs('SessionCreate', input.body);
  requireEnabled(world, agent, 'session/none-while-disabled');
  const id = body.agent_session_id ?? undefined;
  const there = id === undefined ? undefined : findSession(world.store, agent.key, id);
  if (there !== undefined && there.ended !== 'deleted')
    throw conflict(
      `Agent ${agent.name} has a session ${shown(id)} already. Use another id, or none.`,
      'session/id-once',
    );
  const named = body.version_indicator?.agent_version;
  const version =
    named === undefined
      ? undefined
      : existingVersion(world, agent.name, named, VERSION_NAMED).version;
  const owner = ownerIn(world, input.headers);
  const session = startSession(world, faults, agent, { id, version, owner });
  if (session.ended === null) return { status: 201, body: viewSession(world, session) };
  // No refusal: the session is there, and stays as failed.
  const error = sessionNotReady(session.id);
  const headers = { ...error.headers, 'x-foundrite-rule': error.rule ?? '' };
  return { status: error.status, body: error.toBody(), headers };
}

function list(input: Input): Answer {
  const { world } = input.project;
  const agent = hostedAgent(input);
  const { session_isolation } = world.profile.switches;
  const owner = ownerIn(world, input.headers);
  const query = new URLSearchParams(input.query);
  // What azd calls the same cursor.
  const token = query.get('pagination_token');
  if (token && !query.get('after')) query.set('after', token);
  const answer = agentList<SessionRow>(
    { ...input, query },
    {
      what: 'session',
      placeOf: (id) => placeOfSession(world.store, agent.key, id),
      rows: (page) =>
        pageSessions(world.store, agent.key, session_isolation === 'on' ? owner : undefined, page),
      view: (row) => viewSession(world, row),
      idOf: ({ id }) => id,
    },
  );
  const body = answer.body as { has_more: boolean; last_id: string | null };
  return body.has_more ? { ...answer, body: { ...body, pagination_token: body.last_id } } : answer;
}

function get(input: Input): Answer {
  const { session } = existingSession(input);
  return { status: 200, body: viewSession(input.project.world, session) };
}

/** Whoever reads a session again waits for its sandbox. */
function sessionSubject(input: Input): Subject | undefined {
  const { store } = input.project.world;
  const agent = findAgent(store, nameOf(input));
  const session = agent && findSession(store, agent.key, input.params.session_id ?? '');
  return session && { name: subjectOf(session), triggers: false };
}

function remove(input: Input): Answer {
  const { world } = input.project;
  const agent = hostedAgent(input);
  const session = findSession(world.store, agent.key, input.params.session_id ?? '');
  if (session === undefined || session.ended === 'deleted') return { status: 204 };
  requireOwner(world, session, ownerIn(world, input.headers));
  deleteSession(world, session);
  return { status: 204 };
}

function stop(input: Input): Answer {
  const { session } = existingSession(input);
  stopSession(input.project.world, session);
  return { status: 204 };
}

function viewSession(world: World, session: SessionRow): Record<string, unknown> {
  const { session_idle, session_life } = world.profile.settings;
  const status = statusOf(world, session);
  // One that time alone suspended has no stop written.
  const suspended = status === 'idle' && session.ready === 1 && session.stopped === 0;
  const stoppedAt = suspended ? idleAt(session, session_idle) : session.stopped_at;
  return {
    agent_session_id: session.id,
    version_indicator: { type: 'version_ref', agent_version: session.version },
    status,
    created_at: unixSeconds(session.created_at),
    last_accessed_at: unixSeconds(session.last_accessed_at),
    expires_at: unixSeconds(session.last_accessed_at + session_life),
    ...(stoppedAt === null ? {} : { stopped_at: unixSeconds(stoppedAt) }),
  };
}
