/** foundrite.yaml: the flags of `start` under their own names, and what only a file can say (agents, faults). */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { usage } from './exit.ts';

export const CONFIGURATION_FILE = 'foundrite.yaml';

/** Keys as `options.ts` asks for them; `switches`, `settings` and `tls_names` are the plurals that read better in a file. */
const KEYS = [
  'port',
  'host',
  'data_dir',
  'durability',
  'now',
  'rate',
  'skip',
  'seed',
  'profile',
  'switch',
  'setting',
  'empty',
  'control_token',
  'control',
  'tls_name',
  'cert',
  'key',
  'ready_file',
  'cors',
  'journal_max',
  'log_level',
];
const PATHS = ['data_dir', 'cert', 'key', 'ready_file'];
const PLURALS: Record<string, string> = {
  switches: 'switch',
  settings: 'setting',
  tls_names: 'tls_name',
};

export interface Configuration {
  path: string;
  value(name: string): unknown;
  agents: Record<string, unknown> | undefined;
  faults: unknown[] | undefined;
}

/** The file named, or foundrite.yaml of this folder if there is one. */
export async function readConfiguration(named: unknown): Promise<Configuration> {
  const path = typeof named === 'string' && named !== '' ? named : CONFIGURATION_FILE;
  if (!existsSync(path)) {
    if (path !== CONFIGURATION_FILE)
      throw usage(`The configuration "${path}" (--config, FOUNDRITE_CONFIG) is not there.`);
    return configurationOf(path, {});
  }
  const { parseDocument } = await import('yaml');
  const document = parseDocument(readFileSync(path, 'utf8'), { version: '1.2', uniqueKeys: true });
  const error = document.errors[0];
  if (error) throw usage(`${path} is not YAML: ${error.message.trim()}`);
  const content: unknown = document.toJS() ?? {};
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw usage(`${path} holds no mapping: write lines like "port: 3686".`);
  }
  return configurationOf(path, content as Record<string, unknown>);
}

function configurationOf(path: string, content: Record<string, unknown>): Configuration {
  const values = new Map<string, unknown>();
  let agents: Record<string, unknown> | undefined;
  let faults: unknown[] | undefined;
  for (const [written, value] of Object.entries(content)) {
    const name = written.replaceAll('-', '_');
    const key = PLURALS[name] ?? name;
    if (name === 'agents') agents = mapping(path, value);
    else if (name === 'faults') faults = list(path, value);
    else if (KEYS.includes(key))
      values.set(key, PATHS.includes(key) ? inFolderOf(path, value) : (value ?? undefined));
    else
      throw usage(
        `${path}: there is no key "${written}". It can have: ${[...KEYS, 'agents', 'faults'].join(', ')}.`,
      );
  }
  return {
    path,
    value: (name) => values.get(name),
    agents,
    faults,
  };
}

/** A relative path counts from the file that says it, wherever the command is run. */
function inFolderOf(path: string, value: unknown): unknown {
  return typeof value === 'string' ? resolve(dirname(path), value) : (value ?? undefined);
}

function mapping(path: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw usage(`${path}: "agents" is a mapping from an agent's name to what it is.`);
}

function list(path: string, value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw usage(`${path}: "faults" is a list; the first entry that matches wins.`);
}
