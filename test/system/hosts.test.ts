/** What goes wrong on a worker's host, as in `npm run chaos`, within seconds each. */
import { expect, test } from "vitest";
import { adopt } from "../chaos/scenarios/adopt.ts";

test.for([adopt])("$name", async (scenario, context) => {
  const missing = scenario.missing?.();
  if (missing !== undefined) context.skip(missing);
  const { violations } = await scenario.play({ kind: "small", rounds: 1 }, () => undefined);
  expect(violations).toEqual([]);
});
