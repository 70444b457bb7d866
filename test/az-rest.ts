/** `az rest` as a shell runs it: the words of a command with its variables filled in, and the HTTP request that the command sends. */

export interface Call {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body?: string;
  /** What of the answer is printed, as a path of its fields. */
  query?: string;
}

/** Blanks, or a word of quoted and bare parts. A backslash at a line's end is a blank. */
const PART = /(?<blank>(?:\s|\\\n)+)|'(?<single>[^']*)'|"(?<double>[^"]*)"|(?<bare>[^\s'"\\]+)/gy;

/** The words of a shell's command. A variable that is not set is an error, as under `set -u`. */
export function wordsOf(command: string, variables: Readonly<Record<string, string>>): string[] {
  const filled = (text: string) =>
    text.replaceAll(/\$\{?([A-Z_]+)\}?/g, (_, name: string) => {
      const value = variables[name];
      if (value === undefined) throw new Error(`${name} is not set in: ${command}`);
      return value;
    });
  const words: string[] = [];
  let word: string | undefined;
  for (const { groups = {} } of command.matchAll(PART)) {
    const { blank, single, double, bare } = groups;
    if (blank === undefined) word = (word ?? '') + (single ?? filled(double ?? bare ?? ''));
    else if (word !== undefined) words.push(word);
    if (blank !== undefined) word = undefined;
  }
  return word === undefined ? words : [...words, word];
}

/** What the Azure CLI sends: its own headers, the caller's in place of them, and a JSON body as what it is. */
export function azRest(words: readonly string[]): Call {
  const [az, rest, ...options] = words;
  if (az !== 'az' || rest !== 'rest') throw new Error(`this is not az rest: ${words.join(' ')}`);
  const values = new Map<string, string[]>();
  for (const word of options) {
    if (word.startsWith('--')) values.set(word, []);
    else [...values.values()].at(-1)?.push(word);
  }
  const one = (name: string) => values.get(name)?.[0];
  if (one('--resource') === undefined) throw new Error('az rest finds no audience for this URL');
  const body = one('--body');
  const query = one('--query');
  const headers = (values.get('--headers') ?? []).map((pair) => {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    return [name.toLowerCase(), value];
  });
  return {
    method: one('--method') ?? 'GET',
    url: new URL(one('--url') ?? ''),
    headers: {
      'user-agent': 'AZURECLI/2.80.0',
      accept: '*/*',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...Object.fromEntries(headers),
    },
    ...(body === undefined ? {} : { body }),
    ...(query === undefined ? {} : { query }),
  };
}
