/** foundrite.yaml: the flags of `start` under their own names, and what only a file can say (agents, faults). */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Exit, usage } from './exit.ts';
import { near } from './near.ts';

export const CONFIGURATION_FILE = 'foundrite.yaml';

/** Keys as `options.ts` asks for them; `switches`, `settings` and `tls_names` are the plurals that read better in a file. */
export const KEYS = [
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
  // These three are for the command of "exec".
  'project',
  'keep_azure_env',
  'identity',
];
export const PATHS = ['data_dir', 'cert', 'key', 'ready_file'];
export const PLURALS: Record<string, string> = {
  switches: 'switch',
  settings: 'setting',
  tls_names: 'tls_name',
};

export interface Configuration {
  path: string;
  /** Whether there is such a file. */
  there: boolean;
  value(name: string): unknown;
  agents: Record<string, unknown> | undefined;
  faults: unknown[] | undefined;
}

/**
 * The file named, or foundrite.yaml of this folder if there is one. What is wrong goes to `onProblem`; where that does not throw,
 * the rest of the file counts.
 */
export async function readConfiguration(
  named: unknown,
  onProblem: (problem: Exit) => void,
): Promise<Configuration> {
  const path = typeof named === 'string' && named !== '' ? named : CONFIGURATION_FILE;
  if (!existsSync(path)) {
    if (path !== CONFIGURATION_FILE)
      onProblem(usage(`The configuration "${path}" (--config, FOUNDRITE_CONFIG) is not there.`));
    return configurationOf(path, {}, onProblem);
  }
  return configurationOf(path, await contentOf(path, onProblem), onProblem);
}

async function contentOf(
  path: string,
  onProblem: (problem: Exit) => void,
): Promise<Record<string, unknown>> {
  const { parseDocument } = await import('yaml');
  let written: string;
  try {
    written = readFileSync(path, 'utf8');
  } catch (error) {
    onProblem(usage(`${path} cannot be read: ${(error as Error).message}.`));
    return {};
  }
  const document = parseDocument(written, { version: '1.2', uniqueKeys: true });
  const error = document.errors[0];
  if (error) {
    // Below its first line comes the place, drawn.
    const reason = error.message.split('\n', 1)[0]?.replace(/:$/, '');
    onProblem(usage(`${path} is not YAML: ${reason}.`));
    return {};
  }
  const content: unknown = document.toJS() ?? {};
  if (!isMapping(content)) {
    onProblem(usage(`${path} holds no mapping: write lines like "port: 3686".`));
    return {};
  }
  return content;
}

function configurationOf(
  path: string,
  content: Record<string, unknown>,
  onProblem: (problem: Exit) => void,
): Configuration {
  const values = new Map<string, unknown>();
  let agents: Record<string, unknown> | undefined;
  let faults: unknown[] | undefined;
  for (const [written, value] of Object.entries(content)) {
    const name = written.replaceAll('-', '_');
    const key = PLURALS[name] ?? name;
    if (name === 'agents') {
      if (isMapping(value)) agents = value;
      else onProblem(usage(`${path}: "agents" is a mapping from an agent's name to what it is.`));
    } else if (name === 'faults') {
      if (Array.isArray(value)) faults = value;
      else onProblem(usage(`${path}: "faults" is a list; the first entry that matches wins.`));
    } else if (KEYS.includes(key))
      values.set(key, PATHS.includes(key) ? inFolderOf(path, value) : (value ?? undefined));
    else {
      const keys = [...KEYS, 'agents', 'faults'];
      onProblem(
        usage(
          `${path}: there is no key "${written}".${near(name, keys)} It can have: ${keys.join(', ')}.`,
        ),
      );
    }
  }
  return {
    path,
    there: existsSync(path),
    value: (name) => values.get(name),
    agents,
    faults,
  };
}

/** A relative path counts from the file that says it, wherever the command is run. */
function inFolderOf(path: string, value: unknown): unknown {
  return typeof value === 'string' ? resolve(dirname(path), value) : (value ?? undefined);
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
