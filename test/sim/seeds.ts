/** One seed is one story: played, and where it fails, shrunk and told. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { Planted } from './asked.ts';
import { Difference, type Figures, plain } from './compared.ts';
import { Play } from './play.ts';
import { type Story, stepsOf, stories, tell } from './story.ts';
import { threadStories } from './thread-story.ts';

/** Stories of the whole product, or of threads and their runs alone. */
const STORIES = { all: stories, threads: threadStories };
export type StoriesOf = keyof typeof STORIES;

export interface Failure {
  seed: number;
  of: StoriesOf;
  story: Story;
  error: Error;
  /** How many steps the shrunk story takes until it fails. */
  steps: number;
}

/** Every so many seeds, the journal of the story is replayed too. */
const REPLAY_EVERY = 10;

/** Plays the story of a seed; what went wrong, if anything did. */
export async function playSeed(
  seed: number,
  figures: Figures,
  planted?: Planted,
  of: StoriesOf = 'all',
): Promise<Failure | undefined> {
  // What was played while shrinking is in no figure.
  let counted: Figures | undefined = figures;
  const property = fc.asyncProperty(STORIES[of], async (one) => {
    const play = new Play(one, counted, planted);
    counted = undefined;
    await play.run(seed % REPLAY_EVERY === 0);
  });
  const found = await fc.check(property, { seed, numRuns: 1, unbiased: true });
  if (!found.failed) return undefined;
  const [shrunk] = found.counterexample ?? [];
  const error = found.errorInstance;
  if (!shrunk || !(error instanceof Error)) throw new Error(`Seed ${seed} failed oddly: ${error}`);
  return shorten({ seed, of, ...told(shrunk, error) }, planted);
}

/** Leaves out whatever step the failure does without: lists that were drawn long only shrink so far. */
async function shorten(failure: Failure, planted?: Planted): Promise<Failure> {
  let best = failure;
  for (let index = best.steps - 1; index >= 0; index -= 1) {
    const steps = stepsOf(best.story).filter((_, at) => at !== index && at < best.steps);
    const story = { ...best.story, first: [], rest: steps };
    const error = await failureOf(story, planted);
    if (error) best = { ...best, ...told(story, error) };
  }
  return best;
}

async function failureOf(story: Story, planted?: Planted): Promise<Error | undefined> {
  try {
    await new Play(story, new Map(), planted).run();
    return undefined;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

function told(story: Story, error: Error): Pick<Failure, 'story' | 'error' | 'steps'> {
  const all = stepsOf(story).length;
  return { story, error, steps: error instanceof Difference ? error.step : all };
}

/** The seed, the shrunk story, what either side says, and the command that plays it again. */
export function report({ seed, of, story, error, steps }: Failure): string {
  const lines = tell(story).slice(0, steps + 1);
  const beyond = steps > stepsOf(story).length ? ['    then until nothing is under way'] : [];
  const [where, model, emulator] =
    error instanceof Difference ? firstDifference(error.model, error.emulator) : [];
  const sides =
    error instanceof Difference
      ? [
          `They differ after step ${error.step} in ${error.where}${where}:`,
          `  model     ${JSON.stringify(model)}`,
          `  emulator  ${JSON.stringify(emulator)}`,
        ]
      : [error.stack ?? error.message];
  return [
    `seed ${seed} fails; the shortest story that still does:`,
    ...lines,
    ...beyond,
    ...sides,
    `play it again: npm run test:sim -- --seed ${seed}${of === 'all' ? '' : ` --of ${of}`}`,
  ].join('\n');
}

/** The first place within where they differ: the rest would hide it. */
function firstDifference(
  model: unknown,
  emulator: unknown,
  path = '',
): [where: string, model: unknown, emulator: unknown] {
  const [one, other] = [plain(model), plain(emulator)];
  if (!isTree(one) || !isTree(other) || Array.isArray(one) !== Array.isArray(other))
    return [path, one, other];
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  const key = keys.find((each) => !isDeepStrictEqual(one[each], other[each]));
  if (key === undefined) return [path, one, other];
  if (!(key in one && key in other))
    return [`${path} ${key}`, one[key] ?? 'nothing', other[key] ?? 'nothing'];
  return firstDifference(one[key], other[key], `${path} ${key}`);
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
