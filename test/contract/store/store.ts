import { describe } from "vitest";
import { bodyContract } from "./bodies.ts";
import { changeContract } from "./changes.ts";
import { eventContract } from "./events.ts";
import { leaseContract } from "./lease.ts";
import { listContract } from "./lists.ts";
import { needContract } from "./needs.ts";
import { oddContract } from "./odd.ts";
import type { OpenForTest } from "./open.ts";
import { refusalContract } from "./refusals.ts";

/** What every store does. `open` gives an empty one each time. */
export function storeContract(name: string, open: OpenForTest): void {
  describe(name, () => {
    leaseContract(open);
    changeContract(open);
    refusalContract(open);
    needContract(open);
    listContract(open);
    eventContract(open);
    bodyContract(open);
    oddContract(open);
  });
}
