import { resolve } from "node:path";
import { expect, test } from "vitest";
import { loadProduct } from "./product.ts";
import { World } from "./world.ts";

const root = resolve(import.meta.dirname, "../..");
const seeds = 500;

test(`${seeds} seeds of lost, repeated and reordered messages and restarts: every run ends exactly once`, async () => {
  const product = await loadProduct(root);
  const totals = { runs: 0, processes: 0, faults: 0 };
  for (let seed = 1; seed <= seeds; seed += 1) {
    const result = await new World(seed, product).play();
    expect(result.violations, `seed ${seed}`).toEqual([]);
    expect(result.runs).toBeGreaterThanOrEqual(30);
    totals.runs += result.runs;
    totals.processes += result.processes;
    totals.faults += result.faults;
  }
  expect(totals.processes).toBeGreaterThan(totals.runs / 2);
}, 240_000);

test("the same seed gives the same history", async () => {
  const product = await loadProduct(root);
  for (const seed of [1, 2, 3]) {
    const [first, second] = [await new World(seed, product).play(), await new World(seed, product).play()];
    expect(second).toEqual(first);
  }
});
