/** `foundrite fire ROUTINE`: fires a trigger now, or as if an instant had come. */
import { isoInstant } from '../emulator/clock.ts';
import { type CallFlags, callJson, targetOf } from './call.ts';
import { usage } from './exit.ts';
import { instant } from './values.ts';

export interface FireFlags extends CallFlags {
  at?: string;
  payload?: string;
}

interface Fired {
  trigger: string;
  at: string;
  run: string;
}

export async function fire(routine: string, flags: FireFlags): Promise<void> {
  const body = {
    ...(flags.at === undefined
      ? {}
      : { scheduled_fire_at: checked('--at', flags.at, (at) => isoInstant(instant(at))) }),
    ...(flags.payload === undefined
      ? {}
      : { payload: checked('--payload', flags.payload, JSON.parse) }),
  };
  const target = targetOf(flags);
  const path = `${target.path}/routines/${encodeURIComponent(routine)}:fire`;
  const { trigger, at, run } = await callJson<Fired>(target, path, { method: 'POST', body });
  process.stdout.write(`fired ${routine} (${trigger}) at ${at}: ${run}\n`);
}

function checked(flag: string, written: string, parse: (text: string) => unknown): unknown {
  try {
    return parse(written);
  } catch (error) {
    throw usage(`${flag} is "${written}": ${(error as Error).message}`);
  }
}
