// How the bench shows what it measured: one table for each part, and one of the aims.
export const print = (line = '') => console.log(line);

/** The first column is text and the others are figures; `left`: all are text. */
function table(head, rows, { left = false } = {}) {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  print();
  for (const line of lines)
    print(
      line
        .map((cell, column) =>
          left || column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
        )
        .join('  ')
        .trimEnd(),
    );
}

const whole = (value) => Math.round(value).toLocaleString('en');
const fixed = (value) => value.toFixed(2);
const spread = ({ median, min, max }, format) =>
  `${format(median)} (${format(min)}–${format(max)})`;

export function printFirings({ rows, rounds }) {
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

export function printHttp({ rows, rounds, seconds, connections }) {
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

export function printStart({ rows, starts, first, ratio, apiRatio }) {
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

export function printPeers({ rows, rounds, seconds, starts, requests, connections }) {
  const ran = rows.filter((row) => row.failed === undefined);
  const mb = (value) => (value === undefined ? '-' : whole(value));
  table(
    [
      `beside peers, one at a time, ${starts} starts each`,
      'Node',
      'ms to a first GET',
      'of ours',
      'RSS MB then',
      `after ${requests.toLocaleString('en')} requests`,
    ],
    ran.map((row) => [
      titleOf(row),
      row.node ?? process.versions.node,
      spread(row.startMs, whole),
      fixed(row.startRatio.median),
      mb(row.idleMb),
      mb(row.afterMb),
    ]),
  );
  table(
    [
      `per second, ${connections} connections, ${rounds} rounds of ${seconds} s`,
      ...['reads', 'of ours', 'p99 ms', 'writes', 'of ours', 'p99 ms'],
    ],
    ran.map((row) => [
      titleOf(row),
      ...[row.read, row.write].flatMap((one) => [
        spread(one.perSecond, whole),
        fixed(one.ratio.median),
        whole(one.p99Ms.median),
      ]),
    ]),
  );
  table(
    ['what a read and a write is, of a hundred things in turn', ''],
    ran.flatMap(({ name, does: [read, write] }) => [
      [name, read],
      ['', write],
    ]),
    { left: true },
  );
  for (const row of rows)
    if (row.failed !== undefined)
      print(`${row.name} ${row.version} was not measured: ${row.failed}`);
}

function titleOf({ name, version }) {
  return version === undefined ? name : `${name} ${version}`;
}

export function printMemory({ stores, requests, ring }) {
  const columns = stores.flatMap(({ store }) => [
    `${store}: RSS MB`,
    'heap',
    'external',
    ...(store === 'file' ? ['files', 'of them WAL'] : []),
    'per second',
  ]);
  const cell = (value) => (value === undefined ? '-' : whole(value));
  table(
    [`memory over ${requests.toLocaleString('en')} requests`, ...columns],
    stores[0].samples.map(({ requests }, number) => [
      requests === undefined ? 'ready' : `after ${requests.toLocaleString('en')}`,
      ...stores.flatMap(({ store, samples }) => {
        const { rss, heap, external, files, perSecond } = samples[number];
        const disk = store === 'file' ? [cell(files.all), cell(files.wal)] : [];
        return [cell(rss), cell(heap), cell(external), ...disk, cell(perSecond)];
      }),
    ]),
  );
  print(
    `the journal keeps ${ring.toLocaleString('en')} lines; so many routines were put after 'ready', and are not counted`,
  );
}

export function printAims({ aims, load: [before, after] }) {
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
