/** What playing a story holds in its hands: the model, the emulator, and how to say where they differ. */
import { isDeepStrictEqual } from 'node:util';
import { type Answer, Asked, type Planted } from './asked.ts';
import type { Json } from './definition.ts';
import { Ids } from './ids.ts';
import { Model } from './model.ts';
import { type Story, stepsOf } from './story.ts';

/** Where the emulator and the model part: after which step, in what, and what either says. */
export class Difference extends Error {
  override name = 'Difference';
  readonly step: number;
  readonly where: string;
  readonly model: unknown;
  readonly emulator: unknown;
  constructor(step: number, where: string, model: unknown, emulator: unknown) {
    super(`after step ${step}: ${where}`);
    this.step = step;
    this.where = where;
    this.model = model;
    this.emulator = emulator;
  }
}

/** How often what happened, so that nobody takes trivial stories for proof. */
export type Figures = Map<string, number>;

export class Compared {
  readonly model: Model;
  readonly asked: Asked;
  readonly ids: Ids;
  /** How many steps were taken. */
  step = 0;
  /** Whether all is compared, be it news or not. */
  thorough = false;
  private readonly told = new Map<string, string>();
  private readonly figures: Figures;

  constructor(story: Story, figures: Figures, planted: Planted) {
    this.figures = figures;
    this.model = new Model(story.setup);
    this.ids = new Ids((what, model, emulator) => this.differ(what, model, emulator));
    const restarted = stepsOf(story).some((one) => one.do === 'restart');
    this.asked = new Asked(story.setup, restarted, planted, (what, emulator) =>
      this.differ(what, 'nothing', emulator),
    );
  }

  differ(where: string, model: unknown, emulator: unknown): never {
    throw new Difference(this.step, where, model, emulator);
  }

  same(where: string, model: unknown, emulator: unknown): void {
    if (!isDeepStrictEqual(plain(model), plain(emulator))) this.differ(where, model, emulator);
  }

  count(what: string, times = 1): void {
    this.figures.set(what, (this.figures.get(what) ?? 0) + times);
  }

  /** Whether what the model tells is new, so that an answer is worth its time; at the end all of it is. */
  isNews(what: string, told: unknown): boolean {
    const text = JSON.stringify(told);
    const isNew = this.thorough || this.told.get(what) !== text;
    this.told.set(what, text);
    return isNew;
  }

  /** A read that is not struck by any fault. */
  async read(path: string): Promise<Answer> {
    const answer = await this.asked.ask('GET', path);
    return answer?.status === 200 ? answer : this.differ(`GET ${path}`, 200, answer);
  }

  /** All that a path lists, from page to page; its query says the order. */
  async readAll(path: string): Promise<Json[]> {
    const all: Json[] = [];
    for (let after = ''; ; ) {
      const { body } = await this.read(`${path}&limit=100${after}`);
      all.push(...body.data);
      if (!body.has_more) return all;
      after = `&after=${encodeURIComponent(body.last_id)}`;
    }
  }
}

const INSTANTS = /^(?:at|(?:created|updated|triggered|scheduled_fire|started|ended)_at)$/;

/** The model's ms as the API's unix seconds. */
export function inSeconds(view: Json): Json {
  const told = Object.entries(view).map(([key, value]) => {
    if (INSTANTS.test(key) && typeof value === 'number') return [key, Math.floor(value / 1_000)];
    if (key !== 'triggers') return [key, value];
    const [[name, trigger] = ['', {}]] = Object.entries(value as Record<string, Json>);
    return [key, { [name]: inSeconds(trigger) }];
  });
  return Object.fromEntries(told);
}

export function iso(at: number): string {
  return new Date(at).toISOString();
}

/** As JSON: what is undefined is not there. */
export function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
