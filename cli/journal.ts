/** `foundrite journal`: the record of all turns, read without moving time. */
import { isoInstant } from '../emulator/clock.ts';
import { type CallFlags, call, callJson, type Target, targetOf } from './call.ts';
import { usage } from './exit.ts';
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
  data: Record<string, unknown>[];
  cursor?: number | string | null;
}

export async function journal(flags: JournalFlags): Promise<void> {
  const target = targetOf(flags);
  const query = new URLSearchParams();
  for (const name of FILTERS) if (flags[name] !== undefined) query.set(name, flags[name]);
  if (flags.canonical) {
    if (flags.follow) throw usage('--canonical prints what there is and ends: it does not go with --follow.');
    return printCanonical(target, query);
  }

  const terminal = process.stdout.isTTY;
  const colour = coloured(process.env, terminal);
  for (;;) {
    const page = await callJson<Page>(target, `${target.path}/journal?${query}`, { headers: PEEK });
    for (const entry of page.data) {
      process.stdout.write(`${terminal ? entryLine(entry, colour) : JSON.stringify(entry)}\n`);
    }
    const cursor = page.cursor ?? query.get('after');
    const more = page.data.length > 0 && String(cursor) !== query.get('after');
    if (cursor !== null) query.set('after', String(cursor));
    if (!more && !flags.follow) return;
    if (!more) query.set('wait', String(WAIT_SECONDS));
  }
}

/** Byte for byte: two of these are compared by their hash. */
async function printCanonical(target: Target, query: URLSearchParams): Promise<void> {
  query.set('canonical', 'true');
  const answer = await call(target, `${target.path}/journal?${query}`, {
    headers: { ...PEEK, accept: 'application/x-ndjson' },
  });
  for await (const chunk of answer.body ?? []) {
    if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
}

/** Number, instant, kind, whose it is, and the rest as short JSON. */
export function entryLine(entry: Record<string, unknown>, colour: boolean): string {
  const { seq, at, kind, routine, run, data, ...rest } = entry;
  const strong = (text: string) => (colour ? `\x1b[1m${text}\x1b[22m` : text);
  const faint = (text: string) => (colour ? `\x1b[2m${text}\x1b[22m` : text);
  const what = { ...(typeof data === 'object' && data !== null ? data : data === undefined ? {} : { data }), ...rest };
  const words = Object.entries(what)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name}=${short(value)}`);
  return [
    faint(String(seq ?? '').padStart(5)),
    faint(typeof at === 'number' ? isoInstant(at) : String(at ?? '')),
    strong(String(kind ?? '').padEnd(10)),
    ...[routine, run].filter((name) => typeof name === 'string'),
    ...words,
  ].join(' ');
}

const WORD_MAX = 160;

function short(value: unknown): string {
  const text = typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
  return text.length > WORD_MAX ? `${text.slice(0, WORD_MAX - 1)}…` : text;
}
