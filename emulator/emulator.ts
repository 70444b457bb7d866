/** All wiring in one function; everything else receives what it needs. */
import { readFileSync } from 'node:fs';
import { parse } from '../contracts/openapi.ts';
import type { Connection } from './api/http.ts';
import { createApp } from './app.ts';
import { type HostClock, type Instant, systemClock } from './clock.ts';
import type { Forward } from './endpoint.ts';
import {
  ASSUMED_RULES,
  chooseProfile,
  isProblem,
  type Profile,
  type ProfileName,
} from './profile.ts';
import { anySeed, type Project, Projects } from './projects.ts';
import type { ConfiguredAgent } from './work/demo.ts';
import type { World, WorldMade } from './world.ts';

export interface EmulatorOptions {
  /** Where the clocks of new worlds start; the host's instant by default. */
  now?: Instant;
  /** 1 is the system's pace, 0 stands still (the default in-process). */
  rate?: 0 | 1;
  /** Time moves when someone waits (the default in-process). */
  skip?: boolean;
  /** Decides ids and draws. */
  seed?: string;
  profile?: ProfileName;
  switches?: Record<string, string>;
  /** Durations are milliseconds, or text such as '30s'. */
  settings?: Record<string, number | string>;
  /** Keeps each project in a file there; in memory by default. */
  dataDir?: string;
  durability?: 'normal' | 'full';
  /** Project `local` starts without demo agents. */
  empty?: boolean;
  /** Agents that every new world has, by name: `{ kind, reply }`. */
  agents?: Record<string, unknown>;
  /** The fault plan that new worlds start with. */
  faults?: readonly unknown[];
  /** What calls under /_emulator must bear. */
  controlToken?: string;
  control?: boolean;
  /** The origin whose pages may use control, `*` for every one; without it none may that is not our own. */
  cors?: string;
  /** Further names under which the emulator is reached. */
  tlsNames?: readonly string[];
  caPem?: () => string;
  /** What X-IDENTITY-HEADER must say. */
  identitySecret?: string;
  /** The host's time; replaced in tests. */
  host?: HostClock;
  /** Answers recorded outcomes instead of calling out: replay. @internal */
  forward?: (world: World) => Forward;
  notice?: (message: string) => void;
}

/** An option that cannot be used: the field, and what to do. */
export class OptionError extends Error {
  override name = 'OptionError';
  readonly param: string;
  constructor(param: string, message: string) {
    super(message);
    this.param = param;
  }
}

export interface Emulator {
  /** Answers a request as the socket would; no port is opened. */
  fetch(request: Request, env?: unknown): Response | Promise<Response>;
  /** A project's world and engine, for tests. @internal */
  project(name: string): Project;
  /** Makes a project that must not be there yet, in every particular. @internal */
  createProject(made: WorldMade): Project;
  /** Told where it is reached, so that `ready` can say it. */
  listening(url: string): void;
  describe(): { store: string; rate: 0 | 1; skip: boolean; seed: string; assumedRules: number };
  /** Answers the long polls of the journal at once; each of those connections closes. Before the port does. @internal */
  endPolls(): void;
  close(): Promise<void>;
}

/** What the HTTP surface sees of the whole. @internal */
export interface Emulated {
  projects: Projects;
  host: HostClock;
  hostNames: readonly string[];
  identity: { secret?: string | undefined };
  profile: Profile;
  control: boolean;
  controlToken: string | undefined;
  cors: string | undefined;
  caPem: (() => string) | undefined;
  version: string;
  ready(): Record<string, unknown>;
  /** Whether it was closed: what is still being answered then breaks off. */
  closed(): boolean;
  /** An error that no rule promises. */
  bug(error: unknown, where: string): void;
}

export function createEmulator(options: EmulatorOptions = {}): Emulator {
  const profile = chooseProfile(undefined, options);
  if (isProblem(profile)) throw new OptionError(profile.param, profile.message);
  const host = options.host ?? systemClock;
  const notice = options.notice ?? ((message: string) => void process.stderr.write(`${message}\n`));
  const rate = options.rate ?? 0;
  const skip = options.skip ?? rate === 0;
  const seed = options.seed ?? anySeed();
  const projects = new Projects({
    host,
    dataDir: options.dataDir,
    durability: options.durability,
    now: options.now,
    rate,
    skip,
    seed,
    profile,
    empty: options.empty ?? false,
    agents: readAgents(options.agents ?? {}),
    faults: readFaults(options.faults ?? []),
    forward: options.forward,
    notice,
  });
  const store = options.dataDir ?? 'memory';
  let url = '';
  let closed = false;
  const emulated: Emulated = {
    projects,
    host,
    hostNames: (options.tlsNames ?? []).map((name) => name.toLowerCase()),
    identity: { secret: options.identitySecret },
    profile,
    control: options.control ?? true,
    controlToken: options.controlToken,
    cors: options.cors,
    caPem: options.caPem,
    version: packageVersion(),
    ready: () => ({
      status: 'ready',
      url,
      pid: process.pid,
      store,
      rate,
      skip,
      seed,
      version: emulated.version,
    }),
    closed: () => closed,
    bug: (error, where) =>
      notice(
        `foundrite: bug while answering ${where}: ${error instanceof Error ? error.stack : String(error)}`,
      ),
  };
  const app = createApp(emulated);
  return {
    fetch: (request, env) => app.fetch(request, (env ?? {}) as Connection),
    project: (name) => projects.get(name),
    createProject: (made) => projects.create(made),
    listening: (at) => {
      url = at;
    },
    describe() {
      // A folder's own world says what is in force there: flags are for worlds that are made now.
      const local = projects.find('local')?.world;
      const clock = { rate: local?.rate ?? rate, skip: local?.skip ?? skip };
      return { store, ...clock, seed: local?.draw.seed ?? seed, assumedRules: ASSUMED_RULES };
    },
    endPolls() {
      for (const { engine } of projects.list()) engine.waits.endPolls();
    },
    close: async () => {
      closed = true;
      projects.closeAll();
    },
  };
}

function readAgents(agents: Record<string, unknown>): Record<string, ConfiguredAgent> {
  for (const [name, agent] of Object.entries(agents)) {
    const {
      kind = 'hosted',
      definition,
      reply,
      ...rest
    } = (agent ?? {}) as Record<string, unknown>;
    const unknown = Object.keys(rest)[0];
    if (unknown !== undefined)
      throw new OptionError(
        `agents.${name}.${unknown}`,
        `An agent has kind, definition and reply, and no '${unknown}'.`,
      );
    check(
      'DefinitionInput',
      definition ?? { kind },
      `agents.${name}${definition === undefined ? '' : '.definition'}`,
    );
    if (reply !== undefined)
      check('Reply', typeof reply === 'string' ? { kind: reply } : reply, `agents.${name}.reply`);
    const url = (reply as { url?: string } | undefined)?.url;
    if (url !== undefined && !URL.canParse(url))
      throw new OptionError(`agents.${name}.reply.url`, `url is '${url}', which is no address.`);
  }
  // An agent of whom nothing is said, as in `digest:`, is all by default.
  return Object.fromEntries(
    Object.entries(agents).map(([name, agent]) => [name, (agent ?? {}) as ConfiguredAgent]),
  );
}

function readFaults(faults: readonly unknown[]): readonly unknown[] {
  if (faults.length > 0) check('FaultPlanUpdate', { faults }, '');
  return faults;
}

function check(
  schema: 'DefinitionInput' | 'Reply' | 'FaultPlanUpdate',
  value: unknown,
  at: string,
): void {
  const parsed = parse(schema, value, at);
  if (parsed.kind === 'invalid') throw new OptionError(parsed.param, parsed.message);
}

/** From source the package's own file lies one folder up, compiled two. */
function packageVersion(): string {
  const up = import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json';
  return (JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version: string })
    .version;
}
