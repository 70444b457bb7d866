/** Faults that are put into what the emulator keeps of threads and runs, and into what locks them. */
import type { Planted } from './asked.ts';
import { along, database } from './planted.ts';

export const PLANTED_IN_THREADS: Record<string, Planted> = {
  'a run that is given its outputs expires ten minutes later': along(`
    AFTER INSERT ON thread_run WHEN new.status = 'queued' AND new.round > 0
    BEGIN UPDATE thread_run SET expires_at = (SELECT now FROM world) + 600000 WHERE seq = new.seq; END`),

  'a run that waits for outputs is cancelled without cancelling': along(`
    AFTER INSERT ON thread_run WHEN new.status = 'cancelling' AND EXISTS (
      SELECT 1 FROM run_step WHERE run = new.id AND status = 'in_progress' AND calls <> '[]')
    BEGIN UPDATE thread_run SET status = 'cancelled', ended_at = (SELECT now FROM world)
    WHERE seq = new.seq; END`),

  'a run that has failed says that it did so a second later': along(`
    AFTER INSERT ON thread_run WHEN new.status = 'failed'
    BEGIN UPDATE thread_run SET ended_at = ended_at + 1000 WHERE seq = new.seq; END`),

  'a run that waits for outputs does not lock its thread': {
    async fetch(request, ask, emulator) {
      const { pathname } = new URL(request.url);
      if (request.method !== 'POST' || !/\/(?:runs|messages)$/.test(pathname)) return ask(request);
      const db = database(emulator);
      const set = (from: string, to: string) =>
        db
          .prepare(
            `UPDATE thread_run SET ended_at = ${to} WHERE status = 'requires_action' AND ended_at IS ${from}`,
          )
          .run();
      set('NULL', '1');
      const response = await ask(request);
      set('1', 'NULL');
      return response;
    },
  },

  'the step of a run that has expired stays in progress': along(`
    AFTER INSERT ON run_step WHEN new.status = 'expired'
    BEGIN UPDATE run_step SET status = 'in_progress', ended_at = NULL WHERE seq = new.seq; END`),

  'a message that was broken off is completed': along(`
    AFTER UPDATE ON message WHEN new.status = 'incomplete'
    BEGIN UPDATE message SET status = 'completed', completed_at = new.incomplete_at,
      incomplete_at = NULL, incomplete_reason = NULL WHERE seq = new.seq; END`),

  'a run that goes on after its outputs began when it first did': along(`
    AFTER INSERT ON thread_run WHEN new.status = 'in_progress' AND new.round > 1
    BEGIN UPDATE thread_run SET started_at = (
      SELECT MIN(created_at) FROM run_step WHERE run = new.id) WHERE seq = new.seq; END`),
};
