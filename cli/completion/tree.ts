/** What can be completed, read from the command line's own description, so that no verb or flag can be forgotten. */
import type { Argument, Command, Option } from 'commander';
import { areas, BASES, rules } from '../../contracts/ledger.ts';
import { SWITCHES } from '../../emulator/profile.ts';
import { SETTINGS } from '../../emulator/settings.ts';
import { REPORTERS } from '../../scenarios/report.ts';
import { SHELLS } from '../env.ts';
import { LOG_LEVELS, PROFILES } from '../flags.ts';

export const COMPLETION_SHELLS = ['bash', 'zsh', 'fish', 'pwsh'] as const;

/** Words to choose from, what lies on the disk, or nothing that could be guessed. */
export type Values = readonly string[] | 'file' | 'folder' | 'free';

export interface Flag {
  /** `--port` and perhaps `-p`. */
  names: string[];
  about: string;
  /** Of what follows it; undefined where nothing does. */
  values: Values | undefined;
}

export interface Verb {
  /** `clock advance`; empty before any verb was typed. */
  path: string;
  about: string;
  flags: Flag[];
  /** Of the words that are no flags. */
  values: Values;
}

/** What stands for a value in the flags' own words; `a|b` between the brackets is found without this. */
const BY_PLACE: Record<string, Values> = { file: 'file', folder: 'folder', paths: 'file' };

function byName(): Record<string, Values> {
  const ids = rules().map(({ id }) => id);
  const switches = Object.entries(SWITCHES).flatMap(([name, { values }]) =>
    values.map((value) => `${name}=${value}`),
  );
  return {
    profile: PROFILES,
    'log-level': LOG_LEVELS,
    switch: switches,
    setting: Object.keys(SETTINGS).map((name) => `${name}=`),
    reporter: REPORTERS,
    basis: Object.keys(BASES),
    area: areas(),
    rule: [...areas(), ...ids],
    break: ids,
    shell: SHELLS,
  };
}

/** Every verb, the one before any verb first: it has the flags of `start`, which is what happens without one. */
export function verbsOf(program: Command): Verb[] {
  const names = byName();
  const read = (command: Command, path: string): Verb[] => [
    {
      path,
      about: command.description(),
      flags: [...command.options.map((option) => flagOf(option, names)), HELP],
      values: argumentValues(command.registeredArguments, path, names),
    },
    ...command.commands.flatMap((each) =>
      read(each, path ? `${path} ${each.name()}` : each.name()),
    ),
  ];
  const [root, ...verbs] = read(program, '');
  const start = verbs.find(({ path }) => path === 'start');
  return [
    { ...(root as Verb), flags: [...(root?.flags ?? []), ...(start?.flags ?? [])] },
    ...verbs,
  ];
}

const HELP: Flag = { names: ['--help', '-h'], about: 'tell what there is', values: undefined };

function flagOf({ long, short, flags, description }: Option, names: Record<string, Values>): Flag {
  const place = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1];
  const name = (long ?? '').replace(/^--/, '');
  return {
    names: [long, short].filter((each) => each !== undefined),
    about: description,
    values: place === undefined ? undefined : (names[name] ?? placeValues(place)),
  };
}

function placeValues(place: string): Values {
  if (place.includes('|')) return place.split('|');
  return place === 'idle' ? ['idle'] : (BY_PLACE[place] ?? 'free');
}

function argumentValues(
  registered: readonly Argument[],
  path: string,
  names: Record<string, Values>,
): Values {
  const name = registered[0]?.name();
  if (name === undefined) return 'free';
  if (path === 'ledger') return names.break as Values;
  return path === 'completion' ? COMPLETION_SHELLS : placeValues(name);
}

/** Verbs and flags that take the same values, so that a script says them once: `start --config`. */
export function sharedValues(verbs: readonly Verb[]): [values: Values, takers: string[]][] {
  const byText = new Map<string, [Values, string[]]>();
  for (const { path, flags } of verbs) {
    for (const { names, values } of flags) {
      if (values === undefined) continue;
      const key = JSON.stringify(values);
      const entry = byText.get(key) ?? [values, []];
      byText.set(key, entry);
      for (const name of names) {
        const taker = `${path}:${name}`;
        if (!entry[1].includes(taker)) entry[1].push(taker);
      }
    }
  }
  return [...byText.values()];
}

/** One line; where a script quotes with ', the text has none. */
export function plainAbout(about: string): string {
  return about.replaceAll("'", '’').replaceAll(/\s+/g, ' ');
}

/** The verb that another is below; empty for those of the first row. */
export function parentOf(path: string): string {
  return path.includes(' ') ? path.slice(0, path.lastIndexOf(' ')) : '';
}
