/** The words of a scenario's steps. */
import { CONTROL_CALLS } from '../contracts/control.ts';

/** A step as it is written: one word that says what is done, and what goes with it. */
export type Step = Record<string, unknown>;

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'];

/** Every word that a step can begin with. */
export const WORDS = [...METHODS, 'await', 'parallel', ...CONTROL_CALLS.map(({ word }) => word)];

/** `2xx` is any of them: for steps whose exact status is another scenario's claim. */
export const STATUS = /^[1-5](?:\d\d|xx)$/;

export function isMethod(word: string): boolean {
  return METHODS.includes(word);
}

/** The word of a step that has been checked. */
export function wordOf(step: Step): string {
  return Object.keys(step).find((key) => WORDS.includes(key)) ?? '';
}
