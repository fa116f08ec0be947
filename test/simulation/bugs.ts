import { agentBugs } from "./bugs/agent.ts";
import { countBugs } from "./bugs/counts.ts";
import { decidedBugs } from "./bugs/decided.ts";
import { elsewhereBugs } from "./bugs/elsewhere.ts";
import { endBugs } from "./bugs/ends.ts";
import { engineBugs } from "./bugs/engine.ts";
import { heardBugs } from "./bugs/heard.ts";
import { leaderBugs } from "./bugs/leader.ts";
import { lossBugs } from "./bugs/losses.ts";
import { takeoverBugs } from "./bugs/takeover.ts";
import type { PlantedBug } from "./planted.ts";

/** Bugs that must be caught: each takes one rule out of the product. */
export const bugs: readonly PlantedBug[] = [
  ...leaderBugs,
  ...engineBugs,
  ...agentBugs,
  ...endBugs,
  ...lossBugs,
  ...countBugs,
  ...takeoverBugs,
  ...heardBugs,
  ...decidedBugs,
  ...elsewhereBugs,
];
