/**
 * The wire description at work: validators compiled from openapi.yaml on first use, and its operations as a table.
 * Nothing is loaded before the first call, so that starting the emulator does not pay for it.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv';
import { explain, type Problem, type Variants } from './problems.ts';
import type { components } from './wire.ts';

export type { components, operations as wireOperations, paths } from './wire.ts';

export type SchemaName = keyof components['schemas'];
/** What a value that keeps to a schema is. */
export type SchemaValue<Name extends SchemaName> = components['schemas'][Name];

export type Parsed<Value> = { kind: 'ok'; value: Value } | ({ kind: 'invalid' } & Problem);

/** One answer that openapi.yaml promises: media types, each with the schema that its body keeps to. */
export interface DocumentedAnswer {
  /** Undefined where any body may stand. */
  readonly content: ReadonlyMap<string, SchemaName | undefined>;
  readonly requiredHeaders: readonly string[];
}

export interface Operation {
  readonly operationId: string;
  readonly method: string;
  /** With its server: `/api/projects/{project}/routines/{routine_name}:enable`, `/_emulator/health`. */
  readonly path: string;
  readonly tag: string;
  readonly rule: string | undefined;
  readonly requestSchema: SchemaName | undefined;
  /** By status, `4XX` and `5XX` among them. */
  readonly responses: ReadonlyMap<string, DocumentedAnswer>;
}

/** A JSON schema, as loosely as this file needs it. */
// biome-ignore lint/suspicious/noExplicitAny: the document is data, and each read of it states what it expects.
type Node = any;

const require = createRequire(import.meta.url);
const METHODS = ['get', 'head', 'put', 'post', 'patch', 'delete'];
const REF = '#/components/schemas/';

let loaded: Node;

/** openapi.yaml as data: the YAML itself when running from source, the build's openapi.json otherwise. */
export function document(): Node {
  if (loaded === undefined) {
    const fromSource = import.meta.url.endsWith('.ts');
    const text = readFileSync(
      new URL(fromSource ? '../openapi.yaml' : '../openapi.json', import.meta.url),
      'utf8',
    );
    loaded = fromSource ? (require('yaml') as typeof import('yaml')).parse(text) : JSON.parse(text);
  }
  return loaded;
}

/** Checks a value that came in against a schema. Values are handed back as they are, unknown fields included. */
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
  return operationTable.map((entry) => entry.operation);
}

/** The operation that a raw (still encoded) path belongs to; a path outside `/api/projects` is one of the project's. */
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

/** What is wrong with an answer, in sentences. Answers written by a fault plan or a user's agent are nobody's promise. */
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

/** Properties whose loss a schema does not notice: those that it excuses, with the reason, and the rest, which is a gap. */
export interface Losses {
  readonly unnoticed: readonly string[];
  readonly excused: ReadonlyMap<string, string>;
}

/** Takes each property out of a valid value in turn, at every depth, and lists what its schema would not miss. */
export function lossesOf(schemaName: SchemaName, value: unknown): Losses {
  const validate = validator('answers', schemaName);
  const copy = structuredClone(value);
  marks = { optional: new Map(), open: new Map() };
  validate(copy);
  const { optional, open } = marks;
  marks = undefined;
  const unnoticed: string[] = [];
  const excused = new Map<string, string>();
  visit(copy, '');
  return { unnoticed, excused };

  function visit(node: unknown, path: string): void {
    if (typeof node !== 'object' || node === null) return;
    const openHere = open.get(path);
    for (const [key, child] of Object.entries(node)) {
      const childPath = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (openHere !== undefined && !openHere.declared.includes(key)) continue;
      if (!Array.isArray(node)) {
        const holder = node as Record<string, unknown>;
        Reflect.deleteProperty(holder, key);
        const reason = validate(copy) ? optional.get(childPath) : 'noticed';
        holder[key] = child;
        if (reason === undefined) unnoticed.push(childPath);
        else if (reason !== 'noticed') excused.set(childPath, reason);
      }
      visit(child, childPath);
    }
  }
}

/** What the answers' validators note while they run, when someone listens. */
let marks:
  | { optional: Map<string, string>; open: Map<string, { reason: string; declared: string[] }> }
  | undefined;

type Side = 'requests' | 'answers';
const compilers = new Map<Side, Ajv2020>();
const validators = new Map<string, ValidateFunction>();

function validator(side: Side, schemaName: SchemaName): ValidateFunction {
  const key = `${side} ${schemaName}`;
  const known = validators.get(key);
  if (known !== undefined) return known;
  const compiled = compiler(side).compile({ $ref: `foundrite${REF}${schemaName}` });
  validators.set(key, compiled);
  return compiled;
}

/** Requests stop at the first error, because one message goes out; answers list all, because a report shows them. */
function compiler(side: Side): Ajv2020 {
  const known = compilers.get(side);
  if (known !== undefined) return known;
  const { Ajv2020: Compiler } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js');
  const addFormats = require('ajv-formats') as { default: (ajv: Ajv2020) => void };
  const ajv = new Compiler({
    allErrors: side === 'answers',
    discriminator: true,
    strictTypes: false,
    // ajv warns that `unicode` is deprecated; what matters is thrown, not logged.
    logger: false,
    // The service counts UTF-16 units, which is what `length` counts; ajv would count code points.
    unicode: false,
    validateSchema: false,
    verbose: true,
  });
  addFormats.default(ajv);
  ajv.addVocabulary(['components', 'x-foundrite-rule']);
  if (side === 'requests') ajv.addVocabulary(['x-foundrite-optional', 'x-foundrite-open']);
  else addMarks(ajv);
  ajv.addSchema({
    $id: 'foundrite',
    components: { schemas: withoutMappings(document().components.schemas) },
  });
  compilers.set(side, ajv);
  return ajv;
}

function addMarks(ajv: Ajv2020): void {
  ajv.addKeyword({
    keyword: 'x-foundrite-optional',
    errors: false,
    validate(reason: string, _data: unknown, _schema: unknown, cxt?: { instancePath: string }) {
      if (cxt !== undefined) marks?.optional.set(cxt.instancePath, reason);
      return true;
    },
  });
  ajv.addKeyword({
    keyword: 'x-foundrite-open',
    errors: false,
    validate(reason: string, _data: unknown, schema?: Node, cxt?: { instancePath: string }) {
      if (cxt !== undefined) {
        marks?.open.set(cxt.instancePath, { reason, declared: schema?.required ?? [] });
      }
      return true;
    },
  });
}

/** ajv reads the variants' own `const`s and refuses OpenAPI's `mapping`, which the type generator needs. */
function withoutMappings(node: Node): Node {
  if (Array.isArray(node)) return node.map(withoutMappings);
  if (typeof node !== 'object' || node === null) return node;
  const entries = Object.entries(node).map(([key, child]) =>
    key === 'discriminator' && typeof (child as Node).propertyName === 'string'
      ? [key, { propertyName: (child as Node).propertyName }]
      : [key, withoutMappings(child)],
  );
  return Object.fromEntries(entries);
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
  const texts = media.type.includes('ndjson')
    ? bodyText.split('\n').filter((line) => line !== '')
    : [bodyText];
  return texts.flatMap((text) => {
    try {
      return problemsOf(schemaName, JSON.parse(text));
    } catch {
      return [`the body is not JSON: ${text.slice(0, 80)}`];
    }
  });
}

/** What is promised for a request that belongs to no operation: it is refused, in the usual envelope. */
function refusal(status: number): DocumentedAnswer | undefined {
  if (![400, 401, 404, 405, 413, 421, 429, 500, 501].includes(status)) return undefined;
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
}

let operationTable: readonly TableEntry[] | undefined;

function readOperations(): readonly TableEntry[] {
  const root = document();
  const entries: TableEntry[] = [];
  for (const [template, item] of Object.entries<Node>(root.paths)) {
    const server: string = (item.servers ?? root.servers)[0].url;
    const path = `${server.replace(/\/$/, '')}${template}`;
    for (const method of METHODS) {
      const described = item[method];
      if (described === undefined) continue;
      entries.push({
        operation: readOperation(described, method.toUpperCase(), path),
        matches: pathPattern(path),
      });
    }
  }
  // `{name}:enable` before `{name}`: the longer the fixed text, the more exact the match.
  const fixed = (entry: TableEntry) => entry.operation.path.replace(/\{[^}]*\}/g, '').length;
  return entries.sort((one, other) => fixed(other) - fixed(one));
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

function resolve(ref: string): Node {
  return ref
    .slice(2)
    .split('/')
    .reduce((node, key) => node[key], document());
}

function pathPattern(template: string): RegExp {
  const parts = template
    .split(/\{[^}]*\}/)
    .map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('([^/]+)')}$`);
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
