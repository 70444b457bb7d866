/** What `start` and `exec` can be told: by flag, by FOUNDRITE_* variable, by foundrite.yaml, in this order. */
import { isIP } from 'node:net';
import type { Command } from 'commander';
import type { Instant } from '../emulator/clock.ts';
import { shown } from '../emulator/errors.ts';
import { type Configuration, readConfiguration } from './configuration.ts';
import { usage } from './exit.ts';

export const PROFILES = ['lenient', 'v1preview', 'v2preview'] as const;
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export const DEFAULT_PORT = 3686;
export const DEFAULT_HOST = '127.0.0.1';

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
  agents?: Record<string, unknown>;
  faults?: unknown[];
}

/** Every one has a variable: `--data-dir` is FOUNDRITE_DATA_DIR, in foundrite.yaml `data_dir`. */
const FLAGS: [flags: string, help: string][] = [
  ['-p, --port <number>', `port; 0 picks a free one (${DEFAULT_PORT})`],
  [
    '--host <address>',
    `address to listen on; localhost means both loopback addresses (${DEFAULT_HOST})`,
  ],
  ['--data-dir <folder>', 'keep projects in files there (they live in memory)'],
  ['--durability <normal|full>', 'full survives a power cut, too (normal)'],
  ['--now <instant>', 'where the clock starts, e.g. 2026-06-01T07:00:00Z (now)'],
  ['--rate <0|1>', '1 moves time at the pace of the system, 0 stands still (1)'],
  ['--skip', 'time moves on to what is waited for (off; on for exec)'],
  ['--no-skip', 'it does not'],
  ['--seed <text>', 'decides ids and draws; the same seed gives the same run'],
  ['--profile <name>', `${PROFILES.join(', ')} (lenient)`],
  ['--switch <rule=value>', 'the value of one assumed rule; can be repeated'],
  ['--setting <name=value>', 'one duration, limit or policy of deliveries; can be repeated'],
  ['--empty', 'start without the demo agents'],
  ['--control-token <token>', 'what calls under /_emulator must bear'],
  ['--no-control', 'no calls under /_emulator at all'],
  ['--tls-name <name>', 'a further name for the certificate; can be repeated'],
  ['--cert <file>', 'bring your own certificate (PEM, with --key)'],
  ['--key <file>', 'its key (PEM)'],
  ['--ready-file <file>', 'write the ready line there, too'],
  ['--config <file>', 'instead of foundrite.yaml in this folder'],
  ['--cors <origin>', 'answer browsers of this origin; * is every one'],
  ['--journal-max <number>', 'how many lines the journal keeps'],
  [
    '--log-level <level>',
    `${LOG_LEVELS.join(', ')}; from info on, a line per request on stderr (warn)`,
  ],
];

export function addStartFlags(command: Command): Command {
  for (const [flags, help] of FLAGS) {
    if (help.endsWith('can be repeated')) command.option(flags, help, collect);
    else command.option(flags, help);
  }
  return command;
}

/** Not commander's variadic flags, which would swallow the command of `exec`. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Only what the user typed: commander fills in defaults for the `--no-…` flags. */
export function typedFlags(command: Command): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(command.opts()).filter(([key]) => command.getOptionValueSource(key) === 'cli'),
  );
}

export interface Defaults {
  port?: number;
  skip?: boolean;
  /** Keys of foundrite.yaml that this verb does not follow. */
  ignored?: readonly string[];
}

export async function readStartOptions(
  flags: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
  defaults: Defaults = {},
): Promise<StartOptions> {
  const configuration = await readConfiguration(flags.config ?? env.FOUNDRITE_CONFIG);
  const read = reader(flags, env, configuration, defaults.ignored ?? []);

  const options: StartOptions = {
    port: read('port', wholeNumber(0, 65_535)) ?? defaults.port ?? DEFAULT_PORT,
    host: read('host', text) ?? DEFAULT_HOST,
    durability: read('durability', oneOf('normal', 'full')) ?? 'normal',
    rate: read('rate', (value) => Number(oneOf('0', '1')(String(value))) as 0 | 1) ?? 1,
    skip: read('skip', yesOrNo) ?? defaults.skip ?? false,
    switches: read('switch', pairs) ?? {},
    settings: numbersIn(read('setting', pairs) ?? {}),
    empty: read('empty', yesOrNo) ?? false,
    control: read('control', yesOrNo) ?? !(read('noControl', yesOrNo) ?? false),
    tlsNames: read('tlsName', hostNames) ?? [],
    logLevel: read('logLevel', oneOf(...LOG_LEVELS)) ?? 'warn',
    ...given('dataDir', read('dataDir', text)),
    ...given('now', read('now', instant)),
    ...given('seed', read('seed', text)),
    ...given('profile', read('profile', oneOf(...PROFILES))),
    ...given('controlToken', read('controlToken', text)),
    ...given('cert', read('cert', text)),
    ...given('key', read('key', text)),
    ...given('readyFile', read('readyFile', text)),
    ...given('cors', read('cors', text)),
    ...given('journalMax', read('journalMax', wholeNumber(1, 10_000_000))),
    ...given('agents', configuration.agents),
    ...given('faults', configuration.faults),
  };
  refuseWhatDoesNotGoTogether(options);
  return options;
}

function refuseWhatDoesNotGoTogether({
  cert,
  key,
  host,
  controlToken,
  control,
}: StartOptions): void {
  if ((cert === undefined) !== (key === undefined)) {
    throw usage(
      `--${cert ? 'cert' : 'key'} needs --${cert ? 'key' : 'cert'} as well: a certificate is of no use without its key.`,
    );
  }
  if (!isLoopback(host) && controlToken === undefined && control) {
    throw usage(
      `--host ${host} can be reached from other machines, and whoever reaches it could move time and set faults. ` +
        'Add --control-token TOKEN, or --no-control.',
    );
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

type Read = <T>(key: string, parse: (value: unknown) => T) => T | undefined;

/** A parser throws the reason; the reader adds where the value came from and what it was. */
function reader(
  flags: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
  configuration: Configuration,
  ignored: readonly string[],
): Read {
  return (key, parse) => {
    const name = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const variable = `FOUNDRITE_${name.toUpperCase()}`;
    const sources: [value: unknown, from: string][] = [
      [flags[key], `--${name.replaceAll('_', '-')}`],
      // An empty variable is how many shells and CI systems say "not set".
      [env[variable] === '' ? undefined : env[variable], variable],
      [
        ignored.includes(name) ? undefined : configuration.value(name),
        `${name} in ${configuration.path}`,
      ],
    ];
    const found = sources.find(([value]) => value !== undefined);
    if (!found) return undefined;
    try {
      return parse(found[0]);
    } catch (error) {
      throw usage(`${found[1]} is ${shown(found[0])}: ${(error as Error).message}`);
    }
  };
}

function given<K extends string, T>(key: K, value: T | undefined): { [key in K]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { [key in K]?: T };
}

function text(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw new Error('write a text.');
  return String(value);
}

function wholeNumber(min: number, max: number): (value: unknown) => number {
  return (value) => {
    const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max))
      throw new Error(`write a whole number from ${min} to ${max}.`);
    return number;
  };
}

function oneOf<const T extends string>(...values: T[]): (value: unknown) => T {
  return (value) => {
    if (!values.includes(value as T)) throw new Error(`write one of ${values.join(', ')}.`);
    return value as T;
  };
}

function yesOrNo(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  if (value === '1' || value === 'true') return true;
  if (value === '0' || value === 'false') return false;
  throw new Error('write true or false.');
}

const INSTANT = /^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d))$/;

export function instant(value: unknown): Instant {
  const at = typeof value === 'string' && INSTANT.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at)) throw new Error('write date, time and zone, like 2026-06-01T07:00:00Z.');
  return at;
}

/** `a=1` by flag (repeated), `a=1,b=2` by variable, a mapping in the file. */
function pairs(value: unknown): Record<string, string> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, text(one)]));
  }
  const written = Array.isArray(value) ? value.map(String) : String(value).split(/[,\n]/);
  return Object.fromEntries(
    written
      .map((pair) => pair.trim())
      .filter((pair) => pair !== '')
      .map((pair) => {
        const cut = pair.indexOf('=');
        if (cut < 1) throw new Error(`write name=value; ${shown(pair)} is not.`);
        return [pair.slice(0, cut).trim(), pair.slice(cut + 1).trim()];
      }),
  );
}

function numbersIn(settings: Record<string, string>): Record<string, number | string> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value,
    ]),
  );
}

const HOST_NAME =
  /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

function hostNames(value: unknown): string[] {
  const names = Array.isArray(value) ? value.map(String) : String(value).split(',');
  return names.map((written) => {
    const name = written.trim();
    if (isIP(name) === 0 && !HOST_NAME.test(name)) {
      throw new Error(`write a host name or an address; ${shown(name)} is neither.`);
    }
    return name;
  });
}
