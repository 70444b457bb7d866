/** A real emulator process on loopback, ended by its own id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));

/** What an answer says; each test states what it expects of it. */
// biome-ignore lint/suspicious/noExplicitAny: answers are compared, not typed.
export type Json = any;

export interface Started {
  url: string;
  child: ChildProcess;
  /** What it has said so far. */
  printed(): string;
  /** Sends JSON with a token; answers the status and the parsed body. */
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json }>;
  /** Ends it, by SIGTERM unless said otherwise, and waits until it is gone. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

export function start(...args: string[]): Promise<Started> {
  return startUnder([], ...args);
}

/** Started by another command, which replaces itself by the one that it is given. */
export async function startUnder(prefix: string[], ...args: string[]): Promise<Started> {
  const [command = '', ...words] = [...prefix, process.execPath, BIN, 'start', '--port', '0'];
  const child = spawn(command, [...words, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      printed += String(chunk);
    });
    child.stdout.on('data', (chunk) => {
      printed += String(chunk);
      const ready = /foundrite ready url=(\S+)/.exec(printed)?.[1];
      if (ready) resolve(ready);
    });
    child.once('close', (code) => reject(new Error(`ended with ${code}: ${printed}`)));
  });
  return {
    url,
    child,
    printed: () => printed,
    async ask(method, path, body) {
      const answer = await fetch(url + path, {
        method,
        headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
    },
    async end(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('close', resolve));
      child.kill(signal);
      await gone;
    },
  };
}

export function every(cron: string, extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    triggers: { at: { type: 'schedule', cron_expression: cron, time_zone: 'UTC' } },
    action: { type: 'invoke_agent_responses_api', agent_name: 'demo-agent' },
    ...extra,
  };
}
