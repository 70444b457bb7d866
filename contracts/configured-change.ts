/** What leads from one configuration to the next. */
import { isDeepStrictEqual } from 'node:util';
import {
  assistantBody,
  type Configured,
  type ConfiguredAgent,
  type ConfiguredAssistant,
  type ConfiguredCall,
  callOfAssistant,
  callsOf,
  callsOfAssistant,
  replyOf,
  rulesOf,
  versionBodies,
} from './configured.ts';

/**
 * The calls that lead from one configuration to the next. An agent or routine that is named no more is left as it is, an assistant is
 * deleted; what one that is still there had said of it, and has no more, goes back to how a new one has it.
 */
export function callsBetween(before: Configured, after: Configured): ConfiguredCall[] {
  const made = callsOf({ ...before, assistants: {} });
  const changed = callsOf({ ...after, assistants: {} }).filter(
    (call) =>
      isOfOtherVersions(call, before, after) ||
      !made.some((one) => isDeepStrictEqual(doneBy(one), doneBy(call))),
  );
  const back = Object.entries(after.agents).flatMap(([name, agent]) =>
    callsBack(name, before.agents[name] ?? {}, agent),
  );
  return [
    ...changed.map((call) => patchedFrom(before, call)),
    ...back,
    ...assistantCalls(before.assistants, after.assistants),
  ];
}

/** Whether a version, or a rule that names one, is of an agent whose list of versions is another now. */
function isOfOtherVersions(call: ConfiguredCall, before: Configured, after: Configured): boolean {
  const name = call.params.agent_name ?? '';
  if (call.place === undefined && rulesOf(call.body) === undefined) return false;
  const [was, is] = [before.agents[name], after.agents[name]].map((agent) => {
    return agent && versionBodies(agent);
  });
  return !isDeepStrictEqual(was, is);
}

function callsBack(
  name: string,
  before: ConfiguredAgent,
  after: ConfiguredAgent,
): ConfiguredCall[] {
  const gone = (key: 'reply' | 'endpoint' | 'card') =>
    before[key] !== undefined && after[key] === undefined;
  const call = (operation: string, body?: unknown) => ({
    operation,
    params: { agent_name: name },
    at: `agents.${name}`,
    ...(body === undefined ? {} : { body }),
  });
  return [
    ...(gone('reply') ? [call('setAgentReply', { kind: 'echo' })] : []),
    ...(gone('endpoint') ? [call('patchAgent', { agent_endpoint: null })] : []),
    ...(gone('card') ? [call('patchAgent', { agent_card: null })] : []),
    ...(before.state === 'disabled' && after.state !== 'disabled' ? [call('enableAgent')] : []),
  ];
}

/** A patch keeps what it does not name: what is gone from one that was made before must be said. */
function patchedFrom(before: Configured, call: ConfiguredCall): ConfiguredCall {
  const { endpoint, card } = before.agents[call.params.agent_name ?? ''] ?? {};
  const { agent_endpoint: is, agent_card: shown } = (call.body ?? {}) as Record<string, unknown>;
  if (call.operation !== 'patchAgent') return call;
  const body =
    is === undefined
      ? { agent_card: patchBetween(card, shown) }
      : { agent_endpoint: patchBetween(endpoint, is) };
  return { ...call, body };
}

/** RFC 7396, the other way round. */
function patchBetween(before: unknown, after: unknown): unknown {
  if (!isMapping(before) || !isMapping(after)) return after;
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return Object.fromEntries(
    keys.map((key) => [key, key in after ? patchBetween(before[key], after[key]) : null]),
  );
}

type Assistants = Configured['assistants'];

/** One whose id is another now is another assistant. */
function assistantCalls(before: Assistants, after: Assistants): ConfiguredCall[] {
  const stays = (key: string) =>
    Object.hasOwn(before, key) && Object.hasOwn(after, key) && before[key]?.id === after[key]?.id;
  return [
    ...Object.entries(before)
      .filter(([key]) => !stays(key))
      .map(([key, was]) => callOfAssistant('deleteAssistant', key, was)),
    ...Object.entries(after).flatMap(([key, is]) => {
      const was = stays(key) ? before[key] : undefined;
      return was === undefined ? callsOfAssistant(key, is) : assistantChanges(key, was, is);
    }),
  ];
}

function assistantChanges(
  key: string,
  was: ConfiguredAssistant,
  is: ConfiguredAssistant,
): ConfiguredCall[] {
  const changed = changedFields(assistantBody(key, was), assistantBody(key, is));
  const [said, says] = [was, is].map(({ reply = 'echo' }) => replyOf(reply));
  return [
    ...(Object.keys(changed).length === 0
      ? []
      : [callOfAssistant('updateAssistant', key, is, changed)]),
    ...(isDeepStrictEqual(said, says) ? [] : [callOfAssistant('setAgentReply', key, is, says)]),
  ];
}

/** An update takes each field whole; what is said no more is null, but a list of tools cannot be. */
function changedFields(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Record<string, unknown> {
  const nothing = (key: string) => (key === 'tools' ? [] : null);
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return Object.fromEntries(
    keys
      .filter((key) => !isDeepStrictEqual(before[key], after[key]))
      .map((key) => [key, after[key] ?? nothing(key)]),
  );
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function doneBy({ operation, params, body }: ConfiguredCall): unknown {
  return { operation, params, body };
}
