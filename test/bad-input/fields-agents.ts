/** Rules of agents, their versions, endpoints and code that one field breaks. */
import type { Broken, Request } from './refusal.ts';
import { CODED, FORM_TYPE, formOf, HOSTED, PROMPT, uploadOf, WORLD, ZIP } from './world.ts';

const AGENTS = `/api/projects/${WORLD}/agents`;
const LONG = 'x'.repeat(1_025);

const create = (body: unknown): Request => ({ method: 'POST', path: AGENTS, body });
const version = (body: unknown, agent = 'digest'): Request => ({
  method: 'POST',
  path: `${AGENTS}/${agent}/versions`,
  body,
});
const hosted = (more: object) => version({ definition: { ...HOSTED, ...more } });
const prompt = (more: object) => version({ definition: { ...PROMPT, ...more } });
const beside = (more: object) => version({ definition: PROMPT, ...more });
const patch = (body: unknown): Request => ({ method: 'PATCH', path: `${AGENTS}/digest`, body });
const routed = (...rules: readonly (readonly [version: string, share: number])[]) =>
  patch({
    agent_endpoint: {
      version_selector: {
        version_selection_rules: rules.map(([agent_version, traffic_percentage]) => ({
          type: 'FixedRatio',
          agent_version,
          traffic_percentage,
        })),
      },
    },
  });
const upload = (
  definition: object,
  code: Buffer,
  headers: Record<string, string> = {},
): Request => ({
  ...version({ definition }, 'coded'),
  code,
  headers,
});
const half: Request = {
  ...version(formOf(uploadOf(Buffer.from('{}'), ZIP).slice(1))),
  headers: { 'content-type': FORM_TYPE },
};
const get = (path: string): Request => ({ method: 'GET', path: `${AGENTS}${path}` });
const call = (agent: string, tail: string): Request => ({
  method: 'POST',
  path: `${AGENTS}/${agent}/endpoint/protocols/${tail}`,
  body: {},
});

export const FIELDS_OF_AGENTS: readonly Broken[] = [
  ['agent/unknown-answers-404', get('/x'), 404],
  ['agent/name-form', version({ definition: PROMPT }, 'a_b')],
  ['agent/body-is-object', create([])],
  ['agent/version-body-is-object', version([])],
  ['agent/patch-is-object', patch([])],
  ['agent/state-known', create({ name: 'a', definition: PROMPT, state: 'x' })],
  ['agent/flag-is-boolean', { method: 'DELETE', path: `${AGENTS}/digest?force=x` }],
  ['agent/definition-required', version({})],
  ['agent/kind-known', version({ definition: { kind: 'x' } })],
  ['agent/description-max-512', beside({ description: LONG })],
  ['agent/metadata-limits', beside({ metadata: { a: 1 } })],
  ['agent/draft-is-boolean', beside({ draft: 1 })],
  ['agent/blueprint-reference', beside({ blueprint_reference: {} })],
  ['agent/definition-fields', hosted({ image: 1 })],
  ['agent/protocol-known', hosted({ protocol_versions: [{ protocol: 'x', version: '1' }] })],
  ['agent/spellings-agree', hosted({ image: 'another' })],
  ['agent/container-or-code', hosted({ code_configuration: CODED.code_configuration })],
  ['agent/resource-tier', hosted({ cpu: '3' })],
  ['agent/environment-name-form', hosted({ environment_variables: { '1a': 'x' } })],
  ['agent/environment-name-reserved', hosted({ environment_variables: { PORT: '1' } })],
  ['agent/idle-timeout-range', hosted({ session_configuration: { idle_timeout_seconds: 1 } })],
  ['agent/prompt-has-a-model', prompt({ model: 1 })],
  ['agent/sampling-ranges', prompt({ temperature: 3 })],
  ['agent/tools-max-128', prompt({ tools: Array(129).fill({ type: 'x' }) })],
  ['agent/endpoint-form', patch({ agent_endpoint: { protocols: 1 } })],
  ['agent/card-form', patch({ agent_card: { version: 1 } })],
  ['routing/not-empty', routed()],
  ['routing/percentage-is-0-to-100', routed(['1', 101])],
  ['routing/sum-is-100', routed(['1', 99])],
  ['routing/version-known', routed(['9', 100])],
  ['routing/version-once', routed(['1', 50], ['1', 50])],
  ['routing/no-drafts', routed(['{draft}', 100])],
  ['code/configuration-form', upload({ ...CODED, code_configuration: { runtime: 'x' } }, ZIP)],
  ['code/comes-with-its-definition', upload(HOSTED, ZIP)],
  ['code/parts', half],
  ['code/is-a-zip', upload(CODED, Buffer.from('text'))],
  ['code/digest-matches', upload(CODED, ZIP, { 'x-ms-code-zip-sha256': '0'.repeat(64) })],
  ['code/only-of-code-agents', get('/digest/code:download'), 409],
  ['version/unknown-answers-404', get('/digest/versions/9'), 404],
  ['version/delete-in-use', { method: 'DELETE', path: `${AGENTS}/digest/versions/2` }, 409],
  ['call/external-answers-400', call('ext', 'openai/responses')],
  ['call/invocations-are-hosted', call('writer', 'invocations')],
];
