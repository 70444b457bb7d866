/** Opens a world's database. Each resource keeps its table, its row type and its statements in a file beside this one. */
import { createHash } from 'node:crypto';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Database, Statement } from 'better-sqlite3';
import { makeFolder } from '../folder.ts';
import { AGENT_TABLES } from './agents.ts';
import { ASSISTANT_TABLES } from './assistants.ts';
import { ATTEMPT_TABLES } from './attempts.ts';
import { CODE_TABLES } from './code.ts';
import { CONVERSATION_TABLES } from './conversations.ts';
import { DUE_TABLES } from './due.ts';
import { FAULT_TABLES } from './faults.ts';
import { JOURNAL_TABLES } from './journal.ts';
import { RESPONSE_TABLES } from './responses.ts';
import { ROUTINE_TABLES } from './routines.ts';
import { RUN_TABLES } from './runs.ts';
import { SESSION_FILE_TABLES } from './session-files.ts';
import { SESSION_LOG_TABLES } from './session-logs.ts';
import { SESSION_TABLES } from './sessions.ts';
import { THREAD_RUN_TABLES } from './thread-runs.ts';
import { THREAD_TABLES } from './threads.ts';
import { WORLD_TABLES } from './world.ts';

const require = createRequire(import.meta.url);

/** Raised whenever a table changes; a file of another version is refused by name. */
export const STORE_VERSION = 3;

const TABLES = [
  WORLD_TABLES,
  DUE_TABLES,
  JOURNAL_TABLES,
  ROUTINE_TABLES,
  RUN_TABLES,
  ATTEMPT_TABLES,
  AGENT_TABLES,
  CODE_TABLES,
  RESPONSE_TABLES,
  CONVERSATION_TABLES,
  FAULT_TABLES,
  SESSION_TABLES,
  SESSION_LOG_TABLES,
  SESSION_FILE_TABLES,
  ASSISTANT_TABLES,
  THREAD_TABLES,
  THREAD_RUN_TABLES,
];

/** A folder, file or disk that cannot be used, with what to do: the command line ends with 14, an answer is 507. */
export class StoreError extends Error {
  override name = 'StoreError';
}

export interface Store {
  readonly db: Database;
  /** Where the file lies; undefined in memory. */
  readonly path: string | undefined;
  /** A statement, prepared on first use. */
  sql(text: string): Statement<unknown[], unknown>;
  close(): void;
}

let template: Buffer | undefined;

/** The image that every new world opens from: copying it costs a tenth of running the definitions. */
function templateImage(open: (source: Buffer | string) => Database): Buffer {
  if (!template) {
    const db = open(':memory:');
    for (const tables of TABLES) db.exec(tables);
    db.pragma(`user_version = ${STORE_VERSION}`);
    template = db.serialize();
    db.close();
  }
  return template;
}

export interface OpenStoreOptions {
  dataDir?: string | undefined;
  durability?: 'normal' | 'full' | undefined;
}

export function openStore(project: string, options: OpenStoreOptions): Store {
  const open = openDatabase();
  const path = options.dataDir === undefined ? undefined : filePath(options.dataDir, project);
  const db =
    path === undefined
      ? open(templateImage(open))
      : openFile(open, path, options.durability ?? 'normal');
  const statements = new Map<string, Statement<unknown[], unknown>>();
  return {
    db,
    path,
    sql(text) {
      let statement = statements.get(text);
      if (!statement) {
        statement = db.prepare<unknown[], unknown>(text);
        statements.set(text, statement);
      }
      return statement;
    },
    close: () => db.close(),
  };
}

// Loaded on first use: the native module is a third of a cold start, and `--help` needs none of it.
function openDatabase(): (source: Buffer | string) => Database {
  const Sqlite = require('better-sqlite3') as new (source: Buffer | string) => Database;
  return (source) => new Sqlite(source);
}

function openFile(
  open: (source: Buffer | string) => Database,
  path: string,
  durability: 'normal' | 'full',
): Database {
  try {
    if (!existsSync(path)) {
      // A deletion that was killed half-way may have left a log: it must not be played into the new world.
      removeWorld(path);
      writeWhole(path, (draft) => writeFileSync(draft, templateImage(open), { mode: 0o600 }));
    }
    requireWritable(path);
    const db = open(path);
    // Exclusive before WAL: the write-ahead log then needs no shared memory, and a second process is refused.
    db.pragma('busy_timeout = 0');
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`);
    db.exec('BEGIN IMMEDIATE; COMMIT');
    try {
      requireVersion(path, db);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  } catch (error) {
    throw refusal(path, error);
  }
}

function requireVersion(path: string, db: Database): void {
  const version = db.pragma('user_version', { simple: true });
  if (version === STORE_VERSION) return;
  // SQLite takes an empty file for an empty database.
  if (version === 0)
    throw new StoreError(
      `${path} holds no project of Foundrite's: it is empty, or another program's. Move it away, or choose another --data-dir.`,
    );
  throw new StoreError(
    `The world in ${path} was written by another Foundrite (format ${String(version)}, this one reads ${STORE_VERSION}). Use that version, or another --data-dir.`,
  );
}

/** SQLite opens what it may not write all the same, and fails later with less to say. */
function requireWritable(path: string): void {
  accessSync(path, constants.R_OK | constants.W_OK);
}

/** Written under another name and then moved, so that neither a full disk nor a kill leaves half a file. */
function writeWhole(path: string, write: (draft: string) => void): void {
  const draft = `${path}.new`;
  try {
    rmSync(draft, { force: true });
    write(draft);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** A slug that a person recognises, and a hash that tells apart what slugs to the same. */
function filePath(dataDir: string, project: string): string {
  makeFolder(dataDir);
  const slug = project
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40);
  const digest = createHash('sha256').update(project).digest('hex').slice(0, 8);
  return join(dataDir, `${slug}-${digest}.db`);
}

/** Whether a project's world lies in a folder. */
export function isStored(dataDir: string, project: string): boolean {
  return existsSync(filePath(dataDir, project));
}

/** Removes the files of a project's world. */
export function removeStored(dataDir: string, project: string): void {
  const path = filePath(dataDir, project);
  try {
    removeWorld(path);
  } catch (error) {
    throw refusal(path, error);
  }
}

function removeWorld(path: string): void {
  for (const suffix of ['', '-wal', '-journal', '-shm', '.new'])
    rmSync(path + suffix, { force: true });
  rmSync(snapshotFolder(path), { recursive: true, force: true });
}

/** Where the snapshots of a project lie whose world is in memory. */
export function snapshotFolderIn(folder: string, project: string): string {
  return snapshotFolder(filePath(folder, project));
}

export function snapshotFolder(path: string): string {
  return path.replace(/\.db$/, '.snapshots');
}

/** Keeps every other process out of a folder until it is closed, or its process ends however that may be. */
export function lockFolder(dataDir: string): { close(): void } {
  try {
    makeFolder(dataDir);
    const path = join(dataDir, 'foundrite.lock');
    // SQLite makes files by the umask; what lies here is its owner's alone.
    // Not when it is there: closing any handle of a file lets go of the locks that this process has on it.
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
    const lock = openDatabase()(path);
    lock.pragma('locking_mode = EXCLUSIVE');
    lock.pragma('busy_timeout = 0');
    lock.exec('BEGIN EXCLUSIVE; COMMIT');
    return lock;
  } catch (error) {
    throw refusal(dataDir, error);
  }
}

/** The projects whose worlds lie in a folder. */
export function storedProjects(dataDir: string): string[] {
  return storedWorlds(dataDir).flatMap((path) => {
    let db: Database | undefined;
    try {
      requireWritable(path);
      db = openDatabase()(path);
      requireVersion(path, db);
      const row = db.prepare('SELECT project FROM world').get() as { project: string } | undefined;
      return row ? [row.project] : [];
    } catch (error) {
      throw refusal(path, error);
    } finally {
      db?.close();
    }
  });
}

function refusal(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const { code = '', message } = error as { code?: string; message: string };
  return new StoreError(sentenceOf(path, code, message));
}

const FULL = /^(?:SQLITE_FULL|ENOSPC|EDQUOT)$/;
const NOT_ALLOWED = /^(?:SQLITE_(?:READONLY|CANTOPEN|PERM)|EROFS$|EACCES$|EPERM$)/;
const NO_FOLDER = /^(?:EEXIST|ENOTDIR)$/;

function sentenceOf(path: string, code: string, message: string): string {
  if (code === 'SQLITE_BUSY')
    return `Another process is using ${path}. Stop it, or choose another --data-dir.`;
  if (FULL.test(code))
    return `The disk of ${path} is full. Make room on it, or choose another --data-dir.`;
  if (NOT_ALLOWED.test(code))
    return `${path} cannot be written: ${message}. Allow it for this user, or choose another --data-dir.`;
  if (NO_FOLDER.test(code))
    return `${path} is no folder, or lies below a file: ${message}. Choose another --data-dir.`;
  if (code === 'ENOENT') return `${path} cannot be made: ${message}. Choose another --data-dir.`;
  return `${path} cannot be used: ${message} (${code}). Check its disk, or choose another --data-dir.`;
}

/** What an error of a statement says of the disk; undefined when it says nothing of it. */
export function storeErrorOf(store: Store, error: unknown): StoreError | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  if (error instanceof StoreError) return error;
  if (typeof code !== 'string' || !/^SQLITE_(?:FULL|READONLY|IOERR|CANTOPEN)/.test(code))
    return undefined;
  return refusal(store.path ?? 'the memory of this process', error);
}

/** The worlds that lie in a folder. */
function storedWorlds(dataDir: string): string[] {
  if (!existsSync(dataDir)) return [];
  return readdirSync(dataDir)
    .filter((name) => name.endsWith('.db'))
    .map((name) => join(dataDir, name));
}

/** Writes a consistent copy of the database to a file; one that is there already stays as it is until the copy is whole. */
export function copyTo(store: Store, path: string): void {
  try {
    makeFolder(dirname(path));
    writeWhole(path, (draft) => {
      // An empty file is as good to SQLite as none, and is its owner's alone.
      writeFileSync(draft, '', { mode: 0o600, flag: 'wx' });
      store.sql('VACUUM INTO ?').run(draft);
    });
  } catch (error) {
    throw refusal(path, error);
  }
}

/** Does something while a copy is attached. */
export function withCopy<T>(store: Store, path: string, work: () => T): T {
  store.sql('ATTACH DATABASE ? AS copy').run(path);
  try {
    return work();
  } finally {
    store.db.exec('DETACH DATABASE copy');
  }
}

/** Replaces every row with those of the attached copy, in the open handle: prepared statements and the lock stay as they are. */
export function takeCopy(store: Store): void {
  for (const table of tableNames(store)) {
    store.db.exec(
      `DELETE FROM main."${table}"; INSERT INTO main."${table}" SELECT * FROM copy."${table}"`,
    );
  }
}

/** Where the clock of a copy stands. */
export function nowOfCopy(store: Store, path: string): number {
  return withCopy(
    store,
    path,
    () => (store.db.prepare('SELECT now FROM copy.world').get() as { now: number }).now,
  );
}

/** Empties every table. */
export function clearStore(store: Store): void {
  for (const table of tableNames(store)) store.db.exec(`DELETE FROM main."${table}"`);
}

function tableNames(store: Store): string[] {
  const rows = store
    .sql("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .all();
  return (rows as { name: string }[]).map((row) => row.name);
}
