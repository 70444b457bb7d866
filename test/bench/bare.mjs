// What Foundrite is measured against: the same framework and server, and as good as nothing behind them. Its own process, as Foundrite's is.
//   node bare.mjs PORT            a route that answers a constant, or what it was given
//   node bare.mjs PORT FILE       beside it routes that do one read or one insert (kept/: one replacement); FILE may be :memory:
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const [port, path] = process.argv.slice(2);
const app = new Hono();

app.get('/', (c) => c.json({ status: 'ready' }));
app.put('/', async (c) => c.json(await c.req.json()));

if (path !== undefined) {
  const { default: Database } = await import('better-sqlite3');
  const db = new Database(path);
  // As a world's file is opened.
  db.pragma('locking_mode = EXCLUSIVE');
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = NORMAL');
  db.exec(
    'CREATE TABLE routine (seq INTEGER PRIMARY KEY, name TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL) STRICT; CREATE INDEX routine_name ON routine (name)',
  );
  const find = db.prepare('SELECT * FROM routine WHERE name = ? LIMIT 1');
  const add = db.prepare('INSERT INTO routine (name, body, at) VALUES (?, ?, ?)');

  app.get('/api/projects/:project/routines/:name', (c) => {
    const row = find.get(c.req.param('name'));
    return row ? c.json({ ...row, body: JSON.parse(row.body) }) : c.notFound();
  });
  app.put('/api/projects/:project/routines/:name', async (c) => {
    const body = await c.req.json();
    add.run(c.req.param('name'), JSON.stringify(body), 0);
    return c.json(body);
  });

  db.exec(
    'CREATE TABLE kept (name TEXT PRIMARY KEY, body TEXT NOT NULL, at INTEGER NOT NULL) STRICT',
  );
  const findKept = db.prepare('SELECT * FROM kept WHERE name = ?');
  const keep = db.prepare(
    'INSERT INTO kept (name, body, at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body, at = excluded.at',
  );
  app.get('/api/projects/:project/kept/:name', (c) => {
    const row = findKept.get(c.req.param('name'));
    return row ? c.json({ ...row, body: JSON.parse(row.body) }) : c.notFound();
  });
  app.put('/api/projects/:project/kept/:name', async (c) => {
    const body = await c.req.json();
    keep.run(c.req.param('name'), JSON.stringify(body), 0);
    return c.json(body);
  });
}

const server = serve({ fetch: app.fetch, port: Number(port), hostname: '127.0.0.1' });
process.on('SIGTERM', () => {
  server.closeAllConnections();
  server.close(() => process.exit(0));
});
