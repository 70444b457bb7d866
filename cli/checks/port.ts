/** The port: free, or who holds it. Tried as a start would, so that the sentence is the same. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { systemClock } from '../../emulator/clock.ts';
import { ListenError, serve } from '../../emulator/server.ts';
import { type Finding, ok, warning, wrong } from './finding.ts';

/** How long whoever holds the port may take to say what it is. */
const ANSWER_MAX_MS = 2_000;

/** What an emulator says of itself under /_emulator/ready. */
export interface Running {
  pid: number;
  store: string;
  version: string;
}

export interface PortChecked {
  findings: Finding[];
  /** The emulator that holds the port. */
  running?: Running;
}

export async function checkPort(host: string, port: number): Promise<PortChecked> {
  if (port === 0) return { findings: [ok('port', 'any free one (--port 0)')] };
  try {
    const serving = await serve({ fetch: () => new Response(), host, port });
    await serving.close();
    return { findings: [ok('port', `${port} on ${host} is free`)] };
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    if ((error.cause as NodeJS.ErrnoException).code === 'EADDRINUSE')
      return whoHolds(error.host, port);
    const [found = '', ...todo] = error.message.split(/(?<=\.) /);
    return { findings: [wrong('port', found, todo.join(' ') || 'Choose another with --host.')] };
  }
}

async function whoHolds(host: string, port: number): Promise<PortChecked> {
  const running = await askReady(host, port);
  if (running) {
    const { version, pid, store } = running;
    const found = `Foundrite ${version} runs at ${port} on ${host} (pid ${pid}, store ${store})`;
    const todo = `Use it (eval "$(npx foundrite env --url http://${inUrl(host)}:${port})"), or start another with --port 0.`;
    return { findings: [warning('port', found, todo)], running };
  }
  const holder = holderOf(port);
  const found = `${port} on ${host} is held by ${holder ?? 'another program (which one cannot be read)'}, which is no Foundrite`;
  return {
    findings: [wrong('port', found, 'Stop it, or choose another port with --port (0 picks one).')],
  };
}

async function askReady(host: string, port: number): Promise<Running | undefined> {
  const abort = new AbortController();
  const cancel = systemClock.after(ANSWER_MAX_MS, () => abort.abort());
  try {
    const url = `http://${inUrl(host)}:${port}/_emulator/ready`;
    const answer = await fetch(url, { signal: abort.signal, redirect: 'manual' });
    const said = (await answer.json()) as Partial<Running> | null;
    if (typeof said?.pid !== 'number' || typeof said.version !== 'string') return undefined;
    return { pid: said.pid, version: said.version, store: String(said.store) };
  } catch {
    // Whatever does not answer like one is none.
    return undefined;
  } finally {
    cancel();
  }
}

function inUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

/** `node (pid 123)`, where the system lets us see it: by /proc on Linux, by lsof elsewhere. */
function holderOf(port: number): string | undefined {
  return process.platform === 'linux' ? holderInProc(port) : holderByLsof(port);
}

function holderInProc(port: number): string | undefined {
  const LISTENING = '0A';
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = ['tcp', 'tcp6'].flatMap((table) =>
    lines(`/proc/net/${table}`).flatMap((line) => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      return local.endsWith(`:${wanted}`) && state === LISTENING ? [`socket:[${inode}]`] : [];
    }),
  );
  for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name))) {
    const holds = entries(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.includes(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
    if (holds) return `${lines(`/proc/${pid}/comm`)[0]} (pid ${pid})`;
  }
  return undefined;
}

function holderByLsof(port: number): string | undefined {
  try {
    const args = ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-Fpc'];
    const printed = execFileSync('lsof', args, { encoding: 'utf8', stdio: 'pipe' });
    const pid = /^p(\d+)$/m.exec(printed)?.[1];
    return pid && `${/^c(.+)$/m.exec(printed)?.[1] ?? 'a program'} (pid ${pid})`;
  } catch {
    return undefined;
  }
}

/** Nothing where it may not be read, or has gone meanwhile. */
function lines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
