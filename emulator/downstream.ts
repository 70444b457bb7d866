/** Calls that leave the process: a hosted agent that runs on the user's own machine. */
import type { HostClock } from './clock.ts';
import type { Arrival } from './faults.ts';

/** What reaches an agent endpoint, from a delivery or from a client. */
export interface AgentCall {
  agent: string;
  protocol: 'responses' | 'invocations';
  /** JSON text. */
  body: string;
  /** The caller's id: a delivery's attempts all carry the same one. */
  requestId: string;
  /** Only `agent_session_id` in the query reaches an invocation's session. */
  sessionId?: string | undefined;
}

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EPIPE',
  'EAI_AGAIN',
  'UND_ERR_SOCKET',
]);

/**
 * POSTs to a local container (contract/agents.md 13.7). Redirects are answers; the ceiling is real time. Never rejects.
 * Nothing of the caller's goes along but its id; a name and password in the address go as Basic authorization.
 */
export async function forward(
  host: HostClock,
  url: string,
  call: AgentCall,
  ceilingMs: number,
  closing: AbortSignal,
): Promise<Arrival> {
  const abort = new AbortController();
  const end = () => abort.abort();
  const cancel = host.after(ceilingMs, end);
  closing.addEventListener('abort', end, { once: true });
  try {
    const { target, authorization } = addressOf(url, call);
    const answer = await fetch(target, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-ms-client-request-id': call.requestId,
        ...authorization,
      },
      body: call.body,
      redirect: 'manual',
      signal: abort.signal,
    });
    const body = await answer.text();
    return {
      kind: 'answered',
      status: answer.status,
      // Its own words, which openapi.yaml does not describe.
      headers: { ...Object.fromEntries(answer.headers), 'x-foundrite-body-by': 'reply' },
      body,
    };
  } catch (error) {
    if (abort.signal.aborted)
      return { kind: 'later', afterMs: ceilingMs, outcome: { kind: 'timeout' } };
    const cause = (error as { cause?: { code?: string; message?: string } }).cause;
    const code = cause?.code ?? '';
    const message = CONNECTION_CODES.has(code)
      ? code
      : (cause?.message ?? (error as Error).message);
    return { kind: 'connection_failed', message };
  } finally {
    cancel();
    closing.removeEventListener('abort', end);
  }
}

/** fetch takes no name and password in an address, and would say them in its message. */
function addressOf(
  url: string,
  { protocol, sessionId }: AgentCall,
): { target: URL; authorization: { authorization?: string } } {
  const target = new URL(url);
  target.pathname = `${target.pathname.replace(/\/+$/, '')}/${protocol}`;
  if (protocol === 'invocations' && sessionId !== undefined)
    target.searchParams.set('agent_session_id', sessionId);
  const { username, password } = target;
  if (username === '' && password === '') return { target, authorization: {} };
  Object.assign(target, { username: '', password: '' });
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    target,
    authorization: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
  };
}
