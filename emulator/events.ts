/** The events that tell a Response object piece by piece (contract/agents.md 13.4), and how server-sent events are framed. */

type Json = Record<string, unknown>;

export interface ResponseEvent {
  type: string;
  sequence_number: number;
  [field: string]: unknown;
}

/** One item of a response's output: a message, a function call, or what only a model of the user's own says. */
export interface OutputItem {
  type: string;
  id?: string;
  status?: string;
  [field: string]: unknown;
}

/** As much of a Response object as its events depend on. */
export interface Told {
  status: string;
  output: OutputItem[];
  [field: string]: unknown;
}

/** A server-sent event, named by its type. */
export function frame(event: { type: string }): string {
  return `event: ${event.type}\n${data(event)}`;
}

/** A server-sent event without a name, as agents of the Invocations protocol write them. */
export function data(event: unknown): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}

/** The events of a whole response, in order. `chunk` is how many characters a delta has; without it, a word. */
export function* responseEvents(response: Told, chunk?: number): Generator<ResponseEvent> {
  const teller = new Teller();
  yield* teller.begin(response);
  for (const [index, item] of response.output.entries()) {
    yield* teller.open(index, item);
    if (item.type === 'function_call') {
      for (const piece of piecesOf(String(item.arguments), chunk))
        yield teller.argumentsDelta(index, item, piece);
    } else {
      for (const [at, part] of partsOf(item).entries()) {
        if (at > 0) yield teller.openPart(index, item, at, part);
        for (const piece of piecesOf(textOf(part), chunk))
          yield teller.delta(index, item, at, piece);
        if (at < partsOf(item).length - 1) yield* teller.closePart(index, item, at, part);
      }
    }
    yield* teller.close(index, item);
  }
  yield* teller.end(response);
}

/** Numbers the events of one response, and gives them their form. */
export class Teller {
  #sequence: number;

  constructor(from = 0) {
    this.#sequence = from;
  }

  begin(response: Told): ResponseEvent[] {
    const beginning = beginningOf(response);
    return [
      this.#event('response.created', { response: beginning }),
      this.#event('response.in_progress', { response: beginning }),
    ];
  }

  /** The event that ends a stream; none for a response that is still being made. */
  end(response: Told): ResponseEvent[] {
    const { status } = response;
    const going = status === 'in_progress' || status === 'queued';
    return going ? [] : [this.#event(`response.${status}`, { response })];
  }

  /** An item begins, and the first part of its content. */
  open(index: number, item: OutputItem): ResponseEvent[] {
    const [part] = partsOf(item);
    const added = { output_index: index, item: begun(item) };
    return [
      this.#event('response.output_item.added', added),
      ...(part ? [this.openPart(index, item, 0, part)] : []),
    ];
  }

  /** An item is whole, and so is the last part of its content. */
  close(index: number, item: OutputItem): ResponseEvent[] {
    const parts = partsOf(item);
    const last = parts.at(-1);
    return [
      ...(last ? this.closePart(index, item, parts.length - 1, last) : []),
      ...(item.type === 'function_call' ? [this.#argumentsDone(index, item)] : []),
      this.#event('response.output_item.done', { output_index: index, item }),
    ];
  }

  openPart(index: number, item: OutputItem, at: number, part: Part): ResponseEvent {
    const empty = part.type === 'refusal' ? { refusal: '' } : { text: '' };
    const annotations = 'annotations' in part ? { annotations: [] } : {};
    return this.#event('response.content_part.added', {
      ...place(item, index, at),
      part: { ...part, ...empty, ...annotations },
    });
  }

  delta(index: number, item: OutputItem, at: number, delta: string): ResponseEvent {
    const refusal = partsOf(item)[at]?.type === 'refusal';
    const where = place(item, index, at);
    return refusal
      ? this.#event('response.refusal.delta', { ...where, delta })
      : this.#event('response.output_text.delta', { ...where, delta, logprobs: [] });
  }

  closePart(index: number, item: OutputItem, at: number, part: Part): ResponseEvent[] {
    const where = place(item, index, at);
    const text = textOf(part);
    return [
      part.type === 'refusal'
        ? this.#event('response.refusal.done', { ...where, refusal: text })
        : this.#event('response.output_text.done', { ...where, text, logprobs: [] }),
      this.#event('response.content_part.done', { ...where, part }),
    ];
  }

  argumentsDelta(index: number, item: OutputItem, delta: string): ResponseEvent {
    return this.#event('response.function_call_arguments.delta', {
      item_id: item.id,
      output_index: index,
      delta,
    });
  }

  #argumentsDone(index: number, item: OutputItem): ResponseEvent {
    return this.#event('response.function_call_arguments.done', {
      item_id: item.id,
      output_index: index,
      name: item.name,
      arguments: item.arguments,
    });
  }

  #event(type: string, fields: object): ResponseEvent {
    const event = { type, sequence_number: this.#sequence, ...fields };
    this.#sequence += 1;
    return event;
  }
}

interface Part {
  type: string;
  text?: string;
  refusal?: string;
  [field: string]: unknown;
}

function partsOf(item: OutputItem): Part[] {
  return item.type === 'message' && Array.isArray(item.content) ? (item.content as Part[]) : [];
}

function textOf(part: Part): string {
  return (part.type === 'refusal' ? part.refusal : part.text) ?? '';
}

function place(item: OutputItem, index: number, at: number) {
  return { item_id: item.id, output_index: index, content_index: at };
}

/** A response of which nothing is said yet. */
function beginningOf(response: Told): Told {
  return {
    ...response,
    status: 'in_progress',
    completed_at: null,
    error: null,
    incomplete_details: null,
    output: [],
    usage: null,
  };
}

function begun(item: OutputItem): OutputItem {
  const status = item.status === undefined ? {} : { status: 'in_progress' };
  if (item.type === 'message') return { ...item, ...status, content: [] };
  if (item.type === 'function_call') return { ...item, ...status, arguments: '' };
  return { ...item, ...status };
}

/** A text in pieces of so many characters, or in words with the space before each. No character is split. */
export function* piecesOf(text: string, chunk: number | undefined): Generator<string> {
  if (chunk === undefined) {
    for (const [word] of text.matchAll(/\s*\S+(?:\s+$)?|\s+$/g)) yield word;
    return;
  }
  for (let from = 0; from < text.length; ) {
    let to = from + chunk;
    // The two halves of one character stay together.
    if (to < text.length && isLowSurrogate(text.charCodeAt(to))) to += 1;
    yield text.slice(from, to);
    from = to;
  }
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** The longest answer whose Response object is kept: what is passed on is never held for the sake of its end. */
const FINAL_CHARACTERS_MAX = 1_048_576;
const FINAL = /"type":\s*"response\.(?:completed|failed|incomplete|cancelled)"/;

/** Hears an answer that is passed on, and keeps the Response object that it is, or that its last event has. */
export class FinalResponse {
  readonly #isStream: boolean;
  readonly #decoder = new TextDecoder();
  /** The text of the event that is not whole yet, or of the whole answer. */
  #text = '';
  #tooLong = false;
  #response: Json | undefined;

  constructor(contentType: string | undefined) {
    this.#isStream = /^text\/event-stream\b/i.test(contentType ?? '');
  }

  hear(chunk: Uint8Array): void {
    const text = this.#decoder.decode(chunk, { stream: true });
    this.#text += text;
    if (this.#isStream && text.includes('\n')) this.#takeEvents();
    if (this.#text.length <= FINAL_CHARACTERS_MAX) return;
    this.#tooLong = true;
    // An event may end between two pieces.
    this.#text = this.#text.slice(-3);
  }

  get response(): Json | undefined {
    if (!this.#isStream && !this.#tooLong) this.#take(this.#text, (answer) => answer);
    return this.#response;
  }

  #takeEvents(): void {
    const events = this.#text.split(/\r?\n\r?\n/);
    this.#text = events.pop() ?? '';
    for (const event of events) {
      if (!this.#tooLong && FINAL.test(event)) {
        const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
        const text = lines.map((line) => line.slice('data:'.length)).join('\n');
        this.#take(text, (told) => told.response);
      }
      this.#tooLong = false;
    }
  }

  #take(text: string, from: (answer: Json) => unknown): void {
    try {
      const found = from(JSON.parse(text) as Json) as Json | undefined;
      if (found?.object === 'response') this.#response = found;
    } catch {
      // Words of the agent's own: there is no object in them.
    }
  }
}
