import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import leastLoaded from "./control/placement/least-loaded.ts";
import type { MakePlacement } from "./control/placement/placement.ts";
import roundRobin from "./control/placement/round-robin.ts";
import twoChoices from "./control/placement/two-choices.ts";

/** Muster's own placements, by the name that `MUSTER_PLACEMENT` takes. */
const own: Readonly<Record<string, MakePlacement>> = {
  "round-robin": roundRobin,
  "least-loaded": leastLoaded,
  "two-choices": twoChoices,
};

/**
 * The maker of the placement with this name, or of the module at this absolute path, whose default export makes one.
 * Rejects with a sentence that names the path and what is wrong with it.
 */
export async function loadPlacement(name: string): Promise<MakePlacement> {
  const known = own[name];
  if (known) return known;
  if (!isAbsolute(name)) {
    throw new Error(
      `MUSTER_PLACEMENT is ${JSON.stringify(name)}; it must be one of ${Object.keys(own).join(", ")} or the absolute path of a module`,
    );
  }
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(name).href)) as { readonly default?: unknown };
  } catch (cause) {
    throw new Error(
      `MUSTER_PLACEMENT: the module ${name} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
  if (typeof module.default !== "function") {
    throw new Error(`MUSTER_PLACEMENT: the module ${name} must export as default a function that makes a placement`);
  }
  const make = module.default as MakePlacement;
  if (typeof make().choose !== "function") throw new Error(`MUSTER_PLACEMENT: what ${name} makes has no function choose`);
  return make;
}
