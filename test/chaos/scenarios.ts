import type { Scenario } from "./scenario.ts";

/** All that `npm run chaos` plays, in this order. */
export const scenarios: readonly Scenario[] = [];
