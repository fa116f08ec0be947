import type { Findings } from "../scenario.ts";

/** Gathers what a scenario sees. */
export class Notes {
  readonly #figures: Record<string, number | string> = {};
  readonly #violations: string[] = [];

  figure(name: string, value: number | string): void {
    this.#figures[name] = value;
  }

  /** Adds to a count, which is 0 from its first naming on. */
  count(name: string, by = 1): void {
    this.#figures[name] = Number(this.#figures[name] ?? 0) + by;
  }

  violated(...sentences: readonly string[]): void {
    this.#violations.push(...sentences);
  }

  /** Notes a violation unless both are the same as JSON. */
  same(what: string, seen: unknown, wanted: unknown): void {
    const [is, should] = [JSON.stringify(seen), JSON.stringify(wanted)];
    if (is !== should) this.violated(`${what}: ${is}, and not ${should}`);
  }

  get findings(): Findings {
    return { figures: this.#figures, violations: this.#violations };
  }
}

/** How often each of these stands in the list. */
export function countsOf(lines: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}
