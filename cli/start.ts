/** `foundrite start`: an emulator until a signal ends it. */
import { type Instant, systemClock } from '../emulator/clock.ts';
import { EXIT } from './exit.ts';
import { type Launched, launch, readToLaunch } from './launch.ts';
import { readyLine, removeReadyFile, writeReadyFile } from './ready.ts';

export async function start(flags: Record<string, unknown>): Promise<number | undefined> {
  if (flags.printConfig) {
    await (await import('./print-config.ts')).printConfig('start', flags);
    return EXIT.ok;
  }
  const read = await readToLaunch(flags, process.env);
  const { options } = read;
  const launched = await launch(options);
  const line = readyLine(launched);
  try {
    // Before the line: who has read the line may look for the file.
    writeReadyFile(options.readyFile, line);
  } catch (error) {
    await launched.close();
    throw error;
  }
  endOnSignal(launched, options.readyFile);
  if (options.watch) {
    const { watchConfiguration } = await import('./configuration-watch.ts');
    watchConfiguration({ emulator: launched.emulator, read, flags });
  }

  // A log that cannot be written is no reason to end.
  for (const stream of [process.stdout, process.stderr])
    stream.removeAllListeners('error').on('error', () => {});
  process.stdout.write(`${banner(launched, coloured(process.env, process.stdout.isTTY))}${line}\n`);
  return undefined;
}

/** npm passes Ctrl-C on although the terminal has sent it already: two that come so close are one. */
const SAME_PRESS_MS = 300;

function endOnSignal(launched: Launched, readyFile: string | undefined): void {
  let endingSince: Instant | undefined;
  const end = async (signal: NodeJS.Signals) => {
    if (endingSince !== undefined) {
      const again = systemClock.now() - endingSince > SAME_PRESS_MS;
      if (signal === 'SIGINT' && again) process.exit(EXIT.interrupted);
      return;
    }
    endingSince = systemClock.now();
    removeReadyFile(readyFile);
    try {
      launched.emulator.endPolls();
      await launched.close();
      process.exit(EXIT.ok);
    } catch (error) {
      process.stderr.write(`foundrite: could not close: ${(error as Error).message}\n`);
      process.exit(EXIT.bug);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, (name) => void end(name));
}

export function coloured(env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  return isTerminal && !env.NO_COLOR && env.TERM !== 'dumb';
}

function banner({ serving, emulator, certificate }: Launched, colour: boolean): string {
  const strong = (text: string) => (colour ? `\x1b[1m${text}\x1b[22m` : text);
  const faint = (text: string) => (colour ? `\x1b[2m${text}\x1b[22m` : text);
  const { assumedRules, store } = emulator.describe();
  const rows: [string, string][] = [
    [
      'https',
      `${serving.httpsUrl} ${faint(`(trust ${certificate.caPath ?? `${serving.url}/_emulator/ca.pem`})`)}`,
    ],
    ['store', store === 'memory' ? `memory ${faint('(--data-dir keeps it)')}` : store],
    [
      'rules',
      `${assumedRules} assumed rules are in force ${faint('(those with a switch: /_emulator/health)')}`,
    ],
    ['try', strong(`export AZURE_AI_PROJECT_ENDPOINT=${serving.httpsUrl}/api/projects/local`)],
    [
      'or',
      `eval "$(npx foundrite env --url ${serving.url})" ${faint('(endpoint, trust and identity for a shell)')}`,
    ],
  ];
  return [
    strong('Foundrite emulates the Microsoft Foundry agent service on this machine.'),
    ...rows.map(([name, value]) => `  ${name.padEnd(6)} ${value}`),
    '',
  ].join('\n');
}
