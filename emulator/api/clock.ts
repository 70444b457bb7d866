/** A world's clock by control: read, set and advanced; an advance is one answer, or a line per settled instant. */
import { INSTANT_MAX, type Instant, isoInstant, parseDuration, SECOND } from '../clock.ts';
import type { Stop } from '../engine.ts';
import { type ApiError, conflict, invalid, shown } from '../errors.ts';
import type { Project } from '../projects.ts';
import type { Firing } from '../told.ts';
import { type Controlled, controlTurn, projectOf } from './controlled.ts';
import { Disconnected } from './http.ts';
import { type Answer, bodyAs } from './input.ts';

const STOP_DETAIL: Record<string, string> = {
  cancelled:
    'The caller hung up, and the same `to` goes on from here; or the project was reset. Nothing was undone.',
  stop: 'clock:stop was called. Nothing was undone; the same `to` goes on from here.',
  wall: 'It took longer than wall_max. Nothing was undone; the same `to` goes on from here.',
  fired_max: 'More than fired_max firings. Nothing was undone; the same `to` goes on from here.',
};

export function advance(call: Controlled): Answer | Response | Promise<Answer> {
  const project = projectOf(call);
  const { world, engine } = project;
  if (engine.advancing) throw busy();
  const limit = readLimit(call, project);
  const abort = new AbortController();
  const stream = call.c.req.header('accept')?.includes('application/x-ndjson');
  const { wall_max: wallMaxMs, fired_max: firedMax } = world.profile.settings;
  if (stream) return streamed(project, limit, abort, wallMaxMs);
  const signal = call.c.req.raw.signal;
  if (signal.aborted) abort.abort();
  signal.addEventListener('abort', () => abort.abort(), { once: true });
  return whole(project, limit, { signal: abort.signal, wallMaxMs, firedMax });
}

function tooFar(param: string): ApiError {
  return invalid(
    `The clock ends at ${isoInstant(INSTANT_MAX)}, and '${param}' is later. Name an instant before that.`,
    param,
    'clock/ends',
  );
}

function readLimit(call: Controlled, project: Project): Instant | 'idle' {
  const { world } = project;
  const body = bodyAs('AdvanceRequest', call.body);
  if ('until' in body) return 'idle';
  const to = 'by' in body ? world.now + readDuration(body.by, 'by') : readInstant(body.to, 'to');
  if (to > INSTANT_MAX) throw tooFar('by' in body ? 'by' : 'to');
  if (to < world.now) throw backwards(to, world.now, 'to');
  return to;
}

interface Bounds {
  signal: AbortSignal;
  wallMaxMs: number;
  firedMax?: number;
}

async function whole(project: Project, limit: Instant | 'idle', bounds: Bounds): Promise<Answer> {
  const fired: unknown[] = [];
  const stop = await run(project, limit, bounds, (_, firings) =>
    fired.push(...firings.map(viewFiring)),
  );
  const { world } = project;
  const body = {
    now: isoInstant(world.now),
    ...ending(stop),
    fired,
    fired_truncated: stop.reason === 'fired_max',
    cursor: world.journalSeq,
  };
  return { status: 200, body };
}

/** Runs to the limit and writes down how far it came: that line is the input that replay repeats. */
async function run(
  project: Project,
  limit: Instant | 'idle',
  bounds: Bounds,
  onInstant: (at: Instant, fired: Firing[], turns: number) => void,
): Promise<Stop> {
  const { world, engine } = project;
  const { epoch } = world;
  const stop = await engine.advance({ limit, onInstant, ...bounds });
  // A reset made another world of it, or it is closed: this advance is no part of its story.
  if (world.epoch !== epoch || engine.closed) return stop;
  const outcome = stop.reason === 'end' ? {} : { stopped: stop.reason };
  world.turn(() => {
    if (stop.reason === 'end' && limit !== 'idle') world.moveTo(limit);
    world.record({ kind: 'advance', data: { to: isoInstant(world.now), ...outcome } });
  });
  return stop;
}

function streamed(
  project: Project,
  limit: Instant | 'idle',
  abort: AbortController,
  wallMaxMs: number,
): Response {
  const { world } = project;
  const encoder = new TextEncoder();
  let firedCount = 0;
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (frame: Record<string, unknown>) => {
        if (!abort.signal.aborted) controller.enqueue(encoder.encode(`${JSON.stringify(frame)}\n`));
      };
      let cancelProgress = () => {};
      const progress = () => {
        send({ kind: 'progress', now: isoInstant(world.now), fired_count: firedCount });
        cancelProgress = world.host.after(SECOND, progress);
      };
      cancelProgress = world.host.after(SECOND, progress);
      const stop = await run(
        project,
        limit,
        { signal: abort.signal, wallMaxMs },
        (at, fired, turns) => {
          firedCount += fired.length;
          send({ kind: 'instant', at: isoInstant(at), turns, fired: fired.map(viewFiring) });
        },
      );
      cancelProgress();
      send({
        kind: 'summary',
        now: isoInstant(world.now),
        ...ending(stop),
        fired_count: firedCount,
        cursor: world.journalSeq,
      });
      if (!abort.signal.aborted) controller.close();
    },
    cancel: () => abort.abort(),
  });
  return new Response(body, {
    status: 200,
    headers: { 'content-type': 'application/x-ndjson', 'x-foundrite-now': isoInstant(world.now) },
  });
}

function ending(stop: Stop): Record<string, unknown> {
  if (stop.reason === 'end') return { reached: true };
  const detail =
    stop.reason === 'held'
      ? `The gate '${stop.gate}' holds a call. Release it, or advance again to go on without it.`
      : stop.reason === 'stuck'
        ? stop.detail
        : (STOP_DETAIL[stop.reason] ?? stop.reason);
  return { reached: false, stopped: { reason: stop.reason, detail } };
}

function viewFiring(firing: Firing): Record<string, unknown> {
  return {
    routine: firing.routine,
    trigger: firing.trigger,
    at: isoInstant(firing.at),
    run: firing.run,
    late: firing.late,
  };
}

/** Goes all the way, past gates and long stretches; only what is stuck is in its way, and whoever stops it or hangs up. */
async function advanceTo(project: Project, now: Instant, signal: AbortSignal): Promise<void> {
  const { world, engine } = project;
  const { epoch } = world;
  for (;;) {
    const stop = await engine.advance({ limit: now, signal });
    if (stop.reason === 'end' || world.epoch !== epoch || engine.closed) return;
    if (stop.reason === 'stuck')
      throw conflict(`The clock cannot go on: ${stop.detail}.`, 'clock/never-skips-due-work');
    if (stop.reason !== 'stop' && stop.reason !== 'cancelled') continue;
    // How far it came is what replay repeats.
    const at = isoInstant(world.now);
    world.turn(() => world.record({ kind: 'advance', data: { to: at, stopped: stop.reason } }));
    if (stop.reason === 'cancelled') throw new Disconnected();
    throw conflict(
      `The clock was stopped at ${at}, on its way to ${isoInstant(now)}. Set it again to go on.`,
      'clock/stop',
    );
  }
}

export async function setClock(call: Controlled): Promise<Answer> {
  const project = projectOf(call);
  const { world, engine } = project;
  const body = bodyAs('ClockUpdate', call.body);
  const now = body.now === undefined ? undefined : readInstant(body.now, 'now');
  if (now !== undefined && now < world.now) throw backwards(now, world.now, 'now');
  if (now !== undefined && engine.advancing) throw busy();
  // What is due on the way runs: setting the clock is no way around it.
  if (now !== undefined) await advanceTo(project, now, call.c.req.raw.signal);
  controlTurn(call, project, 'setClock', () =>
    world.setClock({ now, rate: body.rate, skip: body.skip }),
  );
  return { status: 200, body: viewClock(project) };
}

/** As InstantInput of openapi.yaml; `Date.parse` alone would also take words, and the 31st of February for the 3rd of March. */
const INSTANT =
  /^((?:\d{4}|\+\d{6})-(?:0[1-9]|1[0-2])-(\d\d))T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)$/;

export function readInstant(text: string, param: string): Instant {
  const [, date = '', day] = INSTANT.exec(text) ?? [];
  const midnight = new Date(`${date}T00:00:00Z`);
  const at = Date.parse(text);
  if (day !== undefined && date.startsWith('+') && Number.isNaN(at)) throw tooFar(param);
  if (day !== undefined && midnight.getUTCDate() === Number(day)) return at;
  throw invalid(
    `${shown(text)} is no instant. Write it with an offset, like 2026-06-01T07:00:00Z.`,
    param,
    'clock/now-is-an-instant',
  );
}

export function readDuration(
  text: string,
  param: string,
  rule = 'clock/advance-by-to-or-until',
): number {
  const ms = parseDuration(text);
  if (ms === undefined)
    throw invalid(
      `${shown(text)} is no duration. Write it like '90s', '2m', '1h30m' or 'P30D'.`,
      param,
      rule,
    );
  return ms;
}

export function backwards(to: Instant, now: Instant, param: string): ApiError {
  return invalid(
    `The clock stands at ${isoInstant(now)} and does not go back to ${isoInstant(to)}. Reset the project to start over.`,
    param,
    'clock/never-goes-back',
  );
}

export function busy(): ApiError {
  return conflict(
    'The clock is being advanced already. Wait for it, or stop it with clock:stop.',
    'clock/one-advance-at-a-time',
  );
}

export function viewClock(project: Project): Record<string, unknown> {
  const { world, engine } = project;
  return {
    now: isoInstant(world.now),
    rate: world.rate,
    skip: world.skip,
    advancing: engine.advancing,
    waiting: engine.waits.list().map(({ what, until }) => ({
      what,
      until: until === undefined ? null : isoInstant(until),
    })),
    heldBy: engine.holds,
  };
}
