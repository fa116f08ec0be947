/** (d) What it costs to place a run, in fleets of three sizes. */
import type { Measure } from "../kit/figure.ts";
import { makeFolder, removeFolder } from "../kit/folders.ts";
import { nodePart, type Part } from "../kit/part.ts";
import type { Plan, Section, Variant } from "../kit/section.ts";
import type { FleetAsk, Placed } from "../placement/process.ts";

const sizes = [10, 1_000, 100_000] as const;

interface Fleet {
  readonly name: string;
  readonly ask: Omit<FleetAsk, "workers">;
}

const fleets: readonly Fleet[] = [
  { name: "round-robin", ask: { placement: "round-robin" } },
  { name: "least-loaded", ask: { placement: "least-loaded" } },
  { name: "two-choices", ask: { placement: "two-choices" } },
  {
    name: "round-robin, a constraint that one worker in ten meets",
    ask: { placement: "round-robin", constraint: "label.zone=z7" },
  },
];

export const placement: Section = {
  letter: "d",
  title: "Placement",
  about: `The core alone, without store, wire and HTTP: 100 runs are started in one batch, placed on workers with free slots, accepted and ended. CPU
time of the placing step for each run; it is to stay flat from 10 to 100,000 workers.`,
  async variants(plan) {
    return fleets.flatMap((fleet) => (plan.quick ? sizes.slice(0, 2) : sizes).map((workers) => variant(plan, fleet, workers)));
  },
};

function row(fleet: Fleet, workers: number): string {
  return `${fleet.name}, ${workers.toLocaleString("en-US")} workers`;
}

/** The fleet is made once and measured in every round. */
function variant(plan: Plan, fleet: Fleet, workers: number): Variant {
  const folder = makeFolder();
  let part: Part | undefined;
  return {
    name: row(fleet, workers),
    async round() {
      if (!part) {
        part = nodePart({ name: "core", folder, file: "bench/placement/process.ts" });
        await part.ask("make", { workers, ...fleet.ask } satisfies FleetAsk);
        await part.ask<Placed>("measure", { batches: plan.quick ? 5 : 100 });
      }
      const { placeUs, wholeUs } = await part.ask<Placed>("measure", { batches: plan.quick ? 5 : 100 });
      const measure: Measure = {
        what: row(fleet, workers),
        unit: "µs",
        better: "lower",
        value: placeUs,
        cpu: { "the core, start to end": wholeUs },
        ...(workers === sizes[0] ? {} : { peer: row(fleet, sizes[0]), aim: { ratioAtMost: 1.5 } }),
      };
      return [measure];
    },
    async close() {
      await part?.end("SIGKILL");
      removeFolder(folder);
    },
  };
}
