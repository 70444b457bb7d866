/**
 * The world of a test, ready-made: an emulator in-process whose clock stands at 2026-06-01T00:00:00Z, and one project of
 * its own. Every answer is checked against openapi.yaml and recorded; what the emulator has to say of itself must be
 * asked for; everything is closed when the test ends.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base, expect, onTestFinished } from 'vitest';
import { checkResponse } from '../contracts/openapi.ts';
import type { HostClock } from '../emulator/clock.ts';
import { createEmulator, type Emulator, type EmulatorOptions } from '../emulator/emulator.ts';
import type { Project } from '../emulator/projects.ts';
import {
  type Answered,
  type Asked,
  HOSTED,
  type Json,
  Foundry as Published,
  START,
} from '../emulator/vitest.ts';

/** A user agent that is told instants in ISO 8601, as seed 001 prints them. */
export const CURL = { 'user-agent': 'curl/8.7.1' };
const PEEK = { ...CURL, 'x-foundrite-peek': '1' };

/** The published fixture, whose every answer is checked against openapi.yaml and recorded. */
export class Foundry extends Published {
  readonly answers: Answered[];
  /** What was printed for the user: blocked calls, stuck items, bugs. A test that expects some takes them. */
  readonly notices: string[];

  constructor(emulator: Emulator, name: string, answers: Answered[], notices: string[]) {
    super(emulator, name);
    this.answers = answers;
    this.notices = notices;
  }

  /** Another project of the same emulator. */
  in(project: string): Foundry {
    return new Foundry(this.emulator, project, this.answers, this.notices);
  }

  get project(): Project {
    return this.emulator.project(this.name);
  }

  /** Tests set wrong plans and replies too, which the published types refuse. */
  override faults(...faults: unknown[]): Promise<Json> {
    return super.faults(...(faults as never[]));
  }

  override reply(agent: string, reply: unknown): Promise<Json> {
    return super.reply(agent, reply as never);
  }

  override async answered(method: string, path: string, response: Response): Promise<Answered> {
    const answer = await super.answered(method, path, response);
    const { status, headers, text } = answer;
    const problems = checkResponse(method, path, status, headers, text);
    expect(problems, `${method} ${path} answered ${status} ${text.slice(0, 500)}`).toEqual([]);
    this.answers.push(answer);
    return answer;
  }

  /** A path of this project's control. */
  control(path: string): string {
    return `/_emulator/projects/${encodeURIComponent(this.name)}${path}`;
  }

  /** The body of a control call that must succeed. */
  async steer(method: string, path: string, body?: unknown): Promise<Json> {
    const answer = await this.request(method, this.control(path), { body });
    expect(answer.status, answer.text).toBeLessThan(300);
    return answer.body;
  }

  /** A routine that is put as it stands, and must be taken. */
  async routine(name: string, body: object): Promise<Json> {
    const answer = await this.put(`/routines/${encodeURIComponent(name)}`, body, CURL);
    expect(answer.status, answer.text).toBe(200);
    return answer.body;
  }

  /** Queues a run by hand; its three ids. */
  async dispatch(name: string, body?: unknown): Promise<Json> {
    const answer = await this.post(`/routines/${encodeURIComponent(name)}:dispatch_async`, body);
    expect(answer.status, answer.text).toBe(200);
    return answer.body;
  }

  /** The runs of a routine, oldest first, without moving time; instants in ISO. */
  async runs(routine: string): Promise<Json[]> {
    const path = `/routines/${encodeURIComponent(routine)}/runs?order=asc`;
    const answer = await this.get(path, PEEK);
    expect(answer.status, answer.text).toBe(200);
    return answer.body.data;
  }

  /** What became of each attempt, and when: `503 @1s retry`, counted from the start of the test's world. */
  async attempts(query = ''): Promise<string[]> {
    const lines = await this.journal(`kind=attempt&${query}`);
    return lines.map((line) => `${line.status ?? line.outcome} @${since(line.at)} ${line.next}`);
  }

  /** What a client still asks, while the test goes on. */
  inFlight(method: string, path: string, asked: Asked = {}): Promise<Answered> {
    const answer = this.request(method, path, asked);
    // Awaited later: until then a failure is not unhandled.
    answer.catch(() => {});
    return answer;
  }
}

/** Seconds since the start of the test's world: `0s`, `31.5s`. */
export function since(at: string | number): string {
  const ms = (typeof at === 'number' ? at : Date.parse(at)) - START;
  return `${ms / 1_000}s`;
}

/** What a refusal says. */
export function refusal(answer: Answered): Json {
  const { code, message, param } = answer.body?.error ?? {};
  return { status: answer.status, code, message, param, rule: answer.rule };
}

export const EVERY_5_MINUTES = {
  type: 'schedule',
  cron_expression: '*/5 * * * *',
  time_zone: 'UTC',
};
/** Fires by control only, so that a routine that is only dispatched is otherwise at rest. */
export const CUSTOM = { type: 'custom', provider: 'tests', parameters: {} };

export function responses(agent: string, more: object = {}): object {
  return { type: 'invoke_agent_responses_api', agent_name: agent, ...more };
}

export function invocations(agent: string, more: object = {}): object {
  return { type: 'invoke_agent_invocations_api', agent_name: agent, ...more };
}

/** A routine of one trigger, named `t`, that calls `digest` unless it says otherwise. */
export function routine(trigger: object = CUSTOM, more: object = {}): Json {
  return { triggers: { t: trigger }, action: responses('digest'), ...more };
}

/** An agent is there as soon as it is made, unless a test is about just that. */
const AT_ONCE = { provisioning_time: 0 };

/** An emulator with other options than the fixture's; closed when the test ends. */
export function openFoundry(options: EmulatorOptions = {}, name = 'tests'): Foundry {
  const notices: string[] = [];
  const emulator = createEmulator({
    now: START,
    seed: 'tests',
    notice: (message) => notices.push(message),
    ...options,
    settings: { ...AT_ONCE, ...options.settings },
  });
  onTestFinished(() => emulator.close());
  return new Foundry(emulator, name, [], notices);
}

export const test = base.extend<{ foundry: Foundry }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads which fixtures are needed from the pattern.
  foundry: async ({}, use) => {
    const notices: string[] = [];
    const emulator = createEmulator({
      now: START,
      seed: 'tests',
      notice: (message) => notices.push(message),
      settings: AT_ONCE,
    });
    const foundry = new Foundry(emulator, 'tests', [], notices);
    await foundry.agent('digest');
    await use(foundry);
    await emulator.close();
    expect(notices, 'the emulator printed what no test expects').toEqual([]);
  },
});

/** A folder that is gone when the test ends. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface LocalAgent {
  url: string;
  /** What it was asked, in order. */
  heard: { url: string; headers: IncomingMessage['headers']; body: string }[];
  /** Comes when the call of this number, from 1, has arrived. */
  arrival(number: number): Promise<void>;
  close(): Promise<void>;
}

/** An agent of the user's own, on a real port of the loopback; gone when the test ends. */
export async function localAgent(
  answer: (response: ServerResponse, number: number) => void,
): Promise<LocalAgent> {
  const heard: LocalAgent['heard'] = [];
  const waiting: { number: number; resolve: () => void }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      heard.push({ url: request.url ?? '', headers: request.headers, body });
      for (const { number, resolve } of waiting) if (heard.length >= number) resolve();
      answer(response, heard.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  onTestFinished(close);
  return {
    url: `http://127.0.0.1:${port}`,
    heard,
    arrival: (number) =>
      new Promise((resolve) => {
        if (heard.length >= number) resolve();
        else waiting.push({ number, resolve });
      }),
    close,
  };
}

/** A host whose lid can be closed: its instant jumps, and no timer rings on the way. */
export function lid(startAt: number): HostClock & { sleep(ms: number): Promise<void> } {
  let now = startAt;
  const timers = new Set<{ at: number; callback: () => void }>();
  return {
    now: () => now,
    after(delayMs, callback) {
      const timer = { at: now + Math.max(delayMs, 0), callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async sleep(ms) {
      now += ms;
      for (let rounds = 0; rounds < 100; rounds += 1) {
        const due = [...timers].filter((timer) => timer.at <= now);
        for (const timer of due) {
          timers.delete(timer);
          timer.callback();
        }
        await new Promise((resolve) => setImmediate(resolve));
        if (due.length === 0) return;
      }
    },
  };
}

export { type Answered, type Asked, expect, HOSTED, type Json, START };
