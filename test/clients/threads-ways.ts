/** The two clients by which assistants, threads and runs are tried, and how what each does by itself differs. */
import { azure, type Client, openai } from './assistants.ts';
import type { Answer, World } from './world.ts';

type Json = Answer['body'];

/** Hands on what was answered. */
export type Note = (method: string, url: string, answer: Promise<Json>) => Promise<Json>;

export interface Way {
  name: string;
  connect(world: World, options?: Json): Client;
  /** Options by which it tells what it asks. */
  watched(note: Note): Json;
  /** What a refusal looks like, told by its status, text and code. */
  refusal(status: number, text: string, code: string | null): Json;
  /** Of a list. */
  listRefusal(status: number, text: string, code: string | null): Json;
  /** Throws where a run came to another end than success. */
  throwsEnds: boolean;
}

export const WAYS: Way[] = [
  {
    name: '@azure/ai-agents 1.1.0',
    connect: azure,
    watched: (note) => {
      const policy = {
        name: 'watch',
        sendRequest: (request: Json, next: Json) =>
          note(request.method, request.url, next(request)),
      };
      return { additionalPolicies: [{ position: 'perCall', policy }] };
    },
    refusal: (statusCode, message, code) => ({ name: 'RestError', statusCode, message, code }),
    listRefusal: (statusCode, _, code) => ({
      name: 'RestError',
      statusCode,
      message: `Pagination failed with unexpected statusCode ${statusCode}`,
      code,
    }),
    throwsEnds: true,
  },
  {
    name: 'openai 7',
    connect: openai,
    watched: (note) => ({
      fetch: (url: string, init: RequestInit) => note(init.method ?? 'GET', url, fetch(url, init)),
    }),
    refusal: (status, text, code) => ({ status, message: `${status} ${text}`, code }),
    listRefusal: (status, text, code) => ({ status, message: `${status} ${text}`, code }),
    throwsEnds: false,
  },
];
