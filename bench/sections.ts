/** Every section of the benchmarks, in order. */
import type { Section } from "./kit/section.ts";
import { footprint } from "./sections/footprint.ts";
import { heartbeats } from "./sections/heartbeats.ts";
import { lists } from "./sections/lists.ts";
import { placement } from "./sections/placement.ts";
import { processes } from "./sections/processes.ts";
import { roundTrip } from "./sections/round-trip.ts";
import { starts } from "./sections/starts.ts";

export const sections: readonly Section[] = [starts, roundTrip, processes, placement, heartbeats, lists, footprint];
