/** The tag Invocations: whatever an agent understands, passed to it as it is. */
import assert from 'node:assert/strict';
import type { AgentCall } from '../downstream.ts';
import { reach, replyOf, requireEnabled } from '../endpoint.ts';
import { notFound, shown } from '../errors.ts';
import type { AgentRow } from '../store/agents.ts';
import { findInvocation, type InvocationRow } from '../store/responses.ts';
import { findSession } from '../store/sessions.ts';
import { cancelInvocation, refOfInvocation } from '../work/responses.ts';
import { ownerIn, requireOwner } from '../work/session-access.ts';
import { type Asked, answerOf, callAgent, ENDPOINT, endLater, giveNow } from './call.ts';
import { existingAgent, nameOf } from './existing.ts';
import {
  type Answer,
  bodyAs,
  type CallInput,
  type Input,
  type Operation,
  type Subject,
} from './input.ts';

const INVOCATIONS = `${ENDPOINT}/invocations`;
const INVOCATION = `${INVOCATIONS}/:invocation_id`;

export const invocationOperations: Operation[] = [
  {
    id: 'createAgentInvocation',
    method: 'POST',
    path: INVOCATIONS,
    kind: 'call',
    body: 'either',
    handle: (input) => callAgent(input, asked(input, bodyIn(input))),
  },
  {
    id: 'getAgentInvocationDocs',
    method: 'GET',
    path: `${INVOCATIONS}/docs/openapi.json`,
    kind: 'read',
    handle: getDocs,
  },
  {
    id: 'getAgentInvocation',
    method: 'GET',
    path: INVOCATION,
    kind: 'read',
    handle: get,
    subject: invocationSubject,
  },
  {
    id: 'cancelAgentInvocation',
    method: 'POST',
    path: `${INVOCATION}/cancel`,
    kind: 'call',
    handle: cancel,
  },
];

function asked(input: Input, given: Partial<Asked>): Asked {
  const sessionId = sessionIn(input);
  const agent = input.params.agent_name ?? '';
  return { agent, route: 'endpoint', protocol: 'invocations', body: 'null', sessionId, ...given };
}

function sessionIn({ query }: Input): string | undefined {
  const named = query.get('agent_session_id') || undefined;
  return named && bodyAs('SessionName', named, 'agent_session_id');
}

function bodyIn({ body, bytes, headers }: Input): Partial<Asked> {
  if (bytes === undefined) return { body: JSON.stringify(body ?? null) };
  return { body: new Uint8Array(bytes), contentType: headers.get('content-type') ?? undefined };
}

/** What of an invocation is its agent's to answer, which is outside. Changes nothing. */
async function askOutside(
  input: Input,
  given: Partial<Asked>,
  gone?: AbortSignal,
): Promise<Answer> {
  const { world, context } = input.project;
  const owner = ownerIn(world, input.headers);
  const call: AgentCall = {
    ...asked(input, given),
    requestId: input.params.invocation_id ?? '',
    owner,
  };
  const { reply, agent, version, session } = reach(world, call);
  assert(reply.kind === 'forward', `agent ${agent.name} is not outside`);
  const heard = {
    agent: agent.name,
    version: version.version,
    protocol: call.protocol,
    body: null,
    answerId: call.requestId,
    sessionId: session?.id,
    conversation: undefined,
    at: world.now,
  };
  const ceilingMs = world.profile.settings.gateway_silence;
  const arrival = await context.outside.ask({ call, heard, reply }, ceilingMs, gone);
  return answerOf(world, arrival, call.sessionId, {}, reply);
}

function get(input: Input): Answer | Promise<Answer> {
  const tail = `/${encodeURIComponent(input.params.invocation_id ?? '')}`;
  const row = existing(input);
  return row === undefined ? askOutside(input, { method: 'GET', tail }) : view(row);
}

function getDocs(input: Input): Promise<Answer> {
  const { name } = enabledAgent(input);
  if (replyOf(input.project.world.store, name).reply.kind === 'forward')
    return askOutside(input, { method: 'GET', tail: '/docs/openapi.json' });
  throw notFound(
    `Agent ${name} describes no invocations. One that is forwarded to may.`,
    'invocation/docs-need-an-agent-of-ones-own',
  );
}

function cancel(input: CallInput): Answer | Promise<Answer> {
  return input.begin((line) => {
    const row = existing(input);
    if (row === undefined)
      return { later: () => endLater(input, line, () => cancelOutside(input, line)) };
    if (row.status !== 'in_progress')
      throw notFound(
        `The invocation ${shown(row.id)} is ${row.status}: there is nothing to cancel.`,
        'invocation/cancel-needs-work',
      );
    return { answer: view(cancelInvocation(input.project.world, row)) };
  });
}

async function cancelOutside(input: CallInput, line: number): Promise<Answer> {
  const tail = `/${encodeURIComponent(input.params.invocation_id ?? '')}/cancel`;
  const answer = await askOutside(input, { tail }, input.gone);
  giveNow(input.project, { call: line, status: answer.status });
  return answer;
}

function enabledAgent(input: Input): AgentRow {
  const { world } = input.project;
  const { agent } = existingAgent(world, nameOf(input));
  requireEnabled(world, agent);
  return agent;
}

/** It goes on whatever becomes of its agent's versions; undefined where the agent is outside and knows of its own. */
function existing(input: Input): InvocationRow | undefined {
  const { world } = input.project;
  const agent = enabledAgent(input);
  // It has its own session, but whoever names one names it rightly.
  sessionIn(input);
  const id = input.params.invocation_id ?? '';
  const row = findInvocation(world.store, id);
  if (row?.agent_key === agent.key) {
    const session = findSession(world.store, agent.key, row.session);
    if (session) requireOwner(world, session, ownerIn(world, input.headers));
    return row;
  }
  if (replyOf(world.store, agent.name).reply.kind === 'forward') return undefined;
  throw notFound(
    `There is no invocation ${shown(id)} whose work goes on after its answer, or did.`,
    'invocation/unknown-answers-404',
  );
}

function view({ id, session, status, said }: InvocationRow): Answer {
  const told = status === 'completed' || status === 'failed' ? (JSON.parse(said) as object) : {};
  return {
    status: 200,
    body: { invocation_id: id, session_id: session, ...told, status },
    headers: { 'x-agent-invocation-id': id, 'x-agent-session-id': session },
  };
}

/** Who asks how an invocation stands waits for it to end. */
function invocationSubject(input: Input, answer: Answer | Promise<Answer>): Subject | undefined {
  if (answer instanceof Promise) return undefined;
  return { name: refOfInvocation(input.params.invocation_id ?? ''), triggers: false };
}
