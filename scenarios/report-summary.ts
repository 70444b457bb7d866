/** What was played, counted and in order. */
import { basename, dirname, resolve } from 'node:path';
import type { Played, PlayOutcome } from './play.ts';
import type { Summary } from './report.ts';
import type { FileProblem } from './scenario.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The name of the file's folder: the area that it is about. */
export function areaOf(file: string): string {
  return basename(dirname(resolve(file)));
}

/** Scenarios end in any order; this is that of their files. */
export function inOrder(played: readonly Played[]): Played[] {
  return [...played].sort((a, b) => compare(a.scenario.file, b.scenario.file));
}

export function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export function countOf(played: readonly Played[], outcome: PlayOutcome): number {
  return played.filter((one) => one.outcome === outcome).length;
}

export function filesOf(problems: readonly FileProblem[]): string[] {
  return [...new Set(problems.map(({ file }) => file))].sort(compare);
}

/** How many passed in each folder. */
export function passedByArea(played: readonly Played[]): [area: string, passed: number][] {
  const counts = new Map<string, number>();
  for (const { scenario, outcome } of inOrder(played)) {
    if (outcome !== 'passed') continue;
    const area = areaOf(scenario.file);
    counts.set(area, (counts.get(area) ?? 0) + 1);
  }
  return [...counts].sort(([a], [b]) => compare(a, b));
}

/** `68 passed, 1 failed · 41 days of world time in 3.2 s · in-process`. */
export function summaryLine({ played, bad, realMs }: Summary, target: string): string {
  const bads = filesOf(bad).length;
  const counts = [
    `${countOf(played, 'passed')} passed`,
    ...(['failed', 'stuck', 'skipped'] as const)
      .map((outcome) => [countOf(played, outcome), outcome] as const)
      .filter(([count]) => count > 0)
      .map(([count, outcome]) => `${count} ${outcome}`),
    ...(bads === 0
      ? []
      : [bads === 1 ? '1 file is no scenario' : `${bads} files are no scenarios`]),
  ];
  const worldMs = played.reduce((sum, one) => sum + one.worldMs, 0);
  return `${counts.join(', ')} · ${worldTime(worldMs)} of world time in ${realTime(realMs)} · ${target}`;
}

/** In the largest unit of which there are two. */
export function worldTime(ms: number): string {
  const units = [
    ['day', DAY],
    ['hour', HOUR],
    ['minute', MINUTE],
  ] as const;
  const [unit, size] = units.find(([, each]) => ms >= 2 * each) ?? (['second', SECOND] as const);
  const count = ms / size;
  const shown = count < 10 ? Number(count.toFixed(1)) : Math.round(count);
  return `${shown.toLocaleString('en')} ${unit}${shown === 1 ? '' : 's'}`;
}

function realTime(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < 2 * MINUTE) return `${(ms / SECOND).toFixed(1)} s`;
  return `${Math.floor(ms / MINUTE)} min ${Math.round((ms % MINUTE) / SECOND)} s`;
}
