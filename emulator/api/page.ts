/** Lists of agents and of what belongs to them: pages by cursor in both directions (contract/agents.md 4). */
import { invalid, shown } from '../errors.ts';
import type { SeqPage } from '../store/agents.ts';
import { type Answer, type Input, readLimit, readOrder } from './input.ts';

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
  const { query } = input;
  const { switches, settings } = input.project.world.profile;
  return {
    order: readOrder(input, switches.agents_order),
    limit: readLimit(input, settings.agents_page_default),
    after: query.get('after') || undefined,
    before: query.get('before') || undefined,
  };
}

/** The page that was asked for, in the envelope of this family. */
export function agentList<Row>(input: Input, listed: Listed<Row>): Answer {
  const page = readAgentPage(input);
  const after = placeIn(listed, page.after, 'after');
  const before = placeIn(listed, page.before, 'before');
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

function placeIn<Row>(
  listed: Listed<Row>,
  id: string | undefined,
  param: 'after' | 'before',
): number | undefined {
  if (id === undefined) return undefined;
  const place = listed.placeOf(id);
  if (place !== undefined) return place;
  throw invalid(
    `There is no ${listed.what} ${shown(id)} to continue ${param}. Start the list again.`,
    param,
    'list/after-known',
  );
}
