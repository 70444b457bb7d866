/**
 * The ledger leaves nothing out: `coverage.yaml` lists whatever the pages say that the emulator comes from, and which rules state
 * it. Two copies of the how-to page of routines are seeds, 000 and 001, of which 000 says little that 001 does not; 002 is the
 * reference of creating an agent, 003 the how-to page of hosted agents, and 004 the page of a scheduler's job. `threads` is the table of
 * transitions in contract/threads.md.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { rule } from '../contracts/ledger.ts';
import { THREAD_RUN_TRANSITIONS } from '../emulator/lifecycle.ts';
import { HEADING, linesOf, referenceUnitsOf } from './seed-fields.ts';
import { jobUnitsOf, readTransitions, transitionsOf, transitionUnitsOf } from './seed-job.ts';
import { hashOf, LABEL, plain, readSeed, TITLE, type Unit, unitsOf } from './seed-units.ts';

const SPLITS = {
  '001': unitsOf,
  '000': unitsOf,
  '002': referenceUnitsOf,
  '003': unitsOf,
  '004': jobUnitsOf,
  threads: transitionUnitsOf,
};
type Page = keyof typeof SPLITS;
const PAGES = Object.keys(SPLITS) as Page[];

interface Entry {
  /** Its kind, its number in its section and its first words: `sentence 2: You can try`. */
  unit: string;
  hash: string;
  rules?: string[];
  /** Why no rule could state it: one of the reasons. */
  provable?: 'no';
  why?: string;
}

type Sections = Record<string, Entry[]>;

type Coverage = Record<Page, Sections> & {
  reasons: Record<string, string>;
  repeated: Record<string, number>;
};

const file = new URL('../contracts/ledger/coverage.yaml', import.meta.url);
const coverage = parse(readFileSync(file, 'utf8')) as Coverage;
const reasonIds = Object.keys(coverage.reasons);

interface Listed extends Entry {
  section: string;
  name: string;
  quote: string;
}

function listedOf(sections: Sections): Listed[] {
  return Object.entries(sections).flatMap(([section, entries]) =>
    entries.map((entry) => {
      const [, name = '', quote = ''] = /^(\w+ \d+): (.+)$/.exec(entry.unit) ?? [];
      return { ...entry, section, name, quote };
    }),
  );
}

function ofEach<T>(make: (page: Page) => T): Record<Page, T> {
  return Object.fromEntries(PAGES.map((page) => [page, make(page)])) as Record<Page, T>;
}

const listed = ofEach((page) => listedOf(coverage[page]));
const every = PAGES.flatMap((page) => listed[page]);

/** Those that are not as they should be, so that a failure names them all at once. */
function failing(isGood: (each: Listed) => boolean): string[] {
  return every.filter((each) => !isGood(each)).map(({ section, unit }) => `${section} › ${unit}`);
}

test('a unit of a page has a name, a hash and a quote of at most eight words', () => {
  expect(failing(({ name }) => name !== '')).toEqual([]);
  expect(failing(({ hash }) => /^[0-9a-f]{8}$/.test(hash))).toEqual([]);
  expect(failing(({ quote }) => quote.split(/\s+/).length <= 8)).toEqual([]);
});

test('a unit is stated by rules, or says why none could', () => {
  const isStated = ({ rules = [], provable, why }: Listed) =>
    rules.length > 0 && provable === undefined && why === undefined;
  const isReasoned = ({ rules, provable, why = '' }: Listed) =>
    rules === undefined && provable === 'no' && reasonIds.includes(why);
  expect(failing((each) => isStated(each) || isReasoned(each))).toEqual([]);
  const known = ['unit', 'hash', 'rules', 'provable', 'why', 'section', 'name', 'quote'];
  expect(failing((each) => Object.keys(each).every((key) => known.includes(key)))).toEqual([]);
});

test('every rule that a unit names is in the ledger, and is named once', () => {
  const unknown = every.flatMap(({ section, unit, rules = [] }) =>
    rules.filter((id) => rule(id) === undefined).map((id) => `${section} › ${unit} names ${id}`),
  );
  expect(unknown).toEqual([]);
  expect(failing(({ rules = [] }) => new Set(rules).size === rules.length)).toEqual([]);
});

test('every reason is a sentence and is given by some unit', () => {
  const texts = Object.values(coverage.reasons);
  expect(texts.filter((text) => !/^[A-Z].*\.$/.test(text))).toEqual([]);
  expect(reasonIds.filter((id) => !every.some(({ why }) => why === id))).toEqual([]);
});

const pages = ofEach((page) => (page === 'threads' ? readTransitions() : readSeed(page)));
const areThere = PAGES.every((page) => pages[page] !== undefined);
if (!areThere)
  process.stderr.write('coverage: partly skipped, because the pages are not in ../shared.\n');

describe.skipIf(!areThere)('a page', () => {
  const units = ofEach((page) => SPLITS[page](pages[page] ?? ''));
  const textKey = (section: string, hash: string) => `${section} ${hash}`;
  const texts = new Set(listed['001'].map(({ section, hash }) => textKey(section, hash)));
  const isRepeated = ({ section, text }: Unit) => texts.has(textKey(section, hashOf(text)));
  const own = { ...units, '000': units['000'].filter((unit) => !isRepeated(unit)) };

  const keyOf = (section: string, name: string, hash: string) => `${section} › ${name} ${hash}`;
  const pageKey = ({ section, name, text }: Unit) => keyOf(section, name, hashOf(text));

  test.each(PAGES)('says nothing in %s that is not mapped', (page) => {
    const mapped = new Set(
      listed[page].map(({ section, name, hash }) => keyOf(section, name, hash)),
    );
    const unmapped = own[page].filter((unit) => !mapped.has(pageKey(unit)));
    const words = ({ text }: Unit) => text.split(' ').slice(0, 8).join(' ');
    expect(unmapped.map((unit) => `${pageKey(unit)} ${words(unit)}`)).toEqual([]);
  });

  test.each(PAGES)('still says in %s all that is mapped, and begins as quoted', (page) => {
    const said = new Map(own[page].map((unit) => [pageKey(unit), plain(unit.text)]));
    const isSaid = ({ section, name, hash, quote }: Listed) =>
      said.get(keyOf(section, name, hash))?.startsWith(plain(quote)) === true;
    const stale = listed[page].filter((each) => !isSaid(each));
    expect(stale.map(({ section, unit, hash }) => `${section} › ${unit} ${hash}`)).toEqual([]);
    expect(listed[page], 'nothing is listed twice').toHaveLength(said.size);
  });

  test.each(PAGES)('has no line in %s that the split into units loses', (page) => {
    const words = (text: string) => plain(text).replaceAll(/[-•]/g, '');
    let kept = units[page].map(({ text }) => words(text)).join('');
    const text = pages[page] ?? '';
    const lines = page === '002' ? linesOf(text) : text.split('\n');
    const lost = lines.filter((line) => {
      const isKept = kept.startsWith(words(line));
      if (isKept) kept = kept.slice(words(line).length);
      return !isKept;
    });
    const sections = coverage[page === '000' ? '001' : page];
    const isHeading = (line: string) => line === TITLE || line in sections || HEADING.test(line);
    expect(lost.filter((line) => !isHeading(line) && !LABEL.test(line))).toEqual([]);
    expect(kept).toBe('');
  });

  test('has the transitions that a run can take, and no others', () => {
    const told = transitionsOf(pages.threads ?? '').map(([from, to]) => `${from} → ${to}`);
    const taken = Object.entries(THREAD_RUN_TRANSITIONS).flatMap(([from, next]) =>
      next.map((to) => `${from} → ${to}`),
    );
    expect(told.sort()).toEqual(taken.sort());
  });

  test('says in seed 000 what it says in 001, as often as coverage.yaml counts', () => {
    const count = (section: string) =>
      units['000'].filter((unit) => unit.section === section && isRepeated(unit)).length;
    const sections = Object.keys(coverage['001']);
    expect(Object.fromEntries(sections.map((section) => [section, count(section)]))).toEqual(
      coverage.repeated,
    );
  });
});
