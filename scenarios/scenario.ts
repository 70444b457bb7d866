/** Scenario files: read, checked against scenario.schema.json and the ledger, with the place of everything that is wrong. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import type { ErrorObject, ValidateFunction } from 'ajv';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { CONTROL_CALLS } from '../contracts/control.ts';
import { rule } from '../contracts/ledger.ts';
import { capturesIn, isName, type Key, problemsIn, readOffset, slotsIn } from './match.ts';

/** A step as it is written: one word that says what is done, and what goes with it. */
export type Step = Record<string, unknown>;

export interface ScenarioAgent {
  kind?: 'hosted' | 'prompt' | 'workflow' | 'external';
  definition?: Record<string, unknown>;
  reply?: Record<string, unknown>;
}

export interface Scenario {
  /** As it was named on the command line. */
  file: string;
  /** Of the file's name: decides project and seed. */
  name: string;
  /** The sentence. */
  title: string;
  proves: readonly string[];
  now: number;
  seed: string;
  skip: boolean;
  empty: boolean;
  profile: string | undefined;
  switches: Record<string, string>;
  settings: Record<string, string | number>;
  agents: Record<string, ScenarioAgent>;
  faults: readonly unknown[] | undefined;
  steps: readonly Step[];
  /** Line and column, from 1, of the value at a path, or of the nearest one around it. */
  placeOf(path: readonly Key[]): Place;
}

export interface Place {
  line: number;
  column: number;
}

export interface FileProblem extends Place {
  file: string;
  message: string;
}

/** A file that is no scenario, with all that is wrong with it. */
export class BadScenario extends Error {
  override name = 'BadScenario';
  readonly problems: readonly FileProblem[];

  constructor(problems: readonly FileProblem[]) {
    super(problems.map((one) => `${one.file}:${one.line}:${one.column} ${one.message}`).join('\n'));
    this.problems = problems;
  }
}

/** Where clocks start when a scenario does not say: a Monday. */
const START = '2026-06-01T00:00:00Z';
const FILE_NAME = /^[a-z0-9-]{1,80}\.yaml$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/;
export const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'];
/** `2xx` is any of them: for steps whose exact status is another scenario's claim. */
export const STATUS = /^[1-5](?:\d\d|xx)$/;
const WORDS = [...METHODS, 'await', 'parallel', ...CONTROL_CALLS.map(({ word }) => word)];
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
  as: (word) => word !== 'await' && word !== 'parallel',
};

const require = createRequire(import.meta.url);
let compiled: ValidateFunction | undefined;

export function isMethod(word: string): boolean {
  return METHODS.includes(word);
}

/** The word of a step that has been checked. */
export function wordOf(step: Step): string {
  return Object.keys(step).find((key) => WORDS.includes(key)) ?? '';
}

/** Reads a file; throws BadScenario with every problem found. */
export function readScenario(file: string): Scenario {
  return parseScenario(readFileSync(file, 'utf8'), file);
}

export function parseScenario(text: string, file: string): Scenario {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    uniqueKeys: true,
    lineCounter: lines,
    prettyErrors: false,
  });
  const placeOf = (path: readonly Key[]) => placeIn(document, lines, path);
  const problem = (path: readonly Key[], message: string): FileProblem => ({
    file,
    ...placeOf(path),
    message,
  });
  if (document.errors.length > 0) {
    throw new BadScenario(
      document.errors.map((error) => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { file, line: Math.max(line, 1), column: Math.max(col, 1), message: error.message };
      }),
    );
  }
  const written = document.toJS() as unknown;
  const problems = formProblems(written).map(({ path, message }) => problem(path, message));
  if (!FILE_NAME.test(basename(file)))
    problems.unshift(
      problem([], `the name of the file is "${basename(file)}"; use ${FILE_NAME.source}`),
    );
  if (problems.length > 0) throw new BadScenario(problems);
  const fields = written as Omit<Scenario, 'title' | 'now'> & { scenario: string; now?: string };
  const found = meaningProblems(fields).map(({ path, message }) => problem(path, message));
  if (found.length > 0) throw new BadScenario(found);
  const name = basename(file, '.yaml');
  return {
    file,
    name,
    title: fields.scenario,
    proves: fields.proves,
    now: Date.parse(fields.now ?? START),
    seed: fields.seed ?? name,
    skip: fields.skip ?? false,
    empty: fields.empty ?? true,
    profile: fields.profile,
    switches: fields.switches ?? {},
    settings: fields.settings ?? {},
    agents: fields.agents ?? {},
    faults: fields.faults,
    steps: fields.steps,
    placeOf,
  };
}

interface Found {
  path: Key[];
  message: string;
}

/** What the schema has against it, in one sentence for each place. */
function formProblems(written: unknown): Found[] {
  const validate = validator();
  if (validate(written)) return [];
  const found = new Map<string, Found>();
  for (const error of validate.errors ?? []) {
    const said = complaint(error, written);
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

function complaint(error: ErrorObject, written: unknown): Found | undefined {
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
          ? `a step says what is done by one word; there are: ${WORDS.join(', ')}`
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
      void written;
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
function meaningProblems(
  fields: { proves: readonly string[]; now?: string; steps: readonly Step[] } & object,
): Found[] {
  const found: Found[] = [];
  for (const [index, id] of fields.proves.entries()) {
    if (!rule(id))
      found.push({
        path: ['proves', index],
        message: `there is no rule "${id}"; foundrite ledger lists them`,
      });
  }
  if (fields.now !== undefined && !INSTANT.test(fields.now))
    found.push({ path: ['now'], message: `"${fields.now}" is no instant; write it like ${START}` });
  const sent = new Map<string, Key[]>();
  const known = new Set(['now', 'project']);
  readSteps(fields.steps, ['steps'], { found, sent, known });
  for (const [name, path] of sent)
    found.push({ path, message: `"${name}" is sent and never awaited` });
  return found;
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
      for (const [key, item] of Object.entries(inner))
        visit(item, [...at, Array.isArray(inner) ? Number(key) : key]);
    }
  };
  visit(value, path);
}

function placeIn(document: Document, lines: LineCounter, path: readonly Key[]): Place {
  for (let length = path.length; length >= 0; length -= 1) {
    const offset = offsetOf(document, path.slice(0, length));
    if (offset !== undefined) {
      const { line, col } = lines.linePos(offset);
      return { line, column: col };
    }
  }
  return { line: 1, column: 1 };
}

/** The key of a pair is a better place than its value, which may be absent. */
function offsetOf(document: Document, path: readonly Key[]): number | undefined {
  let node = document.contents as unknown;
  let offset = (node as Ranged | null)?.range?.[0];
  for (const key of path) {
    const { items } = (node ?? {}) as { items?: unknown[] };
    if (!items) return undefined;
    // A key such as 200 is a number in the document and text in a path.
    const pair = (items as Pair[]).find(
      (item) => item?.key && String(item.key.value) === String(key),
    );
    const inner = pair ? pair.value : typeof key === 'number' ? items[key] : undefined;
    if (!pair && inner === undefined) return undefined;
    node = inner;
    offset = (pair?.key ?? (inner as Ranged)).range?.[0];
  }
  return offset;
}

interface Ranged {
  range?: [number, number, number];
}

interface Pair {
  key: Ranged & { value?: unknown };
  value: unknown;
}
