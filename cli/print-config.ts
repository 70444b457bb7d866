/** `--print-config`: what `start` or `exec` would go by, as a foundrite.yaml that says where each value is from. */
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import { foundriteHome } from '../emulator/certificate.ts';
import { isoInstant } from '../emulator/clock.ts';
import { agentsWithoutSecrets } from '../emulator/replies.ts';
import { KEYS, PATHS, PLURALS } from './configuration.ts';
import { keyName, PROFILES } from './flags.ts';
import { readToLaunch } from './launch.ts';
import type { Defaults, ReadOptions } from './options.ts';

/** In the place of what must not stand in the log of a build. */
const MASK = '(not shown)';
const SECRETS = ['control_token'];

/** User and password of an address in a definition. */
const USER_IN_URL = /(?<=https?:\/\/)[^/@\s"']+(?=@)/g;
/** The line of an address whose secrets are not shown: it must not be taken for the address. */
const MASKED = /^( *)(.*:\/\/not-shown@.*)$/gm;

export type Verb = 'start' | 'exec';

export async function printConfig(
  verb: Verb,
  flags: Record<string, unknown>,
  defaults: Defaults = {},
): Promise<void> {
  const read = await readToLaunch(flags, process.env, defaults);
  process.stdout.write(configText(verb, read, defaults.ignored));
}

/** Read again as a foundrite.yaml it says the same, but for what is not shown. */
export function configText(
  verb: Verb,
  { options, child, origins, configuration }: ReadOptions,
  ignored: readonly string[] = [],
): string {
  const { agents, assistants, routines, faults, ...values } = options;
  const said = Object.entries({
    profile: PROFILES[0],
    ...values,
    ...(verb === 'exec' ? child : {}),
  });
  const lines = said.map(([key, value]) => {
    const name = keyName(key);
    const from = origins.get(PLURALS[name] ?? name) ?? 'default';
    if (SECRETS.includes(name)) return `# ${name}: ${MASK}  # ${from}`;
    const line = `${name}: ${inLine(plain(name, value))}  # ${from}`;
    return ignored.includes(name) ? `# ${line}; ${verb} takes it by flag or variable alone` : line;
  });
  const named = {
    agents: agents && agentsWithoutSecrets(agents),
    assistants: assistants && agentsWithoutSecrets(assistants),
    routines,
    faults,
  };
  const blocks = Object.entries(named).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [
          `# ${name} in ${configuration.path}`,
          stringify({ [name]: value }, { lineWidth: 0 }).trim(),
        ],
  );
  const there = said.map(([key]) => PLURALS[keyName(key)] ?? keyName(key));
  const ofVerb = KEYS.filter((name) => verb === 'exec' || !CHILD_KEYS.includes(name));
  return [
    `# What foundrite ${verb} goes by: a flag before a variable, a variable before the file, the file before the default.`,
    ...lines,
    ...blocks.map((block) =>
      block.replaceAll(USER_IN_URL, 'not-shown').replaceAll(MASKED, '$1# $2'),
    ),
    `# not set: ${ofVerb.filter((name) => !there.includes(name)).join(', ')}`,
    `# kept for this user (certificates): ${foundriteHome()}`,
    '',
  ].join('\n');
}

const CHILD_KEYS = ['project', 'keep_azure_env', 'identity'];

/** JSON is YAML, too: for a text that would take more than a line. */
function inLine(value: unknown): string {
  const written = stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim();
  return written.includes('\n') ? JSON.stringify(value) : written;
}

/** Instants as people write them; paths so that the text may be kept in any folder. */
function plain(name: string, value: unknown): unknown {
  if (name === 'now') return isoInstant(value as number);
  return PATHS.includes(name) ? resolve(String(value)) : value;
}
