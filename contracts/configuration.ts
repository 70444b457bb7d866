/** What a configuration is made of, before the API is asked whether it would take it. */
import type { Configured, ConfiguredAgent } from './configured.ts';
import { shown } from './problems.ts';

/** One thing that is wrong with a configuration. */
export interface ConfigurationProblem {
  /** Its place, such as `agents.digest.versions[0].definition.cpu`. */
  param: string;
  /** A sentence that begins with the place, and says what to do. */
  message: string;
  /** What may stand there, where a name is not known. */
  known?: readonly string[];
}

/** What an agent of a configuration may have. */
export const AGENT_KEYS = ['kind', 'definition', 'versions', 'reply', 'endpoint', 'card', 'state'];
/** A version is described in one of these ways. */
const DESCRIPTIONS = ['kind', 'definition', 'versions'];

interface Read {
  configured: Configured;
  problems: ConfigurationProblem[];
}

/** What cannot be read is told, and left out of what is. */
export function readConfigured(agents: unknown, routines: unknown): Read {
  const problems: ConfigurationProblem[] = [];
  const tell = (param: string, said: string, known?: readonly string[]) => {
    problems.push({ param, message: `${param} ${said}`, ...(known ? { known } : {}) });
  };
  const said = {
    agents: namedIn(agents, 'agents', 'what it is', tell),
    routines: namedIn(routines, 'routines', 'the body of its PUT', tell),
  };
  const configured: Configured = { agents: {}, routines: {} };
  for (const [name, agent] of Object.entries(said.agents)) {
    // An agent of whom nothing is said, as in `digest:`, is all by default.
    const read = readAgent(`agents.${name}`, agent ?? {}, tell);
    if (read) configured.agents[name] = read;
  }
  for (const [name, routine] of Object.entries(said.routines)) {
    if (isMapping(routine)) configured.routines[name] = routine;
    else
      tell(`routines.${name}`, `is ${shown(routine)}; write a mapping with triggers and action.`);
  }
  return { configured, problems };
}

type Tell = (param: string, said: string, known?: readonly string[]) => void;

function namedIn(value: unknown, key: string, what: string, tell: Tell): Record<string, unknown> {
  if (isMapping(value)) return value;
  if (value !== undefined && value !== null)
    tell(key, `is ${shown(value)}; write a mapping from each name to ${what}.`);
  return {};
}

function readAgent(at: string, agent: unknown, tell: Tell): ConfiguredAgent | undefined {
  if (!isMapping(agent)) {
    tell(at, `is ${shown(agent)}; write a mapping, such as { kind: hosted }.`);
    return undefined;
  }
  for (const key of Object.keys(agent))
    if (!AGENT_KEYS.includes(key))
      tell(`${at}.${key}`, `is no key of an agent; it has ${AGENT_KEYS.join(', ')}.`, AGENT_KEYS);
  const { kind, definition, versions, reply, endpoint, card, state } = agent;
  const ways = DESCRIPTIONS.filter((key) => agent[key] !== undefined);
  if (ways.length > 1)
    tell(`${at}.${ways[1]}`, `says what ${ways[0]} says; leave out the one or the other.`);
  const read: ConfiguredAgent = { reply, endpoint, card };
  if (typeof kind === 'string') read.kind = kind;
  else if (kind !== undefined) tell(`${at}.kind`, `is ${shown(kind)}; write a text, like hosted.`);
  if (isMapping(definition)) read.definition = definition;
  else if (definition !== undefined)
    tell(`${at}.definition`, `is ${shown(definition)}; write a mapping with a kind.`);
  if (state === 'enabled' || state === 'disabled') read.state = state;
  else if (state !== undefined)
    tell(`${at}.state`, `is ${shown(state)}; write enabled or disabled.`);
  const list = readVersions(`${at}.versions`, versions, tell);
  return list ? { ...read, versions: list } : read;
}

function readVersions(
  at: string,
  versions: unknown,
  tell: Tell,
): Record<string, unknown>[] | undefined {
  if (versions === undefined) return undefined;
  if (!Array.isArray(versions) || versions.length === 0) {
    tell(at, `is ${shown(versions)}; write a list of { definition: … }, the oldest first.`);
    return undefined;
  }
  for (const [index, version] of versions.entries())
    if (!isMapping(version))
      tell(`${at}[${index}]`, `is ${shown(version)}; write a mapping with a definition.`);
  return versions.filter(isMapping);
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
