// Who the bench sets beside us, and what of theirs is nearest to reading and to replacing one of a hundred routines.
//   version, pinned what runs here, and what of what it needs is held back for that; `node` where the bench's own is too old for it
//   files(folder)   what it is told before it starts
//   args, env       how it is started on a port
//   requests(url)   makes what must be there; the reads and the writes that follow from it, a hundred each
//   first           the route whose first 200 ends a cold start
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBare } from './installed.mjs';
import { BenchError } from './measure.mjs';
import { routineBody } from './world.mjs';

const OPENAPI = fileURLToPath(new URL('../../openapi.yaml', import.meta.url));

export const ROUTINES = 100;
const NAMES = Array.from({ length: ROUTINES }, (_, index) => `routine-${index}`);
const ROUTINE = routineBody('UTC', 0);
const JSON_TYPE = { 'content-type': 'application/json' };

/** A token for each name: emulate allows each token 5,000 requests an hour. */
const bearer = (name) => ({ authorization: `Bearer ${name}` });

/** The same path for both, and the body as JSON. */
function readsAndWrites(pathOf, { body = ROUTINE, headers = {} } = {}) {
  const text = JSON.stringify(body);
  const both = (name) => ({ path: pathOf(name), headers: { ...bearer(name), ...headers } });
  return {
    reads: NAMES.map((name) => ({ method: 'GET', ...both(name) })),
    writes: NAMES.map((name) => {
      const { path, headers } = both(name);
      return { method: 'PUT', path, headers: { ...headers, ...JSON_TYPE }, body: text };
    }),
  };
}

/** Sends requests one after the other; their answers' texts. */
async function send(url, requests) {
  const texts = [];
  for (const { method, path, headers, body } of requests) {
    const answer = await fetch(url + path, { method, headers, body });
    const text = await answer.text();
    if (!answer.ok) throw new BenchError(`${method} ${path}: ${answer.status} ${text}`);
    texts.push(text);
  }
  return texts;
}

/** The writes are what makes them. */
async function written(url, both) {
  await send(url, both.writes);
  return both;
}

const list = { path: '/api/projects/local/routines?api-version=v1', headers: bearer('first') };

const OURS = {
  read: 'GET of a routine: a row',
  write: 'PUT of a routine: checked, its schedule planned, journaled, one transaction',
  requests: (url) =>
    written(
      url,
      readsAndWrites((name) => `/api/projects/local/routines/${name}?api-version=v1`),
    ),
  first: list,
};

/** Who is started from what is here already. */
export function locals(installed) {
  return [
    { name: 'Foundrite', ...OURS, start: () => installed.start() },
    {
      name: 'Foundrite --data-dir',
      ...OURS,
      write: `${OURS.write} on disk`,
      start: (folder) => installed.start(['--data-dir', join(folder, 'worlds')]),
    },
    {
      name: 'bare Hono',
      read: 'GET of a constant',
      write: 'PUT answers the JSON that it was given; nothing is kept',
      start: () => startBare(),
      requests: async () => readsAndWrites(() => '/'),
      first: { path: '/' },
    },
    {
      name: 'bare Hono + better-sqlite3',
      read: 'GET of a row',
      write: 'PUT replaces a row, in memory',
      start: () => startBare([':memory:']),
      requests: (url) =>
        written(
          url,
          readsAndWrites((name) => `/api/projects/local/kept/${name}`),
        ),
      first: { path: '/' },
    },
  ];
}

const AZURITE = { account: 'bench', key: Buffer.alloc(64, 'bench') };

/** A signature that allows everything in the account for a day: what Azurite checks in each request. */
function azuriteSas() {
  const until = `${new Date(performance.timeOrigin + 86_400_000).toISOString().slice(0, 19)}Z`;
  const fields = { sp: 'rwdlacup', ss: 'b', srt: 'sco', st: '', se: until, sip: '', spr: '' };
  const sv = '2020-10-02';
  const text = [AZURITE.account, ...Object.values(fields), sv, ''].join('\n');
  const sig = createHmac('sha256', AZURITE.key).update(text).digest('base64');
  const { sp, ss, srt, se } = fields;
  return new URLSearchParams({ sv, ss, srt, sp, se, sig }).toString();
}

/** An id in the form that Mockoon wants. */
const uuid = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

export const PEERS = [
  {
    name: 'Prism',
    package: '@stoplight/prism-cli',
    version: '5.16.0',
    node: '24.21.0',
    read: 'GET of a routine by our openapi.yaml: an answer generated from the schema',
    write: 'PUT of a routine by our openapi.yaml: checked, answered the same; nothing is kept',
    args: ({ port }) => ['mock', '-h', '127.0.0.1', '-p', port, '-v', 'silent', OPENAPI],
    requests: async () => readsAndWrites((name) => `/routines/${name}?api-version=v1`),
    first: { path: '/routines?api-version=v1', headers: bearer('first') },
  },
  {
    name: 'json-server',
    package: 'json-server',
    version: '0.17.4',
    read: 'GET of an item',
    write: 'PUT of an item: the whole file of a hundred is written',
    files: (folder) =>
      writeFileSync(
        join(folder, 'db.json'),
        JSON.stringify({ routines: NAMES.map((id) => ({ id, ...ROUTINE })) }),
      ),
    args: ({ port, folder }) => [
      ...['--quiet', '-H', '127.0.0.1', '-p', port, '--snapshots', folder],
      join(folder, 'db.json'),
    ],
    requests: async () => readsAndWrites((name) => `/routines/${name}`),
    first: { path: '/routines' },
  },
  {
    name: 'Mockoon CLI',
    package: '@mockoon/cli',
    version: '9.9.0',
    read: 'GET of an item of a data bucket (a CRUD route)',
    write: 'PUT of an item of a data bucket, in memory',
    files: (folder) =>
      writeFileSync(
        join(folder, 'mockoon.json'),
        JSON.stringify({
          uuid: uuid(1),
          lastMigration: 33,
          name: 'bench',
          routes: [
            {
              uuid: uuid(2),
              type: 'crud',
              endpoint: 'routines',
              responses: [
                { uuid: uuid(3), default: true, bodyType: 'DATABUCKET', databucketID: 'kept' },
              ],
            },
          ],
          rootChildren: [{ type: 'route', uuid: uuid(2) }],
          data: [
            {
              uuid: uuid(4),
              id: 'kept',
              name: 'kept',
              value: JSON.stringify(NAMES.map((id) => ({ id, ...ROUTINE }))),
            },
          ],
        }),
      ),
    // -r fills in the rest of the file; its log goes to stdout and cannot be turned off.
    args: ({ port, folder }) => [
      ...['start', '-r', '-X', '-l', '127.0.0.1', '-p', port, '-d'],
      join(folder, 'mockoon.json'),
    ],
    requests: async () => {
      const both = readsAndWrites((name) => `/routines/${name}`);
      // A replacement without the id would lose it.
      both.writes.forEach((request, index) => {
        request.body = JSON.stringify({ id: NAMES[index], ...ROUTINE });
      });
      return both;
    },
    first: { path: '/routines' },
  },
  {
    name: 'aimock',
    package: '@copilotkit/aimock',
    version: '1.43.0',
    bin: 'llmock',
    read: 'GET /v1/models: a constant',
    write: 'POST /v1/responses: a fixture is found and answered, and journaled in memory',
    files: (folder) =>
      writeFileSync(
        join(folder, 'fixtures.json'),
        JSON.stringify({
          fixtures: [
            { match: { userMessage: ROUTINE.action.input }, response: { content: 'Nothing is.' } },
          ],
        }),
      ),
    args: ({ port, folder }) => [
      ...['-h', '127.0.0.1', '-p', port, '--log-level', 'silent', '-f'],
      join(folder, 'fixtures.json'),
    ],
    requests: async () => ({
      reads: NAMES.map((name) => ({ method: 'GET', path: '/v1/models', headers: bearer(name) })),
      writes: NAMES.map((name) => ({
        method: 'POST',
        path: '/v1/responses',
        headers: { ...bearer(name), ...JSON_TYPE },
        body: JSON.stringify({ model: 'gpt-4o', input: ROUTINE.action.input }),
      })),
    }),
    first: { path: '/v1/models' },
  },
  {
    name: 'emulate',
    package: 'emulate',
    version: '0.12.2',
    read: 'GET of a Stripe customer (its quota of 5,000 an hour is for a token: each of the hundred has its own)',
    write: 'POST to a Stripe customer: updated, in memory',
    args: ({ port }) => ['start', '--service', 'stripe', '--host', '127.0.0.1', '-p', port],
    requests: async (url) => {
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      const body = new URLSearchParams({
        name: 'One of many.',
        'metadata[routine]': JSON.stringify(ROUTINE),
      }).toString();
      const write = (name, path) => ({
        method: 'POST',
        path,
        headers: { ...bearer(name), ...form },
        body,
      });
      const made = await send(
        url,
        NAMES.map((name) => write(name, '/v1/customers')),
      );
      const paths = made.map((text) => `/v1/customers/${JSON.parse(text).id}`);
      return {
        reads: NAMES.map((name, index) => ({
          method: 'GET',
          path: paths[index],
          headers: bearer(name),
        })),
        writes: NAMES.map((name, index) => write(name, paths[index])),
      };
    },
    first: { path: '/v1/customers', headers: bearer('first') },
  },
  {
    name: 'Azurite blob',
    package: 'azurite',
    version: '3.37.0',
    // 3.17.0 needs a package that not every registry has.
    pinned: ['applicationinsights@3.16.0'],
    bin: 'azurite-blob',
    read: 'GET of a blob, its signature checked',
    write: 'PUT of a blob, its signature checked, in memory',
    args: ({ port }) => [
      ...['--inMemoryPersistence', '--silent', '--skipApiVersionCheck', '--disableTelemetry'],
      ...['--blobHost', '127.0.0.1', '--blobPort', port],
    ],
    env: { AZURITE_ACCOUNTS: `${AZURITE.account}:${AZURITE.key.toString('base64')}` },
    requests: async (url) => {
      const sas = azuriteSas();
      await send(url, [{ method: 'PUT', path: `/bench/kept?restype=container&${sas}` }]);
      const headers = { 'x-ms-version': '2020-10-02', 'x-ms-blob-type': 'BlockBlob' };
      return written(
        url,
        readsAndWrites((name) => `/bench/kept/${name}?${sas}`, { headers }),
      );
    },
    first: { path: `/bench?comp=list&${azuriteSas()}` },
  },
];
