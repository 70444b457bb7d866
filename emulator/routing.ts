/** Which version serves a new session: the rules of an endpoint's version selector. Pure: the draw is handed in. */
import { shown } from './errors.ts';

/** One rule of a version selector, as it stands on the wire. */
export interface Rule {
  /** A release's number, or `@latest`. */
  agent_version: string;
  /** A share of new sessions, of 100 in all. */
  traffic_percentage: number;
  type: string;
}

/** The newest release, whichever that is when a session begins. */
export const LATEST = '@latest';

/** What an endpoint does that was given no selector (contract/agents.md 10.1). */
export const DEFAULT_RULES: readonly Rule[] = [
  { type: 'FixedRatio', agent_version: LATEST, traffic_percentage: 100 },
];

/** What is wrong with rules: the ledger's rule, where, as a path below the list, and what to do. */
export interface RuleProblem {
  rule: string;
  at: string;
  message: string;
}

/** The versions that an agent has, by their ids. */
export interface KnownVersions {
  releases: ReadonlySet<string>;
  drafts: ReadonlySet<string>;
}

/** The first thing that is wrong with a version selector's rules. */
export function checkRules(rules: readonly Rule[], known: KnownVersions): RuleProblem | undefined {
  if (rules.length === 0)
    return {
      rule: 'routing/not-empty',
      at: '',
      message: `version_selection_rules has at least one rule. Send one for '${LATEST}' with 100.`,
    };
  const seen = new Set<string>();
  for (const [index, rule] of rules.entries()) {
    const problem = checkPercentage(rule, index) ?? checkVersion(rule, index, known, seen);
    if (problem) return problem;
    seen.add(rule.agent_version);
  }
  const sum = totalOf(rules);
  if (sum === 100) return undefined;
  return {
    rule: 'routing/sum-is-100',
    at: '',
    message: `The shares of all version_selection_rules make 100 together, and these make ${sum}. Change one of them.`,
  };
}

function checkPercentage(
  { traffic_percentage: share }: Rule,
  index: number,
): RuleProblem | undefined {
  if (Number.isInteger(share) && share >= 0 && share <= 100) return undefined;
  return {
    rule: 'routing/percentage-is-0-to-100',
    at: `[${index}].traffic_percentage`,
    message: `traffic_percentage is a whole number from 0 to 100, and not ${shown(share)}. Send one.`,
  };
}

function checkVersion(
  { agent_version: version }: Rule,
  index: number,
  { releases, drafts }: KnownVersions,
  seen: ReadonlySet<string>,
): RuleProblem | undefined {
  const at = `[${index}].agent_version`;
  if (drafts.has(version))
    return {
      rule: 'routing/no-drafts',
      at,
      message: `Traffic cannot be routed to the draft ${shown(version)}. Make a release of it first.`,
    };
  if (version !== LATEST && !releases.has(version))
    return {
      rule: 'routing/version-known',
      at,
      message: `There is no version ${shown(version)} to route traffic to. Use one of: ${[...releases, LATEST].join(', ')}.`,
    };
  if (!seen.has(version)) return undefined;
  return {
    rule: 'routing/version-once',
    at,
    message: `The agent_version ${shown(version)} has a rule already. Put its shares into one.`,
  };
}

/** The version of a new session, `@latest` among them, by a draw in [0, 1). The rules have been checked. */
export function pickVersion(rules: readonly Rule[], fraction: number): string {
  const drawn = fraction * totalOf(rules);
  let below = 0;
  for (const { agent_version, traffic_percentage } of rules) {
    below += traffic_percentage;
    if (drawn < below) return agent_version;
  }
  return LATEST;
}

function totalOf(rules: readonly Rule[]): number {
  return rules.reduce((sum, { traffic_percentage }) => sum + traffic_percentage, 0);
}
