/** Validators compiled from openapi.yaml on first use; nothing is loaded before. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ValidateFunction } from 'ajv';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import type { components } from './wire.ts';
import { readYaml } from './yaml.ts';

export type SchemaName = keyof components['schemas'];

/** A JSON schema, or a part of the document, as loosely as its readers need it. */
// biome-ignore lint/suspicious/noExplicitAny: it is data; each read states what it expects.
export type Node = any;

/** Which way a value goes: the service is asked with it, or answers it. */
export type Side = 'requests' | 'answers';

const require = createRequire(import.meta.url);
export const REF = '#/components/schemas/';

let loaded: Node;

/** openapi.yaml as data: the file itself when run from source, else the build's openapi.json. */
export function document(): Node {
  if (loaded === undefined) {
    const at = (file: string) => new URL(file, import.meta.url);
    loaded = import.meta.url.endsWith('.ts')
      ? readYaml(at('../openapi.yaml'))
      : JSON.parse(readFileSync(at('../openapi.json'), 'utf8'));
  }
  return loaded;
}

/** What a reference of the document points to. */
export function resolve(ref: string): Node {
  return ref
    .slice(2)
    .split('/')
    .reduce((node, key) => node[key], document());
}

const compilers = new Map<Side, Ajv2020>();
const validators = new Map<string, ValidateFunction>();

export function validator(side: Side, schemaName: SchemaName): ValidateFunction {
  const key = `${side} ${schemaName}`;
  const known = validators.get(key);
  if (known !== undefined) return known;
  const compiled = compiler(side).compile({ $ref: `foundrite${REF}${schemaName}` });
  validators.set(key, compiled);
  return compiled;
}

/** Requests stop at the first error: one message goes out. Answers list all, for a report. */
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
  ajv.addVocabulary(['x-foundrite-in-code']);
  if (side === 'requests') ajv.addVocabulary(['x-foundrite-optional', 'x-foundrite-open']);
  else addMarks(ajv);
  ajv.addSchema({
    $id: 'foundrite',
    components: { schemas: forAjv(document().components.schemas, side) },
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

/**
 * ajv reads the variants' own `const`s, and refuses the `mapping` that the types are made of. What code checks in requests,
 * for a better sentence, it is not asked to check.
 */
function forAjv(node: Node, side: Side): Node {
  if (Array.isArray(node)) return node.map((child) => forAjv(child, side));
  if (typeof node !== 'object' || node === null) return node;
  const inCode: string[] = side === 'requests' ? (node['x-foundrite-in-code'] ?? []) : [];
  const entries = Object.entries(node)
    .filter(([key]) => !inCode.includes(key))
    .map(([key, child]) =>
      key === 'discriminator' && typeof (child as Node).propertyName === 'string'
        ? [key, { propertyName: (child as Node).propertyName }]
        : [key, forAjv(child, side)],
    );
  return Object.fromEntries(entries);
}

/** Properties whose loss a schema does not notice. */
export interface Losses {
  /** JSON pointers; each is a gap of the schema. */
  readonly unnoticed: readonly string[];
  /** Those that the document excuses, with the reason. */
  readonly excused: ReadonlyMap<string, string>;
}

/** Takes each property out of a valid answer in turn, at every depth; lists what is not missed. */
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
