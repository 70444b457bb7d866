/** What a delivery asks of its agent, under which ids, and how the journal tells it. */
import type { AgentCall } from '../downstream.ts';
import { kindOf } from '../endpoint.ts';
import { answerId } from '../replies.ts';
import { findAgent, newestVersion } from '../store/agents.ts';
import { cutBody } from '../store/journal.ts';
import type { Delivery, RunRow } from '../store/runs.ts';
import type { World } from '../world.ts';

/** What the agent receives (contract/routines.md 9.6): its shape is assumed. */
export function requestOf(run: RunRow): AgentCall {
  const delivery = JSON.parse(run.action) as Delivery;
  const { input, conversation, session_id: sessionId } = delivery;
  const call = {
    agent: run.agent,
    route: 'delivery',
    requestId: run.dispatch_id,
    answerId: run.correlation_id,
  } as const;
  if (delivery.type === 'invoke_agent_invocations_api') {
    const body = JSON.stringify(input === undefined ? {} : input);
    return { ...call, protocol: 'invocations', body, sessionId };
  }
  const body: Record<string, unknown> = { input: input === undefined ? '' : input };
  if (conversation !== undefined) body.conversation = { id: conversation };
  return { ...call, protocol: 'responses', body: JSON.stringify(body), conversation };
}

/** A call that reached its agent, as the journal tells it. */
export interface SentCall {
  agent: string;
  protocol: AgentCall['protocol'];
  body: unknown;
  request_id: string;
  session_id?: string;
  /** How many characters a body had that is too long for the journal; then `body` is the beginning of its text. */
  cut?: number;
}

export function sentCall({
  agent,
  protocol,
  body: given,
  requestId,
  sessionId,
}: AgentCall): SentCall {
  const body = String(given);
  const cut = cutBody(body);
  return {
    agent,
    protocol,
    body: cut ?? (JSON.parse(body) as unknown),
    request_id: requestId,
    ...(sessionId === undefined ? {} : { session_id: sessionId }),
    ...(cut === undefined ? {} : { cut: body.length }),
  };
}

/** The downstream's own identifier, a response's id, an invocation's header or field; null for the one that was promised. */
export function responseIdOf(
  run: RunRow,
  answer: { headers: Record<string, string>; body: string },
): string | null {
  const header = answer.headers['x-agent-invocation-id'];
  if (header) return header === run.correlation_id ? null : header;
  // What is mostly answered begins with the id that was promised: reading all of it would cost as much as keeping it.
  if (answer.body.startsWith(`{"id":"${run.correlation_id}",`)) return null;
  try {
    const body = JSON.parse(answer.body) as { id?: unknown; invocation_id?: unknown } | null;
    const id = body?.id ?? body?.invocation_id;
    if (typeof id === 'string' && id !== '' && id !== run.correlation_id) return id;
  } catch {
    // A status completes the run, whatever the body is; the id that was promised at dispatch then stands.
  }
  return null;
}

/** The identifiers that a dispatch answers with and its run carries. Those of agents that are not there yet are a hosted one's. */
export function deliveryIds(world: World, runId: string, agentName: string, action: Delivery) {
  const dispatchId = world.draw.id('disp-', 'dispatch', runId, 1);
  const protocol = action.type === 'invoke_agent_responses_api' ? 'responses' : 'invocations';
  const agent = protocol === 'responses' ? findAgent(world.store, agentName) : undefined;
  const version = agent && newestVersion(world.store, agent);
  const hosted = version === undefined || kindOf(version) === 'hosted';
  return {
    dispatch_id: dispatchId,
    correlation_id: answerId(world.draw, protocol, hosted, dispatchId),
    task_id: world.draw.id('task-', 'task', runId, 1),
  };
}
