/** All wiring in one function; everything else receives what it needs. */
import { readFileSync } from 'node:fs';
import type { ConfigurationProblem, Written } from '../contracts/configuration.ts';
import type { Configured } from '../contracts/configured.ts';
import { assistantIds, furnish, readConfiguration } from './api/furnish.ts';
import type { Connection } from './api/http.ts';
import { createApp } from './app.ts';
import { type HostClock, type Instant, systemClock } from './clock.ts';
import type { WorldMade } from './made.ts';
import { OptionError, requireKnown } from './options.ts';
import type { Outside } from './outside.ts';
import {
  ASSUMED_RULES,
  chooseProfile,
  isProblem,
  type Profile,
  type ProfileChange,
  type ProfileName,
} from './profile.ts';
import { anySeed, type Project, Projects, type ProjectsOptions } from './projects.ts';
import type { World } from './world.ts';

export { OptionError } from './options.ts';

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
  /** Project `local` starts without its demo agents and assistant. */
  empty?: boolean;
  /** Agents that every new world has, by name: `{ kind | definition | versions, reply, endpoint, card, state }`. */
  agents?: Record<string, unknown>;
  /** Assistants that every new world has, by key: the bodies of their POST, and `id` and `reply`. */
  assistants?: Record<string, unknown>;
  /** Routines that every new world has, by name: the bodies of their PUT. */
  routines?: Record<string, unknown>;
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
  outside?: (world: World) => Outside;
  notice?: (message: string) => void;
}

/** What can be changed while it runs, for the worlds that are made from then on. */
export type Reconfiguration = Pick<
  EmulatorOptions,
  'agents' | 'assistants' | 'routines' | 'faults' | 'profile' | 'switches' | 'settings'
>;

export interface Emulator {
  /** Answers a request as the socket would; no port is opened. */
  fetch(request: Request, env?: unknown): Response | Promise<Response>;
  /** A project's world and engine, for tests. @internal */
  project(name: string): Project;
  /** Makes a project that must not be there yet, in every particular. @internal */
  createProject(made: WorldMade): Project;
  /** Takes the place of what new worlds are made with; throws OptionError, and then nothing has changed. @internal */
  reconfigure(options: Reconfiguration): void;
  /** By key, the ids of the assistants that a project was made with. */
  assistants(project: string): Record<string, string>;
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
  requireKnown(options);
  const host = options.host ?? systemClock;
  const notice = options.notice ?? ((message: string) => void process.stderr.write(`${message}\n`));
  const rate = options.rate ?? 0;
  const skip = options.skip ?? rate === 0;
  const seed = options.seed ?? anySeed();
  const wiring = { host, now: options.now, seed, empty: options.empty ?? false, furnish };
  const { profile, ...configured } = chosen(options, wiring);
  const projects = new Projects({
    ...wiring,
    ...configured,
    dataDir: options.dataDir,
    durability: options.durability,
    rate,
    skip,
    profile,
    outside: options.outside,
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
    createProject: (one) => projects.create(one),
    assistants: (name) => assistantIds(projects.get(name).world),
    reconfigure(change) {
      const { profile: next, ...named } = chosen(change, wiring);
      Object.assign(projects.options, named, { profile: next });
      emulated.profile = next;
    },
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

/** What is said once and holds for every world. */
type Wiring = Pick<ProjectsOptions, 'host' | 'now' | 'seed' | 'empty' | 'furnish'>;

interface Chosen extends Configured {
  profile: Profile;
  faults: readonly unknown[];
}

/** What worlds are made with; throws all that is wrong with it. */
function chosen(
  { agents, assistants, routines, faults, ...change }: Reconfiguration,
  wiring: Wiring,
): Chosen {
  const profile = chooseProfile(undefined, change);
  const wrong = profileProblems(change);
  const base = isProblem(profile) ? (chooseProfile(undefined, {}) as Profile) : profile;
  const written = { agents, assistants, routines };
  const { configured, problems } = tryOut(written, faults, base, wiring);
  const [first, ...further] = [...wrong, ...problems];
  if (first !== undefined) throw new OptionError([first, ...further]);
  return { ...configured, profile: base, faults: faults ?? [] };
}

/** Of each switch and setting by itself. */
function profileProblems({ profile, switches, settings }: ProfileChange): ConfigurationProblem[] {
  const each: ProfileChange[] = [
    profile === undefined ? {} : { profile },
    ...Object.entries(switches ?? {}).map(([name, value]) => ({ switches: { [name]: value } })),
    ...Object.entries(settings ?? {}).map(([name, value]) => ({ settings: { [name]: value } })),
  ];
  return each
    .map((change) => chooseProfile(undefined, change))
    .filter((chosen) => isProblem(chosen))
    .map(({ param, message }) => ({ param, message: `${param}: ${message}` }));
}

/** What is configured, and what a world would not take of it: one is made to see. */
function tryOut(
  written: Written,
  faults: readonly unknown[] | undefined,
  profile: Profile,
  wiring: Wiring,
): { configured: Configured; problems: ConfigurationProblem[] } {
  const nothing = { agents: {}, assistants: {}, routines: {} };
  if ([...Object.values(written), faults].every((one) => one === undefined))
    return { configured: nothing, problems: [] };
  const trials = new Projects({
    ...wiring,
    profile,
    rate: 0,
    skip: false,
    ...nothing,
    faults: [],
    notice: () => {},
  });
  try {
    return readConfiguration(trials.get('local'), written, faults ?? []);
  } finally {
    trials.closeAll();
  }
}

/** From source the package's own file lies one folder up, compiled two. */
function packageVersion(): string {
  const up = import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json';
  return (JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version: string })
    .version;
}
