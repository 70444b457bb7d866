/** An emulator behind a port, with a world that is put back whenever a request has changed it. */
import { systemClock } from '../../emulator/clock.ts';
import { createEmulator, type Emulator } from '../../emulator/emulator.ts';
import type { Outside } from '../../emulator/outside.ts';
import { type Serving, serve } from '../../emulator/server.ts';
import { Held } from './held.ts';
import { type Valid, valid } from './valid.ts';
import { Wire } from './wire.ts';
import { ask, build, type Known, OUTSIDE, SILENT, SNAPSHOT, WORLD } from './world.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const CONTROL = `/_emulator/projects/${WORLD}`;

/** The agent that runs elsewhere: nothing leaves this process, wherever a mutated reply may point. */
const outside: Outside = {
  ask: async ({ call, reply }) => {
    const body = JSON.stringify({ asked: call.tail ?? null });
    if (reply.url === OUTSIDE) return { kind: 'answered', status: 200, headers: BY_REPLY, body };
    return UNREACHED;
  },
  open: async ({ reply }) => {
    const headers = { ...BY_REPLY, 'content-type': 'text/event-stream' };
    if (reply.url === OUTSIDE) return { status: 200, headers, body: events() };
    return reply.url === SILENT ? { kind: 'timeout' } : UNREACHED;
  },
};

const BY_REPLY = { 'x-foundrite-body-by': 'reply' };
const UNREACHED = { kind: 'connection_failed', message: 'refused' } as const;

async function* events(): AsyncGenerator<Uint8Array> {
  for (const type of ['note', 'done']) {
    yield Buffer.from(`event: ${type}\ndata: {"type":"${type}"}\n\n`);
  }
}

export interface Line {
  kind: string;
  data: Record<string, unknown>;
}

/** Spoils answers or the world, for those who must notice. */
export type Plant = (request: Request, answer: Response, emulator: Emulator) => Promise<Response>;

export class Bench {
  readonly #plant: Plant | undefined;
  readonly #notices: string[] = [];
  emulator!: Emulator;
  wire!: Wire;
  known!: Known;
  #held!: Held;
  #serving!: Serving;
  #valid!: Map<string, Valid[]>;
  #serial = 0;
  #heard = 0;

  constructor(plant?: Plant) {
    this.#plant = plant;
  }

  async open(): Promise<void> {
    await this.#build();
    this.#serving = await serve({
      fetch: async (request, env) => {
        this.#heard += 1;
        const answer = await this.emulator.fetch(request, env);
        return this.#plant ? this.#plant(request, answer, this.emulator) : answer;
      },
      host: '127.0.0.1',
      port: 0,
    });
    this.wire = new Wire(this.#serving.port);
  }

  get port(): number {
    return this.#serving.port;
  }

  async close(): Promise<void> {
    this.wire.close();
    await this.#serving.close();
    await this.emulator.close();
  }

  async #build(): Promise<void> {
    await this.emulator?.close();
    // Waits of the host's time are cut short, so that none is waited for.
    const start = performance.now();
    const now = () => NOW + Math.floor(performance.now() - start);
    const after = (ms: number, callback: () => void) =>
      systemClock.after(Math.min(ms, 5), callback);
    this.emulator = createEmulator({
      now: NOW,
      seed: WORLD,
      host: { now, after },
      notice: (message) => this.#notices.push(message),
      caPem: () => 'PEM',
      identitySecret: 'secret',
      outside: () => outside,
    });
    this.known = await build(this.emulator);
    this.#valid = valid(this.known);
    // Going back is itself a change: what it makes of the world is where every request starts.
    await ask(this.emulator, 'POST', `${CONTROL}:reset`, { snapshot: SNAPSHOT });
    this.#held = new Held(this.emulator.project(WORLD));
  }

  /** The valid requests of an operation, with names that are not there yet. */
  valid(operation: string): Valid[] {
    this.#serial += 1;
    const shapes = this.#valid.get(operation) ?? [];
    return shapes.map((one) => ({ ...one, path: one.path.replace('{new}', `${this.#serial}`) }));
  }

  /** Whether anything was written, be it as it was. */
  get touched(): boolean {
    return this.emulator.project(WORLD).world !== this.#held.world || this.#held.touched;
  }

  /** Whether the world holds anything else than before each request. */
  get changed(): boolean {
    return this.emulator.project(WORLD).world !== this.#held.world || this.#held.changed;
  }

  /** What was printed for the user since the last time, but for what a blocked call waits for. */
  printed(): string[] {
    return this.#notices.splice(0).filter((notice) => !notice.includes(' waits for '));
  }

  /** The number of the journal's last line. */
  get seq(): number {
    return this.emulator.project(WORLD).world.journalSeq;
  }

  /** The journal's lines after one. */
  lines(after: number): Line[] {
    const { store } = this.emulator.project(WORLD).world;
    const rows = store
      .sql('SELECT kind, data FROM journal WHERE seq > ? ORDER BY seq')
      .all(after) as { kind: string; data: string }[];
    return rows.map(({ kind, data }) => ({ kind, data: JSON.parse(data) as Line['data'] }));
  }

  /** Back to what the world held, as a reset does it, but for the tables alone that something has touched. */
  async putBack(): Promise<void> {
    if (this.emulator.project(WORLD).world !== this.#held.world) await this.#build();
    else this.#held.putBack();
  }

  /** Removes every project but the one that is asked. */
  async clear(): Promise<void> {
    const { body } = await ask(this.emulator, 'GET', '/_emulator/projects');
    for (const { name } of body.projects) {
      if (name === WORLD) continue;
      await ask(this.emulator, 'DELETE', `/_emulator/projects/${encodeURIComponent(name)}`);
    }
  }

  /** The same, and takes away the journal that has grown. */
  async sweep(): Promise<void> {
    await this.clear();
    const reset = await ask(this.emulator, 'POST', `${CONTROL}:reset`, { snapshot: SNAPSHOT });
    if (reset.status !== 200 || this.changed) await this.#build();
  }

  /** What was taken must also be lived with: whatever it armed is met, and nothing may break or stick. */
  async live(): Promise<string[]> {
    const { emulator, seq } = this;
    const api = `/api/projects/${WORLD}`;
    const lines = [
      ['POST', `${api}/routines/daily:dispatch_async`],
      ['POST', `${api}/routines/hook:dispatch_async`],
      ['GET', `${api}/routines/daily`],
      ['GET', `${api}/routines`],
      ['POST', `${api}/agents/digest/endpoint/protocols/invocations`],
      ['POST', `${api}/agents/digest/endpoint/sessions`],
      ['POST', `${api}/agents/digest/endpoint/protocols/openai/responses`, '{"stream":true}'],
      ['POST', `${api}/threads/runs`, `{"assistant_id":"${this.known.assistant}","stream":true}`],
    ] as const;
    const all = this.#heard + lines.length;
    const asked = lines.map(async ([method, path, body]) => {
      // On sockets, where an answer is really written. A plan may break it off, or hold it back.
      const wire = new Wire(this.#serving.port);
      const headers = [
        ['host', 'localhost'],
        ['authorization', 'Bearer test'],
      ] as const;
      const sent = body === undefined ? {} : { body: Buffer.from(body) };
      const answer = await wire.send({ method, path, headers, ...sent }).catch(() => undefined);
      wire.close();
      return answer;
    });
    while (this.#heard < all) await new Promise((resolve) => setImmediate(resolve));
    const advanced = await ask(emulator, 'POST', `${CONTROL}/clock:advance`, { by: '26h' });
    const health = await ask(emulator, 'GET', '/_emulator/health');
    const journal = await ask(emulator, 'GET', `${CONTROL}/journal?canonical=true&after=${seq}`);
    const problems = [advanced, health, journal]
      .filter(({ status }) => status !== 200)
      .map(({ status, body }) => `what followed was answered ${status} ${JSON.stringify(body)}`);
    if (health.body.status !== 'ok')
      problems.push(`stuck: ${JSON.stringify(health.body.projects)}`);
    // Whoever still waits in the world is let go by this.
    await this.putBack();
    const answers = await Promise.all(asked);
    // What was heard only after that has changed the world once more.
    if (this.changed) await this.putBack();
    for (const answer of answers) {
      const ours = answer !== undefined && !answer.headers.has('x-foundrite-body-by');
      if (ours && answer.status >= 500) problems.push(`answered ${answer.status} ${answer.text}`);
    }
    return problems;
  }
}
