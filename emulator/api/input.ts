/** What a handler is given, and what it answers. Everything is parsed here, at the edge; inside, nothing is checked again. */
import { parse, type SchemaName, type SchemaValue } from '../../contracts/openapi.ts';
import { type Instant, isoSeconds, unixSeconds } from '../clock.ts';
import { invalid, shown } from '../errors.ts';
import type { Project } from '../projects.ts';

export interface Input {
  project: Project;
  /** Decoded. */
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
  headers: Headers;
  /** Parsed JSON; undefined when there was no body. */
  body: unknown;
  /** The address that the client used, for links. */
  url: string;
}

export interface Answer {
  status: number;
  /** JSON; undefined is an empty body. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Already encoded, with its own content type in `headers`. */
  text?: string;
}

/** How an operation treats the world. */
export type OperationKind =
  /** Changes nothing: a repeated one may be a wait. */
  | 'read'
  /** One turn. */
  | 'write'
  /** Does its own turns, and may wait for something outside. */
  | 'call';

export interface Subject {
  name: string;
  /** Whether its triggers may change the answer, or only what is under way. */
  triggers: boolean;
}

export interface Operation {
  /** As in openapi.yaml. */
  id: string;
  method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH';
  /** Below the project, with `:name` parameters, e.g. `/routines/:routine_name`. */
  path: string;
  /** What follows the last `:` of the raw last segment. */
  verb?: string;
  kind: OperationKind;
  handle(input: Input): Answer | Promise<Answer>;
  /** For a read: whose pending work may change this answer. Without one it is no wait, however often it is asked. */
  subject?(input: Input, answer: Answer): Subject | undefined;
}

/** A body, or the parameter at `at`, of a named schema of openapi.yaml, or the 400 that names field, value and rule. */
export function bodyAs<Name extends SchemaName>(
  schema: Name,
  body: unknown,
  at = '',
): SchemaValue<Name> {
  if (body === undefined)
    throw invalid(
      'This request needs a JSON body. Send one JSON object.',
      undefined,
      'request/body-required',
    );
  const parsed = parse(schema, body, at);
  if (parsed.kind === 'ok') return parsed.value;
  throw invalid(
    parsed.message,
    parsed.param === '' ? undefined : parsed.param,
    parsed.rule ?? 'request/body-matches-schema',
  );
}

export interface Page {
  /** What the first generation calls the cursor of this list (contract/routines.md 5.1). */
  token: 'continuationToken' | 'nextPageToken';
  limit: number;
  order: 'asc' | 'desc';
  after: string | undefined;
}

/** Paging as contract/routines.md 3.1 and 5: unknown and empty parameters are ignored. */
export function readPage(input: Input, token: Page['token']): Page {
  const { switches, settings } = input.project.world.profile;
  const order = input.query.get('order') || switches.default_order;
  if (order !== 'asc' && order !== 'desc') {
    throw invalid(
      `'order' cannot be ${shown(order)}. Use asc or desc.`,
      'order',
      'list/order-known',
    );
  }
  const limit = readLimit(input.query.get('limit'), switches.limit_out_of_range, settings);
  return { token, limit, order, after: input.query.get('after') || undefined };
}

function readLimit(
  text: string | null,
  outOfRange: string,
  settings: { page_default: number; page_max: number },
): number {
  if (text === null || text === '') return settings.page_default;
  const limit = Number(text);
  if (!/^-?\d{1,15}$/.test(text))
    throw invalid(
      `'limit' cannot be ${shown(text)}. Use a whole number from 1 to ${settings.page_max}.`,
      'limit',
      'list/limit-1-to-100',
    );
  if (limit >= 1 && limit <= settings.page_max) return limit;
  if (outOfRange === 'refuse') {
    throw invalid(
      `'limit' cannot be ${limit}. Use a whole number from 1 to ${settings.page_max}.`,
      'limit',
      'list/limit-1-to-100',
    );
  }
  return Math.min(Math.max(limit, 1), settings.page_max);
}

/** User agents of people and of clients that print what they get: they see ISO, as seed 001 does. */
const ISO_READERS = /^(?:curl|Wget|HTTPie)\/|^Mozilla\/|AZURECLI|PowerShell/i;
/** Their deserializers read a timer's `at` as ISO (JavaScript: `new Date(at)`; Python 2.2: rfc3339) and all else as unix seconds. */
const ISO_TIMER_READERS = /azsdk-js-|azsdk-python-ai-projects\/2\.2\./;

export interface InstantStyle {
  instant(at: Instant): string | number;
  /** A timer's own `at`, which one official client reads differently from all other instants. */
  timerAt(at: Instant): string | number;
}

export function instantStyle(input: Input): InstantStyle {
  const policy = input.project.world.profile.switches.timestamps;
  const agent = input.headers.get('user-agent') ?? '';
  const iso = policy === 'iso' || (policy === 'auto' && ISO_READERS.test(agent));
  const isoTimer = iso || (policy === 'auto' && ISO_TIMER_READERS.test(agent));
  return { instant: iso ? isoSeconds : unixSeconds, timerAt: isoTimer ? isoSeconds : unixSeconds };
}

/** A list in the envelope that the world's switch names; the superset serves every official client (contract/routines.md 5.3). */
export function envelope<Item>(
  input: Input,
  items: Item[],
  more: boolean,
  idOf: (item: Item) => string,
  page: Page,
): Answer {
  const kind = input.project.world.profile.switches.envelope;
  const first = items[0];
  const last = items.at(-1);
  const cursor = more && last !== undefined ? idOf(last) : undefined;
  const link = cursor === undefined ? undefined : nextLink(input, cursor, page);
  if (kind === 'v2')
    return {
      status: 200,
      body: { data: items, ...(link === undefined ? {} : { next_link: link }) },
    };
  const body: Record<string, unknown> = { value: items, data: items, has_more: more };
  if (first !== undefined && last !== undefined)
    Object.assign(body, { first_id: idOf(first), last_id: idOf(last) });
  if (cursor === undefined) return { status: 200, body };
  if (kind === 'v1') body[page.token] = cursor;
  else
    Object.assign(body, {
      next_link: link,
      nextLink: link,
      continuationToken: cursor,
      nextPageToken: cursor,
    });
  return { status: 200, body };
}

/** Clients follow it as it is, so it carries everything that the first request said. */
function nextLink(input: Input, cursor: string, page: Page): string {
  const url = new URL(input.url);
  url.search = '';
  url.searchParams.set('api-version', input.query.get('api-version') || 'v1');
  url.searchParams.set('after', cursor);
  url.searchParams.set('limit', String(page.limit));
  url.searchParams.set('order', page.order);
  const filter = input.query.get('filter');
  if (filter) url.searchParams.set('filter', filter);
  return url.href;
}
