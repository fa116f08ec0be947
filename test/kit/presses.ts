import { timing } from "../../schema/limits.ts";
import { until } from "./until.ts";

/** Waits, once somebody has said that a press of Ctrl-C was counted, until the next signal is no longer the same press. */
export async function anotherPress(): Promise<void> {
  const counted = performance.now();
  await until("no longer the same press", () => performance.now() - counted > timing.sameSignalMs);
}
