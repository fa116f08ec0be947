import { resolve } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { neverCame, playSeeds } from "./batch.ts";
import { keptPlans } from "./kept.ts";
import { faultsUntilMs, planOf } from "./plan.ts";
import { loadProduct, type Product } from "./product.ts";
import { World } from "./world.ts";

const root = resolve(import.meta.dirname, "../..");
const seeds = 100;
let product: Product;
beforeAll(async () => {
  product = await loadProduct(root);
});

test(`${seeds} seeds of two managers and their workers under every fault: nothing is lost, doubled or stuck`, async () => {
  const totals = await playSeeds(
    product,
    Array.from({ length: seeds }, (_, i) => i + 1),
  );
  expect(totals.failures).toEqual([]);
  expect(neverCame(totals), "happenings without which so many seeds were no test").toEqual([]);
}, 240_000);

test("a seed is as large as it should be", () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const plan = planOf(seed);
    expect(plan.workers.length).toBeGreaterThanOrEqual(3);
    expect(plan.clients.length).toBeGreaterThanOrEqual(30);
    expect(plan.faults.length).toBeGreaterThanOrEqual(20);
    // Everything that waits passes while faults go on.
    const { brakeHoldMs, giveUpAfterSeconds, lostAfterSeconds, heartbeatMs, startResendMs } = plan.timing;
    for (const ms of [brakeHoldMs, giveUpAfterSeconds * 1_000, lostAfterSeconds * 1_000, 7.5 * heartbeatMs, startResendMs])
      expect(ms).toBeLessThan(faultsUntilMs / 3);
  }
});

test("I19: the same seed gives the same history", async () => {
  for (const seed of [1, 2, 3]) {
    const [first, second] = [await new World(seed, product).play(), await new World(seed, product).play()];
    expect(second).toEqual(first);
  }
});

test.for(keptPlans().map((kept, index) => ({ index, ...kept })))("kept $index: $why", async ({ plan }) => {
  expect((await new World(plan, product).play()).violations).toEqual([]);
});
