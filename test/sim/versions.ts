/** What a body may say of a version, and what it then means. */
import type { Json } from './definition.ts';
import type { Refusal } from './step.ts';

/** What a body says of a version. */
export interface Told {
  kind: string;
  /** The definition as it is answered. */
  shown: Json;
  sameness: string;
  protocols: string[] | undefined;
  idleAfter: number | undefined;
  description: string;
  metadata: Json;
  draft: boolean;
}

const KINDS = ['hosted', 'prompt', 'workflow', 'external'];

/** What is told, or every rule that the body breaks: of several, any may be the one that is answered. */
export function readVersion(agent: string, body: Json): Told | Refusal[] {
  const broken: Refusal[] = [];
  const { definition, description = '', metadata = {}, draft = false } = body;
  if (String(description).length > 512) broken.push([400, 'agent/description-max-512']);
  if (Object.values(metadata as Json).some((value) => typeof value !== 'string'))
    broken.push([400, 'agent/metadata-limits']);
  if (typeof draft !== 'boolean') broken.push([400, 'agent/draft-is-boolean']);
  if (definition === undefined) return [...broken, [400, 'agent/definition-required']];
  const { kind } = definition as Json;
  if (!KINDS.includes(String(kind))) return [...broken, [400, 'agent/kind-known']];
  const told = { description, metadata, draft } as Told;
  Object.assign(told, readKind(agent, definition as Json, broken));
  return broken.length > 0 ? broken : told;
}

function readKind(agent: string, definition: Json, broken: Refusal[]) {
  const { kind } = definition;
  if (kind === 'hosted') return readHosted(definition, broken);
  // contract 6.3: an external agent is read with its id resolved.
  const shown = kind === 'external' ? { otel_agent_id: agent, ...definition } : definition;
  return { kind, shown, sameness: canonical(shown), protocols: undefined, idleAfter: undefined };
}

/** agent/both-spellings: the older and the newer names of image and protocols mean the same, and both are answered. */
function readHosted(definition: Json, broken: Refusal[]) {
  const {
    image: older,
    container_protocol_versions,
    container_configuration,
    protocol_versions = container_protocol_versions,
    ...rest
  } = definition;
  const { cpu, memory, session_configuration } = rest;
  const container = (container_configuration ?? { image: older }) as Json;
  const [cores, gibibytes] = [Number.parseFloat(String(cpu)), Number.parseFloat(String(memory))];
  if (gibibytes !== cores * 2) broken.push([400, 'agent/resource-tier']);
  const { idle_timeout_seconds } = (session_configuration ?? {}) as Json;
  const protocols = (protocol_versions as Json[] | undefined)?.map(({ protocol }) =>
    String(protocol),
  );
  const shown = {
    ...rest,
    image: container.image,
    container_configuration: container,
    ...(protocol_versions !== undefined && {
      container_protocol_versions: protocol_versions,
      protocol_versions,
    }),
  };
  const sameness = canonical({ ...shown, cpu: cores, memory: gibibytes });
  const idleAfter = idle_timeout_seconds === undefined ? undefined : Number(idle_timeout_seconds);
  return {
    kind: 'hosted',
    shown,
    sameness,
    protocols,
    idleAfter: idleAfter === undefined ? undefined : idleAfter * 1_000,
  };
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, one]) => `${key}:${canonical(one)}`).join()}}`;
}
