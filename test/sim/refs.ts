/** What a story means by `<session 0 of digest>` and the like, once it has come so far. */
import { agentOf } from './agents.ts';
import type { State } from './state.ts';

/** The same, with ids in place of what is written `<…>`. */
export function resolve<T>(written: T, state: State): T {
  const text = JSON.stringify(written).replace(
    /<(\w+) (\w+)(?: of ([\w-]+))?>/g,
    (_, what: string, which: string, of: string | undefined) => idOf(state, what, which, of),
  );
  return JSON.parse(text);
}

function idOf(state: State, what: string, which: string, of: string | undefined): string {
  const agent = agentOf(state, of ?? '');
  const ids: Record<string, (string | undefined)[]> = {
    session: state.sessions.filter((one) => one.agent === agent?.key).map(({ id }) => id),
    conversation: state.conversations.map(({ id }) => id),
    item: state.conversations.flatMap(({ items }) => items.map(({ id }) => id)),
    response: state.responses.map(({ id }) => id),
    draft: agent?.drafts ?? [],
  };
  const all = ids[what] ?? [];
  return all.at(which === 'last' ? -1 : Number(which)) ?? NOBODY[what] ?? '';
}

const NOBODY: Record<string, string> = {
  session: 'session-not-made',
  conversation: 'conv_notmade',
  item: 'msg_notmade',
  response: 'resp_notmade',
  draft: 'draft-1',
};
