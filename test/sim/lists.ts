/** What the model lists, page by page. */
import { agentOf, UNKNOWN_AGENT } from './agents.ts';
import { conversationOf, UNKNOWN_CONVERSATION } from './conversations.ts';
import { UNKNOWN_ROUTINE } from './routine-steps.ts';
import { runsOf } from './routines.ts';
import { sessionsOf } from './sessions.ts';
import type { State } from './state.ts';
import type { Expected, Refusal, Step } from './step.ts';

type Key = number | string;

/** Pages of routines, or of the runs of one. */
export function pageRoutines(state: State, step: Step & { do: 'page' }): Expected {
  const { of, limit = 100, order, after } = step;
  const refusals: Refusal[] = [];
  const names = state.routines.filter(({ deleted }) => !deleted).map(({ name }) => name);
  const keys = of === undefined ? names : runsOf(state, of)?.map(({ key }) => key);
  if (keys === undefined) refusals.push(UNKNOWN_ROUTINE);
  if (after !== undefined) refusals.push([400, 'list/after-known']);
  return pages(state, refusals, keys ?? [], limit, order ?? state.switches.default_order);
}

/** Pages of agents, or of what belongs to them. */
export function pageAgents(state: State, step: Step & { do: 'list' }): Expected {
  const { what, of = '', drafts, limit, order } = step;
  const agent = agentOf(state, of);
  const refusals: Refusal[] = [];
  let keys: (Key | undefined)[] = [];
  if (what === 'agents') keys = state.agents.map(({ name }) => name);
  else if (what === 'responses')
    keys = state.responses.filter(({ deleted }) => !deleted).map(({ id }) => id);
  else if (what === 'conversations')
    keys = state.conversations.filter(({ deleted }) => !deleted).map(({ id }) => id);
  else if (what === 'items') {
    const conversation = conversationOf(state, of);
    if (!conversation) refusals.push(UNKNOWN_CONVERSATION);
    keys = conversation?.items.map(({ id }) => id) ?? [];
  } else if (!agent) refusals.push(UNKNOWN_AGENT);
  else if (what === 'sessions') keys = sessionsOf(state, of).map(({ id }) => id);
  else
    keys = agent.versions
      .filter(({ draft }) => drafts || !draft)
      .map(({ version }) => `${of}:${version}`);
  return pages(state, refusals, keys as Key[], limit, order ?? state.switches.agents_order);
}

function pages(
  { switches }: State,
  refusals: Refusal[],
  listed: Key[],
  limit: number,
  order: string | undefined,
): Expected {
  if (switches.limit_out_of_range === 'refuse' && (limit < 1 || limit > 100))
    refusals.push([400, 'list/limit-1-to-100']);
  if (refusals.length > 0) return { refusals };
  const keys = order === 'desc' ? listed.toReversed() : listed;
  const size = Math.min(Math.max(limit, 1), 100);
  const all = [keys.slice(0, size)];
  for (let from = size; from < keys.length; from += size) all.push(keys.slice(from, from + size));
  return { status: 200, pages: all };
}
