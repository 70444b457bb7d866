// npm run bench: how much of the machine's own speed is left. Ratios of what ran side by side, in one run; absolutes do not travel.
//   --quick            one short round of each, to see that the bench itself works
//   --only a,b         of: firings, http, start
//   --json FILE        the whole result; - prints it
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { load, versions } from './measure.mjs';

const PARTS = ['firings', 'http', 'start'];

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: PARTS.join(',') },
    json: { type: 'string' },
  },
});
const parts = flags.only.split(',');
const unknown = parts.find((part) => !PARTS.includes(part));

const say = (message) => process.stderr.write(`bench: ${message}\n`);
const print = (line = '') => console.log(line);

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
  if (parts.includes('http') || parts.includes('start')) {
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

function table(head, rows) {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  print();
  for (const line of lines)
    print(
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
        )
        .join('  '),
    );
}

const whole = (value) => Math.round(value).toLocaleString('en');
const fixed = (value) => value.toFixed(2);
const spread = ({ median, min, max }, format) =>
  `${format(median)} (${format(min)}–${format(max)})`;

function printFirings({ rows, rounds }) {
  table(
    [
      `firings per second, ${rounds} rounds`,
      'Foundrite',
      'loop without engine',
      'ratio',
      'µs each',
    ],
    rows.map((row) => [
      row.name,
      spread(row.engine, whole),
      spread(row.loop, whole),
      spread(row.ratio, fixed),
      (1e6 / row.engine.median).toFixed(0),
    ]),
  );
}

function printHttp({ rows, rounds, seconds, connections }) {
  table(
    [
      `requests per second, ${connections} connections, ${rounds} rounds of ${seconds} s`,
      'Foundrite',
      'bare Hono',
      'ratio',
      'server CPU µs each: ours, bare',
      'p99 ms',
      'RSS MB after',
      'generator CPU',
    ],
    rows.map((row) => [
      row.name,
      spread(row.foundrite, whole),
      spread(row.bare, whole),
      spread(row.ratio, fixed),
      row.cpuUs ? `${whole(row.cpuUs.foundrite.median)}, ${whole(row.cpuUs.bare.median)}` : '-',
      whole(row.p99Ms.median),
      row.rssMb ? whole(row.rssMb.median) : '-',
      `${whole(row.generatorCpu * 100)} %`,
    ]),
  );
}

function printStart({ rows, starts, first, ratio, apiRatio }) {
  table(
    [`from spawn, ${starts} starts each`, 'ms to ready', 'ms to a first GET', 'RSS MB'],
    rows.map((row) => [
      row.name,
      spread(row.readyMs, whole),
      row.apiMs ? spread(row.apiMs, whole) : '-',
      row.rssMb ? spread(row.rssMb, whole) : '-',
    ]),
  );
  print(`of bare: ready ${spread(ratio, fixed)}, first GET ${spread(apiRatio, fixed)}`);
  print(
    `the first start of a user (certificates made, nothing cached): ${whole(first.readyMs)} ms to ready`,
  );
}

function printAims({ aims, load: [before, after] }) {
  table(
    ['aim', 'measured', 'wanted', ''],
    aims.map((aim) => [
      aim.what,
      fixed(aim.value),
      aim.atLeast === undefined ? `≤ ${aim.atMost}` : `≥ ${aim.atLeast}`,
      aim.reached ? 'reached' : 'MISSED',
    ]),
  );
  print(`load of the machine: ${before} before, ${after} after`);
}

try {
  await main();
} catch (error) {
  if (error.name !== 'BenchError') throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
}
