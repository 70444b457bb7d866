/** For CI servers: JUnit's XML, one suite for each folder, whole at the end. */
import { basename } from 'node:path';
import type { Played } from './play.ts';
import type { ReportContext, Reporter, Summary } from './report.ts';
import { flat, visible } from './report-columns.ts';
import { attemptsTold, complaintOf, storyOf } from './report-story.ts';
import { areaOf, compare, filesOf, inOrder } from './report-summary.ts';
import type { FileProblem } from './scenario.ts';

const COLUMNS = 100;
/** What XML 1.0 does not allow, and controls that it would rather not have; lone surrogates are among them. */
const NO_XML = /[^\t\n\r\u{20}-\u{7e}\u{a0}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;
const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
};

interface Case {
  area: string;
  name: string;
  /** Of the file, in place of a class. */
  file: string;
  verdict: 'passed' | 'failure' | 'error' | 'skipped';
  /** Of the element that tells what is wrong. */
  type?: string;
  message?: string;
  text?: string;
  out?: string;
  realMs: number;
}

export function junitReporter(context: ReportContext): Reporter {
  return {
    bad() {},
    played() {},
    end(summary) {
      context.write(documentOf(summary, context));
    },
  };
}

function documentOf(summary: Summary, context: ReportContext): string {
  const cases = [
    ...filesOf(summary.bad).map((file) => badCase(file, summary.bad)),
    ...inOrder(summary.played).map((played) => caseOf(played, context)),
  ];
  const areas = [...new Set(cases.map(({ area }) => area))].sort(compare);
  const suites = areas.map((area) => suiteOf(area, cases, context));
  const { tests, failures, errors } = counts(cases);
  const all = { name: 'foundrite', tests, failures, errors, time: seconds(summary.realMs) };
  const element = tag('testsuites', all, suites);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element}\n`;
}

function suiteOf(area: string, all: readonly Case[], { target, broken }: ReportContext): string {
  const cases = all.filter((one) => one.area === area);
  const realMs = cases.reduce((sum, one) => sum + one.realMs, 0);
  const properties = [
    tag('property', { name: 'target', value: target }),
    ...(broken ? [tag('property', { name: 'broken-on-purpose', value: broken.id })] : []),
  ];
  return tag('testsuite', { name: area, ...counts(cases), time: seconds(realMs) }, [
    tag('properties', {}, properties),
    ...cases.map(elementOf),
  ]);
}

function counts(
  cases: readonly Case[],
): Record<'tests' | 'failures' | 'errors' | 'skipped', number> {
  const count = (verdict: Case['verdict']) => cases.filter((one) => one.verdict === verdict).length;
  return {
    tests: cases.length,
    failures: count('failure'),
    errors: count('error'),
    skipped: count('skipped'),
  };
}

/** Neither file and line nor properties: the schemas of a test case have none; the text tells them. */
function elementOf({ area, name, file, verdict, type, message, text, out, realMs }: Case): string {
  // A dot would be read as the end of a package's name.
  const classname = `${area}/${basename(file).replace(/\.ya?ml$/, '')}`.replaceAll('.', '-');
  const inside: string[] = [];
  if (verdict === 'skipped') inside.push(tag('skipped', {}, escaped(text ?? '')));
  else if (verdict !== 'passed')
    inside.push(tag(verdict, { type: type ?? '', message: message ?? '' }, escaped(text ?? '')));
  if (out !== undefined) inside.push(tag('system-out', {}, escaped(out)));
  return tag('testcase', { name, classname, time: seconds(realMs) }, inside);
}

function caseOf(played: Played, context: ReportContext): Case {
  const { scenario, outcome, reason, realMs } = played;
  const common = {
    area: areaOf(scenario.file),
    name: flat(scenario.title),
    file: scenario.file,
    realMs,
    out: outOf(played),
  };
  if (outcome === 'passed') return { ...common, verdict: 'passed' };
  if (outcome === 'skipped') return { ...common, verdict: 'skipped', text: reason ?? 'skipped' };
  const text = storyOf(played, { ...context, columns: COLUMNS, color: false });
  const told = { message: complaintOf(played), text };
  return outcome === 'failed'
    ? { ...common, ...told, verdict: 'failure', type: 'broken promise' }
    : { ...common, ...told, verdict: 'error', type: 'bug of the emulator' };
}

function badCase(file: string, problems: readonly FileProblem[]): Case {
  const lines = problems
    .filter((one) => one.file === file)
    .map(({ line, column, message }) => `${file}:${line}:${column} ${visible(message)}`);
  return {
    area: areaOf(file),
    name: `${basename(file)} is a scenario`,
    file,
    verdict: 'error',
    type: 'bad file',
    message: flat(lines[0] ?? ''),
    text: lines.join('\n'),
    realMs: 0,
  };
}

/** What it proves, and every attempt. */
function outOf({ scenario, seed, attempts }: Played): string {
  const told = attemptsTold(attempts, COLUMNS, Number.POSITIVE_INFINITY);
  return [
    `file: ${scenario.file}`,
    `proves: ${scenario.proves.join(', ')}`,
    `seed: ${flat(seed)}`,
    ...(told.length > 0 ? told : ['The agent was not called.']),
  ].join('\n');
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3);
}

/** An element; children are elements, or text that is escaped already. */
function tag(
  name: string,
  attributes: Record<string, string | number>,
  children: readonly string[] | string = [],
): string {
  const written = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escaped(String(value)).replace(/[\t\n"]/g, entity)}"`)
    .join('');
  if (children.length === 0) return `<${name}${written}/>`;
  const inside = typeof children === 'string' ? children : `\n${children.join('\n')}\n`;
  return `<${name}${written}>${inside}</${name}>`;
}

/** As text; line breaks and tabs stay, but for what a reader would make of a carriage return. */
function escaped(text: string): string {
  return text.replace(NO_XML, '').replace(/[&<>\r]/g, entity);
}

function entity(character: string): string {
  return ENTITIES[character] ?? character;
}
