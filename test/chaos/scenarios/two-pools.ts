/** Two pools, each led by another manager. One of them is killed: the other leads both, and the pool that it led all along has no gap. */
import { until } from "../../kit/until.ts";
import { judgeAnswers, longestGap } from "../load/answers.ts";
import { Clients } from "../load/clients.ts";
import { seconds } from "../load/figures.ts";
import { leaderAbove, type Leading } from "../load/leaders.ts";
import { drained, keepingOnFailure, verdict } from "../load/verdict.ts";
import type { Findings, Scenario } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

const managers = ["m1", "m2"] as const;
const pools = ["default", "second"] as const;
type Pool = (typeof pools)[number];
const production = { MUSTER_HEARTBEAT_MS: "10000", MUSTER_LEASE_RENEW_MS: "2000", MUSTER_LEASE_STILL_MS: "6000" };
const withinMs = 60_000;

interface Stage {
  readonly system: System;
  readonly clients: Readonly<Record<Pool, Clients>>;
  readonly seen: string[];
  readonly takeoversMs: number[];
}

export const twoPools: Scenario = {
  name: "two-pools",
  about: "two pools led by two managers side by side; one is killed, and the other leads both: nothing is lost or doubled",
  missing: systemMissing,
  async play(size, say) {
    const isFull = size.kind === "full";
    const env = isFull ? production : {};
    await using system = await System.start({
      managers,
      workers: ["a", "b"],
      managerEnv: env,
      workerEnv: { ...env, MUSTER_WORKER_SLOTS: "30" },
      // Both lead whatever they can get; of a pool that is free, the manager that names it first is the quicker.
      each: {
        m1: { MUSTER_POOLS: "default,second" },
        m2: { MUSTER_POOLS: "second,default" },
        b: { MUSTER_POOL: "second" },
      },
      broker: { pools: ["second"] },
    });
    return await keepingOnFailure(system, () => playOn(system, isFull, say));
  },
};

async function playOn(system: System, isFull: boolean, say: (line: string) => void): Promise<Findings> {
  await using stack = new AsyncDisposableStack();
  const clients = { default: await clientsOf(system, "default"), second: await clientsOf(system, "second") };
  for (const pool of pools) stack.use(clients[pool]).begin(isFull ? 20 : 10);
  const stage: Stage = { system, clients, seen: [], takeoversMs: [] };
  for (let round = 0; round < (isFull ? 6 : 1); round += 1) {
    const [first, second] = await lead(stage);
    const victim = round % 2 === 0 ? first : second;
    say(`${first.name} leads default, ${second.name} leads second; ${victim.name} is killed`);
    await killOne(stage, victim, round % 2 === 0 ? "default" : "second");
  }
  for (const pool of pools)
    if (!(await clients[pool].finish(120_000))) stage.seen.push(`clients of pool ${pool} were not answered within two minutes`);
  system.healed();
  await drained(system, 120_000);
  for (const pool of pools) stage.seen.push(...judgeAnswers(clients[pool].starts));
  const { violations, figures } = await verdict(system, stage.seen);
  return {
    figures: {
      managersKilled: stage.takeoversMs.length,
      acknowledged: figures.acknowledged,
      processes: figures.processes,
      longestTakeoverSeconds: seconds(Math.max(...stage.takeoversMs)),
      longestGapOfDefaultSeconds: seconds(longestGap(clients.default.starts).ms),
      longestGapOfSecondSeconds: seconds(longestGap(clients.second.starts).ms),
    },
    violations,
  };
}

async function clientsOf(system: System, pool: Pool): Promise<Clients> {
  const task = { name: `in-${pool}`, script: "exit 0", more: { pool } };
  const taskId = await until("a manager to take the task", () => system.task(task).catch(() => undefined));
  return new Clients({
    history: system.history,
    token: system.managers.token,
    taskId,
    urls: [...system.edges.clientManager.values()].map(({ port }) => `http://127.0.0.1:${port}`),
    patienceMs: 5_000,
    prefix: `${pool}-`,
  });
}

/** Waits until the two pools have different leaders; when one manager leads both, the lease of one pool is given back for it. */
async function lead(stage: Stage): Promise<readonly [Leading, Leading]> {
  const { system } = stage;
  return await until(
    "two managers to lead one pool each",
    async () => {
      const first = await leaderAbove(system, managers, 0, withinMs, "default");
      const second = await leaderAbove(system, managers, 0, withinMs, "second");
      if (first.name !== second.name) return [first, second] as const;
      // What a manager does that leaves; this one goes on, and the other takes what it gave back.
      const [free, above] = first.name === "m1" ? (["second", second.term] as const) : (["default", first.term] as const);
      await system.database.admin(`UPDATE leases SET term = term + 1, holder = '' WHERE pool = '${free}'`, "muster_1");
      await leaderAbove(system, managers, above, withinMs, free);
      return undefined;
    },
    120_000,
  );
}

/** Kills the manager that leads `pool`; the other takes it over and has both. */
async function killOne(stage: Stage, victim: Leading, pool: Pool): Promise<void> {
  const { system, clients, seen, takeoversMs } = stage;
  const other = managers.find((name) => name !== victim.name) ?? "";
  const sinceMs = performance.now();
  await system.kill(victim.name);
  await leaderAbove(system, [other], victim.term, withinMs, pool);
  takeoversMs.push(performance.now() - sinceMs);
  for (const each of pools) {
    const leading = await leaderAbove(system, [other], 0, withinMs, each);
    if (leading.name !== other) seen.push(`after the death of ${victim.name} pool ${each} is led by ${leading.name}`);
    const accepted = clients[each].accepted;
    await until(`starts of pool ${each} to be taken by ${other}`, () => clients[each].accepted >= accepted + 10, withinMs);
  }
  await system.restart(victim.name);
}
