/** What the turns of a world tell beside what they write: to whoever waits for news, or hears what is said. */
import type { Instant } from './clock.ts';

/** A trigger's instant that arrived. */
export interface Firing {
  routine: string;
  trigger: string;
  at: Instant;
  run: string;
  /** Its instant had passed by more than the setting `late_after`. */
  late: boolean;
}

/** News is only a hint, and the store says what is so; what is said is stored nowhere. */
export class Told {
  readonly #listeners = new Set<(told: ReadonlySet<string>) => void>();
  readonly #hearers = new Map<string, Set<(event: unknown) => void>>();
  #told = new Set<string>();
  #said: { topic: string; event: unknown }[] = [];

  tell(topic: string): void {
    this.#told.add(topic);
  }

  say(topic: string, event: unknown): void {
    if (this.hears(topic)) this.#said.push({ topic, event });
  }

  hears(topic: string): boolean {
    return this.#hearers.has(topic);
  }

  onTurn(listener: (told: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  hear(topic: string, listener: (event: unknown) => void): () => void {
    const hearers = this.#hearers.get(topic) ?? new Set();
    this.#hearers.set(topic, hearers.add(listener));
    return () => {
      hearers.delete(listener);
      if (hearers.size === 0 && this.#hearers.get(topic) === hearers) this.#hearers.delete(topic);
    };
  }

  /** How much was said in this turn, to go back to. */
  get said(): number {
    return this.#said.length;
  }

  /** Takes back what was said since. */
  unsay(said: number): void {
    this.#said.length = said;
  }

  /** Calls back who listens, first those who hear what was said; then all of it is forgotten. */
  deliver(): void {
    const [told, said] = [this.#told, this.#said];
    if (told.size > 0) this.#told = new Set();
    if (said.length > 0) this.#said = [];
    for (const { topic, event } of said)
      for (const hearer of this.#hearers.get(topic) ?? []) hearer(event);
    for (const listener of this.#listeners) listener(told);
  }
}
