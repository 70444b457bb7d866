/** Sends mutated requests to a real socket, and holds each answer against what is promised. */
import { operations } from '../../contracts/openapi.ts';
import { createEmulator, type EmulatorOptions } from '../../emulator/emulator.ts';
import type { Bench } from './bench.ts';
import { Draw, type Mutated, plain } from './draw.ts';
import { answerProblems, faultsOf, journalProblems, refusalProblems } from './judge.ts';
import { mutate } from './mutate.ts';
import { filledIn, type Refusal } from './refusal.ts';
import type { Raw, RawAnswer } from './wire.ts';
import { ask, WORLD } from './world.ts';

/** Headers after which nobody knows where the next request begins. */
const FRAMING = /^header (content-length|transfer-encoding|connection|upgrade|expect)/;

/** What these arm is met afterwards: each time, or once in so many times. */
const LIVED_WITH: Record<string, number> = {
  setFaults: 2,
  setAgentReply: 2,
  createOrUpdateRoutine: 2,
  updateProject: 2,
  createAgent: 4,
  updateAgent: 4,
  patchAgent: 4,
  createAgentVersion: 4,
  createSession: 4,
  createAgentResponse: 8,
  createAgentInvocation: 8,
  dispatchRoutineAsync: 4,
  fireRoutine: 4,
  updateAssistant: 8,
  createThreadRun: 8,
  createThreadAndRun: 8,
  submitToolOutputs: 4,
  cancelThreadRun: 8,
  stepRun: 4,
};

export interface Problem {
  what: string;
  mutated: Mutated;
  answer: RawAnswer | undefined;
}

/** What a run came across. */
export class Told {
  sent = 0;
  /** By operation and status. */
  readonly statuses = new Map<string, Map<number, number>>();
  /** Refusals by the rule that they name. */
  readonly rules = new Map<string, number>();
  /** Accepted ones by the kind of mutation. */
  readonly accepted = new Map<string, number>();
  /** Refused fields: whether `param` names the very field, or what holds it or lies in it. */
  readonly params = { exact: 0, near: 0 };

  /** Statuses by operation, and what was accepted and refused. */
  table(seed: string): string {
    const all = [...new Set([...this.statuses.values()].flatMap((by) => [...by.keys()]))].sort();
    const row = (name: string, cells: readonly unknown[]) =>
      `${name.padEnd(24)}${cells.map((cell) => String(cell).padStart(6)).join('')}`;
    const lines = [...this.statuses].map(([operation, by]) =>
      row(
        operation,
        all.map((status) => by.get(status) ?? '·'),
      ),
    );
    const sorted = (counts: Map<string, number>) =>
      [...counts]
        .sort(([one], [other]) => one.localeCompare(other))
        .map(([name, times]) => `${name} ${times}`)
        .join(' · ');
    return [
      `${this.sent} requests of the seed '${seed}'; status by operation:`,
      row('', all),
      ...lines,
      `accepted, by kind: ${sorted(this.accepted)}`,
      `refused, by rule (${this.rules.size}): ${sorted(this.rules)}`,
      `param names the very field ${this.params.exact} times, one beside it ${this.params.near} times`,
    ].join('\n');
  }
}

/** Every shape of every operation as it is; what is not answered 2xx. */
export async function sendValid(bench: Bench): Promise<string[]> {
  const wrong: string[] = [];
  for (const { operationId } of operations()) {
    for (const [index] of bench.valid(operationId).entries()) {
      const one = bench.valid(operationId)[index];
      if (one === undefined) continue;
      const answer = await bench.wire.send(plain(one));
      if (answer === undefined || answer.status >= 300)
        wrong.push(`${one.method} ${one.path} was answered ${answer?.status} ${answer?.text}`);
      await bench.putBack();
    }
  }
  await bench.sweep();
  return wrong;
}

/** The mutations of one operation, all drawn from the seed. */
export async function sendMutated(
  bench: Bench,
  operation: string,
  seed: string,
  count: number,
  told: Told,
): Promise<Problem[]> {
  const draw = new Draw(`${seed} ${operation}`);
  const problems: Problem[] = [];
  for (let sent = 0; sent < count; sent += 1) {
    const mutated = mutate(draw.of(bench.valid(operation)), draw);
    problems.push(...(await sendOne(bench, mutated, told)));
  }
  await bench.sweep();
  return problems;
}

async function sendOne(bench: Bench, mutated: Mutated, told: Told): Promise<Problem[]> {
  const { raw, mutation, from } = mutated;
  const { seq } = bench;
  let answer: RawAnswer | undefined;
  const problems: Problem[] = [];
  const say = (...all: string[]) => {
    for (const what of all) problems.push({ what, mutated, answer });
  };
  told.sent += 1;
  try {
    if (FRAMING.test(mutation.kind)) bench.wire.close();
    answer = await bench.wire.send(raw);
    if (FRAMING.test(mutation.kind)) bench.wire.close();
  } catch (error) {
    say((error as Error).message);
  }
  const statuses = told.statuses.get(from.operation) ?? new Map<number, number>();
  told.statuses.set(from.operation, statuses);
  add(statuses, answer?.status ?? 0);
  let changed = true;
  if (answer === undefined) say('no answer');
  else {
    // What was accepted is put back if it has touched anything; a refusal is looked at closely.
    changed = answer.status < 400 ? bench.touched : bench.changed;
    say(...answerProblems(answer, raw));
    if (bench.seq >= seq) say(...journalProblems(bench.lines(seq), raw, answer));
    if (answer.status < 400) {
      add(told.accepted, mutation.kind);
      const faults = mutation.fault === undefined ? faultsOf(raw) : [mutation.fault];
      say(...faults.map((fault) => `accepted, though ${fault}`));
      if (changed && told.sent % (LIVED_WITH[from.operation] ?? Number.NaN) === 0) {
        say(...(await bench.live()));
        changed = false;
      }
    } else {
      if (changed) say('a refused request changed the world');
      refused(answer, mutated, told, say);
    }
  }
  for (const notice of bench.printed()) say(`printed: ${notice}`);
  // Worlds that a path has made, and a journal that grows, are swept now and then.
  if (told.sent % 100 === 0) await bench.sweep();
  else if (changed) await bench.putBack();
  return problems;
}

function refused(
  answer: RawAnswer,
  mutated: Mutated,
  told: Told,
  say: (...all: string[]) => void,
): void {
  const rule = answer.headers.get('x-foundrite-rule');
  if (rule !== null) add(told.rules, rule);
  try {
    say(...refusalProblems(answer, mutated));
    const { kind, at } = mutated.mutation;
    if (!kind.startsWith('body') || at === '' || rule === 'request/body-is-json') return;
    const { param } = JSON.parse(answer.text).error;
    told.params[param === at ? 'exact' : 'near'] += 1;
  } catch {
    say('no error envelope');
  }
}

/** One refusal that is arranged; what is wrong with it. */
export async function sendRefusal(bench: Bench, refusal: Refusal, told: Told): Promise<string[]> {
  const { options, switches, settings, arrange } = refusal;
  const raw = plain({ operation: '', ...filledIn(refusal, bench.known) });
  await bench.putBack();
  const change = { ...(switches ? { switches } : {}), ...(settings ? { settings } : {}) };
  await ask(bench.emulator, 'PATCH', `/_emulator/projects/${WORLD}`, change);
  await arrange?.(bench.emulator, bench.known);
  const answer = options === undefined ? await bench.wire.send(raw) : await inProcess(options, raw);
  // What is left of a body that was announced is never sent.
  bench.wire.close();
  await bench.clear();
  if (answer === undefined) return ['no answer'];
  const rule = answer.headers.get('x-foundrite-rule') ?? 'none';
  add(told.rules, rule);
  const said = `${rule} ${answer.status}`;
  const due = `${refusal.rule} ${refusal.status}`;
  return [
    ...(said === due ? [] : [`it is ${said}, not ${due}: ${answer.text}`]),
    ...answerProblems(answer, raw),
    ...bench.printed(),
  ];
}

async function inProcess(options: EmulatorOptions, raw: Raw): Promise<RawAnswer> {
  const emulator = createEmulator(options);
  const headers = raw.headers.map(([name, value]): [string, string] => [name, value]);
  const request = new Request(`http://localhost${raw.path}`, { method: raw.method, headers });
  const answer = await emulator.fetch(request);
  const text = await answer.text();
  await emulator.close();
  return { status: answer.status, headers: answer.headers, text };
}

export function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
