/** How a harness learns that the emulator answers: a line on stdout, and a file that is there from then on. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { EXIT, Exit } from './exit.ts';
import type { Launched } from './launch.ts';

/** Harnesses read this; its words and their order are a promise. */
export function readyLine({ serving, emulator }: Launched): string {
  const { store, rate, skip, seed } = emulator.describe();
  const fields = { url: serving.url, pid: process.pid, store, rate, skip, seed };
  const words = Object.entries(fields).map(([name, value]) => `${name}=${word(String(value))}`);
  return `foundrite ready ${words.join(' ')}`;
}

/** A folder or a seed with a blank in it must not look like two fields. */
function word(value: string): string {
  return /[\s"]/.test(value) ? JSON.stringify(value) : value;
}

/** Whole or not at all: who waits for the file reads it as soon as it is there. */
export function writeReadyFile(path: string | undefined, line: string): void {
  if (path === undefined) return;
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, `${line}\n`);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new Exit(
      EXIT.machine,
      `--ready-file is "${path}": it cannot be written (${(error as Error).message}). Name a file in a folder that can be.`,
    );
  }
}

export function removeReadyFile(path: string | undefined): void {
  if (path !== undefined) rmSync(path, { force: true });
}
