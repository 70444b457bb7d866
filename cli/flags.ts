/** The flags of `start` and `exec`, and the names that each has as a variable and in foundrite.yaml. */
import type { Command } from 'commander';

export const PROFILES = ['lenient', 'v1preview', 'v2preview'] as const;
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export const DEFAULT_PORT = 3686;
export const DEFAULT_HOST = '127.0.0.1';
export const DEFAULT_PROJECT = 'local';

type Flag = readonly [flags: string, help: string];

/** Every one has a variable: `--data-dir` is FOUNDRITE_DATA_DIR, in foundrite.yaml `data_dir`. */
export const START_FLAGS: readonly Flag[] = [
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
  ['--empty', 'start without the demo agents and assistant'],
  ['--control-token <token>', 'what calls under /_emulator must bear'],
  ['--no-control', 'no calls under /_emulator at all'],
  ['--tls-name <name>', 'a further name for the certificate; can be repeated'],
  ['--cert <file>', 'bring your own certificate (PEM, with --key)'],
  ['--key <file>', 'its key (PEM)'],
  ['--ready-file <file>', 'write the ready line there, too'],
  ['--config <file>', 'instead of foundrite.yaml in this folder'],
  ['--watch', 'apply changes of foundrite.yaml while it runs'],
  ['--cors <origin>', 'answer browsers of this origin; * is every one'],
  ['--journal-max <number>', 'how many lines the journal keeps'],
  [
    '--log-level <level>',
    `${LOG_LEVELS.join(', ')}; from info on, a line per request on stderr (warn)`,
  ],
];

/** What `exec` alone can be told, of the command that it runs. */
export const CHILD_FLAGS: readonly Flag[] = [
  ['--project <name>', `the project that the command works in (${DEFAULT_PROJECT})`],
  ['--keep-azure-env', 'leave the credentials in AZURE_* as they are'],
  ['--no-identity', 'let the command sign in by itself'],
];

export function addFlags(command: Command, flags: readonly Flag[]): Command {
  for (const [written, help] of flags) {
    if (help.endsWith('can be repeated')) command.option(written, help, collect);
    else command.option(written, help);
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

/** `--data-dir` of a flag's own words, without what follows. */
export function longName([written]: Flag): string {
  return /--([a-z-]+)/.exec(written)?.[1] ?? '';
}

/** The key of a flag in foundrite.yaml: `dataDir` and `data-dir` are `data_dir`. */
export function keyName(flag: string): string {
  return flag.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replaceAll('-', '_');
}

/** The variable of a flag: `dataDir` and `data-dir` are `FOUNDRITE_DATA_DIR`. */
export function variableName(flag: string): string {
  return `FOUNDRITE_${keyName(flag).toUpperCase()}`;
}
