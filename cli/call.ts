/** Calls to an emulator that runs elsewhere. What goes wrong becomes an exit code and a sentence. */
import { EXIT, Exit, usage } from './exit.ts';
import { DEFAULT_HOST, DEFAULT_PORT, DEFAULT_PROJECT } from './flags.ts';

export interface CallFlags {
  url?: string;
  project?: string;
  controlToken?: string;
}

export interface Target {
  url: string;
  project: string;
  token: string | undefined;
  /** The project's own control routes. */
  path: string;
}

export function targetOf(flags: CallFlags, variables: NodeJS.ProcessEnv = process.env): Target {
  const written =
    flags.url ??
    (variables.FOUNDRITE_URL ||
      `http://${DEFAULT_HOST}:${variables.FOUNDRITE_PORT || DEFAULT_PORT}`);
  const url = URL.parse(written);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw usage(
      `--url is "${written}": write where the emulator listens, like http://127.0.0.1:3686.`,
    );
  }
  const project = flags.project ?? (variables.FOUNDRITE_PROJECT || DEFAULT_PROJECT);
  return {
    url: url.origin,
    project,
    token: flags.controlToken ?? (variables.FOUNDRITE_CONTROL_TOKEN || undefined),
    path: `/_emulator/projects/${encodeURIComponent(project)}`,
  };
}

export interface Call {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

export async function call(
  target: Target,
  path: string,
  { method, body, headers }: Call = {},
): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(`${target.url}${path}`, {
      method: method ?? 'GET',
      headers: {
        ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    const cause =
      ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code ??
      (error as Error).message;
    throw new Exit(
      EXIT.unreachable,
      `No emulator answers at ${target.url} (${cause}). Start one with "foundrite start", or name another with --url.`,
    );
  }
  if (answer.ok) return answer;
  throw await refusal(answer, `${method ?? 'GET'} ${path}`);
}

async function refusal(answer: Response, what: string): Promise<Exit> {
  const text = await answer.text();
  let message = text.slice(0, 300);
  try {
    message = (JSON.parse(text) as { error?: { message?: string } }).error?.message ?? message;
  } catch {
    // Not ours, then: its own words will do.
  }
  const { status } = answer;
  if (status === 401 || status === 403) {
    return new Exit(
      EXIT.refused,
      `${what}: ${status} ${message} (--control-token, or FOUNDRITE_CONTROL_TOKEN)`,
    );
  }
  return new Exit(status >= 500 ? EXIT.bug : EXIT.usage, `${what}: ${status} ${message}`);
}

export async function callText(target: Target, path: string, more?: Call): Promise<string> {
  return (await call(target, path, more)).text();
}

export async function callJson<T>(target: Target, path: string, more?: Call): Promise<T> {
  const text = await callText(target, path, more);
  return (text === '' ? {} : JSON.parse(text)) as T;
}
