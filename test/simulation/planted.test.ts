import { resolve } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { bugs } from "./bugs.ts";
import { plantTree } from "./planted.ts";
import { catchBySeeds, isTested, recordedSeeds } from "./planted-runs.ts";
import { loadProduct, type Product } from "./product.ts";

const root = resolve(import.meta.dirname, "../..");
/** Beside the recorded seed, in case a change of the world has moved the bug by a little. */
const around = 3;
const recorded = recordedSeeds();
let sound: Product;
beforeAll(async () => {
  sound = await loadProduct(root);
});

test.for(bugs.filter((bug) => !isTested(bug)))("planted bug is caught: $name", { timeout: 120_000 }, async (bug) => {
  const seed = recorded[bug.name];
  expect(seed, `no seed is recorded for it: npm run simulate -- --planted --record`).toBeDefined();
  const first = seed ?? 1;
  const others = Array.from({ length: around }, (_, i) => first + i + 1);
  const caught = await catchBySeeds(bug, [first, ...others], sound);
  expect(
    caught,
    `seeds ${first} to ${first + around} do not see it any more: npm run simulate -- --planted --record`,
  ).toBeDefined();
});

test("planted bugs that a test catches can still be planted", () => {
  for (const bug of bugs.filter(isTested)) plantTree(bug)[Symbol.dispose]();
});

test("there are enough of them, each of its own name", () => {
  expect(bugs.length).toBeGreaterThanOrEqual(25);
  expect(new Set(bugs.map(({ name }) => name)).size).toBe(bugs.length);
});
