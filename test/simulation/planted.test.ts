import { expect, test } from "vitest";
import { bugs } from "./bugs.ts";
import { plant } from "./planted.ts";
import { World } from "./world.ts";

const seedsEach = 500;

test.for(bugs)("planted bug is caught: $name", { timeout: 120_000 }, async (bug) => {
  using planted = await plant(bug);
  let caughtBy: number | undefined;
  for (let seed = 1; seed <= seedsEach && caughtBy === undefined; seed += 1) {
    const { violations } = await new World(seed, planted.product).play();
    if (violations.length > 0) caughtBy = seed;
  }
  expect(caughtBy, `no seed of ${seedsEach} saw what ${bug.breaks}`).toBeDefined();
});
