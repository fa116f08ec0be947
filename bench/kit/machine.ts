/** What the figures were measured on: they mean little without it. */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { median } from "./figure.ts";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";

export interface Machine {
  readonly date: string;
  readonly cores: number;
  /** Median of an `fdatasync` of 4 KiB where the databases lie, milliseconds. */
  readonly syncMs: number;
  /** Processes that wanted to run when the benchmarks began, over the last minute. */
  readonly load: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly line: string;
}

/** This machine, in one line, with the versions of what takes part; programs that are absent are left out. */
export function machine(): Machine {
  const cores = cpus();
  const date = new Date().toISOString().slice(0, 10);
  const versions: Record<string, string> = { node: process.versions.node };
  for (const { name, command, args } of programs) {
    const { stdout, error } = spawnSync(command, args, { encoding: "utf8" });
    const found = error ? undefined : /\d+\.\d+(\.\d+)?/.exec(stdout);
    if (found) versions[name] = found[0];
  }
  const bullmq = peerVersion();
  if (bullmq !== undefined) versions["BullMQ"] = bullmq;
  const load = loadavg()[0] ?? 0;
  const memoryGb = Math.round(totalmem() / 2 ** 30);
  const list = Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
  const syncMs = fsyncMs();
  return {
    date,
    cores: cores.length,
    syncMs,
    load,
    versions,
    line: `${date}: ${cores.length} cores (${cores[0]?.model.trim() ?? "unknown"}), ${memoryGb} GB, Linux ${release()}, ${fileSystem()} (fdatasync of 4 KiB: ${syncMs.toFixed(2)} ms), load ${load.toFixed(1)}; ${list}`,
  };
}

const programs = [
  { name: "MariaDB", command: "mariadbd", args: ["--version"] },
  { name: "Mosquitto", command: "mosquitto", args: ["-h"] },
  { name: "Redis", command: "redis-server", args: ["--version"] },
];

function peerVersion(): string | undefined {
  try {
    const file = new URL("../peers/package.json", import.meta.url);
    return (JSON.parse(readFileSync(file, "utf8")) as { dependencies: Record<string, string> }).dependencies["bullmq"];
  } catch {
    return undefined;
  }
}

/** Where the databases lie decides what an fsync costs. */
function fileSystem(): string {
  const out = execFileSync("df", ["--output=fstype", tmpdir()], { encoding: "utf8" });
  return `${out.trim().split("\n").at(-1)} under ${tmpdir()}`;
}

function fsyncMs(): number {
  const file = join(tmpdir(), `muster-bench-fsync-${process.pid}`);
  const handle = openSync(file, "w");
  try {
    const block = Buffer.alloc(4_096);
    return median(
      Array.from({ length: 200 }, (_, n) => {
        const begun = performance.now();
        writeSync(handle, block, 0, block.length, n * block.length);
        fdatasyncSync(handle);
        return performance.now() - begun;
      }),
    );
  } finally {
    closeSync(handle);
    rmSync(file);
  }
}
