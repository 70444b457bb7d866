/**
 * The `filter` of a run list: the small part of MLflow's search syntax that makes sense for runs. The service documents no
 * grammar (contract/routines.md 5.3); anything else is 400, never 500.
 */
import { invalid, shown } from '../errors.ts';

const STATUS_PHASES: Record<string, readonly string[]> = {
  RUNNING: ['queued', 'dispatching'],
  FINISHED: ['completed'],
  FAILED: ['failed'],
};

const COLUMNS: Record<string, string> = {
  phase: 'phase',
  run_id: 'id',
  id: 'id',
  trigger_type: 'trigger_type',
  trigger_name: 'trigger_name',
  attempt_source: 'attempt_source',
  dispatch_id: 'dispatch_id',
  response_id: "CASE phase WHEN 'completed' THEN coalesce(response_id, correlation_id) END",
  action_correlation_id: 'correlation_id',
  task_id: 'task_id',
  error_type: 'error_type',
  start_time: 'started_at',
  end_time: 'ended_at',
};

const NUMBERS = new Set(['start_time', 'end_time']);
const CLAUSE =
  /\s*(?:(?:attributes|attribute|attr|run|tags|tag)\.)?[`"]?(\w+)[`"]?\s*(!=|>=|<=|=|>|<)\s*(?:'([^']*)'|"([^"]*)"|(\d+))\s*(and\b|$)/iy;
const FILTER_LENGTH_MAX = 2_000;

export interface Filter {
  where: string[];
  values: unknown[];
}

export function readFilter(text: string | null): Filter {
  const filter: Filter = { where: [], values: [] };
  if (text === null || text.trim() === '') return filter;
  if (text.length > FILTER_LENGTH_MAX) throw refuse(text);
  CLAUSE.lastIndex = 0;
  for (let more = true; more; ) {
    const match = CLAUSE.exec(text);
    if (!match) throw refuse(text);
    addClause(filter, match, text);
    more = match[6] !== '';
    // A text that ends with AND has said only half.
    if (more && CLAUSE.lastIndex >= text.length) throw refuse(text);
  }
  return filter;
}

function addClause(filter: Filter, match: RegExpExecArray, text: string): void {
  const [, field = '', operator = '', single, double, number] = match;
  const value = single ?? double ?? number ?? '';
  if (field === 'status') {
    const phases = STATUS_PHASES[value.toUpperCase()] ?? [];
    if (operator !== '=' && operator !== '!=') throw refuse(text);
    const marks = phases.map(() => '?').join(', ');
    filter.where.push(`phase ${operator === '=' ? 'IN' : 'NOT IN'} (${marks})`);
    filter.values.push(...phases);
    return;
  }
  const column = Object.hasOwn(COLUMNS, field) ? COLUMNS[field] : undefined;
  const numeric = NUMBERS.has(field);
  if (
    !column ||
    (numeric && number === undefined) ||
    (!numeric && operator !== '=' && operator !== '!=')
  )
    throw refuse(text);
  filter.where.push(operator === '!=' ? `${column} IS NOT ?` : `${column} ${operator} ?`);
  filter.values.push(numeric ? Number(value) : value);
}

function refuse(text: string) {
  return invalid(
    `The filter ${shown(text)} cannot be read. Join conditions with AND, such as attributes.status = 'FINISHED' or start_time > 1780000000000. Fields: status, ${Object.keys(COLUMNS).join(', ')}.`,
    'filter',
    'run/filter',
  );
}
