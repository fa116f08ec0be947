/** From an accepted start to what the process host launches: the driver makes the command, the agent adds the rest. */
import * as z from "zod";
import type { Deadlines } from "./agent/types.ts";
import type { StartOrder } from "./agent/records.ts";
import type { CannotLaunch, Driver, Launch } from "./drivers/driver.ts";
import type { LaunchOrder } from "./process/host.ts";
import { boundedSentence } from "../schema/end.ts";
import type { Facts } from "../schema/worker.ts";

export interface LaunchDeps {
  readonly drivers: ReadonlyMap<string, Driver>;
  readonly facts: Facts;
  readonly interpreters: ReadonlyMap<string, string>;
  readonly folderOf: (attempt: string) => string;
}

/** What every driver's `run` holds besides its own. */
const common = z.object({
  stdin: z.string().nullable().default(null),
  workingDirectory: z.string().nullable().default(null),
  user: z.string().nullable().default(null),
});

/** A third party's driver is not ours to trust: what it returns is read like anything else from outside. */
const launch = z.object({
  program: z.string().min(1),
  args: z.array(z.string()),
  files: z.array(
    z.object({
      name: z
        .string()
        .min(1)
        .regex(/^[^/\\\0]+$/, "must be a plain file name"),
      bytes: z.instanceof(Uint8Array),
      executable: z.boolean(),
    }),
  ),
  env: z.record(z.string(), z.string()),
});

/** Makes the order for the process host, or says why there is none: the attempt then ends `failedToStart{why}`. Never throws. */
export function prepareLaunch(order: StartOrder, deadlines: Deadlines, deps: LaunchDeps): LaunchOrder | CannotLaunch {
  const driver = deps.drivers.get(order.driver);
  if (!driver) return { why: `this worker has no driver "${order.driver}"; it has ${[...deps.drivers.keys()].join(", ")}` };
  if (!order.spec) return { why: "the start came without what to run" };
  const shared = common.safeParse(order.spec);
  if (!shared.success) return { why: boundedSentence(`the task's run is unreadable: ${z.prettifyError(shared.error)}`) };
  const prepared = prepare(driver, order, deps);
  if ("why" in prepared) return { why: boundedSentence(prepared.why) };
  return {
    attempt: order.attempt,
    run: order.run,
    launch: prepared,
    env: { ...prepared.env, ...order.env },
    ...shared.data,
    deadlines,
    limits: order.limits,
  };
}

function prepare(driver: Driver, order: StartOrder, deps: LaunchDeps): Launch | CannotLaunch {
  try {
    const made = driver.prepare(order.spec ?? {}, {
      facts: deps.facts,
      interpreter: (name) => deps.interpreters.get(name),
      folder: deps.folderOf(order.attempt),
    });
    if ("why" in made) return { why: String(made.why) };
    const checked = launch.safeParse(made);
    if (checked.success) return checked.data;
    return { why: `driver "${driver.name}" made no usable command: ${z.prettifyError(checked.error)}` };
  } catch (error) {
    return { why: `driver "${driver.name}" failed: ${error instanceof Error ? error.message : String(error)}` };
  }
}
