/**
 * The ledger: what the service promises, one rule for each promise, and how we know it. The rules
 * are in `ledger/*.yaml`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readYaml } from './yaml.ts';

/** How we know a rule, and what that means. */
export const BASES = {
  documented: 'a public page or specification says it, though another may say otherwise',
  observed: 'seen in the live service, in a public thread, or in what an official client needs',
  assumed: 'nobody says, and its sources only come nearest',
  own: "the emulator's own doing, which no service promises",
} as const;

export type Basis = keyof typeof BASES;

export interface Rule {
  /** In words, `routine/cron-has-five-fields`. */
  readonly id: string;
  /** One sentence: what holds while the switch, if there is one, has its default. */
  readonly statement: string;
  /** Each is a key of SOURCES, then ` › section` and the page's own words in quotes, if any. */
  readonly source: readonly string[];
  readonly basis: Basis;
  /** The switch that chooses among `values`, of which the default is the first. */
  readonly switch?: string;
  readonly values?: readonly string[];
  /** The setting whose default is the rule; other rules may say more of the same default. */
  readonly setting?: string;
  readonly default?: string;
  /** Why an assumed rule has neither values nor a setting. */
  readonly no_values?: string;
  /** What breaks this promise and no other, so that a scenario that cites the rule must fail. */
  readonly broken_by?: Breaking;
  /** Of the emulator's own rules, those that no call to one emulator can show: the test that does, `file › title`. */
  readonly tested_by?: string;
}

/** Other values for the worlds, or answers that are rewritten before their reader sees them. */
export interface Breaking {
  readonly switches?: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly rewrite?: readonly Rewrite[];
}

/** Rewrites the answers that fit all that it names. */
export interface Rewrite {
  /** Answers to these operations of openapi.yaml. */
  readonly operation?: string | readonly string[];
  /** Refusals that enforce this rule. */
  readonly rule?: string;
  /** Answers to requests whose raw path fits this regular expression. */
  readonly path?: string;
  /** Answers whose body fits this expectation of a scenario. */
  readonly when?: unknown;
  readonly status?: number;
  /** null takes a header away. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** The whole body. */
  readonly body?: unknown;
  /** By JSON pointer, with `*` for every item or field and `-1` for the last item. */
  readonly set?: Readonly<Record<string, unknown>>;
  readonly remove?: readonly string[];
}

/** How a rule is broken, in a line. */
export function breakingTold(breaking: Breaking | undefined): string {
  const { switches = {}, settings = {}, rewrite = [] } = breaking ?? {};
  const parts = [...Object.entries(switches), ...Object.entries(settings)].map(
    ([name, value]) => `${name} is ${value}`,
  );
  for (const { operation, rule: enforced, path, when, status, ...change } of rewrite) {
    const of = operation === undefined ? [] : [`of ${[operation].flat().join(', ')}`];
    const that = [
      ...(enforced === undefined ? [] : [`that enforce ${enforced}`]),
      ...(path === undefined ? [] : [`to paths like ${path}`]),
      ...(when === undefined ? [] : [`that fit ${JSON.stringify(when)}`]),
    ];
    const made = [
      ...(status === undefined ? [] : [`status ${status}`]),
      ...Object.entries(change).map(([key, value]) => `${key} ${JSON.stringify(value)}`),
    ];
    parts.push(`answers ${[...of, ...that].join(' ')} are rewritten: ${made.join(', ')}`);
  }
  return parts.join('; ');
}

/** What the keys in a rule's `source` stand for. */
export const SOURCES: Readonly<Record<string, string>> = {
  'HOW-TO': 'Microsoft Learn, "Automate agents with routines (preview)", 2026-06-01',
  'CREATE-AGENT': 'Microsoft Foundry REST reference, "Create an agent" (POST /agents)',
  HOSTED: 'Microsoft Learn, how to manage hosted agents in Foundry Agent Service',
  POLYSYNC: 'Polysync documentation, "Foundry Agent Run Job"',
  'SPEC-D0': 'Azure/azure-rest-api-specs, pull request 42779 (draft of 2026-04-30)',
  'SPEC-A': 'Azure/azure-rest-api-specs, pull request 43186',
  'SPEC-B': 'Azure/azure-rest-api-specs, pull requests 43498 and 43949',
  'SPEC-V2': 'Azure/azure-rest-api-specs, OpenAPI v1, pull requests 45040 and 45391',
  'SPEC-AGENTS': 'Azure/azure-rest-api-specs, specification/ai-foundry/data-plane/Foundry, agents',
  JS: 'npm @azure/ai-projects 2.1.0 to 2.10.0, run unmodified',
  NET: 'Azure/azure-sdk-for-net, Azure.AI.Projects, sources and samples',
  'NET-TEST': 'Azure/azure-sdk-for-net, RoutinesTests.cs, recorded June and July 2026',
  PY: 'Azure/azure-sdk-for-python, azure-ai-projects, samples and tests',
  AZD: 'Azure/azure-dev, extensions azure.ai.routines and azure.ai.agents',
  'AZD-NEW': 'Azure/azure-dev, later tests and manifests of azure.ai.routines',
  'AZD-8241': 'Azure/azure-dev, notes on the live service of May 2026, issues 8419 and 8420',
  'AZD-8421': 'Azure/azure-dev, issue 8421, live service of 2026-05-28',
  'AZD-8986': 'Azure/azure-dev, issue 8984, live service of 2026-07-06',
  'PR-47580': 'Azure/azure-sdk-for-python, pull request 47580',
  TOOLS: 'Azure/azure-sdk-tools, the routines helper script',
  'DOC-TSG': 'azure-ai-docs, "TSG - Routines", 2026-05-20',
  'DOC-CONCEPT': 'Microsoft Learn, concepts: routines',
  'DOC-JUL': 'Microsoft Learn, use routines, July 2026',
  'DOC-GA': 'Microsoft Learn, use routines, general availability, August 2026',
  'LEARN-AGENTS': 'Microsoft Learn, hosted agents: concepts, deployment, troubleshooting',
  OPENAI: 'OpenAI API reference, Responses',
  'LIVE-401': 'Tauheed-Elahee/Consultologist-Blazor, calls to a live project endpoint',
  'SPEC-THREADS':
    'Azure/azure-rest-api-specs, specification/ai, Azure.AI.Agents, v1 and 2025-05-15-preview',
  'OPENAI-THREADS': 'OpenAI API reference and guide, Assistants v2',
  'JS-AGENTS': 'npm @azure/ai-agents 1.1.0, run unmodified',
  'JS-OPENAI': 'npm openai 7, beta.threads, run unmodified',
  'LEARN-THREADS':
    'Microsoft Learn, Foundry classic: threads, runs and messages; quotas and limits',
  'LIVE-THREADS': 'public threads and code that quote answers of live assistants APIs',
  '3P-LIVE': 'public third-party repositories with notes on live calls',
  '3P-DISPATCH': 'public third-party scripts that dispatch routines',
  '3P-SKILL': 'a public third-party agent skill for routines',
  design: 'the design of Foundrite itself',
};

let loaded: ReadonlyMap<string, Rule> | undefined;

/** Every rule, or those of one basis or one area, in the order of the files. */
export function rules(basis?: string, area?: string): readonly Rule[] {
  return [...table().values()].filter(
    (each) =>
      (basis === undefined || each.basis === basis) &&
      (area === undefined || areaOf(each) === area),
  );
}

export function rule(id: string): Rule | undefined {
  return table().get(id);
}

/** What stands before the slash of a rule's id. */
export function areaOf({ id }: Rule): string {
  return id.slice(0, id.indexOf('/'));
}

/** Every area, in the order of the files. */
export function areas(): readonly string[] {
  return [...new Set(rules().map(areaOf))];
}

function table(): ReadonlyMap<string, Rule> {
  loaded ??= new Map(readRules().map((each) => [each.id, each]));
  return loaded;
}

/** The files themselves when run from source, else the build's ledger.json. */
export function readRules(): Rule[] {
  if (!import.meta.url.endsWith('.ts')) {
    return JSON.parse(readFileSync(new URL('../ledger.json', import.meta.url), 'utf8')) as Rule[];
  }
  const folder = new URL('ledger/', import.meta.url);
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml') && file !== 'coverage.yaml')
    .sort()
    .flatMap((file) => readYaml(new URL(file, folder)) as Rule[]);
}
