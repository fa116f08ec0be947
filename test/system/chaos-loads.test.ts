/** The small form of the scenarios of load and outage; `npm run chaos` plays them at full size. */
import { expect, test } from "vitest";
import { brokerWiped } from "../chaos/scenarios/broker-wiped.ts";
import { database } from "../chaos/scenarios/database.ts";
import { offline } from "../chaos/scenarios/offline.ts";
import { overload } from "../chaos/scenarios/overload.ts";
import { silent } from "../chaos/scenarios/silent.ts";
import { storm } from "../chaos/scenarios/storm.ts";
import { twoManagers } from "../chaos/scenarios/two-managers.ts";
import { twoPools } from "../chaos/scenarios/two-pools.ts";

for (const scenario of [offline, brokerWiped, silent, database, overload, storm, twoManagers, twoPools]) {
  test(`the small form of ${scenario.name}: ${scenario.about}`, async (ctx) => {
    const missing = scenario.missing?.();
    if (missing !== undefined) ctx.skip(missing);
    const said: string[] = [];
    const { figures, violations } = await scenario.play({ kind: "small", rounds: 1 }, (line) => said.push(line));
    expect(violations, [...said, JSON.stringify(figures)].join("\n")).toEqual([]);
  });
}
