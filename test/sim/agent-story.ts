/** Steps of stories about agents. What is written `<…>` is replaced by what the story has come to: see refs.ts. */
import fc from 'fast-check';
import {
  anyAgent,
  canary,
  card,
  conversationRef,
  endpointOf,
  hostedAgent,
  items,
  patchBody,
  responseBody,
  responseRef,
  sessionRef,
  versionBody,
  versionRef,
} from './agent-bodies.ts';
import { input, some } from './bodies.ts';
import type { Json } from './definition.ts';
import type { AgentStep, Step } from './step.ts';

/** Of an agent, drawn first: what is said to it depends on its name. */
function ofAgent(
  name: fc.Arbitrary<string>,
  step: (name: string) => fc.Arbitrary<AgentStep>,
): fc.Arbitrary<AgentStep> {
  return name.chain(step);
}

const force = fc.option(fc.boolean(), { nil: undefined, freq: 2 });
const at = some<string | undefined>([1, undefined], [1, hostedAgent]);

const makeAgent = ofAgent(anyAgent, (name) =>
  fc.record({
    do: fc.constant('make agent' as const),
    name: fc.constant(name),
    body: fc
      .tuple(
        versionBody(name),
        fc.option(endpointOf(name), { freq: 2 }),
        fc.option(card, { freq: 1 }),
      )
      .map(([body, agent_endpoint, agent_card]) => ({
        ...body,
        ...(agent_endpoint && { agent_endpoint }),
        ...(agent_card && { agent_card }),
      })),
  }),
);
const makeVersion = ofAgent(anyAgent, (name) =>
  fc.record({
    do: some<'make version' | 'update agent'>([4, 'make version'], [1, 'update agent']),
    name: fc.constant(name),
    body: versionBody(name),
  }),
);
const patch = ofAgent(anyAgent, (name) =>
  fc.record({
    do: fc.constant('patch agent' as const),
    name: fc.constant(name),
    body: patchBody(name),
  }),
);
const aboutAgent = fc.record({
  do: some<'get agent' | 'enable agent' | 'disable agent'>(
    [1, 'get agent'],
    [3, 'enable agent'],
    [4, 'disable agent'],
  ),
  name: anyAgent,
});
const deleteAgent = fc.record({ do: fc.constant('delete agent' as const), name: anyAgent, force });
const aboutVersion = ofAgent(hostedAgent, (name) =>
  some<AgentStep>(
    [
      1,
      fc.record({
        do: fc.constant('get version' as const),
        name: fc.constant(name),
        version: versionRef(name),
      }),
    ],
    [
      3,
      fc.record({
        do: fc.constant('delete version' as const),
        name: fc.constant(name),
        version: versionRef(name),
        force,
      }),
    ],
  ),
);

const OWN_IDS = ['session-of-mine-1', 'session-of-mine-2'];
const makeSession = ofAgent(some([9, hostedAgent], [1, 'words']), (name) =>
  fc.record({
    do: fc.constant('make session' as const),
    name: fc.constant(name),
    body: fc
      .tuple(
        some<Json>(
          [2, {}],
          [1, fc.constantFrom(...OWN_IDS).map((agent_session_id) => ({ agent_session_id }))],
        ),
        some<Json>(
          [2, {}],
          [
            1,
            versionRef(name).map((agent_version) => ({
              version_indicator: { type: 'version_ref', agent_version },
            })),
          ],
        ),
      )
      .map(([own, version]) => ({ ...own, ...version })),
  }),
);
const aboutSession = ofAgent(hostedAgent, (name) =>
  fc.record({
    do: some<'get session' | 'stop session' | 'delete session'>(
      [1, 'get session'],
      [2, 'stop session'],
      [2, 'delete session'],
    ),
    name: fc.constant(name),
    session: sessionRef(name),
  }),
);

const respond = ofAgent(anyAgent, (name) =>
  some<AgentStep>(
    [
      3,
      fc.record({
        do: fc.constant('respond' as const),
        name: fc.constant(name),
        by: fc.constant('endpoint' as const),
        body: responseBody(name),
      }),
    ],
    [
      1,
      fc.record({
        do: fc.constant('respond' as const),
        name: fc.constant(name),
        by: fc.constant('project' as const),
        body: responseBody(name),
      }),
    ],
    [
      2,
      fc.record({
        do: fc.constant('respond' as const),
        name: fc.constant(name),
        by: fc.constant('project' as const),
        version: versionRef(name),
        body: fc.constant<Json>({ input: 'hello' }),
      }),
    ],
  ),
);
const invoke = ofAgent(anyAgent, (name) =>
  fc.record({
    do: fc.constant('invoke' as const),
    name: fc.constant(name),
    session: fc.option(sessionRef(name), { nil: undefined, freq: 1 }),
    body: input,
  }),
);
const aboutResponse = fc.record({
  do: some<'get response' | 'delete response' | 'input items'>(
    [3, 'get response'],
    [2, 'delete response'],
    [2, 'input items'],
  ),
  response: responseRef,
  at,
});

const makeConversation = fc.record({
  do: fc.constant('make conversation' as const),
  body: some<Json>([2, {}], [1, items.map((one) => ({ items: one, metadata: { topic: 'sums' } }))]),
  at,
});
const aboutConversation = some<AgentStep>(
  [
    2,
    fc.record({
      do: some<'get conversation' | 'delete conversation'>(
        [1, 'get conversation'],
        [1, 'delete conversation'],
      ),
      conversation: conversationRef,
      at,
    }),
  ],
  [
    2,
    fc.record({
      do: fc.constant('add items' as const),
      conversation: conversationRef,
      body: items.map((one) => ({ items: one })),
      at,
    }),
  ],
  [
    1,
    fc.record({
      do: fc.constant('update conversation' as const),
      conversation: conversationRef,
      body: fc.constantFrom<Json>({ metadata: { topic: 'words' } }, { metadata: {} }),
      at,
    }),
  ],
  [
    2,
    fc.record({
      do: some<'get item' | 'delete item'>([1, 'get item'], [1, 'delete item']),
      conversation: conversationRef,
      item: some<string>([4, '<item 0>'], [2, '<item last>'], [1, 'msg_nobody']),
      at,
    }),
  ],
);

const limit = some<number>([3, 1], [3, 2], [1, 3], [1, 0], [1, 101]);
const order = fc.constantFrom('asc' as const, 'desc' as const);
const list = ofAgent(hostedAgent, (name) =>
  fc.record(
    {
      do: fc.constant('list' as const),
      what: some<'agents' | 'versions' | 'sessions' | 'responses' | 'conversations'>(
        [1, 'agents'],
        [1, 'conversations'],
        [3, 'versions'],
        [3, 'sessions'],
        [2, 'responses'],
      ),
      of: fc.constant(name),
      drafts: fc.boolean(),
      limit,
      order,
    },
    { requiredKeys: ['do', 'what', 'of', 'limit'] },
  ),
);
const listItems = fc.record(
  {
    do: fc.constant('list' as const),
    what: fc.constant('items' as const),
    of: conversationRef,
    limit,
    order,
  },
  { requiredKeys: ['do', 'what', 'of', 'limit'] },
);

export const agentStep = some<AgentStep>(
  [2, makeAgent],
  [8, makeVersion],
  [6, patch],
  [3, aboutAgent],
  [1, deleteAgent],
  [3, aboutVersion],
  [6, makeSession],
  [5, aboutSession],
  [10, respond],
  [5, invoke],
  [4, aboutResponse],
  [3, makeConversation],
  [5, aboutConversation],
  [4, list],
  [1, listItems],
);

const ground = some<Step>([3, makeVersion], [1, patch], [1, makeSession]);

/** What makes the world worth a story about agents: often a canary, and a conversation and a session to go on with. */
export const agentGround: fc.Arbitrary<Step[]> = fc
  .tuple(
    some<Step[]>([2, []], [1, canary]),
    some<Step[]>([1, []], [2, makeConversation.map((one): Step[] => [one])]),
    some<Step[]>([1, []], [1, [{ do: 'make session', name: 'digest', body: {} }]]),
    fc.array(ground, { maxLength: 3, size: 'max' }),
  )
  .map((steps) => steps.flat());
