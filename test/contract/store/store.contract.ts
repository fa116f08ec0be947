import { beforeEach, describe } from "vitest";
import { bodyContract } from "./bodies.ts";
import { changeContract } from "./changes.ts";
import { eventContract } from "./events.ts";
import { holdContract } from "./holds.ts";
import { leaseContract } from "./lease.ts";
import { listContract } from "./lists.ts";
import { needContract } from "./needs.ts";
import { oddContract } from "./odd.ts";
import type { OpenForTest } from "./open.ts";
import { refusalContract } from "./refusals.ts";
import { sessionContract } from "./sessions.ts";

/** What every store does. `open` gives an empty one each time. `missing`: why it cannot be run here; its tests are then skipped. */
export function storeContract(name: string, open: OpenForTest, missing?: string): void {
  describe(name, () => {
    beforeEach((ctx) => {
      if (missing !== undefined) ctx.skip(missing);
    });
    leaseContract(open);
    changeContract(open);
    refusalContract(open);
    needContract(open);
    listContract(open);
    eventContract(open);
    bodyContract(open);
    holdContract(open);
    sessionContract(open);
    oddContract(open);
  });
}
