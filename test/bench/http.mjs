// (b) GET and PUT of a routine over a socket, beside a bare route that does one read or one insert.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { startBare } from './installed.mjs';
import { BenchError, cpuSeconds, inOrder, rssMb, summary } from './measure.mjs';
import { answers } from './start.mjs';
import { routineBody } from './world.mjs';

export const AIM = { GET: 0.7, PUT: 0.6 };

const CONNECTIONS = 16;
const HEADERS = { authorization: 'Bearer bench', 'content-type': 'application/json' };
const BODY = JSON.stringify(routineBody('UTC', 0));
const PATH = '/api/projects/local/routines';

export async function benchHttp({ quick, say, installed }) {
  const rounds = quick ? 1 : 4;
  const seconds = quick ? 1 : 4;
  const results = [];
  for (const store of ['memory', 'file'])
    for (const method of ['GET', 'PUT'])
      results.push({
        store,
        method,
        foundrite: [],
        bare: [],
        cpu: { foundrite: [], bare: [] },
        rss: [],
        p99: [],
        generator: 0,
      });
  for (let round = 0; round < rounds; round += 1) {
    for (const result of inOrder(results, round)) {
      for (const who of inOrder(['foundrite', 'bare'], round)) {
        const measured = await once({ ...result, who, seconds, installed });
        result[who].push(measured.perSecond);
        if (measured.cpuUs !== undefined) result.cpu[who].push(measured.cpuUs);
        result.generator = Math.max(result.generator, measured.generator);
        if (who === 'bare') continue;
        result.p99.push(measured.p99);
        if (measured.rss !== undefined) result.rss.push(measured.rss);
      }
    }
    say(`http: round ${round + 1} of ${rounds}`);
  }
  const rows = results.map(({ store, method, foundrite, bare, cpu, rss, p99, generator }) => ({
    name: `${method} of a routine, ${store}`,
    store,
    method,
    foundrite: summary(foundrite),
    bare: summary(bare),
    ratio: summary(foundrite.map((value, round) => value / bare[round])),
    // The server's own work for one request: steadier than the rate when others use the machine, and telling the same.
    cpuUs:
      cpu.bare.length > 0
        ? { foundrite: summary(cpu.foundrite), bare: summary(cpu.bare) }
        : undefined,
    p99Ms: summary(p99),
    rssMb: rss.length > 0 ? summary(rss) : undefined,
    generatorCpu: generator,
  }));
  const aims = rows
    .filter((row) => row.store === 'memory')
    .map((row) => ({
      what: `${row.method} of a routine, of a bare SQLite route, memory`,
      value: row.ratio.median,
      atLeast: AIM[row.method],
    }));
  return { rounds, seconds, connections: CONNECTIONS, rows, aims };
}

async function once({ store, method, who, seconds, installed }) {
  const folder = store === 'file' ? mkdtempSync(join(tmpdir(), 'foundrite-bench-')) : undefined;
  const flags = folder === undefined ? [] : ['--data-dir', folder];
  const server =
    who === 'foundrite'
      ? await installed.start(flags)
      : await startBare([folder === undefined ? ':memory:' : join(folder, 'bare.db')]);
  try {
    await answers(server, who === 'foundrite' ? '/_emulator/ready' : '/');
    const put = await fetch(`${server.url}${PATH}/known?api-version=v1`, {
      method: 'PUT',
      headers: HEADERS,
      body: BODY,
    });
    if (!put.ok) throw new BenchError(`PUT: ${put.status} ${await put.text()}`);
    const names = { next: 0 };
    await shoot(server, method, names, Math.max(1, seconds / 3));
    const before = cpuSeconds(server.pid);
    const cpu = process.cpuUsage();
    const result = await shoot(server, method, names, seconds);
    const { user, system } = process.cpuUsage(cpu);
    if (result.non2xx > 0 || result.errors > 0)
      throw new BenchError(
        `${who} ${method}: ${result.non2xx} bad answers, ${result.errors} errors`,
      );
    const after = cpuSeconds(server.pid);
    return {
      perSecond: result.requests.total / result.duration,
      p99: result.latency.p99,
      cpuUs: after === undefined ? undefined : ((after - before) * 1e6) / result.requests.total,
      rss: rssMb(server.pid),
      // Near 1, the generator is what was measured.
      generator: (user + system) / 1e6 / result.duration,
    };
  } finally {
    await server.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** GET asks for one routine again and again; every PUT makes a new one. */
function shoot(server, method, names, duration) {
  const get = { method, path: `${PATH}/known?api-version=v1`, headers: HEADERS };
  const put = {
    method,
    headers: HEADERS,
    body: BODY,
    setupRequest(request) {
      names.next += 1;
      return { ...request, path: `${PATH}/routine-${names.next}?api-version=v1` };
    },
  };
  return autocannon({
    url: server.url,
    connections: CONNECTIONS,
    duration,
    requests: [method === 'GET' ? get : put],
  });
}
