/** Calls to an emulator that runs elsewhere. What goes wrong becomes an exit code and a sentence. */
import { getCACertificates } from 'node:tls';
import { httpTarget, type Target as Peer } from '../contracts/target.ts';
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
  /** Who is called, from the first call on. */
  peer?: Promise<Peer>;
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
    target.peer ??= peerAt(target.url);
    answer = await (await target.peer).send({
      method: method ?? 'GET',
      path,
      headers: {
        ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new NoAnswer(target.url, (error as Error).message);
  }
  // On each answer of an emulator, and on nobody else's.
  if (!answer.headers.has('x-foundrite-now')) {
    await answer.body?.cancel();
    throw new Exit(
      EXIT.refused,
      `What answers at ${target.url} (${answer.status}) is no Foundrite. Name one with --url, or start it with "foundrite start".`,
    );
  }
  if (answer.ok) return answer;
  throw await refusal(answer, `${method ?? 'GET'} ${path}`);
}

/** Nobody is there, or the connection broke. */
export class NoAnswer extends Exit {
  /** Nobody listens there. */
  readonly refused: boolean;

  constructor(url: string, cause: string) {
    const todo = /CERT|SIGNED|ISSUER|LEAF_SIGNATURE/.test(cause)
      ? 'Name a file with its authority in NODE_EXTRA_CA_CERTS, or call it by http.'
      : 'Start one with "foundrite start", or name another with --url.';
    super(EXIT.unreachable, `No emulator answers at ${url} (${cause.replace(/\.$/, '')}). ${todo}`);
    this.refused = cause.includes('ECONNREFUSED');
  }
}

async function peerAt(url: string): Promise<Peer> {
  const ca = await authorityOf(new URL(url));
  return httpTarget(url, { authorization: '', ca });
}

/** What to trust, the usual authorities included. An emulator gives its own over plain HTTP on the same port; on one's own machine that may be believed. */
export async function authorityOf(url: URL): Promise<string | undefined> {
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' || !loopback) return undefined;
  const plain = httpTarget(`http://${url.host}`, { authorization: '' });
  try {
    const answer = await plain.send({ method: 'GET', path: '/_emulator/ca.pem', headers: {} });
    const pem = await answer.text();
    return answer.ok ? [pem, ...getCACertificates('default')].join('\n') : undefined;
  } catch {
    // What is wrong is told by the first call over TLS.
    return undefined;
  } finally {
    plain.close();
  }
}

async function refusal(answer: Response, what: string): Promise<Exit> {
  const text = await answer.text();
  let message = text.slice(0, 300);
  try {
    message = (JSON.parse(text) as { error?: { message?: string } }).error?.message ?? message;
  } catch {
    // Of something in between, then: its own words will do.
  }
  const { status } = answer;
  if (answer.headers.get('x-foundrite-rule') === 'control/off')
    return new Exit(EXIT.refused, message);
  // Its disk: the same sentence, and the same code, as at a start.
  if (status === 507) return new Exit(EXIT.machine, message);
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
