// npm run bench: how much of the machine's own speed is left. Ratios of what ran side by side, in one run; absolutes do not travel.
//   --quick            one short round of each, to see that the bench itself works
//   --only a,b         of: firings, start, http, peers, memory
//   --peers-folder DIR where the peers' packages are kept for the next run; else they are installed anew and removed
//   --json FILE        the whole result; - prints it
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { load, versions } from './measure.mjs';
import {
  print,
  printAims,
  printFirings,
  printHttp,
  printMemory,
  printPeers,
  printStart,
} from './print.mjs';

const PARTS = ['firings', 'http', 'start', 'peers', 'memory'];

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: PARTS.join(',') },
    json: { type: 'string' },
    'peers-folder': { type: 'string' },
  },
});
const parts = flags.only.split(',');
const unknown = parts.find((part) => !PARTS.includes(part));

const say = (message) => process.stderr.write(`bench: ${message}\n`);

async function main() {
  if (unknown !== undefined)
    throw Object.assign(new Error(`--only takes ${PARTS.join(', ')}; not '${unknown}'.`), {
      name: 'BenchError',
    });
  const result = { versions: versions(), quick: flags.quick, load: [load()] };
  print(
    Object.entries(result.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(' · '),
  );
  const options = { quick: flags.quick, say };

  if (parts.includes('firings')) {
    const { checkStatements } = await import('./statements.mjs');
    const { perFiring } = await checkStatements();
    say(`a firing still executes the ${perFiring} statements of the loop`);
    const { benchFirings } = await import('./firings.mjs');
    result.firings = await benchFirings(options);
    printFirings(result.firings);
  }
  if (parts.some((part) => part !== 'firings')) {
    const { install } = await import('./installed.mjs');
    say('packing and installing the package');
    const installed = install();
    try {
      if (parts.includes('start')) {
        const { benchStart } = await import('./start.mjs');
        result.start = await benchStart({ ...options, installed });
        printStart(result.start);
      }
      if (parts.includes('http')) {
        const { benchHttp } = await import('./http.mjs');
        result.http = await benchHttp({ ...options, installed });
        printHttp(result.http);
      }
      if (parts.includes('peers')) {
        const { benchPeers } = await import('./peers.mjs');
        const folder = flags['peers-folder'];
        result.peers = await benchPeers({ ...options, installed, folder });
        printPeers(result.peers);
      }
      if (parts.includes('memory')) {
        const { benchMemory } = await import('./memory.mjs');
        result.memory = await benchMemory({ ...options, installed });
        printMemory(result.memory);
      }
    } finally {
      installed.remove();
    }
  }

  result.load.push(load());
  result.aims = PARTS.flatMap((part) => result[part]?.aims ?? []).map((aim) => ({
    ...aim,
    reached: aim.atLeast === undefined ? aim.value <= aim.atMost : aim.value >= aim.atLeast,
  }));
  printAims(result);
  const json = JSON.stringify(result, undefined, 2);
  if (flags.json === '-') print(json);
  else if (flags.json !== undefined) writeFileSync(flags.json, `${json}\n`);
}

try {
  await main();
} catch (error) {
  if (error.name !== 'BenchError') throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
}
