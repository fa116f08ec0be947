/** The agent's own state, in a file that `worker --health` and people can read while the agent runs. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentView } from "./agent/types.ts";
import type { Clock } from "../schema/kit/clock.ts";
import type { Log } from "../schema/kit/log.ts";
import { timing } from "../schema/limits.ts";

export interface AgentReport {
  readonly workerId: string;
  readonly pool: string;
  readonly epoch: string;
  readonly pid: number;
  /** Start time of the agent's process in clock ticks since boot; null where the host does not tell. */
  readonly startTicks: number | null;
  readonly bootId: string;
  /** Why there is no connection to the broker; null while there is one. */
  readonly trouble: string | null;
  /** Why the journal cannot be written; null while it can. */
  readonly journalFull: string | null;
  readonly spoolBytes: number;
  /** Messages and items that were set aside or dropped since the agent began, by why. */
  readonly counts: Readonly<Record<string, number>>;
  readonly liveCount: number;
  /** At most a hundred of its live attempts. */
  readonly view: AgentView;
}

/** The report with when it was written: on the host's boot-time clock, and for people. */
export type StateFile = AgentReport & { readonly writtenMono: number; readonly writtenAt: string };

export function stateFilePath(agentFolder: string): string {
  return join(agentFolder, "state.json");
}

/** What is there; undefined when there is no readable one. */
export function readStateFile(agentFolder: string): StateFile | undefined {
  try {
    return JSON.parse(readFileSync(stateFilePath(agentFolder), "utf8")) as StateFile;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`cannot read ${stateFilePath(agentFolder)}`, { cause: error });
  }
}

/** Looks every second, and writes when something changed or `stateFileMs` have passed. Stops when disposed. */
export function keepStateFile(deps: {
  readonly folder: string;
  readonly report: () => AgentReport;
  readonly clock: Clock;
  readonly log: Log;
}): Disposable {
  const path = stateFilePath(deps.folder);
  let written = { text: "", mono: Number.NEGATIVE_INFINITY };
  let failed = false;
  const write = (): void => {
    const report = deps.report();
    const text = JSON.stringify(report);
    const { mono, wall } = deps.clock.now();
    if (text === written.text && mono - written.mono < timing.stateFileMs) return;
    const file: StateFile = { ...report, writtenMono: mono, writtenAt: new Date(wall).toISOString() };
    try {
      writeFileSync(`${path}.new`, JSON.stringify(file), { mode: 0o600 });
      renameSync(`${path}.new`, path);
      written = { text, mono };
      failed = false;
    } catch (error) {
      // A full disk must not end the agent; `--health` sees that the file is old.
      if (!failed) deps.log.error({ err: error }, "the state file cannot be written");
      failed = true;
    }
  };
  write();
  const timer = setInterval(write, timing.workerTickMs).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      write();
    },
  };
}
