/** The thread that a path names: whether it is there, what locks it, and what its readers wait for. */
import { activeRunOf, type ThreadRunRow } from '../store/thread-runs.ts';
import { findThread, type ThreadRow } from '../store/threads.ts';
import { refOfThreadRun } from '../work/thread-run-events.ts';
import type { World } from '../world.ts';
import type { Input, Subject } from './input.ts';
import { existing, refusal } from './thread-refusal.ts';

export function existingThread({ project, params }: Input): ThreadRow {
  return existing('thread', params.thread_id, (id) => findThread(project.world.store, id));
}

/** Nothing is added to a thread while a run on it has not ended (contract/threads.md 7.3). */
export function requireUnlocked({ store }: World, { id }: ThreadRow): void {
  const active = activeRunOf(store, id);
  if (active === undefined) return;
  throw refusal(
    `Can't add messages to ${id} while a run ${active.id} is active.`,
    'message/locked-by-a-run',
  );
}

/** Whoever reads what is on a thread waits for the run that is active there. */
export function threadSubject({ project, params }: Input): Subject | undefined {
  const active = activeRunOf(project.world.store, params.thread_id ?? '');
  return active && subjectOf(active);
}

/**
 * Whoever reads of a run waits for it, be it that it expires. One that waits for its client is not waited out but by who asks
 * for nothing else, and that often: he may be about to give it its outputs.
 */
export function subjectOf({ id, status }: ThreadRunRow, patience?: number): Subject {
  const subject = { name: refOfThreadRun(id), triggers: false };
  const deadlineAfter = status === 'requires_action' ? patience : 1;
  return deadlineAfter === undefined ? subject : { ...subject, deadlineAfter };
}
