/** What `createEmulator` is told: which options there are, and what is thrown where they cannot be used. */
import type { ConfigurationProblem } from '../contracts/configuration.ts';
import { near } from '../contracts/near.ts';
import type { EmulatorOptions } from './emulator.ts';

/** Options that cannot be used: the field, and what to do; where there is more to tell, all of it. */
export class OptionError extends Error {
  override name = 'OptionError';
  /** Of the first. */
  readonly param: string;
  readonly problems: readonly ConfigurationProblem[];
  constructor(problems: readonly [ConfigurationProblem, ...ConfigurationProblem[]]) {
    super(problems.map(({ message }) => message).join('\n'));
    this.param = problems[0].param;
    this.problems = problems;
  }
}

const OPTIONS: Record<keyof EmulatorOptions, true> = {
  now: true,
  rate: true,
  skip: true,
  seed: true,
  profile: true,
  switches: true,
  settings: true,
  dataDir: true,
  durability: true,
  empty: true,
  agents: true,
  assistants: true,
  routines: true,
  faults: true,
  controlToken: true,
  control: true,
  cors: true,
  tlsNames: true,
  caPem: true,
  identitySecret: true,
  host: true,
  outside: true,
  notice: true,
};

/** Throws OptionError for a slip of the fingers, which would else be passed over. */
export function requireKnown(options: object): void {
  const known = Object.keys(OPTIONS);
  const [first, ...further] = Object.keys(options)
    .filter((key) => !known.includes(key))
    .map((key) => ({
      param: key,
      message: `${key} is no option of an emulator.${near(key, known)} It has: ${known.join(', ')}.`,
    }));
  if (first) throw new OptionError([first, ...further]);
}
