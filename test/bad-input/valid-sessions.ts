/** Valid requests of sessions, their files and their logs. */
import type { Collect } from './valid.ts';
import { DELETED, SESSION, STOPPED, WORLD, ZIP } from './world.ts';

const AGENT = `/api/projects/${WORLD}/agents/digest`;
const SESSIONS = `${AGENT}/endpoint/sessions`;
const FILES = `${SESSIONS}/${SESSION}/files`;
const BYTES = { 'content-type': 'application/octet-stream' };

export function validSessions(collect: Collect): void {
  validObjects(collect);
  validFiles(collect);
  validLogs(collect);
}

function validObjects({ of, add }: Collect): void {
  of('createSession');
  add('POST', SESSIONS);
  add('POST', `${SESSIONS}?api-version=v1`, {}, { 'x-session-isolation-key': 'k' });
  add(
    'POST',
    SESSIONS,
    {
      agent_session_id: 'my-session_4',
      version_indicator: { type: 'version_ref', agent_version: '1' },
    },
    { 'x-ms-user-identity': 'me@example.com' },
  );
  of('listSessions');
  add('GET', SESSIONS);
  add('GET', `${SESSIONS}?limit=1&order=asc&after=${SESSION}`);
  add('GET', `${SESSIONS}?pagination_token=${STOPPED}&api-version=v1`);
  of('getSession');
  add('GET', `${SESSIONS}/${SESSION}`);
  add('GET', `${SESSIONS}/${STOPPED}?api-version=v1`);
  of('deleteSession');
  add('DELETE', `${SESSIONS}/${SESSION}`);
  add('DELETE', `${SESSIONS}/${DELETED}?api-version=v1`);
  of('stopSession');
  add('POST', `${SESSIONS}/${SESSION}:stop`);
  add('POST', `${SESSIONS}/${STOPPED}:stop?api-version=v1`);
}

function validFiles({ of, add }: Collect): void {
  of('putSessionFile');
  add('PUT', `${FILES}/content?path=notes.txt`, ZIP, BYTES);
  add('PUT', `${FILES}/content?path=a/b/c.bin&api-version=v1`, Buffer.from('text'), BYTES);
  of('getSessionFile');
  add('GET', `${FILES}/content?path=data/in.csv`);
  add('GET', `${FILES}/content?path=%2Fnotes.txt&api-version=v1`);
  of('listSessionFiles');
  add('GET', FILES);
  add('GET', `${FILES}?path=data&limit=1&order=desc`);
  add('GET', `${FILES}?after=data&before=notes.txt&api-version=v1`);
  of('deleteSessionFile');
  add('DELETE', `${FILES}?path=notes.txt`);
  add('DELETE', `${FILES}?path=data&recursive=true&api-version=v1`);
  of('makeSessionFolder');
  add('POST', `${FILES}/mkdir`, { path: 'new/folder' });
  add('POST', `${FILES}/mkdir?api-version=v1`, { path: 'data' });
  of('statSessionFile');
  add('GET', `${FILES}/stat?path=data`);
  add('GET', `${FILES}/stat?path=notes.txt&api-version=v1`);
}

/** Those that follow go on until their reader goes away. */
function validLogs({ of, add }: Collect): void {
  for (const [operation, path] of [
    ['streamSessionLogs', `${AGENT}/sessions/${SESSION}:logstream`],
    ['streamVersionSessionLogs', `${AGENT}/versions/2/sessions/${SESSION}:logstream`],
  ] as const) {
    of(operation);
    add('GET', path);
    add('GET', `${path}?follow=false&tail=1&kind=console`, undefined, {
      accept: 'text/event-stream',
    });
    add('GET', `${path}?kind=system&tail=300&api-version=v1`);
  }
}
