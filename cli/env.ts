/** `foundrite env`: the changes that `exec` makes, for the emulator that runs already, in the words of a shell. */
import { hash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { foundriteHome } from '../emulator/certificate.ts';
import { makeFolder } from '../emulator/folder.ts';
import { randomHex } from '../emulator/ids.ts';
import { mergedBundle } from './bundle.ts';
import { type CallFlags, callText, targetOf } from './call.ts';
import { type Changes, changesFor } from './changes.ts';
import { EXIT, Exit, usage } from './exit.ts';
import { DEFAULT_PROJECT } from './flags.ts';
import { readChildOptions } from './options.ts';

export const SHELLS = ['bash', 'pwsh', 'github', 'dotenv'] as const;
export type Shell = (typeof SHELLS)[number];

export interface EnvFlags extends CallFlags {
  shell?: string;
  [flag: string]: unknown;
}

export async function env(flags: EnvFlags): Promise<void> {
  const shell = (flags.shell ?? (process.platform === 'win32' ? 'pwsh' : 'bash')) as Shell;
  if (!SHELLS.includes(shell))
    throw usage(`--shell is "${shell}": write one of ${SHELLS.join(', ')}.`);
  const target = targetOf(flags);
  const { keepAzureEnv, identity } = readChildOptions(flags, process.env);
  const caPem = await callText(target, '/_emulator/ca.pem');
  const changes = changesFor({
    env: process.env,
    url: target.url.replace(/^https:/, 'http:'),
    httpsUrl: target.url.replace(/^http:/, 'https:'),
    project: target.project,
    controlToken: target.token,
    bundlePath: keepBundle(mergedBundle(process.env, caPem).pem),
    // An emulator of "start" takes any; the clients want one to be there.
    identityHeader: 'foundrite',
    demoAgent: target.project === DEFAULT_PROJECT,
    keepAzureEnv,
    identity,
  });
  process.stdout.write(inShell(shell, changes));
}

/** Named by what it holds, so that no program ever sees its bundle change. */
function keepBundle(pem: string): string {
  const folder = join(foundriteHome(), 'bundles');
  const path = join(folder, `${hash('sha256', pem, 'hex').slice(0, 16)}.pem`);
  try {
    makeFolder(folder);
    writeFileSync(path, pem, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST')
      throw new Exit(
        EXIT.machine,
        `The certificates cannot be kept in ${folder} (${message}). Set FOUNDRITE_HOME to a folder that can be written.`,
      );
  }
  return path;
}

export function inShell(shell: Shell, { set, unset }: Changes): string {
  const lines = Object.entries(set).map(([name, value]) => setLine(shell, name, value));
  return [...lines, ...unset.map((name) => unsetLine(shell, name)), ''].join('\n');
}

function setLine(shell: Shell, name: string, value: string): string {
  switch (shell) {
    case 'bash':
      return `export ${name}='${value.replaceAll("'", `'\\''`)}'`;
    case 'pwsh':
      // PowerShell takes the typographic quotes for quotes, too; doubled, each stands for itself.
      return `$env:${name} = '${value.replaceAll(/['\u2018-\u201b]/g, '$&$&')}'`;
    case 'github': {
      if (!/[\r\n]/.test(value)) return `${name}=${value}`;
      const end = `end_${randomHex(8)}`;
      return `${name}<<${end}\n${value}\n${end}`;
    }
    case 'dotenv':
      return `${name}=${dotenvValue(value)}`;
  }
}

function unsetLine(shell: Shell, name: string): string {
  switch (shell) {
    case 'bash':
      return `unset ${name}`;
    case 'pwsh':
      return `Remove-Item Env:${name} -ErrorAction SilentlyContinue`;
    case 'github':
    case 'dotenv':
      // Neither can unset; azure-identity takes an empty variable for none.
      return `${name}=`;
  }
}

/** Bare where possible: docker's --env-file takes quotes for part of the value. */
function dotenvValue(value: string): string {
  if (/^[\w./:@%+,=*-]*$/.test(value)) return value;
  if (!/['\r\n]/.test(value)) return `'${value}'`;
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '\\$');
  return `"${escaped.replaceAll('\n', '\\n').replaceAll('\r', '\\r')}"`;
}
