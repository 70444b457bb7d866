/** Routines as azd's manifests write them, read into the words of the API, with the place of whatever is wrong. */

import { type Key, pathIn } from '../contracts/field-path.ts';
import { unknownFields } from '../contracts/fields.ts';
import { near } from '../contracts/near.ts';
import { document, parse, type SchemaName } from '../contracts/openapi.ts';
import { readYaml, type Written } from './yaml-text.ts';

export interface Manifest {
  name: string;
  /** Of PUT /routines/{name}. */
  body: Record<string, unknown>;
  /** `routine.yaml:4:7` of a field of the body. */
  placeOf(param: string): string;
}

export interface Manifests {
  manifests: Manifest[];
  /** Sentences that begin with their place. */
  problems: string[];
}

const TRIGGERS: SchemaName[] = [
  'ScheduleTriggerInput',
  'TimerTriggerInput',
  'GithubIssueTriggerInput',
  'CustomTriggerInput',
];
const ACTIONS: SchemaName[] = ['ResponsesActionInput', 'InvocationsActionInput'];
/** What a routine that was read says of itself; nothing can be told by it. */
const READ_ONLY = ['created_at', 'updated_at'];
/** Words of azd for those of the API (contract/routines.md 10.1). */
const TYPES: Record<string, string> = {
  recurring: 'schedule',
  'github-issue': 'github_issue',
  'agent-response': 'invoke_agent_responses_api',
  'agent-invoke': 'invoke_agent_invocations_api',
};

/** Every document of a text; `named` is for one that is alone. */
export async function readManifests(
  text: string,
  file: string,
  named?: string,
): Promise<Manifests> {
  const { documents, problems } = await readYaml(text, file);
  const there = documents.filter(({ value }) => value !== null);
  if (there.length === 0 && problems.length === 0)
    problems.push(`${file}:1:1: there is no routine; write name, triggers and action.`);
  const manifests = there.flatMap((written) => readManifest(written, named, problems) ?? []);
  return { manifests, problems };
}

function readManifest(
  written: Written,
  named: string | undefined,
  problems: string[],
): Manifest | undefined {
  const before = problems.length;
  const tell = (path: Key[], said: string) => problems.push(`${written.placeOf(path)}: ${said}`);
  if (!isMapping(written.value)) {
    tell([], 'a manifest is a mapping with name, triggers and action.');
    return undefined;
  }
  const { name, ...body } = inWordsOfTheApi(written.value, tell);
  for (const key of READ_ONLY) delete body[key];
  const known = named ?? name;
  if (typeof known !== 'string' || known === '')
    tell(
      name === undefined ? [] : ['name'],
      'name must be a text; write name: daily-summary, or give --name.',
    );
  const placeOf = (param: string) => written.placeOf(asWritten(written.value, pathIn(body, param)));
  for (const { path, known: fields } of unknownFields('RoutineCreateOrUpdate', body)) {
    const place = written.placeOf(asWritten(written.value, path));
    const slip = near(String(path.at(-1)), fields);
    problems.push(
      `${place}: ${path.join('.')} is not a field here; use one of ${fields.join(', ')}, or remove it.${slip}`,
    );
  }
  const parsed = parse('RoutineCreateOrUpdate', body);
  if (parsed.kind === 'invalid') problems.push(`${placeOf(parsed.param)}: ${parsed.message}`);
  return problems.length > before ? undefined : { name: String(known), body, placeOf };
}

type Tell = (path: Key[], said: string) => void;

function inWordsOfTheApi(manifest: Record<string, unknown>, tell: Tell): Record<string, unknown> {
  const whole = ['name', ...READ_ONLY, ...fieldsOf(['RoutineCreateOrUpdate'])];
  const body = renamed(manifest, whole, [], tell);
  if (isMapping(body.action))
    body.action = withType(renamed(body.action, fieldsOf(ACTIONS), ['action'], tell));
  if (isMapping(body.triggers)) {
    const triggers = Object.entries(body.triggers).map(([key, trigger]) => [
      key,
      isMapping(trigger) ? triggerOf(trigger, ['triggers', key], tell) : trigger,
    ]);
    body.triggers = Object.fromEntries(triggers);
  }
  return body;
}

/** A cron without a zone is meant in UTC. */
function triggerOf(
  written: Record<string, unknown>,
  path: Key[],
  tell: Tell,
): Record<string, unknown> {
  const trigger = withType(renamed(written, fieldsOf(TRIGGERS), path, tell));
  return trigger.type === 'schedule'
    ? { ...trigger, time_zone: trigger.time_zone ?? 'UTC' }
    : trigger;
}

function withType(value: Record<string, unknown>): Record<string, unknown> {
  const { type } = value;
  return typeof type === 'string' ? { ...value, type: TYPES[type] ?? type } : value;
}

/** Fields in the older spellings and in the newer one, `timeZone`; the rest keeps its name. */
function renamed(
  value: Record<string, unknown>,
  fields: readonly string[],
  path: Key[],
  tell: Tell,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(value)) {
    const name = fields.includes(key) || !fields.includes(fieldName(key)) ? key : fieldName(key);
    if (Object.hasOwn(result, name))
      tell([...path, key], `${name} is there in two spellings; leave out the one or the other.`);
    result[name] = one;
  }
  return result;
}

function fieldName(key: string): string {
  if (key === 'cron') return 'cron_expression';
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function fieldsOf(schemas: readonly SchemaName[]): string[] {
  const { schemas: all } = document().components;
  return schemas.flatMap((name) => Object.keys(all[name].properties));
}

/** The path in the manifest of a path in the body. */
function asWritten(manifest: unknown, path: readonly Key[]): Key[] {
  const [key, ...below] = path;
  if (key === undefined) return [];
  const keys = isMapping(manifest) ? Object.keys(manifest) : [];
  const own = keys.includes(String(key)) ? key : keys.find((each) => fieldName(each) === key);
  const inner = (manifest as Record<Key, unknown> | null)?.[own ?? key];
  return [own ?? key, ...asWritten(inner, below)];
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
