/** A thousand workers lose the broker together and come back together; then the manager is another one, and wants a hello of each. */
import { setTimeout as pause } from "node:timers/promises";
import { nodePart, type Part } from "../../../bench/kit/part.ts";
import { until } from "../../kit/until.ts";
import { residentMb, seconds, sumOf } from "../load/figures.ts";
import type { LightFigures, LightPlan } from "../load/light-worker.ts";
import { drained, verdict, witnessed } from "../load/verdict.ts";
import type { Scenario } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

interface Stage {
  readonly system: System;
  readonly hosts: Part;
  readonly count: number;
  readonly seen: string[];
}

export const storm: Scenario = {
  name: "storm",
  about: "1,000 workers, each with a run, reconnect at once after the broker's restart: all synced, none declared lost",
  missing: systemMissing,
  async play(size, say) {
    const isFull = size.kind === "full";
    const count = isFull ? 1_000 : 40;
    const heartbeatMs = isFull ? 5_000 : 500;
    const ids = Array.from({ length: count }, (_, n) => `light-${n}`);
    say(`the broker is given ${count} passwords`);
    await using system = await System.start({
      managers: ["m1"],
      workers: [],
      users: ids,
      managerEnv: { MUSTER_HEARTBEAT_MS: String(heartbeatMs) },
    });
    await using stack = new AsyncDisposableStack();
    const hosts = nodePart({ name: "light-workers", folder: system.folder, file: "test/chaos/load/light-process.ts" });
    stack.defer(() => hosts.end("SIGKILL"));
    const stage: Stage = { system, hosts, count, seen: [] };
    const brokerUrl = `mqtt://127.0.0.1:${system.broker.port}`;
    const plans = ids.map((id): LightPlan => ({
      id,
      password: system.broker.password(id),
      brokerUrl,
      slots: 1,
      heartbeatMs,
      witness: system.witness,
    }));
    await hosts.ask("start", { plans });
    await allSynced(stage);
    const taskId = await system.task({ name: "held", script: "exit 0" });
    const starts = Array.from({ length: count }, (_, n) => ({ taskId, tag: `start-${n}` }));
    await system.client.startManySurely(starts);
    await until("each worker to run one", () => witnessed(system).began === count, 120_000);

    // Longer than a worker may be silent before it counts as lost.
    const broker = await brokerRestarts(stage, isFull ? heartbeatMs * 9 : 0, say);
    const manager = isFull ? await managerRestarts(stage, say) : {};
    await hosts.ask("endAll");
    system.healed();
    await drained(system, 120_000);
    const lost = (await system.client.call("GET", "/events?kind=workerLost&limit=200")).body.items.length;
    if (lost > 0) stage.seen.push(`${lost} times a worker was declared lost, and none was`);
    const { launched, refused } = await figuresOf(hosts);
    if (refused > 0) stage.seen.push(`${refused} hellos were refused`);
    if (launched !== count) stage.seen.push(`${launched} starts were launched, of ${count} runs`);
    const judged = await verdict(system, stage.seen);
    return {
      figures: { workers: count, runs: judged.figures.acknowledged, ...broker, ...manager, declaredLost: lost },
      violations: judged.violations,
    };
  },
};

async function figuresOf(hosts: Part): Promise<LightFigures> {
  return await hosts.ask<LightFigures>("figures");
}

/** Every worker has been answered by a manager on its connection, and the manager has each of them online. */
async function allSynced({ system, hosts, count }: Stage, each: () => Promise<void> = async () => undefined): Promise<void> {
  await until(
    `${count} workers to be synced`,
    async () => {
      await each();
      if ((await figuresOf(hosts)).synced !== count) return false;
      return (await sumOf(system.client, "muster_workers", 'state="online"').catch(() => 0)) === count;
    },
    300_000,
  );
}

async function brokerRestarts(stage: Stage, awayMs: number, say: (line: string) => void): Promise<Record<string, number>> {
  const { system, hosts } = stage;
  const manager = system.managers.member("m1");
  const before = { memoryMb: residentMb(manager, "VmRSS"), ...(await figuresOf(hosts)) };
  say("the broker is killed");
  await system.kill("broker");
  await until("all to know", async () => (await figuresOf(hosts)).synced === 0, 60_000);
  await pause(awayMs);
  const lag = lagOf(system);
  await lag.look();
  await system.restart("broker");
  say("the broker is back");
  const backMs = performance.now();
  await allSynced(stage, lag.look);
  const after = await figuresOf(hosts);
  return {
    brokerAwaySeconds: seconds(awayMs),
    allSyncedAfterSeconds: seconds(performance.now() - backMs),
    connectionAttempts: after.connections - before.connections,
    hellos: after.hellos - before.hellos,
    managerLoopLagP99Ms: lag.p99Ms(),
    managerMemoryBeforeMb: before.memoryMb,
    managerMemoryMostMb: residentMb(manager, "VmHWM"),
  };
}

/** The next manager knows nobody's epoch by heart: it asks each worker that it hears for a hello. */
async function managerRestarts(stage: Stage, say: (line: string) => void): Promise<Record<string, number>> {
  const { system, hosts, count } = stage;
  const { hellos } = await figuresOf(hosts);
  say("the manager is killed");
  await system.kill("m1");
  await system.restart("m1");
  const backMs = performance.now();
  const lag = lagOf(system);
  await until(
    "a hello of each worker",
    async () => {
      await lag.look();
      return (await figuresOf(hosts)).hellos >= hellos + count;
    },
    300_000,
  );
  await allSynced(stage, lag.look);
  return {
    managerAllSyncedAfterSeconds: seconds(performance.now() - backMs),
    managerHellos: (await figuresOf(hosts)).hellos - hellos,
    managerTakeoverLoopLagP99Ms: lag.p99Ms(),
    managerTakeoverMemoryMostMb: residentMb(system.managers.member("m1"), "VmHWM"),
  };
}

/** The manager's loop lag: each look at its metrics begins a new histogram, so the worst 99th percentile between two looks. */
function lagOf(system: System): { look(): Promise<void>; p99Ms(): number } {
  let worst = 0;
  let lookedMs = 0;
  return {
    async look() {
      if (performance.now() - lookedMs < 1_000) return;
      lookedMs = performance.now();
      // Before it answers at all there is nothing to measure.
      worst = Math.max(worst, await sumOf(system.client, "nodejs_eventloop_lag_p99_seconds").catch(() => 0));
    },
    p99Ms: () => Math.round(worst * 1_000),
  };
}
