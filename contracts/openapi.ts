/** The wire description at work: what a request must be, and what each operation may answer. */
import { explain, type Problem, type Variants } from './problems.ts';
import { document, type Node, REF, resolve, type SchemaName, validator } from './validators.ts';
import type { components } from './wire.ts';

export { document, type Losses, lossesOf, type SchemaName } from './validators.ts';
export type { components, operations as wireOperations, paths } from './wire.ts';

/** What a value that keeps to a schema is. */
export type SchemaValue<Name extends SchemaName> = components['schemas'][Name];

export type Parsed<Value> = { kind: 'ok'; value: Value } | ({ kind: 'invalid' } & Problem);

/** One answer that openapi.yaml promises. */
export interface DocumentedAnswer {
  /** By media type, the schema that the body keeps to; undefined where any body may stand. */
  readonly content: ReadonlyMap<string, SchemaName | undefined>;
  readonly requiredHeaders: readonly string[];
}

export interface Operation {
  readonly operationId: string;
  readonly method: string;
  /** With its server, such as `/api/projects/{project}/routines/{routine_name}:enable`. */
  readonly path: string;
  readonly tag: string;
  readonly rule: string | undefined;
  readonly requestSchema: SchemaName | undefined;
  /** By status, `4XX` and `5XX` among them. */
  readonly responses: ReadonlyMap<string, DocumentedAnswer>;
}

const METHODS = ['get', 'head', 'put', 'post', 'patch', 'delete'];

/**
 * Checks a value that came in against a schema, and hands it back as it is, with unknown fields.
 * `at` is the path at which the value stands, such as the name of a parameter.
 */
export function parse<Name extends SchemaName>(
  schemaName: Name,
  value: unknown,
  at = '',
): Parsed<SchemaValue<Name>> {
  const validate = validator('requests', schemaName);
  if (validate(value)) return { kind: 'ok', value: value as SchemaValue<Name> };
  return { kind: 'invalid', ...explain(validate.errors ?? [], at, variants) };
}

/** Every operation of openapi.yaml. */
export function operations(): readonly Operation[] {
  operationTable ??= readOperations();
  return [...new Set(operationTable.map((entry) => entry.operation))];
}

/** The operation of a raw, still encoded path; one that names no project is taken as inside it. */
export function findOperation(method: string, path: string): Operation | undefined {
  operationTable ??= readOperations();
  const full = fullPath(path);
  const wanted = method.toUpperCase();
  return operationTable.find(
    (entry) => entry.operation.method === wanted && entry.matches.test(full),
  )?.operation;
}

/** What is wrong with bodies of one documented answer, in sentences; none when they keep to it. */
export function responseValidator(
  operationId: string,
  status: number,
  contentType: string,
): (body: unknown) => string[] {
  const operation = operations().find((candidate) => candidate.operationId === operationId);
  if (operation === undefined) return () => [`openapi.yaml has no operation ${operationId}`];
  const answer = documented(operation, status);
  if (answer === undefined) return () => [`${operationId} does not promise the status ${status}`];
  const media = mediaOf(answer, contentType);
  if (media === undefined) {
    return () => [`${operationId} does not promise ${contentType} with the status ${status}`];
  }
  const schemaName = media.schemaName;
  return (body) => (schemaName === undefined ? [] : problemsOf(schemaName, body));
}

/** What is wrong with an answer, in sentences. What a fault or reply wrote is nobody's promise. */
export function checkResponse(
  method: string,
  path: string,
  status: number,
  headers: Headers | Record<string, string | undefined>,
  bodyText: string,
): string[] {
  const all = headers instanceof Headers ? headers : headersOf(headers);
  if (all.has('x-foundrite-body-by')) return [];
  const operation = findOperation(method, path);
  const answer = operation === undefined ? refusal(status) : documented(operation, status);
  if (answer === undefined) {
    const what = operation?.operationId ?? `${method} ${path}, which is not in openapi.yaml,`;
    return [`${what} does not promise the status ${status}`];
  }
  const problems = answer.requiredHeaders
    .filter((name) => !all.has(name))
    .map((name) => `the header ${name} is missing`);
  return [...problems, ...checkBody(answer, status, all.get('content-type') ?? '', bodyText)];
}

/** The schema that an answer's body keeps to, so that tests can look at it more closely. */
export function responseSchema(
  method: string,
  path: string,
  status: number,
  contentType: string,
): SchemaName | undefined {
  const operation = findOperation(method, path);
  const answer = operation === undefined ? refusal(status) : documented(operation, status);
  return answer === undefined ? undefined : mediaOf(answer, contentType)?.schemaName;
}

function problemsOf(schemaName: SchemaName, body: unknown): string[] {
  const validate = validator('answers', schemaName);
  if (validate(body)) return [];
  const errors = (validate.errors ?? []).filter((error) => error.keyword !== 'if');
  return [...new Set(errors.map((error) => explain([error], '', variants).message))];
}

const variants: Variants = {
  schemaOf: resolve,
  errorsOf(ref, value) {
    const validate = validator('requests', ref.slice(REF.length) as SchemaName);
    return validate(value) ? [] : (validate.errors ?? []);
  },
};

function checkBody(
  answer: DocumentedAnswer,
  status: number,
  contentType: string,
  bodyText: string,
): string[] {
  if (answer.content.size === 0) {
    return bodyText === '' ? [] : [`an answer ${status} has no body here, yet there is one`];
  }
  const media = mediaOf(answer, contentType);
  if (media === undefined) return [`the media type ${contentType || '(none)'} is not promised`];
  const { schemaName } = media;
  if (schemaName === undefined) return [];
  const texts = textsIn(media.type, bodyText);
  return texts.flatMap((text) => {
    try {
      return problemsOf(schemaName, JSON.parse(text));
    } catch {
      return [`the body is not JSON: ${text.slice(0, 80)}`];
    }
  });
}

/** What a schema describes of a body: of streams, each line or the data of each event. */
function textsIn(type: string, bodyText: string): string[] {
  const lines = bodyText.split('\n');
  if (type.includes('ndjson')) return lines.filter((line) => line !== '');
  if (type !== 'text/event-stream') return [bodyText];
  return lines.flatMap((line) => (line.startsWith('data:') ? [line.slice('data:'.length)] : []));
}

/** What is promised to a request that is no operation: a refusal in the usual envelope. */
function refusal(status: number): DocumentedAnswer | undefined {
  if (![400, 401, 404, 405, 408, 413, 417, 421, 429, 431, 500, 501].includes(status))
    return undefined;
  const schemaName = status === 401 ? 'UnauthorizedBody' : 'ErrorBody';
  return { content: new Map([['application/json', schemaName]]), requiredHeaders: [] };
}

function documented(operation: Operation, status: number): DocumentedAnswer | undefined {
  const exact = operation.responses.get(String(status));
  return exact ?? operation.responses.get(`${Math.floor(status / 100)}XX`);
}

function mediaOf(
  answer: DocumentedAnswer,
  contentType: string,
): { type: string; schemaName: SchemaName | undefined } | undefined {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  for (const candidate of [type, '*/*']) {
    if (answer.content.has(candidate)) {
      return { type: candidate, schemaName: answer.content.get(candidate) };
    }
  }
  return undefined;
}

interface TableEntry {
  readonly operation: Operation;
  readonly matches: RegExp;
  /** How much of its path is fixed text. */
  readonly fixed: number;
}

let operationTable: readonly TableEntry[] | undefined;

function readOperations(): readonly TableEntry[] {
  const root = document();
  const entries: TableEntry[] = [];
  for (const [template, item] of Object.entries<Node>(root.paths)) {
    const server: string = (item.servers ?? root.servers)[0].url;
    const below = server.replace(/\/$/, '');
    const path = `${below}${template}`;
    const alias: string | undefined = item['x-foundrite-alias'];
    const paths = alias === undefined ? [path] : [path, `${below}${alias}`];
    for (const method of METHODS) {
      const described = item[method];
      if (described === undefined) continue;
      const operation = readOperation(described, method.toUpperCase(), path);
      for (const one of paths) {
        const fixed = one.replace(/\{[^}]*\}/g, '').length;
        entries.push({ operation, matches: pathPattern(one), fixed });
      }
    }
  }
  // `{name}:enable` before `{name}`: the longer the fixed text, the more exact the match.
  return entries.sort((one, other) => other.fixed - one.fixed);
}

function readOperation(described: Node, method: string, path: string): Operation {
  const request = described.requestBody?.content['application/json']?.schema;
  const responses = Object.entries<Node>(described.responses).map(([status, response]) => {
    const answer = response.$ref === undefined ? response : resolve(response.$ref);
    return [status, readAnswer(answer, method === 'HEAD')] as const;
  });
  return {
    operationId: described.operationId,
    method,
    path,
    tag: described.tags[0],
    rule: described['x-foundrite-rule'],
    requestSchema: schemaNameOf(request),
    responses: new Map(responses),
  };
}

/** HEAD has the head of an answer and never its body. */
function readAnswer(answer: Node, isHead: boolean): DocumentedAnswer {
  const content = isHead ? [] : Object.entries<Node>(answer.content ?? {});
  const headers = Object.entries<Node>(answer.headers ?? {});
  return {
    content: new Map(content.map(([type, media]) => [type, schemaNameOf(media.schema)])),
    requiredHeaders: headers
      .filter(([, header]) => (header.$ref === undefined ? header : resolve(header.$ref)).required)
      .map(([name]) => name),
  };
}

function schemaNameOf(schema: Node): SchemaName | undefined {
  return schema?.$ref?.startsWith(REF) ? schema.$ref.slice(REF.length) : undefined;
}

/** A parameter is one segment, but for a rule's id: its slash may be sent as it is. */
function pathPattern(template: string): RegExp {
  // Of agents, whose names hold no colon, the one before a verb may come encoded.
  const colon = template.includes('/agents/') ? '(?::|%3[Aa])' : ':';
  const parts = template
    .split(/\{[^}]*\}/)
    .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(':', colon));
  return new RegExp(`^${parts.join(template.endsWith('/{rule}') ? '(.+)' : '([^/]+)')}$`);
}

function fullPath(path: string): string {
  const bare = path.replace(/^https?:\/\/[^/]*/, '').replace(/[?#].*$/, '');
  const isFull = bare.startsWith('/api/projects/') || bare.startsWith('/_emulator/');
  return isFull ? bare : `/api/projects/-${bare}`;
}

function headersOf(record: Record<string, string | undefined>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(record)) {
    if (value !== undefined) headers.set(name, value);
  }
  return headers;
}
