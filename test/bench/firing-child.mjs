// One round of one case, in a process of its own: by the engine, asked as a user asks, or by the loop. Prints what it took and what
// it left in the store.
import { createHash } from 'node:crypto';
import { makeLoop } from './loop.mjs';
import { ask, openWorld, putRoutines, span } from './world.mjs';

const { by, dataDir, routines, zone, spread, firings, warm } = JSON.parse(process.argv[2]);
const { now, warmUntil, until } = span({ routines, firings, warm });
const emulator = openWorld({ dataDir, now });
await putRoutines(emulator, { routines, zone, spread });
const { db } = emulator.project('local').world.store;

const advance = (to) =>
  ask(emulator, 'POST', '/_emulator/projects/local/clock:advance', {
    to: new Date(to).toISOString(),
  });
const runTo = by === 'engine' ? advance : makeLoop(db);

const count = () => db.prepare('SELECT count(*) FROM run').pluck().get();
await runTo(warmUntil);
const before = count();
const startedAt = performance.now();
const answer = await runTo(until);
const ms = performance.now() - startedAt;
const fired = count() - before;

if (by === 'engine' && !JSON.parse(answer).reached)
  throw new Error(`the advance stopped: ${answer.slice(-400)}`);
const incomplete = db.prepare("SELECT count(*) FROM run WHERE phase <> 'completed'").pluck().get();
if (incomplete > 0) throw new Error(`${incomplete} runs are not completed`);

/** What both must leave alike. Numbers on the wheel, in the journal and of what is made on the way differ by the order within an instant, and by what no firing wrote. */
const LEFT = [
  'SELECT * FROM run ORDER BY seq',
  'SELECT * FROM attempt ORDER BY seq',
  "SELECT at, kind, routine, run, data, extra FROM journal WHERE kind IN ('fire', 'attempt') ORDER BY run, kind",
  'SELECT due_at, class, kind, ref, subject FROM due ORDER BY due_at, class, ref',
  `SELECT agent_key, id, version, owner, idle_ms, created_at, last_accessed_at, ready_at, awake_at, ready, stopped_at, stopped,
     ended, n, said_at, at, stream, message FROM session LEFT JOIN session_log ON session = seq ORDER BY id`,
  `SELECT id, agent_key, version, session, conversation, status, created_at, ended_at, asked, said FROM response ORDER BY id`,
];
const digest = createHash('sha256');
for (const text of LEFT)
  for (const row of db.prepare(text).raw().iterate()) digest.update(JSON.stringify(row));

await emulator.close();
process.stdout.write(JSON.stringify({ fired, ms, left: digest.digest('hex') }));
