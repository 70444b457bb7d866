import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { areas, type Rule, readRules, rule, rules, SOURCES } from '../contracts/ledger.ts';
import { document, lossesOf, operations, responseValidator } from '../contracts/openapi.ts';
import { viewRule } from '../emulator/api/ledger.ts';
import {
  ASSUMED_RULES,
  ASSUMED_SWITCHES,
  chooseProfile,
  isProblem,
  SWITCHES,
} from '../emulator/profile.ts';
import { isSetting, readSetting, SETTINGS } from '../emulator/settings.ts';
import { problemsIn } from '../scenarios/match.ts';

const root = new URL('../', import.meta.url);
const PAGES: Record<string, string[]> = {
  'HOW-TO': ['000_543f5188c9d0d6ce.txt', '001_abf966889a79b20d.txt'],
  'CREATE-AGENT': ['002_fad21a22b61227f2.txt'],
  HOSTED: ['003_7b1cfc6815e243a7.txt'],
  POLYSYNC: ['004_b2cb68e180765c96.txt'],
};
const seeds = new URL('../shared/seeds/', root);
const FIELDS = [
  'id',
  'statement',
  'source',
  'basis',
  'switch',
  'values',
  'setting',
  'default',
  'no_values',
  'broken_by',
  'tested_by',
];

const every = readRules();

/** Those that are not as they should be, so that a failure names them all at once. */
function failing(isGood: (each: Rule) => boolean): string[] {
  return every.filter((each) => !isGood(each)).map((each) => each.id);
}

function quotes(each: Rule): { key: string; words: string }[] {
  return each.source.flatMap((source) =>
    [...source.matchAll(/"([^"]*)"/g)].map(([, words = '']) => ({ key: keyOf(source), words })),
  );
}

function keyOf(source: string): string {
  return source.split(' ')[0] ?? '';
}

test('each rule has an id of its own, and is found by it', () => {
  expect(rules()).toHaveLength(every.length);
  expect(failing((each) => rule(each.id) === each || rule(each.id)?.id === each.id)).toEqual([]);
  expect(rule('routine/of-gold')).toBeUndefined();
});

test('rules are found by basis and by area', () => {
  expect(areas()).toEqual([...new Set(every.map(({ id }) => id.split('/')[0]))]);
  expect(rules('assumed', 'cron').map(({ id }) => id)).toEqual(
    every.filter(({ id, basis }) => basis === 'assumed' && /^cron\//.test(id)).map(({ id }) => id),
  );
});

test('each rule is served as openapi.yaml describes it, and none of it may get lost', () => {
  const problems = responseValidator('getLedgerRule', 200, 'application/json');
  expect(every.flatMap((each) => problems(viewRule(each)))).toEqual([]);
  expect(failing((each) => lossesOf('LedgerRule', viewRule(each)).unnoticed.length === 0)).toEqual(
    [],
  );
});

test('an id is an area and a few words', () => {
  expect(failing(({ id }) => /^[a-z]+(-[a-z]+)*\/[a-z0-9]+(-[a-z0-9]+)*$/.test(id))).toEqual([]);
  expect(failing(({ id }) => id.length <= 64)).toEqual([]);
});

test('a rule has known fields only, each as it should be', () => {
  expect(failing((each) => Object.keys(each).every((key) => FIELDS.includes(key)))).toEqual([]);
  expect(
    failing(({ basis }) => ['documented', 'observed', 'assumed', 'own'].includes(basis)),
  ).toEqual([]);
  const isText = (value: unknown) => value === undefined || typeof value === 'string';
  const texts = ({ id, statement, switch: name, setting, default: value, no_values }: Rule) =>
    [id, statement, name, setting, value, no_values].every(isText);
  expect(failing(texts)).toEqual([]);
  expect(failing(({ values = [''] }) => values.every(isText))).toEqual([]);
});

test('a statement is one sentence of our own words', () => {
  const isSentence = (text: string) =>
    /^[A-Z][^"]*\.$/.test(text) && !/[.!?;]\s/.test(text) && !text.includes('\n');
  expect(failing(({ statement }) => isSentence(statement))).toEqual([]);
  expect(failing(({ statement }) => statement.length <= 200)).toEqual([]);
  expect(failing(({ no_values: reason }) => reason === undefined || isSentence(reason))).toEqual(
    [],
  );
});

test('a rule has sources, and says which they are', () => {
  expect(failing(({ source }) => source.length > 0)).toEqual([]);
  expect(failing(({ source }) => source.every((each) => keyOf(each) in SOURCES))).toEqual([]);
  const isWritten = (source: string) => /^\S+( › [^"›]+)?( "[^"]+")?$/.test(source);
  expect(failing(({ source }) => source.every(isWritten))).toEqual([]);
  const used = new Set(every.flatMap(({ source }) => source.map(keyOf)));
  expect(Object.keys(SOURCES).filter((key) => !used.has(key))).toEqual([]);
});

test('what is documented or observed is known from others, and what is our own is not', () => {
  const known = ({ source }: Rule) => source.some((each) => keyOf(each) !== 'design');
  expect(failing((each) => known(each) || ['own', 'assumed'].includes(each.basis))).toEqual([]);
});

test('no rule quotes more than eight words', () => {
  const quoted = (each: Rule) => quotes(each).flatMap(({ words }) => words.split(/\s+/));
  expect(failing((each) => quoted(each).length <= 8)).toEqual([]);
});

/** Without marks and line breaks, which two copies of one page set differently. */
function plain(text: string): string {
  return text
    .replace(/[“”"`]/g, '')
    .replace(/’/g, "'")
    .replace(/\s+/g, ' ')
    .toLowerCase();
}

test.skipIf(!existsSync(seeds))('what a rule quotes, and the section it names, are there', () => {
  const pages = new Map(
    Object.entries(PAGES).map(([key, files]) => {
      const texts = files.map((file) => readFileSync(new URL(file, seeds), 'utf8'));
      return [key, plain(texts.join(' '))];
    }),
  );
  const isQuoted = ({ key, words }: { key: string; words: string }) =>
    pages.get(key)?.includes(plain(words)) === true;
  expect(failing((each) => quotes(each).every(isQuoted))).toEqual([]);
  // What stands before the first heading has no name of its own.
  const hasSection = (source: string) => {
    const section = / › ([^"]+?)(?: "|$)/.exec(source)?.[1] ?? '';
    const page = pages.get(keyOf(source));
    return section === 'Introduction' || page === undefined || page.includes(plain(section));
  };
  expect(failing(({ source }) => source.every(hasSection))).toEqual([]);
});

test('a switch belongs to exactly one rule, with the same values', () => {
  const inLedger = every.flatMap(({ id, switch: name, values, default: value }) =>
    name === undefined ? [] : [{ name, rule: id, values, default: value }],
  );
  const inProfile = Object.entries(SWITCHES).map(([name, { rule: id, values }]) => {
    return { name, rule: id, values: [...values], default: values[0] };
  });
  const byName = (one: { name: string }, other: { name: string }) =>
    one.name < other.name ? -1 : 1;
  expect(inLedger.sort(byName)).toEqual(inProfile.sort(byName));
  expect(failing(({ switch: name, values }) => (name === undefined) === !values)).toEqual([]);
});

test('a setting belongs to a rule or several, each with the same default', () => {
  const named = new Set(every.flatMap(({ setting }) => (setting === undefined ? [] : [setting])));
  expect([...named].sort()).toEqual(Object.keys(SETTINGS).sort());
  const hasDefault = ({ setting, switch: name, default: value }: Rule) => {
    if (setting === undefined || name !== undefined) return true;
    return isSetting(setting) && readSetting(setting, value) === SETTINGS[setting].default;
  };
  expect(failing(hasDefault)).toEqual([]);
});

test('an assumed rule can be another way, or says why not', () => {
  const isOpen = ({ values, setting }: Rule) => values !== undefined || setting !== undefined;
  expect(
    failing((each) => each.basis !== 'assumed' || isOpen(each) !== 'no_values' in each),
  ).toEqual([]);
  expect(failing((each) => each.basis === 'assumed' || !('no_values' in each))).toEqual([]);
});

/** Rule ids in a file of code: what is quoted and looks like one, but no module or media type. */
function idsIn(file: URL): string[] {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => !/^import |\bfrom '|\bimport\(|\brequire\(/.test(line));
  const quoted = [...lines.join('\n').matchAll(/(['"`])([a-z-]+\/(?:[a-z0-9-]+|\$\{[^}]*\}))\1/g)];
  return quoted.map(([, , id = '']) => id).filter((id) => !/^(application|text)\//.test(id));
}

function idsInCode(): Set<string> {
  const files = ['emulator/', 'cli/'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => new URL(`${folder}${file.replaceAll('\\', '/')}`, root)),
  );
  return new Set(files.flatMap(idsIn));
}

/** Ids that the wire description cites, on operations and on parts of schemas. */
function idsInDocument(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, child]) =>
    key === 'x-foundrite-rule' && typeof child === 'string' ? [child] : idsInDocument(child),
  );
}

test('every rule that the code or openapi.yaml names is in the ledger', () => {
  const named = new Set([...idsInCode(), ...idsInDocument(document())]);
  const unknown = [...named].filter((id) => rule(id) === undefined);
  expect(unknown.sort()).toEqual([]);
});

test("the number of assumed rules that start prints is the ledger's", () => {
  expect(ASSUMED_RULES).toBe(rules().filter(({ basis }) => basis === 'assumed').length);
  const switches = rules().filter((each) => each.basis === 'assumed' && each.switch !== undefined);
  expect([...ASSUMED_SWITCHES].sort()).toEqual(switches.map((each) => each.switch).sort());
});

test('what breaks a rule is made of values that are there', () => {
  const known = new Set(operations().map(({ operationId }) => operationId));
  const problems = every.flatMap(({ id, broken_by: breaking }) => {
    if (!breaking) return [];
    const { switches = {}, settings = {}, rewrite = [], ...others } = breaking;
    const said = Object.keys(others).map((key) => `"${key}" is no way to break a rule`);
    const profile = chooseProfile(undefined, { switches, settings });
    if (isProblem(profile)) said.push(profile.message);
    const inert = Object.entries(switches).filter(
      ([name, value]) => SWITCHES[name as keyof typeof SWITCHES]?.values[0] === value,
    );
    said.push(...inert.map(([name]) => `the switch ${name} has its default`));
    for (const one of rewrite) {
      const unknown = Object.keys(one).filter((key) => !REWRITE.includes(key));
      said.push(...unknown.map((key) => `"${key}" is no part of a rewrite`));
      const named = one.operation === undefined ? [] : [one.operation].flat();
      said.push(...named.filter((name) => !known.has(name)).map((name) => `no operation ${name}`));
      if (one.rule !== undefined && !rule(one.rule)) said.push(`no rule ${one.rule}`);
      said.push(...problemsIn(one.when).map(({ message }) => message));
      if (!CHANGES.some((key) => key in one)) said.push('a rewrite that changes nothing');
    }
    return said.map((problem) => `${id}: ${problem}`);
  });

  expect(problems).toEqual([]);
});

const CHANGES = ['status', 'headers', 'body', 'set', 'remove'];
const REWRITE = ['operation', 'rule', 'path', 'when', ...CHANGES];

test('a rule that only a test shows names one that is there', () => {
  const missing = every.flatMap(({ id, tested_by: named }) => {
    if (named === undefined) return [];
    const [file = '', title = ''] = named.split(' › ');
    const url = new URL(file, root);
    const there =
      existsSync(url) && readFileSync(url, 'utf8').replaceAll("\\'", "'").includes(title);
    return there && title !== '' ? [] : [`${id}: ${named}`];
  });

  expect(missing).toEqual([]);
});
