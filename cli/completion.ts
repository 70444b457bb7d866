/** `foundrite completion SHELL`: a script that completes verbs, flags and values, made from the command line's own description. */
import type { Command } from 'commander';
import { bashScript } from './completion/bash.ts';
import { fishScript } from './completion/fish.ts';
import { pwshScript } from './completion/pwsh.ts';
import { COMPLETION_SHELLS, verbsOf } from './completion/tree.ts';
import { zshScript } from './completion/zsh.ts';
import { usage } from './exit.ts';

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript, pwsh: pwshScript };

export function completion(shell: string, program: Command): void {
  const write = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell as keyof typeof SCRIPTS] : undefined;
  if (!write)
    throw usage(`completion knows no "${shell}": write one of ${COMPLETION_SHELLS.join(', ')}.`);
  process.stdout.write(write(verbsOf(program)));
}
