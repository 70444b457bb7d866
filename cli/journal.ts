/** `foundrite journal`: the record of all turns, read without moving time. */
import { JOURNAL_KINDS } from '../contracts/control.ts';
import { near } from '../contracts/near.ts';
import { type CallFlags, callJson, callText, NoAnswer, type Target, targetOf } from './call.ts';
import { EXIT, usage } from './exit.ts';
import { coloured } from './start.ts';

/** How long one call waits for the next line; shorter than what proxies cut off. */
const WAIT_SECONDS = 25;
/** A reader of the journal is not someone for whom time should skip ahead. */
const PEEK = { 'x-foundrite-peek': '1' };
const FILTERS = ['kind', 'run', 'routine', 'after'] as const;

export interface JournalFlags extends CallFlags {
  follow?: boolean;
  canonical?: boolean;
  kind?: string;
  run?: string;
  routine?: string;
  after?: string;
}

interface Page {
  entries: Record<string, unknown>[];
  cursor: number;
}

export async function journal(flags: JournalFlags): Promise<void> {
  // A reader that goes away, as in "foundrite journal | head", has seen enough.
  process.stdout.once('error', () => process.exit(EXIT.ok));
  const target = targetOf(flags);
  const query = new URLSearchParams();
  for (const name of FILTERS) if (flags[name] !== undefined) query.set(name, flags[name]);
  requireKinds(flags.kind);
  if (flags.canonical) {
    if (flags.follow)
      throw usage('--canonical prints what there is and ends: it does not go with --follow.');
    return printCanonical(target, query);
  }

  const terminal = process.stdout.isTTY;
  const colour = coloured(process.env, terminal);
  for (;;) {
    let page: Page;
    try {
      page = await callJson<Page>(target, pathOf(target, query), { headers: PEEK });
    } catch (error) {
      // It answered before, and now nobody listens: that is an end, where a connection that breaks is none.
      const ended = error instanceof NoAnswer && error.refused && query.has('after');
      if (!ended || !flags.follow) throw error;
      process.stderr.write(`foundrite: the emulator at ${target.url} has ended.\n`);
      return;
    }
    const { entries, cursor } = page;
    for (const entry of entries) {
      process.stdout.write(`${terminal ? entryLine(entry, colour) : JSON.stringify(entry)}\n`);
    }
    query.set('after', String(cursor));
    if (entries.length > 0) continue;
    if (!flags.follow) return;
    query.set('wait', String(WAIT_SECONDS));
  }
}

function requireKinds(written = ''): void {
  const unknown = written.split(',').find((kind) => kind !== '' && !JOURNAL_KINDS.includes(kind));
  if (unknown === undefined) return;
  const slip = near(unknown, JOURNAL_KINDS);
  throw usage(
    `--kind: no line is of the kind "${unknown}".${slip} Known are: ${JOURNAL_KINDS.join(', ')}.`,
  );
}

function pathOf(target: Target, query: URLSearchParams): string {
  return `${target.path}/journal${query.size === 0 ? '' : `?${query}`}`;
}

/** Byte for byte: two of these are compared by their hash. */
async function printCanonical(target: Target, query: URLSearchParams): Promise<void> {
  query.set('canonical', 'true');
  for (;;) {
    const text = await callText(target, pathOf(target, query), {
      headers: { ...PEEK, accept: 'application/x-ndjson' },
    });
    if (text === '') return;
    if (!process.stdout.write(text))
      await new Promise((resolve) => process.stdout.once('drain', resolve));
    // A page at a time; its last line says where the next one begins.
    const last = text.slice(text.lastIndexOf('\n', text.length - 2) + 1);
    query.set('after', String((JSON.parse(last) as { seq: number }).seq));
  }
}

/** Number, instant, kind, whose it is, and the rest as short JSON. */
export function entryLine(entry: Record<string, unknown>, colour: boolean): string {
  const { seq, at, kind, routine, run, ...rest } = entry;
  const strong = (text: string) => (colour ? `\x1b[1m${text}\x1b[22m` : text);
  const faint = (text: string) => (colour ? `\x1b[2m${text}\x1b[22m` : text);
  const words = Object.entries(rest)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name}=${short(value)}`);
  return [
    faint(String(seq ?? '').padStart(5)),
    faint(String(at ?? '')),
    strong(String(kind ?? '').padEnd(10)),
    ...[routine, run].filter((name) => typeof name === 'string'),
    ...words,
  ].join(' ');
}

const WORD_MAX = 160;

function short(value: unknown): string {
  const text =
    typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
  return text.length > WORD_MAX ? `${text.slice(0, WORD_MAX - 1)}…` : text;
}
