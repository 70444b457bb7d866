/** Refusals of assistants, threads and runs, in the texts that the service is known for (contract/threads.md 8.2). */
import { ApiError, cut } from '../errors.ts';

interface Refused {
  param?: string;
  code?: string;
}

/** 400, conflicts among them: clients ask again after a 409 (contract/threads.md 1). */
export function refusal(message: string, rule: string, { param, code }: Refused = {}): ApiError {
  const about = param === undefined ? {} : { param };
  return new ApiError({ status: 400, code: code ?? null, message, rule, ...about });
}

/** A text as the service shows it, kept to a line. */
export function quoted(text: string): string {
  return `'${cut(JSON.stringify(text).slice(1, -1))}'`;
}

const KINDS = {
  assistant: {
    prefix: 'asst',
    param: 'assistant_id',
    form: 'assistant/id-form',
    unknown: 'assistant/unknown-answers-404',
  },
  thread: {
    prefix: 'thread',
    param: 'thread_id',
    form: 'thread/id-form',
    unknown: 'thread/unknown-answers-404',
  },
  message: {
    prefix: 'msg',
    param: 'message_id',
    form: 'message/id-form',
    unknown: 'message/unknown-answers-404',
  },
  run: {
    prefix: 'run',
    param: 'run_id',
    form: 'thread-run/id-form',
    unknown: 'thread-run/unknown-answers-404',
  },
  step: {
    prefix: 'step',
    param: 'step_id',
    form: 'run-step/id-form',
    unknown: 'run-step/unknown-answers-404',
  },
} as const;

export type Kind = keyof typeof KINDS;

/** An id as a path or a body has it, or the 400 that says which form it must have. */
export function requireId(kind: Kind, id: string): string {
  const { prefix, param, form: rule } = KINDS[kind];
  const about = { param, code: 'invalid_value' };
  const refused = (why: string) =>
    refusal(`Invalid '${param}': ${quoted(id)}. Expected an ID that ${why}.`, rule, about);
  if (/[^A-Za-z0-9_-]/.test(id))
    throw refused(
      'contains letters, numbers, underscores, or dashes, but this value contained additional characters',
    );
  if (!id.startsWith(prefix)) throw refused(`begins with '${prefix}'`);
  return id;
}

/** 404. */
export function noSuch(kind: Kind, id: string): ApiError {
  const message = `No ${kind} found with id ${quoted(id)}.`;
  return new ApiError({ status: 404, code: null, message, rule: KINDS[kind].unknown });
}

/** What an id names. Its form is looked at first, then whether it is there. */
export function existing<Row>(
  kind: Kind,
  id: string | undefined,
  find: (id: string) => Row | undefined,
): Row {
  const known = requireId(kind, id ?? '');
  const row = find(known);
  if (row === undefined) throw noSuch(kind, known);
  return row;
}

/** 400 for what must be sent, `assistant_id` or `tool_outputs[0].tool_call_id`. */
export function missing(param: string, rule: string): ApiError {
  const about = { param, code: 'missing_required_parameter' };
  return refusal(`Missing required parameter: '${param}'.`, rule, about);
}

/** 400 for a word that is none of two. */
export function unsupported(
  value: string,
  [one, other]: readonly [string, string],
  param: string,
  rule: string,
): ApiError {
  return refusal(
    `Invalid value: ${quoted(value)}. Supported values are: '${one}' and '${other}'.`,
    rule,
    {
      param,
      code: 'invalid_value',
    },
  );
}
