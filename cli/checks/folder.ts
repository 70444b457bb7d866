/** The folder of --data-dir: there, writable, free, with room, and its worlds whole. */
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { randomHex } from '../../emulator/ids.ts';
import { lockFolder, STORE_VERSION } from '../../emulator/store/store.ts';
import { type Finding, ok, warning, wrong } from './finding.ts';
import type { Running } from './port.ts';

const require = createRequire(import.meta.url);
const MIB = 1024 * 1024;
/** A world with an hour of firings takes about this much. */
const ROOM_WARN = 100 * MIB;
const ROOM_MIN = 5 * MIB;
/** What a system, and SQLite, say of a full disk. */
const NO_ROOM = /^(?:ENOSPC|EDQUOT|SQLITE_FULL)$/;
const OTHER = 'Choose another with --data-dir';

/** `running` holds the port: when it is the one that uses the folder, that is as it should be. */
export function checkFolder(dataDir: string | undefined, running?: Running): Finding[] {
  if (dataDir === undefined) return [ok('folder', 'none: projects live in memory (--data-dir)')];
  const folder = resolve(dataDir);
  const there = statSync(folder, { throwIfNoEntry: false });
  if (!there) return checkParent(folder);
  if (!there.isDirectory())
    return [wrong('folder', `${folder} is a file, not a folder`, `${OTHER}.`)];

  const refused = writeRefused(folder);
  if (refused && !NO_ROOM.test(refused))
    return [
      wrong(
        'folder',
        `${folder} cannot be written (${refused})`,
        `Give this user the right to write there. ${OTHER} otherwise.`,
      ),
    ];
  const room = checkRoom(folder, freeBytes(folder));
  const lockFile = join(folder, 'foundrite.lock');
  let lock: { close(): void } | undefined;
  try {
    if (existsSync(lockFile)) lock = lockFolder(folder);
  } catch (error) {
    return [...room, inUse(folder, lockFile, error as Error, running)];
  }
  try {
    return [...room, ...worlds(folder).map(checkWorld)];
  } finally {
    lock?.close();
  }
}

/** It will be made at the start: as far up as there is one, the folder must take a new entry. */
function checkParent(folder: string): Finding[] {
  let parent = dirname(folder);
  while (!existsSync(parent) && parent !== dirname(parent)) parent = dirname(parent);
  const refused = statSync(parent).isDirectory() ? writeRefused(parent) : 'it is a file';
  return refused
    ? [
        wrong(
          'folder',
          `${folder} cannot be made: ${parent} cannot be written (${refused})`,
          `${OTHER}.`,
        ),
      ]
    : [ok('folder', `${folder} is not there yet; a start makes it`)];
}

/** By really writing: rights alone do not tell of a file system that is mounted for reading. */
export function writeRefused(folder: string): string | undefined {
  const path = join(folder, `.foundrite-${randomHex(6)}`);
  try {
    writeFileSync(path, '', { flag: 'wx', mode: 0o600 });
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    rmSync(path, { force: true });
  }
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

export function checkRoom(folder: string, bytes: number): Finding[] {
  const found = `${folder} has ${Math.floor(bytes / MIB)} MiB left`;
  if (bytes < ROOM_MIN) return [wrong('folder', found, `Make room there. ${OTHER} otherwise.`)];
  if (bytes < ROOM_WARN) return [warning('folder', found, 'Make room there before it is full.')];
  return [ok('folder', `${folder} can be written; ${Math.floor(bytes / MIB)} MiB left`)];
}

function inUse(folder: string, lockFile: string, error: Error, running?: Running): Finding {
  if (error.message.includes(' is full.'))
    return warning('folder', `${folder} cannot be checked until there is room`, 'Make room there.');
  if (!error.message.startsWith('Another process'))
    return wrong('folder', error.message, 'Remove foundrite.lock there when no Foundrite runs.');
  const pid = pidOfLock(lockFile);
  const byRunning = running && (pid === running.pid || resolve(running.store) === folder);
  if (byRunning)
    return ok('folder', `${folder} is used by the emulator that runs (pid ${running.pid})`);
  const who = pid === undefined ? 'another process' : `another process (pid ${pid})`;
  return wrong('folder', `${folder} is used by ${who}`, `Stop it. ${OTHER} otherwise.`);
}

/** Linux tells who holds the lock of a file, by its inode. */
function pidOfLock(file: string): number | undefined {
  try {
    const { ino } = statSync(file);
    const line = readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .find((each) => each.split(/\s+/)[5]?.endsWith(`:${ino}`));
    const pid = Number(line?.trim().split(/\s+/)[4]);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function worlds(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.db'))
    .sort()
    .map((name) => join(folder, name));
}

/** Read-only, so that a damaged file is left as it was found. */
function checkWorld(path: string): Finding {
  const Sqlite = require('better-sqlite3') as new (
    path: string,
    options: { readonly: true; fileMustExist: true; timeout: number },
  ) => Database;
  const hadShm = existsSync(`${path}-shm`);
  let db: Database | undefined;
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    db = new Sqlite(path, { readonly: true, fileMustExist: true, timeout: 0 });
    const version = db.pragma('user_version', { simple: true });
    if (version === 0)
      return wrong(
        'folder',
        `${path} holds no project of Foundrite's: it is empty, or another program's`,
        `Move it away. ${OTHER} otherwise.`,
      );
    if (version !== STORE_VERSION)
      return wrong(
        'folder',
        `${path} has format ${String(version)}, and this Foundrite reads ${STORE_VERSION}`,
        `Use the Foundrite that wrote it. ${OTHER} otherwise.`,
      );
    const said = db.pragma('quick_check(1)', { simple: true });
    if (said !== 'ok') return damaged(path, String(said).replace(/\s+/g, ' '));
    const project = db.prepare('SELECT project FROM world').pluck().get();
    if (typeof project !== 'string') return damaged(path, 'it names no project');
    return ok('folder', `${path} is whole (project ${project})`);
  } catch (error) {
    return unchecked(path, error as NodeJS.ErrnoException);
  } finally {
    db?.close();
    // A reader of a log that was left behind makes this index of it, and would leave it.
    if (!hadShm) rmSync(`${path}-shm`, { force: true });
  }
}

/** A disk that is full, or a file that may not be used, says nothing of what the file holds. */
function unchecked(path: string, { code = '', message }: NodeJS.ErrnoException): Finding {
  if (/^SQLITE_(?:NOTADB|CORRUPT)/.test(code)) return damaged(path, message);
  // A log that was left behind needs an index beside it, which SQLite calls an error of the disk when there is no room for it.
  const full = code.startsWith('SQLITE_') && freeBytes(dirname(path)) < ROOM_MIN;
  if (full || NO_ROOM.test(code))
    return warning(
      'folder',
      `${path} cannot be checked until there is room`,
      'Make room there; it is left as it is.',
    );
  if (/^(?:EACCES|EPERM|EROFS)$/.test(code))
    return wrong(
      'folder',
      `${path} cannot be read and written (${code})`,
      `Give this user the right to: chmod 600 ${path}. ${OTHER} otherwise.`,
    );
  return wrong(
    'folder',
    `${path} cannot be checked: ${message} (${code})`,
    `Check its disk. ${OTHER} otherwise.`,
  );
}

function damaged(path: string, reason: string): Finding {
  return wrong(
    'folder',
    `${path} is damaged: ${reason}`,
    `Move it away (with ${path}-wal, if that is there) and put a copy of it back if you have one; without it the project starts empty.`,
  );
}
