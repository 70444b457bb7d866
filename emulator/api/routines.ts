/** The eight operations of the tag Routines. */
import { type Instant, unixSeconds } from '../clock.ts';
import { kindOf } from '../endpoint.ts';
import { ApiError, invalid, notFound, shown } from '../errors.ts';
import {
  checkInterval,
  readCron,
  readTimer,
  readZone,
  type ScheduleProblem,
  zoneUnknown,
} from '../schedule.ts';
import { findAgent, latestVersion } from '../store/agents.ts';
import {
  type Action,
  deleteRoutine,
  findRoutine,
  pageRoutines,
  putRoutine,
  type RoutineRow,
  type Trigger,
} from '../store/routines.ts';
import {
  type Delivery,
  findRunById,
  findRunByRequest,
  lastKeyOf,
  pageRuns,
  type RunRow,
} from '../store/runs.ts';
import { cancelDeliveries, redirectDeliveries, subjectOf } from '../work/delivery.ts';
import { arm, disarm, isDueForHost, makeRun } from '../work/firing.ts';
import type { World } from '../world.ts';
import { readFilter } from './filter.ts';
import {
  type Answer,
  bodyAs,
  envelope,
  type Input,
  type InstantStyle,
  instantStyle,
  type Operation,
  readPage,
} from './input.ts';

export const NAME_LENGTH_MAX = 128;
/** For the switches routine_names and trigger_names: no generation of the API states a pattern. */
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export const routineOperations: Operation[] = [
  {
    id: 'createOrUpdateRoutine',
    method: 'PUT',
    path: '/routines/:routine_name',
    kind: 'write',
    handle: createOrUpdate,
  },
  { id: 'getRoutine', method: 'GET', path: '/routines/:routine_name', kind: 'read', handle: get },
  { id: 'listRoutines', method: 'GET', path: '/routines', kind: 'read', handle: list },
  {
    id: 'deleteRoutine',
    method: 'DELETE',
    path: '/routines/:routine_name',
    kind: 'write',
    handle: remove,
  },
  {
    id: 'enableRoutine',
    method: 'POST',
    path: '/routines/:routine_name',
    verb: 'enable',
    kind: 'write',
    handle: (input) => setEnabled(input, 1),
  },
  {
    id: 'disableRoutine',
    method: 'POST',
    path: '/routines/:routine_name',
    verb: 'disable',
    kind: 'write',
    handle: (input) => setEnabled(input, 0),
  },
  {
    id: 'dispatchRoutineAsync',
    method: 'POST',
    path: '/routines/:routine_name',
    verb: 'dispatch_async',
    kind: 'write',
    handle: dispatch,
  },
  {
    id: 'listRoutineRuns',
    method: 'GET',
    path: '/routines/:routine_name/runs',
    kind: 'read',
    handle: listRuns,
    subject: (input) => subjectOf(nameOf(input)),
  },
];

function nameOf(input: Input): string {
  return input.params.routine_name ?? '';
}

export function existing(world: World, name: string): RoutineRow {
  const routine = findRoutine(world.store, name);
  if (routine) return routine;
  throw notFound(
    `There is no routine '${name}' in project '${world.project}'.`,
    'routine/unknown-answers-404',
  );
}

function createOrUpdate(input: Input): Answer {
  const { world, engine } = input.project;
  const { switches } = world.profile;
  const name = readName(nameOf(input), switches.routine_names === 'plain');
  const body = bodyAs('RoutineCreateOrUpdate', input.body);
  const before = findRoutine(world.store, name);
  const [[triggerName, rawTrigger] = ['', {}]] = Object.entries(body.triggers);
  if (switches.trigger_names === 'plain' && !PLAIN_NAME.test(triggerName)) {
    throw invalid(
      `The trigger's name cannot be ${shown(triggerName)}. Use letters, digits, '.', '_' and '-'.`,
      'triggers',
      'routine/trigger-name-characters',
    );
  }
  const trigger = readTrigger(world, triggerName, rawTrigger as Record<string, unknown>, before);
  const action = readAction(world, body.action as Record<string, unknown>);
  const routine: RoutineRow = {
    key: before?.key ?? `${name}#${world.ordinal(`routine ${name}`)}`,
    name,
    seq: before?.seq ?? world.ordinal('routine'),
    description: body.description ?? '',
    enabled: body.enabled === false ? 0 : 1,
    trigger_name: triggerName,
    trigger_type: trigger.type,
    trigger: JSON.stringify(trigger),
    action: JSON.stringify(action),
    // Honoured when the routine is made and ignored afterwards (contract/routines.md 4.4).
    identity: before?.identity ?? body.authorization?.identity ?? 'agent',
    created_at: before?.created_at ?? world.now,
    updated_at: world.now,
  };
  if (before) {
    disarm(world, before);
    if (switches.on_replace === 'cancel') cancelDeliveries(world, before, 'replaced', engine);
    if (switches.on_replace === 'new_action')
      redirectDeliveries(world, before, action as Delivery, agentOf(action));
    if (routine.enabled === 0 && before.enabled === 1 && switches.on_disable === 'cancel')
      cancelDeliveries(world, before, 'disabled', engine);
  }
  putRoutine(world.store, routine);
  arm(world, routine);
  const status = before || switches.put_create_status === '200' ? 200 : 201;
  return { status, body: viewRoutine(routine, world, instantStyle(input)) };
}

function readName(name: string, plain: boolean): string {
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

function readTrigger(
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

function readAction(world: World, raw: Record<string, unknown>): Action {
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

function agentOf(action: Action): string {
  return action.agent_name ?? action.agent_endpoint_id ?? '';
}

function checkAgent(world: World, name: string, field: string): void {
  const { switches } = world.profile;
  const param = `action.${field}`;
  const agent = findAgent(world.store, name);
  const version = agent && latestVersion(world.store, agent);
  if (!version) {
    throw invalid(
      `There is no agent ${shown(name)} in project '${world.project}'. Create it first: POST /agents/${name}/versions.`,
      param,
      'routine/agent-exists',
    );
  }
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

function get(input: Input): Answer {
  const { world } = input.project;
  return {
    status: 200,
    body: viewRoutine(existing(world, nameOf(input)), world, instantStyle(input)),
  };
}

function list(input: Input): Answer {
  const { world } = input.project;
  const page = readPage(input, 'continuationToken');
  const after = page.after === undefined ? undefined : routineCursor(world, page.after);
  const rows = pageRoutines(world.store, page.order, after, page.limit + 1);
  const style = instantStyle(input);
  const items = rows.slice(0, page.limit).map((row) => viewRoutine(row, world, style));
  return envelope(input, items, rows.length > page.limit, (item) => String(item.name), page);
}

function routineCursor(world: World, after: string): number {
  const row = findRoutine(world.store, after);
  if (row) return row.seq;
  throw invalid(
    `There is no routine ${shown(after)} to continue after. Start the list again.`,
    'after',
    'list/after-known',
  );
}

function remove(input: Input): Answer {
  const { world, engine } = input.project;
  const routine = findRoutine(world.store, nameOf(input));
  if (!routine) {
    if (world.profile.switches.delete_missing === '404') existing(world, nameOf(input));
    return { status: 204 };
  }
  disarm(world, routine);
  if (world.profile.switches.on_delete === 'cancel')
    cancelDeliveries(world, routine, 'deleted', engine);
  deleteRoutine(world.store, routine.key);
  return { status: 204 };
}

function setEnabled(input: Input, enabled: 0 | 1): Answer {
  const { world, engine } = input.project;
  const { switches } = world.profile;
  const before = existing(world, nameOf(input));
  const trigger = JSON.parse(before.trigger) as Trigger;
  const rearmed =
    enabled === 1 &&
    trigger.type === 'timer' &&
    trigger.fired &&
    switches.enable_rearms_timer === 'yes';
  const routine: RoutineRow = {
    ...before,
    enabled,
    updated_at: world.now,
    ...(rearmed ? { trigger: JSON.stringify({ ...trigger, fired: undefined }) } : {}),
  };
  disarm(world, before);
  if (enabled === 0 && switches.on_disable === 'cancel')
    cancelDeliveries(world, before, 'disabled', engine);
  putRoutine(world.store, routine);
  arm(world, routine);
  return { status: 200, body: viewRoutine(routine, world, instantStyle(input)) };
}

function dispatch(input: Input): Answer {
  const { world } = input.project;
  const { switches, settings } = world.profile;
  const routine = existing(world, nameOf(input));
  const payload =
    input.body === undefined ? undefined : bodyAs('DispatchRoutineRequest', input.body).payload;
  const action = JSON.parse(routine.action) as Action;
  if (routine.enabled === 0 && switches.dispatch_when_disabled === 'refuse') {
    throw new ApiError({
      status: 409,
      code: 'routine_disabled',
      message: `The routine '${routine.name}' is disabled. Enable it with POST /routines/${routine.name}:enable.`,
      rule: 'dispatch/when-disabled',
    });
  }
  if (payload && payload.type !== action.type) {
    throw invalid(
      `The payload's type is '${payload.type}', and the routine's action is '${action.type}'. Send the action's type.`,
      'payload.type',
      'dispatch/payload-type-matches',
    );
  }
  const hasInput = payload !== undefined && 'input' in payload && payload.input !== undefined;
  if (payload && !hasInput && switches.dispatch_input === 'required') {
    throw invalid(
      "A payload needs 'input'; send null for none, or leave the payload out.",
      'payload.input',
      'dispatch/input',
    );
  }
  const value: unknown = hasInput ? payload.input : undefined;
  if (hasInput && switches.dispatch_input === 'string' && typeof value !== 'string') {
    throw invalid(
      `The payload's input is a string, not ${shown(value)}.`,
      'payload.input',
      'dispatch/input',
    );
  }
  if (typeof value === 'string' && value.length > settings.dispatch_input_max) {
    throw invalid(
      `The payload's input has ${value.length} characters. Send at most ${settings.dispatch_input_max}.`,
      'payload.input',
      'dispatch/input-max-32768',
    );
  }
  const clientRequestId = input.headers.get('x-ms-client-request-id') ?? undefined;
  const repeated =
    switches.dispatch_repeat === 'same_run' && clientRequestId !== undefined
      ? findRunByRequest(world.store, routine.key, clientRequestId)
      : undefined;
  const run =
    repeated ??
    makeRun(world, routine, {
      source: switches.dispatch_source,
      clientRequestId,
      ...(hasInput ? { input: { value } } : {}),
    });
  return {
    status: 200,
    body: {
      dispatch_id: run.dispatch_id,
      action_correlation_id: run.correlation_id,
      task_id: run.task_id,
    },
  };
}

function listRuns(input: Input): Answer {
  const { world } = input.project;
  const { switches } = world.profile;
  const name = nameOf(input);
  const page = readPage(input, 'nextPageToken');
  const filter = readFilter(input.query.get('filter'));
  const routine = findRoutine(world.store, name);
  const key =
    routine?.key ??
    (switches.runs_of_deleted === 'listed' ? lastKeyOf(world.store, name) : undefined);
  if (key === undefined) existing(world, name);
  const after = page.after === undefined ? undefined : runCursor(world, page.after);
  const whole = switches.runs_of_recreated === 'kept';
  const rows = pageRuns(world.store, {
    by: whole ? 'routine' : 'routine_key',
    value: whole ? name : (key ?? ''),
    order: page.order,
    after,
    limit: page.limit + 1,
    ...filter,
  });
  const style = instantStyle(input);
  const items = rows.slice(0, page.limit).map((row) => viewRun(row, world, style));
  return envelope(input, items, rows.length > page.limit, (item) => String(item.id), page);
}

function runCursor(world: World, after: string): number {
  const run = findRunById(world.store, after);
  if (run) return run.seq;
  throw invalid(
    `There is no run ${shown(after)} to continue after. Start the list again.`,
    'after',
    'list/after-known',
  );
}

/** A routine as clients see it. */
export function viewRoutine(
  row: RoutineRow,
  world: World,
  style: InstantStyle,
): Record<string, unknown> {
  const { conversation, ...action } = JSON.parse(row.action) as Action;
  const spelling = world.profile.switches.conversation_field;
  const conversations: Record<string, string> = {};
  if (conversation !== undefined && spelling !== 'conversation_id')
    conversations.conversation = conversation;
  if (conversation !== undefined && spelling !== 'conversation')
    conversations.conversation_id = conversation;
  return {
    name: row.name,
    description: row.description,
    enabled: row.enabled === 1,
    triggers: { [row.trigger_name]: viewTrigger(JSON.parse(row.trigger) as Trigger, style) },
    action: { ...action, ...conversations },
    authorization: { identity: row.identity },
    created_at: style.instant(row.created_at),
    updated_at: style.instant(row.updated_at),
  };
}

function viewTrigger(trigger: Trigger, style: InstantStyle): Record<string, unknown> {
  if (trigger.type !== 'timer') return trigger;
  return {
    type: 'timer',
    at: style.timerAt(trigger.at),
    ...(trigger.time_zone === undefined ? {} : { time_zone: trigger.time_zone }),
  };
}

const STATUS_OF = {
  queued: 'RUNNING',
  dispatching: 'RUNNING',
  completed: 'FINISHED',
  failed: 'FAILED',
} as const;

/** A run as clients see it. What does not apply is absent, never null: official clients decode null as a value. */
export function viewRun(row: RunRow, world: World, style: InstantStyle): Record<string, unknown> {
  const action = JSON.parse(row.action) as Delivery;
  const status = STATUS_OF[row.phase];
  const instant = (at: Instant | null) => (at === null ? undefined : style.instant(at));
  return defined({
    id: row.id,
    status:
      world.profile.switches.run_status === 'title'
        ? status.charAt(0) + status.slice(1).toLowerCase()
        : status,
    phase: row.phase,
    trigger_type: row.trigger_type,
    trigger_name: row.trigger_name,
    trigger_event_payload: row.event === null ? undefined : JSON.parse(row.event),
    attempt_source: row.attempt_source,
    action_type: action.type,
    agent_id: row.agent,
    agent_endpoint_id: action.agent_endpoint_id,
    conversation_id: action.conversation,
    session_id: action.session_id,
    triggered_at: instant(row.triggered_at),
    scheduled_fire_at: instant(row.scheduled_fire_at),
    started_at: instant(row.started_at),
    ended_at: instant(row.ended_at),
    dispatch_id: row.dispatch_id,
    action_correlation_id: row.correlation_id,
    response_id: row.response_id,
    task_id: row.task_id,
    error_status_code: row.error_status,
    error_type: row.error_type,
    error_message: row.error_message,
  });
}

function defined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  );
}
