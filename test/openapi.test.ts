import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import { expect, test } from 'vitest';
import {
  checkResponse,
  document,
  findOperation,
  lossesOf,
  operations,
  parse,
  responseSchema,
  responseValidator,
  type SchemaName,
} from '../contracts/openapi.ts';

// The document is data; each read of it states what it expects.
// biome-ignore lint/suspicious/noExplicitAny: answers are compared, not typed.
type Node = any;

const root = new URL('../', import.meta.url);
const schemas: Record<string, Node> = document().components.schemas;
const REF = '#/components/schemas/';

/** Every object of the document with its JSON pointer. */
function* nodes(node: Node, path = ''): Generator<[string, Node]> {
  if (typeof node !== 'object' || node === null) return;
  if (!Array.isArray(node)) yield [path, node];
  for (const [key, child] of Object.entries(node)) {
    yield* nodes(child, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  }
}

/** The names of all schemas that can be reached from these. */
function reachable(names: Iterable<string>): Set<string> {
  const seen = new Set<string>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    for (const [, node] of nodes(schemas[name])) {
      if (typeof node.$ref === 'string') open.push(node.$ref.slice(REF.length));
    }
  }
  return seen;
}

/** Parts of a schema that describe an object by themselves; conditions only add to one. */
function* objectSchemas(name: string): Generator<[string, Node]> {
  for (const [path, node] of nodes(schemas[name], name)) {
    const isCondition = /\/(if|then|else|allOf|anyOf|oneOf)(\/|$)/.test(path);
    const isPropertyMap = /\/(properties|discriminator)(\/mapping)?$/.test(path);
    if (!isCondition && !isPropertyMap && node.properties !== undefined) yield [path, node];
  }
}

const answerNames = new Set(
  operations().flatMap((operation) =>
    [...operation.responses.values()].flatMap((answer) =>
      [...answer.content.values()].filter((name) => name !== undefined),
    ),
  ),
);
const requestNames = (tag: (tag: string) => boolean) =>
  operations().flatMap((operation) =>
    tag(operation.tag) && operation.requestSchema !== undefined ? [operation.requestSchema] : [],
  );

test('the generated types are those of openapi.yaml', async () => {
  const types = await openapiTS(new URL('openapi.yaml', root));
  const generated = `${COMMENT_HEADER}${astToString(types)}`;

  expect(generated === readFileSync(new URL('contracts/wire.ts', root), 'utf8')).toBe(true);
});

test('every reference resolves', () => {
  const broken = [...nodes(document())]
    .filter(([path, node]) => typeof node.$ref === 'string' && !path.endsWith('/properties'))
    .filter(([, node]) => {
      const keys: string[] = node.$ref.slice(2).split('/');
      return keys.reduce<Node>((found, key) => found?.[key], document()) === undefined;
    });

  expect(broken).toEqual([]);
});

test('every schema is a JSON schema, is used, and compiles', () => {
  const ajv = new Ajv2020({ strict: false });
  const used = reachable([
    ...answerNames,
    ...requestNames(() => true),
    ...[...nodes({ ...document(), components: { ...document().components, schemas: {} } })]
      .filter(([, node]) => typeof node.$ref === 'string' && node.$ref.startsWith(REF))
      .map(([, node]) => node.$ref.slice(REF.length)),
  ]);

  for (const [name, schema] of Object.entries(schemas)) {
    expect(ajv.validateSchema(schema), name).toBe(true);
    parse(name as SchemaName, undefined);
    lossesOf(name as SchemaName, undefined);
  }
  expect(Object.keys(schemas).filter((name) => !used.has(name))).toEqual([]);
});

test('every operation has an id, a known tag, a rule and the refusals that all may meet', () => {
  const ids = operations().map((operation) => operation.operationId);
  const tags = document().tags.map((tag: Node) => tag.name);

  expect(document().openapi).toMatch(/^3\.1\./);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { operationId, tag, rule, responses } of operations()) {
    expect(tags, operationId).toContain(tag);
    expect(rule, operationId).toMatch(/^[a-z-]+\/[a-z0-9-]+$/);
    expect([...responses.keys()], operationId).toEqual(
      expect.arrayContaining(['400', '401', '404', '421', '429', '500', '501', '4XX', '5XX']),
    );
  }
});

test('every rule is an id in words', () => {
  const rules = [...nodes(document())]
    .map(([, node]) => node['x-foundrite-rule'])
    .filter((rule) => typeof rule === 'string');

  expect(rules.length).toBeGreaterThan(100);
  expect(rules.filter((rule) => !/^[a-z-]+\/[a-z0-9-]+$/.test(rule))).toEqual([]);
});

test('schemas of answers are closed, and tie or excuse whatever is not required', () => {
  const gaps: string[] = [];
  for (const name of reachable(answerNames)) {
    for (const [path, node] of objectSchemas(name)) {
      const isClosed =
        node.additionalProperties !== undefined || node.unevaluatedProperties === false;
      if (!isClosed && node['x-foundrite-open'] === undefined) gaps.push(`${path} is open`);
      const tied = new Set(
        [...nodes(node)].flatMap(([, part]) => [
          ...(Array.isArray(part.required) ? part.required : []),
          ...Object.keys(part.dependentRequired ?? {}),
        ]),
      );
      const isPageList = node.unevaluatedProperties === false;
      for (const [field, schema] of Object.entries<Node>(node.properties)) {
        const isExcused = schema['x-foundrite-optional'] !== undefined;
        if (!tied.has(field) && !isExcused && !isPageList) gaps.push(`${path}.${field} is untied`);
      }
    }
  }

  expect(gaps).toEqual([]);
});

test('requests to the service are open, and control requests are closed', () => {
  const wrong: string[] = [];
  for (const name of reachable(requestNames((tag) => tag !== 'Control'))) {
    for (const [path, node] of objectSchemas(name)) {
      if (node.additionalProperties === false) wrong.push(`${path} is closed`);
    }
  }
  for (const name of reachable(requestNames((tag) => tag === 'Control'))) {
    for (const [path, node] of objectSchemas(name)) {
      if (node.additionalProperties !== false) wrong.push(`${path} is open`);
    }
  }

  expect(wrong).toEqual([]);
});

test('what code checks in place of a schema is there, and the names that it lists are those of the operations', () => {
  const marked = [...nodes(schemas)].filter(
    ([, node]) => node['x-foundrite-in-code'] !== undefined,
  );
  const absent = marked.filter(([, node]) =>
    node['x-foundrite-in-code'].some((keyword: string) => node[keyword] === undefined),
  );
  const known = operations().filter(({ tag }) => tag !== 'Control');

  expect(marked.length).toBeGreaterThan(5);
  expect(absent).toEqual([]);
  expect(schemas.OperationFaultEntry.properties.operation.enum.toSorted()).toEqual(
    known.map(({ operationId }) => operationId).toSorted(),
  );
});

/** Each has its reason in the document. */
const OPTIONAL = [
  'Error.details',
  'Error.additionalInfo',
  'Error.debugInfo',
  'UnauthorizedBody.error',
  'TimerTrigger.time_zone',
  'CustomTrigger.event_name',
  'ResponsesAction.input',
  'ResponsesAction.conversation',
  'ResponsesAction.conversation_id',
  'InvocationsAction.input',
  'InvocationsAction.session_id',
  'RoutineRun.agent_endpoint_id',
  'RoutineRun.conversation_id',
  'RoutineRun.session_id',
  'PageV2.next_link',
  'Agent.blueprint_reference',
  'Agent.agent_card',
  'AgentCard.description',
  'AgentCard.skills/items/properties/description',
  'AgentCard.skills/items/properties/tags',
  'AgentCard.skills/items/properties/examples',
  'AgentVersion.blueprint_reference',
  'HostedDefinition.container_configuration/properties/registry_connection_id',
  'HostedDefinition.environment_variables',
  'HostedDefinition.tools',
  'HostedDefinition.telemetry_config',
  'HostedDefinition.session_configuration',
  'HostedDefinition.session_configuration/properties/idle_timeout_seconds',
  'HostedDefinition.enable_memory_snapshot',
  'HostedDefinition.rai_config',
  'PromptDefinition.instructions',
  'PromptDefinition.temperature',
  'PromptDefinition.top_p',
  'PromptDefinition.reasoning',
  'PromptDefinition.tools',
  'PromptDefinition.tool_choice',
  'PromptDefinition.text',
  'PromptDefinition.structured_inputs',
  'PromptDefinition.harness',
  'PromptDefinition.skills',
  'PromptDefinition.rai_config',
  'WorkflowDefinition.workflow',
  'WorkflowDefinition.rai_config',
  'ExternalDefinition.rai_config',
  'RaiConfig.invocations_moderation',
  'AgentEndpoint.protocol_configuration/additionalProperties/properties/enable_m365_public_endpoint',
  'AuthorizationScheme.isolation_key_source',
  'MessageContentImageFile.image_file/properties/detail',
  'MessageContentImageUrl.image_url/properties/detail',
  'UrlCitation.url_citation/properties/title',
  'UrlCitation.start_index',
  'UrlCitation.end_index',
  'FileCitation.start_index',
  'FileCitation.end_index',
  'FilePathAnnotation.start_index',
  'FilePathAnnotation.end_index',
  'Attachment.file_id',
  'Attachment.data_source',
  'Session.stopped_at',
  'SessionList.pagination_token',
  'SessionFileList.first_id',
  'SessionFileList.last_id',
  'GateRelease.waiting',
  'LedgerRule.setting',
];

test('properties that may be absent without a sign are these few', () => {
  const optional = [...nodes(schemas)]
    .filter(([, node]) => typeof node['x-foundrite-optional'] === 'string')
    .map(([path]) => path.slice(1).replace('/properties/', '.'));

  expect(optional).toEqual(OPTIONAL);
});

// What a request that breaks a schema is told

const action = { type: 'invoke_agent_responses_api', agent_name: 'digest' };
const timer = { type: 'timer', at: '30m' };
const put = (change: object) => ({ triggers: { morning: timer }, action, ...change });
const trigger = (morning: unknown) => put({ triggers: { morning } });
const plan = (entry: unknown) => ({ faults: [entry] });

const REFUSED: [SchemaName, unknown, string, string | RegExp, string][] = [
  ['RoutineCreateOrUpdate', 5, '', 'The body is 5; send an object.', 'routine/body-is-object'],
  [
    'RoutineCreateOrUpdate',
    { action },
    'triggers',
    /must be provided/,
    'routine/exactly-one-trigger',
  ],
  [
    'RoutineCreateOrUpdate',
    { triggers: { a: timer } },
    'action',
    /must be/,
    'routine/action-required',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ triggers: {} }),
    'triggers',
    'triggers has 0 entries; give exactly 1.',
    'routine/exactly-one-trigger',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ triggers: { a: timer, b: timer } }),
    'triggers',
    'triggers has 2 entries; give exactly 1.',
    'routine/exactly-one-trigger',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ description: 'd'.repeat(1025) }),
    'description',
    /^description is "d{76}…, 1025 characters; shorten it to 1024\.$/,
    'routine/description-max-1024',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ enabled: 'yes' }),
    'enabled',
    'enabled is "yes"; send a boolean.',
    'routine/enabled-is-boolean',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ authorization: { identity: 'me' } }),
    'authorization.identity',
    'authorization.identity is "me"; use one of agent, creator.',
    'routine/authorization-known',
  ],
  [
    'RoutineCreateOrUpdate',
    trigger({ type: 'schedule', cron: '0 7 * * *' }),
    'triggers.morning.cron_expression',
    'triggers.morning.cron_expression must be provided for schedule routines.',
    'routine/cron-required',
  ],
  [
    'RoutineCreateOrUpdate',
    trigger({ type: 'timer' }),
    'triggers.morning.at',
    'triggers.morning.at must be provided for timer routines.',
    'routine/timer-at-required',
  ],
  [
    'RoutineCreateOrUpdate',
    trigger({ type: 'timer', at: true }),
    'triggers.morning.at',
    'triggers.morning.at is true; send a string or a number.',
    'routine/timer-at-required',
  ],
  [
    'RoutineCreateOrUpdate',
    trigger({ type: 'github_issue_opened' }),
    'triggers.morning.type',
    'triggers.morning.type is "github_issue_opened", an unrecognized type discriminator id; ' +
      'use one of schedule, timer, github_issue, custom.',
    'trigger/type-known',
  ],
  [
    'Reply',
    'echo',
    '',
    /^The body is "echo"; send an object, such as \{"kind":"echo"\} or \{"kind":"script",/,
    'reply/kind-known',
  ],
  [
    'RoutineCreateOrUpdate',
    trigger({}),
    'triggers.morning.type',
    /must be provided; use one of schedule, /,
    'trigger/type-known',
  ],
  [
    'RoutineCreateOrUpdate',
    trigger({ type: 'github_issue', connection_id: 'c', owner: 'o', repository: 'r' }),
    'triggers.morning.issue_event',
    /must be provided for github_issue routines/,
    'trigger/github-issue-fields',
  ],
  [
    'RoutineCreateOrUpdate',
    trigger({ type: 'custom', provider: 'p', parameters: {}, event_name: 'e'.repeat(257) }),
    'triggers.morning.event_name',
    /257 characters; shorten it to 256/,
    'trigger/custom-fields',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ action: { type: 'invoke' } }),
    'action.type',
    /unrecognized type discriminator id; use one of invoke_agent_responses_api, /,
    'action/type-known',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ action: { ...action, agent_name: 'a'.repeat(257) } }),
    'action.agent_name',
    /shorten it to 256/,
    'action/agent-name-max-256',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ action: { ...action, conversation: 'c'.repeat(257) } }),
    'action.conversation',
    /shorten it to 256/,
    'action/conversation-max-256',
  ],
  [
    'RoutineCreateOrUpdate',
    put({ action: { type: 'invoke_agent_invocations_api', session_id: 's'.repeat(257) } }),
    'action.session_id',
    /shorten it to 256/,
    'action/session-id-max-256',
  ],
  [
    'DispatchRoutineRequest',
    { payload: { type: 'invoke' } },
    'payload.type',
    /use one of invoke_agent_responses_api, invoke_agent_invocations_api/,
    'dispatch/payload-type-known',
  ],
  [
    'DispatchRoutineRequest',
    { payload: {} },
    'payload.type',
    /must be/,
    'dispatch/payload-type-known',
  ],
  [
    'DispatchRoutineRequest',
    { payload: 'x' },
    'payload',
    /send an object/,
    'dispatch/payload-is-object',
  ],
  ['DispatchRoutineRequest', [], '', 'The body is []; send an object.', 'dispatch/body-is-object'],
  [
    'AgentVersionCreate',
    { definition: { kind: 'voice' } },
    'definition.kind',
    /is "voice", which is no kind; use one of hosted, prompt, workflow, external/,
    'agent/kind-known',
  ],
  ['AgentVersionCreate', {}, 'definition', /must be provided/, 'agent/definition-required'],
  [
    'AgentVersionCreate',
    { definition: { kind: 'prompt', model: 'm' }, metadata: { ['k'.repeat(65)]: 'v' } },
    'metadata',
    /has the key "k+…?.*, 65 characters; shorten it to 64\./,
    'agent/metadata-limits',
  ],
  ['AdvanceRequest', {}, '', /use one of these forms: \{ by: /, 'clock/advance-by-to-or-until'],
  ['AdvanceRequest', { by: '1m', to: 'x' }, '', /use one of/, 'clock/advance-by-to-or-until'],
  ['AdvanceRequest', { until: 'now' }, 'until', /must be "idle"/, 'clock/advance-by-to-or-until'],
  ['ClockUpdate', { rate: 2 }, 'rate', 'rate is 2; use one of 0, 1.', 'clock/rate-is-0-or-1'],
  ['ClockUpdate', { pace: 1 }, 'pace', /not a field here/, 'control/body-has-known-fields'],
  [
    'FaultPlanUpdate',
    plan({ agent: 'digest', fault: 503, probabilty: 0.3 }),
    'faults[0].probabilty',
    'faults[0].probabilty is not a field here (probability?); use one of agent, protocol, attempts, fault, ' +
      'times, probability, or remove it.',
    'control/body-has-known-fields',
  ],
  [
    'FaultPlanUpdate',
    plan({ agent: 'digest', attempts: [503, 'time-out'] }),
    'faults[0].attempts[1]',
    /use one of ok, timeout, disconnect, lose_response, garble/,
    'fault/kind-known',
  ],
  [
    'FaultPlanUpdate',
    plan({ agent: 'a', fault: 99 }),
    'faults[0].fault',
    /200 to 599/,
    'fault/status-200-to-599',
  ],
  [
    'FaultPlanUpdate',
    plan({ agent: 'a' }),
    'faults[0]',
    /exactly one of attempts, fault/,
    'fault/attempts-or-fault',
  ],
  [
    'FaultPlanUpdate',
    plan({ fault: 503 }),
    'faults[0]',
    /use one of these forms/,
    'fault/one-boundary',
  ],
  [
    'FaultPlanUpdate',
    plan({ agent: 'a', operation: 'getRoutine', fault: 503 }),
    'faults[0]',
    /use one of these forms/,
    'fault/one-boundary',
  ],
  [
    'FaultPlanUpdate',
    plan({ agent: 'a', fault: { kind: 'gate' } }),
    'faults[0].fault.name',
    /must be provided/,
    'fault/gate-holds-until-released',
  ],
  [
    'FaultPlanUpdate',
    plan({ agent: 'a', fault: { kind: 'rewrite' } }),
    'faults[0].fault',
    /at least one of set, remove/,
    'fault/rewrite-by-pointer',
  ],
  ['Reply', { kind: 'script', turns: [] }, 'turns', /at least 1/, 'reply/script-has-turns'],
  [
    'Reply',
    { kind: 'script', turns: [{ txt: 'a' }] },
    'turns[0]',
    /\{ text \} · /,
    'reply/turn-known',
  ],
  ['Reply', { kind: 'parrot' }, 'kind', /which is no kind; use one of echo, /, 'reply/kind-known'],
  ['Reply', { kind: 'forward', url: 'localhost' }, 'url', /begins with http/, 'reply/url-is-http'],
];

const refused = REFUSED.map(([schema, value, param, message, rule]) => {
  return { schema, value, param, message, rule };
});

test.each(refused)('$schema keeps $rule at "$param"', ({ schema, value, param, message, rule }) => {
  const parsed = parse(schema, value);

  const told = typeof message === 'string' ? message : expect.stringMatching(message);
  expect(parsed).toEqual({ kind: 'invalid', param, message: told, rule });
});

const ACCEPTED: [SchemaName, unknown][] = [
  ['RoutineCreateOrUpdate', put({ name: 'x', created_at: '2026-06-01T00:00:00Z', anything: [1] })],
  ['RoutineCreateOrUpdate', put({ action: { ...action, input: null, conversation_id: 'c' } })],
  ['RoutineCreateOrUpdate', trigger({ type: 'timer', at: 1_780_000_000.5 })],
  ['DispatchRoutineRequest', {}],
  ['DispatchRoutineRequest', { payload: { type: action.type, input: { any: [null] } } }],
  ['FaultPlanUpdate', plan({ agent: 'digest', attempts: [503, 'timeout', 'ok', { delay: '2s' }] })],
  [
    'FaultPlanUpdate',
    plan({ operation: 'getRoutine', times: 2, fault: { status: 429, body: {} } }),
  ],
  ['FaultPlanUpdate', plan({ at: 'transition', of: 'version', from: 'creating', to: 'failed' })],
  ['FaultPlanUpdate', plan({ agent: 'digest', fault: { kind: 'rewrite', remove: ['/id'] } })],
  [
    'Reply',
    { kind: 'script', turns: [{ text: 'a' }, { status: 500, body: 'x' }], repeat: 'cycle' },
  ],
  ['Reply', { kind: 'script', turns: [{ accepted: { after: '1m', text: 'done' } }] }],
];

test.each(['takes', 'every'])('%s that is a number is told how durations are written', (field) => {
  const reply = { kind: 'script', turns: [{ text: 'a', [field]: 5 }] };

  expect(parse('AssistantReply', reply)).toMatchObject({
    param: `turns[0].${field}`,
    message: `turns[0].${field} is 5; send a string, such as 5s or 1h30m or PT2M.`,
  });
});

test.each(ACCEPTED)('%s accepts %j', (schema, value) => {
  expect(parse(schema, value)).toEqual({ kind: 'ok', value });
});

test('lengths count UTF-16 units', () => {
  expect(parse('RoutineName', '😀'.repeat(64), 'routine_name').kind).toBe('ok');
  expect(parse('RoutineName', '😀'.repeat(65), 'routine_name')).toMatchObject({
    param: 'routine_name',
    message: expect.stringContaining('130 characters; shorten it to 128'),
    rule: 'routine/name-max-128',
  });
});

// What answers look like

const at = '2026-06-01T07:00:00Z';
const now = '2026-06-01T07:00:00.000Z';
const routine = {
  name: 'daily-summary',
  description: '',
  enabled: true,
  triggers: { morning: { type: 'schedule', cron_expression: '0 7 * * 1-5', time_zone: 'UTC' } },
  action,
  created_at: 1_780_297_200,
  updated_at: 1_780_297_200,
  authorization: { identity: 'agent' },
};
const queued = {
  id: 'run-1',
  status: 'RUNNING',
  phase: 'queued',
  attempt_source: 'queued_dispatch',
  action_type: 'invoke_agent_responses_api',
  agent_id: 'digest',
  triggered_at: at,
  dispatch_id: 'disp-1',
  action_correlation_id: 'caresp_1',
  task_id: 'task-1',
};
const completed = {
  ...queued,
  status: 'FINISHED',
  phase: 'completed',
  attempt_source: 'schedule_delivery',
  trigger_type: 'schedule',
  trigger_name: 'morning',
  scheduled_fire_at: at,
  started_at: at,
  ended_at: at,
  response_id: 'caresp_1',
  conversation_id: 'conv_1',
};
const failed = {
  ...queued,
  status: 'FAILED',
  phase: 'failed',
  started_at: at,
  ended_at: at,
  error_type: 'downstream_status',
  error_message: 'The agent answered 503.',
  error_status_code: 503,
};
const fired = {
  ...queued,
  phase: 'dispatching',
  action_type: 'invoke_agent_invocations_api',
  attempt_source: 'event_fire',
  trigger_type: 'custom',
  trigger_name: 'hook',
  trigger_event_payload: { issue: { number: 1 } },
  started_at: at,
  session_id: 's-1',
};
const page = (items: object[], ids: object) => ({
  value: items,
  data: items,
  ...ids,
  has_more: false,
});
const more = (items: object[]) => ({
  ...page(items, { first_id: 'a', last_id: 'b' }),
  has_more: true,
  next_link: 'https://localhost:3686/api/projects/local/routines?after=b&limit=1',
  nextLink: 'https://localhost:3686/api/projects/local/routines?after=b&limit=1',
  continuationToken: 'b',
  nextPageToken: 'b',
});
const identity = { principal_id: 'p', client_id: 'c', status: 'active' };
const identities = {
  instance_identity: identity,
  blueprint: identity,
  blueprint_reference: { type: 'ManagedAgentIdentityBlueprint', blueprint_id: 'digest-0a1b2' },
};
const version = {
  object: 'agent.version',
  id: 'digest:1',
  name: 'digest',
  version: '1',
  description: '',
  metadata: { team: 'x' },
  created_at: 1_780_297_200,
  definition: {
    kind: 'hosted',
    cpu: '1',
    memory: '2Gi',
    image: 'i',
    container_configuration: { image: 'i' },
  },
  draft: false,
  status: 'active',
  agent_guid: '0b7a3c52-2f38-4d44-9f0e-6f4f4f7a1c11',
  ...identities,
};
const agent = {
  object: 'agent',
  id: 'digest',
  name: 'digest',
  versions: { latest: version },
  state: 'enabled',
  agent_endpoint: {
    version_selector: {
      version_selection_rules: [
        { type: 'FixedRatio', agent_version: '@latest', traffic_percentage: 100 },
      ],
    },
    protocols: ['responses', 'invocations'],
    protocol_configuration: { responses: {}, invocations: {} },
    authorization_schemes: [{ type: 'Entra', isolation_key_source: { kind: 'Entra' } }],
  },
  ...identities,
};
const carded = {
  ...agent,
  agent_card: {
    version: '1.0.0',
    description: 'd',
    skills: [{ id: 'sum', name: 'Sum up', description: 'd', tags: ['news'], examples: ['x'] }],
  },
};
const rai = { rai_config: { rai_policy_name: 'p' } };
const versions = [
  version,
  { ...version, status: 'failed', error: { code: 'ImageError', message: 'No such image.' } },
  ...[
    {
      kind: 'hosted',
      cpu: '1',
      memory: '2Gi',
      code_configuration: {
        runtime: 'python_3_13',
        entry_point: ['main.py'],
        dependency_resolution: 'bundled',
        content_hash: '0'.repeat(64),
      },
      protocol_versions: [{ protocol: 'responses', version: '1.0.0' }],
      container_protocol_versions: [{ protocol: 'responses', version: '1.0.0' }],
      environment_variables: { A: 'b' },
      session_configuration: { idle_timeout_seconds: 900 },
      ...rai,
    },
    { kind: 'prompt', model: 'm', instructions: 'Be brief.', temperature: 1, top_p: 1, ...rai },
    { kind: 'workflow', workflow: 'steps: []', ...rai },
    { kind: 'external', otel_agent_id: 'digest', ...rai },
  ].map((definition) => ({ ...version, definition })),
];
const listOf = (data: object[], id: string | null) => ({
  object: 'list',
  data,
  first_id: id,
  last_id: id,
  has_more: false,
});
const response = {
  id: 'caresp_1',
  object: 'response',
  created_at: 1_780_297_200,
  completed_at: 1_780_297_200,
  status: 'completed',
  background: false,
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  metadata: {},
  model: 'foundrite',
  output: [
    {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'done', annotations: [] }],
    },
    {
      id: 'fc_1',
      type: 'function_call',
      call_id: 'call_1',
      name: 'look',
      arguments: '{}',
      status: 'completed',
    },
  ],
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: null, summary: null },
  store: true,
  temperature: 1,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [{ type: 'function', name: 'look' }],
  top_p: 1,
  truncation: 'disabled',
  usage: {
    input_tokens: 1,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 1,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 2,
  },
  user: null,
  conversation: { id: 'conv_1' },
  agent_reference: { type: 'agent_reference', name: 'digest', version: '1' },
  agent_session_id: 's-1',
};
const clock = {
  now,
  rate: 0,
  skip: true,
  advancing: false,
  waiting: [
    { what: 'getRoutine', until: now },
    { what: 'journal', until: null },
  ],
  heldBy: [{ kind: 'gate', what: 'first' }],
};
const project = {
  name: 'local',
  epoch: 0,
  seed: '7',
  profile: 'lenient',
  switches: { envelope: 'v2' },
  settings: {},
  store: 'memory',
  clock,
};
const fire = { routine: 'daily-summary', trigger: 'morning', at: now, run: 'run-1', late: false };
const stopped = { reason: 'held', detail: 'The gate first holds a call.' };
const armed = { entry: { agent: 'digest', fault: 503 }, fired: 2 };
const errorOf = (code: string) => ({
  error: { code, message: 'It says what to do.', param: null, type: 'invalid_request_error' },
});
const unauthorized = { statusCode: 401, message: 'No token.', ...errorOf('Unauthorized') };
const ledgerRule = { statement: 'S.', source: ['HOW-TO'], basis: 'assumed' };
const ledgerRules = {
  plain: { ...ledgerRule, id: 'a/plain', basis: 'own' },
  switched: { ...ledgerRule, id: 'a/switched', switch: 's', values: ['x', 'y'], default: 'x' },
  set: { ...ledgerRule, id: 'a/set', basis: 'documented', setting: 's', default: '1s' },
  fixed: { ...ledgerRule, id: 'a/fixed', no_values: 'R.' },
};
const refusedIdentity = { statusCode: 400, message: 'm', error: { code: 'c', message: 'm' } };

const R = '/api/projects/local/routines';
const A = '/api/projects/local/agents/digest';
const P = '/_emulator/projects/local';

const S = `${A}/endpoint/sessions`;

const session = {
  agent_session_id: 's-1',
  version_indicator: { type: 'version_ref', agent_version: '1' },
  status: 'active',
  created_at: 1_780_000_000,
  last_accessed_at: 1_780_000_000,
  expires_at: 1_782_592_000,
};

const file = { name: 'a', size: 4, is_directory: false, modified_time: 1_780_000_000 };

const conversation = {
  id: 'conv_1',
  object: 'conversation',
  created_at: 1_780_297_200,
  metadata: {},
};
const item = { id: 'msg_1', type: 'message', role: 'user', content: [] };
const invocation = { invocation_id: 'inv_1', session_id: 's', status: 'completed', output: 'x' };

const assistant = {
  id: 'asst_000000000000000000000001',
  object: 'assistant',
  created_at: 1_780_297_200,
  name: 'helper',
  description: null,
  model: 'gpt-4.1',
  instructions: null,
  tools: [{ type: 'function', function: { name: 'look' } }],
  top_p: 1,
  temperature: 1,
  tool_resources: {},
  metadata: { team: 'a' },
  response_format: 'auto',
};
const thread = {
  id: 'thread_000000000000000000000001',
  object: 'thread',
  created_at: 1_780_297_200,
  tool_resources: {},
  metadata: {},
};
const cited = { text: '[1]', start_index: 0, end_index: 3 };
const message = {
  id: 'msg_000000000000000000000001',
  object: 'thread.message',
  created_at: 1_780_297_200,
  thread_id: thread.id,
  status: 'completed',
  incomplete_details: null,
  completed_at: 1_780_297_200,
  incomplete_at: null,
  role: 'user',
  content: [
    {
      type: 'text',
      text: {
        value: 'Look.',
        annotations: [
          { type: 'url_citation', ...cited, url_citation: { url: 'https://a', title: 'A' } },
          { type: 'file_citation', ...cited, file_citation: { file_id: 'file-1', quote: '' } },
          { type: 'file_path', ...cited, file_path: { file_id: 'file-1' } },
        ],
      },
    },
    { type: 'image_file', image_file: { file_id: 'file-1', detail: 'low' } },
    { type: 'image_url', image_url: { url: 'https://a/b.png', detail: 'auto' } },
  ],
  assistant_id: null,
  run_id: null,
  attachments: [
    {
      file_id: 'file-1',
      data_source: { uri: 'azureml://x', type: 'uri_asset' },
      tools: [{ type: 'file_search' }],
    },
  ],
  metadata: {},
};
const cut = {
  ...message,
  status: 'incomplete',
  incomplete_details: { reason: 'run_cancelled' },
  completed_at: null,
  incomplete_at: 1_780_297_200,
};
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
const call = { id: 'call_000000000000000000000001', type: 'function' };
const threadRun = {
  id: 'run_000000000000000000000001',
  object: 'thread.run',
  created_at: 1_780_297_200,
  assistant_id: assistant.id,
  thread_id: thread.id,
  status: 'completed',
  started_at: 1_780_297_200,
  expires_at: null,
  cancelled_at: null,
  failed_at: null,
  completed_at: 1_780_297_202,
  required_action: null,
  last_error: null,
  model: 'gpt-4.1',
  instructions: '',
  tools: [],
  tool_resources: {},
  metadata: {},
  temperature: 1,
  top_p: 1,
  max_completion_tokens: null,
  max_prompt_tokens: null,
  truncation_strategy: { type: 'auto', last_messages: null },
  incomplete_details: null,
  usage,
  response_format: 'auto',
  tool_choice: 'auto',
  parallel_tool_calls: true,
};
const going = { ...threadRun, completed_at: null, usage: null, expires_at: 1_780_297_800 };
const threadRuns = [
  threadRun,
  { ...going, status: 'queued', started_at: null },
  {
    ...going,
    status: 'requires_action',
    required_action: {
      type: 'submit_tool_outputs',
      submit_tool_outputs: {
        tool_calls: [{ ...call, function: { name: 'look', arguments: '{}' } }],
      },
    },
  },
  { ...going, status: 'cancelled', expires_at: null, cancelled_at: 1_780_297_201 },
  {
    ...going,
    status: 'failed',
    expires_at: null,
    failed_at: 1_780_297_201,
    last_error: { code: 'server_error', message: 'm' },
  },
  {
    ...threadRun,
    status: 'incomplete',
    incomplete_details: { reason: 'max_completion_tokens' },
  },
  { ...going, status: 'expired' },
];
const step = {
  id: 'step_000000000000000000000001',
  object: 'thread.run.step',
  created_at: 1_780_297_200,
  assistant_id: assistant.id,
  thread_id: thread.id,
  run_id: threadRun.id,
  type: 'message_creation',
  status: 'completed',
  step_details: { type: 'message_creation', message_creation: { message_id: message.id } },
  last_error: null,
  expired_at: null,
  completed_at: 1_780_297_202,
  cancelled_at: null,
  failed_at: null,
  usage,
  metadata: {},
};
const steps = [
  step,
  {
    ...step,
    type: 'tool_calls',
    status: 'failed',
    completed_at: null,
    failed_at: 1_780_297_202,
    last_error: { code: 'server_error', message: 'm' },
    usage: null,
    step_details: {
      type: 'tool_calls',
      tool_calls: [{ ...call, function: { name: 'look', arguments: '{}', output: null } }],
    },
  },
  { ...step, status: 'cancelled', completed_at: null, cancelled_at: 1_780_297_202 },
  { ...step, status: 'expired', completed_at: null, expired_at: 1_780_297_202 },
];

function threadAnswers(): [string, number, unknown][] {
  const project = '/api/projects/local';
  const one = `${project}/assistants/${assistant.id}`;
  const on = `${project}/threads/${thread.id}`;
  const run = `${on}/runs/${threadRun.id}`;
  const deleted = (object: string, { id }: { id: string }) => ({ id, object, deleted: true });
  return [
    [`POST ${project}/assistants`, 200, assistant],
    [`GET ${project}/assistants`, 200, listed(assistant)],
    [`GET ${one}`, 200, assistant],
    [`POST ${one}`, 200, { ...assistant, response_format: { type: 'text' } }],
    [`POST ${one}`, 404, { error: { ...errorOf('x').error, code: null } }],
    [`DELETE ${one}`, 200, deleted('assistant.deleted', assistant)],
    [`POST ${project}/threads`, 200, thread],
    [`GET ${project}/threads`, 200, listed(thread)],
    [`GET ${on}`, 200, thread],
    [`POST ${on}`, 200, thread],
    [`DELETE ${on}`, 200, deleted('thread.deleted', thread)],
    [`POST ${on}/messages`, 200, message],
    [`GET ${on}/messages`, 200, listed(message)],
    [`GET ${on}/messages/${message.id}`, 200, cut],
    [`POST ${on}/messages/${message.id}`, 200, message],
    [`DELETE ${on}/messages/${message.id}`, 200, deleted('thread.message.deleted', message)],
    [`POST ${project}/threads/runs`, 200, threadRun],
    [`POST ${on}/runs`, 200, threadRun],
    [`GET ${on}/runs`, 200, listed(threadRun)],
    ...threadRuns.map((each): [string, number, unknown] => [`GET ${run}`, 200, each]),
    [`POST ${run}`, 200, threadRun],
    [`POST ${run}/cancel`, 200, { ...going, status: 'cancelling' }],
    [`POST ${run}/submit_tool_outputs`, 200, threadRun],
    [`GET ${run}/steps`, 200, listed(step)],
    ...steps.map((each): [string, number, unknown] => [`GET ${run}/steps/${step.id}`, 200, each]),
    [`POST ${P}/runs/${threadRun.id}:step`, 200, threadRun],
  ];
}

function listed(one: { id: string }): unknown {
  return { object: 'list', data: [one], first_id: one.id, last_id: one.id, has_more: false };
}

/** What an agent's endpoint and the project both answer. */
function openaiAnswers(base: string): [string, number, unknown][] {
  const conversations = `${base}/conversations`;
  return [
    [`GET ${base}/responses/resp_1`, 200, response],
    [`DELETE ${base}/responses/resp_1`, 200, { id: 'resp_1', object: 'response', deleted: true }],
    [`POST ${base}/responses/resp_1/cancel`, 200, response],
    [`GET ${base}/responses/resp_1/input_items`, 200, listed(item)],
    [`POST ${conversations}`, 200, conversation],
    [`GET ${conversations}/conv_1`, 200, conversation],
    [`POST ${conversations}/conv_1`, 200, conversation],
    [
      `DELETE ${conversations}/conv_1`,
      200,
      { id: 'conv_1', object: 'conversation.deleted', deleted: true },
    ],
    [`POST ${conversations}/conv_1/items`, 200, listed(item)],
    [`GET ${conversations}/conv_1/items`, 200, listed(item)],
    [`GET ${conversations}/conv_1/items/msg_1`, 200, item],
    [`DELETE ${conversations}/conv_1/items/msg_1`, 200, conversation],
  ];
}

const ANSWERS: [string, number, unknown][] = [
  [`PUT ${R}/daily-summary`, 200, routine],
  [`PUT ${R}/daily-summary`, 201, { ...routine, created_at: at, updated_at: at }],
  [`PUT ${R}/daily-summary`, 400, errorOf('invalid_request')],
  [`PUT ${R}/daily-summary`, 418, errorOf('fault_injected')],
  [`GET ${R}/daily-summary`, 401, unauthorized],
  [`GET ${R}/daily-summary`, 404, errorOf('not_found')],
  [
    `GET ${R}/once`,
    200,
    { ...routine, triggers: { t: { type: 'timer', at, time_zone: 'America/Los_Angeles' } } },
  ],
  [
    `GET ${R}/hook`,
    200,
    {
      ...routine,
      triggers: { t: { type: 'custom', provider: 'p', event_name: 'e', parameters: { a: 1 } } },
      action: {
        type: 'invoke_agent_invocations_api',
        agent_endpoint_id: 'e-1',
        input: { any: 1 },
        session_id: 's',
      },
    },
  ],
  [
    `GET ${R}/issue`,
    200,
    {
      ...routine,
      triggers: {
        t: {
          type: 'github_issue',
          connection_id: 'c',
          owner: 'o',
          repository: 'r',
          issue_event: 'opened',
        },
      },
      action: { ...action, input: 'hello', conversation: 'c', conversation_id: 'c' },
    },
  ],
  [`DELETE ${R}/daily-summary`, 204, undefined],
  [`POST ${R}/daily-summary:enable`, 200, routine],
  [`POST ${R}/daily-summary:disable`, 200, { ...routine, enabled: false }],
  [
    `POST ${R}/daily-summary:dispatch_async`,
    200,
    { dispatch_id: 'disp-1', action_correlation_id: 'caresp_1', task_id: 'task-1' },
  ],
  [`POST ${R}/daily-summary:dispatch_async`, 409, errorOf('routine_disabled')],
  [`GET ${R}`, 200, page([], {})],
  [`GET ${R}`, 200, page([routine], { first_id: 'a', last_id: 'a' })],
  [`GET ${R}`, 200, more([routine, routine])],
  [
    `GET ${R}`,
    200,
    {
      ...page([routine], { first_id: 'a', last_id: 'a' }),
      has_more: true,
      continuationToken: 'a',
    },
  ],
  [`GET ${R}`, 200, { data: [] }],
  [`GET ${R}`, 200, { data: [routine], next_link: 'https://localhost:3686/x' }],
  [`GET ${R}/daily-summary/runs`, 200, more([queued, completed])],
  [
    `GET ${R}/daily-summary/runs`,
    200,
    { ...page([failed], { first_id: 'a', last_id: 'a' }), has_more: true, nextPageToken: 'a' },
  ],
  [`GET ${R}/daily-summary/runs`, 200, { data: [fired, { ...queued, agent_endpoint_id: 'e' }] }],
  ['GET /api/projects/local/agents', 200, listOf([carded], 'digest')],
  ['GET /api/projects/local/agents', 200, listOf([], null)],
  ['POST /api/projects/local/agents', 200, carded],
  [`POST ${A}`, 200, agent],
  [`PATCH ${A}`, 200, carded],
  [`GET ${A}/versions`, 200, listOf(versions, 'digest:1')],
  ...versions.map((one): [string, number, unknown] => [`GET ${A}/versions/1`, 200, one]),
  [
    `DELETE ${A}/versions/1`,
    200,
    { object: 'agent.version.deleted', name: 'digest', version: '1', deleted: true },
  ],
  [`POST ${S}`, 201, session],
  [`POST ${S}`, 424, errorOf('session_not_ready')],
  [`GET ${S}`, 200, { ...listOf([session], 's-1'), pagination_token: 's-1' }],
  [`GET ${S}/s-1`, 200, { ...session, status: 'idle', stopped_at: 1_780_000_900 }],
  [`DELETE ${S}/s-1`, 204, undefined],
  [`POST ${S}/s-1:stop`, 204, undefined],
  [`PUT ${S}/s-1/files/content?path=a`, 201, { path: 'a', bytes_written: 4 }],
  [
    `GET ${S}/s-1/files`,
    200,
    { path: '/', entries: [file], first_id: 'a', last_id: 'a', has_more: false },
  ],
  [`GET ${S}/s-1/files`, 200, { path: '/', entries: [], has_more: false }],
  [`DELETE ${S}/s-1/files?path=a`, 204, undefined],
  [`POST ${S}/s-1/files/mkdir`, 201, { path: 'data' }],
  [`GET ${S}/s-1/files/stat?path=a`, 200, { path: 'a', ...file }],
  [
    `POST /_emulator/projects/local/sessions/s-1/log`,
    201,
    { timestamp: now, stream: 'stdout', message: 'hello' },
  ],
  [`GET ${A}`, 200, agent],
  [`DELETE ${A}`, 200, { object: 'agent.deleted', name: 'digest', deleted: true }],
  [`POST ${A}/versions`, 200, version],
  [
    `POST ${A}/versions`,
    200,
    { ...version, status: 'failed', error: { code: 'ImageError', message: 'No such image.' } },
  ],
  [`POST ${A}:enable`, 204, undefined],
  [`POST ${A}:disable`, 204, undefined],
  [`POST ${A}/endpoint/protocols/openai/responses`, 200, response],
  [
    `POST ${A}/endpoint/protocols/openai/v1/responses`,
    200,
    {
      ...response,
      completed_at: null,
      status: 'failed',
      error: { code: 'server_error', message: 'm' },
      output: [],
      usage: null,
      conversation: null,
    },
  ],
  [`POST ${A}/endpoint/protocols/openai/responses`, 403, errorOf('agent_disabled')],
  ...[`${A}/endpoint/protocols/openai`, `${A}/endpoint/protocols/openai/v1`, '/openai/v1'].flatMap(
    openaiAnswers,
  ),
  ['POST /openai/v1/responses', 200, response],
  ['GET /openai/v1/responses', 200, listed(response)],
  ['GET /openai/v1/conversations', 200, listed(conversation)],
  ...threadAnswers(),
  [`GET ${A}/endpoint/protocols/invocations/inv_1`, 200, invocation],
  [`POST ${A}/endpoint/protocols/invocations/inv_1/cancel`, 200, invocation],
  [`GET ${A}/endpoint/protocols/invocations/docs/openapi.json`, 200, { openapi: '3.1.0' }],
  [`POST ${A}/endpoint/protocols/invocations`, 200, { any: ['thing'] }],
  [
    'GET /_emulator/health',
    200,
    {
      status: 'stuck',
      version: '0.1.0',
      projects: [
        {
          name: 'local',
          clock,
          faults: [armed],
          stuck: [{ at: now, item: 'attempt run-1', error: 'boom' }],
          unwritable: null,
          switches: {},
        },
      ],
      limits: { projects_max: 256 },
      assumed: [{ rule: 'list/envelope', value: 'superset' }],
    },
  ],
  ['HEAD /_emulator/health', 200, undefined],
  [
    'GET /_emulator/ready',
    200,
    {
      status: 'ready',
      url: 'http://localhost:3686',
      pid: 1,
      store: 'memory',
      rate: 1,
      skip: false,
      seed: '7',
      version: '0.1.0',
    },
  ],
  ['HEAD /_emulator/ready', 200, undefined],
  ['GET /_emulator/projects', 200, { projects: [project] }],
  [`PUT ${P}`, 201, project],
  [`PUT ${P}`, 409, errorOf('conflict')],
  [`PATCH ${P}`, 200, project],
  [`DELETE ${P}`, 204, undefined],
  [`POST ${P}:reset`, 200, project],
  [`GET ${P}/clock`, 200, clock],
  [`PUT ${P}/clock`, 200, clock],
  [
    `POST ${P}/clock:advance`,
    200,
    {
      now,
      reached: true,
      fired: [fire, { ...fire, run: null }],
      fired_truncated: false,
      cursor: 3,
    },
  ],
  [
    `POST ${P}/clock:advance`,
    200,
    { now, reached: false, stopped, fired: [], fired_truncated: false, cursor: 3 },
  ],
  [`POST ${P}/clock:stop`, 200, clock],
  [`GET ${P}/faults`, 200, { faults: [armed] }],
  [`PUT ${P}/faults`, 200, { faults: [armed] }],
  [`DELETE ${P}/faults`, 204, undefined],
  [`POST ${P}/gates/first:release`, 200, { gate: 'first', released: 1 }],
  [
    `PUT ${P}/agents/digest/reply`,
    200,
    { agent: 'digest', agent_exists: true, reply: { kind: 'script', turns: [{ text: 'a' }] } },
  ],
  [`POST ${P}/routines/daily-summary:fire`, 200, fire],
  [
    `GET ${P}/journal`,
    200,
    {
      entries: [{ seq: 1, at: now, kind: 'attempt', run: 'run-1', status: 503 }],
      cursor: 1,
      oldest: 1,
      interleaved: false,
      canonical: false,
    },
  ],
  [
    `GET ${P}/journal?canonical=true`,
    200,
    {
      entries: [],
      cursor: 0,
      oldest: 0,
      interleaved: false,
      canonical: true,
      hash: 'a'.repeat(64),
    },
  ],
  [`GET ${P}/snapshots`, 200, { snapshots: [{ name: 'before', now, bytes: 4096 }] }],
  [`PUT ${P}/snapshots/before`, 200, { name: 'before', now, bytes: 4096 }],
  ['GET /_emulator/ledger', 200, { rules: [...Object.values(ledgerRules)] }],
  ...Object.values(ledgerRules).map((rule): [string, number, unknown] => [
    `GET /_emulator/ledger/${rule.id}`,
    200,
    rule,
  ]),
  ['GET /_emulator/ledger/a%2Fb', 200, ledgerRules.plain],
  ['GET /_emulator/ledger/a/b', 404, errorOf('not_found')],
  [
    'GET /_emulator/identity?resource=x',
    200,
    { access_token: 'a.b.', expires_on: '1780297200', resource: 'r', token_type: 'Bearer' },
  ],
  ['GET /_emulator/identity', 400, refusedIdentity],
  ['GET /nowhere', 404, errorOf('not_found')],
];

const JSON_HEADERS = { 'content-type': 'application/json', 'x-agent-invocation-id': 'inv_1' };

function problems(request: string, status: number, body: unknown): string[] {
  const [method = '', path = ''] = request.split(' ');
  return checkResponse(
    method,
    path,
    status,
    body === undefined ? {} : JSON_HEADERS,
    body === undefined ? '' : JSON.stringify(body),
  );
}

test.each(ANSWERS)('%s may answer %i', (request, status, body) => {
  expect(problems(request, status, body)).toEqual([]);
});

test.each(ANSWERS)('%s answering %i may lose nothing', (request, status, body) => {
  const [method = '', path = ''] = request.split(' ');
  const schema = responseSchema(method, path, status, 'application/json');
  const losses = schema === undefined ? undefined : lossesOf(schema, body);

  expect(losses?.unnoticed ?? []).toEqual([]);
  for (const pointer of losses?.excused.keys() ?? []) {
    expect(OPTIONAL.map((path) => path.split(/[./]/).at(-1))).toContain(pointer.split('/').at(-1));
  }
});

test.each(ANSWERS)('%s answering %i may gain nothing', (request, status, body) => {
  const isOpen = /\/invocations|^GET .*\/items\//.test(request);
  if (body === undefined || isOpen) return;

  expect(problems(request, status, { ...(body as object), surprise: 1 })).not.toEqual([]);
});

/** What they answer is no JSON. */
const BYTES = [
  'downloadAgentCode',
  'downloadAgentVersionCode',
  'getCa',
  'getSessionFile',
  'streamSessionLogs',
  'streamVersionSessionLogs',
];

test('every operation has an example', () => {
  const shown = new Set(
    ANSWERS.map(([request]) => {
      const [method = '', path = ''] = request.split(' ');
      return findOperation(method, path)?.operationId;
    }),
  );
  const missing = operations().map((operation) => operation.operationId);

  expect(missing.filter((id) => !shown.has(id)).sort()).toEqual(BYTES);
});

test.each([
  ['a completed run without its response', { ...completed, response_id: undefined }],
  ['a queued run that started', { ...queued, started_at: at }],
  ['a failed run without a reason', { ...failed, error_type: undefined }],
  ['a failed run without the status that failed it', { ...failed, error_status_code: undefined }],
  ['a status beside a timeout', { ...failed, error_type: 'timeout' }],
  ['a null status', { ...failed, error_type: 'timeout', error_status_code: null }],
  ['a dispatch with a trigger', { ...queued, trigger_type: 'timer', trigger_name: 't' }],
  ['a schedule delivered by a timer', { ...completed, trigger_type: 'timer' }],
  ['an event without its payload', { ...fired, trigger_event_payload: undefined }],
  ['a session on a Responses run', { ...queued, session_id: 's' }],
  ['an instant with milliseconds', { ...queued, triggered_at: now }],
])('%s is no routine run', (_what, run) => {
  expect(problems(`GET ${R}/daily-summary/runs`, 200, { data: [run] })).not.toEqual([]);
});

test('paths are matched as they were sent, verbs after the last colon', () => {
  const found = (method: string, path: string) => findOperation(method, path)?.operationId;

  expect(found('POST', '/routines/a%3Ab%20c%2Fd:dispatch_async?api-version=v1')).toBe(
    'dispatchRoutineAsync',
  );
  expect(found('POST', '/routines/a:b:enable')).toBe('enableRoutine');
  expect(found('GET', 'https://x.services.ai.azure.com/api/projects/p/routines/a')).toBe(
    'getRoutine',
  );
  expect(found('get', '/routines/a/runs')).toBe('listRoutineRuns');
  expect(found('POST', `${P}/clock:advance`)).toBe('advanceClock');
  expect(found('GET', '/_emulator/ledger/a/b')).toBe('getLedgerRule');
  expect(found('POST', '/routines/a:dispatch')).toBeUndefined();
  expect(found('POST', '/routines/a')).toBeUndefined();
});

test('an answer is told what is wrong with it', () => {
  expect(problems(`GET ${R}/x`, 204, undefined)).toEqual([
    'getRoutine does not promise the status 204',
  ]);
  expect(problems(`DELETE ${R}/x`, 204, {})).toEqual([
    'an answer 204 has no body here, yet there is one',
  ]);
  expect(checkResponse('GET', R, 200, { 'content-type': 'text/html' }, '<p>')).toEqual([
    'the media type text/html is not promised',
  ]);
  expect(checkResponse('GET', R, 200, JSON_HEADERS, '{"value":')).toEqual([
    'the body is not JSON: {"value":',
  ]);
  expect(
    checkResponse(
      'POST',
      `${A}/endpoint/protocols/invocations`,
      200,
      { 'content-type': 'a/b' },
      '!',
    ),
  ).toEqual(['the header x-agent-invocation-id is missing']);
  expect(responseValidator('getClock', 200, 'application/json')({ ...clock, rate: 2 })).toEqual([
    'rate is 2; use one of 0, 1.',
  ]);
  expect(responseValidator('getNothing', 200, 'application/json')({})).toHaveLength(1);
});

test('what a fault or a reply wrote is nobody’s promise', () => {
  const headers = { 'content-type': 'text/plain', 'x-foundrite-body-by': 'fault' };

  expect(checkResponse('GET', R, 302, headers, 'garbled')).toEqual([]);
});

test('a long advance is checked line by line', () => {
  const headers = { 'content-type': 'application/x-ndjson; charset=utf-8' };
  const frames = [
    { kind: 'instant', at: now, turns: 2, fired: [fire] },
    { kind: 'progress', now, fired_count: 1 },
    { kind: 'summary', now, reached: false, stopped, fired_count: 1, cursor: 9 },
  ];
  const lines = frames.map((frame) => `${JSON.stringify(frame)}\n`).join('');
  const check = (text: string) => checkResponse('POST', `${P}/clock:advance`, 200, headers, text);

  expect(check(lines)).toEqual([]);
  expect(check(`${lines}{"kind":"end"}\n`)).toEqual([
    'kind is "end", which is no kind; use one of instant, progress, summary.',
  ]);
  for (const frame of frames) expect(lossesOf('AdvanceFrame', frame).unnoticed).toEqual([]);
});

test('importing the contract loads neither ajv nor yaml', () => {
  const script = `
    await import(${JSON.stringify(new URL('contracts/openapi.ts', root).href)});
    const { default: module } = await import('node:module');
    console.log(Object.keys(module._cache).length);
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(root),
    encoding: 'utf8',
  });

  expect(output.trim()).toBe('0');
});
