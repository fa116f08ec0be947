/** Figures of processes, from outside of them. */
import { readFileSync } from "node:fs";
import type { Called } from "../../kit/api-client.ts";
import type { Member } from "../../kit/members.ts";

/** Resident memory of a process in MB: now (`VmRSS`), or the most that it ever was (`VmHWM`). */
export function residentMb(member: Pick<Member, "process">, what: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${member.process.pid}/status`, "utf8");
  return Math.round(Number(new RegExp(`^${what}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1_024);
}

interface Caller {
  call(method: string, path: string): Promise<Called>;
}

/** Samples of one metric of a manager, with their labels as text; empty when it has none. */
export async function metric(client: Caller, name: string): Promise<{ readonly labels: string; readonly value: number }[]> {
  const { status, body } = await client.call("GET", "/metrics");
  if (status !== 200) throw new Error(`GET /metrics: ${status}`);
  return String(body)
    .split("\n")
    .flatMap((line) => {
      const found = /^(\w+)(?:\{([^}]*)\})? (\S+)/.exec(line);
      return found?.[1] === name ? [{ labels: found[2] ?? "", value: Number(found[3]) }] : [];
    });
}

/** The sum over a metric's samples whose labels hold this text. */
export async function sumOf(client: Caller, name: string, label = ""): Promise<number> {
  const samples = await metric(client, name);
  if (samples.length === 0) throw new Error(`there is no metric ${name} now`);
  return samples.filter(({ labels }) => labels.includes(label)).reduce((sum, { value }) => sum + value, 0);
}

export function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
