/** The worlds by project name: made on first use, kept open while they are used. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DueHandler } from './batch.ts';
import type { HostClock, Instant } from './clock.ts';
import { type Forward, forwardBy } from './endpoint.ts';
import { Engine } from './engine.ts';
import { conflict, notFound } from './errors.ts';
import { FaultPlan } from './faults.ts';
import { randomHex } from './ids.ts';
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
import { type DeliveryContext, deliveryHandlers } from './work/delivery.ts';
import { type ConfiguredAgent, makeAgents } from './work/demo.ts';
import { firingHandlers, moveLate } from './work/firing.ts';
import { progressHandlers } from './work/progress.ts';
import { holdAgain, settleInterrupted } from './work/withdraw.ts';
import { World, type WorldMade } from './world.ts';

/** A world with what moves it. */
export interface Project {
  world: World;
  engine: Engine;
  faults: FaultPlan;
  context: DeliveryContext;
  /** The last answer given to each repeated read: what tells a wait from a first look. */
  reads: Map<string, string>;
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
  /** Agents that every new world has. */
  agents: Record<string, ConfiguredAgent>;
  forward?: ((world: World, closing: AbortSignal) => Forward) | undefined;
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
      for (const name of stored.slice(0, PROJECTS_MAX)) this.get(name);
      return stored;
    } catch (error) {
      this.closeAll();
      throw error;
    }
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
      ...progressHandlers,
      wake: () => undefined,
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
      forward: (options.forward ?? forwardBy)(world, closing.signal),
    };
    const project: Project = { world, engine, faults, context, reads: new Map(), answering: 0 };
    engine.onEnd = () => closing.abort();
    engine.onLate = (now) => moveLate(world, now);
    world.onRollback = () => faults.forget();
    this.#open.set(made.project, project);
    try {
      if (world.journalSeq === 0) world.turn(() => begin(world, made), made.now);
      else world.turn(() => resume(project));
    } catch (error) {
      // Half open it would be taken for whole by the next request.
      this.close(made.project);
      throw error;
    }
    this.#wake(project);
    return project;
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
        begin(world, world.made);
      });
    } else {
      withCopy(world.store, path, () =>
        world.turn(() => {
          takeCopy(world.store);
          world.reload(made);
          resume(project);
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

/** A world's journal begins with what it was made with, so that it can be made again. Inside its first turn. */
function begin(world: World, made: WorldMade): void {
  world.save();
  const agents = agentsWithoutSecrets(made.agents);
  world.record({ kind: 'world', data: { made: { ...made, agents } } });
  makeAgents(world, made.demo, made.agents);
  writePlan(world.store, made.faults);
}

/** A world that was there before: what was open when it ended is settled. Inside a turn. */
function resume({ world, context }: Project): void {
  world.record({ kind: 'resumed', data: {} });
  settleInterrupted(world, context);
}

/** Nothing is under way in it, and nothing will happen in it by itself. */
function isIdle({ world, engine, answering }: Project): boolean {
  if (world.store.path === undefined || engine.busy || answering > 0) return false;
  if (engine.holds.length > 0 || engine.waits.list().length > 0) return false;
  const next = nextDue(world.store);
  return world.rate === 0 || next === undefined || next.due_at >= PARKED;
}

/** A seed for those who named none; it is printed, so that it can be named. */
export function anySeed(): string {
  return randomHex(6);
}
