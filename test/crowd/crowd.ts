/** Many clients of many threads at once, over HTTP, while the clock moves; each notes what it asked and what it was told. */
import { type Chance, chance } from '../kill/load.ts';
import type { Json } from '../started.ts';

/** What one request was about, between which moments, and what came of it. */
export interface Note {
  kind: 'run' | 'message' | 'cancel' | 'submit' | 'seen';
  client: string;
  thread: string;
  /** Moments are counted: every request and every answer is one. */
  from: number;
  to: number;
  status: number;
  /** Of a run that the answer tells. */
  run?: string;
  runStatus?: string;
  /** Of a message, its words. */
  text?: string;
  /** Why it was refused. */
  error?: string;
  /** Among creations that were sent together while the clock stood still and the thread was free. */
  race?: string;
}

/** What is there when nothing is under way any more. */
export interface Left {
  notes: Note[];
  journal: Json[];
  /** By thread, the oldest first. */
  runs: Map<string, Json[]>;
  messages: Map<string, Json[]>;
}

export const THREADS = 100;
const CLIENTS = 3;
const STEPS = 6;
const API = '/api/projects/crowd';
const CONTROL = '/_emulator/projects/crowd';

const CALLS = [
  { name: 'look_up', arguments: { id: 7 } },
  { name: 'weather', arguments: { city: 'Bonn' } },
];
const ACTIVE = ['queued', 'in_progress', 'requires_action', 'cancelling'];
const TURNS = [
  { text: 'one' },
  { tool_calls: CALLS },
  { text: 'three', takes: '4s' },
  { failed: { code: 'server_error', message: 'Sorry.' } },
  { stuck: true },
];

/** All of them, until nothing is under way any more. */
export async function crowd(url: string): Promise<Left> {
  const one = new Crowd(url);
  await one.prepare();
  await one.each((thread) => one.race('first', thread));
  await one.jostle();
  await one.settle();
  await one.each((thread) => one.race('second', thread));
  await one.settle();
  return one.left();
}

type What = Pick<Note, 'kind' | 'client' | 'thread' | 'text' | 'race'>;

class Crowd {
  readonly #url: string;
  readonly #notes: Note[] = [];
  #moments = 0;
  #assistant = '';
  #threads: string[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  async prepare(): Promise<void> {
    const { id } = await this.#must('POST', `${API}/assistants`, { model: 'gpt-4.1' });
    this.#assistant = id;
    const reply = { kind: 'script', repeat: 'cycle', turns: TURNS };
    await this.#must('PUT', `${CONTROL}/agents/${id}/reply`, reply);
    const made = Array.from({ length: THREADS }, () => this.#must('POST', `${API}/threads`, {}));
    this.#threads = (await Promise.all(made)).map((thread) => thread.id);
  }

  async each(what: (thread: string) => Promise<void>): Promise<void> {
    await Promise.all(this.#threads.map(what));
  }

  /** All at once on a free thread; the clock stands still. */
  async race(name: string, thread: string): Promise<void> {
    const race = `${name} on ${thread}`;
    const creations = Array.from({ length: CLIENTS }, (_, client) =>
      this.#start(`${name} ${client}`, thread, race),
    );
    const message = this.#say(`${name} m`, thread, `${name}, said by the way`);
    const runs = (await Promise.all(creations)).flatMap(({ run }) => run ?? []);
    await message;
    await this.#say(`${name} m`, thread, `${name}, said too late`);
    await Promise.all(runs.map((run) => this.#look(`${name} l`, thread, run)));
  }

  /** Several clients of each thread, each in the order of its draws, while the clock moves. */
  async jostle(): Promise<void> {
    let working = true;
    const move = async () => {
      while (working) await this.#advance({ by: '300ms' });
    };
    const moving = move();
    const clients = this.#threads.flatMap((thread, index) =>
      Array.from({ length: CLIENTS }, (_, client) =>
        this.#work(`client ${client}`, thread, chance(`crowd ${index} ${client}`)),
      ),
    );
    await Promise.all(clients).finally(() => {
      working = false;
    });
    await moving;
  }

  /** Until every thread is free: what a run waits for is given, and what is stuck is cancelled. */
  async settle(): Promise<void> {
    for (;;) {
      await this.#advance({ until: 'idle' });
      const runs = [...(await this.#listed('runs')).values()].flat();
      const active = runs.filter(({ status }) => ACTIVE.includes(status));
      if (active.length === 0) return;
      const ends = active.map(({ id, thread_id, status }) =>
        status === 'requires_action'
          ? this.#look('settler', thread_id, id)
          : this.#cancel('settler', thread_id, id),
      );
      await Promise.all(ends);
    }
  }

  async left(): Promise<Left> {
    const [runs, messages] = [await this.#listed('runs'), await this.#listed('messages')];
    return { notes: this.#notes, journal: await this.#journal(), runs, messages };
  }

  async #work(client: string, thread: string, draw: Chance): Promise<void> {
    for (let step = 0; step < STEPS; step += 1) {
      const last = this.#notes.findLast((one) => one.thread === thread && one.run !== undefined);
      const drawn = draw(8);
      if (drawn < 2 || last?.run === undefined) await this.#start(client, thread);
      else if (drawn < 4) await this.#say(client, thread, `${client} says ${step}`);
      else if (drawn < 5) await this.#cancel(client, thread, last.run);
      else await this.#look(client, thread, last.run);
    }
  }

  #start(client: string, thread: string, race?: string): Promise<Note> {
    const note: What = { kind: 'run', client, thread, ...(race && { race }) };
    return this.#noted(note, 'POST', '/runs', { assistant_id: this.#assistant });
  }

  #say(client: string, thread: string, text: string): Promise<Note> {
    const body = { role: 'user', content: text };
    return this.#noted({ kind: 'message', client, thread, text }, 'POST', '/messages', body);
  }

  #cancel(client: string, thread: string, run: string): Promise<Note> {
    return this.#noted({ kind: 'cancel', client, thread }, 'POST', `/runs/${run}/cancel`);
  }

  /** Looks at a run, and gives it what it waits for. */
  async #look(client: string, thread: string, run: string): Promise<void> {
    const { told } = await this.#noted({ kind: 'seen', client, thread }, 'GET', `/runs/${run}`);
    const calls: Json[] = told.required_action?.submit_tool_outputs.tool_calls ?? [];
    if (calls.length === 0) return;
    const tool_outputs = calls.map(({ id }) => ({ tool_call_id: id, output: `${client}: done` }));
    const path = `/runs/${run}/submit_tool_outputs`;
    await this.#noted({ kind: 'submit', client, thread }, 'POST', path, { tool_outputs });
  }

  /** Asks of a thread, and notes what was told. */
  async #noted(
    what: What,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Note & { told: Json }> {
    const from = this.#moment();
    const { status, body: told } = await this.#ask(
      method,
      `${API}/threads/${what.thread}${path}`,
      body,
    );
    const note: Note = {
      ...what,
      from,
      to: this.#moment(),
      status,
      ...(told.object === 'thread.run' && { run: told.id, runStatus: told.status }),
      ...(told.error && { error: told.error.message }),
    };
    this.#notes.push(note);
    return { ...note, told };
  }

  #moment(): number {
    this.#moments += 1;
    return this.#moments;
  }

  #advance(by: object): Promise<Json> {
    return this.#must('POST', `${CONTROL}/clock:advance`, by);
  }

  async #listed(what: 'runs' | 'messages'): Promise<Map<string, Json[]>> {
    const all = this.#threads.map(async (id) => {
      const path = `${API}/threads/${id}/${what}?order=asc&limit=100`;
      return [id, (await this.#must('GET', path)).data as Json[]] as const;
    });
    return new Map(await Promise.all(all));
  }

  async #journal(): Promise<Json[]> {
    const lines: Json[] = [];
    for (;;) {
      const after = lines.at(-1)?.seq ?? 0;
      const { entries } = await this.#must('GET', `${CONTROL}/journal?after=${after}&limit=10000`);
      if (entries.length === 0) return lines;
      lines.push(...entries);
    }
  }

  async #must(method: string, path: string, body?: unknown): Promise<Json> {
    const answer = await this.#ask(method, path, body);
    if (answer.status === 200) return answer.body;
    throw new Error(`${method} ${path} answered ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  async #ask(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Json }> {
    const answer = await fetch(this.#url + path, {
      method,
      headers: { authorization: 'Bearer crowd', 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: await answer.json() };
  }
}
