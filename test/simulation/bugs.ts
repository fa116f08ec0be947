import { agentBugs } from "./bugs/agent.ts";
import { countBugs } from "./bugs/counts.ts";
import { elsewhereBugs } from "./bugs/elsewhere.ts";
import { endBugs } from "./bugs/ends.ts";
import { engineBugs } from "./bugs/engine.ts";
import { leaderBugs } from "./bugs/leader.ts";
import { lossBugs } from "./bugs/losses.ts";
import type { PlantedBug } from "./planted.ts";

/** Bugs that must be caught: each takes one rule out of the product. */
export const bugs: readonly PlantedBug[] = [
  ...leaderBugs,
  ...engineBugs,
  ...agentBugs,
  ...endBugs,
  ...lossBugs,
  ...countBugs,
  ...elsewhereBugs,
];
