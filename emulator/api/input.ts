/** What a handler is given, and what it answers. Everything is parsed here, at the edge; inside, nothing is checked again. */
import { parse, type SchemaName, type SchemaValue } from '../../contracts/openapi.ts';
import { type Instant, isoSeconds, unixSeconds } from '../clock.ts';
import { type ApiError, invalid, shown } from '../errors.ts';
import type { Project } from '../projects.ts';

export interface Input {
  project: Project;
  /** Decoded. */
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
  headers: Headers;
  /** Parsed JSON; undefined when there was no body. */
  body: unknown;
  /** The body as it came, where the operation takes one that is no JSON. */
  bytes: Buffer | undefined;
  /** The parts of a form by their names; undefined where `bytes` are no form. */
  parts?: Map<string, Buffer> | undefined;
  /** The address that the client used, for links. */
  url: string;
  /** The id that what is made is to have; drawn without. */
  id?: string | undefined;
}

/** What an operation of kind `call` is given. */
export interface CallInput extends Input {
  /** Aborted when the client goes away. */
  readonly gone: AbortSignal;
  /**
   * The turn in which the call begins, which writes its line, of this number. What is refused by a throw has not begun. How one
   * goes on that ends later is a line of kind `given`: replay takes it from there, and does not call `later`.
   */
  begin(work: (line: number) => Beginning): Answer | Promise<Answer>;
}

/** What comes of a call in its first turn. */
export type Beginning =
  | { answer: Answer }
  /** A refusal that leaves something behind. */
  | { refused: ApiError }
  | { later(): Promise<Answer> };

export interface Answer {
  status: number;
  /** JSON; undefined is an empty body. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Already encoded, with its own content type in `headers`. */
  text?: string;
  /** Bytes that leave as they are made, with their content type in `headers`; cancelled when the client goes away. */
  stream?: ReadableStream<Uint8Array>;
}

export interface Subject {
  name: string;
  /** Whether its triggers may change the answer, or only what is under way. */
  triggers: boolean;
  /** After so many reads in a row that told nothing new its deadline may, when nothing else will; never without. */
  deadlineAfter?: number;
}

/**
 * How an operation treats the world: a read changes nothing, and a repeated one may be a wait; a write is one turn; a call does
 * its own turns, and may wait for something outside.
 */
export type Operation = OperationShape &
  ({ kind: 'read' | 'write'; handle: Handle } | { kind: 'call'; handle: Handle<CallInput> });

export type Handle<Given extends Input = Input> = (input: Given) => Answer | Promise<Answer>;

interface OperationShape {
  /** As in openapi.yaml. */
  id: string;
  method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH';
  /** Below the project, with `:name` parameters, e.g. `/routines/:routine_name`. */
  path: string;
  /** Another path under which an older generation knows it. */
  alias?: string;
  /** What follows the last `:` of the raw last segment. */
  verb?: string;
  /**
   * `json` by default; `bytes` are read as they are, and so is `either` unless its content type is JSON. `form` is JSON
   * unless its content type is multipart/form-data.
   */
  body?: 'json' | 'bytes' | 'either' | 'form';
  /** Of a body that is no JSON; one with more is refused, and never held. */
  bodyMax?: { bytes: number; rule: string };
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

/** Whether a parameter of the query is true; false without it. */
export function readFlag(input: Input, name: 'force' | 'include_drafts' | 'recursive'): boolean {
  const text = input.query.get(name);
  if (text === null || text === '') return false;
  if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  throw invalid(
    `'${name}' cannot be ${shown(text)}. Use true or false.`,
    name,
    'agent/flag-is-boolean',
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
  return {
    token,
    order: readOrder(input, switches.default_order),
    limit: readLimit(input, settings.page_default),
    after: input.query.get('after') || undefined,
  };
}

export function readOrder(input: Input, otherwise: 'asc' | 'desc'): 'asc' | 'desc' {
  const order = input.query.get('order') || otherwise;
  if (order === 'asc' || order === 'desc') return order;
  throw invalid(`'order' cannot be ${shown(order)}. Use asc or desc.`, 'order', 'list/order-known');
}

export function readLimit(input: Input, otherwise: number): number {
  const { switches, settings } = input.project.world.profile;
  const text = input.query.get('limit');
  if (text === null || text === '') return otherwise;
  const limit = Number(text);
  if (!/^-?\d{1,15}$/.test(text))
    throw invalid(
      `'limit' cannot be ${shown(text)}. Use a whole number from 1 to ${settings.page_max}.`,
      'limit',
      'list/limit-1-to-100',
    );
  if (limit >= 1 && limit <= settings.page_max) return limit;
  if (switches.limit_out_of_range === 'refuse') {
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
