/** Goes through a list page by page, as clients do. */

import { agentRequest } from './agent-asked.ts';
import type { Answer } from './asked.ts';
import { API } from './asked.ts';
import type { Compared } from './compared.ts';
import type { Json } from './definition.ts';
import type { Expected, Step } from './step.ts';

/** The pages of a list, the first of which was answered. */
export async function comparePages(
  both: Compared,
  step: Step & { do: 'page' | 'list' },
  { pages = [] }: Expected,
  first: Answer | undefined,
): Promise<void> {
  let answer = first;
  for (const [index, page] of pages.entries()) {
    const { data, has_more, next_link, first_id, last_id } = answer?.body ?? {};
    const known = page.map((one) => (typeof one === 'string' ? one : both.ids.of(one)));
    both.same(
      `page ${index + 1}`,
      known,
      data.map((one: Json) => one[fieldOf(step)]),
    );
    const last = index + 1 === pages.length;
    both.same(`whether more follows page ${index + 1}`, !last, has_more);
    if (step.do === 'list') {
      const ends = [known[0] ?? null, known.at(-1) ?? null];
      both.same(`the ends of page ${index + 1}`, ends, [first_id, last_id]);
    }
    if (last) return;
    answer = await both.asked.ask('GET', nextOf(step, next_link, last_id, index));
    both.count('pages that follow');
  }
}

function nextOf(step: Step, link: string | undefined, last: string, index: number): string {
  if (step.do === 'list') {
    const [, path] = agentRequest(step);
    return `${API}${path}&after=${encodeURIComponent(last)}`;
  }
  const next = new URL(String(link));
  // Every other page is asked for as .NET does, by the last id.
  if (index % 2 === 1) next.searchParams.set('after', last);
  return next.pathname + next.search;
}

function fieldOf(step: Step & { do: 'page' | 'list' }): string {
  if (step.do === 'list') return step.what === 'sessions' ? 'agent_session_id' : 'id';
  return step.of === undefined ? 'name' : 'id';
}
