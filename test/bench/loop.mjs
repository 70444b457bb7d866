// The loop that the engine is compared with: the statements of a firing and the arithmetic of schedules, and no engine.
//
// Included, per firing: the 25 statements of statements.mjs in their order on the same tables, indexes and pragmas, with the values
// that the engine writes; the rows that they read, built by better-sqlite3; nextFireAt on a compiled schedule; the five
// ids (SHA-256 of seed, purpose, parent, ordinal); JSON.stringify of the action, of what the agent is asked, of both journal lines. A hundred firings are one transaction.
// Left out, so that they count as the engine's cost: turns (three per instant and hundred), the world's position row, parsing of triggers, actions,
// definitions and bodies, faults, retry policy, the agent's answer and its ids, the list of firings and its JSON.

import { readCron } from '../../emulator/cron.ts';
import { drawFrom } from '../../emulator/ids.ts';
import { nextFireAt, schedule } from '../../emulator/schedule.ts';
import { FIRING, TRIM, TRIM_EVERY } from './statements.mjs';

const BATCH = 100;
const CONSEQUENCE = 0;
const TRIGGER = 1;

export function makeLoop(db) {
  const [
    takeTrigger,
    findRoutine,
    addTrigger,
    findAgentAtDispatch,
    findVersionAtDispatch,
    addRun,
    addAttemptItem,
    addFireLine,
    afterTrigger,
    takeAttemptItem,
    findRun,
    addAttempt,
    markDispatching,
    findAgent,
    findSession,
    findVersion,
    findReply,
    addSession,
    afterAttempt,
    addResponse,
    findLogLine,
    addLogLine,
    endAttempt,
    addAttemptLine,
    markCompleted,
  ] = FIRING.map((text) => db.prepare(text));
  const trim = db.prepare(TRIM);
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const first = db.prepare('SELECT * FROM due ORDER BY due_at, class, seq LIMIT 1');

  const world = db.prepare('SELECT * FROM world').get();
  const draw = drawFrom(world.seed);
  const journalMax = JSON.parse(world.profile).settings.journal_max;
  let dueSeq = world.due_seq;
  let journalSeq = world.journal_seq;
  const known = new Map();
  for (const row of db.prepare('SELECT * FROM routine').all()) {
    const { cron_expression: cron, time_zone: zone } = JSON.parse(row.trigger);
    known.set(row.key, { plan: planOf(cron, zone), delivery: JSON.parse(row.action) });
  }

  function line(statement, at, kind, routine, run, data) {
    journalSeq += 1;
    statement.run(journalSeq, at, kind, routine, run, JSON.stringify(data), null);
    if (journalSeq % TRIM_EVERY === 0) trim.run(journalSeq - journalMax);
  }

  /** Fires what one row of the wheel says, to its end; the next row. */
  function fire(item) {
    const at = item.due_at;
    takeTrigger.run(at, item.class, item.seq);
    const routine = findRoutine.get(item.ref.slice(0, item.ref.lastIndexOf('#')));
    const { plan, delivery } = known.get(routine.key);
    dueSeq += 1;
    addTrigger.run(nextFireAt(plan, at), TRIGGER, dueSeq, 'trigger', routine.key, item.subject);
    const id = draw.id('run-', 'schedule_delivery', routine.key, at);
    const dispatchId = draw.id('disp-', 'dispatch', id, 1);
    const promised = findAgentAtDispatch.get(delivery.agent_name);
    findVersionAtDispatch.get(promised.name, promised.last_seq);
    const correlationId = draw.id('caresp_', 'answer', dispatchId, 1);
    const taskId = draw.id('task-', 'task', id, 1);
    const { lastInsertRowid } = addRun.run(
      id,
      routine.name,
      routine.key,
      'queued',
      'schedule_delivery',
      routine.trigger_type,
      routine.trigger_name,
      null,
      JSON.stringify(delivery),
      delivery.agent_name,
      at,
      at,
      dispatchId,
      correlationId,
      taskId,
      null,
    );
    const runSeq = Number(lastInsertRowid);
    dueSeq += 1;
    const attemptItemSeq = dueSeq;
    addAttemptItem.run(at, CONSEQUENCE, dueSeq, 'attempt', `run:${runSeq}`, item.subject);
    line(addFireLine, at, 'fire', routine.name, id, {
      trigger: routine.trigger_name,
      source: 'schedule_delivery',
    });
    const next = afterTrigger.get(at, item.class, item.seq);

    takeAttemptItem.run(at, CONSEQUENCE, attemptItemSeq);
    const run = findRun.get(runSeq);
    const attemptSeq = Number(addAttempt.run(run.seq, 1, at).lastInsertRowid);
    markDispatching.run(at, 1, run.seq);

    const agent = findAgent.get(run.agent);
    const sessionId = draw.uuid('session', `${agent.key} ${run.dispatch_id}`, 1);
    findSession.get(agent.key, sessionId);
    const { version } = findVersion.get(agent.name, agent.last_seq);
    findReply.get(agent.name);
    dueSeq += 1;
    const sessionSeq = dueSeq;
    addSession.run(
      agent.key,
      sessionId,
      sessionSeq,
      version,
      null,
      null,
      at,
      at,
      at,
      null,
      1,
      null,
      0,
      null,
    );
    afterAttempt.get(at, CONSEQUENCE, attemptItemSeq);

    const body = { input: delivery.input };
    const asked = JSON.stringify(body);
    dueSeq += 1;
    addResponse.run(
      dueSeq,
      run.correlation_id,
      agent.key,
      version,
      sessionId,
      null,
      'completed',
      at,
      at,
      asked,
      null,
    );
    findLogLine.get(sessionSeq);
    addLogLine.run(sessionSeq, 1, at, null, 'call', 'responses 200');
    endAttempt.run(at, 'answered', 200, attemptSeq);
    line(addAttemptLine, at, 'attempt', run.routine, run.id, {
      attempt: 1,
      outcome: 'answered',
      status: 200,
      next: 'complete',
      sent: {
        agent: run.agent,
        protocol: 'responses',
        body,
        request_id: run.dispatch_id,
      },
    });
    markCompleted.run(at, null, run.seq);
    return next;
  }

  /** Fires everything due up to and including an instant; how many that were. */
  return function run(until) {
    let fired = 0;
    let item = first.get();
    while (item.due_at <= until) {
      begin.run();
      for (let taken = 0; taken < BATCH && item.due_at <= until; taken += 1) {
        item = fire(item);
        fired += 1;
      }
      commit.run();
    }
    return fired;
  };
}

const plans = new Map();

/** Compiled once for each text, as the engine does. */
function planOf(expression, zone) {
  const key = `${expression}|${zone}`;
  if (!plans.has(key)) plans.set(key, schedule(readCron(expression), zone));
  return plans.get(key);
}
