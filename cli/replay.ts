/** `foundrite replay FILE`: plays a canonical journal again and prints the journal that this gives, which is the same one, always. */
import { readFileSync } from 'node:fs';
import { EXIT, usage } from './exit.ts';

export async function replay(file: string): Promise<number> {
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw usage(
      `replay cannot read "${file}": ${(error as Error).message}. "foundrite journal --canonical" writes one.`,
    );
  }
  const before = text.split('\n').filter((line) => line !== '');
  const { replayJournal } = await import('../emulator/replay.ts');
  const after = await replayJournal(before).catch((error: Error) => {
    throw error.name === 'ReplayError'
      ? usage(`replay cannot play "${file}": ${error.message}`)
      : error;
  });
  // Awaited: a pipe takes only so much at once, and the process ends when this returns.
  await new Promise<void>((done) =>
    process.stdout.write(after.map((line) => `${line}\n`).join(''), () => done()),
  );

  const differs = Array.from({ length: Math.max(before.length, after.length) }).findIndex(
    (_, index) => before[index] !== after[index],
  );
  if (differs === -1) {
    process.stderr.write(`foundrite replay: the same ${after.length} lines.\n`);
    return EXIT.ok;
  }
  process.stderr.write(
    `foundrite replay: line ${differs + 1} is another one: was ${before[differs] ?? '(none)'}, is ${after[differs] ?? '(none)'}\n`,
  );
  return EXIT.broken;
}
