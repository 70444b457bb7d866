/** Definitions of agents and bodies of calls as stories have them. */
import fc from 'fast-check';
import { some } from './bodies.ts';
import type { Json } from './definition.ts';
import type { Step } from './step.ts';

/** Two hosted agents, one that is only a prompt, and one outside; rarely one that nobody has made. */
export const anyAgent = some(
  [30, 'digest'],
  [12, 'other'],
  [4, 'words'],
  [1, 'outside'],
  [1, 'ghost'],
);
export const hostedAgent = some([5, 'digest'], [2, 'other']);

const older = (image: string, ...protocols: string[]) => ({
  kind: 'hosted',
  cpu: '1',
  memory: '2Gi',
  image: `registry/${image}`,
  container_protocol_versions: protocols.map((protocol) => ({ protocol, version: '1.0.0' })),
});
const newer = (image: string, ...protocols: string[]) => ({
  kind: 'hosted',
  cpu: '1',
  memory: '2Gi',
  container_configuration: { image: `registry/${image}` },
  protocol_versions: protocols.map((protocol) => ({ protocol, version: '1.0.0' })),
});
const BOTH = ['responses', 'invocations'];

const hosted = some<Json>(
  [6, older('digest:1', ...BOTH)],
  [5, newer('digest:1', ...BOTH)],
  [1, { ...newer('digest:1', ...BOTH), cpu: '1.0', memory: '2.0Gi' }],
  [4, older('digest:2', ...BOTH)],
  [3, newer('digest:2', ...BOTH)],
  [2, older('digest:3', 'responses')],
  [1, newer('digest:4', 'invocations')],
  [3, { ...newer('digest:5', ...BOTH), session_configuration: { idle_timeout_seconds: 300 } }],
);
const prompt = fc.constantFrom<Json>(
  { kind: 'prompt', model: 'gpt', instructions: 'Be brief.' },
  { kind: 'prompt', model: 'gpt', instructions: 'Be kind.' },
);
const external = fc.constantFrom<Json>(
  { kind: 'external' },
  { kind: 'external', otel_agent_id: 'far' },
);
const badDefinition = fc.constantFrom<Json | undefined>(
  undefined,
  { kind: 'robot' },
  { ...older('digest:1', ...BOTH), memory: '3Gi' },
);

function definitionOf(name: string): fc.Arbitrary<Json | undefined> {
  const good = name === 'words' ? prompt : name === 'outside' ? external : hosted;
  return some<Json | undefined>([30, good as fc.Arbitrary<Json | undefined>], [1, badDefinition]);
}

export function versionBody(name: string): fc.Arbitrary<Json> {
  return fc.record(
    {
      definition: definitionOf(name),
      description: some<string>([30, 'first'], [30, 'second'], [1, 'x'.repeat(513)]),
      metadata: some<Json>([30, { team: 'a' }], [1, { team: 7 }]),
      draft: some<boolean>([3, true], [2, false]),
    },
    { requiredKeys: ['definition'] },
  );
}

/** Which version a story means: a number that may be there, or a draft that was made. */
export function versionRef(name: string): fc.Arbitrary<string> {
  return some<string>(
    [6, '1'],
    [6, '2'],
    [2, '3'],
    [2, `<draft 0 of ${name}>`],
    [1, `<draft 1 of ${name}>`],
    [1, '99'],
  );
}

function rulesOf(name: string): fc.Arbitrary<Json[]> {
  const rule = (agent_version: string, traffic_percentage: number) => {
    return { type: 'FixedRatio', agent_version, traffic_percentage };
  };
  return some<Json[]>(
    [4, versionRef(name).map((one) => [rule(one, 100)])],
    [4, [rule('@latest', 100)]],
    [6, fc.integer({ min: 0, max: 100 }).map((one) => [rule('1', one), rule('2', 100 - one)])],
    [3, [rule('1', 90), rule('2', 10)]],
    [1, [rule('1', 34), rule('2', 33), rule('@latest', 33)]],
    [1, [rule('1', 50), rule('2', 40)]],
    [1, [rule('1', 50), rule('1', 50)]],
    [1, []],
  );
}

const protocols = fc.constantFrom(['responses'], ['invocations'], BOTH, BOTH, BOTH);

export function endpointOf(name: string): fc.Arbitrary<Json> {
  const selector = rulesOf(name).map((rules) => ({ version_selection_rules: rules }));
  return some<Json>(
    [8, selector.map((version_selector) => ({ version_selector }))],
    [2, fc.record({ version_selector: selector, protocols })],
    [2, protocols.map((one) => ({ protocols: one }))],
    [
      1,
      protocols.map((one) => ({
        protocol_configuration: Object.fromEntries(one.map((protocol) => [protocol, {}])),
      })),
    ],
  );
}

/** Two versions that share what comes, as soon as the second one is there. */
export const canary = fc.integer({ min: 1, max: 99 }).map((share): Step[] => [
  { do: 'make version', name: 'digest', body: { definition: older('digest:2', ...BOTH) } },
  { do: 'advance', by: '1s' },
  {
    do: 'patch agent',
    name: 'digest',
    body: {
      agent_endpoint: {
        version_selector: {
          version_selection_rules: [
            { type: 'FixedRatio', agent_version: '1', traffic_percentage: share },
            { type: 'FixedRatio', agent_version: '2', traffic_percentage: 100 - share },
          ],
        },
      },
    },
  },
]);

export const card = fc.constantFrom<Json | null>(
  { version: '1', skills: [{ id: 's', name: 'Sums' }] },
  { version: '2', description: 'd', skills: [{ id: 's', name: 'Sums' }] },
  null,
);

export function patchBody(name: string): fc.Arbitrary<Json> {
  return some<Json>(
    [10, endpointOf(name).map((agent_endpoint) => ({ agent_endpoint }))],
    [1, { agent_endpoint: null }],
    [1, card.map((agent_card) => ({ agent_card }))],
    [1, {}],
  );
}

/** A session that the agent has had, or one that nobody has. */
export function sessionRef(name: string): fc.Arbitrary<string> {
  return some<string>(
    [6, `<session 0 of ${name}>`],
    [1, `<session 1 of ${name}>`],
    [6, `<session last of ${name}>`],
    [1, 'session-of-nobody'],
  );
}

export const conversationRef = some<string>(
  [12, '<conversation 0>'],
  [2, '<conversation 1>'],
  [1, 'conv_nobody'],
);
export const responseRef = some<string>(
  [3, '<response last>'],
  [2, '<response 0>'],
  [1, '<response 1>'],
  [1, 'resp_nobody'],
);

const message = (content: string, role = 'user') => ({ type: 'message', role, content });
export const items = fc.constantFrom<Json[]>(
  [message('one')],
  [message('one'), message('two', 'assistant')],
);

export function responseBody(name: string): fc.Arbitrary<Json> {
  const affinity = some<Json>(
    [8, {}],
    [3, sessionRef(name).map((agent_session_id) => ({ agent_session_id }))],
    [4, conversationRef.map((conversation) => ({ conversation }))],
    [1, conversationRef.map((id) => ({ conversation: { id } }))],
    [2, responseRef.map((previous_response_id) => ({ previous_response_id }))],
  );
  return fc
    .tuple(
      some<unknown>([4, 'hello'], [1, 'again'], [1, items]),
      affinity,
      some<Json>([6, {}], [1, { store: false }]),
    )
    .map(([input, ...rest]) => Object.assign({ input }, ...rest));
}
