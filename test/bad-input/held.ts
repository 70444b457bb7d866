/** What a world holds, so that a change is seen and undone at the cost of what it touched. */
import type { Project } from '../../emulator/projects.ts';
import { readWorld, type WorldRow, writeWorld } from '../../emulator/store/world.ts';
import type { World } from '../../emulator/world.ts';

/** The journal only grows, and of the world's own row only some is held. */
const APART = ['journal', 'world'];
/** What was drawn is no change of its own. */
const COUNTER = 'counter';

type Row = Record<string, unknown>;

export class Held {
  readonly world: World;
  readonly #project: Project;
  readonly #row: WorldRow;
  readonly #rows = new Map<string, Row[]>();
  readonly #texts = new Map<string, string>();

  constructor(project: Project) {
    this.#project = project;
    this.world = project.world;
    const { store } = project.world;
    this.#row = readWorld(store) as WorldRow;
    const tables = store.sql(
      "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    );
    store.db.exec('CREATE TEMP TABLE touched (name TEXT PRIMARY KEY)');
    for (const { name } of tables.all() as { name: string }[]) {
      if (APART.includes(name)) continue;
      for (const change of ['INSERT', 'UPDATE', 'DELETE'])
        store.db.exec(`CREATE TEMP TRIGGER "${name} ${change}" AFTER ${change} ON main."${name}"
          WHEN NOT EXISTS (SELECT 1 FROM touched WHERE name = '${name}')
          BEGIN INSERT INTO touched VALUES ('${name}'); END`);
      const rows = this.#read(name);
      this.#rows.set(name, rows);
      this.#texts.set(name, JSON.stringify(rows));
    }
  }

  get touched(): boolean {
    return this.#isMoved() || this.#touched().some((name) => name !== COUNTER);
  }

  get changed(): boolean {
    if (this.#isMoved()) return true;
    return this.#touched().some(
      (name) => name !== COUNTER && JSON.stringify(this.#read(name)) !== this.#texts.get(name),
    );
  }

  #isMoved(): boolean {
    const { made, profile, seed, now, rate, skip } = readWorld(this.world.store) as WorldRow;
    const held = this.#row;
    if (made !== held.made || profile !== held.profile || seed !== held.seed) return true;
    return now !== held.now || rate !== held.rate || skip !== held.skip;
  }

  /** The journal goes on, and nothing of what is under way arrives any more. */
  putBack(): void {
    const { world, engine, faults, reads } = this.#project;
    const { store } = world;
    world.turn(() => {
      for (const name of this.#touched()) this.#write(name);
      writeWorld(store, { ...this.#row, journal_seq: world.journalSeq });
      world.reload(world.made);
    });
    store.sql('DELETE FROM touched').run();
    engine.forget();
    faults.forget();
    reads.clear();
  }

  #touched(): string[] {
    const rows = this.world.store.sql('SELECT name FROM touched').all();
    return (rows as { name: string }[]).map(({ name }) => name);
  }

  #read(name: string): Row[] {
    return this.world.store.sql(`SELECT * FROM "${name}"`).all() as Row[];
  }

  #write(name: string): void {
    const { store } = this.world;
    store.sql(`DELETE FROM "${name}"`).run();
    for (const row of this.#rows.get(name) ?? []) {
      const values = Object.keys(row).map((column) => `@${column}`);
      store.sql(`INSERT INTO "${name}" VALUES (${values.join()})`).run(row);
    }
  }
}
