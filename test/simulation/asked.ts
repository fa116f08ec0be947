/** What the command line of `npm run simulate` asks for. */
import { availableParallelism } from "node:os";
import { atMostOne, noWords, onlyWith, readCount, readFlags } from "../kit/flags.ts";

export type Asked =
  | { readonly what: "help" | "explore" | "child" }
  | { readonly what: "one"; readonly seed: number }
  | { readonly what: "many"; readonly from: number; readonly seeds: number; readonly processes: number }
  | { readonly what: "planted"; readonly record: boolean; readonly only: string | undefined };

/** @throws {WrongUse} when it asks for nothing that there is, or for two things at once. */
export function readAsked(args: readonly string[]): Asked {
  const { values, positionals } = readFlags(args, {
    seeds: { type: "string" },
    from: { type: "string" },
    processes: { type: "string" },
    seed: { type: "string" },
    child: { type: "boolean" },
    explore: { type: "boolean" },
    planted: { type: "boolean" },
    record: { type: "boolean" },
    only: { type: "string" },
    help: { type: "boolean", short: "h" },
  });
  if (values.help) return { what: "help" };
  noWords(positionals);
  if (values.child) return { what: "child" };
  for (const alone of ["seed", "explore", "planted"])
    for (const other of ["seed", "explore", "planted", "seeds", "from", "processes"])
      if (alone !== other) atMostOne(values, [alone, other]);
  onlyWith(values, ["record", "only"], "planted");
  if (values.explore) return { what: "explore" };
  if (values.planted) return { what: "planted", record: values.record ?? false, only: values.only };
  if (values.seed !== undefined) return { what: "one", seed: readCount("seed", values.seed) };
  return {
    what: "many",
    from: readCount("from", values.from ?? "1"),
    seeds: readCount("seeds", values.seeds ?? "200"),
    processes: readCount("processes", values.processes ?? String(availableParallelism())),
  };
}
