// npm run test:kill: signal 9 at random moments under load, and what is left of it afterwards.
//   --kills N      how many (200)
//   --seed TEXT    the same moments and requests again; without one it is drawn, and printed
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { figuresOf, killOver } from './kill.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '200' }, seed: { type: 'string' } },
});
const kills = Number(values.kills);
const seed = values.seed ?? randomBytes(4).toString('hex');
const folder = mkdtempSync(join(tmpdir(), 'foundrite-kill-'));
console.log(`again: npm run test:kill -- --kills ${kills} --seed ${seed}`);
try {
  const killed = await killOver({
    folder,
    kills,
    seed,
    onKill: (kill, moment) => process.stderr.write(`kill ${kill} of ${kills}: ${moment}\n`),
  });
  console.log(figuresOf(killed));
  for (const problem of killed.problems) console.log(problem);
  process.exitCode = killed.problems.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
