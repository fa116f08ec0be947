import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fleet, type Member } from "../../kit/fleet.ts";
import { until } from "../../kit/until.ts";
import { Notes } from "../hosts/findings.ts";
import { outputBytes } from "../hosts/output-bytes.ts";
import { residentBytes } from "../hosts/processes.ts";
import type { Scenario } from "../scenario.ts";

const heartbeatMs = 2_000;
/** F34: what a worker's memory may be beside a task that writes without end. */
const residentMost = 150 * 1_048_576;

export const output: Scenario = {
  name: "output",
  about:
    "A task writes 1 GB as fast as it can, others write bytes that are no text and a line of 10 MB: all of it is stored or declared, as it was.",
  async play({ kind }, say) {
    const notes = new Notes();
    await using fleet = await Fleet.start({ MUSTER_HEARTBEAT_MS: String(heartbeatMs), MUSTER_WORKER_SLOTS: "20" });
    const worker = await fleet.startWorker("a");
    await corpus(fleet, notes);
    say("binary output, escapes, one long line");
    await flood(fleet, worker, notes, kind === "full" ? 1_073_741_824 : 120_000_000);
    return notes.findings;
  },
};

async function startScript(fleet: Fleet, name: string, script: string): Promise<string> {
  const taskId = await fleet.task({ name, run: { driver: "script", interpreter: "sh", script } });
  const [id = ""] = await fleet.startRuns(taskId, 1);
  return id;
}

/** Every byte, every control sequence that a terminal obeys, markup, halves of characters, and a line without an end. */
async function corpus(fleet: Fleet, notes: Notes): Promise<void> {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const pieces: Readonly<Record<string, Buffer>> = {
    everyByte: Buffer.concat(Array.from({ length: 400 }, () => bytes)),
    escapes: Buffer.from("\u001b[31mred\u001b[0m\u001b]0;title\u0007\u001b[2J\r\b\u009b1mC1\n".repeat(200), "latin1"),
    markup: Buffer.from(`<script>alert(1)</script>\n"'&<!-- --> data: end\n\nevent: end\n`.repeat(100)),
    halves: Buffer.concat([Buffer.from("é€😀".repeat(30_000)).subarray(1), Buffer.of(0xf0, 0x9f), Buffer.from("\ufeff\n")]),
    longLine: Buffer.alloc(10 * 1_048_576, "x"),
    blank: Buffer.from("\n".repeat(50_000)),
  };
  for (const [name, wanted] of Object.entries(pieces)) {
    const file = join(fleet.folder, `piece-${name}`);
    writeFileSync(file, wanted);
    const id = await startScript(fleet, name, `cat ${file}; cat ${file} >&2`);
    notes.same(`the end of ${name}`, (await fleet.ended(id)).end, { how: "exited", code: 0 });
    for (const stream of ["stdout", "stderr"]) {
      const stored = async (): Promise<Buffer> => {
        const headers = { authorization: `Bearer ${fleet.token}`, accept: "text/plain" };
        return Buffer.from(await (await fetch(`${fleet.url}/runs/${id}/logs?stream=${stream}`, { headers })).arrayBuffer());
      };
      await until(`${stream} of ${name}`, async () => (await stored()).length >= wanted.length, 60_000).catch(() => undefined);
      const seen = await stored();
      const alike = seen.equals(wanted);
      notes.count("storedAsTheyWere", alike ? 1 : 0);
      if (!alike)
        notes.violated(
          `${stream} of ${name}: ${seen.length} bytes with SHA-256 ${digest(seen)}, and not the ${wanted.length} with ${digest(wanted)} that were written`,
        );
    }
  }
}

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex").slice(0, 12);

async function flood(fleet: Fleet, worker: Member, notes: Notes, bytes: number): Promise<void> {
  const started = performance.now();
  const id = await startScript(fleet, "flood", `head -c ${bytes} /dev/zero | tr '\\0' y`);
  let largest = 0;
  let onDisk = 0;
  let silentMs = 0;
  const attempt = await until("the flood to be placed", async () => (await fleet.run(id)).attempts[0]?.id as string | undefined);
  const file = join(fleet.folder, "worker-a/worker/attempts", attempt, "stdout");
  const watched = setInterval(() => {
    largest = Math.max(largest, residentBytes(worker.process.pid ?? 0));
    onDisk = Math.max(onDisk, (statSync(file, { throwIfNoEntry: false })?.blocks ?? 0) * 512);
  }, 100);
  const beats = async (): Promise<void> => {
    const { lastSeenAt, state } = (await fleet.call("GET", "/workers/a")).body;
    silentMs = Math.max(silentMs, Date.now() - Date.parse(lastSeenAt));
    if (state !== "online") notes.violated(`the worker is ${state} while a task of it writes`);
  };
  const ended = fleet.ended(id, 300_000);
  let over = false;
  void ended.finally(() => (over = true)).catch(() => undefined);
  while (!over) {
    await beats();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  notes.same("the end of the flood", (await ended).end, { how: "exited", code: 0 });
  const written = Math.round(performance.now() - started);
  const { stored, dropped } = await outputBytes(fleet, id, bytes);
  clearInterval(watched);
  notes.figure("producedBytes", bytes);
  notes.figure("storedBytes", stored);
  notes.figure("declaredDroppedBytes", dropped);
  notes.same("stored and declared bytes together", stored + dropped, bytes);
  notes.figure("runMs", written);
  notes.figure("workerResidentMostMiB", Math.round(largest / 1_048_576));
  notes.figure("onDiskMostMiB", Math.round(onDisk / 1_048_576));
  notes.figure("longestSilenceMs", Number.isNaN(silentMs) ? "unknown" : silentMs);
  if (largest > residentMost) notes.violated(`the worker had ${largest} bytes of memory, the bound is ${residentMost}`);
  // Beats are missed when the manager calls the worker unreachable.
  const silent = (await fleet.call("GET", "/events?workerId=a&kind=workerUnreachable")).body.items.length;
  notes.figure("timesUnreachable", silent);
  if (silent > 0) notes.violated(`the worker was unreachable ${silent} times`);
  if (/"level":"fatal"/.test(readFileSync(worker.logFile, "utf8"))) notes.violated("the worker's log has a fatal line");
}
