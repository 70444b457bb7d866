/** What a configuration is made of, before the API is asked whether it would take it. */
import type { Configured, ConfiguredAgent, ConfiguredAssistant } from './configured.ts';
import { unknownFields } from './fields.ts';
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

/** What a configuration says of worlds, as it is written. */
export interface Written {
  agents?: unknown;
  assistants?: unknown;
  routines?: unknown;
}

/** What cannot be read is told, and left out of what is. */
export function readConfigured(written: Written): Read {
  const problems: ConfigurationProblem[] = [];
  const tell = (param: string, said: string, known?: readonly string[]) => {
    problems.push({ param, message: `${param} ${said}`, ...(known ? { known } : {}) });
  };
  const said = {
    agents: namedIn(written, 'agents', 'what it is', tell),
    assistants: namedIn(written, 'assistants', 'the body of its POST', tell),
    routines: namedIn(written, 'routines', 'the body of its PUT', tell),
  };
  const configured: Configured = { agents: {}, assistants: {}, routines: {} };
  for (const [name, agent] of Object.entries(said.agents)) {
    // An agent of whom nothing is said, as in `digest:`, is all by default.
    const read = readAgent(`agents.${name}`, agent ?? {}, tell);
    if (read) configured.agents[name] = read;
  }
  for (const [key, assistant] of Object.entries(said.assistants)) {
    const read = readAssistant(`assistants.${key}`, assistant ?? {}, tell);
    if (read) configured.assistants[key] = read;
  }
  requireOwnIds(configured.assistants, tell);
  for (const [name, routine] of Object.entries(said.routines)) {
    if (isMapping(routine)) configured.routines[name] = routine;
    else
      tell(`routines.${name}`, `is ${shown(routine)}; write a mapping with triggers and action.`);
  }
  return { configured, problems };
}

/** What an object is given by this name it loses: its own name for its prototype. */
const NO_NAME = '__proto__';

type Tell = (param: string, said: string, known?: readonly string[]) => void;

function namedIn(
  written: Written,
  key: keyof Written,
  what: string,
  tell: Tell,
): Record<string, unknown> {
  const value = written[key];
  if (isMapping(value)) {
    const { [NO_NAME]: unnamed, ...named } = value;
    if (Object.hasOwn(value, NO_NAME))
      tell(`${key}.${NO_NAME}`, 'cannot be a name; write another.');
    return named;
  }
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

const ASSISTANT_ID = /^asst_[A-Za-z0-9_-]{1,64}$/;

function readAssistant(
  at: string,
  assistant: unknown,
  tell: Tell,
): ConfiguredAssistant | undefined {
  if (!isMapping(assistant)) {
    tell(at, `is ${shown(assistant)}; write a mapping, such as { model: gpt-4.1 }.`);
    return undefined;
  }
  const { id, ...rest } = assistant;
  const { reply: _, ...body } = rest;
  for (const { path, known } of unknownFields('AssistantCreate', body)) {
    // Of a tool that the API does not know all is kept.
    if (path.length > 1) continue;
    const keys = [...known, 'id', 'reply'];
    tell(`${at}.${path[0]}`, `is no key of an assistant; it has ${keys.join(', ')}.`, keys);
  }
  if (id === undefined) return rest;
  if (typeof id === 'string' && ASSISTANT_ID.test(id)) return { ...rest, id };
  tell(
    `${at}.id`,
    `is ${shown(id)}; write asst_ and at most 64 letters, digits, _ or -, or leave it out.`,
  );
  return undefined;
}

function requireOwnIds(assistants: Configured['assistants'], tell: Tell): void {
  const keys = new Map<string, string>();
  for (const [key, { id }] of Object.entries(assistants)) {
    const other = id === undefined ? undefined : keys.get(id);
    if (other !== undefined)
      tell(
        `assistants.${key}.id`,
        `is ${shown(id)}, the id of assistants.${other}; write another.`,
      );
    else if (id !== undefined) keys.set(id, key);
  }
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
