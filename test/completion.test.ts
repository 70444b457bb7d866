/** The completion scripts, asked by the shells themselves. A shell that is not here is skipped, and says so. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rules } from '../contracts/ledger.ts';
import { SETTINGS } from '../emulator/settings.ts';

const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));
const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const folder = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
const script = (shell: string) => join(folder, `complete.${shell}`);

function foundrite(...args: string[]) {
  const env = { PATH: process.env.PATH, FOUNDRITE_HOME: folder };
  return spawnSync(process.execPath, [BIN, ...args], { env, encoding: 'utf8' });
}

beforeAll(() => {
  for (const shell of SHELLS) writeFileSync(script(shell), foundrite('completion', shell).stdout);
  mkdirSync(join(folder, 'here', 'scenarios'), { recursive: true });
  writeFileSync(join(folder, 'here', 'scenarios', 'one.yaml'), '');
  writeFileSync(join(folder, 'here', 'my config.yaml'), '');
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function inShell(shell: Shell, text: string): string {
  const args = { bash: ['--norc', '-c'], zsh: ['-f', '-c'], fish: ['-N', '-c'] }[shell];
  const { stdout, stderr, error } = spawnSync(shell, [...args, text], {
    cwd: join(folder, 'here'),
    // fish writes a history wherever it finds a home.
    env: { PATH: process.env.PATH, HOME: folder, TERM: 'dumb', LC_ALL: 'C.UTF-8' },
    encoding: 'utf8',
    timeout: 15_000,
  });
  if (error) throw error;
  if (stderr) throw new Error(stderr);
  return stdout;
}

/** What the shell would offer after this much of a line. */
function offered(shell: Shell, line: string): string[] {
  const asked = { bash: inBash, zsh: inZsh, fish: inFish }[shell](line);
  // zsh adds files in two rounds.
  return [...new Set(asked.split('\n').filter((word) => word !== ''))];
}

/** As readline calls it: the words split at blanks and at the signs of COMP_WORDBREAKS. */
function inBash(line: string): string {
  const words = line.split(/\s+|(=)/).filter((word) => word !== undefined && word !== '');
  if (/\s$/.test(line)) words.push('');
  return inShell(
    'bash',
    `. '${script('bash')}'
    complete -p foundrite | grep -q -- '-F _foundrite foundrite$' || exit
    COMP_LINE='${line}' COMP_POINT=${line.length} COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
    COMP_CWORD=${words.length - 1}
    compopt() { :; }
    _foundrite
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  );
}

function inFish(line: string): string {
  // What stands before a tab is the word, after it what it is about.
  const asked = inShell('fish', `source '${script('fish')}'; complete -C '${line}'`);
  return asked.replaceAll(/\t.*/g, '');
}

/** At a terminal of its own, since only there zsh completes: what it would add is written to a file instead. */
function inZsh(line: string): string {
  const out = join(folder, 'zsh.out');
  const rc = join(folder, 'zsh.rc');
  writeFileSync(out, '');
  writeFileSync(
    rc,
    `RPROMPT=
    autoload -Uz compinit; compinit -u -D
    source '${script('zsh')}'
    compadd() {
      if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
      typeset -a hits
      builtin compadd -O hits "$@"
      (( \${#hits} )) && print -rl -- $hits >> '${out}'
      builtin compadd "$@"
    }
    complete-and-tell() { zle complete-word; print -n COMPLETED > /dev/tty }
    zle -N complete-and-tell
    bindkey '^I' complete-and-tell
    PROMPT=PROMPTED`,
  );
  // Each thing is waited for before the next is typed: what is typed ahead, zsh may take for a paste.
  return inShell(
    'zsh',
    `zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z "source '${rc}'"
    zpty -r z said '*PROMPTED*'
    zpty -n -w z ${JSON.stringify(line)}$'\\t'
    zpty -r z said '*COMPLETED*'
    zpty -d z
    cat '${out}'`,
  );
}

const VERBS = foundrite('--help')
  .stdout.split(/^Commands:$/m)[1]
  ?.match(/^ {2}([a-z]+)/gm)
  ?.map((line) => line.trim())
  .filter((verb) => verb !== 'help') as string[];
const IDS = rules().map(({ id }) => id);

for (const shell of SHELLS) {
  const there = !spawnSync(shell, ['--version']).error;
  if (!there) process.stdout.write(`skip: ${shell} is not here, its completion is not tried\n`);

  describe.skipIf(!there)(shell, () => {
    const same = (line: string, words: readonly string[]) =>
      expect(offered(shell, line).sort()).toEqual([...words].sort());

    test('it offers the verbs, and those below a verb', () => {
      expect(VERBS).toContain('doctor');
      same('foundrite ', VERBS);
      same('foundrite do', ['doctor']);
      same('foundrite clock s', ['set', 'show', 'stop']);
    });

    test('it offers the flags of the verb, and of start where there is none', () => {
      expect(offered(shell, 'foundrite doctor --')).toEqual(
        expect.arrayContaining(['--json', '--data-dir', '--no-skip']),
      );
      expect(offered(shell, 'foundrite replay --')).toEqual(['--help']);
      same('foundrite --data', ['--data-dir']);
      same('foundrite exec --keep', ['--keep-azure-env']);
      same('foundrite clock advance --un', ['--until']);
    });

    test('it offers the values of a flag', () => {
      same('foundrite start --profile ', ['lenient', 'v1preview', 'v2preview']);
      same('foundrite --durability f', ['full']);
      same('foundrite clock set --rate ', ['0', '1']);
      same('foundrite env --shell p', ['pwsh']);
      same('foundrite start --setting attempts_', ['attempts_max=']);
      expect(Object.keys(SETTINGS)).toContain('attempts_max');
      expect(offered(shell, 'foundrite start --port ')).toEqual([]);
    });

    test('it offers rules where rules are asked for', () => {
      same(
        'foundrite ledger cron/',
        IDS.filter((id) => id.startsWith('cron/')),
      );
      same(
        'foundrite play --break delivery/three',
        IDS.filter((id) => id.startsWith('delivery/three')),
      );
    });

    test('it offers files and folders, with blanks in their names', () => {
      expect(offered(shell, 'foundrite play scen').join()).toMatch(/^scenarios\/?$/);
      expect(offered(shell, 'foundrite start --config my').join()).toMatch(/^my\\? config\.yaml$/);
      expect(
        offered(shell, 'foundrite start --data-dir ').map((name) => name.replace('/', '')),
      ).toEqual(['scenarios']);
    });

    test('it offers commands after exec --', () => {
      expect(offered(shell, 'foundrite exec --rate 0 -- sle')).toContain('sleep');
    });
  });
}

test('bash puts in only what follows the sign, for it splits there', () => {
  expect(offered('bash', 'foundrite start --switch overlap=').sort()).toEqual([
    'allow',
    'queue',
    'skip',
  ]);
  expect(offered('bash', 'foundrite start --profile=v1')).toEqual(['v1preview']);
});

test('PowerShell gets a script with every verb; no PowerShell is here to try it', () => {
  const { status, stdout } = foundrite('completion', 'pwsh');

  expect(status).toBe(0);
  for (const verb of VERBS) expect(stdout).toContain(`\n  $words['${verb}'] = [ordered]@{ `);
  // Every quote that opens is closed on its line.
  const odd = stdout
    .split('\n')
    .filter((line) => !line.startsWith('#') && (line.match(/'/g) ?? []).length % 2 === 1);
  expect(odd).toEqual([]);
});

test('a shell that it does not know', () => {
  expect(foundrite('completion', 'csh')).toMatchObject({
    status: 2,
    stderr: 'foundrite: completion knows no "csh": write one of bash, zsh, fish, pwsh.\n',
  });
});
