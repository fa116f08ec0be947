import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, hostname, platform, release, totalmem } from "node:os";
import type { Facts } from "../schema/worker.ts";
import { findInterpreters } from "./interpreters.ts";
import { memoryLimitBytes } from "./memory.ts";
import { readBootId } from "./process/proc.ts";
import { systemPath } from "./process/who.ts";
import { judgeSurvival, unitOf, type Survival } from "./survival.ts";

export interface FactsOptions {
  /** Where interpreters are looked for: the PATH that the worker gives its processes. */
  readonly path: string;
  /** Names of the loaded drivers. */
  readonly drivers: readonly string[];
  readonly agentVersion: string;
  /** Told a sentence for each interpreter that is there and cannot be used. */
  readonly note?: (sentence: string) => void;
}

export interface HostFacts {
  readonly facts: Facts;
  /** Name of the interpreter → absolute path; the same names as in `facts.interpreters`. */
  readonly interpreters: ReadonlyMap<string, string>;
}

/** What this host is and has, found out once at start. Takes at most a little over 5 s, when an interpreter hangs. */
export async function findFacts(options: FactsOptions): Promise<HostFacts> {
  const found = await findInterpreters(options.path, options.note ?? (() => undefined));
  const system = platform();
  const facts: Facts = {
    os: system === "win32" ? "windows" : system,
    osVersion: release().slice(0, 255),
    arch: process.arch,
    hostname: hostname().slice(0, 255),
    cpus: availableParallelism(),
    memoryMb: Math.floor(Math.min(totalmem(), memoryLimitBytes()) / 1_048_576),
    interpreters: Object.fromEntries(found.map(({ name, version }) => [name, version])),
    drivers: [...options.drivers],
    agentVersion: options.agentVersion,
    nodeVersion: process.versions.node,
    bootId: readBootId() ?? "",
  };
  return { facts, interpreters: new Map(found.map(({ name, file }) => [name, file])) };
}

/** Whether this host's processes outlive the agent (rule 27), and why. Reads /proc, and asks systemctl when it runs in a service. */
export function survives(): Survival {
  const unit = unitOf(read("/proc/self/cgroup") ?? "");
  return judgeSurvival({
    system: platform(),
    pid: process.pid,
    parentPid: process.ppid,
    initName: read("/proc/1/comm")?.trim() ?? "",
    unit,
    killMode: unit === undefined ? undefined : killModeOf(unit),
  });
}

function killModeOf(unit: string): string | undefined {
  const asked = spawnSync("systemctl", ["show", "--property=KillMode", "--value", unit], {
    encoding: "utf8",
    timeout: 5_000,
    env: { PATH: systemPath },
  });
  const mode = asked.status === 0 ? asked.stdout.trim() : "";
  return mode === "" ? undefined : mode;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    // No such file on this system: then nothing of it applies.
    return undefined;
  }
}
