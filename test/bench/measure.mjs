// What all parts of the bench need: medians, children that end by their own pid, ports, versions.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/** How long a child may take to end by itself. */
const END_MS = 3_000;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median, least and greatest of what the rounds gave. */
export function summary(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), values };
}

/** The order of one round: reversed every other time, so that nobody always goes first. */
export function inOrder(list, round) {
  return round % 2 ? [...list].reverse() : list;
}

/** Starts a server; `stop` ends it by its own pid and waits for its end. */
export function startChild(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      printed = (printed + chunk).slice(-4_000);
    });
  const ended = once(child, 'exit');
  return {
    pid: child.pid,
    printed: () => printed,
    gone: () => child.exitCode !== null || child.signalCode !== null,
    /** What it answers to a message; for one that was started with a channel and listens. */
    async ask(message) {
      const answer = once(child, 'message');
      child.send(message);
      return (await answer)[0];
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        const late = new AbortController();
        await Promise.race([ended, sleep(END_MS, undefined, late).catch(() => {})]);
        late.abort();
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      }
      await ended;
    },
  };
}

/** Runs a script of this folder to its end; it prints one JSON value. */
export async function runScript(url, argument, { nodeFlags = [], env } = {}) {
  const args = [...nodeFlags, url.pathname, JSON.stringify(argument)];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(env && { env }),
  });
  let out = '';
  let said = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new BenchError(said.trim() || `${url.pathname} ended with ${code}`);
  return JSON.parse(out);
}

/** The bench cannot say anything true; the message says why. */
export class BenchError extends Error {
  name = 'BenchError';
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** What a process holds in memory, in MB; undefined where there is no /proc. */
export function rssMb(pid) {
  for (const [file, pattern] of [
    ['smaps_rollup', /^Rss:\s+(\d+) kB/m],
    ['status', /^VmRSS:\s+(\d+) kB/m],
  ]) {
    try {
      const found = pattern.exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'));
      if (found) return Number(found[1]) / 1_024;
    } catch {
      // Not Linux, or not allowed: the next source, or none.
    }
  }
  return undefined;
}

/** As `rssMb`, of a process and all that it started. */
export function treeMb(pid) {
  const own = rssMb(pid);
  if (own === undefined) return undefined;
  return childrenOf(pid).reduce((sum, child) => sum + (treeMb(child) ?? 0), own);
}

function childrenOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      (readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').match(/\d+/g) ?? []).map(
        Number,
      ),
    );
  } catch {
    // Ended meanwhile, or a kernel that does not tell.
    return [];
  }
}

/** What a process has computed so far, in seconds; undefined where there is no /proc. Linux counts in hundredths. */
export function cpuSeconds(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return undefined;
  }
}

export function versions() {
  const require = createRequire(import.meta.url);
  const of = (name) => {
    for (const folder of require.resolve.paths(name)) {
      try {
        return JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')).version;
      } catch {
        // The next folder up.
      }
    }
    return 'missing';
  };
  const own = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return {
    foundrite: own.version,
    node: process.versions.node,
    ...Object.fromEntries(
      ['hono', '@hono/node-server', 'better-sqlite3', 'autocannon'].map((name) => [name, of(name)]),
    ),
    os: `${process.platform} ${process.arch}`,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
  };
}

/** The machine's load over the last minute: who else was working. */
export function load() {
  return Number(loadavg()[0].toFixed(2));
}
