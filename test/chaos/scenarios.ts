import type { Scenario } from "./scenario.ts";
import { adopt } from "./scenarios/adopt.ts";
import { reboot } from "./scenarios/reboot.ts";
import { away } from "./scenarios/away.ts";
import { poisoned } from "./scenarios/poison.ts";
import { clocks } from "./scenarios/clocks.ts";
import { disk } from "./scenarios/disk.ts";
import { identity } from "./scenarios/identity.ts";
import { output } from "./scenarios/output.ts";
import { trees } from "./scenarios/trees.ts";
import { brokerWiped } from "./scenarios/broker-wiped.ts";
import { database } from "./scenarios/database.ts";
import { matrix } from "./scenarios/matrix.ts";
import { offline } from "./scenarios/offline.ts";
import { overload } from "./scenarios/overload.ts";
import { silent } from "./scenarios/silent.ts";
import { storm } from "./scenarios/storm.ts";
import { twoManagers } from "./scenarios/two-managers.ts";
import { twoPools } from "./scenarios/two-pools.ts";

/** All that `npm run chaos` plays, in this order. */
export const scenarios: readonly Scenario[] = [
  matrix,
  adopt,
  reboot,
  away,
  poisoned,
  clocks,
  disk,
  identity,
  output,
  trees,
  offline,
  brokerWiped,
  silent,
  database,
  overload,
  storm,
  twoManagers,
  twoPools,
];
