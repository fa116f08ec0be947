import type { Counters } from "./counters.ts";
import type { Plan } from "./plan.ts";
import type { Product } from "./product.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";

/** What every part of a world is given; `chance` is its own. */
export interface WorldParts {
  readonly product: Product;
  readonly plan: Plan;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly counters: Counters;
  readonly witness: Witness;
  /** The product, or the world, is broken: a bug of one of the two. */
  readonly broken: (error: unknown) => void;
}
