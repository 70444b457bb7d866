/** Answers as steps read them: status, headers, JSON or text, or a stream's events. */
import { createParser } from 'eventsource-parser';
import { checkResponse } from '../contracts/openapi.ts';
import type { Sent } from '../contracts/target.ts';

export interface Answer {
  sent: Sent;
  status: number;
  headers: Headers;
  text: string;
  /** JSON, or the text, or undefined where there is none. */
  body: unknown;
  /** What it does not keep of openapi.yaml, in sentences. */
  problems: string[];
  /** The world's instant, where the answer says it. */
  now: number | undefined;
}

export async function readAnswer(sent: Sent, response: Response): Promise<Answer> {
  const { status, headers } = response;
  const text = await response.text();
  const now = Date.parse(headers.get('x-foundrite-now') ?? '');
  return {
    sent,
    status,
    headers,
    text,
    body: bodyOf(headers, text),
    problems: checkResponse(sent.method, sent.path, status, headers, text),
    now: Number.isNaN(now) ? undefined : now,
  };
}

function bodyOf(headers: Headers, text: string): unknown {
  if (text === '') return undefined;
  return (headers.get('content-type') ?? '').includes('json') ? parsedOr(text) : text;
}

/** Server-sent events as { event, id, data }, JSON read where it is some; lines of ndjson as they are. */
export function eventsIn({ headers, text }: Answer): unknown[] {
  if ((headers.get('content-type') ?? '').includes('ndjson'))
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map(parsedOr);
  const events: unknown[] = [];
  const parser = createParser({
    onEvent: ({ event, id, data }) => {
      const named = id === undefined ? {} : { id };
      events.push({ event: event ?? 'message', ...named, data: parsedOr(data) });
    },
  });
  parser.feed(text);
  return events;
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
