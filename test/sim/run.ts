/** `npm run test:sim`: the stories of many seeds on two processes; `-- --seeds N --from S`, or one again with `--seed X`; `--of threads` tells of nothing else. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Failure, playSeed, report, type StoriesOf } from './seeds.ts';

/** So many seeds are handed to a process at once. */
const SHARE = 25;
const PROCESSES = 2;
/** After so many failures the rest tells nothing new. */
const FAILURES_MAX = 10;

interface Played {
  figures: [string, number][];
  failures: string[];
  /** Of the processor, in ms. */
  took: number;
}

async function play(from: number, to: number, of: StoriesOf): Promise<Played> {
  const figures = new Map<string, number>();
  const failures: Failure[] = [];
  const before = process.cpuUsage();
  for (let seed = from; seed < to; seed += 1) {
    const failure = await playSeed(seed, figures, undefined, of);
    if (failure) failures.push(failure);
  }
  const { user, system } = process.cpuUsage(before);
  return { figures: [...figures], failures: failures.map(report), took: (user + system) / 1_000 };
}

async function playAll(from: number, seeds: number, of: StoriesOf): Promise<boolean> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1_000;
  const totals = new Map<string, number>();
  const failures: string[] = [];
  const [end, tell] = [from + seeds, Math.ceil(seeds / 20)];
  let next = from;
  let done = 0;
  let took = 0;
  const one = async () => {
    const child = fork(fileURLToPath(import.meta.url), ['--share'], { stdio: 'inherit' });
    const died = once(child, 'exit').then(([code]) => {
      throw new Error(`A process that plays stories ended with ${code}.`);
    });
    died.catch(() => {});
    while (next < end && failures.length < FAILURES_MAX) {
      const [first, last] = [next, Math.min(next + SHARE, end)];
      next = last;
      child.send([first, last, of]);
      const [played] = (await Promise.race([once(child, 'message'), died])) as [Played];
      for (const [what, times] of played.figures) totals.set(what, (totals.get(what) ?? 0) + times);
      for (const failure of played.failures) console.error(`\n${failure}\n`);
      failures.push(...played.failures);
      took += played.took;
      const before = done;
      done += last - first;
      if (Math.floor(done / tell) > Math.floor(before / tell))
        console.log(
          `${done} of ${seeds} seeds, ${failures.length} failed, ${seconds().toFixed(0)} s`,
        );
    }
    child.disconnect();
  };
  await Promise.all(Array.from({ length: PROCESSES }, one));
  for (const [what, times] of [...totals].sort())
    console.log(`${String(times).padStart(8)}  ${what}`);
  const each = (took / done).toFixed(1);
  console.log(
    `${done} seeds from ${from}, ${failures.length} failed, ${seconds().toFixed(1)} s, ${each} ms of a processor each`,
  );
  return failures.length === 0;
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    of: { type: 'string', default: 'all' },
    share: { type: 'boolean', default: false },
  },
});

const of: StoriesOf = values.of === 'threads' ? 'threads' : 'all';
if (values.share) {
  process.on('message', ([from, to, whose]: [number, number, StoriesOf]) => {
    void play(from, to, whose).then((played) => process.send?.(played));
  });
} else if (values.seed !== undefined) {
  const seed = Number(values.seed);
  const { failures } = await play(seed, seed + 1, of);
  console.log(failures[0] ?? `seed ${seed} passes`);
  process.exitCode = failures.length > 0 ? 1 : 0;
} else {
  const passed = await playAll(Number(values.from), Number(values.seeds), of);
  process.exitCode = passed ? 0 : 1;
}
