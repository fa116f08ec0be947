/** Two managers on one database and broker, clients at both, and the one that leads is killed and paused again and again. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "../../kit/until.ts";
import { countAnswers, judgeAnswers, longestGap } from "../load/answers.ts";
import { Clients } from "../load/clients.ts";
import { seconds } from "../load/figures.ts";
import { leaderAbove, type Leading } from "../load/leaders.ts";
import { judgeOutput, outputScript } from "../load/output.ts";
import { drained, keepingOnFailure, verdict } from "../load/verdict.ts";
import type { Findings, Scenario } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

const managers = ["m1", "m2"] as const;
const workers = ["w1", "w2", "w3", "w4"] as const;
/** As in production: a lease that stood still for 6 s is free. */
const production = { MUSTER_HEARTBEAT_MS: "10000", MUSTER_LEASE_RENEW_MS: "2000", MUSTER_LEASE_STILL_MS: "6000" };
const takeoverWithinMs = 120_000;

interface Stage {
  readonly system: System;
  readonly clients: Clients;
  readonly takeoversMs: number[];
  readonly say: (line: string) => void;
}

export const twoManagers: Scenario = {
  name: "two-managers",
  about:
    "the leader of two is killed and paused 20 times each under 50 starts/s: nothing is lost or doubled, every log is complete",
  missing: systemMissing,
  async play(size, say) {
    const isFull = size.kind === "full";
    const env = isFull ? production : {};
    const played = isFull ? workers : workers.slice(0, 2);
    await using system = await System.start({
      managers,
      workers: played,
      managerEnv: env,
      workerEnv: { ...env, MUSTER_WORKER_SLOTS: "30" },
    });
    return await keepingOnFailure(system, () => playOn(system, isFull, say));
  },
};

async function playOn(system: System, isFull: boolean, say: (line: string) => void): Promise<Findings> {
  const counted = { name: "counted", script: outputScript, params: { n: "0", gate: "" } };
  const taskId = await until("a manager to take the task", () => system.task(counted).catch(() => undefined));
  await using clients = new Clients({
    history: system.history,
    token: system.managers.token,
    taskId,
    urls: [...system.edges.clientManager.values()].map(({ port }) => `http://127.0.0.1:${port}`),
    patienceMs: 5_000,
    prefix: "start-",
    params: (number) => ({ n: String(number) }),
  });
  const stage: Stage = { system, clients, takeoversMs: [], say };
  clients.begin(isFull ? 50 : 20);
  // At the small size the last kill, after which one is left, is the only one.
  const rounds = isFull ? 20 : 1;
  for (let round = 0; round < rounds; round += 1) {
    if (isFull) await killLeader(stage, `${2 * round + 1}`);
    // From 8 to 20 s, each length as often as any other; a little longer than the lease at the small size.
    await pauseLeader(stage, `${2 * round + 2}`, isFull ? 8_000 + ((round * 7) % 13) * 1_000 : 1_500);
  }
  const survivor = await leaveOne(stage);
  const seen: string[] = [];
  if (!(await clients.finish(120_000))) seen.push("two minutes after the last fault there were clients that nobody had answered");
  system.healed();
  await drained(system, 120_000);
  say(`every log is read through ${survivor}, the other is dead`);
  const drainedMs = performance.now();
  seen.push(...judgeAnswers(clients.starts), ...(await judgeLogs(stage, survivor)));
  const logsMs = performance.now() - drainedMs;
  const { violations, figures } = await verdict(system, seen);
  const gap = longestGap(clients.starts);
  return {
    figures: {
      leadersLost: stage.takeoversMs.length,
      starts: clients.starts.length,
      acknowledged: figures.acknowledged,
      processes: figures.processes,
      ...countAnswers(clients.starts),
      longestGapSeconds: seconds(gap.ms),
      longestGapBeganAtSecond: seconds(gap.fromMs),
      longestTakeoverSeconds: seconds(Math.max(...stage.takeoversMs)),
      medianTakeoverSeconds: seconds(stage.takeoversMs.toSorted((a, b) => a - b)[stage.takeoversMs.length >> 1] ?? 0),
      logsRead: clients.accepted,
      logsCompleteAfterSeconds: seconds(logsMs),
    },
    violations,
  };
}

function otherThan(name: string): string {
  return managers.find((one) => one !== name) ?? "";
}

/** The leader, and the other as the one that must take over. */
async function leaderOf({ system }: Stage): Promise<Leading> {
  return await leaderAbove(system, managers, 0, takeoverWithinMs);
}

async function killLeader(stage: Stage, which: string): Promise<void> {
  const { system, say } = stage;
  const leader = await leaderOf(stage);
  say(`${which}: ${leader.name}, which leads with term ${leader.term}, is killed at second ${seconds(stage.clients.elapsedMs)}`);
  await system.kill(leader.name);
  await takenOver(stage, leader);
  await system.restart(leader.name);
  await serviceAgain(stage);
}

async function pauseLeader(stage: Stage, which: string, forMs: number): Promise<void> {
  const { system, say } = stage;
  const leader = await leaderOf(stage);
  say(
    `${which}: ${leader.name}, which leads with term ${leader.term}, is paused for ${forMs} ms at second ${seconds(stage.clients.elapsedMs)}`,
  );
  const sinceMs = performance.now();
  system.pause(leader.name);
  await takenOver(stage, leader);
  await pause(Math.max(0, forMs - (performance.now() - sinceMs)));
  system.resume(leader.name);
  await serviceAgain(stage);
}

async function takenOver({ system, takeoversMs }: Stage, from: Leading): Promise<void> {
  const sinceMs = performance.now();
  await leaderAbove(system, [otherThan(from.name)], from.term, takeoverWithinMs);
  takeoversMs.push(performance.now() - sinceMs);
}

/** Both answer, one of them leads, and starts are taken again before the next fault. */
async function serviceAgain(stage: Stage): Promise<void> {
  const { managers: all } = stage.system;
  for (const name of managers)
    await until(`${name} to answer`, async () => (await all.at(name).call("GET", "/livez")).status === 200, 60_000);
  await startsTaken(stage);
}

async function startsTaken({ clients }: Stage): Promise<void> {
  const accepted = clients.accepted;
  await until("starts to be taken again", () => clients.accepted >= accepted + 20, 60_000);
}

/** Kills the leader for good, under load as ever; the name of the one that is left, once it has taken starts. */
async function leaveOne(stage: Stage): Promise<string> {
  const leader = await leaderOf(stage);
  stage.say(`${leader.name} is killed for good`);
  await stage.system.kill(leader.name);
  await takenOver(stage, leader);
  await startsTaken(stage);
  return otherThan(leader.name);
}

async function judgeLogs({ system, clients }: Stage, survivor: string): Promise<string[]> {
  const logs = clients.starts.flatMap(({ told }, number) => {
    const run = told.at(-1)?.run;
    return typeof run === "string" ? [{ run, number }] : [];
  });
  const at = system.managers.at(survivor);
  const incomplete = await judgeOutput(at, logs, 60_000);
  // With what the survivor has counted: whether output was dropped, failed or never came.
  if (incomplete.length > 0) {
    const metrics = await at.call("GET", "/metrics", undefined, { accept: "text/plain" });
    writeFileSync(join(system.folder, "metrics-of-survivor.log"), String(metrics.body));
  }
  return incomplete;
}
