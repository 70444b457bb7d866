/**
 * What the package exports for vitest: a test that is handed a project of its own, with its clock standing at an instant, no faults, and
 * ids that its name decides. Nothing listens on a port; everything is closed when the test ends.
 */
import { test as base } from 'vitest';
import { AGENT_KEYS, readConfigured, type Written } from '../contracts/configuration.ts';
import {
  aboutAssistant,
  type Configured,
  type ConfiguredCall,
  callsOf,
  routedTo,
} from '../contracts/configured.ts';
import { configuredRequest } from '../contracts/configured-request.ts';
import type { components } from '../contracts/openapi.ts';
import { type Control, controlBelow, type Sent } from '../contracts/target.ts';
import type { Connection } from './api/http.ts';
import { createEmulator, type Emulator, type EmulatorOptions } from './emulator.ts';

type Schemas = components['schemas'];

/** JSON of an answer; each test says what it expects of it. */
// biome-ignore lint/suspicious/noExplicitAny: answers are compared, not typed.
export type Json = any;

/** Where clocks start unless a test says otherwise: a Monday, 2026-06-01T00:00:00Z. */
export const START = Date.parse('2026-06-01T00:00:00Z');

export interface Asked {
  body?: unknown;
  /** Sent as it stands, in place of a JSON body. */
  raw?: string;
  headers?: Record<string, string>;
}

export interface Answered {
  method: string;
  /** The raw path, with its query. */
  path: string;
  status: number;
  headers: Headers;
  text: string;
  /** JSON, a list of JSON lines, or undefined where the text is neither. */
  body: Json;
  /** The rule of the ledger that a refusal enforces. */
  rule: string | null;
}

/** One project of an emulator in this process, and what can be done to it. */
export class Foundry {
  readonly emulator: Emulator;
  /** The project's name. */
  readonly name: string;
  readonly #control: Control = controlBelow();
  readonly #made: Record<string, string> = {};

  constructor(emulator: Emulator, name: string) {
    this.emulator = emulator;
    this.name = name;
  }

  /** What an official client takes as its project endpoint; hand it `fetch` as well. */
  get endpoint(): string {
    return `http://localhost:3686${this.#base}`;
  }

  get #base(): string {
    return `/api/projects/${encodeURIComponent(this.name)}`;
  }

  /** As the global `fetch`, answered by the emulator. */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> =>
    this.emulator.fetch(new Request(input, init));

  /** Below the project, unless the path begins at the root of the service or of the emulator. */
  async request(method: string, path: string, asked: Asked = {}): Promise<Answered> {
    return this.send(this.#sent(method, path, asked));
  }

  #sent(method: string, path: string, asked: Asked): Sent {
    const body = asked.raw ?? (asked.body === undefined ? undefined : JSON.stringify(asked.body));
    return {
      method,
      path: /^\/(?:api|_emulator)\//.test(path) ? path : `${this.#base}${path}`,
      headers: {
        authorization: 'Bearer test',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...asked.headers,
      },
      ...(body === undefined ? {} : { body }),
    };
  }

  async send({ method, path, headers, body }: Sent, connection?: Connection): Promise<Answered> {
    const init = { method, headers, ...(body === undefined ? {} : { body }) };
    const request = new Request(`http://localhost:3686${path}`, init);
    return this.answered(method, path, await this.emulator.fetch(request, connection));
  }

  async answered(method: string, path: string, answer: Response): Promise<Answered> {
    const text = await answer.text();
    const { status, headers } = answer;
    const rule = headers.get('x-foundrite-rule');
    return { method, path, status, headers, text, body: bodyOf(headers, text), rule };
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answered> {
    return this.request('GET', path, { headers });
  }

  put(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answered> {
    return this.request('PUT', path, { body, headers });
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answered> {
    return this.request('POST', path, { body, headers });
  }

  /** A merge patch, such as of an agent's endpoint. */
  patch(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answered> {
    return this.request('PATCH', path, { body, headers });
  }

  delete(path: string): Promise<Answered> {
    return this.request('DELETE', path);
  }

  /**
   * An agent as `agents` of the options has it: `{ kind | definition | versions, reply, endpoint, card, state }`; hosted, with
   * one version, without any of these. A definition by itself will do too. Answers its newest version.
   */
  async agent(name: string, agent: object = { definition: HOSTED }): Promise<Json> {
    const versions: Json[] = [];
    for (const call of callsOf(readNamed({ agents: { [name]: agentOf(agent) } }))) {
      const numbers = versions.map(({ version }) => version as string);
      const made = await this.#configured(routedTo(call, numbers));
      if (call.place !== undefined) versions.push(made);
    }
    return versions.at(-1);
  }

  /** Ids by key: of the assistants of the options, of the demo's where it is there, and of those made by `assistant`. */
  get assistants(): Record<string, string> {
    return { ...this.emulator.assistants(this.name), ...this.#made };
  }

  /** An assistant as `assistants` of the options has it: the body of its POST, `id` and `reply`. Answers it; its id is kept in `assistants`. */
  async assistant(key: string, assistant: object = {}): Promise<Json> {
    const [make, ...further] = callsOf(readNamed({ assistants: { [key]: assistant } }));
    const made = make && (await this.#configured(make));
    this.#made[key] = made.id;
    for (const call of further) await this.#configured(aboutAssistant(call, made.id));
    return made;
  }

  async #configured(call: ConfiguredCall): Promise<Json> {
    const { method, control, path } = configuredRequest(call);
    const below = control ? `/_emulator/projects/${encodeURIComponent(this.name)}` : '';
    const sent = this.#sent(method, `${below}${path}`, { body: call.body });
    const made = call.operation === 'createAssistant' ? { id: call.id } : undefined;
    return taken(await this.send(sent, made));
  }

  /** A control call by its word in contracts/control.ts, which must succeed; answers its body. */
  async call(
    word: string,
    { query, body, ...params }: { query?: object; body?: unknown; [param: string]: unknown } = {},
  ): Promise<Json> {
    const sent = this.#control.request(word, {
      params: { p: this.name, ...(params as Record<string, string>) },
      query: (query ?? {}) as Record<string, unknown>,
      body,
    });
    return taken(await this.send(sent));
  }

  /** Moves the clock: by a duration (`2m`), to an instant, or until `idle`. */
  advance(by: string): Promise<Schemas['AdvanceResult']> {
    const to = /^\d{4}-/.test(by);
    return this.call('advance', {
      body: by === 'idle' ? { until: by } : to ? { to: by } : { by },
    });
  }

  clock(): Promise<Schemas['Clock']> {
    return this.call('clock');
  }

  /** Where the clock stands, in ISO 8601. */
  async now(): Promise<string> {
    return (await this.clock()).now;
  }

  /** Sets the fault plan, in place of the one before. */
  faults(...faults: Schemas['FaultEntry'][]): Promise<Json> {
    return this.call('faults', { body: { faults } });
  }

  /** What an agent says from now on, or the assistant that has this id. */
  reply(agent: string, reply: Schemas['ReplyOf']): Promise<Json> {
    return this.call('reply', { agent_name: agent, body: reply });
  }

  /** Lets go what a fault of the kind `gate` holds. */
  release(gate: string): Promise<Json> {
    return this.call('release', { gate });
  }

  /** Fires a routine's trigger by hand. */
  fire(routine: string, body: Schemas['FireRequest'] = {}): Promise<Json> {
    return this.call('fire', { routine_name: routine, body });
  }

  /** Changes switches, settings and profile. */
  set(change: { profile?: string; switches?: object; settings?: object }): Promise<Json> {
    return this.call('settings', { body: change });
  }

  /** The journal's entries: `{ kind: 'attempt', routine: 'daily' }`, or as a query. */
  async journal(query: object | string = {}): Promise<Json[]> {
    const asked =
      typeof query === 'string' ? Object.fromEntries(new URLSearchParams(query)) : query;
    return (await this.call('journal', { query: asked })).entries;
  }
}

function readNamed(written: Written): Configured {
  const { configured, problems } = readConfigured(written);
  if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join('\n'));
  return configured;
}

/** Only a definition has more than a kind, and nothing of what else an agent has. */
function agentOf(agent: object): object {
  const keys = Object.keys(agent);
  const isAgent =
    keys.every((key) => key === 'kind') ||
    keys.some((key) => key !== 'kind' && AGENT_KEYS.includes(key));
  return isAgent ? agent : { definition: agent };
}

function taken(answer: Answered): Json {
  if (answer.status < 300) return answer.body;
  throw new Error(`${answer.method} ${answer.path} was answered ${answer.status}: ${answer.text}`);
}

function bodyOf(headers: Headers, text: string): Json {
  if (text === '') return undefined;
  try {
    if (!(headers.get('content-type') ?? '').includes('ndjson')) return JSON.parse(text);
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  } catch {
    return undefined;
  }
}

export const HOSTED = {
  kind: 'hosted',
  cpu: '1',
  memory: '2Gi',
  image: 'example.azurecr.io/agent:1',
  protocol_versions: [
    { protocol: 'responses', version: '1.0.0' },
    { protocol: 'invocations', version: '1.0.0' },
  ],
};

export interface FoundryFixtures {
  /** What the emulator is made with; `test.extend({ foundryOptions: { … } })` chooses otherwise. */
  foundryOptions: EmulatorOptions;
  foundry: Foundry;
}

export const test = base.extend<FoundryFixtures>({
  foundryOptions: {},
  foundry: async ({ foundryOptions, task }, use) => {
    // An agent is there as soon as it is made, unless a test is about just that.
    const settings = { provisioning_time: '0s', ...foundryOptions.settings };
    const emulator = createEmulator({ now: START, seed: task.name, ...foundryOptions, settings });
    await use(new Foundry(emulator, 'test'));
    await emulator.close();
  },
});
