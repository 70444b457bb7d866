/** Where a scenario is played: its projects, made before the first step and gone after the last, and what its journal tells. */
import {
  ALL_FEATURES,
  aboutAssistant,
  type ConfiguredCall,
  callsOf,
  placeIn,
  routedTo,
} from '../contracts/configured.ts';
import { configuredRequest } from '../contracts/configured-request.ts';
import { showDuration } from '../contracts/duration.ts';
import { pathIn } from '../contracts/field-path.ts';
import type { Breaking } from '../contracts/ledger.ts';
import type { Control, Sent } from '../contracts/target.ts';
import type { Answer } from './answer.ts';
import { failedAnswer, otherStatus } from './failure.ts';
import { type Key, shown } from './match.ts';
import { type Asking, requestOf } from './request.ts';
import type { Scenario } from './scenario.ts';
import { fillAll } from './slot.ts';
import type { Step } from './step.ts';

/** One call of a delivery to its agent, as the journal tells it. */
export interface Attempt {
  routine: string;
  run: string;
  number: number;
  /** The agent's status, or what became of the call. */
  gave: string;
  at: string;
  next: string;
}

/** A thread run, and when it came to each of its statuses, as the journal tells it. */
export interface ThreadRun {
  id: string;
  thread: string;
  /** `queued +0s, in_progress +0.5s`. */
  statuses: string;
}

export interface Stage {
  scenario: Scenario;
  seed: string;
  /** The name of the scenario's own project, with which those of its `in` begin. */
  project: string;
  control: Control;
  asking: Asking;
  /** What is broken on purpose: its values go before the scenario's own. */
  breaking: Breaking;
  call(sent: Sent, path?: readonly Key[]): Promise<Answer>;
}

/** A control call to one of the projects. */
export function ask(
  stage: Stage,
  word: string,
  project: string,
  more: { query?: Record<string, unknown>; body?: unknown } = {},
): Promise<Answer> {
  return stage.call(stage.control.request(word, { params: { p: project }, ...more }));
}

/** Makes everything that a scenario names before its steps; throws StepFailed where it is refused. */
export async function setUp(stage: Stage): Promise<void> {
  const { scenario, project, asking, control } = stage;
  const named = [undefined, ...scenario.steps.flatMap(projectsOf)].map(asking.projectOf);
  const ownMade = scenario.steps
    .filter((step) => 'project' in step)
    .map((step) => asking.projectOf(step.in));
  for (const name of new Set(named)) if (!ownMade.includes(name)) await makeProject(stage, name);
  await makeAgents(stage);
  if (scenario.faults) {
    const body = { faults: fillAll(scenario.faults, asking.frame) };
    await must(stage, 'faults', control.request('faults', { params: { p: project }, body }));
  }
}

function projectsOf(step: Step): string[] {
  if (Array.isArray(step.parallel))
    return step.parallel.flat().flatMap((one) => projectsOf(one as Step));
  return typeof step.in === 'string' ? [step.in] : [];
}

/** Agents that a scenario names before its steps are there when they begin; who looks at how they come to be says how long it takes. */
const AT_ONCE = { provisioning_time: '0s' };

/** A project that an earlier play left is made anew. */
async function makeProject(stage: Stage, name: string): Promise<void> {
  const { now, skip, empty, profile, switches, settings } = stage.scenario;
  const body = {
    now: new Date(now).toISOString(),
    rate: 0,
    skip,
    seed: stage.seed,
    empty,
    ...(profile === undefined ? {} : { profile }),
    switches: { ...switches, ...stage.breaking.switches },
    settings: { ...AT_ONCE, ...settings, ...stage.breaking.settings },
  };
  const make = () => ask(stage, 'project', name, { body });
  let made = await make();
  if (made.status === 409) {
    await ask(stage, 'forget', name);
    made = await make();
  }
  if (made.status !== 201)
    throw refused(made, [made.text.includes('setting') ? 'settings' : 'switches']);
}

interface Made {
  id?: string;
  version?: string;
  error?: { param?: string };
}

/** By the calls that foundrite.yaml stands for; what is refused is told at its place. An assistant's id is kept under its key. */
async function makeAgents(stage: Stage): Promise<void> {
  const { agents, assistants } = stage.scenario;
  const { captures } = stage.asking.frame;
  const versions = new Map<string, (string | undefined)[]>();
  for (const call of callsOf({ agents, assistants, routines: {} })) {
    const { assistant } = call;
    const name = call.params.agent_name ?? '';
    const numbers = versions.get(name) ?? [];
    const sent =
      assistant === undefined
        ? routedTo(call, numbers)
        : aboutAssistant(call, String(captures.get(assistant)));
    const answer = await stage.call(sentFor(stage, sent));
    const body = answer.body as Made | undefined;
    if (answer.status >= 300) {
      const place = placeIn(call, body?.error?.param ?? undefined);
      throw refused(answer, pathIn({ agents, assistants }, place));
    }
    if (call.place !== undefined) versions.set(name, [...numbers, body?.version]);
    if (call.operation === 'createAssistant') captures.set(assistant ?? '', body?.id);
  }
}

function sentFor({ asking, control, project }: Stage, call: ConfiguredCall): Sent {
  const { body } = call;
  if (call.operation === 'setAgentReply') {
    const params = { p: project, ...call.params };
    return control.request('reply', { params, body: fillAll(body, asking.frame) });
  }
  const { method, path } = configuredRequest(call);
  const headers = { 'foundry-features': ALL_FEATURES };
  return requestOf({ [method]: path, ...(body === undefined ? {} : { body }), headers }, asking);
}

async function must(stage: Stage, field: string, sent: Sent): Promise<void> {
  const answer = await stage.call(sent);
  if (answer.status >= 300) throw refused(answer, [field]);
}

function refused(answer: Answer, path: readonly Key[]): Error {
  return failedAnswer(path, answer, [otherStatus('setup', '2xx', answer)]);
}

interface Line {
  kind: string;
  at: string;
  [field: string]: unknown;
}

/** What the journal tells at the end. */
export interface Told {
  attempts: Attempt[];
  threadRuns: ThreadRun[];
  /** How far the world's clock went. */
  worldMs: number;
  /** A due item that the emulator set aside. */
  stuck?: string;
}

const LINES_MAX = 10_000;

export async function readEnd(stage: Stage): Promise<Told> {
  const query = { kind: 'attempt,stuck,transition', limit: LINES_MAX };
  const { body, now } = await ask(stage, 'journal', stage.project, { query });
  const { entries = [] } = (body ?? {}) as { entries?: Line[] };
  const stuck = entries.find(({ kind }) => kind === 'stuck');
  const { now: start } = stage.scenario;
  const after = ({ at }: Line) => `+${showDuration(Date.parse(at) - start)}`;
  return {
    attempts: entries
      .filter(({ kind }) => kind === 'attempt')
      .map((line) => ({
        routine: String(line.routine),
        run: String(line.run),
        number: Number(line.attempt),
        gave: String(line.status ?? line.outcome),
        at: after(line),
        next: String(line.next),
      })),
    threadRuns: threadRunsIn(entries, after),
    worldMs: now === undefined ? 0 : now - start,
    ...(stuck ? { stuck: `the emulator set a due item aside: ${shown(stuck)}` } : {}),
  };
}

function threadRunsIn(lines: readonly Line[], after: (line: Line) => string): ThreadRun[] {
  const runs = new Map<string, ThreadRun>();
  for (const line of lines) {
    if (line.kind !== 'transition' || line.of !== 'thread_run') continue;
    const id = String(line.run);
    const said = runs.get(id);
    const status = `${String(line.to)} ${after(line)}`;
    const statuses = said ? `${said.statuses}, ${status}` : status;
    runs.set(id, { id, thread: String(line.thread), statuses });
  }
  return [...runs.values()];
}

/** Of the fault plan, the entries that have not struck: by place and by whom they are for. */
export async function unstruckFaults(stage: Stage): Promise<string[]> {
  const { body } = await ask(stage, 'plan', stage.project);
  const { faults = [] } = (body ?? {}) as { faults?: { entry: Step; fired: number }[] };
  return faults.flatMap(({ entry, fired }, index) =>
    fired > 0 ? [] : [`faults[${index}] (${String(entry.agent ?? entry.operation ?? entry.of)})`],
  );
}

/** The canonical journal's hash; none where requests arrived during an advance, whose order is chance. */
export async function journalHash(stage: Stage): Promise<string | undefined> {
  const { body } = await ask(stage, 'journal', stage.project, {
    query: { canonical: true, limit: 1 },
  });
  const page = body as { hash?: string; interleaved?: boolean };
  return page.interleaved === false ? page.hash : undefined;
}

/** Nothing is left behind, not even projects that only a path named. */
export async function forgetProjects(stage: Stage): Promise<void> {
  const { body } = await ask(stage, 'projects', stage.project);
  const { projects = [] } = (body ?? {}) as { projects?: { name: string }[] };
  const own = projects.filter(
    ({ name }) => name === stage.project || name.startsWith(`${stage.project}-`),
  );
  for (const { name } of own) await ask(stage, 'forget', name);
}
