/**
 * What a seed says, piece by piece: its sections, and in each the sentences, list items, table rows and samples of code. The seeds
 * are pages that were saved as text, so nothing but the form of a line tells what it is. They are read from ../shared/seeds while
 * a test runs, because the product holds no more of their text than short quotes.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './clients/install.mjs';

const SEEDS = join(ROOT, '..', 'shared', 'seeds');

/** The text of the seed with this number; nothing where the seeds are absent, as they are in a checkout of the product alone. */
export function readSeed(number: string): string | undefined {
  const name = existsSync(SEEDS)
    ? readdirSync(SEEDS).find((file) => file.startsWith(number) && file.endsWith('.txt'))
    : undefined;
  return name === undefined ? undefined : readFileSync(join(SEEDS, name), 'utf8');
}

export interface Unit {
  section: string;
  /** Its kind, and its number among the units of that kind in its section. */
  name: string;
  text: string;
}

type Kind = 'sentence' | 'item' | 'head' | 'row' | 'sample';

/** What stands before the first heading has no name of its own, and 000 alone prints the title after it. */
const INTRODUCTION = 'Introduction';
export const TITLE = 'Automate agents with routines (preview)';

/** The head of a box, which says only that a box follows. */
export const LABEL = /^(?:Note|Important|Warning)$/;
const BULLET = /^[-•] /;
/** 001 breaks a line before inline code and glues what follows to it, so that one sentence lies on several lines. */
const CONTINUES = /^(?![A-Z|]|[-•] |$)/;
const FINISHED = /[.:?!]$/;
/** Commands that 001 glues into a sentence, where no line tells where they begin or end. */
const GLUED =
  /(pip install (?:"[^"]*"|[\w-]+)|npm install [@\w/-]+ [@\w/-]+|azd extension install azure\.ai\.routines)/;
/** 000 glues the cells of a row together. */
const GLUED_CELLS = /[a-z)][A-Z]/;

export function unitsOf(page: string): Unit[] {
  const lines = page.split('\n').map((line) => line.trim());
  const samples = new Map(blocksOf(lines).map((block) => [block.start, block]));
  const units: Unit[] = [];
  let section = INTRODUCTION;
  const add = (kind: Kind, text: string) => {
    const isSame = (unit: Unit) => unit.section === section && unit.name.startsWith(`${kind} `);
    units.push({ section, name: `${kind} ${units.filter(isSame).length + 1}`, text });
  };
  for (let index = 0; index < lines.length; ) {
    const line = lines[index] ?? '';
    const sample = samples.get(index);
    const table = tableAt(lines, index);
    if (sample !== undefined) {
      add('sample', sample.lines.join(' '));
      index += sample.lines.length;
    } else if (table !== undefined) {
      for (const [number, row] of table.rows.entries()) add(number === 0 ? 'head' : 'row', row);
      index = table.end;
    } else if (line === '' || LABEL.test(line)) {
      index += 1;
    } else {
      const end = endOfProse(lines, index, samples);
      if (end === index + 1 && isHeading(line)) section = line === TITLE ? INTRODUCTION : line;
      else addProse(lines.slice(index, end).join(' '), add);
      index = end;
    }
  }
  return units;
}

export function isHeading(line: string): boolean {
  return /^[A-Z]/.test(line) && !FINISHED.test(line);
}

function endOfProse(lines: string[], start: number, samples: Map<number, Block>): number {
  let end = start + 1;
  while (
    end < lines.length &&
    !samples.has(end) &&
    !FINISHED.test(lines[end - 1] ?? '') &&
    CONTINUES.test(lines[end] ?? '')
  )
    end += 1;
  return end;
}

/** The pieces of a paragraph, or of a list whose items 001 may have joined on one line. */
function addProse(text: string, add: (kind: Kind, text: string) => void): void {
  const kind = BULLET.test(text) ? 'item' : 'sentence';
  for (const item of text.replace(BULLET, '').split(/(?<=\.) - (?=[A-Z])/)) {
    // What the split keeps of the pattern stands at the odd places.
    for (const [index, piece] of item.split(GLUED).entries()) {
      if (index % 2 === 1) add('sample', piece);
      else for (const sentence of sentencesOf(piece)) add(kind, sentence);
    }
  }
}

export function sentencesOf(text: string): string[] {
  const sentences = text.trim().split(/(?<=[.!?])(?:\s+|(?=[A-Z]))/);
  return sentences.filter((sentence) => sentence !== '');
}

/** The table that begins on a line, head first: with bars in 001, with glued cells in 000. */
function tableAt(lines: string[], start: number): { rows: string[]; end: number } | undefined {
  const head = lines[start] ?? '';
  if (head.startsWith('|')) return tableWithBars(lines, start);
  if (FINISHED.test(head) || !GLUED_CELLS.test(head)) return undefined;
  let end = start + 1;
  while (GLUED_CELLS.test(lines[end] ?? '')) end += 1;
  return end === start + 1 ? undefined : { rows: lines.slice(start, end), end };
}

/** A row ends with its last cell: a line that breaks after inline code has fewer cells than the head. */
function tableWithBars(lines: string[], start: number): { rows: string[]; end: number } {
  const cellsOf = (text = '') =>
    text.split('|').flatMap((cell) => (cell.trim() === '' ? [] : [cell.trim()]));
  const head = cellsOf(lines[start]);
  const rows = [head.join(' ')];
  let end = start + 2;
  for (let row: string[] = []; lines[end]?.endsWith('|'); end += 1) {
    row.push(...cellsOf(lines[end]));
    if (row.length < head.length) continue;
    rows.push(row.join(' '));
    row = [];
  }
  return { rows, end };
}

/** Without blanks, bars and quotation marks, which the two seeds set differently in the same text. */
export function plain(text: string): string {
  return text.replace(/[\s|“”‘’"'`]/g, '');
}

/** Changes when the text does. */
export function hashOf(text: string): string {
  return createHash('sha256').update(plain(text)).digest('hex').slice(0, 8);
}

export type Language = 'shell' | 'python' | 'javascript' | 'azd' | 'yaml' | 'json' | 'log';

export interface Block {
  language: Language;
  /** As printed. */
  lines: string[];
  /** The number of its first line on the page, from 0. */
  start: number;
}

/** What a line at the outermost level begins with. */
const BEGINNINGS: [Language, RegExp][] = [
  ['shell', /^(?:curl |az (?:rest|role) |echo "|[A-Z_]+=)/],
  [
    'python',
    /^(?:import \w|from \S+ import |print\(|(?:client|project|time)\.\w|(?:for \w+ in|if|def) .*:$|return$|raise |\w+ = )/,
  ],
  ['javascript', /^(?:const |await |for await |console\.|\/\/)/],
  // A command, and no sentence about one.
  ['azd', /^azd (?:ai|auth|ext) .*[^.]$/],
  ['yaml', /^[a-z_-]+:(?: |$)/],
  ['json', /^\{$/],
  ['log', /^\d{4}-\d\d-\d\dT/],
];

/** The blocks of code on a page, which stands there as text, without fences and without indentation. */
export function blocksOf(lines: string[]): Block[] {
  const blocks: Block[] = [];
  let block: Block | undefined;
  for (let index = 0; index < lines.length; ) {
    const language = languageAt(lines, index, block?.language);
    if (language === undefined) {
      block = undefined;
      index += 1;
      continue;
    }
    if (block?.language !== language) {
      block = { language, lines: [], start: index };
      blocks.push(block);
    }
    const end = endOfStatement(lines, index, language);
    block.lines.push(...lines.slice(index, end));
    index = end;
  }
  return blocks;
}

/** A comment belongs to the code that follows it; where none does, to what went before it. */
function languageAt(
  lines: string[],
  index: number,
  before: Language | undefined,
): Language | undefined {
  const begins = (line: string) => BEGINNINGS.find(([, beginning]) => beginning.test(line))?.[0];
  if (!lines[index]?.startsWith('#')) return begins(lines[index] ?? '');
  const next = begins(lines.slice(index).find((line) => !line.startsWith('#')) ?? '');
  if (next !== undefined && next !== 'javascript') return next;
  return before === 'python' ? before : undefined;
}

export function endOfStatement(lines: string[], start: number, language: Language): number {
  const state: State = { depth: 0, quote: '' };
  const breaks = language === 'shell' || language === 'azd';
  for (let index = start; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    scan(line, language, state);
    const goesOn = state.depth > 0 || state.quote !== '' || (breaks && line.endsWith('\\'));
    if (!goesOn) return index + 1;
  }
  throw new Error(`the block at line ${start + 1} does not end: ${lines[start]}`);
}

/** Gives Python back the whitespace that it lost at the beginning of lines. A comment at the outermost level ends a loop. */
export function indented({ lines, language }: Block): string[] {
  const result: string[] = [];
  let level = 0;
  for (let index = 0; index < lines.length; ) {
    const end = endOfStatement(lines, index, language);
    const statement = lines.slice(index, end);
    if (statement[0]?.startsWith('#')) level = 0;
    result.push(...statement.map((line) => '    '.repeat(level) + line));
    if (statement.at(-1)?.endsWith(':') && !statement[0]?.startsWith('#')) level += 1;
    index = end;
  }
  return result;
}

interface State {
  /** Brackets open. */
  depth: number;
  /** The quote that is open; across lines in the shell only. */
  quote: string;
}

function scan(line: string, language: Language, state: State): void {
  const comment = language === 'javascript' ? '//' : '#';
  for (let at = 0; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (state.quote !== '') {
      if (char === '\\' && state.quote !== "'") at += 1;
      else if (char === state.quote) state.quote = '';
    } else if (line.startsWith(comment, at)) return;
    else if (char === '"' || char === "'" || char === '`') state.quote = char;
    else if ('([{'.includes(char)) state.depth += 1;
    else if (')]}'.includes(char)) state.depth -= 1;
  }
}
