/** The tag Sessions, their files: bytes below the home of each sandbox, kept while it sleeps. */
import { unixSeconds } from '../clock.ts';
import { conflict, invalid, notFound, shown } from '../errors.ts';
import {
  type FileEntry,
  findFile,
  folderOf,
  listFolder,
  putFile,
  readFile,
  removeFile,
} from '../store/session-files.ts';
import type { SessionRow } from '../store/sessions.ts';
import type { World } from '../world.ts';
import {
  type Answer,
  bodyAs,
  type Input,
  type Operation,
  readFlag,
  readLimit,
  readOrder,
} from './input.ts';
import { existingSession, SESSIONS } from './sessions.ts';

const FILES = `${SESSIONS}/:session_id/files`;

/** The service's own limit (contract/agents.md 3.2). */
const FILE_BYTES_MAX = 50 * 1024 * 1024;
const PATH_MAX = 1_024;

export const sessionFileOperations: Operation[] = [
  {
    id: 'putSessionFile',
    method: 'PUT',
    path: `${FILES}/content`,
    kind: 'write',
    body: 'bytes',
    bodyMax: { bytes: FILE_BYTES_MAX, rule: 'file/max-50-mb' },
    handle: put,
  },
  { id: 'getSessionFile', method: 'GET', path: `${FILES}/content`, kind: 'read', handle: get },
  { id: 'listSessionFiles', method: 'GET', path: FILES, kind: 'read', handle: list },
  { id: 'deleteSessionFile', method: 'DELETE', path: FILES, kind: 'write', handle: remove },
  { id: 'makeSessionFolder', method: 'POST', path: `${FILES}/mkdir`, kind: 'write', handle: mkdir },
  { id: 'statSessionFile', method: 'GET', path: `${FILES}/stat`, kind: 'read', handle: stat },
];

/** A path below the home, without a slash at either end; the home is empty. */
function readPath(text: string): string {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  if (text.length <= PATH_MAX && !parts.includes('..') && !text.includes('\0'))
    return parts.join('/');
  throw invalid(
    `'path' cannot be ${shown(text)}. Use up to ${PATH_MAX} characters, relative to the home of the session, without '..'.`,
    'path',
    'file/path-stays-inside',
  );
}

function requiredPath(input: Input): string {
  const path = readPath(input.query.get('path') ?? '');
  if (path !== '') return path;
  throw invalid(
    "'path' names a file or folder below the home of the session. Send ?path=folder/file.txt.",
    'path',
    'file/path-required',
  );
}

function put(input: Input): Answer {
  const { world } = input.project;
  const { session } = existingSession(input);
  const path = requiredPath(input);
  const content = input.bytes ?? Buffer.alloc(0);
  if (findFile(world.store, session.seq, path)?.size === null)
    throw conflict(`${shown(path)} is a folder. Use another path.`, 'file/no-file-over-folder');
  makeFolders(world, session, folderOf(path));
  putFile(world.store, { session: session.seq, path, content, modified_at: world.now });
  return { status: 201, body: { path, bytes_written: content.length } };
}

/** A folder and those that it lies in, where they are not there yet. */
function makeFolders(world: World, session: SessionRow, path: string): void {
  if (path === '') return;
  const there = findFile(world.store, session.seq, path);
  if (there?.size === null) return;
  if (there !== undefined)
    throw conflict(
      `${shown(path)} is a file, and holds nothing. Use another path.`,
      'file/no-file-over-folder',
    );
  makeFolders(world, session, folderOf(path));
  const row = { session: session.seq, path, content: null, modified_at: world.now };
  putFile(world.store, row);
}

function existingEntry(world: World, session: SessionRow, path: string): FileEntry {
  const entry = findFile(world.store, session.seq, path);
  if (entry !== undefined) return entry;
  throw notFound(
    `The session has no file or folder ${shown(path)}. List its files with GET …/files.`,
    'file/unknown-answers-404',
  );
}

function get(input: Input): Answer {
  const { world } = input.project;
  const { session } = existingSession(input);
  const path = requiredPath(input);
  existingEntry(world, session, path);
  const content = readFile(world.store, session.seq, path);
  if (content === undefined)
    throw invalid(
      `${shown(path)} is a folder. List it with GET …/files?path=….`,
      'path',
      'file/only-files-are-read',
    );
  const headers = { 'content-type': 'application/octet-stream' };
  return { status: 200, stream: new Blob([Uint8Array.from(content)]).stream(), headers };
}

function list(input: Input): Answer {
  const { world } = input.project;
  const { session } = existingSession(input);
  const path = readPath(input.query.get('path') ?? '');
  if (path !== '' && existingEntry(world, session, path).size !== null)
    throw invalid(
      `${shown(path)} is a file. Read it with GET …/files/content.`,
      'path',
      'file/only-folders-are-listed',
    );
  const limit = readLimit(input, world.profile.settings.agents_page_default);
  const entries = listFolder(world.store, session.seq, path).map(viewEntry);
  if (readOrder(input, 'asc') === 'desc') entries.reverse();
  const from = placeAfter(entries, input.query.get('after'), 0, 1);
  const to = placeAfter(entries, input.query.get('before'), entries.length, 0);
  const between = entries.slice(from, Math.max(to, from));
  const before = input.query.get('before') && !input.query.get('after');
  const page = before ? between.slice(-limit) : between.slice(0, limit);
  const ids = page.length === 0 ? {} : { first_id: page[0]?.name, last_id: page.at(-1)?.name };
  return {
    status: 200,
    body: {
      path: path === '' ? '/' : path,
      entries: page,
      ...ids,
      has_more: page.length < between.length,
    },
  };
}

/** Where the page begins, or ends, that goes on at a name. */
function placeAfter(
  entries: readonly { name: string }[],
  name: string | null,
  otherwise: number,
  step: number,
): number {
  if (!name) return otherwise;
  const place = entries.findIndex((entry) => entry.name === name);
  if (place >= 0) return place + step;
  throw invalid(
    `There is no file ${shown(name)} in this folder to continue at. Start the list again.`,
    step === 1 ? 'after' : 'before',
    'list/after-known',
  );
}

function viewEntry({ path, size, modified_at }: FileEntry): {
  name: string;
  size: number;
  is_directory: boolean;
  modified_time: number;
} {
  return {
    name: path.slice(path.lastIndexOf('/') + 1),
    size: size ?? 0,
    is_directory: size === null,
    modified_time: unixSeconds(modified_at),
  };
}

function remove(input: Input): Answer {
  const { world } = input.project;
  const { session } = existingSession(input);
  const path = requiredPath(input);
  const entry = existingEntry(world, session, path);
  const full = entry.size === null && listFolder(world.store, session.seq, path).length > 0;
  if (full && !readFlag(input, 'recursive'))
    throw conflict(
      `The folder ${shown(path)} is not empty. Send recursive=true to remove all that is in it.`,
      'file/folder-not-empty',
    );
  removeFile(world.store, session.seq, path);
  return { status: 204 };
}

function mkdir(input: Input): Answer {
  const { world } = input.project;
  const { session } = existingSession(input);
  const inQuery = input.query.get('path');
  const given = input.body === undefined && inQuery !== null ? { path: inQuery } : input.body;
  const asked = bodyAs('SessionFolderCreate', given);
  const path = readPath(asked.path);
  makeFolders(world, session, path);
  return { status: 201, body: { path } };
}

function stat(input: Input): Answer {
  const { world } = input.project;
  const { session } = existingSession(input);
  const path = requiredPath(input);
  return { status: 200, body: { path, ...viewEntry(existingEntry(world, session, path)) } };
}
