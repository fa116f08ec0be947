import { resolve } from "node:path";
import { expect, test } from "vitest";
import { loadProduct } from "./product.ts";
import { World } from "./world.ts";

const root = resolve(import.meta.dirname, "../..");
const seeds = 60;

test(`${seeds} seeds of two managers and their workers under every fault: nothing is lost, doubled or stuck`, async () => {
  const product = await loadProduct(root);
  for (let seed = 1; seed <= seeds; seed += 1) {
    const result = await new World(seed, product).play();
    expect(result.violations, `seed ${seed}`).toEqual([]);
    expect(result.faults).toBeGreaterThanOrEqual(20);
  }
}, 240_000);

test("the same seed gives the same history", async () => {
  const product = await loadProduct(root);
  for (const seed of [1, 2, 3]) {
    const [first, second] = [await new World(seed, product).play(), await new World(seed, product).play()];
    expect(second).toEqual(first);
  }
});
