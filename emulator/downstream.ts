/** Calls that leave the process: a hosted agent that runs on the user's own machine. */
import type { HostClock } from './clock.ts';
import type { Arrival } from './faults.ts';

/** How much an answer that is no stream may hold: more than any model writes. */
export const ANSWER_BYTES_MAX = 16 * 1_024 * 1_024;

/** What reaches an agent endpoint, from a delivery or from a client. */
export interface AgentCall {
  agent: string;
  /** The version that the caller names; else the endpoint's rules choose it, or the session has it. */
  version?: string | undefined;
  protocol: 'responses' | 'invocations';
  /** By which way it comes: the agent's own endpoint, the project's Responses API, or a routine. */
  route: 'endpoint' | 'project' | 'delivery';
  method?: 'GET' | 'POST';
  /** What follows the protocol in the agent's path, such as `/inv_1/cancel`. */
  tail?: string;
  /** JSON text, or bytes as they came. */
  body: string | Uint8Array<ArrayBuffer>;
  /** Of the body; JSON without it. */
  contentType?: string | undefined;
  /** The caller's id: a delivery's attempts all carry the same one. */
  requestId: string;
  /** The id that its answer will carry, where that was promised before; drawn without one. */
  answerId?: string | undefined;
  /** The session that is named. Only `agent_session_id` in the query reaches an invocation's. */
  sessionId?: string | undefined;
  /** Whose session it may be, where sessions are kept apart. */
  owner?: string | null;
  conversation?: string | undefined;
  previousResponseId?: string | undefined;
  /** Headers of the client's that are meant for the agent: `x-client-*`. */
  headers?: Record<string, string>;
}

/** An answer whose body is still on its way. */
export interface Opened {
  status: number;
  headers: Record<string, string>;
  /** Ends with the agent's stream; throws when that breaks off, is silent for too long, or nobody wants it any more. */
  body: AsyncIterable<Uint8Array>;
}

/** Why there is no answer. */
export type Unopened = { kind: 'timeout' } | { kind: 'connection_failed'; message: string };

/** What ends a call: nobody waits for it any more, its world closes, or it takes too long. */
export interface Ending {
  host: HostClock;
  signal: AbortSignal;
  /** How long the other side may be silent, until its headers come and between two pieces of its body. */
  silenceMs: number;
}

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EPIPE',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
]);

/** Headers with which the platform tells a container whose call it is (contract/agents.md 13.7). */
function headersFor(call: AgentCall): Record<string, string> {
  const session = call.sessionId === undefined ? {} : { 'x-agent-session-id': call.sessionId };
  return {
    ...call.headers,
    ...(call.owner == null ? {} : { 'x-agent-user-id': call.owner }),
    ...(call.method === 'GET' ? {} : { 'content-type': call.contentType ?? 'application/json' }),
    ...session,
    'x-ms-client-request-id': call.requestId,
    'x-agent-foundry-call-id': call.requestId,
    // As it comes: what is packed would have to be unpacked here.
    'accept-encoding': 'identity',
  };
}

/**
 * Calls a local container (contract/agents.md 13.7). Redirects are answers; the ceiling is real time. Never rejects.
 * A name and password in the address go as Basic authorization.
 */
export async function forward(
  host: HostClock,
  url: string,
  call: AgentCall,
  ceilingMs: number,
  closing: AbortSignal,
): Promise<Arrival> {
  const { signal, end } = endsWith(closing);
  const cancel = host.after(ceilingMs, () => end());
  try {
    const opened = await openForward(url, call, { host, signal, silenceMs: ceilingMs });
    if (!('body' in opened)) return opened.kind === 'timeout' ? tooLate(ceilingMs) : opened;
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of opened.body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) return TOO_LONG;
    }
    const body = new TextDecoder().decode(Buffer.concat(chunks));
    return { kind: 'answered', status: opened.status, headers: opened.headers, body };
  } catch (error) {
    return signal.aborted ? tooLate(ceilingMs) : failed(error);
  } finally {
    cancel();
    end();
  }
}

const TOO_LONG: Arrival = {
  kind: 'connection_failed',
  message: `its answer has more than ${ANSWER_BYTES_MAX} bytes, as only a stream may`,
};

/** What a call gives that was not answered within its ceiling. */
export function tooLate(ceilingMs: number): Arrival {
  return { kind: 'later', afterMs: ceilingMs, outcome: { kind: 'timeout' } };
}

/** Opens a call to a local container, and hands its answer on as it comes. Never rejects. */
export function openForward(
  url: string,
  call: AgentCall,
  ending: Ending,
): Promise<Opened | Unopened> {
  const target = new URL(url);
  target.pathname = `${target.pathname.replace(/\/+$/, '')}/${call.protocol}${call.tail ?? ''}`;
  if (call.protocol === 'invocations' && call.sessionId !== undefined)
    target.searchParams.set('agent_session_id', call.sessionId);
  const { method = 'POST', body } = call;
  const init = { method, headers: headersFor(call), ...(method === 'GET' ? {} : { body }) };
  return open(target, init, ending);
}

/** A request whose answer is read as it comes. Never rejects. */
export async function open(
  target: URL,
  init: { method: string; headers: Record<string, string>; body?: AgentCall['body'] },
  ending: Ending,
): Promise<Opened | Unopened> {
  const { signal, end } = endsWith(ending.signal);
  const cancel = ending.host.after(ending.silenceMs, end);
  try {
    const { address, authorization } = withoutPassword(target);
    const answer = await fetch(address, {
      ...init,
      headers: { ...init.headers, ...authorization },
      redirect: 'manual',
      signal,
    });
    // Its own words, which openapi.yaml does not describe.
    const headers = { ...Object.fromEntries(answer.headers), 'x-foundrite-body-by': 'reply' };
    return { status: answer.status, headers, body: unlessSilent(answer.body, ending, end) };
  } catch (error) {
    const timedOut = signal.aborted;
    end();
    return timedOut ? { kind: 'timeout' } : failed(error);
  } finally {
    cancel();
  }
}

async function* unlessSilent(
  body: ReadableStream<Uint8Array> | null,
  { host, silenceMs }: Ending,
  end: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    if (body === null) return;
    const reader = body.getReader();
    for (;;) {
      const cancel = host.after(silenceMs, end);
      const { done, value } = await reader.read().finally(cancel);
      if (done) return;
      yield value;
    }
  } finally {
    end();
  }
}

function failed(error: unknown): Extract<Unopened, { kind: 'connection_failed' }> {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const code = cause?.code ?? '';
  const message = CONNECTION_CODES.has(code) ? code : (cause?.message ?? (error as Error).message);
  return { kind: 'connection_failed', message };
}

/** A signal that ends with one of others or by itself, and then leaves no listener behind. */
export function endsWith(...others: (AbortSignal | undefined)[]): {
  signal: AbortSignal;
  end: () => void;
} {
  const abort = new AbortController();
  const end = () => {
    for (const other of others) other?.removeEventListener('abort', end);
    abort.abort();
  };
  for (const other of others) other?.addEventListener('abort', end);
  if (others.some((other) => other?.aborted)) end();
  return { signal: abort.signal, end };
}

/** fetch takes no name and password in an address, and would say them in its message. */
function withoutPassword(target: URL): { address: URL; authorization: { authorization?: string } } {
  const { username, password } = target;
  if (username === '' && password === '') return { address: target, authorization: {} };
  const address = new URL(target);
  Object.assign(address, { username: '', password: '' });
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    address,
    authorization: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
  };
}
