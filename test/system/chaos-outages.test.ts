/** The small form of the scenarios of outage; `npm run chaos` plays them at full size. */
import { describe, expect, test } from "vitest";
import { database } from "../chaos/scenarios/database.ts";
import { silent } from "../chaos/scenarios/silent.ts";
import { twoManagers } from "../chaos/scenarios/two-managers.ts";

// Two pools at two managers are in managers.test.ts.
describe.each([silent, database, twoManagers].map((scenario) => [scenario.name, scenario] as const))(
  "the small form of %s",
  (_name, scenario) => {
    test("nothing is violated", async (ctx) => {
      const missing = scenario.missing?.();
      if (missing !== undefined) ctx.skip(missing);
      const said: string[] = [];
      const { figures, violations } = await scenario.play({ kind: "small", rounds: 1 }, (line) => said.push(line));
      expect(violations, [...said, JSON.stringify(figures)].join("\n")).toEqual([]);
    });
  },
);
