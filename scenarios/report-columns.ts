/** Text as wide as a terminal shows it: wrapped, and in columns. */

const GAP = 2;
/** What `field` puts its labels into. */
export const LABEL_WIDTH = 10;
/** Characters that fill two columns of a terminal, as near as Unicode's classes tell. */
const WIDE =
  /\p{Emoji_Presentation}|\u{fe0f}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}/u;
/** Marks that turn or hide the text around them. */
const UNSEEN =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** What a terminal would act on or hide is written out; line breaks stay. */
export function visible(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(UNSEEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** In one line. */
export function flat(text: string): string {
  return visible(text.replace(/\s+/g, ' ').trim());
}

export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  // Not in the middle of a character.
  const kept = text.slice(0, max).replace(/[\ud800-\udbff]$/, '');
  return `${kept}… (${text.length.toLocaleString('en')} characters)`;
}

export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** Lines of at most `width` columns, broken after a space or a comma where there is one. */
export function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => wrapLine(line, width));
}

function wrapLine(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  let filled = 0;
  let breakAt = 0;
  for (const { segment } of graphemes.segment(text)) {
    const wide = widthOf(segment);
    if (filled + wide > width && line !== '' && segment !== ' ') {
      const end = breakAt > line.length / 2 ? breakAt : line.length;
      lines.push(line.slice(0, end).trimEnd());
      line = line.slice(end);
      filled = widthOf(line);
      breakAt = 0;
    }
    line += segment;
    filled += wide;
    if (segment === ' ' || segment === ',') breakAt = line.length;
  }
  return [...lines, line.trimEnd()];
}

/** A label in front of a text that is wrapped beside it. */
export function field(label: string, text: string, width: number): string {
  return wrap(text, Math.max(width - LABEL_WIDTH, 20))
    .map((line, index) => `${(index === 0 ? label : '').padEnd(LABEL_WIDTH)}${line}`)
    .join('\n');
}

/** How wide columns are so that all fit: none wider than its text, the room that is left shared evenly. */
export function widthsFor(rows: readonly (readonly string[])[], width: number): number[] {
  const natural = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.flatMap((row) => (row[column] ?? '').split('\n').map(widthOf)), 1),
  );
  let room = width - GAP * (natural.length - 1);
  const widths = natural.map(() => 0);
  const narrowFirst = [...natural.keys()].sort((a, b) => (natural[a] ?? 0) - (natural[b] ?? 0));
  for (const [done, column] of narrowFirst.entries()) {
    const share = Math.max(Math.floor(room / (natural.length - done)), 1);
    widths[column] = Math.min(natural[column] ?? 1, share);
    room -= widths[column] ?? 0;
  }
  return widths;
}

export type Paint = (text: string) => string;

/** One row, of as many lines as its longest cell needs; `paints` colour the columns. */
export function row(
  cells: readonly string[],
  widths: readonly number[],
  paints: readonly Paint[] = [],
): string[] {
  const wrapped = cells.map((cell, column) => wrap(cell, widths[column] ?? 1));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, index) => {
    const last = wrapped.findLastIndex((lines) => (lines[index] ?? '') !== '');
    return wrapped
      .slice(0, last + 1)
      .map((lines, column) => {
        const text = lines[index] ?? '';
        const painted = text === '' ? '' : (paints[column]?.(text) ?? text);
        const rest = (widths[column] ?? 0) - widthOf(text);
        return column === last ? painted : painted + ' '.repeat(Math.max(rest, 0));
      })
      .join(' '.repeat(GAP));
  });
}
