/** The endpoint and the card of an agent: what callers write, and what a merge patch leaves (contract/agents.md 5.4, 10). */
import { isDeepStrictEqual } from 'node:util';
import type { SchemaValue } from '../../contracts/openapi.ts';
import { invalid } from '../errors.ts';
import { checkRules, type Rule } from '../routing.ts';
import { type AgentRow, listVersions } from '../store/agents.ts';
import type { Store } from '../store/store.ts';
import { bodyAs } from './input.ts';

/** As it is kept: one spelling, and only what was set. */
export interface Endpoint {
  version_selector?: { version_selection_rules: Rule[] };
  /** By protocol; those that are here are exposed. */
  protocol_configuration?: Record<string, object>;
  authorization_schemes?: { type: string; isolation_key_source?: { kind: string } }[];
}

/** One value that is written in two places, which must not differ where both are written. */
export function sameInBoth<Value>(
  one: Value | undefined,
  other: Value | undefined,
  at: string,
  [first, second]: [string, string],
): [Value | undefined] {
  if (one === undefined || other === undefined || isDeepStrictEqual(one, other))
    return [one ?? other];
  throw invalid(
    `${at}.${first} and ${at}.${second} are two spellings of one field and differ. Send one of them.`,
    `${at}.${first}`,
    'agent/spellings-agree',
  );
}

/** An endpoint of a request; `agent` is the one whose versions its rules may name. */
export function readEndpoint(store: Store, agent: { name: string }, raw: unknown): Endpoint {
  const { version_selector, protocols, protocol_configuration, authorization_schemes } = bodyAs(
    'AgentEndpointInput',
    raw,
    'agent_endpoint',
  );
  const endpoint: Endpoint = {};
  if (version_selector)
    endpoint.version_selector = {
      version_selection_rules: readRules(store, agent, version_selector),
    };
  const exposed = readProtocols(protocols, protocol_configuration);
  if (exposed) endpoint.protocol_configuration = exposed;
  if (authorization_schemes)
    endpoint.authorization_schemes = authorization_schemes.map(
      ({ type, isolation_key_source: source }) =>
        source ? { type, isolation_key_source: { kind: source.kind } } : { type },
    );
  return endpoint;
}

function readRules(
  store: Store,
  agent: { name: string },
  selector: NonNullable<SchemaValue<'AgentEndpointInput'>['version_selector']>,
): Rule[] {
  const rules = selector.version_selection_rules.map(
    ({ type, agent_version, traffic_percentage }) => ({ type, agent_version, traffic_percentage }),
  );
  const offered = listVersions(store, agent).filter(
    ({ status }) => status !== 'deleting' && status !== 'deleted',
  );
  const named = (draft: 0 | 1) =>
    offered.filter((one) => one.draft === draft).map(({ version }) => version);
  const problem = checkRules(rules, {
    releases: new Set(named(0)),
    drafts: new Set(named(1)),
  });
  if (!problem) return rules;
  const param = `agent_endpoint.version_selector.version_selection_rules${problem.at}`;
  throw invalid(problem.message, param, problem.rule);
}

function readProtocols(
  protocols: string[] | undefined,
  configuration: Record<string, object> | undefined,
): Record<string, object> | undefined {
  if (protocols && configuration) {
    const listed = [...new Set(protocols)].sort();
    sameInBoth(Object.keys(configuration).sort(), listed, 'agent_endpoint', [
      'protocol_configuration',
      'protocols',
    ]);
  }
  const exposed = configuration
    ? Object.entries(configuration)
    : protocols?.map((one) => [one, {}] as const);
  return exposed && Object.fromEntries(exposed.map(([name, told]) => [name, knownOf(name, told)]));
}

/** What a protocol can be told: only one of them has anything. */
function knownOf(protocol: string, told: { enable_m365_public_endpoint?: unknown }): object {
  const { enable_m365_public_endpoint: isPublic } = told;
  return protocol === 'activity' && isPublic !== undefined
    ? { enable_m365_public_endpoint: isPublic }
    : {};
}

/** The endpoint after a merge patch (RFC 7396); undefined is the default one. */
export function patchEndpoint(
  store: Store,
  agent: AgentRow,
  patch: Record<string, unknown> | null,
  protocolsPatch: 'replace' | 'merge',
): Endpoint | undefined {
  if (patch === null) return undefined;
  const before = agent.endpoint === null ? {} : (JSON.parse(agent.endpoint) as Endpoint);
  const { protocol_configuration: kept, ...rest } = before;
  const { protocols, protocol_configuration: configured, ...others } = patch;
  const named = protocols !== undefined || configured !== undefined;
  const merged = mergePatch(rest, others) as Record<string, unknown>;
  if (!named && kept) merged.protocol_configuration = kept;
  if (protocols !== undefined && protocols !== null) merged.protocols = protocols;
  // A client says with it which protocols there are, not which are added (contract/agents.md 5.4).
  if (configured !== undefined && configured !== null)
    merged.protocol_configuration = mergePatch(protocolsPatch === 'merge' ? kept : {}, configured);
  return readEndpoint(store, agent, merged);
}

/** What is kept of a patched object, as JSON; null where the patch takes it away. */
export function patchOf(
  kept: string | null,
  patch: object | null,
  read: (merged: unknown) => object,
): string | null {
  if (patch === null) return null;
  return JSON.stringify(read(mergePatch(kept === null ? {} : JSON.parse(kept), patch)));
}

/** RFC 7396: objects are merged, null takes a field away, all else is replaced. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) merged.delete(field);
    else merged.set(field, mergePatch(merged.get(field), value));
  }
  return Object.fromEntries(merged);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A card whose form has been checked, without what the API does not know. */
export function readCard(raw: unknown): Record<string, unknown> {
  const { version, description, skills } = bodyAs('AgentCardInput', raw, 'agent_card');
  return {
    version,
    ...(description === undefined ? {} : { description }),
    skills: skills.map(({ id, name, description: about, tags, examples }) => ({
      id,
      name,
      ...(about === undefined ? {} : { description: about }),
      ...(tags === undefined ? {} : { tags }),
      ...(examples === undefined ? {} : { examples }),
    })),
  };
}
