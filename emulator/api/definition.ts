/** What a PUT of a routine says: its name, trigger and action, each rule with its refusal. */
import { unixSeconds } from '../clock.ts';
import { checkInterval, readCron, type ScheduleProblem, zoneUnknown } from '../cron.ts';
import { kindOf } from '../endpoint.ts';
import { type ApiError, invalid, shown } from '../errors.ts';
import { findAgent, newestVersion } from '../store/agents.ts';
import type { Action, RoutineRow, Trigger } from '../store/routines.ts';
import { readTimer } from '../timer.ts';
import { isDueForHost } from '../work/firing.ts';
import type { World } from '../world.ts';
import { readZone } from '../zone.ts';

/** For the switches routine_names and trigger_names: no generation of the API states a pattern. */
export const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function readName(name: string, plain: boolean): string {
  if (name.length === 0 || name.length > NAME_LENGTH_MAX) {
    throw invalid(
      `A routine's name has 1 to ${NAME_LENGTH_MAX} characters; this one has ${name.length}. Shorten it.`,
      'routine_name',
      'routine/name-max-128',
    );
  }
  if (plain && !PLAIN_NAME.test(name)) {
    throw invalid(
      `A routine cannot be named ${shown(name)}. Begin with a letter or digit, and use letters, digits, '.', '_' and '-'.`,
      'routine_name',
      'routine/name-characters',
    );
  }
  return name;
}

export const NAME_LENGTH_MAX = 128;

export function readTrigger(
  world: World,
  name: string,
  raw: Record<string, unknown>,
  before: RoutineRow | undefined,
): Trigger {
  const { switches, settings } = world.profile;
  const at = (field: string) => `triggers.${name}.${field}`;
  switch (raw.type) {
    case 'schedule': {
      const expression = String(raw.cron_expression);
      const zone = raw.time_zone as string | undefined;
      if (zone === undefined && switches.missing_time_zone === 'refuse') {
        throw invalid(
          `triggers['${name}'].time_zone must be provided for schedule routines, such as "UTC" or "America/Los_Angeles".`,
          at('time_zone'),
          'routine/schedule-needs-time-zone',
        );
      }
      if (zone !== undefined && readZone(zone) === undefined)
        throw refuse(zoneUnknown(zone), at('time_zone'));
      const cron = readCron(expression, switches.cron_days);
      if (cron.kind === 'problem') throw refuse(cron, at('cron_expression'));
      const tooOften = checkInterval(cron, settings.cron_interval_min);
      if (tooOften) throw refuse(tooOften, at('cron_expression'));
      return { type: 'schedule', cron_expression: expression, time_zone: zone ?? 'UTC' };
    }
    case 'timer':
      return readTimerTrigger(world, name, raw, before);
    case 'github_issue':
    case 'custom': {
      if (switches.event_triggers === 'refuse') {
        throw invalid(
          `A trigger of type '${raw.type}' is not available. Use 'schedule' or 'timer'.`,
          at('type'),
          'routine/event-triggers',
        );
      }
      const fields =
        raw.type === 'custom'
          ? ['type', 'provider', 'event_name', 'parameters']
          : ['type', 'connection_id', 'owner', 'repository', 'issue_event'];
      return Object.fromEntries(
        fields.filter((field) => raw[field] !== undefined).map((field) => [field, raw[field]]),
      ) as unknown as Trigger;
    }
    default:
      throw new Error(`the schema let an unknown trigger through: ${shown(raw.type)}`);
  }
}

function readTimerTrigger(
  world: World,
  name: string,
  raw: Record<string, unknown>,
  before: RoutineRow | undefined,
): Trigger {
  const { switches } = world.profile;
  const param = `triggers.${name}.at`;
  const zone = raw.time_zone as string | undefined;
  if (zone !== undefined && switches.timer_zone === 'refuse') {
    throw invalid(
      "A timer has no time_zone here. Write 'at' as a UTC instant.",
      `triggers.${name}.time_zone`,
      'routine/timer-time-zone',
    );
  }
  const timer = readTimer(raw.at, zone, world.now);
  if (timer.kind === 'problem')
    throw refuse(timer, timer.reason === 'zone-unknown' ? `triggers.${name}.time_zone` : param);
  const old = before ? (JSON.parse(before.trigger) as Trigger) : undefined;
  const kept = old?.type === 'timer' && unixSeconds(old.at) === unixSeconds(timer.at);
  // A client that reads a routine, changes its description and puts it back sends the old instant: that is no new timer.
  if (
    timer.at <= world.now &&
    !kept &&
    switches.past_timer === 'refuse' &&
    !isDueForHost(world, timer.at)
  ) {
    throw invalid(
      `triggers['${name}'].at is ${new Date(timer.at).toISOString()}, which is not after now (${new Date(world.now).toISOString()}). Name a future instant, or a duration such as "30m".`,
      param,
      'routine/timer-is-future',
    );
  }
  const fired = kept && old.fired ? { fired: true as const } : {};
  return {
    type: 'timer',
    at: kept ? old.at : timer.at,
    ...(zone === undefined ? {} : { time_zone: zone }),
    ...fired,
  };
}

const RULE_OF: Record<ScheduleProblem['reason'], string> = {
  'cron-syntax': 'routine/cron-has-five-fields',
  'cron-too-frequent': 'routine/cron-at-least-five-minutes',
  'cron-never-fires': 'cron/fires-at-all',
  'zone-unknown': 'routine/time-zone-known',
  'timer-syntax': 'routine/timer-forms',
  'timer-needs-zone': 'routine/local-timer-needs-time-zone',
  'timer-not-positive': 'routine/timer-duration-positive',
  'timer-out-of-range': 'routine/timer-forms',
};

function refuse(problem: ScheduleProblem, param: string): ApiError {
  return invalid(problem.message, param, RULE_OF[problem.reason]);
}

export function readAction(world: World, raw: Record<string, unknown>): Action {
  const { switches } = world.profile;
  const type = raw.type as Action['type'];
  const action: Action = { type };
  if ((raw.agent_name === undefined) === (raw.agent_endpoint_id === undefined)) {
    throw invalid(
      'exactly one of agent_name or agent_endpoint_id must be provided',
      'action.agent_name',
      'action/exactly-one-selector',
    );
  }
  if (raw.agent_endpoint_id !== undefined && switches.agent_endpoint_id === 'refuse') {
    throw invalid(
      "The action names its agent by 'agent_name', not by 'agent_endpoint_id'.",
      'action.agent_endpoint_id',
      'action/endpoint-id',
    );
  }
  if (raw.agent_name !== undefined) action.agent_name = raw.agent_name as string;
  if (raw.agent_endpoint_id !== undefined)
    action.agent_endpoint_id = raw.agent_endpoint_id as string;
  if (raw.input !== undefined) action.input = raw.input;
  if (type === 'invoke_agent_responses_api') {
    const { conversation, conversation_id: id } = raw;
    if (
      conversation !== undefined &&
      id !== undefined &&
      conversation !== id &&
      switches.conversation_conflict === 'refuse'
    ) {
      throw invalid(
        "'conversation' and 'conversation_id' are two spellings of one field and differ. Send one of them.",
        'action.conversation',
        'action/conversation-conflict',
      );
    }
    const chosen = conversation ?? id;
    if (chosen !== undefined) action.conversation = chosen as string;
  } else if (raw.session_id !== undefined) {
    action.session_id = raw.session_id as string;
  }
  if (switches.agent_checked === 'on_put')
    checkAgent(
      world,
      agentOf(action),
      action.agent_name === undefined ? 'agent_endpoint_id' : 'agent_name',
    );
  return action;
}

export function agentOf(action: Action): string {
  return action.agent_name ?? action.agent_endpoint_id ?? '';
}

function checkAgent(world: World, name: string, field: string): void {
  const { switches } = world.profile;
  const param = `action.${field}`;
  const agent = findAgent(world.store, name);
  const version = agent && newestVersion(world.store, agent);
  if (!version) {
    throw invalid(
      `There is no agent ${shown(name)} in project '${world.project}'. Create it first: POST /agents/${name}/versions.`,
      param,
      'routine/agent-exists',
    );
  }
  if (switches.require_agent_identity === 'off' && switches.workflow_agents === 'accept') return;
  const kind = kindOf(version);
  if (kind === 'prompt' && switches.require_agent_identity === 'on') {
    throw invalid(
      `The agent '${name}' is a prompt agent and has no agent identity. Name a hosted agent.`,
      param,
      'routine/agent-has-identity',
    );
  }
  if (kind === 'workflow' && switches.workflow_agents === 'refuse') {
    throw invalid(
      `The agent '${name}' is a workflow agent, which a routine cannot call. Name a hosted or prompt agent.`,
      param,
      'routine/workflow-agents',
    );
  }
}
