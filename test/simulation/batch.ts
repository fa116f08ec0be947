import { happenings, type Happening } from "./counters.ts";
import type { Product } from "./product.ts";
import { World } from "./world.ts";

/** What a number of seeds came to, together. */
export interface Totals {
  seeds: number;
  runs: number;
  processes: number;
  faults: number;
  simulatedMs: number;
  readonly counts: Record<Happening, number>;
  readonly failures: { readonly seed: number; readonly violations: readonly string[] }[];
}

export function noTotals(): Totals {
  const counts = Object.fromEntries(happenings.map((name) => [name, 0])) as Record<Happening, number>;
  return { seeds: 0, runs: 0, processes: 0, faults: 0, simulatedMs: 0, counts, failures: [] };
}

/** Plays seeds one after the other. */
export async function playSeeds(product: Product, seeds: Iterable<number>): Promise<Totals> {
  const totals = noTotals();
  for (const seed of seeds) {
    const result = await new World(seed, product).play();
    totals.seeds += 1;
    totals.runs += result.runs;
    totals.processes += result.processes;
    totals.faults += result.faults;
    totals.simulatedMs += result.endedAtMs;
    for (const name of happenings) totals.counts[name] += result.counts[name];
    if (result.violations.length > 0) totals.failures.push({ seed, violations: result.violations });
  }
  return totals;
}

export function addTotals(to: Totals, more: Totals): void {
  to.seeds += more.seeds;
  to.runs += more.runs;
  to.processes += more.processes;
  to.faults += more.faults;
  to.simulatedMs += more.simulatedMs;
  for (const name of happenings) to.counts[name] += more.counts[name];
  to.failures.push(...more.failures);
}

/** Happenings that never came: so many seeds were no test of them. */
export function neverCame(totals: Totals): Happening[] {
  return happenings.filter((name) => totals.counts[name] === 0);
}
