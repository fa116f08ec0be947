/** A worker on a host of its own, and the manager that is played by hand. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { StartItem } from "../../../schema/messages.ts";
import type { HandManager } from "../../kit/hand-manager.ts";
import { until } from "../../kit/until.ts";
import type { WorkerProcess } from "../../kit/worker-process.ts";

/** A start travels within 64 KiB; so many small scripts surely do. */
const startsPerMessage = 20;

/** Sends starts, as many in a message as fit. */
export async function sendStarts(manager: HandManager, starts: readonly StartItem[]): Promise<void> {
  for (let at = 0; at < starts.length; at += startsPerMessage) await manager.send(...starts.slice(at, at + startsPerMessage));
}

/** The agent's pid, as its own host counts, once the state file is this life's. */
export async function agentPid(worker: WorkerProcess, not = 0): Promise<number> {
  return await until("the agent's state file", () => {
    const { pid } = stateIn(join(worker.folder, "worker")) ?? {};
    return pid !== undefined && pid !== not && pid;
  });
}

/** What the running agent says of itself, from its own folder; undefined when there is nothing readable. */
export function stateIn(folder: string): any {
  try {
    return JSON.parse(readFileSync(join(folder, "state.json"), "utf8"));
  } catch {
    return undefined;
  }
}

/** Lines of a file that processes append to; none when there is no such file. */
export function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").slice(0, -1);
  } catch {
    return [];
  }
}
