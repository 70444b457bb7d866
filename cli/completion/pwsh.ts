import { parentOf, plainAbout, sharedValues, type Values, type Verb } from './tree.ts';

export function pwshScript(verbs: readonly Verb[]): string {
  const paths = verbs.map(({ path }) => path).filter((path) => path !== '');
  const values = sharedValues(verbs).flatMap(([each, takers]) => [
    `  $these = ${valuesText(each)}`,
    `  foreach ($taker in ${list(takers)}) { $values[$taker] = $these }`,
  ]);
  const words = verbs.map(({ path, flags, values: own }) => {
    const below = verbs.filter((each) => each.path !== '' && parentOf(each.path) === path);
    const entries = [
      ...below.map(({ path: each, about }) => entry(each.split(' ').at(-1) as string, about)),
      ...flags.flatMap(({ names, about }) => names.map((name) => entry(name, about))),
      ...(typeof own === 'string' ? [] : own.map((value) => entry(value, value))),
    ];
    return `  $words[${quoted(path)}] = [ordered]@{ ${entries.join('; ')} }`;
  });
  return `# Completion of foundrite for PowerShell. In $PROFILE: foundrite completion pwsh | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName foundrite -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  # Case-sensitive, since -h is not -H.
  $values = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
  $words = [System.Collections.Hashtable]::new([System.StringComparer]::Ordinal)
${values.join('\n')}
${words.join('\n')}
  $typed = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  $verb = ''
  if ($typed.Count -gt 1 -and $typed[1] -cin ${list(paths.filter((path) => !path.includes(' ')))}) { $verb = $typed[1] }
  if ($typed.Count -gt 2 -and "$verb $($typed[2])" -cin ${list(paths.filter((path) => path.includes(' ')))}) { $verb = "$verb $($typed[2])" }
  $before = if ($typed.Count -gt 1) { $typed[-1] } else { '' }
  $taker = "\${verb}:$before"
  if ($values.ContainsKey($taker)) {
    # Nothing for what may be a file: PowerShell completes those by itself.
    $values[$taker] | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
      [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
  } else {
    $words[$verb].GetEnumerator() | Where-Object { $_.Key -like "$wordToComplete*" } | ForEach-Object {
      [System.Management.Automation.CompletionResult]::new($_.Key, $_.Key, 'ParameterName', $_.Value)
    }
  }
}
`;
}

function entry(name: string, about: string): string {
  return `${quoted(name)} = ${quoted(plainAbout(about))}`;
}

function valuesText(values: Values): string {
  return typeof values === 'string' ? '@()' : list(values);
}

function list(words: readonly string[]): string {
  return `@(${words.map(quoted).join(', ')})`;
}

/** The typographic quotes end a text in PowerShell, too. */
function quoted(text: string): string {
  return `'${text.replaceAll(/['\u2018-\u201b]/g, '$&$&')}'`;
}
