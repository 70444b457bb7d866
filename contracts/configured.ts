/** Agents, assistants and routines that a configuration names, as the calls of the API that make them: so what is valid is said once. */

/** An agent of foundrite.yaml or of `createEmulator`. */
export interface ConfiguredAgent {
  /** Of a version of which nothing else is said; `hosted` without `definition` and `versions`. */
  kind?: string;
  /** Of its only version. */
  definition?: Record<string, unknown>;
  /** Bodies of POST …/versions, the oldest first. */
  versions?: Record<string, unknown>[];
  /** What it says; a text is the kind. */
  reply?: unknown;
  /** `agent_endpoint` of PATCH /agents/{name}. */
  endpoint?: unknown;
  /** `agent_card` of PATCH /agents/{name}. */
  card?: unknown;
  state?: 'enabled' | 'disabled';
}

/** An assistant of foundrite.yaml or of `createEmulator`: the body of POST /assistants, and more. */
export interface ConfiguredAssistant {
  /** Its own id, for clients that have one in their settings; drawn from the seed and its key without. */
  id?: string;
  /** What it says; a text is the kind. */
  reply?: unknown;
  [field: string]: unknown;
}

export interface Configured {
  agents: Record<string, ConfiguredAgent>;
  /** By the keys under which the configuration names them: their ids are drawn. */
  assistants: Record<string, ConfiguredAssistant>;
  /** Bodies of PUT /routines/{name}. */
  routines: Record<string, Record<string, unknown>>;
}

/** One call of the API, or of control, that a part of the configuration stands for. */
export interface ConfiguredCall {
  /** As in openapi.yaml. */
  operation: string;
  params: Record<string, string>;
  body?: unknown;
  /** Where the configuration says it: `agents.digest.versions[0]`. */
  at: string;
  /** The field of the body that stands there; the whole body without. */
  field?: string;
  /** Of a version: its place in the agent's list, from 0. */
  place?: number;
  /** Of an assistant: its key. */
  assistant?: string;
  /** That the assistant is to have; the API knows no such thing. */
  id?: string;
}

/** What a call of the configuration sends, so that none is refused for want of it. */
export const ALL_FEATURES = [
  'Routines',
  'HostedAgents',
  'AgentEndpoints',
  'CodeAgents',
  'WorkflowAgents',
  'ExternalAgents',
  'DraftAgents',
]
  .map((name) => `${name}=V1Preview`)
  .join(',');

/** Versions of which only the kind is said: definitions that every generation of clients can read. */
const DEFINITIONS: Record<string, Record<string, unknown>> = {
  hosted: hosted('agent'),
  prompt: {
    kind: 'prompt',
    model: 'gpt-4.1-mini',
    instructions: 'Say back what you are told.',
  },
  workflow: { kind: 'workflow', workflow: 'kind: workflow' },
  external: { kind: 'external' },
};

/** What project `local` starts with, so that the first curl works. */
export const DEMO_AGENTS: Record<string, Record<string, unknown>> = {
  'demo-agent': hosted('demo-agent'),
  'demo-prompt': DEFINITIONS.prompt ?? {},
};

function hosted(name: string): Record<string, unknown> {
  return {
    kind: 'hosted',
    cpu: '1',
    memory: '2Gi',
    image: `example.azurecr.io/${name}:1`,
    protocol_versions: [
      { protocol: 'responses', version: '1.0.0' },
      { protocol: 'invocations', version: '1.0.0' },
    ],
    environment_variables: {},
  };
}

/** The model of an assistant of which none is said. */
const MODEL = 'gpt-4.1-mini';

/** The assistant that project `local` starts with; its id is fixed, so that it can stand in a client's settings. */
export const DEMO_ASSISTANT = {
  id: 'asst_DemoAssistant00000000001',
  name: 'demo-assistant',
  model: MODEL,
  instructions: 'Say back what you are told.',
};

/** All agents first: a routine may name them. */
export function callsOf({ agents, assistants, routines }: Configured): ConfiguredCall[] {
  return [
    ...Object.entries(agents).flatMap(([name, agent]) => callsOfAgent(name, agent)),
    ...Object.entries(assistants).flatMap(([key, assistant]) => callsOfAssistant(key, assistant)),
    ...Object.entries(routines).map(([name, body]) => ({
      operation: 'createOrUpdateRoutine',
      params: { routine_name: name },
      body,
      at: `routines.${name}`,
    })),
  ];
}

function callsOfAgent(name: string, agent: ConfiguredAgent): ConfiguredCall[] {
  const { reply, endpoint, card, state } = agent;
  const params = { agent_name: name };
  const at = `agents.${name}`;
  const call = (operation: string, more: Omit<ConfiguredCall, 'operation' | 'params'>) => [
    { operation, params, ...more },
  ];
  const patch = (key: string, field: string, value: unknown) =>
    value === undefined
      ? []
      : call('patchAgent', { body: { [field]: value }, at: `${at}.${key}`, field });
  return [
    ...versionsOf(at, agent).flatMap((more) => call('createAgentVersion', more)),
    ...(reply === undefined
      ? []
      : call('setAgentReply', { body: replyOf(reply), at: `${at}.reply` })),
    ...patch('endpoint', 'agent_endpoint', endpoint),
    ...patch('card', 'agent_card', card),
    ...(state === 'disabled' ? call('disableAgent', { at: `${at}.state` }) : []),
  ];
}

function versionsOf(
  at: string,
  { kind, definition, versions }: ConfiguredAgent,
): Pick<ConfiguredCall, 'at' | 'body' | 'field' | 'place'>[] {
  if (versions)
    return versions.map((body, place) => ({ body, at: `${at}.versions[${place}]`, place }));
  const field = 'definition';
  if (definition) return [{ body: { definition }, at: `${at}.definition`, field, place: 0 }];
  const named = kind ?? 'hosted';
  const body = { definition: DEFINITIONS[named] ?? { kind: named } };
  return [{ body, at: kind === undefined ? at : `${at}.kind`, place: 0 }];
}

/** What its id is where the calls are sent is for `aboutAssistant` to say. */
export function callsOfAssistant(key: string, assistant: ConfiguredAssistant): ConfiguredCall[] {
  const { reply } = assistant;
  return [
    callOfAssistant('createAssistant', key, assistant, assistantBody(key, assistant)),
    ...(reply === undefined
      ? []
      : [callOfAssistant('setAgentReply', key, assistant, replyOf(reply))]),
  ];
}

export function callOfAssistant(
  operation: string,
  key: string,
  { id }: ConfiguredAssistant,
  body?: unknown,
): ConfiguredCall {
  const at = `assistants.${key}${operation === 'setAgentReply' ? '.reply' : ''}`;
  return {
    operation,
    params: {},
    at,
    assistant: key,
    ...(id === undefined ? {} : { id }),
    ...(body === undefined ? {} : { body }),
  };
}

export function assistantBody(
  key: string,
  { id: _, reply: __, ...body }: ConfiguredAssistant,
): Record<string, unknown> {
  return { name: key, model: MODEL, ...body };
}

/** A call about an assistant that has this id where the call is sent. */
export function aboutAssistant(call: ConfiguredCall, id: string): ConfiguredCall {
  if (call.operation === 'createAssistant') return call;
  const param = call.operation === 'setAgentReply' ? 'agent_name' : 'assistant_id';
  return { ...call, params: { [param]: id } };
}

/** Bodies of the versions that an agent has, the oldest first. */
export function versionBodies(agent: ConfiguredAgent): unknown[] {
  return versionsOf('', agent).map(({ body }) => body);
}

/**
 * A call whose rules name versions by their places in the list, from 1, as it is sent where those have other numbers. What is
 * no place there is sent as it stands: it may be a version that somebody else has made.
 */
export function routedTo(
  call: ConfiguredCall,
  numbers: readonly (string | undefined)[],
): ConfiguredCall {
  const rules = rulesOf(call.body);
  if (call.operation !== 'patchAgent' || rules === undefined) return call;
  const named = rules.map((rule) => {
    if (!isMapping(rule) || typeof rule.agent_version !== 'string') return rule;
    const place = /^\d+$/.test(rule.agent_version) ? Number(rule.agent_version) : 0;
    return { ...rule, agent_version: numbers[place - 1] ?? rule.agent_version };
  });
  const { agent_endpoint: endpoint } = call.body as { agent_endpoint: Record<string, unknown> };
  const selector = endpoint.version_selector as Record<string, unknown>;
  const version_selector = { ...selector, version_selection_rules: named };
  return { ...call, body: { agent_endpoint: { ...endpoint, version_selector } } };
}

/** The rules by which a patch shares out an agent's calls. */
export function rulesOf(patch: unknown): unknown[] | undefined {
  const { agent_endpoint: endpoint } = (patch ?? {}) as { agent_endpoint?: unknown };
  const selector = isMapping(endpoint) ? endpoint.version_selector : undefined;
  const rules = isMapping(selector) ? selector.version_selection_rules : undefined;
  return Array.isArray(rules) ? rules : undefined;
}

export function replyOf(reply: unknown): unknown {
  return typeof reply === 'string' ? { kind: reply } : reply;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where in the configuration the field of a refused call stands. */
export function placeIn({ at, field, params }: ConfiguredCall, param: string | undefined): string {
  if (param === undefined || Object.hasOwn(params, param)) return at;
  if (field === undefined) return at.endsWith('.kind') ? at : `${at}.${param}`;
  const below = param.startsWith(field) ? param.slice(field.length) : '';
  return /^[.[]/.test(below) ? at + below : at;
}
