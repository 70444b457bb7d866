/** `foundrite clock`: shows, moves, stops and sets a project's clock. */
import { isoInstant, parseDuration } from '../emulator/clock.ts';
import { type CallFlags, callJson, targetOf } from './call.ts';
import { EXIT, usage } from './exit.ts';
import { instant } from './values.ts';

export interface ClockFlags extends CallFlags {
  to?: string;
  until?: string;
  now?: string;
  rate?: string;
  skip?: boolean;
}

interface Clock {
  now: string;
  rate: number;
  skip: boolean;
  advancing: boolean;
  waiting: { what: string; until: string | null }[];
  heldBy: unknown[];
}

interface Advanced {
  now: string;
  reached: boolean;
  stopped?: { reason: string; detail: string };
  fired: { routine: string; trigger: string; at: string; run: string; late: boolean }[];
}

export async function showClock(flags: ClockFlags): Promise<void> {
  const target = targetOf(flags);
  process.stdout.write(clockLine(await callJson<Clock>(target, `${target.path}/clock`)));
}

export async function setClock(flags: ClockFlags): Promise<void> {
  if (flags.rate !== undefined && flags.rate !== '0' && flags.rate !== '1') {
    throw usage(`--rate is "${flags.rate}": write 0 or 1.`);
  }
  const body = {
    ...(flags.now === undefined ? {} : { now: isoInstant(checkedInstant('--now', flags.now)) }),
    ...(flags.rate === undefined ? {} : { rate: Number(flags.rate) }),
    ...(flags.skip === undefined ? {} : { skip: flags.skip }),
  };
  if (Object.keys(body).length === 0)
    throw usage('clock set needs something to set: --now, --rate, --skip or --no-skip.');
  const target = targetOf(flags);
  process.stdout.write(
    clockLine(await callJson<Clock>(target, `${target.path}/clock`, { method: 'PUT', body })),
  );
}

export async function advanceClock(by: string | undefined, flags: ClockFlags): Promise<number> {
  const target = targetOf(flags);
  const body = distance(by, flags);
  const { now, reached, stopped, fired } = await callJson<Advanced>(
    target,
    `${target.path}/clock:advance`,
    {
      method: 'POST',
      body,
    },
  );
  for (const { routine, trigger, at, run, late } of fired) {
    process.stdout.write(`fired ${routine} (${trigger}) at ${at}${late ? ', late' : ''}: ${run}\n`);
  }
  const end = reached ? 'reached' : `stopped (${stopped?.reason}): ${stopped?.detail}`;
  process.stdout.write(`now ${now}, ${fired.length} fired, ${end}\n`);
  return reached ? EXIT.ok : EXIT.broken;
}

export async function stopClock(flags: ClockFlags): Promise<void> {
  const target = targetOf(flags);
  const path = `${target.path}/clock:stop`;
  const { advancing } = await callJson<Clock>(target, path, { method: 'POST' });
  process.stdout.write(
    advancing ? 'the advance stops at the next instant\n' : 'no advance is under way\n',
  );
}

function distance(by: string | undefined, { to, until }: ClockFlags): object {
  if ([by, to, until].filter((one) => one !== undefined).length !== 1) {
    throw usage('clock advance needs one of: a duration (2h, PT2H), --to INSTANT, --until idle.');
  }
  if (to !== undefined) return { to: isoInstant(checkedInstant('--to', to)) };
  if (until !== undefined) {
    if (until !== 'idle') throw usage(`--until is "${until}": write idle.`);
    return { until };
  }
  if (parseDuration(by as string) === undefined) {
    throw usage(`clock advance cannot read the duration "${by}": write 90s, 1h30m, 2d or PT2H.`);
  }
  return { by };
}

function checkedInstant(flag: string, written: string): number {
  try {
    return instant(written);
  } catch (error) {
    throw usage(`${flag} is "${written}": ${(error as Error).message}`);
  }
}

function clockLine({ now, rate, skip, advancing, waiting, heldBy }: Clock): string {
  const waits = waiting.map(
    ({ what, until }) => `  ${what} waits${until === null ? '' : ` for ${until}`}\n`,
  );
  const held = heldBy.map(
    (hold) => `  held by ${typeof hold === 'string' ? hold : JSON.stringify(hold)}\n`,
  );
  return `now ${now} rate ${rate} skip ${skip}${advancing ? ' advancing' : ''}\n${[...waits, ...held].join('')}`;
}
