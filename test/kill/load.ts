/** A client under whose hands the emulator is killed: it asks, and notes what it was told. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { every, type Json, type Started } from '../started.ts';
import { type Change, shown, type Told } from './story.ts';

const ROUTINES = '/api/projects/local/routines';
export const CONTROL = '/_emulator/projects/local';
/** The project that is reset and kept in snapshots: nothing of it lasts. */
const OTHER = '/_emulator/projects/other';
const OTHER_ROUTINES = '/api/projects/other/routines';
const ENDPOINT = '/api/projects/local/agents/demo-agent/endpoint/protocols/invocations';
const THREADS = '/api/projects/local/threads';
const INVOKE = { type: 'invoke_agent_responses_api', agent_name: 'demo-agent' };
const MINUTE = 60_000;

/** Chance that is the same for the same seed: whole numbers below a bound. */
export type Chance = (below: number) => number;

export function chance(seed: string): Chance {
  let drawn = 0;
  return (below) => {
    drawn += 1;
    return createHash('sha256').update(`${seed} ${drawn}`).digest().readUInt32BE() % below;
  };
}

/** The connection broke: whatever was asked may have happened or not. */
class Broken extends Error {}

async function untilBroken(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
  }
}

export class Client {
  readonly told: Told[] = [];
  readonly schedules = new Map<string, { from: number; every: number }>();
  /** How many answers it has had. */
  answers = 0;
  #emulator: Started | undefined;
  #pausing = false;
  #working = 0;
  #names = 0;
  #assistant = '';
  readonly #chance: Chance;

  constructor(seed: string) {
    this.#chance = chance(seed);
  }

  /** The same client goes on with the next process, after it has looked at what is there. */
  async take(emulator: Started): Promise<void> {
    this.#emulator = emulator;
    this.#pausing = false;
    const subjects = this.told.flatMap((line) => (line.kind === 'change' ? [line.subject] : []));
    for (const subject of new Set(subjects)) {
      const path = subject === 'other' ? `${OTHER_ROUTINES}/kept` : `${ROUTINES}/${subject}`;
      const { status, body } = await emulator.ask('GET', path);
      const value = status === 404 ? null : shown(body.description, body.enabled);
      this.told.push({ kind: 'seen', subject, value });
    }
  }

  /** What never changes again: routines that are dispatched, and schedules. */
  async prepare(agent: string): Promise<void> {
    await this.#must('PUT', `${CONTROL}/agents/demo-agent/reply`, { kind: 'forward', url: agent });
    for (const name of ['manual-0', 'manual-1'])
      await this.#must('PUT', `${ROUTINES}/${name}`, timer('10d', name));
    for (const minutes of [5, 10]) {
      const name = `each-${minutes}`;
      const cron = every(`*/${minutes} * * * *`, { action: INVOKE });
      await this.#must('PUT', `${ROUTINES}/${name}`, cron);
      const now = Date.parse((await this.#must('GET', `${CONTROL}/clock`)).now);
      const apart = minutes * MINUTE;
      this.schedules.set(name, { from: (Math.floor(now / apart) + 1) * apart, every: apart });
    }
    await this.#must('PUT', OTHER, { empty: true });
    const assistant = await this.#must('POST', '/api/projects/local/assistants', { model: 'any' });
    this.#assistant = assistant.id;
  }

  /** Several workers that ask one after the other, until the connection breaks. */
  async work(): Promise<void> {
    await Promise.all([
      this.#loop(() => this.#dispatch()),
      this.#loop(() => this.#dispatch()),
      this.#loop(() => this.#change('a')),
      this.#loop(() => this.#change('b')),
      this.#loop(() => this.#callOrSetTimer()),
      this.#loop(() => this.#talk()),
    ]);
  }

  /** Moves the clock on while nobody else asks, so that the journal can be played again. */
  async advance(): Promise<void> {
    this.#pausing = true;
    while (this.#working > 0) await sleep(1);
    await untilBroken(() =>
      this.#try('POST', `${CONTROL}/clock:advance`, { by: `${5 + this.#chance(30)}m` }),
    );
    this.#pausing = false;
  }

  /** Puts, snapshots, restores and resets the other project, until the connection breaks. */
  upset(): Promise<void> {
    return untilBroken(async () => {
      for (;;) {
        const value = this.#name('other');
        const put: Change = { kind: 'put', value, enabled: true };
        await this.#must('POST', `/api/projects/other/agents/demo-agent/versions`, {
          definition: { kind: 'prompt', model: 'any' },
        });
        await this.#ask('other', put, 'PUT', `${OTHER_ROUTINES}/kept`, timer('10d', value));
        const drawn = this.#chance(3);
        const from = drawn === 1 ? { snapshot: 'one' } : {};
        if (drawn === 0)
          await this.#ask('other', { kind: 'snapshot' }, 'PUT', `${OTHER}/snapshots/one`);
        else
          await this.#ask(
            'other',
            { kind: drawn === 1 ? 'restore' : 'reset' },
            'POST',
            `${OTHER}:reset`,
            from,
          );
      }
    });
  }

  #loop(turn: () => Promise<void>): Promise<void> {
    return untilBroken(async () => {
      for (;;) {
        while (this.#pausing) await sleep(1);
        this.#working += 1;
        try {
          await turn();
        } finally {
          this.#working -= 1;
        }
        await sleep(this.#chance(12));
      }
    });
  }

  async #dispatch(): Promise<void> {
    const routine = `manual-${this.#chance(2)}`;
    const answer = await this.#try('POST', `${ROUTINES}/${routine}:dispatch_async`);
    if (this.#expected(answer, 'dispatch'))
      this.told.push({ kind: 'dispatch', routine, id: answer.body.dispatch_id });
  }

  async #callOrSetTimer(): Promise<void> {
    if (this.#chance(3) > 0) {
      // What the agent says is passed on, be it nothing.
      await this.#try('POST', ENDPOINT, {});
      return;
    }
    const routine = this.#name('timer');
    const answer = await this.#try('PUT', `${ROUTINES}/${routine}`, timer('1s', routine));
    if (this.#expected(answer, 'timer')) this.told.push({ kind: 'timer', routine });
  }

  /** A thread is made, spoken to and run on; one run of three is cancelled. */
  async #talk(): Promise<void> {
    const thread = await this.#keep(THREADS, {});
    await this.#keep(`${thread}/messages`, { role: 'user', content: this.#name('said') });
    const run = await this.#keep(`${thread}/runs`, { assistant_id: this.#assistant });
    if (this.#chance(3) > 0) return;
    const { status } = await this.#try('POST', `${run}/cancel`);
    // It may have ended before.
    if (status === 200) this.told.push({ kind: 'kept', path: run, status: 'cancelled' });
  }

  /** Makes something, and notes where it is read. */
  async #keep(path: string, body: object): Promise<string> {
    const answer = await this.#try('POST', path, body);
    const made = `${path}/${answer.body.id}`;
    if (this.#expected(answer, path)) this.told.push({ kind: 'kept', path: made });
    return made;
  }

  /** A routine of this worker's own is put, changed, switched or deleted. */
  async #change(worker: string): Promise<void> {
    const subject = `${worker}-${this.#chance(3)}`;
    const path = `${ROUTINES}/${subject}`;
    const drawn = this.#chance(10);
    if (drawn < 5) {
      const value = this.#name(subject);
      const enabled = this.#chance(4) > 0;
      const at = this.#chance(2) === 0 ? '1s' : '1d';
      await this.#ask(subject, { kind: 'put', value, enabled }, 'PUT', path, {
        ...timer(at, value),
        enabled,
      });
    } else if (drawn < 7) await this.#ask(subject, { kind: 'delete' }, 'DELETE', path);
    else if (drawn < 9) await this.#ask(subject, { kind: 'enable' }, 'POST', `${path}:enable`);
    else await this.#ask(subject, { kind: 'disable' }, 'POST', `${path}:disable`);
  }

  async #ask(
    subject: string,
    change: Change,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<void> {
    const line: Extract<Told, { kind: 'change' }> = {
      kind: 'change',
      subject,
      change,
      answer: 'broken',
    };
    this.told.push(line);
    const answer = await this.#try(method, path, body);
    if (answer.status === 404) line.answer = 'absent';
    else if (this.#expected(answer, `${method} ${path}`)) line.answer = 'done';
  }

  #expected({ status, body }: { status: number; body: Json }, what: string): boolean {
    if (status < 300) return true;
    this.told.push({ kind: 'refused', what: `${what}: ${status} ${JSON.stringify(body)}` });
    return false;
  }

  async #must(method: string, path: string, body?: unknown): Promise<Json> {
    const answer = await this.#try(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}`);
    return answer.body;
  }

  async #try(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Json }> {
    const emulator = this.#emulator;
    try {
      if (emulator) {
        const answer = await emulator.ask(method, path, body);
        this.answers += 1;
        return answer;
      }
    } catch (error) {
      // A broken connection is a TypeError of fetch; anything else is an error of the test.
      if (!(error instanceof TypeError) && !(error instanceof SyntaxError)) throw error;
    }
    throw new Broken(`${method} ${path}`);
  }

  #name(of: string): string {
    this.#names += 1;
    return `${of}-${this.#names}`;
  }
}

export function timer(at: string, description: string): Record<string, unknown> {
  return { description, triggers: { once: { type: 'timer', at } }, action: INVOKE };
}
