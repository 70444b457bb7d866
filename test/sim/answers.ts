/** How the model tells routines and runs, without their ids; instants are ms. */
import type { Json } from './definition.ts';
import type { Routine, Run } from './state.ts';

/** A routine as it is answered; instants are ms. */
export function viewRoutine(routine: Routine): Json {
  const { name, description, enabled, trigger, action, identity, createdAt, updatedAt } = routine;
  const timer = trigger.type === 'timer' ? { at: trigger.at } : {};
  return {
    name,
    description,
    enabled,
    triggers: { [trigger.name]: { ...trigger.shown, ...timer } },
    action: action.shown,
    created_at: createdAt,
    updated_at: updatedAt,
    authorization: { identity },
  };
}

/** A run as it is listed, without its ids; instants are ms. */
export function viewRun(run: Run): Json {
  const { action, error } = run;
  const status = {
    completed: 'FINISHED',
    failed: 'FAILED',
    queued: 'RUNNING',
    dispatching: 'RUNNING',
  };
  const { conversation_id, session_id, agent_endpoint_id } = action.shown;
  return {
    status: status[run.phase],
    phase: run.phase,
    attempt_source: run.source,
    action_type: action.type,
    agent_id: action.agent,
    agent_endpoint_id,
    conversation_id,
    session_id,
    trigger_type: run.triggerType,
    trigger_name: run.triggerName,
    trigger_event_payload: run.payload,
    triggered_at: run.triggeredAt,
    scheduled_fire_at: run.scheduledFireAt,
    started_at: run.startedAt,
    ended_at: run.endedAt,
    error_type: error?.type,
    error_status_code: error?.status,
  };
}
