/** Valid requests of agents, their versions and their code. */
import type { Collect } from './valid.ts';
import { CODED, digestOf, HOSTED, type Known, PROMPT, WORLD, ZIP } from './world.ts';

const AGENTS = `/api/projects/${WORLD}/agents`;
const MERGE = { 'content-type': 'application/merge-patch+json' };
const REFERENCE = { type: 'ManagedAgentIdentityBlueprint', blueprint_id: 'b' };
const BESIDE = { description: 'd', metadata: { team: 'a' } };

const RULES = {
  version_selection_rules: [
    { type: 'FixedRatio', agent_version: '1', traffic_percentage: 90 },
    { type: 'FixedRatio', agent_version: '@latest', traffic_percentage: 10 },
  ],
};
const CARD = {
  version: '1.0.0',
  description: 'd',
  skills: [
    { id: 'i', name: 'n', description: 'd', tags: ['t'], examples: ['e'] },
    { id: 'j', name: 'm' },
  ],
};
const OLDER = {
  kind: 'hosted',
  cpu: '0.25',
  memory: '512Mi',
  image: 'i',
  container_protocol_versions: [{ protocol: 'responses', version: '1.0.0' }],
  tools: [{ type: 'function', name: 'f' }],
};
const ENDPOINT = {
  version_selector: {
    version_selection_rules: [
      { type: 'FixedRatio', agent_version: '@latest', traffic_percentage: 100 },
    ],
  },
  protocols: ['responses', 'activity'],
  authorization_schemes: [
    { type: 'Entra', isolation_key_source: { kind: 'Header' } },
    { type: 'BotService' },
  ],
};

export function validAgents(collect: Collect, known: Known): void {
  validObjects(collect);
  validVersions(collect, known);
  validCode(collect);
}

function validObjects({ of, add, upload }: Collect): void {
  of('listAgents');
  add('GET', AGENTS);
  add('GET', `${AGENTS}?api-version=v1&limit=2&order=asc&kind=hosted`);
  add('GET', `${AGENTS}?after=digest&before=off&order=asc`);
  of('createAgent');
  add('POST', AGENTS, {
    name: 'fresh',
    definition: PROMPT,
    ...BESIDE,
    blueprint_reference: REFERENCE,
    agent_endpoint: ENDPOINT,
    agent_card: CARD,
    state: 'disabled',
    draft: false,
  });
  add('POST', `${AGENTS}?api-version=v1`, { name: 'digest', definition: OLDER });
  upload(AGENTS, { ...BESIDE, definition: CODED }, ZIP, {
    'x-ms-agent-name': 'zipped',
    'x-ms-code-zip-sha256': digestOf(ZIP),
  });
  of('getAgent');
  add('GET', `${AGENTS}/digest`);
  add('GET', `${AGENTS}/writer?api-version=v1`);
  of('updateAgent');
  add('POST', `${AGENTS}/writer`, { definition: { ...PROMPT, model: 'other' }, ...BESIDE });
  add('POST', `${AGENTS}/digest?api-version=v1`, { definition: HOSTED });
  upload(`${AGENTS}/coded`, { definition: { ...CODED, cpu: '1.0', memory: '2Gi' } }, ZIP);
  of('patchAgent');
  add('PATCH', `${AGENTS}/digest`, { agent_endpoint: { version_selector: RULES } }, MERGE);
  add('PATCH', `${AGENTS}/writer?api-version=v1`, { agent_endpoint: ENDPOINT, agent_card: CARD });
  add('PATCH', `${AGENTS}/digest`, {
    agent_endpoint: { protocol_configuration: { responses: {}, invocations: {} } },
    agent_card: null,
  });
  of('deleteAgent');
  add('DELETE', `${AGENTS}/digest?force=true`);
  add('DELETE', `${AGENTS}/off`);
  of('enableAgent');
  add('POST', `${AGENTS}/off:enable`);
  of('disableAgent');
  add('POST', `${AGENTS}/digest:disable`);
}

function validVersions({ of, add, upload }: Collect, { draft }: Known): void {
  of('createAgentVersion');
  for (const [name, definition] of [
    ['digest', { ...HOSTED, enable_memory_snapshot: true, rai_config: { rai_policy_name: 'p' } }],
    ['new', { ...PROMPT, reasoning: {}, tool_choice: 'auto', structured_inputs: { a: {} } }],
    ['flow', { kind: 'workflow', workflow: 'y' }],
    ['ext', { kind: 'external', otel_agent_id: 'o' }],
  ] as const)
    add('POST', `${AGENTS}/${name}/versions`, {
      definition,
      ...BESIDE,
      draft: name === 'digest',
      blueprint_reference: REFERENCE,
    });
  upload(
    `${AGENTS}/coded/versions`,
    { definition: { ...CODED, environment_variables: { LEVEL: 'info' } } },
    ZIP,
    { 'x-ms-code-zip-sha256': digestOf(ZIP) },
  );
  of('listAgentVersions');
  add('GET', `${AGENTS}/digest/versions`);
  add('GET', `${AGENTS}/digest/versions?include_drafts=true&limit=1&order=desc`);
  add('GET', `${AGENTS}/digest/versions?after=digest:2&api-version=v1`);
  of('getAgentVersion');
  add('GET', `${AGENTS}/digest/versions/1`);
  add('GET', `${AGENTS}/digest/versions/${draft}?api-version=v1`);
  of('deleteAgentVersion');
  add('DELETE', `${AGENTS}/digest/versions/1`);
  add('DELETE', `${AGENTS}/digest/versions/2?force=true`);
  add('DELETE', `${AGENTS}/digest/versions/${draft}?force=false&api-version=v1`);
}

function validCode({ of, add }: Collect): void {
  of('downloadAgentCode');
  add('GET', `${AGENTS}/coded/code:download`);
  add('GET', `${AGENTS}/coded/code:download?agent_version=1&api-version=v1`, undefined, {
    accept: 'application/zip',
  });
  of('downloadAgentVersionCode');
  add('GET', `${AGENTS}/coded/versions/1/code:download`);
}
