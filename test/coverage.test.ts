/**
 * The ledger leaves nothing out: `coverage.yaml` lists whatever the pages say that the emulator comes from, and which rules state
 * it. Two copies of the how-to page of routines are seeds, 000 and 001, of which 000 says little that 001 does not; 002 is the
 * reference of creating an agent, and 003 the how-to page of hosted agents.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { rule } from '../contracts/ledger.ts';
import { HEADING, linesOf, referenceUnitsOf } from './seed-fields.ts';
import { hashOf, LABEL, plain, readSeed, TITLE, type Unit, unitsOf } from './seed-units.ts';

const SEEDS = ['001', '000', '002', '003'] as const;
type Seed = (typeof SEEDS)[number];

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

type Coverage = Record<Seed, Sections> & {
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

function ofEach<T>(make: (seed: Seed) => T): Record<Seed, T> {
  return Object.fromEntries(SEEDS.map((seed) => [seed, make(seed)])) as Record<Seed, T>;
}

const listed = ofEach((seed) => listedOf(coverage[seed]));
const every = SEEDS.flatMap((seed) => listed[seed]);

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

const pages = ofEach(readSeed);
const areThere = SEEDS.every((seed) => pages[seed] !== undefined);
if (!areThere)
  process.stderr.write('coverage: partly skipped, because the seeds are not in ../shared/seeds.\n');

describe.skipIf(!areThere)('a page', () => {
  const units = ofEach((seed) => (seed === '002' ? referenceUnitsOf : unitsOf)(pages[seed] ?? ''));
  const textKey = (section: string, hash: string) => `${section} ${hash}`;
  const texts = new Set(listed['001'].map(({ section, hash }) => textKey(section, hash)));
  const isRepeated = ({ section, text }: Unit) => texts.has(textKey(section, hashOf(text)));
  const own = { ...units, '000': units['000'].filter((unit) => !isRepeated(unit)) };

  const keyOf = (section: string, name: string, hash: string) => `${section} › ${name} ${hash}`;
  const pageKey = ({ section, name, text }: Unit) => keyOf(section, name, hashOf(text));

  test.each(SEEDS)('says nothing in seed %s that is not mapped', (seed) => {
    const mapped = new Set(
      listed[seed].map(({ section, name, hash }) => keyOf(section, name, hash)),
    );
    const unmapped = own[seed].filter((unit) => !mapped.has(pageKey(unit)));
    const words = ({ text }: Unit) => text.split(' ').slice(0, 8).join(' ');
    expect(unmapped.map((unit) => `${pageKey(unit)} ${words(unit)}`)).toEqual([]);
  });

  test.each(SEEDS)('still says in seed %s all that is mapped, and begins as quoted', (seed) => {
    const said = new Map(own[seed].map((unit) => [pageKey(unit), plain(unit.text)]));
    const isSaid = ({ section, name, hash, quote }: Listed) =>
      said.get(keyOf(section, name, hash))?.startsWith(plain(quote)) === true;
    const stale = listed[seed].filter((each) => !isSaid(each));
    expect(stale.map(({ section, unit, hash }) => `${section} › ${unit} ${hash}`)).toEqual([]);
    expect(listed[seed], 'nothing is listed twice').toHaveLength(said.size);
  });

  test.each(SEEDS)('has no line in seed %s that the split into units loses', (seed) => {
    const words = (text: string) => plain(text).replaceAll(/[-•]/g, '');
    let kept = units[seed].map(({ text }) => words(text)).join('');
    const page = pages[seed] ?? '';
    const lines = seed === '002' ? linesOf(page) : page.split('\n');
    const lost = lines.filter((line) => {
      const isKept = kept.startsWith(words(line));
      if (isKept) kept = kept.slice(words(line).length);
      return !isKept;
    });
    const sections = coverage[seed === '000' ? '001' : seed];
    const isHeading = (line: string) => line === TITLE || line in sections || HEADING.test(line);
    expect(lost.filter((line) => !isHeading(line) && !LABEL.test(line))).toEqual([]);
    expect(kept).toBe('');
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
