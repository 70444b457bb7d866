/** What a value that breaks a schema is told: which field, which value, and what to do next. */
import type { ErrorObject } from 'ajv';
import { nearest } from './near.ts';

export interface Problem {
  /** Path of the field at fault, `triggers.morning.cron_expression`; empty for the whole value. */
  param: string;
  message: string;
  /** The ledger's rule that the value breaks. */
  rule: string | undefined;
}

/** A JSON schema, as loosely as this file needs it. */
// biome-ignore lint/suspicious/noExplicitAny: a schema is data; each read states what it expects.
type Schema = any;

/** The variants of a union, named by their `$ref`. */
export interface Variants {
  schemaOf(ref: string): Schema;
  /** What one variant has against the value; nothing when it fits. */
  errorsOf(ref: string, value: unknown): readonly ErrorObject[];
}

/** The one problem to report. ajv lists what led to a failure first and the failure itself last. */
export function explain(errors: readonly ErrorObject[], at: string, variants: Variants): Problem {
  const last = errors.at(-1);
  if (last === undefined) throw new Error('explain() is for values that failed');
  const error = last.keyword === 'if' ? (errors.at(-2) ?? last) : last;
  const path = fieldPath(at, error.instancePath);
  switch (error.keyword) {
    case 'required':
    case 'dependentRequired':
      return missing(error, path);
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return unknownField(error, path);
    case 'discriminator':
      return unknownVariant(error, path, variants);
    case 'oneOf':
    case 'anyOf':
      return noVariant(error, path, variants);
    default:
      return { param: path, message: `${named(path)} ${complaint(error)}.`, rule: ruleOf(error) };
  }
}

function missing(error: ErrorObject, path: string): Problem {
  const field: string = error.params.missingProperty;
  const schema: Schema = error.parentSchema;
  const param = joined(path, field);
  const owner = schema.title === undefined ? '' : ` for ${schema.title}`;
  const rule = schema.properties?.[field]?.['x-foundrite-rule'] ?? ruleOf(error);
  const { examples = [] } = schema.properties?.[field] ?? {};
  const message = `${param} must be provided${owner}${suchAs(examples)}${slipIn(schema, error.data, field)}.`;
  return { param, message, rule };
}

function suchAs(examples: readonly unknown[]): string {
  const told = examples.map((one) => (typeof one === 'string' ? one : shown(one)));
  return told.length === 0 ? '' : `, such as ${told.join(' or ')}`;
}

/** The first field that a closed form does not have: it may be another one, misspelt. */
function strayIn(schema: Schema, value: unknown): string | undefined {
  if (schema.additionalProperties !== false || schema.properties === undefined) return undefined;
  return Object.keys(value as object).find((key) => !Object.hasOwn(schema.properties, key));
}

function slipIn(schema: Schema, value: unknown, missed: string): string {
  const stray = strayIn(schema, value);
  if (stray === undefined) return '';
  const meant = nearest(stray, [missed]).length > 0 ? `; ${missed} may be meant` : '';
  return `, and ${stray} is not a field here${meant}`;
}

function unknownField(error: ErrorObject, path: string): Problem {
  const field: string = error.params.additionalProperty ?? error.params.unevaluatedProperty;
  const known = fieldsOf(error.parentSchema);
  return { ...strayField(field, path, known), rule: ruleOf(error) };
}

function fieldsOf(schema: Schema): string[] {
  return Object.entries<Schema>(schema.properties ?? {})
    .filter(([, one]) => one !== false)
    .map(([name]) => name);
}

function strayField(
  field: string,
  path: string,
  known: readonly string[],
): { param: string; message: string } {
  const param = joined(path, field);
  const [meant] = nearest(field, known);
  const like = meant === undefined ? '' : ` (${meant}?)`;
  const hint = known.length === 0 ? 'remove it' : `use one of ${known.join(', ')}, or remove it`;
  return { param, message: `${param} is not a field here${like}; ${hint}.` };
}

function unknownVariant(error: ErrorObject, path: string, variants: Variants): Problem {
  const { tag, tagValue } = error.params;
  const param = joined(path, tag);
  const refs = (error.parentSchema as Schema).oneOf as { $ref: string }[];
  const accepted = refs.flatMap(({ $ref }) => {
    const tagSchema = variants.schemaOf($ref).properties[tag];
    return tagSchema.enum ?? [tagSchema.const];
  });
  const { examples = [] } = error.parentSchema as Schema;
  const fault =
    tagValue === undefined
      ? `must be provided${suchAs(examples)}`
      : `is ${shown(tagValue)}, ${unknownTag(tag)}`;
  return {
    param,
    message: `${param} ${fault}; use one of ${accepted.join(', ')}.`,
    rule: ruleOf(error),
  };
}

/** Of types the service has these words of its own (contract/routines.md 8.2). */
function unknownTag(tag: string): string {
  return tag === 'type' ? 'an unrecognized type discriminator id' : `which is no ${tag}`;
}

/** No variant fits: when the value was clearly meant for one, the message is about that one. */
function noVariant(error: ErrorObject, path: string, variants: Variants): Problem {
  const branches = error.schema as Schema[];
  const fields = branches.flatMap((branch) => branch.required ?? []);
  if (fields.length === branches.length && branches.every((branch) => branch.$ref === undefined)) {
    const howMany = error.keyword === 'oneOf' ? 'exactly one' : 'at least one';
    const message = `${named(path)} must have ${howMany} of ${fields.join(', ')}.`;
    return { param: path, message, rule: ruleOf(error) };
  }
  const meant = meantFor(branches, error.data, variants);
  if (meant !== undefined) {
    const schema = variants.schemaOf(meant);
    const stray = strayIn(schema, error.data);
    if (stray !== undefined)
      return { ...strayField(stray, path, fieldsOf(schema)), rule: schema['x-foundrite-rule'] };
    const errors = variants.errorsOf(meant, error.data);
    if (errors.length > 0) return explain(errors, path, variants);
  }
  const forms = branches.map((branch) => titleOf(branch, variants)).join(' · ');
  return {
    param: path,
    message: `${named(path)} is ${shown(error.data)}${slipAmong(branches, error.data, variants)}; use one of these forms: ${forms}.`,
    rule: ruleOf(error),
  };
}

/** A field that no variant has: it may be another one, misspelt. */
function slipAmong(branches: Schema[], value: unknown, variants: Variants): string {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const schemas = branches.map(({ $ref }) => $ref && variants.schemaOf($ref));
  if (!isObject || schemas.some((schema) => schema?.additionalProperties !== false)) return '';
  const properties = Object.assign({}, ...schemas.map((schema) => schema.properties));
  const field = strayIn({ additionalProperties: false, properties }, value);
  if (field === undefined) return '';
  const [meant] = nearest(field, Object.keys(properties));
  return `, and none has ${field}${meant === undefined ? '' : ` (${meant}?)`}`;
}

/** The variant that shares most of its required fields with the value and bars fewest of the others, if it is the only one. */
function meantFor(branches: Schema[], value: unknown, variants: Variants): string | undefined {
  const scored = branches
    .filter((branch) => branch.$ref !== undefined)
    .map((branch) => ({ ref: branch.$ref, score: kinship(variants.schemaOf(branch.$ref), value) }))
    .sort((one, other) => other.score - one.score);
  const [best, next] = scored;
  if (best === undefined || best.score === 0 || best.score === next?.score) return undefined;
  return best.ref;
}

/** Whole for each required field that is there; a field that the variant does not have takes a hundredth away. */
function kinship(schema: Schema, value: unknown): number {
  const types: string[] = [schema.type].flat();
  if (!types.some((type) => isOfType(value, type))) return 0;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 1;
  const required: string[] = schema.required ?? [];
  const shared = required.filter((field) => Object.hasOwn(value, field)).length;
  if (shared === 0 || schema.additionalProperties !== false) return shared;
  const barred = Object.keys(value).filter((field) => !Object.hasOwn(schema.properties, field));
  return shared - Math.min(barred.length, 50) / 100;
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'integer' || type === 'number') return typeof value === 'number';
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && !Array.isArray(value);
  return typeof value === type;
}

function titleOf(branch: Schema, variants: Variants): string {
  const schema = branch.$ref === undefined ? branch : variants.schemaOf(branch.$ref);
  return schema.title ?? schema.type ?? 'a value of another form';
}

/** The rest of the sentence whose subject is the field. */
function complaint(error: ErrorObject): string {
  const { keyword, params, data } = error;
  const schema: Schema = error.parentSchema;
  const is = `is ${shown(data)}`;
  switch (keyword) {
    case 'type':
      return `${is}; send ${[params.type].flat().map(article).join(' or ')}${suchAs(schema.examples ?? [])}`;
    case 'enum':
      return `${is}; use one of ${params.allowedValues.map(String).join(', ')}`;
    case 'const':
      return `${is}; it must be ${shown(params.allowedValue)}`;
    case 'maxLength':
      return `${is}, ${tooLong(data as string, params.limit)}`;
    case 'minLength':
      return data === ''
        ? 'is empty; give it a value'
        : `${is}; give it ${params.limit} characters`;
    case 'minProperties':
    case 'maxProperties': {
      const limit =
        schema.minProperties === schema.maxProperties
          ? 'exactly'
          : keyword === 'minProperties'
            ? 'at least'
            : 'at most';
      const count = Object.keys(data as object).length;
      return `has ${count} ${count === 1 ? 'entry' : 'entries'}; give ${limit} ${params.limit}`;
    }
    case 'minItems':
    case 'maxItems': {
      const limit = keyword === 'minItems' ? 'at least' : 'at most';
      return `has ${(data as unknown[]).length} items; give ${limit} ${params.limit}`;
    }
    case 'minimum':
    case 'maximum':
      return `${is}; send a number from ${schema.minimum ?? 'any'} to ${schema.maximum ?? 'any'}`;
    case 'pattern':
      return `${is}; it must ${schema.title === undefined ? `match ${params.pattern}` : `be ${schema.title}`}`;
    case 'format':
      return `${is}; it must be a ${params.format}`;
    case 'propertyNames':
      return `has the key ${shown(params.propertyName)}, ${badName(schema.propertyNames, params.propertyName)}`;
    case 'false schema':
      return `${is}; it must be absent`;
    default:
      return `${is}; it ${error.message}`;
  }
}

function badName({ maxLength }: Schema, name: string): string {
  if (name.length > maxLength) return tooLong(name, maxLength);
  return 'which is not allowed; rename it';
}

/** Counted as validators.ts counts. */
function tooLong({ length }: string, max: number): string {
  return `${length} characters; shorten it to ${max}`;
}

function article(type: string): string {
  if (type === 'null') return type;
  return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`;
}

function ruleOf(error: ErrorObject): string | undefined {
  return (error.parentSchema as Schema)?.['x-foundrite-rule'];
}

/** `/faults/0/fault` becomes `faults[0].fault`, below the path at which the value stands. */
function fieldPath(at: string, pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce(joined, at);
}

function joined(path: string, key: string): string {
  if (/^\d+$/.test(key) && path !== '') return `${path}[${key}]`;
  // A field may have an empty name, and still must be named.
  const shownKey = key === '' ? '""' : key;
  return path === '' ? shownKey : `${path}.${shownKey}`;
}

function named(path: string): string {
  return path === '' ? 'The body' : path;
}

/** A value as a message shows it: JSON, cut to a line. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
