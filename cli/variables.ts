/** The FOUNDRITE_* variables: which there are, and which somebody misspelt. */

import { nearest } from '../contracts/near.ts';
import { CHILD_FLAGS, longName, START_FLAGS, variableName } from './flags.ts';

/**
 * Flags of `play` that have a variable. What it plays, and where, is said by flag alone: a variable that was set for another verb must
 * not turn a play in this process into one on an emulator that others use.
 */
export const PLAY_VARIABLES = ['control-token', 'ca', 'reporter', 'jobs', 'prefix'] as const;

/** Set for services and links by Kubernetes and Docker, when one is named foundrite. */
const OF_OTHERS = /^FOUNDRITE_(?:SERVICE|PORT)_\w+$/;

export function knownVariables(): string[] {
  const ofFlags = [...START_FLAGS, ...CHILD_FLAGS].flatMap(([written, help]) => {
    const name = variableName(longName([written, help]));
    const takesValue = /[<[]/.test(written);
    const positive = name.replace('FOUNDRITE_NO_', 'FOUNDRITE_');
    return takesValue ? [name] : [positive, positive.replace('FOUNDRITE_', 'FOUNDRITE_NO_')];
  });
  return [
    ...new Set([
      ...ofFlags,
      'FOUNDRITE_URL',
      'FOUNDRITE_TOKEN',
      'FOUNDRITE_HOME',
      ...PLAY_VARIABLES.map(variableName),
    ]),
  ];
}

/** A sentence for each variable that looks like ours and says nothing to us. */
export function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = knownVariables();
  return Object.keys(env)
    .filter((name) => name.startsWith('FOUNDRITE_') && !known.includes(name))
    .filter((name) => !OF_OTHERS.test(name))
    .map((name) => {
      const meant = nearest(withoutPrefix(name), known.map(withoutPrefix));
      const names = meant.map((each) => `FOUNDRITE_${each}`).join(', ');
      return `there is no variable ${name}, so it does nothing.${names && ` Near it: ${names}.`}`;
    });
}

/** Names are told apart by what is not the same in all of them. */
function withoutPrefix(name: string): string {
  return name.slice('FOUNDRITE_'.length);
}

/** Adds what variables say to the flags of `play`. Reporters are separated by commas. */
export function withPlayVariables<Flags extends object>(
  flags: Flags,
  env: NodeJS.ProcessEnv,
): Flags {
  const said = PLAY_VARIABLES.flatMap((name) => {
    const value = env[variableName(name)];
    const key = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    return value ? [[key, name === 'reporter' ? value.split(',') : value] as const] : [];
  });
  return { ...Object.fromEntries(said), ...flags };
}
