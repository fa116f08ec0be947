/** Every worker falls silent at once. That is the wire, not the workers: nothing is placed again, one alarm says so, and it lets go. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "../../kit/until.ts";
import type { Edge } from "../edge.ts";
import { metric, seconds, sumOf } from "../load/figures.ts";
import { drained, verdict, witnessed } from "../load/verdict.ts";
import type { Scenario } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

const workers = ["s1", "s2", "s3", "s4"] as const;
/** Runs of each task. */
const runsEach = 8;

interface Stage {
  readonly system: System;
  readonly edges: readonly Edge[];
  readonly heartbeatMs: number;
  /** How long the fleet is silent, and how long the manager stands still: beyond every loss period. */
  readonly silentMs: number;
  readonly seen: string[];
}

/** One way in which all workers vanish together. */
interface Silence {
  readonly name: string;
  readonly begin: (edge: Edge) => void;
}

const halfOpen: Silence = { name: "halfOpen", begin: (edge) => edge.silence() };
const cut: Silence = { name: "cut", begin: (edge) => edge.cut() };

export const silent: Scenario = {
  name: "silent",
  about: "all 4 workers silent at once: none is placed again, whatever onLost says; one alarm in /health, events and metrics",
  missing: systemMissing,
  async play(size, say) {
    const isFull = size.kind === "full";
    const heartbeatMs = isFull ? 2_000 : 400;
    // With short beats one worker that a busy host stops for seconds must not count as lost by itself.
    const lostIntervals = isFull ? 7.5 : 15;
    const times = {
      MUSTER_HEARTBEAT_MS: String(heartbeatMs),
      MUSTER_WORKER_LOST_INTERVALS: String(lostIntervals),
      MUSTER_LEASE_RENEW_MS: "100",
      MUSTER_LEASE_STILL_MS: "1000",
    };
    await using system = await System.start({
      managers: ["m1"],
      workers,
      managerEnv: times,
      workerEnv: { ...times, MUSTER_WORKER_SLOTS: "20" },
    });
    const edges = workers.flatMap((id) => system.edges.workerBroker.get(id) ?? []);
    const stage: Stage = { system, edges, heartbeatMs, silentMs: heartbeatMs * lostIntervals * (isFull ? 3 : 1.3), seen: [] };
    const gate = join(system.folder, "gate");
    const count = await startAll(stage, gate, heartbeatMs);
    const figures: Record<string, number> = { workers: workers.length, runs: count };
    for (const silence of isFull ? [halfOpen, cut] : [halfOpen]) {
      say(`all workers fall silent: ${silence.name}`);
      Object.assign(figures, await keepSilent(stage, silence));
    }
    if (isFull) {
      say("the manager stands still");
      figures["managerStoodStillSeconds"] = seconds(stage.silentMs);
      await standStill(stage);
    }
    writeFileSync(gate, "");
    system.healed();
    await drained(system, 120_000);
    const lost = await countEvents(system, "workerLost");
    if (lost > 0) stage.seen.push(`${lost} times a worker was declared lost, and none was`);
    const judged = await verdict(system, stage.seen);
    return {
      figures: {
        ...figures,
        processes: judged.figures.processes,
        alarmEvents: await countEvents(system, "alarm"),
        workersDeclaredLost: lost,
      },
      violations: judged.violations,
    };
  },
};

/** Runs of one task for each thing that `onLost` may say, `retry` in the form that places again soonest; all running. */
async function startAll({ system }: Stage, gate: string, heartbeatMs: number): Promise<number> {
  const kinds = [
    { name: "waits", onLost: "wait" },
    { name: "fails", onLost: "fail" },
    { name: "retries", onLost: "retry", attemptOverlap: "allow", lostAfterSeconds: heartbeatMs / 10 },
  ];
  const script = `while [ ! -e '${gate}' ]; do sleep 0.2; done; exit "$PARAM_code"`;
  for (const { name, ...more } of kinds) {
    const taskId = await system.task({ name, script, params: { code: "0" }, more });
    await system.client.startManySurely(
      Array.from({ length: runsEach }, (_, n) => ({ taskId, tag: `${name}-${n}`, params: { code: String(n % 4) } })),
    );
  }
  const count = kinds.length * runsEach;
  await allRunning(system, count);
  return count;
}

/** From the moment at which they vanish until all is well again. */
async function keepSilent(stage: Stage, { name, begin }: Silence): Promise<Record<string, number>> {
  const { system, edges, silentMs, seen } = stage;
  const before = await trace(system);
  // Who was not heard already would not vanish together with the others.
  await until("all to be heard", () => allHeard(stage), 60_000);
  for (const edge of edges) begin(edge);
  const sinceMs = performance.now();
  await until("the brake's alarm", async () => (await alarmsOf(system)).length > 0, 60_000);
  const alarmMs = performance.now() - sinceMs;
  // As long as it takes for silence to be called loss, and more: this is the time in which nothing may happen.
  await pause(Math.max(0, silentMs - alarmMs));
  const after = await trace(system);
  await judgeAlarm(stage, name, after.alarms - before.alarms);
  const [attempts, processes] = [after.attempts - before.attempts, after.processes - before.processes];
  if (attempts > 0 || processes > 0)
    seen.push(`${name}: ${attempts} attempts and ${processes} processes were added while all workers were silent`);
  if (after.open < before.open) seen.push(`${name}: ${before.open - after.open} runs were given an end while all were silent`);

  for (const edge of edges) edge.heal();
  const healedMs = performance.now();
  await until("the brake to let go", async () => (await alarmsOf(system)).length === 0, 120_000);
  await allRunning(system, after.open);
  return {
    [`${name}Seconds`]: seconds(healedMs - sinceMs),
    [`${name}AlarmAfterSeconds`]: seconds(alarmMs),
    [`${name}AllBackAfterSeconds`]: seconds(performance.now() - healedMs),
    [`${name}PlacedAgain`]: attempts,
  };
}

/** Whether the newest beat of each worker is there. */
async function allHeard({ system, heartbeatMs }: Stage): Promise<boolean> {
  const { items } = (await system.client.call("GET", "/workers")).body as { items: { state: string; lastSeenAt: string }[] };
  const isFresh = ({ state, lastSeenAt }: (typeof items)[0]): boolean =>
    state === "online" && Date.now() - Date.parse(lastSeenAt) <= heartbeatMs;
  return items.length === workers.length && items.every(isFresh);
}

/** One alarm, which says how many, wherever an operator may look. */
async function judgeAlarm({ system, seen }: Stage, name: string, events: number): Promise<void> {
  const alarms = await alarmsOf(system);
  const [alarm] = alarms;
  if (alarms.length !== 1 || alarm?.kind !== "fleetBrake")
    seen.push(`${name}: /health shows not one alarm of the brake, but ${JSON.stringify(alarms)}`);
  if (!alarm?.sentence.includes(`${workers.length} workers`))
    seen.push(`${name}: the alarm does not say how many: ${alarm?.sentence}`);
  if (events !== 1) seen.push(`${name}: ${events} events of an alarm, not one`);
  const samples = (await metric(system.client, "muster_alarms")).filter(({ value }) => value > 0);
  if (samples.length !== 1 || samples[0]?.value !== 1 || !samples[0].labels.includes('kind="fleetBrake"'))
    seen.push(`${name}: the metrics show not one alarm of the brake, but ${JSON.stringify(samples)}`);
}

/** The manager is paused for longer than any loss period: its absence, not the workers'. */
async function standStill({ system, silentMs, seen }: Stage): Promise<void> {
  const before = await trace(system);
  system.pause("m1");
  await pause(silentMs);
  system.resume("m1");
  await allRunning(system, before.open);
  const after = await trace(system);
  const [attempts, processes] = [after.attempts - before.attempts, after.processes - before.processes];
  if (attempts > 0 || processes > 0)
    seen.push(`after the manager had stood still there were ${attempts} attempts and ${processes} processes more`);
}

async function allRunning(system: System, count: number): Promise<void> {
  await until(
    `${count} runs to be running`,
    async () => (await sumOf(system.client, "muster_runs", 'state="running"')) === count,
    90_000,
  );
}

/** What can be seen from outside: rows of the database, processes, events. */
async function trace(system: System) {
  const count = async (from: string): Promise<number> => {
    const rows = await system.database.admin(`SELECT COUNT(*) AS n FROM ${from}`, "muster_1");
    return Number(rows[0].n);
  };
  return {
    attempts: await count("attempts"),
    open: await count("runs WHERE ended_at IS NULL"),
    processes: witnessed(system).began,
    alarms: await countEvents(system, "alarm"),
  };
}

async function alarmsOf(system: System): Promise<{ readonly kind: string; readonly sentence: string }[]> {
  return (await system.client.call("GET", "/health")).body.alarms;
}

async function countEvents(system: System, kind: string): Promise<number> {
  return (await system.client.call("GET", `/events?kind=${kind}&limit=200`)).body.items.length;
}
