/** (c) Real processes a second through the whole system. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { checkRuns } from "../kit/count.ts";
import { cpuForEach, hostMs, treeCpuMs } from "../kit/cpu.ts";
import { sqlite, type Database } from "../kit/database.ts";
import type { Measure } from "../kit/figure.ts";
import type { Plan, Section, Variant } from "../kit/section.ts";
import { System } from "../kit/system.ts";
import { BullMq, peerMissing } from "../peers/peer.ts";
import type { Flooded } from "../load/process.ts";

const perPost = 100;
const xargsRow = "xargs -P2 -n1 /bin/true";
const bullmqRow = "BullMQ, a job that spawns /bin/true, Redis no AOF, concurrency 4";

export const processes: Section = {
  letter: "c",
  title: "Real processes",
  about: `\`/bin/true\` as a task: posted in bulk, placed on one real worker agent with its default slots, run, its output and end kept, reported,
committed. The rate is all runs over the time from the first POST to the last end in the database. Beside it what starts processes without
keeping anything of them: \`xargs -P2\`, and BullMQ with a job that spawns \`/bin/true\`.`,
  async variants(plan) {
    return [muster(plan), xargs(plan), bullmqSpawns(plan, peerMissing(plan.say))];
  },
};

function muster(plan: Plan): Variant {
  const database = sqlite();
  return { name: "Muster", round: () => round(plan, database), close: () => database.close() };
}

async function round(plan: Plan, database: Database): Promise<Measure[]> {
  const [warm, posts] = plan.quick ? [1, 1] : [5, 20];
  const system = await System.start({ database, broker: "aedes", profileDir: plan.profileDir });
  try {
    await system.realWorker("bench-worker");
    const taskId = await system.trueTask();
    await flood(system, taskId, warm);
    await allEnded(system);
    const before = system.cpuMs();
    const { accepted, fromWallMs } = await flood(system, taskId, posts);
    await allEnded(system);
    const cpu = cpuForEach(before, system.cpuMs(), accepted);
    await checkRuns(database, (warm + posts) * perPost);
    const [last] = await database.rows("SELECT MAX(ended_at) AS ms FROM runs");
    return [
      {
        what: "Muster: one worker, SQLite, aedes",
        unit: "processes/s",
        better: "higher",
        value: (accepted * 1_000) / (Number(last?.["ms"]) - fromWallMs),
        peer: bullmqRow,
        aim: { atLeast: 1_500 },
        cpu,
      },
    ];
  } finally {
    await system.close();
  }
}

async function flood(system: System, taskId: string, posts: number): Promise<Flooded> {
  const { url, token } = system;
  return await system.load.ask<Flooded>("flood", { url, token, taskId, connections: 1, perPost, forMs: 60_000, posts });
}

/** Looks seldom: a look is work of the manager, too. When the last one ended is read from the database. */
async function allEnded(system: System): Promise<void> {
  const states = "queued,starting,running,stopping,retrying,unreachable";
  for (let looks = 0; looks < 600; looks += 1) {
    const { items } = (await system.call("GET", `/runs?state=${states}&limit=1`)) as { items: readonly unknown[] };
    if (items.length === 0) return;
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`after two minutes some runs have not ended: ${system.workers!.lastWords()}`);
}

function bullmqSpawns(plan: Plan, missing: string | undefined): Variant {
  const [warm, adds] = plan.quick ? [1, 1] : [5, 20];
  return {
    name: bullmqRow,
    ...(missing === undefined ? {} : { missing }),
    async round() {
      const bullmq = await BullMq.start("no AOF");
      try {
        const work = { job: "spawn", concurrency: 4, lanes: 1, perAdd: perPost, forMs: 60_000 } as const;
        await bullmq.work({ ...work, adds: warm });
        const { perSecond, cpu } = await bullmq.work({ ...work, adds });
        return [{ what: bullmqRow, unit: "processes/s", better: "higher", value: perSecond, cpu }];
      } finally {
        await bullmq.close();
      }
    },
  };
}

function xargs(plan: Plan): Variant {
  const count = plan.quick ? 100 : 3_000;
  return {
    name: xargsRow,
    async round() {
      const cpuBefore = treeCpuMs(process.pid);
      const fromMs = hostMs();
      const child = spawn("sh", ["-c", `seq ${count} | xargs -P2 -n1 /bin/true`], { stdio: "ignore" });
      const [code] = (await once(child, "exit")) as [number];
      const tookMs = hostMs() - fromMs;
      if (code !== 0) throw new Error(`xargs ended with ${code}`);
      const cpu = { all: ((treeCpuMs(process.pid) - cpuBefore) * 1_000) / count };
      return [{ what: xargsRow, unit: "processes/s", better: "higher", value: (count * 1_000) / tookMs, cpu }];
    },
  };
}
