// The world that the bench fires in: made, like a user's, through the emulator's own API.
import { createEmulator } from '../../emulator/emulator.ts';

/** Berlin's clocks go forward on 2026-03-29 at 01:00Z: every case fires across that. */
export const START = Date.parse('2026-03-27T00:30:00Z');
const CLOCK_CHANGE = Date.parse('2026-03-29T01:00:00Z');
const HOUR = 3_600_000;

/** Hourly but for noon: a cron that names its hours, so that the rules of clock changes apply to it. */
const HOURS = '0-11,13-23';

export function openWorld({ dataDir, now = START }) {
  return createEmulator({
    now,
    rate: 0,
    skip: false,
    seed: 'bench',
    // One advance fires everything.
    settings: { fired_max: 1_000_000, wall_max: '1h', instant_turns_max: 1_000_000 },
    ...(dataDir === undefined ? {} : { dataDir }),
  });
}

export async function ask(emulator, method, path, body) {
  const answer = await emulator.fetch(
    new Request(`http://localhost${path}`, {
      method,
      headers: { authorization: 'Bearer bench', 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    }),
  );
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text;
}

export function routineBody(zone, minute) {
  return {
    description: 'One of many.',
    enabled: true,
    triggers: {
      hourly: { type: 'schedule', cron_expression: `${minute} ${HOURS} * * *`, time_zone: zone },
    },
    action: {
      type: 'invoke_agent_responses_api',
      agent_name: 'demo-agent',
      input: 'Summarise what is new.',
    },
  };
}

/** All at the same minute, so that they share turns, or `spread` over the minutes of the hour. */
export async function putRoutines(emulator, { routines, zone, spread }) {
  for (let index = 0; index < routines; index += 1) {
    const name = `routine-${String(index).padStart(5, '0')}`;
    const path = `/api/projects/local/routines/${name}?api-version=v1`;
    await ask(emulator, 'PUT', path, routineBody(zone, spread ? index % 60 : 0));
  }
}

/**
 * Where a case starts, and until when it warms up and is measured: about `warm` and `firings` firings, and the clock change of
 * Berlin within what is measured, be it two hours or two years long.
 */
export function span({ routines, firings, warm }) {
  const hours = Math.max(2, Math.round((firings / routines) * (24 / 23)));
  const warmHours = Math.max(1, Math.ceil((warm / routines) * (24 / 23)));
  const measuredFrom = CLOCK_CHANGE - Math.ceil(Math.min(hours, 200) / 2) * HOUR - HOUR / 2;
  return {
    now: measuredFrom - warmHours * HOUR,
    warmUntil: measuredFrom,
    until: measuredFrom + hours * HOUR,
  };
}
