/** What a PUT may say of a routine, and what it then means: a part of the model, which imports nothing else of ours. */
import { offsetOf, refusalOf } from './cron.ts';

export type Json = Record<string, unknown>;

export interface Trigger {
  name: string;
  type: 'schedule' | 'timer' | 'github_issue' | 'custom';
  /** As it is answered, but for the instant of a timer. */
  shown: Json;
  cron: string;
  zone: string;
  /** Of a timer. */
  at: number;
}

export interface Action {
  type: 'invoke_agent_responses_api' | 'invoke_agent_invocations_api';
  agent: string;
  shown: Json;
}

export interface Definition {
  description: string;
  enabled: boolean;
  trigger: Trigger;
  action: Action;
  identity: string;
}

export interface Situation {
  now: number;
  agents: readonly string[];
  /** What the routine's timer said before, if it had one. */
  timerAt: number | undefined;
  switches: Record<string, string>;
}

/** The definition, or every rule that the body breaks: of several, any may be the one that is told. */
export function define(body: Json, situation: Situation): Definition | string[] {
  const broken: string[] = [];
  const { description = '', enabled = true, authorization } = body;
  if (typeof description !== 'string' || description.length > 1024)
    broken.push('routine/description-max-1024');
  if (typeof enabled !== 'boolean') broken.push('routine/enabled-is-boolean');
  const { identity } = (authorization ?? { identity: 'agent' }) as Json;
  if (identity !== 'agent' && identity !== 'creator') broken.push('routine/authorization-known');
  const trigger = readTrigger(body.triggers as Json | undefined, situation, broken);
  const action = readAction(body.action as Json | undefined, situation, broken);
  if (broken.length > 0 || !trigger || !action) return broken;
  return { description, enabled, identity, trigger, action } as Definition;
}

function readTrigger(
  triggers: Json | undefined,
  situation: Situation,
  broken: string[],
): Trigger | undefined {
  const entries = Object.entries(triggers ?? {}) as [string, Json][];
  const [entry] = entries;
  if (entries.length !== 1 || entry === undefined) {
    broken.push('routine/exactly-one-trigger');
    return undefined;
  }
  const [name, given] = entry;
  const { type } = given;
  const trigger = { name, type, shown: given, cron: '', zone: 'UTC', at: 0 } as Trigger;
  if (type === 'schedule') readSchedule(trigger, given, situation, broken);
  else if (type === 'timer') readTimer(trigger, given, situation, broken);
  else if (type === 'github_issue') {
    const fields = ['connection_id', 'owner', 'repository', 'issue_event'];
    if (!fields.every((field) => typeof given[field] === 'string'))
      broken.push('trigger/github-issue-fields');
  } else if (type === 'custom') {
    if (typeof given.provider !== 'string' || typeof given.parameters !== 'object')
      broken.push('trigger/custom-fields');
  } else broken.push('trigger/type-known');
  return trigger;
}

function readSchedule(trigger: Trigger, given: Json, { switches }: Situation, broken: string[]) {
  const { cron_expression, time_zone = switches.missing_time_zone === 'utc' ? 'UTC' : undefined } =
    given;
  if (typeof cron_expression !== 'string') broken.push('routine/cron-required');
  else {
    const refusal = refusalOf(cron_expression, switches.cron_days ?? 'or');
    if (refusal !== null) broken.push(refusal);
    trigger.cron = cron_expression;
  }
  if (time_zone === undefined) broken.push('routine/schedule-needs-time-zone');
  else readZone(trigger, time_zone, broken);
  trigger.shown = { type: 'schedule', cron_expression, time_zone };
}

function readZone(trigger: Trigger, zone: unknown, broken: string[]) {
  if (typeof zone !== 'string') broken.push('routine/time-zone-is-string');
  else if (offsetOf(zone, 0) === null) broken.push('routine/time-zone-known');
  else trigger.zone = zone;
}

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** routine/timer-forms: an instant with an offset, a local one with a zone, a duration, or unix seconds. */
function readTimer(trigger: Trigger, given: Json, situation: Situation, broken: string[]) {
  const { at, time_zone } = given;
  if (time_zone !== undefined) readZone(trigger, time_zone, broken);
  trigger.shown = { type: 'timer', ...(time_zone !== undefined && { time_zone }) };
  if (typeof at === 'number') trigger.at = at * 1_000;
  else if (typeof at !== 'string') {
    broken.push('routine/timer-at-required');
    return;
  } else {
    const [, count, unit = ''] = /^(-?\d+)([smhd])$/.exec(at) ?? [];
    if (count !== undefined) {
      if (Number(count) <= 0) {
        broken.push('routine/timer-duration-positive');
        return;
      }
      trigger.at = situation.now + Number(count) * (UNITS[unit] ?? 0);
    } else if (/T.*(?:Z|[+-]\d\d:\d\d)$/.test(at)) trigger.at = Date.parse(at);
    else if (/^\d{4}-\d\d-\d\dT/.test(at)) {
      if (time_zone === undefined) {
        broken.push('routine/local-timer-needs-time-zone');
        return;
      }
      const local = Date.parse(`${at}Z`);
      trigger.at = local - (offsetOf(trigger.zone, local) ?? 0);
    } else {
      broken.push('routine/timer-forms');
      return;
    }
  }
  // routine/unchanged-timer-may-be-past
  const unchanged = trigger.at === situation.timerAt;
  if (trigger.at <= situation.now && !unchanged && situation.switches.past_timer !== 'never_fires')
    broken.push('routine/timer-is-future');
}

function readAction(
  given: Json | undefined,
  { agents, switches }: Situation,
  broken: string[],
): Action | undefined {
  if (given === undefined) {
    broken.push('routine/action-required');
    return undefined;
  }
  const { type, agent_name, agent_endpoint_id, input, conversation, conversation_id, session_id } =
    given;
  const responses = type === 'invoke_agent_responses_api';
  if (!responses && type !== 'invoke_agent_invocations_api') broken.push('action/type-known');
  if ((agent_name === undefined) === (agent_endpoint_id === undefined)) {
    broken.push('action/exactly-one-selector');
    return undefined;
  }
  const agent = String(agent_name ?? agent_endpoint_id);
  if (agent.length > 256) broken.push('action/agent-name-max-256');
  else if (!agents.includes(agent) && switches.agent_checked !== 'on_fire')
    broken.push('routine/agent-exists');
  const shown: Json = {
    type,
    ...(agent_name !== undefined ? { agent_name } : { agent_endpoint_id }),
  };
  if (input !== undefined) shown.input = input;
  if (responses) {
    if (conversation !== undefined && conversation_id !== undefined)
      if (conversation !== conversation_id) broken.push('action/conversation-conflict');
    const spoken = conversation ?? conversation_id;
    if (spoken !== undefined)
      Object.assign(shown, { conversation: spoken, conversation_id: spoken });
  } else if (session_id !== undefined) shown.session_id = session_id;
  return { type, agent, shown } as Action;
}
