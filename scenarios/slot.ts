/** Slots: what is put into the texts of a scenario while it is played. */
import { parseDuration } from '../contracts/duration.ts';

/** What an expectation is compared in. */
export interface Frame {
  /** The scenario's `now`, from which offsets count; milliseconds since the epoch. */
  start: number;
  /** Where the world's clock stands. */
  now: number;
  captures: Map<string, unknown>;
  /** How far an instant may be off without a tolerance of its own; 0 on an emulator. */
  toleranceMs: number;
}

/** A marker that cannot be read, or a capture that nothing has set. */
export class PatternError extends Error {
  override name = 'PatternError';
}

const OFFSET = /^([+-])((?:\d+(?:\.\d{1,3})?(?:ms|s|m|h|d))+)$/;

/** `+1m30s` in milliseconds. */
export function readOffset(text: string): number | undefined {
  const [, sign, duration] = OFFSET.exec(text) ?? [];
  if (duration === undefined) return undefined;
  const ms = parseDuration(duration);
  return ms === undefined ? undefined : sign === '-' ? -ms : ms;
}

const SLOT = /\{\{([^{}]*)\}\}/g;

/** The slots of a text, as written between the braces. */
export function slotsIn(text: string): string[] {
  return [...text.matchAll(SLOT)].map(([, slot = '']) => slot);
}

/** Whether a slot is a capture's name, not an instant or a repetition. */
export function isName(slot: string): boolean {
  return /^[A-Za-z_]\w*$/.test(slot);
}

/** Puts captures (`{{run}}`), instants (`{{+1h}}`) and repetitions (`{{x*257}}`) into a text; a slot that is all of it keeps its type. */
export function fillIn(text: string, frame: Frame): unknown {
  const whole = /^\{\{([^{}]*)\}\}$/.exec(text)?.[1];
  if (whole !== undefined) return slotValue(whole, frame);
  return text.replace(SLOT, (_, slot: string) => {
    const value = slotValue(slot, frame);
    return typeof value === 'string' ? value : JSON.stringify(value);
  });
}

function slotValue(slot: string, frame: Frame): unknown {
  if (isName(slot)) {
    if (frame.captures.has(slot)) return frame.captures.get(slot);
    throw new PatternError(`{{${slot}}} was not captured before this step`);
  }
  const offset = readOffset(slot);
  if (offset !== undefined) {
    const at = new Date(frame.start + offset);
    if (Number.isNaN(at.getTime())) throw new PatternError(`{{${slot}}} is later than any instant`);
    return at.toISOString();
  }
  const [, text, times] = /^(.+)\*(\d{1,7})$/s.exec(slot) ?? [];
  if (text !== undefined) return text.repeat(Number(times));
  throw new PatternError(
    `{{${slot}}} is no slot. Write a captured name, an offset such as {{+1h}}, or a repetition such as {{x*257}}.`,
  );
}

/** The same in every text of a value. */
export function fillAll(value: unknown, frame: Frame): unknown {
  if (typeof value === 'string') return fillIn(value, frame);
  if (Array.isArray(value)) return value.map((item) => fillAll(item, frame));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [String(fillIn(key, frame)), fillAll(item, frame)]),
  );
}
