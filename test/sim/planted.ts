/** Faults that are put into the emulator from outside, to see that stories find them: by its answers, or by its rows. */
import type { Emulator } from '../../emulator/emulator.ts';
import { type Planted, PROJECT } from './asked.ts';

/** Of the project of a story. */
export function database(emulator: Emulator) {
  return emulator.project(PROJECT).world.store.db;
}

/** SQL that goes along with every change of the world. */
export function along(sql: string): Planted {
  return {
    opened: (emulator) => void database(emulator).exec(`CREATE TEMP TRIGGER planted ${sql}`),
  };
}

/** The verb or control word at the end of a request's path. */
function isPost(request: Request, word: string): boolean {
  return request.method === 'POST' && new URL(request.url).pathname.endsWith(`:${word}`);
}

export const PLANTED: Record<string, Planted> = {
  'the second wait is one second where the answer was a 429': along(`
    AFTER INSERT ON due WHEN new.kind = 'attempt' AND 429 = (
      SELECT status FROM attempt WHERE number = 2 AND new.ref = 'run:' || run_seq
      AND NOT EXISTS (SELECT 1 FROM attempt later WHERE later.run_seq = attempt.run_seq AND later.number > 2))
    BEGIN UPDATE due SET due_at = due_at - 1000 WHERE seq = new.seq AND due_at = new.due_at; END`),

  'a run that failed keeps the status of its first attempt': along(`
    AFTER UPDATE OF phase ON run WHEN new.phase = 'failed' AND new.error_status IS NOT NULL
    BEGIN UPDATE run SET error_status = COALESCE(
      (SELECT status FROM attempt WHERE run_seq = new.seq AND number = 1), error_status)
    WHERE seq = new.seq; END`),

  'a routine that is disabled within five minutes of its instant fires all the same': {
    async fetch(request, ask, emulator) {
      if (!isPost(request, 'disable')) return ask(request);
      const db = database(emulator);
      const { now } = emulator.project(PROJECT).world;
      const kept = db
        .prepare("SELECT * FROM due WHERE kind = 'trigger' AND due_at <= ?")
        .all(now + 300_000);
      const response = await ask(request);
      const insert = db.prepare(
        'INSERT OR IGNORE INTO due VALUES (@due_at, @class, @seq, @kind, @ref, @subject)',
      );
      for (const row of kept) insert.run(row);
      return response;
    },
  },

  'what fires at the very end of an advance fires a moment later': {
    async fetch(request, ask, emulator) {
      if (!isPost(request, 'advance')) return ask(request);
      const { by } = (await request.clone().json()) as { by?: string };
      const [, count, unit = ''] = /^(\d+)([mh])$/.exec(by ?? '') ?? [];
      const { now } = emulator.project(PROJECT).world;
      const end = now + Number(count) * (unit === 'h' ? 3_600_000 : 60_000);
      if (count !== undefined)
        database(emulator)
          .prepare('UPDATE due SET due_at = due_at + 1 WHERE class = 1 AND due_at = ?')
          .run(end);
      return ask(request);
    },
  },

  'a page begins one run too late': {
    async fetch(request, ask) {
      const { pathname, searchParams } = new URL(request.url);
      const response = await ask(request);
      if (!pathname.endsWith('/runs') || !searchParams.has('after') || !response.ok)
        return response;
      const page = (await response.json()) as { data: { id: string }[]; value: unknown[] };
      if (page.data.length > 1) {
        page.data.shift();
        page.value.shift();
        Object.assign(page, { first_id: page.data[0]?.id });
      }
      return new Response(JSON.stringify(page), response);
    },
  },

  'a timer that has fired fires again when its world is brought back': {
    async fetch(request, ask, emulator) {
      const response = await ask(request);
      if (!isPost(request, 'reset') || !response.ok) return response;
      database(emulator).exec(`
        INSERT INTO due SELECT (SELECT now FROM world), 1, 1000000 + seq, 'trigger', key, 'routine:' || name
        FROM routine WHERE trigger_type = 'timer' AND enabled = 1
        AND key NOT IN (SELECT ref FROM due)`);
      return response;
    },
  },
};
