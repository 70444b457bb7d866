// (b) Requests over a socket, each beside a bare route that does one read or one insert.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { startBare } from './installed.mjs';
import { BenchError, cpuSeconds, inOrder, rssMb, summary } from './measure.mjs';
import { answers } from './start.mjs';
import { routineBody } from './world.mjs';

const CONNECTIONS = 16;
const HEADERS = { authorization: 'Bearer bench', 'content-type': 'application/json' };
const PROJECT = '/api/projects/local';
const AGENT = `${PROJECT}/agents/demo-agent`;
const ROUTINE = routineBody('UTC', 0);
const RESPONSE = { input: 'Summarise what is new.' };
const THREADS = `${PROJECT}/threads`;
const MESSAGE = { role: 'user', content: 'Summarise what is new.' };
const RUN = {
  method: 'POST',
  path: `${THREADS}/runs`,
  body: { assistant_id: 'asst_DemoAssistant00000000001', thread: { messages: [MESSAGE] } },
};
const ITS_RUN = `${THREADS}/{thread_id}/runs/{id}`;

/**
 * What is asked of Foundrite; `aim` is the least share of the bare route. A path with `#` is another one each time, and a name
 * in braces is a field of what `before` was answered. The reads `after` it belong to the request: their names are of its answer.
 */
const REQUESTS = [
  {
    what: 'GET of a routine',
    method: 'GET',
    path: `${PROJECT}/routines/known`,
    before: { method: 'PUT', path: `${PROJECT}/routines/known`, body: ROUTINE },
    stores: ['memory', 'file'],
    aim: 0.7,
  },
  {
    what: 'PUT of a routine',
    method: 'PUT',
    path: `${PROJECT}/routines/routine-#`,
    body: ROUTINE,
    stores: ['memory', 'file'],
    aim: 0.6,
  },
  { what: 'GET of an agent', method: 'GET', path: AGENT, stores: ['memory'] },
  {
    what: 'POST of a version',
    method: 'POST',
    path: `${PROJECT}/agents/agent-#/versions`,
    body: { definition: { kind: 'prompt', model: 'm', instructions: 'Be brief.' } },
    stores: ['memory'],
  },
  {
    what: 'POST of a session',
    method: 'POST',
    path: `${AGENT}/endpoint/sessions`,
    body: {},
    stores: ['memory'],
  },
  {
    what: 'POST of a response',
    method: 'POST',
    path: `${AGENT}/endpoint/protocols/openai/responses`,
    body: RESPONSE,
    stores: ['memory'],
  },
  {
    what: 'POST of a message',
    method: 'POST',
    path: `${THREADS}/{id}/messages`,
    body: MESSAGE,
    before: { method: 'POST', path: THREADS, body: {} },
    stores: ['memory'],
  },
  {
    what: 'list of 20 messages',
    method: 'GET',
    path: `${THREADS}/{id}/messages`,
    before: { method: 'POST', path: THREADS, body: { messages: Array(20).fill(MESSAGE) } },
    stores: ['memory'],
  },
  { what: 'GET of a thread run', method: 'GET', path: ITS_RUN, before: RUN, stores: ['memory'] },
  { what: 'POST of a thread and its run', ...RUN, stores: ['memory'] },
  {
    what: 'the same, with three polls to its end and its messages',
    ...RUN,
    after: [ITS_RUN, ITS_RUN, ITS_RUN, `${THREADS}/{thread_id}/messages`],
    flags: ['--skip'],
    stores: ['memory'],
  },
];

const BARE = { GET: `${PROJECT}/routines/known`, other: `${PROJECT}/routines/routine-#` };

export async function benchHttp({ quick, say, installed }) {
  const rounds = quick ? 1 : 4;
  const seconds = quick ? 1 : 4;
  const results = REQUESTS.flatMap(({ stores, ...request }) =>
    stores.map((store) => ({
      request,
      store,
      foundrite: [],
      bare: [],
      cpu: { foundrite: [], bare: [] },
      rss: [],
      p99: [],
      generator: 0,
    })),
  );
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
  const rows = results.map(({ request, store, foundrite, bare, cpu, rss, p99, generator }) => ({
    name: `${request.what}, ${store}`,
    store,
    what: request.what,
    aim: request.aim,
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
    .filter(({ store, aim }) => store === 'memory' && aim !== undefined)
    .map(({ what, ratio, aim }) => ({
      what: `${what}, of a bare SQLite route, memory`,
      value: ratio.median,
      atLeast: aim,
    }));
  return { rounds, seconds, connections: CONNECTIONS, rows, aims };
}

async function once({ request, store, who, seconds, installed }) {
  const folder = store === 'file' ? mkdtempSync(join(tmpdir(), 'foundrite-bench-')) : undefined;
  const flags = [...(folder === undefined ? [] : ['--data-dir', folder]), ...(request.flags ?? [])];
  const server =
    who === 'foundrite'
      ? await installed.start(flags)
      : await startBare([folder === undefined ? ':memory:' : join(folder, 'bare.db')]);
  try {
    await answers(server, who === 'foundrite' ? '/_emulator/ready' : '/');
    const { before, ...asked } = who === 'foundrite' ? request : bareOf(request);
    const made = before === undefined ? {} : await askOnce(server, before);
    const names = { next: 0 };
    asked.path = filled(asked.path, made);
    await shoot(server, asked, names, Math.max(1, seconds / 3));
    const cpuBefore = cpuSeconds(server.pid);
    const cpu = process.cpuUsage();
    const result = await shoot(server, asked, names, seconds);
    const { user, system } = process.cpuUsage(cpu);
    if (result.non2xx > 0 || result.errors > 0)
      throw new BenchError(
        `${who}, ${request.what}: ${result.non2xx} bad answers, ${result.errors} errors`,
      );
    const cpuAfter = cpuSeconds(server.pid);
    return {
      perSecond: result.requests.total / result.duration,
      p99: result.latency.p99,
      cpuUs:
        cpuAfter === undefined ? undefined : ((cpuAfter - cpuBefore) * 1e6) / result.requests.total,
      rss: rssMb(server.pid),
      // Near 1, the generator is what was measured.
      generator: (user + system) / 1e6 / result.duration,
    };
  } finally {
    await server.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** The bare route of the same kind: one read, or one insert of the same body. */
function bareOf({ method, body, after }) {
  const before = { method: 'PUT', path: BARE.GET, body: ROUTINE };
  if (method === 'GET') return { method, path: BARE.GET, before };
  const write = { method: 'PUT', path: BARE.other, body };
  return after === undefined ? write : { ...write, before, after: after.map(() => BARE.GET) };
}

async function askOnce(server, { method, path, body }) {
  const answer = await fetch(`${server.url}${path}?api-version=v1`, {
    method,
    headers: HEADERS,
    body: JSON.stringify(body),
  });
  if (!answer.ok)
    throw new BenchError(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

function filled(path, made) {
  return path.replace(/\{(\w+)\}/g, (all, name) => made[name] ?? all);
}

function shoot(server, { method, path, body, after = [] }, names, duration) {
  const request = {
    method,
    path: `${path}?api-version=v1`,
    headers: HEADERS,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  if (after.length > 0)
    request.onResponse = (_status, answer, context) => {
      context.made = JSON.parse(answer);
    };
  const reads = after.map((read) => ({
    method: 'GET',
    headers: HEADERS,
    setupRequest: (one, { made }) => ({ ...one, path: `${filled(read, made)}?api-version=v1` }),
  }));
  if (path.includes('#'))
    request.setupRequest = (one) => {
      names.next += 1;
      return { ...one, path: request.path.replace('#', names.next) };
    };
  return autocannon({
    url: server.url,
    connections: CONNECTIONS,
    duration,
    requests: [request, ...reads],
  });
}
