/** `@azure/ai-agents` and the beta of `openai` behind one vocabulary: every call is a client's own, every answer in the fields of the wire. */
import { AgentsClient } from '@azure/ai-agents';
import { DefaultAzureCredential } from '@azure/identity';
import OpenAI from 'openai';
import { type Answer, TOKEN, type World } from './world.ts';

type Json = Answer['body'];

/** What a stream told: the names and the data of its events. */
export interface Told {
  event: string;
  data: Json;
}

export interface Listed {
  limit?: number;
  order?: 'asc' | 'desc';
  after?: string;
  before?: string;
  run_id?: string;
}

/** All calls that both clients have. A list is what the client's own iteration comes by. */
export interface Client {
  createAssistant(body: Json): Promise<Json>;
  getAssistant(id: string): Promise<Json>;
  updateAssistant(id: string, body: Json): Promise<Json>;
  deleteAssistant(id: string): Promise<Json>;
  assistants(query?: Listed): Promise<Json[]>;
  createThread(body?: Json): Promise<Json>;
  getThread(id: string): Promise<Json>;
  updateThread(id: string, body: Json): Promise<Json>;
  deleteThread(id: string): Promise<Json>;
  say(thread: string, body: Json): Promise<Json>;
  getMessage(thread: string, id: string): Promise<Json>;
  updateMessage(thread: string, id: string, body: Json): Promise<Json>;
  messages(thread: string, query?: Listed): Promise<Json[]>;
  run(thread: string, body: Json): Promise<Json>;
  runThread(body: Json): Promise<Json>;
  getRun(thread: string, id: string): Promise<Json>;
  updateRun(thread: string, id: string, body: Json): Promise<Json>;
  cancel(thread: string, id: string): Promise<Json>;
  submit(thread: string, id: string, outputs: Json[]): Promise<Json>;
  runs(thread: string, query?: Listed): Promise<Json[]>;
  getStep(thread: string, run: string, id: string): Promise<Json>;
  steps(thread: string, run: string, query?: Listed): Promise<Json[]>;
  poll(thread: string, body: Json): Promise<Json>;
  streamRun(thread: string, body: Json): AsyncIterable<Told>;
  streamThread(body: Json): AsyncIterable<Told>;
  streamSubmit(thread: string, run: string, outputs: Json[]): AsyncIterable<Told>;
}

/** As it is, signed in as on a developer's machine. */
export function azureOf(world: World, options: Json = {}): AgentsClient {
  return new AgentsClient(world.endpoint, new DefaultAzureCredential(), options);
}

export function azure(world: World, options: Json = {}): Client {
  const client: Json = azureOf(world, options);
  const { threads, messages, runs, runSteps } = client;
  const plain = async (asked: PromiseLike<Json>): Promise<Json> => renamed(await asked, snake);
  const all = async (list: AsyncIterable<Json>) => (await collected(list)).map(onWire);
  const without = ({ assistant_id: _, ...body }: Json) => renamed(body, camel);
  const outputs = (given: Json[]) => given.map((one) => renamed(one, camel));
  const told = async function* (asked: PromiseLike<AsyncIterable<Told>>): AsyncGenerator<Told> {
    for await (const { event, data } of await asked) yield { event, data: onWire(data) };
  };
  return {
    createAssistant: ({ model, ...body }) => plain(client.createAgent(model, renamed(body, camel))),
    getAssistant: (id) => plain(client.getAgent(id)),
    updateAssistant: (id, body) => plain(client.updateAgent(id, renamed(body, camel))),
    deleteAssistant: (id) => plain(client.deleteAgent(id)),
    assistants: (query) => all(client.listAgents(query)),
    createThread: (body) => plain(threads.create(renamed(body, camel))),
    getThread: (id) => plain(threads.get(id)),
    updateThread: (id, body) => plain(threads.update(id, renamed(body, camel))),
    deleteThread: (id) => plain(threads.delete(id)),
    say: (thread, { role, content, ...body }) =>
      plain(messages.create(thread, role, content, renamed(body, camel))),
    getMessage: (thread, id) => plain(messages.get(thread, id)),
    updateMessage: (thread, id, body) => plain(messages.update(thread, id, renamed(body, camel))),
    messages: (thread, query) => all(messages.list(thread, renamed(query, camel))),
    run: (thread, body) => plain(runs.create(thread, body.assistant_id, without(body))),
    runThread: (body) => plain(runs.createThreadAndRun(body.assistant_id, without(body))),
    getRun: (thread, id) => plain(runs.get(thread, id)),
    updateRun: (thread, id, body) => plain(runs.update(thread, id, renamed(body, camel))),
    cancel: (thread, id) => plain(runs.cancel(thread, id)),
    submit: (thread, id, given) => plain(runs.submitToolOutputs(thread, id, outputs(given))),
    runs: (thread, query) => all(runs.list(thread, query)),
    getStep: (thread, run, id) => plain(runSteps.get(thread, run, id)),
    steps: (thread, run, query) => all(runSteps.list(thread, run, query)),
    poll: (thread, body) => plain(runs.createAndPoll(thread, body.assistant_id, without(body))),
    streamRun: (thread, body) =>
      told(runs.create(thread, body.assistant_id, without(body)).stream()),
    streamThread: (body) =>
      told(runs.createThreadAndRun(body.assistant_id, without(body)).stream()),
    streamSubmit: (thread, run, given) =>
      told(runs.submitToolOutputs(thread, run, outputs(given)).stream()),
  };
}

/** As it is, with what the client needs to reach a project. */
export function openaiOf(world: World, options: Json = {}): OpenAI {
  const defaultQuery = { 'api-version': 'v1' };
  return new OpenAI({ baseURL: world.endpoint, apiKey: TOKEN, defaultQuery, ...options });
}

export function openai(world: World, options: Json = {}): Client {
  const { assistants, threads }: Json = openaiOf(world, options).beta;
  const { messages, runs } = threads;
  const in_ = (thread: string, body: Json = {}) => ({ thread_id: thread, ...body });
  const outputs = (thread: string, given: Json[]) => in_(thread, { tool_outputs: given });
  return {
    createAssistant: (body) => assistants.create(body),
    getAssistant: (id) => assistants.retrieve(id),
    updateAssistant: (id, body) => assistants.update(id, body),
    deleteAssistant: (id) => assistants.delete(id),
    assistants: (query) => collected(assistants.list(query)),
    createThread: (body) => threads.create(body),
    getThread: (id) => threads.retrieve(id),
    updateThread: (id, body) => threads.update(id, body),
    deleteThread: (id) => threads.delete(id),
    say: (thread, body) => messages.create(thread, body),
    getMessage: (thread, id) => messages.retrieve(id, in_(thread)),
    updateMessage: (thread, id, body) => messages.update(id, in_(thread, body)),
    messages: (thread, query) => collected(messages.list(thread, query)),
    run: (thread, body) => runs.create(thread, body),
    runThread: (body) => threads.createAndRun(body),
    getRun: (thread, id) => runs.retrieve(id, in_(thread)),
    updateRun: (thread, id, body) => runs.update(id, in_(thread, body)),
    cancel: (thread, id) => runs.cancel(id, in_(thread)),
    submit: (thread, id, given) => runs.submitToolOutputs(id, outputs(thread, given)),
    runs: (thread, query) => collected(runs.list(thread, query)),
    getStep: (thread, run, id) => runs.steps.retrieve(id, in_(thread, { run_id: run })),
    steps: (thread, run, query) => collected(runs.steps.list(run, in_(thread, query))),
    poll: (thread, body) => runs.createAndPoll(thread, body),
    streamRun: (thread, body) => runs.stream(thread, body),
    streamThread: (body) => threads.createAndRunStream(body),
    streamSubmit: (thread, run, given) => runs.submitToolOutputsStream(run, outputs(thread, given)),
  };
}

async function collected(list: AsyncIterable<Json>): Promise<Json[]> {
  const found: Json[] = [];
  for await (const each of list) found.push(each);
  return found;
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const onWire = (value: Json) => renamed(value, snake);

/** With the keys of every object renamed, and instants in the seconds of the wire. */
function renamed(value: Json, rename: (name: string) => string): Json {
  if (value instanceof Date) return value.getTime() / 1_000;
  if (Array.isArray(value)) return value.map((each) => renamed(each, rename));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.map(([key, each]) => [rename(key), renamed(each, rename)]));
}
