/** For bash from 3.2 on, which macOS has: without what came later where that is missing. */
import { parentOf, sharedValues, type Values, type Verb } from './tree.ts';

export function bashScript(verbs: readonly Verb[]): string {
  const paths = verbs.map(({ path }) => path).filter((path) => path !== '');
  const values = sharedValues(verbs).map(
    ([each, takers]) => `    ${takers.map(quoted).join('|')}) ${valuesLine(each)} ;;`,
  );
  const words = verbs.map(({ path, flags, values: own }) => {
    const below = paths
      .filter((each) => parentOf(each) === path)
      .map((each) => each.split(' ').at(-1));
    const names = flags.flatMap((flag) => flag.names);
    const lines = [`flags=${quoted(names.join(' '))}`];
    if (below.length > 0) lines.push(`words=${quoted(below.join(' '))}`);
    else lines.push(valuesLine(own));
    return `    ${quoted(path)}) ${lines.join('; ')} ;;`;
  });
  return `# Completion of foundrite for bash. In ~/.bashrc: eval "$(foundrite completion bash)"
_foundrite() {
  local line=\${COMP_LINE:0:COMP_POINT} IFS=$' \\t\\n' verb='' words='' flags='' kind='' cut='' i
  local -a typed
  read -ra typed <<< "$line"
  [[ $line == *[[:space:]] ]] && typed+=('')
  local n=$(( \${#typed[@]} - 1 ))
  local cur=\${typed[n]} prev=\${typed[n-1]}
  if (( n > 1 )); then
    case "\${typed[1]}" in
      ${paths.filter((path) => !path.includes(' ')).join('|')}) verb=\${typed[1]} ;;
    esac
  fi
  if (( n > 2 )); then
    case "$verb \${typed[2]}" in
      ${paths
        .filter((path) => path.includes(' '))
        .map(quoted)
        .join('|')}) verb="$verb \${typed[2]}" ;;
    esac
  fi
  COMPREPLY=()
  if [[ $verb == exec ]]; then
    for (( i = 2; i < n; i++ )); do
      [[ \${typed[i]} == -- ]] || continue
      kind=file
      [[ $prev == -- ]] && kind=command
      _foundrite_fill
      return
    done
  fi
  # --flag=value is one word to us and three to bash.
  if [[ $cur == --*=* ]]; then prev=\${cur%%=*}; cur=\${cur#*=}; fi
  case "$verb:$prev" in
${values.join('\n')}
  esac
  if [[ -z $words && -z $kind ]]; then
    case "$verb" in
${words.join('\n')}
    esac
    if [[ $cur == -* || ( -z $words && $kind == free ) ]]; then words=$flags; kind=''; fi
  fi
  _foundrite_fill
}

_foundrite_fill() {
  local IFS=$'\\n'
  case "$kind" in
    file) COMPREPLY=( $(compgen -f -- "$cur") ); compopt -o filenames 2>/dev/null ;;
    folder) COMPREPLY=( $(compgen -d -- "$cur") ); compopt -o filenames 2>/dev/null ;;
    command) COMPREPLY=( $(compgen -c -- "$cur") ) ;;
    free) ;;
    *) IFS=$' \\t\\n'; COMPREPLY=( $(compgen -W "$words" -- "$cur") ) ;;
  esac
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  # name=value: bash has split it at the sign, and puts in the place of the last part only.
  if [[ $cur == *=* && $COMP_WORDBREAKS == *=* ]]; then
    cut=\${cur%=*}=
    for (( i = 0; i < \${#COMPREPLY[@]}; i++ )); do COMPREPLY[i]=\${COMPREPLY[i]#"$cut"}; done
  fi
  return 0
}

complete -F _foundrite foundrite
`;
}

function valuesLine(values: Values): string {
  return typeof values === 'string' ? `kind=${values}` : `words=${quoted(values.join(' '))}`;
}

function quoted(text: string): string {
  return `'${text}'`;
}
