import type { Log } from "../../schema/kit/log.ts";
import type { WorkerConfig } from "../config.ts";
import type { WorkerMetricsParts } from "./metrics.ts";

/** Gives the worker's metrics where the configuration says so; null: nowhere, and nothing of it is loaded. */
export async function startMetrics(
  where: WorkerConfig["metrics"],
  parts: () => WorkerMetricsParts,
  log: Log,
): Promise<AsyncDisposable | null> {
  if (where === null) return null;
  const [{ exposeWorker }, { serveMetrics }] = await Promise.all([import("./metrics.ts"), import("./serve.ts")]);
  return await serveMetrics(exposeWorker(parts()), { ...where, log });
}
