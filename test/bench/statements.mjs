// What one firing of a schedule asks of the store, in its order: traced from the engine, and written down here for the loop that
// the engine is compared with. `checkStatements` traces it anew at the start of every bench: a bench against statements of
// yesterday would flatter.
import { BenchError } from './measure.mjs';
import { ask, openWorld, putRoutines } from './world.mjs';

const NEXT_ITEM =
  'SELECT * FROM due WHERE (due_at, class, seq) > (?, ?, ?) ORDER BY due_at, class, seq LIMIT 1';
const TAKE_ITEM = 'DELETE FROM due WHERE due_at = ? AND class = ? AND seq = ?';
const ADD_ITEM = 'INSERT INTO due VALUES (?, ?, ?, ?, ?, ?)';
const ADD_LINE = 'INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?)';
const FIND_AGENT = 'SELECT * FROM agent WHERE name = ?';
const FIND_VERSION = 'SELECT * FROM agent_version WHERE agent = ? AND seq = ?';

export const FIRING = [
  // The trigger's turn.
  TAKE_ITEM,
  'SELECT * FROM routine WHERE name = ?',
  ADD_ITEM,
  FIND_AGENT,
  FIND_VERSION,
  `INSERT INTO run (id, routine, routine_key, phase, attempt_source, trigger_type, trigger_name, event, action, agent,
     triggered_at, scheduled_fire_at, dispatch_id, correlation_id, task_id, client_request_id)
   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ADD_ITEM,
  ADD_LINE,
  NEXT_ITEM,
  // The attempt's turn.
  TAKE_ITEM,
  'SELECT * FROM run WHERE seq = ?',
  'INSERT INTO attempt (run_seq, number, started_at) VALUES (?, ?, ?)',
  "UPDATE run SET phase = 'dispatching', started_at = coalesce(started_at, ?), attempts = ? WHERE seq = ?",
  // Its call, which begins a session.
  FIND_AGENT,
  'SELECT * FROM session WHERE agent_key = ? AND id = ?',
  FIND_VERSION,
  'SELECT * FROM reply WHERE agent = ?',
  'INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  NEXT_ITEM,
  // Its outcome.
  'INSERT OR REPLACE INTO response VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  'SELECT n FROM session_log WHERE session = ? LIMIT 1',
  'INSERT INTO session_log VALUES (?, ?, ?, ?, ?, ?)',
  'UPDATE attempt SET ended_at = ?, outcome = ?, status = ?, pending = NULL WHERE seq = ?',
  ADD_LINE,
  "UPDATE run SET phase = 'completed', ended_at = ?, response_id = ? WHERE seq = ?",
];

/** Once in so many journal lines: the ring is trimmed. The loop does it as often. */
export const TRIM = 'DELETE FROM journal WHERE seq <= ?';
export const TRIM_EVERY = 1_024;

/** Once in a turn, whatever it holds: what the engine adds. The loop has BEGIN and COMMIT around every hundred firings, and no more. */
const BOOKKEEPING = new Set([
  'BEGIN IMMEDIATE',
  'COMMIT',
  'UPDATE world SET now = ?, host_offset = ?, journal_seq = ?, due_seq = ?',
  'SELECT * FROM due ORDER BY due_at, class, seq LIMIT 1',
]);

/** Layout is no difference. */
function canonical(text) {
  return text.replace(/\s+/g, ' ').trim();
}

/** Fails the bench when a firing no longer executes exactly the statements above. */
export async function checkStatements() {
  const wanted = FIRING.map(canonical);
  const one = await traceInstant(1);
  const place = wanted.findIndex((text, index) => text !== one[index]);
  if (place >= 0 || one.length !== wanted.length) {
    const at = place < 0 ? wanted.length : place;
    throw new BenchError(
      `The statements of a firing have changed: number ${at + 1} was\n  ${wanted[at] ?? '(none)'}\nand is\n  ${one[at] ?? '(none)'}\n` +
        'Bring FIRING in test/bench/statements.mjs and the loop in test/bench/loop.mjs up to date.',
    );
  }
  // The same, each a hundred times, when a hundred share their turns.
  const hundred = await traceInstant(100);
  const extra = counted(hundred);
  for (const text of wanted) extra.set(text, (extra.get(text) ?? 0) - 100);
  const wrong = [...extra].find(([, count]) => count !== 0);
  if (wrong)
    throw new BenchError(
      `A hundred firings that share their turns execute ${wrong[1] > 0 ? 'more' : 'less'} than a hundred times what one does: ${wrong[1]} × ${wrong[0]}\n` +
        'Bring FIRING in test/bench/statements.mjs and the loop in test/bench/loop.mjs up to date.',
    );
  return { perFiring: wanted.length, statements: wanted };
}

/** What one instant at which so many routines fire executes, without the bookkeeping. Statements are prepared by then. */
async function traceInstant(routines) {
  const emulator = openWorld({});
  await putRoutines(emulator, { routines, zone: 'UTC', spread: false });
  await ask(emulator, 'POST', '/_emulator/projects/local/clock:advance', { by: 'PT2H' });
  const { world, engine } = emulator.project('local');
  const { store } = world;
  const traced = [];
  const { sql } = store;
  const { prepare, exec } = store.db;
  store.sql = (text) => {
    traced.push(text);
    return sql(text);
  };
  // Whatever goes around the store's own door is seen too.
  store.db.prepare = () => {
    throw new BenchError('A firing prepares statements of its own.');
  };
  store.db.exec = store.db.prepare;
  try {
    await engine.advance({ limit: world.now + 3_600_000 });
  } finally {
    store.sql = sql;
    store.db.prepare = prepare;
    store.db.exec = exec;
  }
  await emulator.close();
  return traced.map(canonical).filter((text) => !BOOKKEEPING.has(text));
}

function counted(texts) {
  const counts = new Map();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}
