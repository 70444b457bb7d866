/** What `start` and `exec` can be told: by flag, by FOUNDRITE_* variable, by foundrite.yaml, in this order. */
import { isIP } from 'node:net';
import type { Instant } from '../emulator/clock.ts';
import { shown } from '../emulator/errors.ts';
import { type Configuration, readConfiguration } from './configuration.ts';
import { type Exit, together, usage } from './exit.ts';
import {
  DEFAULT_HOST,
  DEFAULT_PORT,
  DEFAULT_PROJECT,
  keyName,
  LOG_LEVELS,
  PROFILES,
  variableName,
} from './flags.ts';
import {
  control,
  hostNames,
  instant,
  numbersIn,
  oneOf,
  pairs,
  text,
  token,
  wholeNumber,
  yesOrNo,
} from './values.ts';

export interface StartOptions {
  port: number;
  host: string;
  dataDir?: string;
  durability: 'normal' | 'full';
  now?: Instant;
  rate: 0 | 1;
  skip: boolean;
  seed?: string;
  profile?: (typeof PROFILES)[number];
  switches: Record<string, string>;
  settings: Record<string, number | string>;
  empty: boolean;
  controlToken?: string;
  control: boolean;
  tlsNames: string[];
  cert?: string;
  key?: string;
  readyFile?: string;
  cors?: string;
  journalMax?: number;
  logLevel: (typeof LOG_LEVELS)[number];
  /** A change of foundrite.yaml is applied while it runs. */
  watch: boolean;
  agents?: Record<string, unknown>;
  assistants?: Record<string, unknown>;
  routines?: Record<string, unknown>;
  faults?: unknown[];
}

/** Of the command that `exec` runs. */
export interface ChildOptions {
  project: string;
  keepAzureEnv: boolean;
  identity: boolean;
}

export interface Defaults {
  port?: number;
  skip?: boolean;
  /** Keys of foundrite.yaml that this verb does not follow. */
  ignored?: readonly string[];
}

export interface ReadOptions {
  options: StartOptions;
  child: ChildOptions;
  /** By key of foundrite.yaml: the flag, variable or file that says it. A default is not in here. */
  origins: ReadonlyMap<string, string>;
  configuration: Configuration;
}

/** Told what is wrong; what it does not throw for counts as not said. */
export type OnProblem = (problem: Exit) => void;

export async function readStartOptions(
  flags: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
  defaults: Defaults = {},
): Promise<StartOptions> {
  const problems: Exit[] = [];
  const { options } = await readOptions(flags, env, defaults, (problem) => problems.push(problem));
  const [first, ...further] = problems;
  if (first !== undefined) throw together([first, ...further]);
  return options;
}

export async function readOptions(
  flags: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
  defaults: Defaults = {},
  onProblem: OnProblem = rethrow,
): Promise<ReadOptions> {
  const configuration = await readConfiguration(flags.config ?? env.FOUNDRITE_CONFIG, onProblem);
  const origins = new Map<string, string>();
  const fromFile = (name: string) =>
    defaults.ignored?.includes(name) ? undefined : configuration.value(name);
  const { path, placeOf } = configuration;
  const read = reader({ flags, env, fromFile, path, placeOf, origins, onProblem });

  const controlToken = read.value('controlToken', token);
  const controlled = read.yes('control', control);
  const options: StartOptions = {
    port: read.value('port', wholeNumber(0, 65_535)) ?? defaults.port ?? DEFAULT_PORT,
    host: read.value('host', text) ?? DEFAULT_HOST,
    durability: read.value('durability', oneOf('normal', 'full')) ?? 'normal',
    rate: read.value('rate', (value) => Number(oneOf('0', '1')(String(value))) as 0 | 1) ?? 1,
    skip: read.yes('skip') ?? defaults.skip ?? false,
    switches: read.merged('switch'),
    settings: numbersIn(read.merged('setting')),
    empty: read.yes('empty') ?? false,
    control: controlled === 'auto' ? controlToken !== undefined : (controlled ?? true),
    tlsNames: read.value('tlsName', hostNames) ?? [],
    logLevel: read.value('logLevel', oneOf(...LOG_LEVELS)) ?? 'warn',
    ...given('dataDir', read.value('dataDir', text)),
    ...given('now', read.value('now', instant)),
    ...given('seed', read.value('seed', text)),
    ...given('profile', read.value('profile', oneOf(...PROFILES))),
    ...given('controlToken', controlToken),
    ...given('cert', read.value('cert', text)),
    ...given('key', read.value('key', text)),
    ...given('readyFile', read.value('readyFile', text)),
    ...given('cors', read.value('cors', text)),
    ...given('journalMax', read.value('journalMax', wholeNumber(1, 10_000_000))),
    watch: read.yes('watch') ?? false,
    ...given('agents', configuration.agents),
    ...given('assistants', configuration.assistants),
    ...given('routines', configuration.routines),
    ...given('faults', configuration.faults),
  };
  const child = childOptions(read);
  try {
    refuseWhatDoesNotGoTogether(options, origins);
  } catch (error) {
    const said = ['host', 'cert', 'key', 'control_token', 'control'].find(
      (name) => origins.get(name) === `${name} in ${path}`,
    );
    onProblem(usage(`${said ? placeOf(said) : ''}${(error as Exit).message}`));
  }
  return { options, child, origins, configuration };
}

/** What `env` shares with `exec`, by flag and by variable. */
export function readChildOptions(
  flags: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
): ChildOptions {
  const fromFile = () => undefined;
  const origins = new Map<string, string>();
  const placeOf = () => '';
  const from = { flags, env, fromFile, path: '', placeOf, origins, onProblem: rethrow };
  return childOptions(reader(from));
}

function childOptions(read: Read): ChildOptions {
  return {
    project: read.value('project', text) ?? DEFAULT_PROJECT,
    keepAzureEnv: read.yes('keepAzureEnv') ?? false,
    identity: read.yes('identity') ?? true,
  };
}

function rethrow(problem: Exit): never {
  throw problem;
}

function refuseWhatDoesNotGoTogether(
  { cert, key, host, controlToken, control }: StartOptions,
  origins: ReadonlyMap<string, string>,
): void {
  if ((cert === undefined) !== (key === undefined)) {
    throw usage(
      `--${cert ? 'cert' : 'key'} needs --${cert ? 'key' : 'cert'} as well: a certificate is of no use without its key.`,
    );
  }
  const [ofToken, ofControl] = [origins.get('control_token'), origins.get('control')];
  // What goes before may turn off control for once; a token that is said beside it, or goes before, was meant to count.
  if (ofToken && ofControl && !control && precedence(ofToken) <= precedence(ofControl)) {
    const off = ofControl === '--control' ? '--no-control' : ofControl;
    throw usage(
      `${ofToken} is of no use: ${off} turns all control off. Leave out the one or the other.`,
    );
  }
  if (!isLoopback(host) && controlToken === undefined && control) {
    throw usage(
      `--host ${host} can be reached from other machines, and whoever reaches it could move time and set faults. ` +
        'Add --control-token TOKEN, or --no-control.',
    );
  }
}

/** Of where a value is from: 0 a flag, 1 a variable, 2 the file. */
function precedence(origin: string): number {
  if (origin.startsWith('--')) return 0;
  return origin.startsWith('FOUNDRITE_') ? 1 : 2;
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** An address that stands for all of the machine's. */
export function isEveryAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

interface Read {
  value<T>(key: string, parse: (value: unknown) => T): T | undefined;
  /** Pairs from everywhere; where a name is in two places, the one that goes before counts. */
  merged(key: string): Record<string, string>;
  /** `FOUNDRITE_NO_SKIP=true` says the same as `FOUNDRITE_SKIP=false`. */
  yes(key: string): boolean | undefined;
  yes<T>(key: string, parse: (value: unknown) => T): T | boolean | undefined;
}

interface Sources {
  flags: Record<string, unknown>;
  env: NodeJS.ProcessEnv;
  fromFile(name: string): unknown;
  /** Of the file. */
  path: string;
  placeOf(name: string): string;
  origins: Map<string, string>;
  onProblem: OnProblem;
}

/** A parser throws the reason; the reader adds where the value came from and what it was. */
function reader({ flags, env, fromFile, path, placeOf, origins, onProblem }: Sources): Read {
  type Said<T> = [value: unknown, from: string, parse: (value: unknown) => T];
  const inFile = (key: string) => `${keyName(key)} in ${path}`;
  const parsed = <T>(key: string, [value, from, parse]: Said<T>): T | undefined => {
    try {
      const one = parse(value);
      const before = origins.get(keyName(key));
      origins.set(keyName(key), before === undefined ? from : `${before} and ${from}`);
      return one;
    } catch (error) {
      const told = key === 'controlToken' ? 'no token' : shown(value);
      const where = from === inFile(key) ? `${placeOf(keyName(key))}${keyName(key)}` : from;
      onProblem(usage(`${where} is ${told}: ${(error as Error).message}`));
      return undefined;
    }
  };
  const first = <T>(key: string, said: Said<T>[]): T | undefined => {
    const found = said.find(([value]) => value !== undefined);
    return found && parsed(key, found);
  };
  const flag = (key: string) => [flags[key], `--${keyName(key).replaceAll('_', '-')}`] as const;
  // An empty variable is how many shells and CI systems say "not set".
  const variable = (key: string) =>
    [env[variableName(key)] || undefined, variableName(key)] as const;
  const file = (key: string) => [fromFile(keyName(key)), inFile(key)] as const;
  const everywhere = <T>(key: string, parse: (value: unknown) => T): Said<T>[] => [
    [...flag(key), parse],
    [...variable(key), parse],
    [...file(key), parse],
  ];
  return {
    value: (key, parse) => first(key, everywhere(key, parse)),
    merged: (key) => {
      const said = everywhere(key, pairs).filter(([value]) => value !== undefined);
      return Object.assign({}, ...said.map((each) => parsed(key, each)).reverse());
    },
    yes: <T>(key: string, parse: (value: unknown) => T | boolean = yesOrNo) =>
      first(key, [
        [...flag(key), parse],
        [...variable(key), parse],
        [...variable(`no-${key}`), (value) => !yesOrNo(value)],
        [...file(key), parse],
      ]),
  };
}

function given<K extends string, T>(key: K, value: T | undefined): { [key in K]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { [key in K]?: T };
}
