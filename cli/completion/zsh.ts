import { parentOf, plainAbout, sharedValues, type Values, type Verb } from './tree.ts';

/** To be evaluated, or kept as a file named _foundrite in a folder of fpath. */
export function zshScript(verbs: readonly Verb[]): string {
  const paths = verbs.map(({ path }) => path).filter((path) => path !== '');
  const values = sharedValues(verbs).map(
    ([each, takers]) => `    (${takers.map(quoted).join('|')}) ${valuesLine(each)}; return ;;`,
  );
  const words = verbs.map(({ path, flags, values: own }) => {
    const below = verbs.filter((each) => each.path !== '' && parentOf(each.path) === path);
    const described = flags.flatMap(({ names, about }) =>
      names.map((name) => quoted(`${name}:${plainAbout(about)}`)),
    );
    const named = below.map(({ path: each, about }) =>
      quoted(`${each.split(' ').at(-1)}:${plainAbout(about)}`),
    );
    const lines = [`flags=(${described.join(' ')})`];
    if (named.length > 0) lines.push(`verbs=(${named.join(' ')})`);
    else if (own !== 'free') lines.push(`[[ $cur == -* ]] || { ${valuesLine(own)}; return }`);
    return `    (${quoted(path)})\n      ${lines.join('\n      ')}\n      ;;`;
  });
  return `#compdef foundrite
# Completion of foundrite for zsh. In ~/.zshrc, after compinit: eval "$(foundrite completion zsh)"
_foundrite() {
  local cur=$words[CURRENT] prev=$words[CURRENT-1] verb=''
  local -a flags verbs
  if (( CURRENT > 2 )); then
    case "$words[2]" in
      (${paths.filter((path) => !path.includes(' ')).join('|')}) verb=$words[2] ;;
    esac
  fi
  if (( CURRENT > 3 )); then
    case "$verb $words[3]" in
      (${paths
        .filter((path) => path.includes(' '))
        .map(quoted)
        .join('|')}) verb="$verb $words[3]" ;;
    esac
  fi
  local -i dashes=\${words[(ie)--]}
  if [[ $verb == exec ]] && (( dashes < CURRENT )); then
    shift $dashes words
    (( CURRENT -= dashes ))
    _normal
    return
  fi
  if [[ $cur == --*=* ]]; then
    prev=\${cur%%=*}
    compset -P 1 '*='
  fi
  case "$verb:$prev" in
${values.join('\n')}
  esac
  case "$verb" in
${words.join('\n')}
  esac
  if [[ $cur == -* || \${#verbs} -eq 0 ]]; then
    _describe -o 'flag' flags
  else
    _describe 'verb' verbs
  fi
}

if [[ $funcstack[1] == _foundrite ]]; then
  _foundrite "$@"
else
  compdef _foundrite foundrite
fi
`;
}

function valuesLine(values: Values): string {
  if (values === 'file') return '_files';
  if (values === 'folder') return '_files -/';
  if (values === 'free') return "_message 'a value'";
  const open = values.every((value) => value.endsWith('='));
  return `compadd ${open ? "-S '' " : ''}-- ${values.map(quoted).join(' ')}`;
}

function quoted(text: string): string {
  return `'${text}'`;
}
