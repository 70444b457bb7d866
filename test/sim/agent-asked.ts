/** What is asked for the steps of a story that are about agents. */
import type { AgentStep } from './step.ts';

export type Request = [method: string, path: string, body?: unknown];

const IN_QUERY = ['limit', 'order', 'after', 'before', 'include_drafts'];

/** What a step says of a page, as a query. */
export function queryOf(step: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(step))
    if (IN_QUERY.includes(name) && value !== undefined) query.set(name, String(value));
  return `?${query}`;
}

/** Paths are relative to the project. */
export function agentRequest(step: AgentStep): Request {
  switch (step.do) {
    case 'make agent':
      return ['POST', '/agents', { name: step.name, ...step.body }];
    case 'make version':
      return ['POST', `/agents/${step.name}/versions`, step.body];
    case 'update agent':
      return ['POST', `/agents/${step.name}`, step.body];
    case 'patch agent':
      return ['PATCH', `/agents/${step.name}`, step.body];
    case 'get agent':
      return ['GET', `/agents/${step.name}`];
    case 'enable agent':
      return ['POST', `/agents/${step.name}:enable`];
    case 'disable agent':
      return ['POST', `/agents/${step.name}:disable`];
    case 'delete agent':
      return ['DELETE', `/agents/${step.name}${forced(step.force)}`];
    case 'get version':
      return ['GET', `/agents/${step.name}/versions/${step.version}`];
    case 'delete version':
      return ['DELETE', `/agents/${step.name}/versions/${step.version}${forced(step.force)}`];
    case 'make session':
      return ['POST', `/agents/${step.name}/endpoint/sessions`, step.body];
    case 'get session':
      return ['GET', `/agents/${step.name}/endpoint/sessions/${step.session}`];
    case 'stop session':
      return ['POST', `/agents/${step.name}/endpoint/sessions/${step.session}:stop`];
    case 'delete session':
      return ['DELETE', `/agents/${step.name}/endpoint/sessions/${step.session}`];
    case 'list':
      return ['GET', `${listed(step)}${queryOf({ ...step, include_drafts: step.drafts })}`];
    default:
      return callRequest(step);
  }
}

function callRequest(step: AgentStep): Request {
  switch (step.do) {
    case 'respond': {
      if (step.by === 'endpoint') return ['POST', `${openai(step.name)}/responses`, step.body];
      const agent_reference = {
        type: 'agent_reference',
        name: step.name,
        ...(step.version !== undefined && { version: step.version }),
      };
      return ['POST', `${openai(undefined)}/responses`, { ...step.body, agent_reference }];
    }
    case 'invoke': {
      const { session } = step;
      const query = session === undefined ? '' : `?agent_session_id=${session}`;
      return ['POST', `/agents/${step.name}/endpoint/protocols/invocations${query}`, step.body];
    }
    case 'get response':
      return ['GET', `${openai(step.at)}/responses/${step.response}`];
    case 'delete response':
      return ['DELETE', `${openai(step.at)}/responses/${step.response}`];
    case 'input items':
      return ['GET', `${openai(step.at)}/responses/${step.response}/input_items?order=asc`];
    case 'make conversation':
      return ['POST', `${openai(step.at)}/conversations`, step.body];
    case 'get conversation':
      return ['GET', `${openai(step.at)}/conversations/${step.conversation}`];
    case 'delete conversation':
      return ['DELETE', `${openai(step.at)}/conversations/${step.conversation}`];
    case 'update conversation':
      return ['POST', `${openai(step.at)}/conversations/${step.conversation}`, step.body];
    case 'get item':
    case 'delete item': {
      const items = `${openai(step.at)}/conversations/${step.conversation}/items`;
      return [step.do === 'get item' ? 'GET' : 'DELETE', `${items}/${step.item}`];
    }
    case 'add items':
      return ['POST', `${openai(step.at)}/conversations/${step.conversation}/items`, step.body];
    default:
      throw new Error(`Nothing is asked for ${step.do}`);
  }
}

/** Where a project, or the endpoint of an agent, speaks as OpenAI does. */
function openai(agent: string | undefined): string {
  return agent === undefined ? '/openai/v1' : `/agents/${agent}/endpoint/protocols/openai`;
}

function listed({ what, of = '' }: AgentStep & { do: 'list' }): string {
  switch (what) {
    case 'agents':
      return '/agents';
    case 'versions':
      return `/agents/${of}/versions`;
    case 'sessions':
      return `/agents/${of}/endpoint/sessions`;
    case 'responses':
      return `${openai(undefined)}/responses`;
    case 'conversations':
      return `${openai(undefined)}/conversations`;
    case 'items':
      return `${openai(undefined)}/conversations/${of}/items`;
  }
}

function forced(force: boolean | undefined): string {
  return force === undefined ? '' : `?force=${force}`;
}
