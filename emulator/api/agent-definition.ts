/** What a version runs, as callers write it: each rule of a definition with its refusal (contract/agents.md 6). */
import { ApiError, invalid, shown } from '../errors.ts';
import type { World } from '../world.ts';
import { sameInBoth } from './agent-endpoint.ts';

export type Definition = Record<string, unknown> & { kind: string };

/** contract/agents.md 6.2. */
const TOOLS_MAX = 128;

const COMMON = ['kind', 'rai_config'];

/** The fields of each kind: what else a caller sends is not kept. */
const FIELDS: Record<string, readonly string[]> = {
  hosted: [
    'cpu',
    'memory',
    'image',
    'container_configuration',
    'code_configuration',
    'container_protocol_versions',
    'protocol_versions',
    'environment_variables',
    'tools',
    'telemetry_config',
    'session_configuration',
    'enable_memory_snapshot',
  ],
  prompt: [
    'model',
    'instructions',
    'temperature',
    'top_p',
    'reasoning',
    'tools',
    'tool_choice',
    'text',
    'structured_inputs',
    'harness',
    'skills',
  ],
  workflow: ['workflow'],
  external: ['otel_agent_id'],
};

/** Fields of the objects whose form the API names; all other objects are the caller's own. */
const FIELDS_WITHIN: Record<string, readonly string[]> = {
  rai_config: ['rai_policy_name', 'invocations_moderation'],
  container_configuration: ['image', 'registry_connection_id'],
  code_configuration: ['runtime', 'entry_point', 'dependency_resolution'],
  session_configuration: ['idle_timeout_seconds'],
};

/**
 * A definition whose form has been checked, with every derived field and none that the API does not know. `codeSha256` is
 * the digest of the code that came with it.
 */
export function readDefinition(
  world: World,
  agent: string,
  raw: Definition,
  codeSha256: string | undefined,
): Definition {
  const known = knownFields(raw);
  requireFewTools(known.tools);
  if (known.kind === 'external') return { ...known, otel_agent_id: known.otel_agent_id ?? agent };
  if (known.kind !== 'hosted') {
    if (codeSha256 !== undefined) throw notForCode(raw.kind);
    return known;
  }
  requireTier(known, world.profile.settings.cpu_max);
  requireEnvironment(known.environment_variables as Record<string, string> | undefined);
  return { ...known, ...contentOf(known, codeSha256), ...protocolsOf(known) };
}

function knownFields(raw: Definition): Definition {
  const fields = [...COMMON, ...(FIELDS[raw.kind] ?? [])];
  const known = Object.entries(pick(raw, fields)).map(([field, value]) => {
    const within = FIELDS_WITHIN[field];
    return [field, within === undefined ? value : pick(value as object, within)];
  });
  return Object.fromEntries(known) as Definition;
}

function pick(value: object, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([field]) => fields.includes(field)));
}

function requireFewTools(tools: unknown): void {
  const count = Array.isArray(tools) ? tools.length : 0;
  if (count <= TOOLS_MAX) return;
  throw new ApiError({
    status: 400,
    code: 'tool_limit_exceeded',
    message: `definition.tools has ${count} tools. An agent has at most ${TOOLS_MAX}.`,
    param: 'definition.tools',
    rule: 'agent/tools-max-128',
  });
}

/** vCPUs come in quarters, and each has 2 GiB (contract/agents.md 6.1). */
function requireTier({ cpu, memory }: Definition, cpuMax: number): void {
  const cpus = cpusOf(cpu);
  const gib = gibOf(memory);
  if (cpus >= 0.25 && cpus <= cpuMax && Number.isInteger(cpus * 4) && gib === 2 * cpus) return;
  throw new ApiError({
    status: 400,
    code: 'bad_request',
    message: `CPU and Memory must be specified as a valid resource tier: cpu ${shown(cpu)} with memory ${shown(memory)} is none. Use 0.25 to ${cpuMax} in steps of 0.25, and twice as many Gi, such as "1" with "2Gi".`,
    param: cpus >= 0.25 && cpus <= cpuMax ? 'definition.memory' : 'definition.cpu',
    rule: 'agent/resource-tier',
  });
}

function cpusOf(cpu: unknown): number {
  return /^\d{1,3}(?:\.\d{1,3})?$/.test(String(cpu)) ? Number(cpu) : Number.NaN;
}

function gibOf(memory: unknown): number {
  const [, size, unit] = /^(\d{1,6}(?:\.\d{1,3})?)(Gi|Mi)$/.exec(String(memory)) ?? [];
  return unit === 'Mi' ? Number(size) / 1_024 : Number(size);
}

const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const RESERVED_NAME = /^(?:FOUNDRY_|AGENT_)|^PORT$/;

function requireEnvironment(variables: Record<string, string> = {}): void {
  for (const name of Object.keys(variables)) {
    const param = `definition.environment_variables.${name}`;
    if (!ENVIRONMENT_NAME.test(name))
      throw invalid(
        `An environment variable cannot be named ${shown(name)}. Use letters, digits and '_', not beginning with a digit.`,
        param,
        'agent/environment-name-form',
      );
    if (RESERVED_NAME.test(name))
      throw new ApiError({
        status: 400,
        code: 'EnvVarReserved',
        message: `The environment variable ${shown(name)} is the platform's own. Use a name that is not PORT and does not begin with FOUNDRY_ or AGENT_.`,
        param,
        rule: 'agent/environment-name-reserved',
      });
  }
}

/** What is run: a container in both spellings, or code. */
function contentOf(
  { image, container_configuration, code_configuration }: Definition,
  codeSha256: string | undefined,
): Record<string, unknown> {
  const container = container_configuration as { image?: string } | undefined;
  const isContainer = image !== undefined || container !== undefined;
  if (isContainer === (code_configuration !== undefined))
    throw invalid(
      `A hosted definition has exactly one of container_configuration (or image) and code_configuration.${isContainer ? '' : ' Clients from 2.2 on send container_configuration and drop image.'}`,
      'definition.container_configuration',
      'agent/container-or-code',
    );
  if (isContainer) {
    if (codeSha256 !== undefined) throw notForCode('hosted');
    const [one] = sameInBoth(image, container?.image, 'definition', [
      'image',
      'container_configuration.image',
    ]);
    return { image: one, container_configuration: { ...container, image: one } };
  }
  if (codeSha256 === undefined)
    throw invalid(
      'A definition with code_configuration comes with its code. Send multipart/form-data with the parts metadata and code.',
      'definition.code_configuration',
      'code/comes-with-its-definition',
    );
  const code = code_configuration as object;
  return {
    code_configuration: { dependency_resolution: 'bundled', ...code, content_hash: codeSha256 },
  };
}

function notForCode(kind: string): ApiError {
  return invalid(
    `Code came with a ${kind} definition without code_configuration. Say there how it is run.`,
    'definition.code_configuration',
    'code/comes-with-its-definition',
  );
}

/** The protocols of both spellings, as one list. */
function protocolsOf({
  protocol_versions,
  container_protocol_versions,
}: Definition): Record<string, unknown> {
  const listed = sameInBoth(
    entriesOf(protocol_versions),
    entriesOf(container_protocol_versions),
    'definition',
    ['protocol_versions', 'container_protocol_versions'],
  )[0];
  if (listed === undefined) return {};
  return { protocol_versions: listed, container_protocol_versions: listed };
}

function entriesOf(list: unknown): object[] | undefined {
  return (list as object[] | undefined)?.map((entry) => pick(entry, ['protocol', 'version']));
}

/** Definitions that would run alike are the same (contract/agents.md 8.1): `"1"` and `"1.0"` are one number. */
export function comparable(definition: Definition): Definition {
  if (definition.kind !== 'hosted') return definition;
  return { ...definition, cpu: cpusOf(definition.cpu), memory: gibOf(definition.memory) };
}
