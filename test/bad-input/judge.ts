/** What an answer must be, judged from openapi.yaml and a few rules of its own, without a look at the emulator's code. */
import {
  checkResponse,
  document,
  findOperation,
  type Operation,
  parse,
} from '../../contracts/openapi.ts';
import type { Node } from '../../contracts/validators.ts';
import type { Line } from './bench.ts';
import type { Mutated } from './draw.ts';
import type { Raw, RawAnswer } from './wire.ts';
import { WORLD } from './world.ts';

/** What must never be told: where the emulator lies, and how it failed. */
const TELLTALE =
  /node_modules|file:\/\/\/(?!etc)|[a-z]\.[jt]s:\d+|\\n\s+at |SQLITE|SqliteError|RangeError|TypeError/;

/** The operation that a request asks for once dots are resolved, as every URL reader does. */
export function operationOf({ method, path }: Raw): Operation | undefined {
  // Without a name before it a verb is none to the description.
  if (/\/:[a-z_]+$/.test(resolved(path))) return undefined;
  const asked = method === 'HEAD' && !/\/(health|ready)$/.test(path) ? 'GET' : method;
  return findOperation(asked, resolved(path));
}

function resolved(path: string): string {
  // To a server what follows a # is a part of the path like any other.
  return new URL(`http://localhost${path.replaceAll('#', '%23')}`).pathname;
}

/** What is wrong with an answer, whatever was asked. */
export function answerProblems(answer: RawAnswer, { method, path }: Raw): string[] {
  const { status, headers, text } = answer;
  const problems: string[] = [];
  if (status >= 500 && status !== 501) problems.push(`answered ${status}`);
  if (TELLTALE.test(text)) problems.push('the answer tells of the machine');
  // Without it no world was asked: the bytes were no request.
  const unasked = !headers.has('x-foundrite-now');
  if (unasked && !UNASKED.has(status)) problems.push('x-foundrite-now is missing');
  if (method === 'HEAD') return problems;
  const at = unasked ? '/none' : resolved(path);
  return [...problems, ...checkResponse(method, at, status, headers, text)];
}

/** The statuses of what never reached a world. */
const UNASKED = new Set([400, 405, 408, 413, 417, 431]);

/** What is wrong with a refusal: it must say what to mend, and where. */
export function refusalProblems(answer: RawAnswer, { mutation, raw }: Mutated): string[] {
  if (raw.method === 'HEAD') return [];
  const { error } = JSON.parse(answer.text) as {
    error: { code: string; message: string; param?: string | null };
  };
  const rule = answer.headers.get('x-foundrite-rule');
  const problems: string[] = [];
  if (
    rule === null &&
    answer.headers.has('x-foundrite-now') &&
    error.code !== 'invalid_api_version'
  )
    problems.push('no x-foundrite-rule');
  // What the service is known to say, it says in its own way.
  if (WORD_FOR_WORD.has(rule ?? '')) return problems;
  if (!/[.!]$|must be provided|api-version$|doesn't exist$/.test(error.message))
    problems.push('the message is no sentence');
  if (!mutation.kind.startsWith('body ') || answer.status !== 400) return problems;
  const at = mutation.at ?? '';
  if (rule === 'request/body-is-json') return problems;
  if (!isRelated(error.param ?? '', at) && !OF_SEVERAL.has(rule ?? ''))
    problems.push(`param is ${error.param}, not ${at}`);
  const shown = JSON.stringify(mutation.value)?.slice(0, 20) ?? 'undefined';
  const names = [lastKey(error.param ?? ''), shown, shown.replaceAll('"', "'")];
  if (!names.some((name) => error.message.includes(name)))
    problems.push(`the message names neither ${names.join(' nor ')}`);
  return problems;
}

const WORD_FOR_WORD = new Set([
  'agent/resource-tier',
  'response/model-or-agent',
  'thread-run/outputs-of-all-calls',
]);

/** Of two spellings that differ either is named, and of shares that do not add up the list. */
const OF_SEVERAL = new Set(['agent/spellings-agree', 'routing/sum-is-100']);

/** A field, one within it, the object that holds it, or another field of that object, which excludes it or decides its form. */
function isRelated(param: string, at: string): boolean {
  const within = (inner: string, outer: string) =>
    outer === '' ||
    inner === outer ||
    inner.startsWith(`${outer}.`) ||
    inner.startsWith(`${outer}[`);
  return within(param, at) || param === holderOf(at) || holderOf(param) === holderOf(at);
}

export function holderOf(at: string): string {
  return at.replace(/(?:\.[^.[]*|\[\d+\]|^[^.[]*)$/, '');
}

function lastKey(param: string): string {
  return /([^.[\]]+)\]?$/.exec(param)?.[1] ?? '';
}

/** Why a request must be refused, as far as the document tells; what is accepted has none. */
export function faultsOf(raw: Raw): string[] {
  const operation = operationOf(raw);
  if (operation === undefined) return ['there is no such operation'];
  const header = (name: string) => raw.headers.find(([other]) => other === name)?.[1];
  const faults: string[] = [];
  const host = header('host') ?? 'none';
  if (!/^(localhost|127\.0\.0\.1|\[::1\]|\w+\.services\.ai\.azure\.com)(:\d{1,5})?$/i.test(host))
    faults.push(`the host is ${host}`);
  if (operation.tag !== 'Control' && !/^bearer +\S+ *$/i.test(header('authorization') ?? ''))
    faults.push('there is no bearer token');
  if (raw.headers.some(([name, value]) => / /.test(name) || BAD_VALUE.test(value)))
    faults.push('a header is malformed');
  if (!/^(100-continue)?$/.test(header('expect') ?? '')) faults.push('expect is unknown');
  const digest = parametersOf(operation).has(DIGEST) ? header(DIGEST) : undefined;
  if (!/^([0-9a-f]{64})?$/i.test(digest ?? '') || digest === '') faults.push('it has no digest');
  const name = parametersOf(operation).has(NAME) ? (header(NAME) ?? 'a') : 'a';
  if (!/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/.test(name)) faults.push('it has no name');
  faults.push(...queryFaults(operation, raw.path));
  if (operation.method === 'GET' || operation.method === 'HEAD') return faults;
  if (!/^(identity)?$/.test(header('content-encoding') ?? '')) faults.push('the body is encoded');
  const read = jsonIn(operation, raw, header('content-type'), header('x-ms-agent-name'));
  return read === undefined ? faults : [...faults, ...bodyFaults(operation, read)];
}

function takenBy(operation: Operation): string[] {
  return Object.keys(described(operation).own.requestBody?.content ?? {});
}

function isForm(operation: Operation | undefined, type = ''): boolean {
  const takes = operation !== undefined && takenBy(operation).includes('multipart/form-data');
  return takes && type.startsWith('multipart/form-data');
}

/** What of a body is read as JSON; undefined where none of it is. An upload may be named by a header. */
function jsonIn(
  operation: Operation,
  { body, json }: Raw,
  type: string | undefined,
  named: string | undefined,
): { json: Buffer | undefined; named: string | undefined } | undefined {
  const taken = takenBy(operation);
  if (taken.includes('application/octet-stream')) return undefined;
  if (taken.includes('*/*') && type !== undefined && !/^application\/([\w.-]+\+)?json\b/.test(type))
    return undefined;
  return isForm(operation, type) ? { json, named } : { json: body, named: undefined };
}

const NAME = 'x-ms-agent-name';
const DIGEST = 'x-ms-code-zip-sha256';
const BAD_VALUE = /[\u0000-\u0008\u000a-\u001f]/;

function bodyFaults(
  operation: Operation,
  { json: body, named }: { json: Buffer | undefined; named: string | undefined },
): string[] {
  const schema = operation.requestSchema;
  const required = schema !== undefined && isRequired(operation);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body ?? Buffer.alloc(0));
  } catch {
    return ['the body is not UTF-8'];
  }
  if (text.trim() === '') return required ? ['there is no body'] : [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return ['the body is not JSON'];
  }
  if (/\\u(d8|dc|DB|d83d"|dc00x)/.test(text)) return ['the body has half a character'];
  if (/(?:\[|\{"a":){501}/.test(text)) return ['the body is nested too deep'];
  if (schema === undefined) return [];
  const whole = named === undefined ? value : { ...(value as object), name: named };
  const parsed = parse(schema, whole);
  return parsed.kind === 'ok' ? [] : [parsed.message];
}

function queryFaults(operation: Operation, path: string): string[] {
  const query = new URLSearchParams(path.split('?').slice(1).join('?'));
  const known = parametersOf(operation);
  return [...new Set(query.keys())].flatMap((name) => {
    const value = query.get(name) ?? '';
    const form = FORMS[`${operation.operationId} ${name}`] ?? FORMS[name];
    const wrong = known.has(name) && value !== '' && form !== undefined && !form.test(value);
    return wrong ? [`${name} is ${value}`] : [];
  });
}

/** Of assistants and threads a page beyond its bounds is refused. */
const LIMIT = /^0*([1-9]\d?|100)$/;

/** What the parameters may be; elsewhere a whole number beyond the bounds of a page is taken for the nearest. */
const FORMS: Record<string, RegExp> = {
  limit: /^-?\d{1,15}$/,
  'getJournal limit': /^\d{1,5}$/,
  'listAssistants limit': LIMIT,
  'listThreads limit': LIMIT,
  'listMessages limit': LIMIT,
  'listThreadRuns limit': LIMIT,
  'listRunSteps limit': LIMIT,
  order: /^(asc|desc)$/,
  after: /^(daily|run-[0-9a-f]+|digest(:[12])?|session-\d|[a-z]+_\w+|data)$/,
  before: /^(digest|off|[a-z]+_\w+|notes\.txt)$/,
  // The first generation ignores it.
  'listRoutines before': /^/,
  'listRoutineRuns before': /^/,
  'getJournal after': /^\d{1,16}$/,
  'listAgents kind': /^(hosted|prompt|workflow|external)$/,
  'streamSessionLogs kind': /^(console|system)$/,
  'streamVersionSessionLogs kind': /^(console|system)$/,
  tail: /^0*([1-9]\d?|[12]\d\d|300)$/,
  follow: /^(true|false)$/,
  force: /^(true|false)$/i,
  include_drafts: /^(true|false)$/i,
  recursive: /^(true|false)$/i,
  path: /^(?!.*(^|\/)\.\.(\/|$))[^\0]{0,1024}$/,
  pagination_token: /^session-\d$/,
  agent_session_id: /^[ -~]{0,256}$/,
  'downloadAgentCode agent_version': /^1$/,
  filter: /^((attributes\.)?(status|phase|id|trigger_name|start_time) ?(=|>) ?('[^']*'|\d+))$/,
  wait: /^(\d+|PT\d+S)$/,
  basis: /^(documented|observed|assumed|own)$/,
  area: /^[a-z]+$/,
  resource: /^https:\/\/ai\.azure\.com\/?$/,
  'getIdentityToken api-version': /^2019-08-01$/,
};

function described(operation: Operation): { item: Node; own: Node } {
  const path = operation.path.replace(/^\/api\/projects\/\{project\}/, '');
  const item = document().paths[path];
  return { item, own: item[operation.method.toLowerCase()] };
}

function parametersOf(operation: Operation): Set<string> {
  const { item, own } = described(operation);
  const all = [...(item.parameters ?? []), ...(own.parameters ?? [])];
  return new Set(
    all.map((one) => {
      const name = /[^/]+$/.exec(one.$ref ?? '')?.[0];
      return name === undefined ? one.name : document().components.parameters[name].name;
    }),
  );
}

function isRequired(operation: Operation): boolean {
  return described(operation).own.requestBody?.required === true;
}

/** Refused before the world was asked: these leave no line. */
const BEFORE = new Set([
  'request/bearer-token',
  'request/known-host',
  'request/path-decodes',
  'request/route-known',
  'request/body-max',
  'control/project-name-max-128',
]);

/** A log that is opened, or a question about an invocation that goes to the agent. */
function isCall({ path }: Operation, lines: Line[]): boolean {
  return path.endsWith(':logstream') || (path.includes('/invocations/') && lines.length > 0);
}

/** What the journal says of a request, and what it must not say. */
export function journalProblems(lines: Line[], raw: Raw, answer: RawAnswer): string[] {
  const operation = operationOf(raw);
  const { status, headers } = answer;
  const ours = resolved(raw.path).startsWith(`/api/projects/${WORLD}/`);
  const rule = headers.get('x-foundrite-rule');
  // Of a form the bytes were read before its parts were.
  const type = raw.headers.find(([name]) => name === 'content-type')?.[1];
  const why = isForm(operation, type) ? /content-encoding/ : /UTF-8|content-encoding/;
  const unread = rule === 'request/body-is-json' && why.test(answer.text);
  const told =
    ours &&
    operation !== undefined &&
    (operation.method !== 'GET' || isCall(operation, lines)) &&
    headers.has('x-foundrite-now') &&
    !BEFORE.has(rule ?? '') &&
    !unread;
  const requests = lines.filter(({ kind }) => kind === 'request');
  if (!told) {
    // A verb without a name before it is an operation to the emulator, and none to the document.
    if (operation === undefined && lines[0]?.data.status === status) return [];
    const none = operation === undefined || operation.method === 'GET' || status >= 400;
    return none && lines.length > 0 ? [`the journal says ${JSON.stringify(lines[0])}`] : [];
  }
  const [line] = requests;
  if (requests.length !== 1 || line === undefined) return [`${requests.length} lines tell of it`];
  const { data } = line;
  // What is answered from outside has its status in a line of its own.
  const given = lines.find(({ kind }) => kind === 'given');
  const said = [data.operation, data.status ?? given?.data.status, data.rule ?? null];
  const due = [operation.operationId, status, status < 400 ? null : rule];
  // What the agent behind an endpoint answers is no refusal of the emulator's, whatever its status.
  const relayed = operation.path.includes('/endpoint/') && said[2] === null;
  const same = JSON.stringify(said) === JSON.stringify(relayed ? due.with(2, null) : due);
  return same ? [] : [`the journal says ${JSON.stringify(said)}, not ${JSON.stringify(due)}`];
}
