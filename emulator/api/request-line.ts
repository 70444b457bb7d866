/** The line of a request in the journal. */
import type { ApiError } from '../errors.ts';
import { cutBody, cutBytes } from '../store/journal.ts';
import { JSON_TYPE } from './body.ts';
import type { AppContext } from './http.ts';
import type { Input, Operation } from './input.ts';

/** What came in, and as whom. */
export interface Requested {
  c: AppContext;
  operation: Operation;
  input: Input;
  text: string;
  principal: string;
}

/** Writes it, or fills one that was reserved; without a status it is of a call that ends later. Inside a turn. */
export function journal(
  request: Requested,
  status: number | undefined,
  error?: ApiError,
  line?: number,
): void {
  const { c, operation, input, text, principal } = request;
  const { world } = input.project;
  const data: Record<string, unknown> = { operation: operation.id, params: input.params };
  if (input.id !== undefined) data.id = input.id;
  if (input.query.size > 0) data.query = Object.fromEntries(input.query);
  const cut = cutBody(text);
  if (cut !== undefined) Object.assign(data, { raw: cut, cut: text.length });
  else if (input.body !== undefined) data.body = input.body;
  else if (text !== '') data.raw = text;
  else if (input.bytes !== undefined) Object.assign(data, cutBytes(input.bytes));
  const headers = namedHeaders(input, operation);
  if (headers !== undefined) data.headers = headers;
  if (status !== undefined) data.status = status;
  if (error) Object.assign(data, { code: error.code, rule: error.rule });
  if (input.project.engine.advancing) data.interleaved = true;
  const extra: Record<string, unknown> = {
    tls: c.env?.incoming?.socket?.encrypted === true,
    principal,
  };
  const userAgent = input.headers.get('user-agent');
  const clientRequestId = input.headers.get('x-ms-client-request-id');
  if (userAgent !== null) extra.user_agent = userAgent;
  if (clientRequestId !== null) extra.client_request_id = clientRequestId;
  const routine = input.params.routine_name;
  const about = routine === undefined ? {} : { routine };
  world.record({ kind: 'request', data, extra, ...about }, line);
}

/** Headers that decide what an operation does: without them a replay would do something else. */
const NAMED_HEADERS = [
  'foundry-features',
  'x-ms-agent-name',
  'x-ms-code-zip-sha256',
  'x-session-isolation-key',
  'x-ms-user-isolation-key',
  'x-ms-user-identity',
];

function namedHeaders(
  { headers }: Input,
  { body = 'json' }: Operation,
): Record<string, string> | undefined {
  const type = body === 'json' ? null : headers.get('content-type');
  let named: Record<string, string> | undefined;
  for (const name of NAMED_HEADERS) {
    const value = headers.get(name);
    if (value !== null) named = { ...named, [name]: value };
  }
  return type === null || JSON_TYPE.test(type) ? named : { ...named, 'content-type': type };
}
