/** The agent endpoint: what answers a call to an agent, whether it comes from a delivery or from a client over HTTP. */
import { unixSeconds } from './clock.ts';
import { type AgentCall, forward } from './downstream.ts';
import { ApiError, notFound } from './errors.ts';
import type { Arrival } from './faults.ts';
import { type Heard, type Reply, speak } from './replies.ts';
import { type AgentRow, type AgentVersionRow, findAgent, latestVersion } from './store/agents.ts';
import { countTurn, readReply } from './store/faults.ts';
import type { World } from './world.ts';

/** Lets the wiring answer a recorded outcome instead of calling out: replay. */
export type Forward = (call: AgentCall, url: string, ceilingMs: number) => Promise<Arrival>;

export function forwardBy(world: World, closing: AbortSignal): Forward {
  return (call, url, ceilingMs) => forward(world.host, url, call, ceilingMs, closing);
}

/** Refusals are answers (contract/agents.md 13.8): a delivery to a disabled agent gets 403 and fails without a retry. */
export function callAgent(
  world: World,
  call: AgentCall,
  forwardCall: Forward,
  ceilingMs = world.profile.settings.attempt_timeout,
): Arrival | Promise<Arrival> {
  try {
    const { agent, version } = reachable(world, call.agent);
    const row = readReply(world.store, agent.name);
    const reply: Reply = row ? (JSON.parse(row.reply) as Reply) : { kind: 'echo' };
    if (reply.kind === 'forward') {
      return forwardCall(call, reply.url, ceilingMs);
    }
    if (reply.kind === 'script') world.turn(() => countTurn(world.store, agent.name));
    const heard: Heard = {
      agent: agent.name,
      version: version.version,
      hosted: kindOf(version) === 'hosted',
      protocol: call.protocol,
      body: JSON.parse(call.body),
      requestId: call.requestId,
      sessionId: call.sessionId ?? sessionIn(call),
      createdAt: unixSeconds(world.now),
    };
    return { kind: 'answered', ...speak(world.draw, reply, row?.turn ?? 0, heard) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const headers: Record<string, string> = error.rule ? { 'x-foundrite-rule': error.rule } : {};
    const body = JSON.stringify(error.toBody());
    return { kind: 'answered', status: error.status, headers, body };
  }
}

export function kindOf(version: AgentVersionRow): string {
  return String((JSON.parse(version.definition) as { kind?: unknown }).kind);
}

function reachable(world: World, name: string): { agent: AgentRow; version: AgentVersionRow } {
  const agent = findAgent(world.store, name);
  const version = agent && latestVersion(world.store, agent);
  if (!agent || !version)
    throw notFound(`Agent ${name} doesn't exist`, 'agent/unknown-answers-404');
  if (agent.state === 'disabled') {
    throw new ApiError({
      status: 403,
      code: world.profile.switches.disabled_agent_code,
      message: `Agent ${name} is disabled. Enable it with POST /agents/${name}:enable.`,
      rule: 'agent/disabled-answers-403',
    });
  }
  if (version.status === 'creating') {
    throw new ApiError({
      status: 400,
      code: 'agent_version_not_ready',
      message: 'Agent version is still being provisioned',
      rule: 'agent/creating-answers-400',
    });
  }
  return { agent, version };
}

/** A Responses body names its session itself; azd writes `session_id`. */
function sessionIn(call: AgentCall): string | undefined {
  if (call.protocol !== 'responses') return undefined;
  const body = JSON.parse(call.body) as { agent_session_id?: unknown; session_id?: unknown } | null;
  const id = body?.agent_session_id ?? body?.session_id;
  return typeof id === 'string' ? id : undefined;
}
