/** How a call went on after the turn in which it began: an input of the world, with a line of its own in the journal. */
import type { ApiError } from '../errors.ts';
import { cutBody } from '../store/journal.ts';
import { findSession } from '../store/sessions.ts';
import type { World } from '../world.ts';
import type { Begun } from './answer.ts';
import { type Kept, keep } from './responses.ts';
import { logLine, stayAwake } from './sessions.ts';

/** JSON, as its line in the journal has it: replay reads it from there. */
export interface Given {
  /** The line of the call. */
  call: number;
  /** Absent where only the end of a stream is told. */
  status?: number;
  code?: string | null;
  rule?: string | undefined;
  /** The session that answered, by the key of its agent. */
  session?: { agent_key: string; id: string; protocol: string };
  kept?: Kept;
  /** It came while the clock was advanced. */
  interleaved?: true;
}

/** An answer that came in a later turn than its question. */
export function answerGiven(
  line: number,
  status: number,
  { call: { protocol }, session }: Pick<Begun, 'call' | 'session'>,
  kept?: Kept,
): Given {
  return {
    call: line,
    status,
    ...(session ? { session: { agent_key: session.agent_key, id: session.id, protocol } } : {}),
    ...(kept ? { kept } : {}),
  };
}

export function refusalGiven(line: number, { status, code, rule }: ApiError): Given {
  return { call: line, status, code, rule };
}

/** Records what came of a call, and what follows from it. Inside a turn. */
export function give(world: World, given: Given): void {
  const { status, session: at, kept } = given;
  world.record({ kind: 'given', data: { ...given, ...(kept ? { kept: keptFor(kept) } : {}) } });
  if (kept) keep(world, kept);
  const session = at && findSession(world.store, at.agent_key, at.id);
  // What was deleted meanwhile has no log any more.
  if (!session || session.ended !== null) return;
  stayAwake(world, session);
  logLine(world, session, 'call', `${at.protocol} ${status}`);
}

/** What is kept of an answer, as the journal has it: of one that is too long for it only its id and status. */
function keptFor(kept: Kept): Kept {
  if (kept.kind === 'invocation') return kept;
  const { asked, said } = kept.row;
  const row = { ...kept.row };
  // Its line has been cut too, and cannot be played again.
  if (cutBody(asked) !== undefined) row.asked = '{}';
  if (said !== null && cutBody(said) !== undefined) row.said = skeletonOf(said);
  return { ...kept, row };
}

function skeletonOf(said: string): string {
  const { response } = JSON.parse(said) as { response?: Record<string, unknown> };
  // Of a script's words the journal has the reply.
  if (response === undefined) return said;
  const { id, object, status } = response;
  return JSON.stringify({ response: { id, object, status, output: [] } });
}
