/** What is told of one scenario that did not pass: the promise and its source, the request, and expected beside actual. */
import { styleText } from 'node:util';
import { BASES, type Rule, rule, SOURCES } from '../contracts/ledger.ts';
import type { Mismatch } from './match.ts';
import type { Attempt, Failure, Played, PlayOutcome, ThreadRun } from './play.ts';
import type { ReportContext } from './report.ts';
import {
  cut,
  field,
  flat,
  LABEL_WIDTH,
  type Paint,
  row,
  visible,
  widthsFor,
} from './report-columns.ts';
import type { FileProblem } from './scenario.ts';

/** Longer values and bodies are told in part; the json reporter has the whole. */
const VALUE_MAX = 1_200;
const BODY_MAX = 600;
const MISMATCHES_MAX = 20;
const LINES_MAX = 12;
/** A value of more lines than this is not put beside the other. */
const CELL_LINES_MAX = 4;
const NARROW = 60;
const INDENT = '  ';

/** What a story is told with; the lines of all reporters are the same. */
export type Telling = Pick<ReportContext, 'columns' | 'color' | 'again' | 'broken'>;

type Style = 'red' | 'green' | 'yellow' | 'bold' | 'dim';

export function painter(color: boolean): (style: Style, text: string) => string {
  return (style, text) => (color ? styleText(style, text, { validateStream: false }) : text);
}

const MARKS: Record<PlayOutcome, { mark: string; style: Style }> = {
  passed: { mark: '✓ passed', style: 'green' },
  failed: { mark: '✗ failed', style: 'red' },
  skipped: { mark: '- skipped', style: 'yellow' },
  stuck: { mark: '! stuck', style: 'red' },
};

/** The whole story, without a line break at its end. */
export function storyOf(played: Played, telling: Telling): string {
  const { scenario, outcome, failure } = played;
  const paint = painter(telling.color);
  const width = Math.max(telling.columns, 40) - INDENT.length;
  const { mark, style } = MARKS[outcome];
  const head = `${paint(style, mark)}  ${paint('bold', flat(scenario.title))}`;
  const blocks = [whereTold(played), whyTold(played, width)];
  if (outcome !== 'skipped') {
    const telled = { ...telling, columns: width };
    if (failure) blocks.push(mismatchesTold(failure.mismatches, telled));
    blocks.push(attemptsTold(played.attempts, width), threadRunsTold(played.threadRuns, width));
    blocks.push((played.unstruck ?? []).map((fault) => flat(`${fault} never struck`)));
    blocks.push(requestTold(played, width), rulesTold(played, telled));
    blocks.push([`play it again: ${telling.again(played)}`]);
  }
  const text = blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
  return `${head}\n${indented(text)}`;
}

function whereTold({ scenario, failure }: Played): string[] {
  if (!failure) return [scenario.file];
  return [`${scenario.file}:${failure.line}:${failure.column}  ${flat(failure.step)}`];
}

function whyTold({ outcome, reason }: Played, width: number): string[] {
  const lines = reason === undefined ? [] : [field('why', visible(cut(reason, VALUE_MAX)), width)];
  if (outcome === 'stuck') lines.push('This is a bug of the emulator, not a broken promise.');
  return lines;
}

export function indented(text: string): string {
  return text.replace(/^(?=.)/gm, INDENT);
}

/** Where it failed, or the file's begin. */
export function placeOf({ scenario, failure }: Played): Omit<FileProblem, 'message'> {
  return { file: scenario.file, line: failure?.line ?? 1, column: failure?.column ?? 1 };
}

/** In one line, what is wrong. */
export function complaintOf({ failure, reason, outcome }: Played): string {
  if (outcome === 'stuck' || !failure) return flat(cut(reason ?? outcome, VALUE_MAX));
  const [first, ...others] = failure.mismatches;
  if (!first) return `${flat(failure.step)} does not give what was expected`;
  const more = others.length > 0 ? `, and ${others.length} more` : '';
  return flat(
    `${first.where}: expected ${cut(first.expected, 200)}, got ${cut(first.actual, 200)}${more}`,
  );
}

/** A rule's sources, their keys written out. */
export function sourcesOf({ source }: Rule): string[] {
  return source.map((written) =>
    written.replace(/^\S+/, (key) => (Object.hasOwn(SOURCES, key) ? (SOURCES[key] ?? key) : key)),
  );
}

function rulesTold({ scenario }: Played, telling: Telling): string[] {
  const paint = painter(telling.color);
  const { proves } = scenario;
  const lines = [`It should prove ${proves.length === 1 ? 'this promise' : 'these promises'}:`];
  for (const id of proves) {
    const known = rule(id);
    lines.push(`${'promise'.padEnd(LABEL_WIDTH)}${paint('bold', id)}`);
    if (!known) continue;
    lines.push(
      field('basis', `${known.basis}: ${BASES[known.basis]}`, telling.columns),
      field('says', known.statement, telling.columns),
      ...sourcesOf(known).map((text) => field('source', text, telling.columns)),
    );
  }
  if (telling.broken)
    lines.push(
      field('note', `${telling.broken.id} was broken on purpose (--break).`, telling.columns),
    );
  return lines;
}

function requestTold({ seed, failure }: Played, width: number): string[] {
  const lines = [field('seed', flat(seed), width)];
  const { request, answer } = failure ?? {};
  if (request) {
    lines.push(field('request', `${request.method} ${flat(request.path)}`, width));
    if (request.body) lines.push(field('body', visible(cut(request.body, BODY_MAX)), width));
  }
  if (answer) lines.push(field('answer', `status ${answer.status}`, width));
  return lines;
}

/** Side by side what fits, then the others one by one. */
function mismatchesTold(mismatches: Failure['mismatches'], telling: Telling): string[] {
  const paint = painter(telling.color);
  const all = mismatches.slice(0, MISMATCHES_MAX).map(cellsOf);
  const heads = ['where', 'expected', 'actual'];
  const fits = (cells: readonly string[], widths: readonly number[]) =>
    telling.columns >= NARROW && row(cells, widths).length <= CELL_LINES_MAX;
  // A value that is too long in any case does not make the columns of the others narrow.
  const short = all.filter((cells) => fits(cells, widthsFor([heads, cells], telling.columns)));
  const widths = widthsFor([heads, ...short], telling.columns);
  const plain: Paint = (text) => text;
  const dim: Paint = (text) => paint('dim', text);
  const paints: Paint[] = [plain, (text) => paint('green', text), (text) => paint('red', text)];
  const beside = all.filter((cells) => fits(cells, widths));
  const lines = beside.flatMap((cells) => row(cells, widths, paints));
  if (beside.length > 0) lines.unshift(...row(heads, widths, [dim, dim, dim]));
  for (const cells of all.filter((one) => !beside.includes(one)))
    lines.push(...(lines.length > 0 ? [''] : []), ...below(cells, telling.columns, paints));
  const left = mismatches.length - all.length;
  if (left > 0) lines.push(`… and ${left} more`);
  return lines;
}

function cellsOf({ where, expected, actual }: Mismatch): string[] {
  return [where, expected, actual].map((text) => visible(cut(text, VALUE_MAX)));
}

/** Expected above actual. */
function below(cells: readonly string[], width: number, paints: readonly Paint[]): string[] {
  return ['where', 'expected', 'actual'].flatMap((label, index) =>
    row(
      [label, cells[index] ?? ''],
      [LABEL_WIDTH - 2, width - LABEL_WIDTH],
      [(text) => text, paints[index] ?? String],
    ),
  );
}

const FROM_START = "(times count from the scenario's start)";
const NEXT: Record<string, string> = {
  complete: 'the run is completed',
  retry: 'tried again later',
  fail: 'the run is failed',
};

/** Every attempt in a line, the last ones where they are many. */
export function attemptsTold(
  attempts: readonly Attempt[],
  width: number,
  max = LINES_MAX,
): string[] {
  const heads = ['routine', 'attempt', 'gave', 'at', 'what followed'];
  const rows = attempts.map(({ routine, number, gave, at, next }) => [
    routine,
    String(number),
    gave,
    at,
    NEXT[next] ?? next,
  ]);
  return tableTold(`The agent was called ${FROM_START}:`, heads, rows, width, max);
}

/** Every thread run in a line, the last ones where they are many. */
function threadRunsTold(runs: readonly ThreadRun[], width: number): string[] {
  const rows = runs.map(({ id, thread, statuses }) => [id, thread, statuses]);
  const heads = ['run', 'thread', 'statuses'];
  return tableTold(`The thread runs ${FROM_START}:`, heads, rows, width, LINES_MAX);
}

function tableTold(
  title: string,
  heads: readonly string[],
  all: readonly (readonly string[])[],
  width: number,
  max: number,
): string[] {
  if (all.length === 0) return [];
  const rows = (all.length > max ? all.slice(1 - max) : all).map((cells) => cells.map(flat));
  const widths = widthsFor([heads, ...rows], width);
  const left = all.length - rows.length;
  return [
    title,
    ...row(heads, widths),
    ...(left > 0 ? [`… ${left} earlier`] : []),
    ...rows.flatMap((cells) => row(cells, widths)),
  ];
}
