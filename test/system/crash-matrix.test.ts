/** A sample of the crash matrix; the whole of it is `npm run chaos -- matrix`. */
import { expect, test } from "vitest";
import { matrix } from "../chaos/scenarios/matrix.ts";

test("kill -9 of each victim at steps of a start's life: nothing is lost, started twice, untrue or stuck", async (ctx) => {
  const missing = matrix.missing?.();
  if (missing !== undefined) ctx.skip(missing);
  const { figures, violations } = await matrix.play({ kind: "small", rounds: 1 }, () => undefined);
  expect(violations).toEqual([]);
  // Each kill came where it was meant to come, and there was something to be lost.
  expect(figures).toMatchObject({ cells: 6, failpointsHit: 6, lost: 0, startedTwice: 0, wrongEnd: 0, stuckAfter60s: 0 });
  expect(figures["processes"]).toBe(figures["runs"]);
  expect(figures["runs"]).toBeGreaterThanOrEqual(12);
});
