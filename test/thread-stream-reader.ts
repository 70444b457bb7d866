/** What the tests of streams of thread runs share: a thread to run on, a reader of events, and which of them come when. */
import { createParser } from 'eventsource-parser';
import type { EmulatorOptions } from '../emulator/emulator.ts';
import { type Foundry, type Json, openFoundry } from './fixture.ts';

/** A world with the assistant `helper`, and a thread on which a user has said `Hi.`. */
export async function opened(
  turns: unknown[],
  options: EmulatorOptions = {},
): Promise<{ foundry: Foundry; helper: string; thread: string }> {
  const foundry = openFoundry(options);
  const { id: helper } = await foundry.assistant('helper', { reply: { kind: 'script', turns } });
  const messages = [{ role: 'user', content: 'Hi.' }];
  const { id: thread } = (await foundry.post('/threads', { messages })).body;
  return { foundry, helper, thread };
}

export interface Told {
  event: string;
  data: Json;
}

/** Hears the events in bytes that come in any pieces. */
export function listener(heard: (told: Told) => void): (bytes: Uint8Array) => void {
  const decoder = new TextDecoder();
  const parser = createParser({
    onEvent: ({ event = '', data }) =>
      heard({ event, data: event === 'done' ? data : JSON.parse(data) }),
  });
  return (bytes) => parser.feed(decoder.decode(bytes, { stream: true }));
}

export interface Reading {
  status: number;
  /** All that has come so far. */
  events: Told[];
  /** Up to an event, or to the end. */
  until(event?: string): Promise<void>;
  leave(): Promise<void>;
}

export async function stream(foundry: Foundry, path: string, body: object): Promise<Reading> {
  const { status, body: bytes } = await foundry.fetch(foundry.endpoint + path, {
    method: 'POST',
    headers: { authorization: 'Bearer test', 'content-type': 'application/json' },
    body: JSON.stringify({ ...body, stream: true }),
  });
  const reader = (bytes as ReadableStream<Uint8Array>).getReader();
  const events: Told[] = [];
  const hear = listener((told) => events.push(told));
  const until = async (event?: string) => {
    while (event === undefined || !events.some((told) => told.event === event)) {
      const { value } = await reader.read();
      if (value === undefined) return;
      hear(value);
    }
  };
  return { status, events, until, leave: () => reader.cancel() };
}

export const BEGUN = ['run.created', 'run.queued', 'run.in_progress'];
export const STEP = ['run.step.created', 'run.step.in_progress'];
export const SAYING = [...STEP, 'message.created', 'message.in_progress'];
export const SAID = ['message.completed', 'run.step.completed', 'run.completed', 'done'];

export function deltas(of: 'message' | 'run.step', count: number): string[] {
  return Array.from({ length: count }, () => `${of}.delta`);
}

/** Lets everything that is under way settle. */
export async function settled(): Promise<void> {
  for (let round = 0; round < 20; round += 1) await new Promise((resolve) => setImmediate(resolve));
}
