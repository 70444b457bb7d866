/**
 * Lists of agents, of assistants and threads, and of what belongs to them: pages by cursor in both directions
 * (contract/agents.md 4, contract/threads.md 3).
 */
import { type ApiError, cut, invalid, shown } from '../errors.ts';
import type { SeqPage } from '../store/agents.ts';
import { type Answer, type Input, readLimit, readOrder } from './input.ts';
import { refusal, unsupported } from './thread-refusal.ts';

export interface AgentPage {
  order: 'asc' | 'desc';
  limit: number;
  /** Ids between which the page lies, in the list's own order. */
  after: string | undefined;
  before: string | undefined;
}

/** What a list reads from. */
export interface Listed<Row> {
  /** What one item is called in a refusal, e.g. `session`. */
  what: string;
  /** Where the item of an id stands, or stood before it was deleted. */
  placeOf(id: string): number | undefined;
  /** At most `limit` rows within the bounds, by `seq` in the order that is named. */
  rows(page: SeqPage): Row[];
  view(row: Row): unknown;
  idOf(row: Row): string;
}

/** Unknown and empty parameters are ignored. */
export function readAgentPage(input: Input): AgentPage {
  const { switches, settings } = input.project.world.profile;
  return {
    order: readOrder(input, switches.agents_order),
    limit: readLimit(input, settings.agents_page_default),
    ...cursorsOf(input),
  };
}

function cursorsOf({ query }: Input): { after: string | undefined; before: string | undefined } {
  return { after: query.get('after') || undefined, before: query.get('before') || undefined };
}

/** The page that was asked for, in the envelope of agents. */
export function agentList<Row>(input: Input, listed: Listed<Row>): Answer {
  return pageOf(readAgentPage(input), listed, (message, param) =>
    invalid(message, param, 'list/after-known'),
  );
}

/** The same of assistants and threads. */
export function threadList<Row>(input: Input, listed: Listed<Row>): Answer {
  const page = {
    order: readThreadOrder(input),
    limit: readThreadLimit(input),
    ...cursorsOf(input),
  };
  return pageOf(page, listed, (message, param) =>
    refusal(message, 'thread/list-cursor-known', { param }),
  );
}

function readThreadOrder({ query }: Input): 'asc' | 'desc' {
  const order = query.get('order') || 'desc';
  if (order === 'asc' || order === 'desc') return order;
  throw unsupported(order, ['asc', 'desc'], 'order', 'thread/list-order');
}

const LIMIT_MAX = 100;

function readThreadLimit({ query, project }: Input): number {
  const text = query.get('limit');
  if (text === null || text === '') return project.world.profile.settings.threads_page_default;
  const limit = Number(text);
  const refused = (why: string, code: string) =>
    refusal(`Invalid 'limit': ${why}.`, 'thread/list-limit', { param: 'limit', code });
  if (!/^-?\d+$/.test(text))
    throw refused(`expected an integer, but got ${shown(text)} instead`, 'invalid_type');
  const [bound, most, code] =
    limit > LIMIT_MAX
      ? ['above maximum', `<= ${LIMIT_MAX}`, 'integer_above_max_value']
      : ['below minimum', '>= 1', 'integer_below_min_value'];
  if (limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw refused(
    `integer ${bound} value. Expected a value ${most}, but got ${cut(text)} instead`,
    code,
  );
}

type Refuse = (message: string, param: 'after' | 'before') => ApiError;

function pageOf<Row>(page: AgentPage, listed: Listed<Row>, refuse: Refuse): Answer {
  const placeIn = (param: 'after' | 'before') => {
    const id = page[param];
    if (id === undefined) return undefined;
    const place = listed.placeOf(id);
    if (place !== undefined) return place;
    const message = `There is no ${listed.what} ${shown(id)} to continue ${param}. Start the list again.`;
    throw refuse(message, param);
  };
  const after = placeIn('after');
  const before = placeIn('before');
  const [above, below] = page.order === 'asc' ? [after, before] : [before, after];
  // What comes just before an item is read backwards from it.
  const backwards = before !== undefined && after === undefined;
  const order = backwards ? opposite(page.order) : page.order;
  const bounds = { above: above ?? -1, below: below ?? Number.MAX_SAFE_INTEGER };
  const found = listed.rows({ order, ...bounds, limit: page.limit + 1 });
  const rows = found.slice(0, page.limit);
  if (backwards) rows.reverse();
  const [first, last] = [rows[0], rows.at(-1)];
  return {
    status: 200,
    body: {
      object: 'list',
      data: rows.map((row) => listed.view(row)),
      first_id: first === undefined ? null : listed.idOf(first),
      last_id: last === undefined ? null : listed.idOf(last),
      has_more: found.length > page.limit,
    },
  };
}

function opposite(order: 'asc' | 'desc'): 'asc' | 'desc' {
  return order === 'asc' ? 'desc' : 'asc';
}
