/** Routine runs as clients see them: dispatched by hand, and listed. */
import type { Instant } from '../clock.ts';
import { ApiError, invalid, notFound, shown } from '../errors.ts';
import { type Action, findRoutine, type RoutineRow } from '../store/routines.ts';
import {
  type Delivery,
  findRunById,
  findRunByRequest,
  lastKeyOf,
  pageRuns,
  type RunRow,
} from '../store/runs.ts';
import { makeRun } from '../work/firing.ts';
import { subjectOf } from '../work/queue.ts';
import type { World } from '../world.ts';
import { readFilter } from './filter.ts';
import {
  type Answer,
  bodyAs,
  envelope,
  type Input,
  type InstantStyle,
  instantStyle,
  readPage,
  type Subject,
} from './input.ts';

export function nameOf(input: Input): string {
  return input.params.routine_name ?? '';
}

export function existing(
  world: World,
  name: string,
  rule = 'routine/unknown-answers-404',
): RoutineRow {
  const routine = findRoutine(world.store, name);
  if (routine) return routine;
  throw notFound(`There is no routine '${name}' in project '${world.project}'.`, rule);
}

export function dispatch(input: Input): Answer {
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

export function listRuns(input: Input): Answer {
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

/**
 * Who lists runs waits for the routine. A later page is read on, not waited for; and on a page that others follow, new runs
 * do not show, only those that are under way change.
 */
export function runsSubject(input: Input, answer: Answer): Subject | undefined {
  if (input.query.get('after')) return undefined;
  const followed = (answer.body as { has_more?: boolean }).has_more === true;
  const newestFirst = readPage(input, 'nextPageToken').order === 'desc';
  return { name: subjectOf(nameOf(input)), triggers: newestFirst || !followed };
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
    response_id: row.phase === 'completed' ? (row.response_id ?? row.correlation_id) : null,
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
