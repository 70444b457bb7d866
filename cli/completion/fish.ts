import { plainAbout, type Values, type Verb } from './tree.ts';

export function fishScript(verbs: readonly Verb[]): string {
  const paths = verbs.map(({ path }) => path).filter((path) => path !== '');
  const top = paths.filter((path) => !path.includes(' '));
  const below = paths.filter((path) => path.includes(' '));
  const names = verbs
    .filter(({ path }) => path !== '')
    .map(({ path, about }) => {
      const [name = '', parent = ''] = path.split(' ').reverse();
      return `complete -c foundrite -n "__foundrite_at '${parent}'" -x -a ${name} -d '${plainAbout(about)}'`;
    });
  const words = verbs.flatMap(({ path, values }) =>
    values === 'free'
      ? []
      : [
          `complete -c foundrite -n "__foundrite_at '${path}'" ${valuesPart(values).replace(/^-x /, '')}`,
        ],
  );
  return `# Completion of foundrite for fish. Once: foundrite completion fish > ~/.config/fish/completions/foundrite.fish
function __foundrite_at
    set -l words (commandline -opc)
    set -l verb ''
    if contains -- "$words[2]" ${top.join(' ')}
        set verb $words[2]
        if contains -- "$verb $words[3]" ${below.map((path) => `'${path}'`).join(' ')}
            set verb "$verb $words[3]"
        end
    end
    contains -- "$verb" $argv
end

complete -c foundrite -f
${[...names, ...flagLines(verbs), ...words].join('\n')}
complete -c foundrite -n "__foundrite_at exec; and contains -- -- (commandline -opc)" -F -a '(__fish_complete_command)'
`;
}

/** One line for all verbs that have the same flag. */
function flagLines(verbs: readonly Verb[]): string[] {
  const byLine = new Map<string, Set<string>>();
  for (const { path, flags } of verbs) {
    for (const { names, about, values } of flags) {
      const spelt = names.map((name) =>
        name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
      );
      const takes = values === undefined ? '' : ` ${valuesPart(values)}`;
      const line = `${spelt.join(' ')}${takes} -d '${plainAbout(about)}'`;
      byLine.set(line, (byLine.get(line) ?? new Set()).add(path));
    }
  }
  return [...byLine].map(([line, paths]) => {
    const at = [...paths].map((path) => `'${path}'`).join(' ');
    return `complete -c foundrite -n "__foundrite_at ${at}" ${line}`;
  });
}

function valuesPart(values: Values): string {
  if (values === 'file') return '-r -F';
  if (values === 'folder') return "-x -a '(__fish_complete_directories)'";
  return values === 'free' ? '-x' : `-x -a '${values.join(' ')}'`;
}
