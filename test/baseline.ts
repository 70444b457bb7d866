/**
 * Every scenario played with nothing broken, and what it came across: nothing else can break it. Its exchanges are kept, so
 * that a play of rewritten answers needs no emulator for as long as it asks the same.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Breaking } from '../contracts/ledger.ts';
import { findOperation } from '../contracts/openapi.ts';
import { controlBelow, controlCall, type Sent, type Target } from '../contracts/target.ts';
import type { Emulator } from '../emulator/emulator.ts';
import { inProcess } from '../emulator/in-process.ts';
import type { Profile } from '../emulator/profile.ts';
import { isEventStream, isMeant, parsed, type Rewritable } from '../scenarios/broken.ts';
import { type Played, play } from '../scenarios/play.ts';
import type { Scenario } from '../scenarios/scenario.ts';
import { type Step, wordOf } from '../scenarios/step.ts';

/** What a play came across. */
interface Seen {
  /** Every answer that a step may have seen. */
  answers: Rewritable[];
  /** Operations and rules of those answers. */
  names: Set<string>;
  /** Switches and settings that were read for it; `*` is all of them. */
  values: Set<string>;
}

/** A request and its answer. */
interface Exchange {
  sent: Sent;
  operation: string;
  status: number;
  headers: Headers;
  body: Uint8Array<ArrayBuffer>;
}

export interface Baseline {
  scenario: Scenario;
  played: Played;
  seen: Seen;
  /** All of them in their order; undefined where that is chance, or where one was not answered. */
  exchanges: readonly Exchange[] | undefined;
}

export async function playWhole(scenarios: readonly Scenario[]): Promise<Baseline[]> {
  const { target, emulator, close } = inProcess();
  try {
    const all: Baseline[] = [];
    for (const scenario of scenarios) {
      const seen: Seen = { answers: [], names: new Set(), values: new Set() };
      const exchanges: Promise<Exchange | undefined>[] = [];
      watching = seen.values;
      const watched = watch(target, emulator, seen, exchanges, scenario);
      const played = await play(scenario, watched, { journal: true });
      const ended = await Promise.all(exchanges);
      const whole = ended.filter((one) => one !== undefined);
      const ordered = whole.length === ended.length && scenario.steps.every(isAwaited);
      all.push({ scenario, played, seen, exchanges: ordered ? whole : undefined });
    }
    return all;
  } finally {
    await close();
  }
}

function isAwaited(step: Step): boolean {
  return !('as' in step) && wordOf(step) !== 'parallel';
}

/** The control calls that a step makes. */
function controlled(step: Step): string[] {
  const word = wordOf(step);
  if (word === 'parallel') return (step.parallel as (Step | Step[])[]).flat().flatMap(controlled);
  // A poll moves time on.
  const polls = 'until' in step ? ['advanceClock'] : [];
  const path = String(step[word]).replace(/\{\{[^}]*\}\}/g, 'x');
  const known = controlCall(word)?.operation;
  const raw = path.startsWith('/_emulator') ? findOperation(word, path)?.operationId : undefined;
  return [...polls, ...[known, raw].filter((one) => one !== undefined)];
}

/** Where a world's values change or are read as a whole, all of them count as read. */
const READS_ALL = ['updateProject', 'resetProject', 'takeSnapshot', 'getHealth'];

function watch(
  target: Target,
  emulator: Emulator,
  seen: Seen,
  exchanges: Promise<Exchange | undefined>[],
  { steps }: Scenario,
): Target {
  const asked = new Set(steps.flatMap(controlled));
  return {
    ...target,
    async send(sent) {
      const operation = findOperation(sent.method, sent.path)?.operationId ?? '';
      const listening = watching;
      // The list of projects shows every value, and each play ends with it.
      if (operation === 'listProjects') watching = undefined;
      const sending = target.send(sent);
      const exchange = sending
        .then((answer) => exchangeOf(sent, operation, answer.clone()))
        // The play itself tells what broke; it is just not kept.
        .catch(() => undefined);
      exchanges.push(exchange);
      const answer = await sending;
      watching = listening;
      if (READS_ALL.includes(operation)) seen.values.add('*');
      const [, project] = /^\/(?:_emulator|api)\/projects\/([\w-]+)/.exec(sent.path) ?? [];
      if (project && answer.status < 300 && operation !== 'deleteProject')
        watchValues(emulator.project(project).world);
      // What the player asks for itself decides nothing.
      if (sent.path.startsWith('/_emulator') && !asked.has(operation)) return answer;
      const { headers } = answer;
      seen.names.add(operation).add(headers.get('x-foundrite-rule') ?? '');
      const meet = (body: unknown) => void seen.answers.push({ sent, headers, body });
      if (isEventStream(answer)) {
        meet(undefined);
        // It may end only when a later step lets it: each of its events is rewritten by itself.
        void exchange.then((whole) => eventsOf(whole).map(parsed).forEach(meet));
      } else meet(parsed(textOf(await exchange)));
      return answer;
    },
  };
}

async function exchangeOf(sent: Sent, operation: string, answer: Response): Promise<Exchange> {
  const { status, headers } = answer;
  return { sent, operation, status, headers, body: new Uint8Array(await answer.arrayBuffer()) };
}

function textOf(exchange: Exchange | undefined): string {
  return new TextDecoder().decode(exchange?.body);
}

function eventsOf(exchange: Exchange | undefined): string[] {
  return textOf(exchange)
    .split('\n')
    .flatMap((line) => /^data: ?(.*)$/.exec(line)?.[1] ?? []);
}

/** What reads of a watched world's values are noted in: one play goes on at a time. */
let watching: Set<string> | undefined;
const watchedProfiles = new WeakSet<object>();

function watchValues(world: { profile: Profile }): void {
  if (watchedProfiles.has(world.profile)) return;
  const noting = <Values extends object>(of: Values): Values =>
    new Proxy(of, {
      get(all, name) {
        watching?.add(String(name));
        return Reflect.get(all, name);
      },
    });
  const { name, switches, settings } = world.profile;
  world.profile = { name, switches: noting(switches), settings: noting(settings) };
  watchedProfiles.add(world.profile);
}

/** Whether a breaking can reach a scenario at all: it reads a value that changes, or meets an answer that is rewritten. */
export function reaches(breaking: Breaking, { answers, names, values }: Seen): boolean {
  const changed = Object.keys({ ...breaking.switches, ...breaking.settings });
  if (changed.some((name) => values.has('*') || values.has(name))) return true;
  return (breaking.rewrite ?? []).some(
    (one) =>
      (one.rule === undefined || names.has(one.rule)) &&
      (one.operation === undefined || [one.operation].flat().some((name) => names.has(name))) &&
      answers.some((answer) => isMeant(one, answer)),
  );
}

/**
 * What a play of rewritten answers comes to; undefined where only an emulator can tell: where values are others too, or what
 * is rewritten makes the scenario ask something else.
 */
export async function playRecorded(
  { scenario, exchanges }: Baseline,
  breaking: Breaking,
): Promise<Played | undefined> {
  if (exchanges === undefined || breaking.switches || breaking.settings) return undefined;
  // The player's own two looks at the journal begin its end, which comes early in a play that fails.
  const end = exchanges.findLastIndex(({ operation }) => operation === 'getJournal') - 1;
  let next = 0;
  let other = false;
  const send = async (sent: Sent): Promise<Response> => {
    let place = next;
    if (!isSame(exchanges[place]?.sent, sent))
      place = exchanges.findIndex((one, index) => index >= end && isSame(one.sent, sent));
    const exchange = exchanges[place];
    other ||= exchange === undefined;
    if (exchange === undefined) throw new Error(`${sent.method} ${sent.path} was not asked before`);
    next = place + 1;
    const { status, headers, body } = exchange;
    return new Response(body.length === 0 ? null : body, { status, headers });
  };
  const target = {
    name: 'recorded',
    authorization: 'Bearer scenario',
    control: controlBelow(),
    send,
  };
  const played = await play(scenario, target, { breaking }).catch((error: unknown) => {
    if (!other) throw error;
  });
  return other ? undefined : (played ?? undefined);
}

function isSame(one: Sent | undefined, other: Sent): boolean {
  return one?.path === other.path && isDeepStrictEqual(one, other);
}
