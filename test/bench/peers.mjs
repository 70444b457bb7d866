// (d) Us beside peers, each from its npm package, one at a time on loopback: cold start, memory, reads and writes.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import autocannon from 'autocannon';
import { BenchError, freePort, inOrder, sleep, startChild, summary, treeMb } from './measure.mjs';
import { locals, PEERS } from './peer-list.mjs';
import { answers } from './start.mjs';

/** Of what peers there are, these do as much at their start as we do: a contract is read, or a store opened. */
const HEAVY = ['Prism', 'Mockoon CLI', 'Azurite blob'];
export const AIM = { start: 0.33, idleMb: 90, afterMb: 160 };

const CONNECTIONS = 16;
/** When memory is read: after the first answer, or the last, things settle. */
const SETTLE_MS = 1_000;
const READS_TO_A_WRITE = 4;

/** `folder`: where the packages are, or are put, and stay; else they go to a temporary one. */
export async function benchPeers({ quick, say, installed, folder }) {
  const rounds = quick ? 1 : 4;
  const seconds = quick ? 0.5 : 1.5;
  const starts = quick ? 1 : 6;
  const requests = quick ? 2_000 : 100_000;
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'foundrite-bench-')));
  try {
    const packages = resolve(folder ?? join(scratch, 'packages'));
    const all = [
      ...locals(installed),
      ...PEERS.map((peer) => installPeer(peer, packages, say)),
    ].map((one) => ({ ...one, startMs: [], read: [], write: [], does: [one.read, one.write] }));

    /** Runs `measure` with a started server; a peer that cannot go on is out, with the reason. */
    const visit = async (one, measure) => {
      if (one.failed !== undefined) return;
      const home = mkdtempSync(join(scratch, 'run-'));
      let server;
      try {
        one.files?.(home);
        const startedAt = performance.now();
        server = await one.start(home);
        await answers(server, one.first.path, one.first.headers ?? {});
        await measure(server, performance.now() - startedAt);
      } catch (error) {
        if (one.package === undefined) throw error;
        one.failed = error.message;
        say(`peers: ${one.name} is out: ${error.message}`);
      } finally {
        await server?.stop();
        rmSync(home, { recursive: true, force: true });
      }
    };

    // The very first start makes certificates and fills caches; that of `start` tells about it.
    for (const one of all) await visit(one, async () => {});
    for (let round = 0; round < starts; round += 1)
      for (const one of inOrder(all, round))
        await visit(one, async (_, ms) => {
          one.startMs.push(ms);
        });
    say(`peers: ${starts} starts each`);
    for (let round = 0; round < rounds; round += 1) {
      for (const one of inOrder(all, round))
        await visit(one, async (server) => {
          const { reads, writes } = await one.requests(server.url);
          one.read.push(await rate(server, reads, seconds));
          one.write.push(await rate(server, writes, seconds));
        });
      say(`peers: round ${round + 1} of ${rounds}`);
    }
    for (const one of all)
      await visit(one, async (server) => {
        await sleep(SETTLE_MS);
        one.idleMb = treeMb(server.pid);
        const { reads, writes } = await one.requests(server.url);
        const mixed = writes.flatMap((write, index) => [
          ...Array.from(
            { length: READS_TO_A_WRITE },
            (_, n) => reads[(index * READS_TO_A_WRITE + n) % reads.length],
          ),
          write,
        ]);
        await shoot(server, { requests: mixed, amount: requests });
        await sleep(SETTLE_MS);
        one.afterMb = treeMb(server.pid);
        say(`peers: ${one.name} had ${requests} requests`);
      });

    const [ours] = all;
    const rows = all.map((one) => (one.failed === undefined ? rowOf(one, ours) : one));
    return { rounds, seconds, starts, requests, connections: CONNECTIONS, rows, aims: aims(rows) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function rowOf({ name, version, nodeVersion, does, startMs, read, write, idleMb, afterMb }, ours) {
  const figures = (list, oursList) => ({
    perSecond: summary(list.map((one) => one.perSecond)),
    p99Ms: summary(list.map((one) => one.p99)),
    // Of each round by itself: both then met the same weather.
    ratio: summary(list.map((one, round) => one.perSecond / oursList[round].perSecond)),
  });
  return {
    ...{ name, version, node: nodeVersion, does, idleMb, afterMb },
    startMs: summary(startMs),
    startRatio: summary(startMs.map((ms, round) => ms / ours.startMs[round])),
    read: figures(read, ours.read),
    write: figures(write, ours.write),
  };
}

function aims(rows) {
  const [ours] = rows;
  const heavy = rows.filter(({ name, failed }) => HEAVY.includes(name) && failed === undefined);
  const list = heavy.map(({ name, startRatio }) => ({
    what: `cold start to a first GET, of ${name}'s`,
    value: 1 / startRatio.median,
    atMost: AIM.start,
  }));
  if (ours.idleMb === undefined) return list;
  return [
    ...list,
    { what: 'RSS MB after the first GET', value: ours.idleMb, atMost: AIM.idleMb },
    { what: 'RSS MB after the requests', value: ours.afterMb, atMost: AIM.afterMb },
  ];
}

async function rate(server, requests, seconds) {
  await shoot(server, { requests, duration: Math.max(0.5, seconds / 3) });
  const result = await shoot(server, { requests, duration: seconds });
  return {
    perSecond: result.requests.total / result.duration,
    p99: result.latency.p99,
  };
}

async function shoot(server, options) {
  const result = await autocannon({ url: server.url, connections: CONNECTIONS, ...options });
  if (result.non2xx > 0 || result.errors > 0)
    throw new BenchError(`${result.non2xx} bad answers, ${result.errors} errors`);
  return result;
}

/** The peer with how it starts; with `failed` when it cannot be installed. */
function installPeer(peer, packages, say) {
  try {
    const node =
      peer.node === undefined
        ? process.execPath
        : join(install('node', peer.node, packages, say), 'bin', 'node');
    const root = install(peer.package, peer.version, packages, say, peer.pinned);
    const { bin, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const script = join(root, typeof bin === 'string' ? bin : bin[peer.bin ?? Object.keys(bin)[0]]);
    const start = async (folder) => {
      const port = String(await freePort());
      // Whatever it keeps of its user's goes there.
      const env = { ...process.env, HOME: folder, TMPDIR: folder, ...peer.env };
      const args = [script, ...peer.args({ port, folder })];
      const child = startChild(node, args, { cwd: folder, env });
      return { ...child, url: `http://127.0.0.1:${port}` };
    };
    return { ...peer, version, nodeVersion: peer.node ?? process.versions.node, start };
  } catch (error) {
    say(`peers: ${peer.name} is out: ${error.message}`);
    return { ...peer, failed: error.message };
  }
}

/** Installs one package unless it is there; its folder. `pinned`: what it needs, at versions that can be had. Install scripts run for `node` alone, whose script fetches its binary from npm. */
function install(name, version, packages, say, pinned = []) {
  const folder = join(packages, `${name.replaceAll('/', '+')}@${version}`);
  const root = join(folder, 'node_modules', name);
  // Written when all went well: what a broken installation left is not taken for one.
  const mark = join(folder, 'installed');
  if (existsSync(mark)) return root;
  say(`peers: installing ${name}@${version}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'package.json'),
    '{ "name": "bench", "private": true, "allowScripts": { "node": true } }\n',
  );
  const args = ['install', '--no-audit', '--no-fund', '--prefer-offline'];
  if (name !== 'node') args.push('--ignore-scripts');
  try {
    execFileSync('npm', [...args, `${name}@${version}`, ...pinned], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const said = error.stderr
      ?.match(/(?<=^npm error ).*$/gm)
      ?.slice(0, 2)
      .join(': ');
    throw new BenchError(`${name}@${version} cannot be installed: ${said ?? error.message}`);
  }
  writeFileSync(mark, '');
  return root;
}
