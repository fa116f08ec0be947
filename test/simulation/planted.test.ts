import { resolve } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { bugs } from "./bugs.ts";
import { mustStand } from "./planted.ts";
import { catchByScene, catchBySeeds, recordedSeeds } from "./planted-runs.ts";
import { loadProduct, type Product } from "./product.ts";

const root = resolve(import.meta.dirname, "../..");
/** Beside the recorded seed, in case a change of the world has moved the bug by a little. */
const around = 3;
const recorded = recordedSeeds();
let sound: Product;
beforeAll(async () => {
  sound = await loadProduct(root);
});

/** Of each rule one: a copy of the product has to be loaded for every bug. All of them: npm run simulate -- --planted. */
const bySeed = bugs.filter(({ caughtBy }) => !caughtBy);
const played = bySeed.filter((bug, index) => bySeed.findIndex(({ rule }) => rule === bug.rule) === index);

test.for(played)("planted bug is caught by a seed: $name", { timeout: 120_000 }, async (bug) => {
  const first = recorded[bug.name] ?? 1;
  const others = Array.from({ length: around }, (_, i) => first + i + 1);
  const caught = await catchBySeeds(bug, [first, ...others], sound);
  const again = `seeds ${first} to ${first + around} do not see it any more: npm run simulate -- --planted --record`;
  expect(caught, again).toBeDefined();
});

test.for(bySeed)("planted bug can be planted, and has its seed: $name", (bug) => {
  mustStand(bug);
  expect(recorded[bug.name], "npm run simulate -- --planted --record").toBeTypeOf("number");
});

for (const bug of bugs) {
  const { caughtBy } = bug;
  if (!caughtBy) continue;
  if ("scene" in caughtBy)
    test(`planted bug is caught by the exploration: ${bug.name}`, { timeout: 120_000 }, async () => {
      expect(await catchByScene(bug, caughtBy.scene)).toBeDefined();
    });
  // Its test is run by npm run simulate -- --planted: a process for each would be too much here.
  else test(`planted bug can be planted for ${caughtBy.test}: ${bug.name}`, () => mustStand(bug));
}

test("there are enough of them, each of its own name", () => {
  expect(bugs.length).toBeGreaterThanOrEqual(25);
  expect(new Set(bugs.map(({ name }) => name)).size).toBe(bugs.length);
});
