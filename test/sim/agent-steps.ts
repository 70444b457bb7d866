/** What the model answers to the steps of a story that are about agents. */
import {
  viewAgent,
  viewConversation,
  viewResponse,
  viewSession,
  viewVersion,
} from './agent-answers.ts';
import {
  agentOf,
  configure,
  endSession,
  isRouted,
  makeAgent,
  makeVersion,
  removeAgent,
  removeVersion,
  shownOf,
  UNKNOWN_AGENT,
  UNKNOWN_VERSION,
  updateAgent,
  versionOf,
} from './agents.ts';
import { type Call, notReady, reach, respond, sameOf } from './calls.ts';
import {
  append,
  conversationOf,
  itemsOf,
  makeConversation,
  UNKNOWN_CONVERSATION,
} from './conversations.ts';
import type { Json } from './definition.ts';
import type { Agent, Version } from './resources.ts';
import { begin, routed, runs, sessionsOf, statusOf, UNKNOWN_SESSION } from './sessions.ts';
import { type State, unplan } from './state.ts';
import type { AgentStep, Expected, Refusal } from './step.ts';

const UNKNOWN_RESPONSE: Refusal = [404, 'response/unknown-answers-404'];

export function takeAgentStep(state: State, step: AgentStep): Expected {
  switch (step.do) {
    case 'make agent': {
      const agent = makeAgent(state, step.name, step.body);
      return Array.isArray(agent) ? refused(...agent) : ok(() => viewAgent(agent));
    }
    case 'make version': {
      const version = makeVersion(state, step.name, step.body);
      if (Array.isArray(version)) return refused(...version);
      return onAgent(state, step.name, (agent) => ok(() => viewVersion(agent, version)));
    }
    case 'update agent':
      return onAgent(state, step.name, (agent) => {
        const refusals = updateAgent(state, agent, step.body);
        return refusals.length > 0 ? refused(...refusals) : ok(() => viewAgent(agent));
      });
    case 'patch agent':
      return onAgent(state, step.name, (agent) => patch(agent, step.body));
    case 'get agent':
      return onAgent(state, step.name, (agent) => ok(() => viewAgent(agent)));
    case 'enable agent':
    case 'disable agent':
      return onAgent(state, step.name, (agent) => {
        agent.enabled = step.do === 'enable agent';
        return { status: 204 };
      });
    case 'delete agent':
      return onAgent(state, step.name, (agent) => {
        const { delete_with_sessions } = state.switches;
        if (delete_with_sessions === 'refuse' && !step.force && hasActive(state, agent))
          return refused([409, 'agent/delete-ends-sessions']);
        removeAgent(state, agent);
        return ok(() => ({ object: 'agent.deleted', name: agent.name, deleted: true }));
      });
    case 'get version':
    case 'delete version':
      return onVersion(state, step);
    case 'make session':
      return makeSession(state, step.name, step.body);
    case 'get session':
    case 'stop session':
    case 'delete session':
      return onSession(state, step);
    case 'respond':
    case 'invoke':
      return call(state, step);
    case 'get response':
    case 'delete response':
    case 'input items':
      return onResponse(state, step);
    case 'make conversation': {
      if (step.at !== undefined && !agentOf(state, step.at)) return refused(UNKNOWN_AGENT);
      const made = makeConversation(state, step.body);
      return { ...ok(() => viewConversation(made)), made };
    }
    case 'get conversation':
    case 'update conversation':
    case 'get item':
    case 'delete item':
    case 'delete conversation':
    case 'add items':
      return onConversation(state, step);
    case 'list':
      throw new Error('Lists are told by lists.ts');
  }
}

function ok(told: () => Json): Expected {
  return { status: 200, told };
}

function refused(...refusals: Refusal[]): Expected {
  return { refusals };
}

function onAgent(state: State, name: string, change: (agent: Agent) => Expected): Expected {
  const agent = agentOf(state, name);
  return agent ? change(agent) : refused(UNKNOWN_AGENT);
}

function patch(agent: Agent, { agent_endpoint, agent_card }: Json): Expected {
  if (agent_endpoint !== undefined) {
    const refusals = configure(agent, agent_endpoint as Json | null);
    if (refusals.length > 0) return refused(...refusals);
  }
  if (agent_card !== undefined) agent.card = (agent_card as Json | null) ?? undefined;
  return ok(() => viewAgent(agent));
}

function onVersion(
  state: State,
  step: AgentStep & { do: 'get version' | 'delete version' },
): Expected {
  return onAgent(state, step.name, (agent) => {
    const version = versionOf(agent, step.version);
    if (!version) return refused(UNKNOWN_VERSION);
    if (step.do === 'get version') return ok(() => viewVersion(agent, version));
    const { delete_version_in_use } = state.switches;
    const inUse = isRouted(agent, version) || hasActive(state, agent, version);
    if (delete_version_in_use === 'refuse' && !step.force && inUse)
      return refused([409, 'version/delete-in-use']);
    removeVersion(state, agent, version);
    const told = { object: 'agent.version.deleted', name: agent.name };
    return ok(() => ({ ...told, version: version.version, deleted: true }));
  });
}

/** contract 14 D7: a session whose compute is idle is not active. */
function hasActive(state: State, agent: Agent, version?: Version): boolean {
  const own = sessionsOf(state, agent.name).filter(
    (one) => version === undefined || runs(one) === version.version,
  );
  return own.some((one) => ['creating', 'active'].includes(statusOf(state, one)));
}

function makeSession(state: State, name: string, body: Json): Expected {
  return onAgent(state, name, (agent) => {
    if (!agent.enabled) return refused([403, 'session/none-while-disabled']);
    const { agent_session_id: id, version_indicator } = body;
    const { agent_version } = (version_indicator ?? {}) as Json;
    const named = agent_version === undefined ? undefined : versionOf(agent, String(agent_version));
    const refusals: Refusal[] = [];
    const versions = agent_version === undefined ? routed(agent) : named ? [named] : [];
    if (versions.length === 0) refusals.push(UNKNOWN_VERSION);
    if (shownOf(agent)?.kind !== 'hosted') refusals.push([400, 'session/hosted-only']);
    const refusal = sameOf(versions.map(notReady));
    if (refusal) refusals.push(refusal);
    const taken = sessionsOf(state, name).some((one) => one.id === id);
    if (id !== undefined && taken) refusals.push([409, 'session/id-once']);
    if (refusals.length > 0) return refused(...refusals);
    const made = begin(state, agent, versions, id as string | undefined);
    return { status: 201, told: () => viewSession(state, made), made };
  });
}

function onSession(
  state: State,
  step: AgentStep & { do: 'get session' | 'stop session' | 'delete session' },
): Expected {
  return onAgent(state, step.name, () => {
    const session = sessionsOf(state, step.name).find(({ id }) => id === step.session);
    if (step.do === 'delete session') {
      if (session) endSession(state, session);
      return { status: 204 };
    }
    if (!session) return refused(UNKNOWN_SESSION);
    if (step.do === 'get session') return ok(() => viewSession(state, session));
    if (!['idle', 'expired'].includes(statusOf(state, session))) {
      session.stoppedAt = state.now;
      unplan(state, session.key, 'ready');
    }
    return { status: 204 };
  });
}

function call(state: State, step: AgentStep & { do: 'respond' | 'invoke' }): Expected {
  const asked = callOf(step);
  const before = structuredClone(state);
  const reached = reach(state, asked);
  const refusals = Array.isArray(reached) ? [reached] : [];
  const previous = state.responses.find(({ id, deleted }) => id === asked.previous && !deleted);
  if (asked.previous !== undefined && !previous) refusals.push([404, 'response/previous-is-known']);
  if (refusals.length > 0 || Array.isArray(reached)) {
    Object.assign(state, before);
    return refused(...refusals);
  }
  if (reached.delay > 0) {
    Object.assign(state, before);
    return { skipped: true };
  }
  if (step.do === 'invoke')
    return { status: 200, ...(reached.session && { made: reached.session }) };
  const made = respond(state, asked, reached);
  return { status: 200, told: () => viewResponse(state, made), made };
}

function callOf(step: AgentStep & { do: 'respond' | 'invoke' }): Call {
  const agent = step.name;
  if (step.do === 'invoke')
    return {
      agent,
      protocol: 'invocations',
      by: 'endpoint',
      session: step.session,
      input: step.body,
    };
  const { input, conversation, previous_response_id, agent_session_id, store } = step.body;
  const id = typeof conversation === 'object' ? (conversation as Json).id : conversation;
  return {
    agent,
    protocol: 'responses',
    by: step.by,
    version: step.version,
    session: agent_session_id as string | undefined,
    conversation: id as string | undefined,
    previous: previous_response_id as string | undefined,
    input,
    store: store as boolean | undefined,
  };
}

function onResponse(
  state: State,
  step: AgentStep & { do: 'get response' | 'delete response' | 'input items' },
): Expected {
  const agent = step.at === undefined ? undefined : agentOf(state, step.at);
  if (step.at !== undefined && !agent) return refused(UNKNOWN_AGENT);
  const response = state.responses.find(({ id, deleted }) => id === step.response && !deleted);
  // response/unknown-answers-404: another agent's is unknown at an agent's endpoint.
  const isForeign = agent !== undefined && response?.agent !== agent.key;
  if (!response || isForeign) return refused(UNKNOWN_RESPONSE);
  if (step.do === 'get response') return ok(() => viewResponse(state, response));
  if (step.do === 'input items') return { status: 200, items: itemsOf(response.input) };
  response.deleted = true;
  return ok(() => ({ id: response.id, object: 'response', deleted: true }));
}

function onConversation(
  state: State,
  step: AgentStep & { conversation: string; at?: string | undefined },
): Expected {
  if (step.at !== undefined && !agentOf(state, step.at)) return refused(UNKNOWN_AGENT);
  const conversation = conversationOf(state, step.conversation);
  if (!conversation) return refused(UNKNOWN_CONVERSATION);
  if (step.do === 'get conversation') return ok(() => viewConversation(conversation));
  if (step.do === 'add items') {
    append(state, conversation, itemsOf(step.body.items));
    return { status: 200, items: itemsOf(step.body.items) };
  }
  if (step.do === 'update conversation') {
    conversation.metadata = step.body.metadata as Json;
    return ok(() => viewConversation(conversation));
  }
  if (step.do === 'get item' || step.do === 'delete item') {
    const item = conversation.items.find(({ id }) => id === step.item);
    if (!item) return refused([404, 'conversation/unknown-item-answers-404']);
    if (step.do === 'get item') return { status: 200, item: item.shown };
    conversation.items = conversation.items.filter((one) => one !== item);
    return ok(() => viewConversation(conversation));
  }
  conversation.deleted = true;
  return ok(() => ({ id: conversation.id, object: 'conversation.deleted', deleted: true }));
}
