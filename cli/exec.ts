/** `foundrite exec -- CMD`: an emulator for as long as CMD runs, and CMD set up to use it. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomHex } from '../emulator/ids.ts';
import { mergedBundle } from './bundle.ts';
import { applyChanges, changesFor, describeChanges } from './changes.ts';
import { EXIT, usage } from './exit.ts';
import { DEFAULT_PROJECT } from './flags.ts';
import { type Launched, launch, readToLaunch } from './launch.ts';
import type { ReadOptions } from './options.ts';
import { readyLine, removeReadyFile, writeReadyFile } from './ready.ts';

/** What shells answer when the command is not there, or may not be run. */
const NOT_FOUND = 127;
const NOT_ALLOWED = 126;

/** A port in foundrite.yaml is meant for "start", which may be running already. */
export const EXEC_DEFAULTS = { port: 0, skip: true, ignored: ['port'] } as const;

/** Ends with the exit code of the command. Stdout belongs to the command alone. */
export async function exec(command: string[], flags: Record<string, unknown>): Promise<number> {
  if (flags.printConfig) {
    await (await import('./print-config.ts')).printConfig('exec', flags, EXEC_DEFAULTS);
    return EXIT.ok;
  }
  const [name, ...args] = command;
  if (name === undefined)
    throw usage('exec needs a command: foundrite exec -- CMD, e.g. foundrite exec -- npm test.');
  const read = await readToLaunch(flags, process.env, EXEC_DEFAULTS);
  const { options, child } = read;
  const { project, keepAzureEnv, identity } = child;
  const identityHeader = randomHex(16);
  const launched = await launch(options, identityHeader);

  const folder = mkdtempSync(join(tmpdir(), 'foundrite-'));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeFolder);
  try {
    const bundlePath = join(folder, 'ca-bundle.pem');
    const { pem, unreadable } = mergedBundle(process.env, launched.certificate.caPem);
    writeFileSync(bundlePath, pem, { mode: 0o600 });
    const changes = changesFor({
      env: process.env,
      url: launched.serving.url,
      httpsUrl: launched.serving.httpsUrl,
      project,
      controlToken: options.control ? options.controlToken : undefined,
      bundlePath,
      identityHeader,
      demoAgent: project === DEFAULT_PROJECT && !options.empty,
      keepAzureEnv,
      identity,
    });
    process.stderr.write(
      `foundrite exec: ${describeChanges(process.env, changes)}` +
        `${unreadable.length > 0 ? `; left out, unreadable: ${unreadable.join(', ')}` : ''}\n`,
    );
    writeReadyFile(options.readyFile, readyLine(launched));
    const stopWatching = options.watch ? await watching(launched, read, flags) : () => {};
    try {
      return await runChild(name, args, applyChanges(process.env, changes));
    } finally {
      stopWatching();
      removeReadyFile(options.readyFile);
    }
  } finally {
    await launched.close();
    removeFolder();
  }
}

async function watching(
  { emulator }: Launched,
  read: ReadOptions,
  flags: Record<string, unknown>,
): Promise<() => void> {
  const { watchConfiguration } = await import('./configuration-watch.ts');
  return watchConfiguration({ emulator, read, flags, defaults: EXEC_DEFAULTS });
}

async function runChild(name: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  // Finds .cmd files on Windows, which Node's own spawn does not.
  const { default: spawn } = await import('cross-spawn');
  const child = spawn(name, args, { env, stdio: 'inherit' });
  const stopForwarding = forwardSignals(child);
  try {
    return await new Promise<number>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        process.stderr.write(`foundrite exec: cannot run ${name}: ${error.message}\n`);
        resolve(error.code === 'ENOENT' ? NOT_FOUND : NOT_ALLOWED);
      });
      child.once('exit', (code, signal) =>
        resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)),
      );
    });
  } finally {
    stopForwarding();
  }
}

/** The command decides what a signal means; we end when it has. */
function forwardSignals(child: ChildProcess): () => void {
  const forward = (signal: NodeJS.Signals) => {
    // A terminal sends Ctrl-C to the whole group: the command has it already, and twice means "now" to many.
    if (signal === 'SIGINT' && process.stdin.isTTY) return;
    child.kill(signal);
  };
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
  if (process.platform === 'win32') signals.pop();
  for (const signal of signals) process.on(signal, forward);
  return () => {
    for (const signal of signals) process.off(signal, forward);
  };
}
