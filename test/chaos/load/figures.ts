/** Figures of processes, from outside of them. */
import { readFileSync } from "node:fs";
import type { ChildProcess } from "node:child_process";
import type { ApiClient } from "../../kit/api-client.ts";

/** Resident memory of a process in MB: now (`VmRSS`), or the most that it ever was (`VmHWM`). */
export function residentMb(process: ChildProcess, what: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${process.pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`^${what}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1_024);
}

/** Samples of one metric of a manager, with their labels as text; empty when it has none. */
export async function metric(client: ApiClient, name: string): Promise<{ readonly labels: string; readonly value: number }[]> {
  const { body } = await client.call("GET", "/metrics");
  return String(body)
    .split("\n")
    .flatMap((line) => {
      const found = /^(\w+)(?:\{([^}]*)\})? (\S+)/.exec(line);
      return found?.[1] === name ? [{ labels: found[2] ?? "", value: Number(found[3]) }] : [];
    });
}

/** The sum over a metric's samples whose labels hold this text. */
export async function sumOf(client: ApiClient, name: string, label = ""): Promise<number> {
  const samples = await metric(client, name);
  return samples.filter(({ labels }) => labels.includes(label)).reduce((sum, { value }) => sum + value, 0);
}

export function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
