/** An emulator behind a port, as `start` and `exec` both need it. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { ConfigurationProblem } from '../contracts/configuration.ts';
import { type Certificate, loadCertificate, ownCertificate } from '../emulator/certificate.ts';
import type { Emulator, EmulatorOptions, Reconfiguration } from '../emulator/emulator.ts';
import type { Fetch, Serving } from '../emulator/server.ts';
import { type Configuration, placed } from './configuration.ts';
import { EXIT, Exit, together, usage } from './exit.ts';
import {
  type Defaults,
  isEveryAddress,
  isLoopback,
  type ReadOptions,
  readOptions,
  type StartOptions,
} from './options.ts';

export interface Launched {
  serving: Serving;
  emulator: Emulator;
  certificate: Certificate;
  close(): Promise<void>;
}

export async function launch(options: StartOptions, identitySecret?: string): Promise<Launched> {
  const [{ createEmulator }, { serve }, certificate] = await Promise.all([
    import('../emulator/emulator.ts'),
    import('../emulator/server.ts'),
    certificateFor(options),
  ]);
  const caPem = () => certificate.caPem;
  const emulator = create(createEmulator, emulatorOptions(options, caPem, identitySecret));
  try {
    const serving = await serve({
      fetch: await wrapped(emulator, options),
      host: options.host,
      port: options.port,
      tls: () => certificate,
      onTlsRefused: hintOnce(certificate, options),
    });
    emulator.listening(serving.url);
    if (isEveryAddress(options.host)) report(options, answersTo(options.tlsNames));
    return {
      serving,
      emulator,
      certificate,
      async close() {
        await serving.close();
        await emulator.close();
      },
    };
  } catch (error) {
    await emulator.close();
    throw foreseen(error);
  }
}

function foreseen(error: unknown): unknown {
  const { name, message } = error as Error;
  return name === 'ListenError' ? new Exit(EXIT.machine, message) : error;
}

/** From outside it is called by names that it cannot know of. */
function answersTo(tlsNames: readonly string[]): string {
  const names = ['localhost', '127.0.0.1', ...tlsNames].join(', ');
  return `It answers to ${names}; a call by another name or address gets 421. Add those that you use: --tls-name NAME.`;
}

/** What a start goes by; throws all that is wrong with it. */
export async function readToLaunch(
  flags: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
  defaults: Defaults = {},
): Promise<ReadOptions> {
  const problems: Exit[] = [];
  const read = await readOptions(flags, env, defaults, (problem) => problems.push(problem));
  problems.push(...(await optionProblems(read)));
  const [first, ...further] = problems;
  if (first !== undefined) throw together([first, ...further]);
  return read;
}

/** What the emulator itself refuses: an unknown switch, a routine that never fires. No port and no folder is touched. */
export async function optionProblems({ options, configuration }: ReadOptions): Promise<Exit[]> {
  const { createEmulator } = await import('../emulator/emulator.ts');
  const { dataDir: _folder, ...rest } = options;
  const told = emulatorOptions(rest, () => '', undefined);
  try {
    await createEmulator(told).close();
    return [];
  } catch (error) {
    return refusals(error, configuration);
  }
}

/** Of an OptionError; anything else is thrown on. */
function refusals(error: unknown, configuration: Configuration): Exit[] {
  const { name, problems } = error as { name?: string; problems?: ConfigurationProblem[] };
  if (name !== 'OptionError') throw error;
  return (problems ?? []).map((problem) => placed(problem, configuration));
}

/** What the emulator itself refuses, as the exit code that it means. */
function create(
  createEmulator: (options: EmulatorOptions) => Emulator,
  options: EmulatorOptions,
): Emulator {
  try {
    const emulator = createEmulator(options);
    // Opened now: a folder that another process uses must end the start, not the first request.
    if (options.dataDir !== undefined) emulator.project('local');
    return emulator;
  } catch (error) {
    const { name, message } = error as Error;
    if (name === 'OptionError') throw usage(message);
    if (name === 'StoreError' || 'syscall' in (error as object))
      throw new Exit(EXIT.machine, message);
    throw error;
  }
}

async function certificateFor(options: StartOptions): Promise<Certificate> {
  const { cert, key } = options;
  if (cert === undefined || key === undefined) {
    const bound = isLoopback(options.host) || isEveryAddress(options.host) ? [] : [options.host];
    // Names stay in a kept certificate: one that is mistyped must not get there.
    if (bound.length > 0) await requireListening(options);
    return loadCertificate({
      names: [...options.tlsNames, ...bound],
      warn: (message) => report(options, message),
    });
  }
  return ownPair(cert, key);
}

/** Throws where it cannot be listened on. */
async function requireListening({ host, port }: StartOptions): Promise<void> {
  const { serve } = await import('../emulator/server.ts');
  try {
    const tried = await serve({ fetch: () => new Response(null, { status: 503 }), host, port });
    await tried.close();
  } catch (error) {
    throw foreseen(error);
  }
}

/** Throws what is wrong with --cert and --key. */
export function ownPair(cert: string, key: string): Certificate {
  for (const [flag, path] of [
    ['--cert', cert],
    ['--key', key],
  ] as const) {
    try {
      readFileSync(path);
    } catch (error) {
      throw usage(`${flag} is "${path}": it cannot be read (${(error as Error).message}).`);
    }
  }
  const own = ownCertificate(cert, key);
  try {
    createSecureContext(own);
  } catch (error) {
    throw usage(
      `--cert "${cert}" and --key "${key}" are no pair of PEM files: ${(error as Error).message}.`,
    );
  }
  return own;
}

function emulatorOptions(
  options: StartOptions,
  caPem: () => string,
  identitySecret: string | undefined,
): EmulatorOptions {
  const {
    port: _port,
    cert: _cert,
    key: _key,
    readyFile: _ready,
    logLevel: _log,
    watch: _watch,
    ...rest
  } = options;
  const { host, journalMax: _max, ...world } = rest;
  return {
    ...world,
    settings: settingsOf(options),
    // Who binds one address of the machine's wants to be called by it.
    tlsNames:
      isLoopback(host) || isEveryAddress(host) ? world.tlsNames : [...world.tlsNames, inUrl(host)],
    caPem,
    ...(identitySecret === undefined ? {} : { identitySecret }),
  };
}

function settingsOf({ settings, journalMax }: StartOptions): StartOptions['settings'] {
  return journalMax === undefined ? settings : { ...settings, journal_max: journalMax };
}

/** What every new world is made with, and what a change of the configuration can change. */
export function worldOptions(options: StartOptions): Reconfiguration {
  const { agents, assistants, routines, faults, profile, switches } = options;
  return {
    ...(agents === undefined ? {} : { agents }),
    ...(assistants === undefined ? {} : { assistants }),
    ...(routines === undefined ? {} : { routines }),
    ...(faults === undefined ? {} : { faults }),
    ...(profile === undefined ? {} : { profile }),
    switches,
    settings: settingsOf(options),
  };
}

function inUrl(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}

async function wrapped(emulator: Emulator, { cors, logLevel }: StartOptions): Promise<Fetch> {
  let fetch: Fetch = (request, env) => emulator.fetch(request, env);
  if (cors !== undefined) fetch = (await import('./around.ts')).withCors(fetch, cors);
  if (logLevel === 'info' || logLevel === 'debug')
    fetch = (await import('./around.ts')).withLog(fetch);
  return fetch;
}

/** Clients name a certificate that they do not trust in a hundred ways; the cause is nearly always the same one. */
function hintOnce(certificate: Certificate, options: StartOptions): (reason: string) => void {
  let hinted = false;
  return (reason) => {
    if (hinted) return;
    hinted = true;
    report(
      options,
      `A client did not go on with TLS (${reason}). If it does not trust our certificate: let it trust ` +
        `${certificate.caPath ?? 'what /_emulator/ca.pem answers'}, or run it with "foundrite exec -- CMD".`,
    );
  };
}

function report({ logLevel }: StartOptions, message: string): void {
  if (logLevel !== 'silent' && logLevel !== 'error')
    process.stderr.write(`foundrite: ${message}\n`);
}
