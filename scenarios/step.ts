/** The words of a scenario's steps. */
import { CONTROL_CALLS, paramsOf } from '../contracts/control.ts';
import { controlCall } from '../contracts/target.ts';

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

/** What a control word's path names: as a field of the step's value (`run`), and as openapi.yaml has it (`run_id`). */
export function namedBy(word: string): { field: string; param: string } | undefined {
  const call = controlCall(word);
  const [param] = call ? paramsOf(call) : [];
  return param === undefined ? undefined : { field: param.replace(/_(?:name|id)$/, ''), param };
}
