/** What is wrong with a scenario: its form against scenario.schema.json, its meaning against the ledger and itself. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ErrorObject, ValidateFunction } from 'ajv';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import { readConfigured } from '../contracts/configuration.ts';
import { parseDuration } from '../contracts/duration.ts';
import { pathIn } from '../contracts/field-path.ts';
import { rule, rules } from '../contracts/ledger.ts';
import { nearest } from '../contracts/near.ts';
import { capturesIn, type Key, problemsIn } from './match.ts';
import { isName, readOffset, slotsIn } from './slot.ts';
import { isMethod, namedBy, STATUS, type Step, WORDS, wordOf } from './step.ts';

/** Where clocks start when a scenario does not say: a Monday. */
export const START = '2026-06-01T00:00:00Z';
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;
/** Modifiers that only some words take. */
const TAKEN_BY: Record<string, (word: string) => boolean> = {
  body: isMethod,
  raw: isMethod,
  multipart: isMethod,
  until: (word) => word === 'GET',
  within: (word) => word === 'GET',
  every: (word) => word === 'GET',
  stream: (word) => isMethod(word) || word === 'advance' || word === 'journal' || word === 'await',
  equals: (word) => word === 'journal',
  fired: (word) => word === 'advance' || word === 'await',
  stopped: (word) => word === 'advance' || word === 'await',
  unanswered: (word) => isMethod(word) || word === 'await',
  as: (word) => word !== 'await' && word !== 'parallel',
};

const require = createRequire(import.meta.url);
let compiled: ValidateFunction | undefined;

/** Something wrong, at a path of the file. */
export interface Found {
  path: Key[];
  message: string;
}

/** What the schema has against it, in one sentence for each place. */
export function formProblems(written: unknown): Found[] {
  const validate = validator();
  if (validate(written)) return [];
  const found = new Map<string, Found>();
  for (const error of validate.errors ?? []) {
    const said = complaint(error);
    if (said && !found.has(said.path.join('/'))) found.set(said.path.join('/'), said);
  }
  return [...found.values()];
}

function validator(): ValidateFunction {
  if (!compiled) {
    const { Ajv2020: Compiler } = require('ajv/dist/2020.js') as {
      Ajv2020: new (options: object) => Ajv2020;
    };
    const fromSource = import.meta.url.endsWith('.ts');
    const url = new URL(
      fromSource ? 'scenario.schema.json' : '../../scenarios/scenario.schema.json',
      import.meta.url,
    );
    const schema = JSON.parse(readFileSync(url, 'utf8')) as object;
    compiled = new Compiler({ allErrors: true, strict: false, verbose: true }).compile(schema);
  }
  return compiled;
}

function complaint(error: ErrorObject): Found | undefined {
  const path = pathOf(error.instancePath);
  const what = path.length === 0 ? 'the scenario' : `"${path.join('.')}"`;
  switch (error.keyword) {
    case 'required': {
      // Which word a step has is told once, below.
      if (error.schemaPath.includes('/oneOf/')) return undefined;
      return { path, message: `${what} lacks "${error.params.missingProperty}"` };
    }
    case 'additionalProperties': {
      const key = String(error.params.additionalProperty);
      const known = Object.keys((error.parentSchema as { properties?: object }).properties ?? {});
      const near = known.filter((one) =>
        one.toLowerCase().startsWith(key.slice(0, 3).toLowerCase()),
      );
      const hint =
        near.length > 0 ? `did you mean ${near.join(', ')}?` : `there are: ${known.join(', ')}`;
      return { path: [...path, key], message: `"${key}" is not known here; ${hint}` };
    }
    case 'oneOf': {
      const { data } = error;
      if (path.at(-2) !== 'steps' && !isStepIn(data)) return undefined;
      const words = Object.keys((data ?? {}) as object).filter((key) => WORDS.includes(key));
      if (words.length === 1) return undefined;
      const message =
        words.length === 0
          ? `a step says what is done by one word, and expects under a status such as 200; there are: ${WORDS.join(', ')}`
          : `a step does one thing; this one does ${words.join(' and ')}`;
      return { path, message };
    }
    case 'type':
      return {
        path,
        message: `${what} must be ${[error.params.type].flat().join(' or ')}, and is ${JSON.stringify(error.data)?.slice(0, 60)}`,
      };
    case 'enum':
      return { path, message: `${what} must be one of ${error.params.allowedValues.join(', ')}` };
    case 'pattern':
      return {
        path,
        message: `${what} is ${JSON.stringify(error.data)}; it must match ${error.params.pattern}`,
      };
    default:
      return { path, message: `${what} ${error.message}` };
  }
}

function isStepIn(data: unknown): boolean {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}

function pathOf(pointer: string): Key[] {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((key) => (/^\d+$/.test(key) ? Number(key) : key));
}

/** What a form cannot say: rules, captures, markers, and which words go together. */
export function meaningProblems(fields: {
  proves: readonly string[];
  now?: string;
  agents?: unknown;
  assistants?: unknown;
  steps: readonly Step[];
}): Found[] {
  const found: Found[] = [];
  for (const [index, id] of fields.proves.entries()) {
    if (!rule(id)) found.push({ path: ['proves', index], message: noRule(id) });
  }
  if (
    fields.now !== undefined &&
    (!INSTANT.test(fields.now) || Number.isNaN(Date.parse(fields.now)))
  )
    found.push({ path: ['now'], message: `"${fields.now}" is no instant; write it like ${START}` });
  for (const { param, message } of readConfigured(fields).problems)
    found.push({ path: pathIn(fields, param), message });
  const sent = new Map<string, Key[]>();
  const known = new Set(['now', 'project']);
  for (const key of Object.keys(fields.assistants ?? {})) {
    if (known.has(key) || !isName(key))
      found.push({
        path: ['assistants', key],
        message: `{{${key}}} would be the id of this assistant, and is no slot; name it by letters, digits and _, and not now or project`,
      });
    else known.add(key);
  }
  readSteps(fields.steps, ['steps'], { found, sent, known });
  for (const [name, path] of sent)
    found.push({ path, message: `"${name}" is sent and never awaited` });
  return found;
}

function noRule(id: string): string {
  const meant = nearest(
    id,
    rules().map((one) => one.id),
  );
  const hint = meant.length === 0 ? '' : `; did you mean ${meant.join(', ')}?`;
  return `there is no rule "${id}"${hint || ';'} foundrite ledger lists them`;
}

interface Reading {
  found: Found[];
  sent: Map<string, Key[]>;
  known: Set<string>;
}

function readSteps(steps: readonly Step[], at: Key[], reading: Reading): void {
  for (const [index, step] of steps.entries()) readStep(step, [...at, index], reading);
}

function readStep(step: Step, path: Key[], reading: Reading): void {
  const { found, sent } = reading;
  const word = wordOf(step);
  const statuses = Object.keys(step).filter((key) => STATUS.test(key));
  for (const key of Object.keys(step)) {
    const takes = TAKEN_BY[key];
    if (takes && !takes(word))
      found.push({ path: [...path, key], message: `"${word}" does not take "${key}"` });
  }
  for (const key of ['within', 'every']) {
    const ms = parseDuration(String(step[key] ?? '1s'));
    if (ms === undefined || ms === 0)
      found.push({
        path: [...path, key],
        message: `"${String(step[key])}" is no duration above zero; write 90s, 2m or 1h30m`,
      });
  }
  const unnamed = unnamedBy(word, step[word]);
  if (unnamed !== undefined) found.push({ path: [...path, word], message: unnamed });
  if (word === 'parallel') {
    for (const [index, branch] of (step.parallel as (Step | Step[])[]).entries()) {
      const inner = [...path, 'parallel', index];
      if (Array.isArray(branch)) readSteps(branch, inner, reading);
      else readStep(branch, inner, reading);
    }
    return;
  }
  if (typeof step.as === 'string') {
    const expects = [
      ...statuses,
      'equals',
      'fired',
      'stopped',
      'stream',
      'answer_headers',
      'until',
    ].find((key) => key in step);
    if (expects !== undefined)
      found.push({
        path: [...path, expects],
        message: `what is sent with "as" is expected where it is awaited`,
      });
    if (sent.has(step.as))
      found.push({ path: [...path, 'as'], message: `"${step.as}" is on its way already` });
    sent.set(step.as, [...path, 'as']);
  }
  if (word === 'await' && !sent.delete(String(step.await)))
    found.push({ path: [...path, 'await'], message: `nothing was sent as "${step.await}"` });
  const silent =
    isMethod(word) &&
    step.as === undefined &&
    statuses.length === 0 &&
    !('until' in step) &&
    !('unanswered' in step) &&
    !('stream' in step);
  if (silent)
    found.push({
      path,
      message: `the status that ${word} is expected to answer is missing, such as 200: {}`,
    });
  const patterns = ['until', ...statuses, 'stream', 'answer_headers', 'equals', 'fired', 'stopped'];
  const asked = Object.keys(step).filter((key) => !patterns.includes(key));
  for (const key of asked) checkSlots(step[key], [...path, key], reading);
  for (const key of patterns) {
    if (!(key in step)) continue;
    const value = step[key];
    checkSlots(value, [...path, key], reading);
    for (const problem of problemsIn(value))
      found.push({ path: [...path, key, ...problem.path], message: problem.message });
    for (const name of capturesIn(value)) reading.known.add(name);
  }
}

/** What is wrong with a control word's value that does not name what the call is about. */
function unnamedBy(word: string, value: unknown): string | undefined {
  const { field } = namedBy(word) ?? {};
  if (field === undefined || typeof value !== 'object') return undefined;
  const { [field]: name, ...others } = (value ?? {}) as Record<string, unknown>;
  if (['string', 'number'].includes(typeof name)) return undefined;
  const written = Object.keys(others).join(', ');
  return `"${word}" needs "${field}"${written === '' ? '' : `, and has ${written}`}`;
}

/** Every `{{name}}` was captured before; within one expectation, in the order in which it is written. */
function checkSlots(value: unknown, path: Key[], { found, known }: Reading): void {
  const here = new Set(known);
  const visit = (inner: unknown, at: Key[]) => {
    if (typeof inner === 'string') {
      for (const slot of slotsIn(inner)) {
        if (
          isName(slot)
            ? !here.has(slot)
            : readOffset(slot) === undefined && !/^.+\*\d{1,7}$/s.test(slot)
        )
          found.push({
            path: at,
            message: isName(slot)
              ? `{{${slot}}} was not captured before`
              : `{{${slot}}} is no slot: write a captured name, {{+1h}} or {{x*257}}`,
          });
      }
      for (const name of capturesIn(inner)) here.add(name);
    } else if (typeof inner === 'object' && inner !== null) {
      if (!Array.isArray(inner)) for (const key of Object.keys(inner)) visit(key, [...at, key]);
      for (const [key, item] of Object.entries(inner))
        visit(item, [...at, Array.isArray(inner) ? Number(key) : key]);
    }
  };
  visit(value, path);
}
