// (e) Memory over a million requests: flat. The journal is a ring: it is filled first, so that nothing may grow any more.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { SETTINGS } from '../../emulator/settings.ts';
import { BenchError, median, rssMb, sleep } from './measure.mjs';
import { answers } from './start.mjs';
import { routineBody } from './world.mjs';

const CONNECTIONS = 16;
const SAMPLES = 20;
const SETTLE_MS = 500;
const ROUTINES = 200;
const HEADERS = { authorization: 'Bearer bench', 'content-type': 'application/json' };
const MB = 1_024 * 1_024;

/**
 * The median of the last quarter of the samples, of that of the second. In the first the code gets warm, so it says nothing. What the
 * collector and the allocators leave lying differs by a few percent from sample to sample; a tenth of 200 MB over the half million
 * requests between the two is 40 bytes a request: whatever kept an object for each would be seen.
 */
export const AIM_GROWTH = 1.1;

export async function benchMemory({ quick, say, installed }) {
  const requests = quick ? 50_000 : 1_000_000;
  const ring = quick ? 10_000 : SETTINGS.journal_max.default;
  const stores = [];
  for (const store of ['memory', 'file']) {
    stores.push({ store, ...(await run({ store, requests, ring, installed, say })) });
  }
  const aims = stores.map(({ store, growth }) => ({
    what: `RSS after ${requests.toLocaleString('en')} requests, of that after half, ${store}`,
    value: growth,
    atMost: AIM_GROWTH,
  }));
  return { requests, ring, stores, aims: stores[0].growth === undefined ? [] : aims };
}

async function run({ store, requests, ring, installed, say }) {
  const folder = store === 'file' ? mkdtempSync(join(tmpdir(), 'foundrite-bench-')) : undefined;
  const flags = ['--rate', '1', '--setting', `journal_max=${ring}`];
  if (folder !== undefined) flags.push('--data-dir', folder);
  const server = await installed.start(
    flags,
    ['--import', new URL('./usage.mjs', import.meta.url).href],
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
  );
  try {
    await answers(server, '/_emulator/ready');
    await putRoutines(server, 'local');
    const each = requests / SAMPLES;
    const idle = await sample(server, folder);
    const { writes } = requestsOf('local');
    await shoot(server, writes, ring);
    const samples = [idle, await sample(server, folder, 0)];
    for (let number = 1; number <= SAMPLES; number += 1) {
      const ms = await stretch(server, `batch-${number}`, each);
      await sleep(SETTLE_MS);
      samples.push({
        ...(await sample(server, folder, number * each)),
        perSecond: (each / ms) * 1e3,
      });
      await ask(server, 'DELETE', `/_emulator/projects/batch-${number}`);
      if (number % 5 === 0) say(`memory: ${store}, ${number * each} requests`);
    }
    const quarter = (number) =>
      median(samples.slice(2 + number * 5, 7 + number * 5).map((one) => one.rss));
    return { samples, growth: samples[0].rss === undefined ? undefined : quarter(3) / quarter(1) };
  } finally {
    await server.stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * What a day's work asks, in small: the routines of one project are read, listed and replaced, over and over; beside it a project that a
 * test made for itself, whose routines are dispatched to its agent and their runs read, and that is forgotten at the end.
 */
async function stretch(server, batch, amount) {
  await ask(server, 'POST', `/api/projects/${batch}/agents/demo-agent/versions?api-version=v1`, {
    definition: { kind: 'hosted', cpu: '1', memory: '2Gi', image: 'registry/demo:1' },
  });
  await putRoutines(server, batch);
  const kept = requestsOf('local');
  const tried = requestsOf(batch);
  // Of twenty: twelve reads and five replacements of a routine, a page of the list, a dispatch and a page of its runs.
  const requests = kept.reads.flatMap((_, index) => [
    ...Array.from({ length: 12 }, (_, turn) => kept.reads[(index * 12 + turn) % ROUTINES]),
    ...Array.from({ length: 5 }, (_, turn) => kept.writes[(index * 5 + turn) % ROUTINES]),
    kept.list,
    tried.dispatches[index],
    tried.runs[index],
  ]);
  const startedAt = performance.now();
  await shoot(server, requests, amount);
  return performance.now() - startedAt;
}

/** Of each kind one for each routine. */
function requestsOf(project) {
  const path = (rest) => `/api/projects/${project}/routines${rest}`;
  const each = (method, rest, body) =>
    Array.from({ length: ROUTINES }, (_, index) => ({
      method,
      path: path(`/routine-${index}${rest}`),
      headers: HEADERS,
      ...(body && { body: JSON.stringify(body) }),
    }));
  return {
    reads: each('GET', '?api-version=v1'),
    writes: each('PUT', '?api-version=v1', routineBody('Europe/Berlin', 7)),
    dispatches: each('POST', ':dispatch_async?api-version=v1', {}),
    runs: each('GET', '/runs?api-version=v1&limit=20'),
    list: { method: 'GET', path: path('?api-version=v1&limit=20'), headers: HEADERS },
  };
}

async function shoot(server, requests, amount) {
  const result = await autocannon({ url: server.url, connections: CONNECTIONS, amount, requests });
  if (result.non2xx > 0 || result.errors > 0)
    throw new BenchError(`memory: ${result.non2xx} bad answers, ${result.errors} errors`);
}

async function sample(server, folder, requests) {
  const { heapUsed, external } = await server.ask('usage');
  const sizes = folder === undefined ? undefined : sizesIn(folder);
  return {
    requests,
    rss: rssMb(server.pid),
    heap: heapUsed / MB,
    external: external / MB,
    files: sizes,
  };
}

/** What is on disk, in MB: all, and the write-ahead logs alone. */
function sizesIn(folder) {
  const sizes = { all: 0, wal: 0 };
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const { size } = statSync(join(entry.parentPath, entry.name));
    sizes.all += size / MB;
    if (entry.name.endsWith('-wal')) sizes.wal += size / MB;
  }
  return sizes;
}

async function putRoutines(server, project) {
  for (const { method, path, body } of requestsOf(project).writes)
    await ask(server, method, path, JSON.parse(body));
}

async function ask(server, method, path, body) {
  const answer = await fetch(server.url + path, {
    method,
    headers: HEADERS,
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!answer.ok)
    throw new BenchError(`memory: ${method} ${path}: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}
