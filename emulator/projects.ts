/** The worlds by project name: made on first use, kept open while they are used. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigurationProblem } from '../contracts/configuration.ts';
import type { Configured } from '../contracts/configured.ts';
import type { DueHandler } from './batch.ts';
import { speakHandlers } from './beats.ts';
import type { HostClock, Instant } from './clock.ts';
import { Engine } from './engine.ts';
import { conflict, notFound } from './errors.ts';
import { FaultPlan } from './fault-plan.ts';
import { randomHex } from './ids.ts';
import type { WorldMade } from './made.ts';
import { type Outside, outsideOf } from './outside.ts';
import type { Profile } from './profile.ts';
import { agentsWithoutSecrets } from './replies.ts';
import { nextDue, PARKED } from './store/due.ts';
import { writePlan } from './store/faults.ts';
import {
  clearStore,
  copyTo,
  isStored,
  lockFolder,
  nowOfCopy,
  openStore,
  removeStored,
  type Store,
  snapshotFolder,
  snapshotFolderIn,
  storedProjects,
  takeCopy,
  withCopy,
} from './store/store.ts';
import { forgetWaits, waitHandlers } from './waits.ts';
import { type DeliveryContext, deliveryHandlers } from './work/delivery.ts';
import { firingHandlers, moveLate } from './work/firing.ts';
import { forgetReaders, logHandlers } from './work/logs.ts';
import { progressHandlers } from './work/progress.ts';
import { responseHandlers } from './work/responses.ts';
import { sessionHandlers } from './work/sessions.ts';
import { askAgain, threadRunHandlers } from './work/thread-runs.ts';
import { holdAgain, settleInterrupted } from './work/withdraw.ts';
import { World } from './world.ts';

/** A world with what moves it. */
export interface Project {
  world: World;
  engine: Engine;
  faults: FaultPlan;
  context: DeliveryContext;
  /** The last answer given to each repeated read, and how often again: what tells a wait from a first look. */
  reads: Map<string, { said: string; same: number }>;
  /** How many requests are being answered: a world with any is not closed. */
  answering: number;
}

export interface ProjectsOptions {
  host: HostClock;
  dataDir?: string | undefined;
  durability?: 'normal' | 'full' | undefined;
  /** What a world that is made on first use is made with. */
  now?: Instant | undefined;
  rate: 0 | 1;
  skip: boolean;
  seed: string;
  profile: Profile;
  empty: boolean;
  faults: readonly unknown[];
  /** Agents, assistants and routines that every new world has. */
  agents: Configured['agents'];
  assistants: Configured['assistants'];
  routines: Configured['routines'];
  /** Makes them inside a world's first turn, as the API would; answers what that refused. */
  furnish(project: Project, begins: Configured & { demo: boolean }): ConfigurationProblem[];
  outside?: ((world: World, closing: AbortSignal) => Outside) | undefined;
  notice(message: string): void;
}

/** At most so many worlds are open at once; idle file worlds give way. */
export const PROJECTS_MAX = 256;
/** The project that starts with demo agents, so that the first curl works. */
const DEMO_PROJECT = 'local';

export class Projects {
  readonly options: ProjectsOptions;
  readonly #open = new Map<string, Project>();
  #snapshotDir: string | undefined;

  readonly #lock: { close(): void } | undefined;

  constructor(options: ProjectsOptions) {
    this.options = options;
    if (options.dataDir === undefined) return;
    this.#lock = lockFolder(options.dataDir);
    const stored = this.#openStored(options.dataDir);
    const asleep = stored.length - PROJECTS_MAX;
    if (asleep > 0) {
      options.notice(
        `foundrite: ${asleep} projects of ${options.dataDir} stay closed until they are asked for: at most ${PROJECTS_MAX} are open.`,
      );
    }
  }

  /** Worlds that were there before go on at once: their triggers and retries wait for no request. */
  #openStored(dataDir: string): string[] {
    try {
      const stored = storedProjects(dataDir);
      const opened = stored.slice(0, PROJECTS_MAX).map((name) => this.get(name));
      this.#tellOtherBeginnings(opened);
      return stored;
    } catch (error) {
      this.closeAll();
      throw error;
    }
  }

  /** Who has changed what new worlds begin with may expect it of those that are there. */
  #tellOtherBeginnings(opened: Project[]): void {
    const { agents, assistants, routines, faults, notice } = this.options;
    const begins = JSON.stringify({ agents, assistants, routines, faults });
    const others = opened
      .map(({ world }) => world.made)
      .filter(
        (made) =>
          begins !==
          JSON.stringify({
            agents: made.agents,
            assistants: made.assistants ?? {},
            routines: made.routines ?? {},
            faults: made.faults,
          }),
      )
      .map(({ project }) => project);
    if (others.length === 0) return;
    notice(
      `foundrite: ${others.length === 1 ? 'project' : 'projects'} ${others.join(', ')} of ${this.options.dataDir} began with other agents, assistants, routines or faults, and what is there stays: delete it to begin with those of now.`,
    );
  }

  /** The world of a project; made now if nobody asked for it before. */
  get(name: string): Project {
    const found = this.#open.get(name);
    if (!found) return this.#openProject(this.madeByDefault(name));
    if (this.#open.size > PROJECTS_MAX / 2) {
      // Last used is last in the map, so that the first idle one is the one to close.
      this.#open.delete(name);
      this.#open.set(name, found);
    }
    return found;
  }

  find(name: string): Project | undefined {
    return this.#open.get(name);
  }

  list(): Project[] {
    return [...this.#open.values()];
  }

  madeByDefault(name: string): WorldMade {
    const { options } = this;
    return {
      project: name,
      now: options.now ?? options.host.now(),
      nowNamed: options.now !== undefined,
      rate: options.rate,
      skip: options.skip,
      seed: options.seed,
      profile: options.profile,
      demo: name === DEMO_PROJECT && !options.empty,
      agents: options.agents,
      assistants: options.assistants,
      routines: options.routines,
      faults: options.faults,
    };
  }

  /** Makes a world that must not be there yet. */
  create(made: WorldMade): Project {
    const { dataDir } = this.options;
    const stored = dataDir !== undefined && isStored(dataDir, made.project);
    if (this.#open.has(made.project) || stored) {
      throw conflict(
        `The project '${made.project}' is there already. Reset it, delete it, or use another name.`,
        'control/project-is-made-once',
      );
    }
    return this.#openProject(made);
  }

  #openProject(made: WorldMade): Project {
    this.#makeRoom();
    const { options } = this;
    const store = openStore(made.project, options);
    const world = new World(store, options.host, made);
    const faults = new FaultPlan(store);
    const handlers: Record<string, DueHandler> = {
      ...firingHandlers,
      ...deliveryHandlers(() => context),
      ...progressHandlers(faults),
      ...sessionHandlers(faults),
      ...logHandlers,
      ...speakHandlers,
      ...responseHandlers,
      ...threadRunHandlers(() => context),
      ...waitHandlers,
    };
    const engine = new Engine(world, handlers, {
      host: options.host,
      breathe: () => new Promise((resolve) => setImmediate(resolve)),
      notice: options.notice,
    });
    const closing = new AbortController();
    const context: DeliveryContext = {
      engine,
      faults,
      outside: (options.outside ?? outsideOf)(world, closing.signal),
    };
    const project: Project = { world, engine, faults, context, reads: new Map(), answering: 0 };
    engine.onEnd = () => closing.abort();
    engine.onLate = (now) => moveLate(world, now);
    world.onRollback = () => faults.forget();
    this.#open.set(made.project, project);
    try {
      if (world.journalSeq === 0) world.turn(() => this.#begin(project, made), made.now);
      else world.turn(() => beginAgain(project));
    } catch (error) {
      // Half open it would be taken for whole by the next request.
      this.close(made.project);
      throw error;
    }
    this.#wake(project);
    return project;
  }

  /** A world's journal begins with what it was made with, so that it can be made again. Inside its first turn. */
  #begin(project: Project, made: WorldMade): void {
    const { world, faults } = project;
    world.save();
    const line = world.reserveLine();
    faults.forget();
    // An earlier version made worlds without routines and assistants.
    const { routines = {}, assistants = {} } = made;
    const refused = this.options.furnish(project, { ...made, assistants, routines });
    // A world may be made under other rules than those that the configuration was tried under, or at a later instant.
    for (const { message } of refused)
      this.options.notice(`foundrite: project '${made.project}' is made without this: ${message}`);
    const told = {
      ...made,
      agents: agentsWithoutSecrets(made.agents),
      assistants: agentsWithoutSecrets(assistants),
    };
    const without = refused.length === 0 ? {} : { without: refused.map(({ param }) => param) };
    world.record({ kind: 'world', data: { made: told, ...without } }, line);
    writePlan(world.store, made.faults);
    faults.forget();
  }

  #makeRoom(): void {
    if (this.#open.size < PROJECTS_MAX) return;
    for (const [name, project] of this.#open) {
      if (!isIdle(project)) continue;
      this.close(name);
      return;
    }
    throw conflict(
      `There are ${PROJECTS_MAX} projects, and none of them can be closed. Delete one, or use --data-dir.`,
      'control/projects-max-256',
    );
  }

  #wake(project: Project): void {
    const { world, engine } = project;
    holdAgain(world, engine);
    engine.onClose?.();
    engine.onClose = world.onTurn(() => engine.wake());
    engine.wake();
  }

  close(name: string): void {
    const project = this.#open.get(name);
    if (!project) return;
    this.#open.delete(name);
    project.engine.close();
    project.world.store.close();
  }

  /** Forgets a world and its files. */
  delete(name: string): void {
    const project = this.#open.get(name);
    this.close(name);
    const { dataDir } = this.options;
    if (dataDir !== undefined) removeStored(dataDir, name);
    if (project && this.#snapshotDir) {
      const folder = this.#snapshotFolder(project.world.store, name);
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Back to how the world was made, or to a snapshot; in a new epoch, so that nothing of the old one arrives. */
  reset(project: Project, snapshot: string | undefined): void {
    const { world, engine, faults } = project;
    const path =
      snapshot === undefined ? undefined : this.#snapshotPath(world.store, world.project, snapshot);
    if (path !== undefined && !existsSync(path)) {
      const known = this.snapshots(project).map((entry) => entry.name);
      throw notFound(
        `There is no snapshot '${snapshot}' of project '${world.project}'. Known are: ${known.join(', ') || 'none'}.`,
        'snapshot/known',
      );
    }
    const { made } = world;
    const now = made.nowNamed || made.rate === 0 ? made.now : this.options.host.now();
    // One turn: whoever is killed or finds the disk full in the middle has the world from before.
    if (path === undefined) {
      world.turn(() => {
        clearStore(world.store);
        world.reload({ ...made, now });
        this.#begin(project, world.made);
      });
    } else {
      withCopy(world.store, path, () =>
        world.turn(() => {
          takeCopy(world.store);
          world.reload(made);
          beginAgain(project);
        }),
      );
    }
    engine.forget();
    faults.forget();
    project.reads.clear();
    this.#wake(project);
  }

  takeSnapshot(project: Project, name: string): { name: string; now: Instant; bytes: number } {
    const { world } = project;
    const path = this.#snapshotPath(world.store, world.project, name);
    copyTo(world.store, path);
    return { name, now: world.now, bytes: statSync(path).size };
  }

  snapshots(project: Project): { name: string; bytes: number; now: Instant }[] {
    const folder = this.#snapshotFolder(project.world.store, project.world.project);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((file) => file.endsWith('.db'))
      .sort()
      .map((file) => {
        const path = join(folder, file);
        return {
          name: file.slice(0, -'.db'.length),
          bytes: statSync(path).size,
          now: nowOfCopy(project.world.store, path),
        };
      });
  }

  #snapshotPath(store: Store, project: string, name: string): string {
    return join(this.#snapshotFolder(store, project), `${name}.db`);
  }

  #snapshotFolder(store: Store, project: string): string {
    if (store.path !== undefined) return snapshotFolder(store.path);
    this.#snapshotDir ??= mkdtempSync(join(tmpdir(), 'foundrite-'));
    return snapshotFolderIn(this.#snapshotDir, project);
  }

  closeAll(): void {
    for (const name of [...this.#open.keys()]) this.close(name);
    this.#lock?.close();
    if (this.#snapshotDir) rmSync(this.#snapshotDir, { recursive: true, force: true });
  }
}

/** A world that was there before: what was open when it ended is settled. Inside a turn. */
export function beginAgain({ world, context }: Project): void {
  world.record({ kind: 'resumed', data: {} });
  forgetReaders(world);
  forgetWaits(world);
  settleInterrupted(world, context);
  askAgain(world);
}

/** Nothing is under way in it, and nothing will happen in it by itself. */
function isIdle({ world, engine, answering }: Project): boolean {
  if (world.store.path === undefined || engine.busy || answering > 0) return false;
  const { waits } = engine;
  if (engine.holds.length > 0 || waits.list().length > 0 || waits.streams > 0) return false;
  const next = nextDue(world.store);
  return world.rate === 0 || next === undefined || next.due_at >= PARKED;
}

/** A seed for those who named none; it is printed, so that it can be named. */
export function anySeed(): string {
  return randomHex(6);
}
