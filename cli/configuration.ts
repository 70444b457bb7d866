/** foundrite.yaml: the flags of `start` under their own names, and what only a file can say (agents, assistants, routines, faults). */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { ConfigurationProblem } from '../contracts/configuration.ts';
import { type Key, pathIn } from '../contracts/field-path.ts';
import { near } from '../contracts/near.ts';
import { type Exit, usage } from './exit.ts';
import { readYaml, type Written } from './yaml-text.ts';

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
  'watch',
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

/** What a file alone can say, of every new world. */
const NAMED = ['agents', 'assistants', 'routines'];
const WORLD_KEYS = [...NAMED, 'faults'];

export interface Configuration {
  path: string;
  /** Whether there is such a file. */
  there: boolean;
  /** As it was read. */
  text: string | undefined;
  value(name: string): unknown;
  agents: Record<string, unknown> | undefined;
  assistants: Record<string, unknown> | undefined;
  routines: Record<string, unknown> | undefined;
  faults: unknown[] | undefined;
  /** `foundrite.yaml:3:7: ` before a sentence about a field such as `agents.digest.kind`; empty where the file does not hold it. */
  placeOf(param: string): string;
}

/**
 * The file named, or foundrite.yaml of this folder if there is one. What is wrong goes to `onProblem`; where that does not throw,
 * the rest of the file counts.
 */
export async function readConfiguration(
  named: unknown,
  onProblem: (problem: Exit) => void,
): Promise<Configuration> {
  const path = pathOf(named);
  if (!existsSync(path)) {
    if (path !== CONFIGURATION_FILE)
      onProblem(usage(`The configuration "${path}" (--config, FOUNDRITE_CONFIG) is not there.`));
    return configurationOf(path, undefined, undefined, onProblem);
  }
  const text = textOf(path, onProblem);
  const written = text === undefined ? undefined : await contentOf(path, text, onProblem);
  return configurationOf(path, text, written, onProblem);
}

function textOf(path: string, onProblem: (problem: Exit) => void): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    onProblem(usage(`${path} cannot be read: ${(error as Error).message}.`));
    return undefined;
  }
}

/** Where the configuration is, or would be. */
export function pathOf(named: unknown): string {
  return typeof named === 'string' && named !== '' ? named : CONFIGURATION_FILE;
}

async function contentOf(
  path: string,
  text: string,
  onProblem: (problem: Exit) => void,
): Promise<Written | undefined> {
  const { documents, problems } = await readYaml(text, path);
  for (const problem of problems) onProblem(usage(problem));
  const [written, second] = documents;
  if (second)
    onProblem(usage(`${second.placeOf([])}: a configuration is one document; leave out "---".`));
  if (written === undefined || written.value === null) return undefined;
  if (isMapping(written.value)) return written;
  onProblem(usage(`${written.placeOf([])}: this is no mapping: write lines like "port: 3686".`));
  return undefined;
}

function configurationOf(
  path: string,
  text: string | undefined,
  written: Written | undefined,
  onProblem: (problem: Exit) => void,
): Configuration {
  const content = (written?.value ?? {}) as Record<string, unknown>;
  const tell = (key: string, message: string) =>
    onProblem(usage(`${written?.placeOf([key])}: ${message}`));
  const values = new Map<string, unknown>();
  for (const [key, value] of Object.entries(content)) {
    const name = nameOf(key);
    if (NAMED.includes(name)) {
      if (!isMapping(value ?? {})) tell(key, `${name} is a mapping from each name to what it is.`);
      else values.set(name, value ?? undefined);
    } else if (name === 'faults') {
      if (Array.isArray(value ?? [])) values.set(name, value ?? undefined);
      else tell(key, 'faults is a list; the first entry that matches wins.');
    } else if (KEYS.includes(name))
      values.set(name, PATHS.includes(name) ? inFolderOf(path, value) : (value ?? undefined));
    else {
      const known = [...KEYS, ...WORLD_KEYS];
      const said = near(key.replaceAll('-', '_'), known);
      tell(key, `there is no key "${key}".${said} It can have: ${known.join(', ')}.`);
    }
  }
  return {
    path,
    there: existsSync(path),
    text,
    value: (name) => values.get(name),
    agents: values.get('agents') as Record<string, unknown> | undefined,
    assistants: values.get('assistants') as Record<string, unknown> | undefined,
    routines: values.get('routines') as Record<string, unknown> | undefined,
    faults: values.get('faults') as unknown[] | undefined,
    placeOf(param) {
      const [top = '', below = ''] = /^([^.[]*)\.?(.*)$/s.exec(param)?.slice(1) ?? [];
      const key = Object.keys(content).find((each) => nameOf(each) === nameOf(top));
      if (key === undefined || written === undefined) return '';
      const keys: Key[] = [key, ...pathIn(content[key], below)];
      return `${written.placeOf(keys)}: `;
    },
  };
}

/** What is wrong with what the file says of worlds, with its place and with what may have been meant. */
export function placed(
  { param, message, known }: ConfigurationProblem,
  configuration: Configuration,
): Exit {
  const place = isSaidIn(configuration, param) ? configuration.placeOf(param) : '';
  const slip = known === undefined ? '' : near(/[^.]*$/.exec(param)?.[0] ?? '', known);
  return usage(`${place}${message}${slip}`);
}

/** One switch or setting may be said by a flag or a variable, beside others that the file says. */
function isSaidIn(configuration: Configuration, param: string): boolean {
  const [, key = '', name = ''] = /^(switches|settings)\.(.*)$/.exec(param) ?? [];
  const said = configuration.value(nameOf(key));
  return !isMapping(said) || Object.hasOwn(said, name);
}

/** A key is written with _ or -, and some in the plural. */
function nameOf(key: string): string {
  const name = key.replaceAll('-', '_');
  return PLURALS[name] ?? name;
}

/** A relative path counts from the file that says it, wherever the command is run. */
function inFolderOf(path: string, value: unknown): unknown {
  return typeof value === 'string' ? resolve(dirname(path), value) : (value ?? undefined);
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
