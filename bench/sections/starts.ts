/** (a) Starts end to end. */
import type { Flooded } from "../load/process.ts";
import { cpuForEach } from "../kit/cpu.ts";
import { checkRuns } from "../kit/count.ts";
import { mariadb, sqlite, type Database } from "../kit/database.ts";
import type { Aim, Measure } from "../kit/figure.ts";
import type { Plan, Section, Variant } from "../kit/section.ts";
import { mosquittoMissing, System } from "../kit/system.ts";
import { BullMq, peerMissing, type Durability } from "../peers/peer.ts";
import { mariadbMissing } from "../../test/kit/mariadb.ts";

const workers = 10;
const slots = 500;

interface Mode {
  readonly name: string;
  readonly connections: number;
  readonly perPost: number;
  readonly aims: Readonly<Record<string, Aim>>;
}

const modes: readonly Mode[] = [
  { name: "single POSTs", connections: 64, perPost: 1, aims: { MariaDB: { atLeast: 8_000 } } },
  { name: "bulk POSTs", connections: 4, perPost: 100, aims: { MariaDB: { atLeast: 25_000 }, SQLite: { atLeast: 40_000 } } },
];

/** How long is posted: to warm up, and to measure. */
function times(plan: Plan): { readonly warmMs: number; readonly forMs: number } {
  return plan.quick ? { warmMs: 200, forMs: 300 } : { warmMs: 2_000, forMs: 3_000 };
}

export const starts: Section = {
  letter: "a",
  title: "Starts end to end",
  about: `A start is posted, committed, answered, sent to a worker, ended there at once, reported, committed and acknowledged. Posted through
the real listener with token and validation on: *single* is \`POST /tasks/{id}/start\` over 64 connections, *bulk* is \`POST /runs\` with 100
starts over 4 connections. ${workers} simulated workers (${slots} slots each) in a process of their own speak the real protocol over MQTT sockets. The rate is all
accepted runs over the time from the first POST to the manager's acknowledgement of the last end. Afterwards runs, attempts, ends and events are counted in SQL.
Beside it BullMQ as a library, without HTTP and with worker and adder in one process, where it is fastest on two cores: a job that does nothing, added over as many lanes.`,
  async variants(plan) {
    const databases: readonly { readonly database: Database; readonly missing: string | undefined }[] = [
      { database: sqlite(), missing: undefined },
      { database: mariadb(), missing: mariadbMissing() },
    ];
    const without = peerMissing(plan.say);
    return [
      ...databases.flatMap(({ database, missing }) =>
        (["aedes", "mosquitto"] as const).map((broker) =>
          variant(plan, database, broker, missing ?? (broker === "aedes" ? undefined : mosquittoMissing())),
        ),
      ),
      ...(["no AOF", "AOF always"] as const).map((durability) => peer(plan, durability, without)),
    ];
  },
};

function variant(plan: Plan, database: Database, broker: "aedes" | "mosquitto", missing: string | undefined): Variant {
  return {
    name: `${database.name} and ${broker}`,
    ...(missing === undefined ? {} : { missing }),
    round: () => round(plan, database, broker),
    close: () => database.close(),
  };
}

const concurrencies = [50, 200] as const;

/** Its rows: a no-op job, added one by one by as many at once as there are connections to Muster, or in bulk. */
function peerRow(mode: Mode, durability: Durability, concurrency: number): string {
  return `BullMQ, ${mode.perPost === 1 ? "add" : "addBulk"}, Redis ${durability}, concurrency ${concurrency}`;
}

function peer(plan: Plan, durability: Durability, missing: string | undefined): Variant {
  return {
    name: `BullMQ, Redis ${durability}`,
    ...(missing === undefined ? {} : { missing }),
    async round() {
      const bullmq = await BullMq.start(durability);
      try {
        const measures: Measure[] = [];
        const { warmMs, forMs } = times(plan);
        for (const mode of modes) {
          for (const concurrency of concurrencies) {
            const work = { job: "noop", concurrency, lanes: mode.connections, perAdd: mode.perPost } as const;
            await bullmq.work({ ...work, forMs: warmMs / 2 });
            const { perSecond, cpu } = await bullmq.work({ ...work, forMs });
            measures.push({
              what: peerRow(mode, durability, concurrency),
              unit: "jobs/s",
              better: "higher",
              value: perSecond,
              cpu,
            });
          }
        }
        return measures;
      } finally {
        await bullmq.close();
      }
    },
  };
}

async function round(plan: Plan, database: Database, broker: "aedes" | "mosquitto"): Promise<Measure[]> {
  const system = await System.start({ database, broker, profileDir: plan.profileDir });
  try {
    await system.simulate(workers, slots);
    const taskId = await system.trueTask();
    const measures: Measure[] = [];
    let accepted = 0;
    for (const mode of modes) {
      const { warmMs, forMs } = times(plan);
      accepted += (await flood(system, taskId, mode, warmMs, accepted)).runs;
      const commitsBefore = await commits(database);
      const { runs, measure } = await flood(system, taskId, mode, forMs, accepted);
      accepted += runs;
      const perCommit = runs / ((await commits(database)) - commitsBefore);
      measures.push(measure, { what: `${measure.what}: in one commit`, unit: "runs", better: "higher", value: perCommit });
    }
    await checkRuns(database, accepted);
    return measures;
  } finally {
    await system.close();
  }
}

/** Posts for `forMs` and waits until every run has ended. */
async function flood(
  system: System,
  taskId: string,
  mode: Mode,
  forMs: number,
  before: number,
): Promise<{ readonly runs: number; readonly measure: Measure }> {
  const { url, token, database } = system;
  const { name, connections, perPost, aims } = mode;
  const cpuBefore = system.cpuMs();
  const { accepted, fromMs } = await system.load.ask<Flooded>("flood", { url, token, taskId, connections, perPost, forMs });
  const endedMs = await allEnded(system, before + accepted);
  const aim = aims[database.name];
  const measure: Measure = {
    what: `${name}, ${database.name}, ${system.broker ? "Mosquitto" : "aedes"}`,
    unit: "runs/s",
    better: "higher",
    value: (accepted * 1_000) / (endedMs - fromMs),
    cpu: cpuForEach(cpuBefore, system.cpuMs(), accepted),
    peer: peerRow(mode, "AOF always", 200),
    ...(aim ? { aim } : {}),
  };
  return { runs: accepted, measure };
}

/** How many commits there have been; a short run takes part in two at least. */
async function commits(database: Database): Promise<number> {
  return Number((await database.rows("SELECT batch FROM leases"))[0]?.["batch"]);
}

/** When the manager acknowledged the last end, on the host's clock. Rejects when nothing has ended for long. */
async function allEnded(system: System, runs: number): Promise<number> {
  let last = 0;
  let quiet = 0;
  for (;;) {
    const { acked, ackedMs } = await system.tally();
    if (acked === runs) return ackedMs;
    if (acked > runs) throw new Error(`${acked} ends were acknowledged, but only ${runs} runs were accepted`);
    quiet = acked === last ? quiet + 1 : 0;
    last = acked;
    if (quiet > 2_000)
      throw new Error(`${acked} of ${runs} runs ended, and then nothing more for 20 s: ${system.manager.lastWords()}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}
