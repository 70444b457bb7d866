/** Goes through a list page by page, as clients do. */
import type { Answer } from './asked.ts';
import type { Compared } from './compared.ts';
import type { Json } from './definition.ts';
import type { Step } from './step.ts';

type Paged = Step & { do: 'page' | 'list' | 'leaf through' };

/** The pages of a list, the first of which was answered; `path` is where. */
export async function comparePages(
  both: Compared,
  step: Paged,
  pages: (number | string | undefined)[][],
  path: string,
  first: Answer | undefined,
): Promise<void> {
  let answer = first;
  for (const [index, page] of pages.entries()) {
    const { data, has_more, next_link, first_id, last_id } = answer?.body ?? {};
    const known = page.map((one) => (typeof one === 'number' ? both.ids.of(one) : one));
    both.same(
      `page ${index + 1}`,
      known,
      data.map((one: Json) => one[fieldOf(step)]),
    );
    const last = index + 1 === pages.length;
    both.same(`whether more follows page ${index + 1}`, !last, has_more);
    if (step.do !== 'page') {
      const ends = [known[0] ?? null, known.at(-1) ?? null];
      both.same(`the ends of page ${index + 1}`, ends, [first_id, last_id]);
    }
    if (last) return;
    const next =
      step.do === 'page'
        ? nextOf(next_link, last_id, index)
        : `${path}&after=${encodeURIComponent(last_id)}`;
    answer = await both.asked.ask('GET', next);
    both.count('pages that follow');
  }
}

function nextOf(link: string | undefined, last: string, index: number): string {
  const next = new URL(String(link));
  // Every other page is asked for as .NET does, by the last id.
  if (index % 2 === 1) next.searchParams.set('after', last);
  return next.pathname + next.search;
}

function fieldOf(step: Paged): string {
  if (step.do === 'list') return step.what === 'sessions' ? 'agent_session_id' : 'id';
  return step.do === 'page' && step.of === undefined ? 'name' : 'id';
}
