/** The ledger over HTTP: all rules, those of one basis or one area, or one of them. */
import { areas, BASES, type Rule, rule, rules } from '../../contracts/ledger.ts';
import type { SchemaValue } from '../../contracts/openapi.ts';
import { invalid, notFound, shown } from '../errors.ts';
import type { Controlled } from './controlled.ts';
import type { Answer } from './input.ts';

export function listRules({ c }: Controlled): Answer {
  const { basis, area } = c.req.query();
  const listed = rules(
    readFilter(basis, 'basis', Object.keys(BASES)),
    readFilter(area, 'area', areas()),
  );
  return { status: 200, body: { rules: listed.map(viewRule) } };
}

export function getRule({ params }: Controlled): Answer {
  const found = rule(params.rule ?? '');
  if (found) return { status: 200, body: viewRule(found) };
  throw notFound(
    `There is no rule ${shown(params.rule)}. GET /_emulator/ledger lists all rules, /_emulator/ledger?area=routine those of one area.`,
    'control/ledger-rule-known',
  );
}

/** Field by field: what else a rule has in the ledger is for those who test it. */
export function viewRule(each: Rule): SchemaValue<'LedgerRule'> {
  const { id, statement, source, basis, switch: name, values, setting, no_values } = each;
  return {
    id,
    statement,
    source: [...source],
    basis,
    ...(name === undefined ? {} : { switch: name }),
    ...(values === undefined ? {} : { values: [...values] }),
    ...(setting === undefined ? {} : { setting }),
    ...(each.default === undefined ? {} : { default: each.default }),
    ...(no_values === undefined ? {} : { no_values }),
  };
}

/** An empty one is none, as everywhere. */
function readFilter(
  text: string | undefined,
  param: string,
  known: readonly string[],
): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (known.includes(text)) return text;
  throw invalid(
    `'${param}' cannot be ${shown(text)}. Use one of: ${known.join(', ')}.`,
    param,
    'control/ledger-filter-known',
  );
}
