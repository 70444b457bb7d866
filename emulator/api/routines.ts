/** The eight operations of the tag Routines. */
import { invalid, shown } from '../errors.ts';
import {
  type Action,
  deleteRoutine,
  findRoutine,
  nextKeyOf,
  pageRoutines,
  placeOf,
  putRoutine,
  type RoutineRow,
  type Trigger,
} from '../store/routines.ts';
import type { Delivery } from '../store/runs.ts';
import { arm, disarm } from '../work/firing.ts';
import { cancelDeliveries, redirectDeliveries } from '../work/withdraw.ts';
import type { World } from '../world.ts';
import { agentOf, PLAIN_NAME, readAction, readName, readTrigger } from './definition.ts';
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
import { dispatch, existing, listRuns, nameOf, runsSubject } from './runs.ts';

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
    subject: runsSubject,
  },
];

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
    key: before?.key ?? nextKeyOf(world.store, name),
    name,
    seq: before?.seq ?? world.nextSeq(),
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
  const place = placeOf(world.store, after);
  if (place !== undefined) return place;
  throw invalid(
    `There is no routine ${shown(after)} to continue after. Start the list again.`,
    'after',
    'list/after-known',
  );
}

function remove(input: Input): Answer {
  const { world, engine } = input.project;
  const name = readName(nameOf(input), false);
  const routine = findRoutine(world.store, name);
  if (!routine) {
    if (world.profile.switches.delete_missing === '404')
      existing(world, name, 'routine/delete-missing');
    return { status: 204 };
  }
  disarm(world, routine);
  if (world.profile.switches.on_delete === 'cancel')
    cancelDeliveries(world, routine, 'deleted', engine);
  deleteRoutine(world.store, routine);
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
