// (c) From spawn to the first 200, and memory, of the package as installed; beside a bare server spawned in the same way.
import { get } from 'node:http';
import { startBare } from './installed.mjs';
import { BenchError, inOrder, rssMb, sleep, summary } from './measure.mjs';

export const AIM_READY = 1.5;

const POLL_MS = 5;
const PATIENCE_MS = 20_000;
/** When memory is read: after the first answer things settle. */
const SETTLE_MS = 1_000;

export async function benchStart({ quick, say, installed }) {
  const starts = quick ? 2 : 12;
  const starters = {
    foundrite: () => installed.start(),
    bare: () => startBare(),
    'bare with better-sqlite3': () => startBare([':memory:']),
  };
  // The very first start makes certificates and fills the compile cache: once per user, so it is told apart.
  const first = await once('foundrite', starters.foundrite);
  const rounds = Object.fromEntries(Object.keys(starters).map((name) => [name, []]));
  for (let round = 0; round < starts; round += 1) {
    for (const name of inOrder(Object.keys(starters), round))
      rounds[name].push(await once(name, starters[name]));
  }
  say(`start: ${starts} starts each`);
  const rows = Object.entries(rounds).map(([name, list]) => ({
    name,
    readyMs: summary(list.map((one) => one.readyMs)),
    apiMs: name === 'foundrite' ? summary(list.map((one) => one.apiMs)) : undefined,
    rssMb: list[0].rss === undefined ? undefined : summary(list.map((one) => one.rss)),
  }));
  const bare = rounds.bare.map((one) => one.readyMs);
  const ratio = summary(rounds.foundrite.map((one, round) => one.readyMs / bare[round]));
  const apiRatio = summary(rounds.foundrite.map((one, round) => one.apiMs / bare[round]));
  const aims = [
    { what: 'time to ready, of a bare Hono server', value: ratio.median, atMost: AIM_READY },
  ];
  return { starts, first, rows, ratio, apiRatio, aims };
}

async function once(name, starter) {
  const startedAt = performance.now();
  const server = await starter();
  // The port was found before the spawn.
  try {
    await answers(server, name === 'foundrite' ? '/_emulator/ready' : '/');
    const readyMs = performance.now() - startedAt;
    if (name === 'foundrite') await answers(server, '/api/projects/local/routines?api-version=v1');
    const apiMs = performance.now() - startedAt;
    await sleep(SETTLE_MS);
    return { readyMs, apiMs, rss: rssMb(server.pid) };
  } finally {
    await server.stop();
  }
}

/** Asks every few milliseconds until the answer is 200. */
export async function answers(server, path, headers = { authorization: 'Bearer bench' }) {
  for (const until = performance.now() + PATIENCE_MS; performance.now() < until; ) {
    if ((await statusOf(server.url + path, headers)) === 200) return;
    if (server.gone()) break;
    await sleep(POLL_MS);
  }
  throw new BenchError(`${server.url}${path} did not answer 200. It printed:\n${server.printed()}`);
}

function statusOf(url, headers) {
  return new Promise((resolve) => {
    get(url, { agent: false, headers }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    }).on('error', () => resolve(undefined));
  });
}
