/** The emulator as a story asks it: in-process, every answer checked against openapi.yaml. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkResponse } from '../../contracts/openapi.ts';
import { systemClock } from '../../emulator/clock.ts';
import { createEmulator, type Emulator, type EmulatorOptions } from '../../emulator/emulator.ts';
import type { Json } from '../started.ts';
import { isThreadStep } from '../thread-model/step.ts';
import { agentRequest, queryOf } from './agent-asked.ts';
import { msOf } from './deliveries.ts';
import { type State, threadsOf } from './state.ts';
import type { AgentStep, Setup, Step } from './step.ts';
import { threadRequest } from './thread-asked.ts';

/** Something wrong that is put between a story and the emulator. */
export interface Planted {
  /** Called when a world is there, and again after each restart. */
  opened?(emulator: Emulator): void;
  fetch?(
    request: Request,
    ask: (request: Request) => Promise<Response>,
    emulator: Emulator,
  ): Promise<Response>;
}

export interface Answer {
  status: number;
  rule: string | null;
  now: string | null;
  /** Of a call to an agent, its session. */
  session: string | null;
  /** Checked against openapi.yaml before it is read. */
  body: Json;
}

export const PROJECT = 'sim';
export const API = `/api/projects/${PROJECT}`;
export const CONTROL = `/_emulator/projects/${PROJECT}`;

const HOUR = 3_600_000;

/** What an emulator costs is paid once: by the agents that worlds begin with, one, and whose story it is in. */
const SHARED = new Map<string, { story: Asked; emulator: Emulator }>();

export class Asked {
  private readonly setup: Setup;
  private readonly planted: Planted;
  private readonly complain: (what: string, emulator: unknown) => never;
  private readonly folder: string | undefined;
  private emulator: Promise<Emulator>;
  private hostNow: number;

  /** `kept` keeps the world in files, so that it can be restarted. */
  constructor(
    setup: Setup,
    kept: boolean,
    planted: Planted,
    complain: (what: string, emulator: unknown) => never,
  ) {
    this.setup = setup;
    this.planted = planted;
    this.complain = complain;
    this.hostNow = Date.parse(setup.now);
    this.folder = kept ? mkdtempSync(join(tmpdir(), 'foundrite-sim-')) : undefined;
    this.emulator = this.open();
  }

  private async open(): Promise<Emulator> {
    const { settings, switches } = this.setup;
    const emulator =
      this.folder === undefined
        ? await this.openShared()
        : this.create(() => this, { settings, switches, dataDir: this.folder });
    this.planted.opened?.(emulator);
    return emulator;
  }

  private create(story: () => Asked, options: EmulatorOptions): Emulator {
    const { now, agents } = this.setup;
    return createEmulator({
      now: Date.parse(now),
      seed: 'sim',
      rate: 0,
      skip: false,
      agents: Object.fromEntries(agents.map((name) => [name, {}])),
      host: { now: () => story().hostNow, after: systemClock.after },
      notice: (message) => story().complain('what the emulator printed', message),
      ...options,
    });
  }

  /** A world of its own on an emulator that stories have one after the other. */
  private async openShared(): Promise<Emulator> {
    const { now, agents, settings, switches } = this.setup;
    const key = String(agents);
    const last = { story: this };
    const shared =
      SHARED.get(key) ?? Object.assign(last, { emulator: this.create(() => last.story, {}) });
    SHARED.set(key, shared);
    shared.story = this;
    const body = JSON.stringify({ now, settings, switches });
    const request = new Request(`http://localhost${CONTROL}`, { method: 'PUT', body });
    const { status } = await shared.emulator.fetch(request);
    if (status >= 300) throw new Error(`The world of a story was answered ${status}`);
    return shared.emulator;
  }

  async restart(): Promise<void> {
    await (await this.emulator).close();
    // At rate 0 a world does not care how long nobody was there.
    this.hostNow += HOUR;
    this.emulator = this.open();
  }

  async close(): Promise<void> {
    const emulator = await this.emulator;
    if (this.folder === undefined) {
      await emulator.fetch(new Request(`http://localhost${CONTROL}`, { method: 'DELETE' }));
      return;
    }
    await emulator.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Undefined where the connection broke instead. */
  async ask(method: string, path: string, body?: unknown): Promise<Answer | undefined> {
    const request = new Request(`http://localhost${path}`, {
      method,
      headers: { authorization: 'Bearer any' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const { planted } = this;
    const emulator = await this.emulator;
    const ask = async (one: Request) => await emulator.fetch(one);
    let response: Response;
    try {
      response = await (planted.fetch ? planted.fetch(request, ask, emulator) : ask(request));
    } catch (error) {
      // As fetch tells it, in-process too.
      if (error instanceof TypeError && error.message === 'fetch failed') return undefined;
      throw error;
    }
    const text = await response.text();
    const { status, headers } = response;
    const problems = checkResponse(method, path, status, headers, text);
    if (problems.length > 0) this.complain(`${method} ${path} by openapi.yaml`, problems);
    const [rule, now] = [headers.get('x-foundrite-rule'), headers.get('x-foundrite-now')];
    const session = headers.get('x-agent-session-id');
    return { status, rule, now, session, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** The canonical journal, a line each. */
  async canonicalJournal(): Promise<string[]> {
    const request = new Request(`http://localhost${CONTROL}/journal?canonical=true&limit=10000`, {
      headers: { accept: 'application/x-ndjson' },
    });
    const journal = await (await (await this.emulator).fetch(request)).text();
    return journal.trim().split('\n');
  }
}

/** What is asked for a step, as things stand before it. */
export function requestOf(
  step: Step,
  state: State,
): [method: string, path: string, body?: unknown] {
  if (isThreadStep(step)) {
    const { of, method, path, body } = threadRequest(threadsOf(state), step);
    return [method, (of === 'api' ? API : CONTROL) + path, body];
  }
  const { now } = state;
  const encoded = 'name' in step ? encodeURIComponent(step.name) : '';
  const routine = `${API}/routines/${encoded}`;
  switch (step.do) {
    case 'put':
      return ['PUT', routine, step.body];
    case 'get':
      return ['GET', routine];
    case 'enable':
    case 'disable':
      return ['POST', `${routine}:${step.do}`];
    case 'delete':
      return ['DELETE', routine];
    case 'dispatch':
      return ['POST', `${routine}:dispatch_async`, step.body];
    case 'fire':
      return ['POST', `${CONTROL}/routines/${encoded}:fire`, step.body];
    case 'advance': {
      const { by, until, back } = step;
      const to = back && new Date(now - msOf(back)).toISOString();
      return ['POST', `${CONTROL}/clock:advance`, { by, until, to }];
    }
    case 'set':
      return ['PUT', `${CONTROL}/clock`, { now: new Date(now + msOf(step.by)) }];
    case 'faults':
      return ['PUT', `${CONTROL}/faults`, { faults: step.faults }];
    case 'settings':
      return ['PATCH', CONTROL, { settings: step.settings, switches: step.switches }];
    case 'snapshot':
      return ['PUT', `${CONTROL}/snapshots/${encoded}`];
    case 'reset':
      return ['POST', `${CONTROL}:reset`, { snapshot: step.snapshot }];
    case 'page':
      return ['GET', `${API}/routines${runsIn(step.of)}${queryOf(step)}`];
    case 'restart':
      throw new Error('Nothing is asked for a restart');
    default: {
      const [method, path, body] = agentRequest(step);
      return [method, API + path, body];
    }
  }
}

function runsIn(routine: string | undefined): string {
  return routine === undefined ? '' : `/${encodeURIComponent(routine)}/runs`;
}

/** Steps that are about agents have two words; but for these. */
export function isAgentStep(step: Step): step is AgentStep {
  return !isThreadStep(step) && isOfAgents(step);
}

function isOfAgents(step: Step): boolean {
  return step.do.includes(' ') || ['respond', 'invoke', 'list'].includes(step.do);
}
