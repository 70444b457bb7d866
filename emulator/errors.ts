/** Failures that the API promises. Bugs are assertions; what is expected is returned. */

export interface ApiErrorInit {
  status: number;
  /** `error.code` on the wire; null where the service sends none. */
  code: string | null;
  message: string;
  /** JSON path of the offending field, e.g. `triggers.morning.cron_expression`. */
  param?: string;
  /** Id of the ledger's rule that this refusal enforces; sent as `x-foundrite-rule`. */
  rule?: string;
  type?: string;
  headers?: Record<string, string>;
}

/** Thrown by handlers; turned into an answer in one place, app.ts. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string | null;
  readonly param: string | undefined;
  readonly rule: string | undefined;
  readonly type: string;
  readonly headers: Record<string, string>;

  constructor(init: ApiErrorInit) {
    super(init.message);
    this.name = 'ApiError';
    this.status = init.status;
    this.code = init.code;
    this.param = init.param;
    this.rule = init.rule;
    this.type = init.type ?? 'invalid_request_error';
    this.headers = init.headers ?? {};
  }

  /** The error envelope of contract/routines.md 8.1: always nested, because every JavaScript client crashes on a flat one. */
  toBody(): { error: Record<string, unknown> } {
    const error: Record<string, unknown> = {
      code: this.code,
      message: this.message,
      param: this.param ?? null,
      type: this.type,
    };
    return { error };
  }
}

/** 400 for a value that a rule refuses. The message says what was wrong, with which value, and what to do. */
export function invalid(message: string, param: string | undefined, rule: string): ApiError {
  return new ApiError({
    status: 400,
    code: 'invalid_request',
    message,
    ...(param === undefined ? {} : { param }),
    rule,
  });
}

/** 404; `param` is the field of the body that names what is not there, and absent where the path does. */
export function notFound(message: string, rule: string, param?: string): ApiError {
  const about = param === undefined ? {} : { param };
  return new ApiError({ status: 404, code: 'not_found', message, rule, ...about });
}

export function conflict(message: string, rule: string): ApiError {
  return new ApiError({ status: 409, code: 'conflict', message, rule });
}

/** 501 for what the service has and the emulator has not: never an invented refusal. */
export function notEmulated(message: string, param?: string): ApiError {
  const about = param === undefined ? {} : { param };
  return new ApiError({
    status: 501,
    code: 'NotEmulated',
    message,
    rule: 'request/not-emulated',
    ...about,
  });
}

/** A value as an error message shows it: JSON, cut to a line. */
export function shown(value: unknown): string {
  return cut(JSON.stringify(value) ?? String(value));
}

/** A text as far as it fits on a line. */
export function cut(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
