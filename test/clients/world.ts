/** A project of the emulator that `foundrite exec` started, with an agent in it, and what the tests ask it beside its clients. */
import { onTestFinished } from 'vitest';

const ENDPOINT = process.env.AZURE_AI_PROJECT_ENDPOINT ?? '';
export const ORIGIN = new URL(ENDPOINT).origin;
export const AGENT = 'digest';
/** What the tests themselves call with, as signed as ours is. */
export const TOKEN = `e30.${Buffer.from('{"aud":"https://ai.azure.com","sub":"test"}').toString('base64url')}.`;
/** Where every project's clock starts; it stands still, and skips. */
export const NOW = '2026-06-01T00:00:00Z';

export interface Entry {
  kind: string;
  operation?: string;
  status?: number;
  body?: unknown;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  params?: Record<string, string>;
  user_agent?: string;
  principal?: string;
  tls?: boolean;
  client_request_id?: string;
}

export interface Answer {
  status: number;
  // Each test states what it expects of it.
  // biome-ignore lint/suspicious/noExplicitAny: answers are compared, not typed.
  body: any;
  headers: Headers;
}

export class World {
  readonly name: string;
  readonly endpoint: string;

  constructor(name: string) {
    this.name = name;
    this.endpoint = `${ORIGIN}/api/projects/${name}`;
  }

  /** A call under /_emulator; anything but success is a broken test. */
  async control(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await send(method, `${ORIGIN}/_emulator/projects/${this.name}${path}`, { body });
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }

  /** A call of the API as a client of no kind would make it. */
  api(method: string, path: string, options: SendOptions = {}): Promise<Answer> {
    return send(method, `${this.endpoint}${path}`, options);
  }

  advance(by: string): Promise<Answer> {
    return this.control('POST', '/clock:advance', { by });
  }

  arm(...faults: unknown[]): Promise<Answer> {
    return this.control('PUT', '/faults', { faults });
  }

  async timesFired(): Promise<number[]> {
    const { body } = await this.control('GET', '/faults');
    return body.faults.map(({ fired }: { fired: number }) => fired);
  }

  async journal(kind: string): Promise<Entry[]> {
    const { body } = await this.control('GET', `/journal?kind=${kind}`);
    return body.entries;
  }

  /** The requests of one client: all that a user agent like this sent. */
  async requestsOf(userAgent: RegExp): Promise<Entry[]> {
    return (await this.journal('request')).filter((entry) =>
      userAgent.test(entry.user_agent ?? ''),
    );
  }
}

/** The world of one test, gone with it: an emulator holds 256 projects. */
export async function makeWorld(name: string, options?: Record<string, unknown>): Promise<World> {
  const world = await openWorld(name, options);
  onTestFinished(async () => void (await world.control('DELETE', '')));
  return world;
}

/** A world of several tests. */
export async function openWorld(
  name: string,
  { settings, ...options }: Record<string, unknown> = {},
): Promise<World> {
  const world = new World(name);
  await world.control('PUT', '', {
    now: NOW,
    rate: 0,
    skip: true,
    seed: name,
    // The agent is there at once; what a test makes is provisioned as the test says.
    settings: { provisioning_time: '0s' },
    ...options,
  });
  const definition = {
    kind: 'hosted',
    image: 'digest:1',
    cpu: '1',
    memory: '2Gi',
    protocol_versions: [],
  };
  const made = await world.api('POST', `/agents/${AGENT}/versions?api-version=v1`, {
    body: { definition },
  });
  if (made.status !== 200)
    throw new Error(`the agent: ${made.status} ${JSON.stringify(made.body)}`);
  if (settings !== undefined) await world.control('PATCH', '', { settings });
  return world;
}

export interface SendOptions {
  body?: unknown;
  token?: string;
  headers?: Record<string, string>;
}

export async function send(
  method: string,
  url: string,
  options: SendOptions = {},
): Promise<Answer> {
  const { body, token = TOKEN } = options;
  const response = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      'user-agent': 'test',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: text === '' ? undefined : JSON.parse(text),
    headers: response.headers,
  };
}
