/** A model's stream, told as the events of an agent's Response object. */
import { createParser } from 'eventsource-parser';
import { callItem, endOf, type Json, listOf, type ModelSaid, messageItem } from './chat.ts';
import { ANSWER_BYTES_MAX, type Ending, type Opened, type Unopened } from './downstream.ts';
import {
  frame,
  type OutputItem,
  type ResponseEvent,
  responseEvents,
  Teller,
  type Told,
} from './events.ts';
import type { Draw } from './ids.ts';
import {
  type Asked,
  type Begun,
  beginning,
  ended,
  type Failed,
  failedWith,
  foreign,
  messageIn,
  openUpstream,
  refusalOf,
  wholeAnswer,
} from './model.ts';
import { type Heard, headersOf, type ModelReply } from './replies.ts';

/** Opens a model's stream, told as the events of a Response object. Never rejects. */
export async function openModel(
  world: Asked,
  reply: ModelReply,
  heard: Heard,
  ending: Ending,
): Promise<Opened> {
  const response = beginning(world.draw, heard, reply);
  const opened = await openUpstream(reply, heard, true, ending);
  const tooMany = 'status' in opened && opened.status === 429;
  if (tooMany) {
    const refused = await refusalOf(opened);
    return { ...refused, body: encoded([refused.body]) };
  }
  return {
    status: 200,
    headers: {
      ...headersOf(heard),
      'content-type': 'text/event-stream',
      'x-foundrite-body-by': 'reply',
    },
    body: encoded(tell(opened, reply, world, response)),
  };
}

async function* encoded(
  texts: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<Uint8Array> {
  for await (const text of texts) yield Buffer.from(text);
}

/** A stream of the model's, told as one of the agent's. */
async function* tell(
  opened: Opened | Unopened,
  reply: ModelReply,
  world: Asked,
  response: Begun,
): AsyncGenerator<string> {
  if ('body' in opened && opened.status === 200) {
    if (reply.api === 'responses') yield* retell(opened, response);
    else yield* tellChat(opened, world, response);
    return;
  }
  const said = await wholeAnswer(opened, reply, world.draw, response.id);
  const told = 'refused' in said ? response : ended(world, response, said);
  for (const event of responseEvents(told)) yield frame(event);
}

/** The pieces of a chat, as they come. */
async function* tellChat(opened: Opened, world: Asked, response: Begun): AsyncGenerator<string> {
  const teller = new Teller();
  const chat = new ChatTeller(teller, world.draw, response.id);
  for (const event of teller.begin(response)) yield frame(event);
  let said: Omit<ModelSaid, 'output'> | Failed | undefined;
  let finish: unknown;
  let usage: unknown;
  try {
    for await (const piece of eventsIn(opened)) {
      const choice = (piece.choices as Json[] | undefined)?.[0];
      finish = choice?.finish_reason ?? finish;
      usage = piece.usage ?? usage;
      for (const event of chat.hear((choice?.delta ?? {}) as Json)) yield frame(event);
      if (piece.error) said = failedWith(messageIn(piece, JSON.stringify(piece)));
    }
  } catch {
    said = failedWith(BROKE_OFF);
  }
  for (const event of chat.close()) yield frame(event);
  const told = ended(world, response, {
    ...(said ?? (finish === undefined ? failedWith(BROKE_OFF) : endOf(finish, usage))),
    output: chat.output,
  });
  for (const event of teller.end(told)) yield frame(event);
}

const BROKE_OFF = 'The model broke off in the middle of its answer.';

/** Events of a Response object that are passed on, but for whose it is. */
async function* retell(opened: Opened, response: Told): AsyncGenerator<string> {
  let sequence = 0;
  let ended = false;
  try {
    for await (const event of eventsIn(opened)) {
      const { type, response: theirs } = event as { type: string; response?: Json };
      const ours = theirs ? { response: { ...response, ...foreign(theirs) } } : {};
      ended ||= theirs !== undefined && theirs.status !== 'in_progress';
      yield frame({ ...event, type, sequence_number: sequence, ...ours } as ResponseEvent);
      sequence += 1;
    }
  } catch {
    // Said below: without its last event a response has failed.
  }
  if (ended) return;
  const failed = { ...response, ...failedWith(BROKE_OFF) };
  for (const event of new Teller(sequence).end(failed)) yield frame(event);
}

/** The data of each server-sent event, until the stream ends or says that it is done. Throws when it breaks off. */
async function* eventsIn({ body }: Opened): AsyncGenerator<Json> {
  const heard: string[] = [];
  let problem: Error | undefined;
  const parser = createParser({
    maxBufferSize: ANSWER_BYTES_MAX,
    onEvent: (event) => heard.push(event.data),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') problem = error;
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    for (const text of heard.splice(0)) {
      if (text === '[DONE]') return;
      yield JSON.parse(text) as Json;
    }
    if (problem) throw problem;
  }
}

/** Tells the pieces of a chat as items of a response, one after the other. */
export class ChatTeller {
  readonly output: OutputItem[] = [];
  readonly #teller: Teller;
  readonly #draw: Draw;
  readonly #id: string;
  #said: { key: string; text: string } | undefined;

  constructor(teller: Teller, draw: Draw, id: string) {
    this.#teller = teller;
    this.#draw = draw;
    this.#id = id;
  }

  /** The `delta` of one choice. */
  *hear(delta: Json): Generator<ResponseEvent> {
    for (const field of ['refusal', 'content'] as const) {
      const text = delta[field];
      if (typeof text !== 'string' || text === '') continue;
      yield* this.#turnTo(field, () => messageItem(this.#draw, this.#id, field, ''));
      yield this.#teller.delta(this.#index, this.#item, 0, this.#say(text));
    }
    for (const call of listOf(delta.tool_calls)) {
      const { name, arguments: text = '' } = (call.function ?? {}) as { [field: string]: string };
      const index = Number(call.index ?? 0);
      yield* this.#turnTo(`call ${index}`, () =>
        callItem(this.#draw, this.#id, index, {
          id: String(call.id),
          name: String(name),
          arguments: '',
        }),
      );
      if (text !== '') yield this.#teller.argumentsDelta(this.#index, this.#item, this.#say(text));
    }
  }

  /** Ends the last item; a model that has said nothing has said an empty text. */
  *close(): Generator<ResponseEvent> {
    if (this.output.length === 0)
      yield* this.#turnTo('content', () => messageItem(this.#draw, this.#id, 'content', ''));
    yield* this.#closeItem();
  }

  get #index(): number {
    return this.output.length - 1;
  }

  get #item(): OutputItem {
    return this.output[this.#index] as OutputItem;
  }

  #say(text: string): string {
    if (this.#said) this.#said.text += text;
    return text;
  }

  *#turnTo(key: string, make: () => OutputItem): Generator<ResponseEvent> {
    if (this.#said?.key === key) return;
    yield* this.#closeItem();
    this.#said = { key, text: '' };
    const item = make();
    this.output.push(item);
    yield* this.#teller.open(this.#index, item);
  }

  *#closeItem(): Generator<ResponseEvent> {
    if (this.#said === undefined) return;
    const { key, text } = this.#said;
    const item = this.#item;
    if (item.type === 'message') {
      const field = key === 'refusal' ? 'refusal' : 'content';
      item.content = messageItem(this.#draw, this.#id, field, text).content;
    } else item.arguments = text;
    yield* this.#teller.close(this.#index, item);
  }
}
