/** The small form of the scenarios of load; `npm run chaos` plays them at full size. */
import { describe, expect, test } from "vitest";
import { brokerWiped } from "../chaos/scenarios/broker-wiped.ts";
import { offline } from "../chaos/scenarios/offline.ts";
import { overload } from "../chaos/scenarios/overload.ts";
import { storm } from "../chaos/scenarios/storm.ts";

describe.each([offline, brokerWiped, overload, storm].map((scenario) => [scenario.name, scenario] as const))(
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
