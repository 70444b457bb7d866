/** `foundrite ledger [RULE]`: what the emulator promises and how each promise is known. No emulator need run. */
import {
  areaOf,
  areas,
  BASES,
  breakingTold,
  type Rule,
  rule,
  rules,
  SOURCES,
} from '../contracts/ledger.ts';
import { near } from '../contracts/near.ts';
import { viewRule } from '../emulator/api/ledger.ts';
import { usage } from './exit.ts';
import { coloured } from './start.ts';

/** Where the terminal does not say how wide it is, or there is none. */
const WIDTH_DEFAULT = 100;

export interface LedgerFlags {
  basis?: string;
  area?: string;
  grep?: string;
  json?: boolean;
}

export function ledger(id: string | undefined, flags: LedgerFlags): void {
  const { basis, area, json } = flags;
  if (id !== undefined && (basis !== undefined || area !== undefined))
    throw usage(`ledger prints the rule ${id} or a list: leave out --basis and --area, or the id.`);
  if (basis !== undefined && !Object.hasOwn(BASES, basis))
    throw usage(`--basis is "${basis}": write one of ${Object.keys(BASES).join(', ')}.`);
  if (area !== undefined && !areas().includes(area))
    throw usage(
      `--area is "${area}", which is none.${near(area, areas())} There are: ${areas().join(', ')}.`,
    );

  const width = process.stdout.columns ?? WIDTH_DEFAULT;
  const strong = (text: string) =>
    coloured(process.env, process.stdout.isTTY) ? `\x1b[1m${text}\x1b[22m` : text;
  if (id !== undefined) {
    const found = findRule(id);
    print(json ? JSON.stringify(viewRule(found), null, 2) : ruleText(found, width, strong));
    return;
  }
  const text = flags.grep?.toLowerCase() ?? '';
  const listed = rules(basis, area).filter(({ id: name, statement }) =>
    `${name} ${statement}`.toLowerCase().includes(text),
  );
  if (json) print(JSON.stringify({ rules: listed.map(viewRule) }, null, 2));
  else print(listText(listed, width, strong));
}

function findRule(id: string): Rule {
  const found = rule(id);
  if (found) return found;
  if (areas().includes(id))
    throw usage(`"${id}" is an area: "foundrite ledger --area ${id}" lists its rules.`);
  const ids = rules().map((each) => each.id);
  throw usage(`there is no rule "${id}".${near(id, ids)} "foundrite ledger" lists all rules.`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

type Style = (text: string) => string;

/** Area by area; below each id with its basis, its statement. */
function listText(listed: readonly Rule[], width: number, strong: Style): string {
  const byArea = new Map<string, Rule[]>();
  for (const each of listed) {
    const area = areaOf(each);
    byArea.set(area, [...(byArea.get(area) ?? []), each]);
  }
  const blocks = [...byArea].map(([area, inArea]) =>
    [
      area,
      ...inArea.flatMap(({ id, basis, statement }) => [
        `  ${strong(id)}  ${basis}`,
        ...wrap(statement, '    ', width),
      ]),
      '',
    ].join('\n'),
  );
  return [...blocks, counted(listed)].join('\n');
}

function counted(listed: readonly Rule[]): string {
  const counts = Object.keys(BASES)
    .map((basis) => ({ basis, count: listed.filter((each) => each.basis === basis).length }))
    .filter(({ count }) => count > 0)
    .map(({ basis, count }) => `${count} ${basis}`);
  const total = `${listed.length} ${listed.length === 1 ? 'rule' : 'rules'}`;
  return counts.length === 0 ? total : `${total}: ${counts.join(', ')}`;
}

/** All that the ledger says of one rule. */
export function ruleText(each: Rule, width: number, strong: Style): string {
  const { basis, switch: name, values = [], setting, default: value, no_values } = each;
  const rows: [string, string | undefined][] = [
    ['basis', `${basis}: ${BASES[basis]}`],
    ...each.source.map((one): [string, string] => ['source', written(one)]),
    [
      'switch',
      name &&
        `${name}: ${values.map((one) => one + (one === value ? ' (default)' : '')).join(', ')}`,
    ],
    // Beside a switch the default is the switch's.
    ['setting', setting && (name ? setting : `${setting}: ${value} (default)`)],
    ['fixed', no_values],
    ['broken', each.broken_by && breakingTold(each.broken_by)],
    ['tested', each.tested_by],
  ];
  return [
    strong(each.id),
    ...wrap(each.statement, '  ', width),
    '',
    ...rows.flatMap(([label, text]) =>
      text === undefined ? [] : wrap(text, `  ${label.padEnd(8)} `, width),
    ),
  ].join('\n');
}

/** The key of a source, its title, and where in it. */
function written(source: string): string {
  const [key = ''] = source.split(' ');
  return `${key}: ${SOURCES[key]}${source.slice(key.length)}`;
}

/** Lines that break between words: `first` begins the first, as many blanks the others. */
function wrap(text: string, first: string, width: number): string[] {
  const room = Math.max(width - first.length, 20);
  const lines = text.match(new RegExp(`\\S.{0,${room - 1}}(?= |$)|\\S+`, 'g')) ?? [];
  return lines.map((line, index) => (index === 0 ? first : ' '.repeat(first.length)) + line);
}
