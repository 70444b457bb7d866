/** Node and the native module. That Node is new enough was said by bin.mjs already: nothing here would run otherwise. */
import { createRequire } from 'node:module';
import type { Database } from 'better-sqlite3';
import { type Finding, ok, wrong } from './finding.ts';

const require = createRequire(import.meta.url);

export function checkNode(): Finding[] {
  const node = `Node ${process.versions.node} on ${process.platform} ${process.arch}`;
  try {
    const { version } = require('better-sqlite3/package.json') as { version: string };
    const Sqlite = require('better-sqlite3') as new (path: string) => Database;
    const db = new Sqlite(':memory:');
    const sqlite = db.prepare('SELECT sqlite_version()').pluck().get();
    db.close();
    return [ok('node', `${node}; better-sqlite3 ${version} loads (SQLite ${String(sqlite)})`)];
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0];
    return [
      wrong(
        'node',
        `${node} cannot load better-sqlite3: ${reason}`,
        'Install the package again with this Node, for this system: node_modules of another machine, system or Node do not serve. ' +
          'There are binaries for Linux (glibc and musl), macOS and Windows, x64 and arm64.',
      ),
    ];
  }
}
