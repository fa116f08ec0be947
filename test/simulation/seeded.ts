import type { Dice } from "../../schema/given.ts";

/** A seeded source of chance (mulberry32): the same seed gives the same run of the world, always. */
export class Chance {
  readonly #seed: number;
  #state: number;
  #ids = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#state = (seed ^ 0x9e3779b9) >>> 0;
  }

  /** A source of its own for one part of the world: what one part draws moves nothing of another. */
  of(label: string): Chance {
    let seed = this.#seed | 0;
    for (let i = 0; i < label.length; i += 1) seed = Math.imul(seed ^ label.charCodeAt(i), 0x01000193);
    return new Chance(seed ^ (seed >>> 15));
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  happens(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.between(0, items.length - 1)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  /** A name that is never given twice, readable in a story. */
  name(prefix: string): string {
    this.#ids += 1;
    return `${prefix}${this.#ids}`;
  }

  /** Twelve characters, as a journal's id and a nonce have. */
  twelve(prefix: string): string {
    return this.name(prefix).padEnd(12, "_").slice(0, 12);
  }

  /** Ids that tell in a story who drew them. */
  dice(label: string): Dice {
    return { id: () => this.name(`${label}-`), below: (n) => this.between(0, n - 1) };
  }
}
