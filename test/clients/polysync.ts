/**
 * A scheduler's job of the type "Foundry Agent Run". It is made of seed 004 and nothing else: no package, no type, no constant of the
 * emulator's. What the page leaves open is said where it is decided.
 */

export type JobStatus = 'Running' | 'Success' | 'Failed' | 'Cancelled';

/** The page's table of statuses. */
const JOB_STATUS: Readonly<Record<string, JobStatus>> = {
  queued: 'Running',
  in_progress: 'Running',
  requires_action: 'Running',
  cancelling: 'Running',
  completed: 'Success',
  failed: 'Failed',
  expired: 'Failed',
  cancelled: 'Cancelled',
};

/** A job as discovery finds it. */
export interface Job {
  externalId: string;
  name: string | null;
  model: string;
}

export interface Inputs {
  user_message: string;
  /** Of an earlier job of the same chain; without one the job makes a thread of its own. */
  thread_id?: string;
}

export interface Outputs {
  thread_id: string;
  response: string;
}

export interface Finished {
  runId: string;
  status: JobStatus;
  /** Only a job that succeeded has some. */
  outputs?: Outputs;
}

export interface Connection {
  /** `https://…/api/projects/{project}` */
  endpoint: string;
  /** How it signs in: `authorization`, or the `api-key` that must not do. */
  headers: Record<string, string>;
  fetch: typeof fetch;
  /** Lets the time between two polls pass. */
  wait(ms: number): Promise<unknown>;
  pollMs?: number;
}

interface Page<Item> {
  data: Item[];
  has_more?: boolean;
  last_id?: string | null;
}

interface Assistant {
  id: string;
  name: string | null;
  model: string;
}

interface Message {
  content: { text: { value: string } }[];
}

/** What was answered in place of success. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(`${status}: ${text}`);
    this.status = status;
  }
}

export class Polysync {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Each agent becomes a job. The page mentions no paging: whatever names its last id and says that there is more is asked for more. */
  async discover(): Promise<Job[]> {
    const jobs: Job[] = [];
    let cursor = '';
    for (;;) {
      const page: Page<Assistant> = await this.#call('GET', `/assistants?api-version=v1${cursor}`);
      jobs.push(...page.data.map(({ id, name, model }) => ({ externalId: id, name, model })));
      if (!page.has_more || !page.last_id) return jobs;
      cursor = `&after=${encodeURIComponent(page.last_id)}`;
    }
  }

  /** The thread, the message and the run, in this order; answers the composite RunId. */
  async start(externalId: string, { user_message, thread_id }: Inputs): Promise<string> {
    const thread = thread_id ?? (await this.#call<{ id: string }>('POST', '/threads')).id;
    const message = { role: 'user', content: user_message };
    await this.#call('POST', `/threads/${thread}/messages`, message);
    const run = await this.#call<{ id: string }>('POST', `/threads/${thread}/runs`, {
      assistant_id: externalId,
    });
    return `agent#${thread}#${run.id}`;
  }

  /** The page maps eight statuses; another one is an error here, rather than a job that runs for ever. */
  async status(runId: string): Promise<JobStatus> {
    const { status } = await this.#call<{ status: string }>('GET', runPath(runId));
    const known = JOB_STATUS[status];
    if (known === undefined) throw new Error(`${runId} is '${status}', which no job can be`);
    return known;
  }

  async cancel(runId: string): Promise<void> {
    await this.#call('POST', `${runPath(runId)}/cancel`);
  }

  async outputs(runId: string): Promise<Outputs> {
    const { thread } = split(runId);
    const path = `/threads/${thread}/messages?order=desc&limit=1`;
    const { data } = await this.#call<Page<Message>>('GET', path);
    const value = data[0]?.content[0]?.text.value;
    if (value === undefined) throw new Error(`${thread} has no text in its latest message`);
    return { thread_id: thread, response: value };
  }

  /** Polls until the job is at its end. */
  async monitor(runId: string): Promise<Finished> {
    const { wait, pollMs = 5_000 } = this.#connection;
    for (;;) {
      const status = await this.status(runId);
      if (status === 'Success') return { runId, status, outputs: await this.outputs(runId) };
      if (status !== 'Running') return { runId, status };
      await wait(pollMs);
    }
  }

  async run(externalId: string, inputs: Inputs): Promise<Finished> {
    return this.monitor(await this.start(externalId, inputs));
  }

  async #call<Body>(method: string, path: string, body?: unknown): Promise<Body> {
    const { endpoint, headers, fetch } = this.#connection;
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await fetch(`${endpoint}${path}`, {
      method,
      headers: { ...headers, ...type },
      ...sent,
    });
    if (!answer.ok) throw new Refused(answer.status, await answer.text());
    return (await answer.json()) as Body;
  }
}

/** `agent#{threadId}#{runId}` taken apart. */
export function split(runId: string): { thread: string; run: string } {
  const [kind, thread, run, ...more] = runId.split('#');
  if (kind !== 'agent' || !thread || !run || more.length > 0)
    throw new Error(`'${runId}' is no agent#{threadId}#{runId}`);
  return { thread, run };
}

function runPath(runId: string): string {
  const { thread, run } = split(runId);
  return `/threads/${thread}/runs/${run}`;
}
