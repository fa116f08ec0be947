/** (b) From the POST to the known end. */
import { mariadbMissing } from "../../test/kit/mariadb.ts";
import { checkRuns } from "../kit/count.ts";
import { mariadb, sqlite, type Database } from "../kit/database.ts";
import { percentile, type Aim, type Measure } from "../kit/figure.ts";
import { mosquittoMissing, System } from "../kit/system.ts";
import type { Plan, Section, Variant } from "../kit/section.ts";
import type { RoundTripsDone } from "../load/round-trips.ts";
import { BullMq, peerMissing, type Durability } from "../peers/peer.ts";

const perSecond = 50;
const aims = { p50: { atMost: 3 }, p99: { atMost: 8 } } as const;

interface Counts {
  readonly warm: number;
  readonly count: number;
}

function countsOf(plan: Plan): Counts {
  return plan.quick ? { warm: 10, count: 25 } : { warm: 100, count: 400 };
}

export const roundTrip: Section = {
  letter: "b",
  title: "Round trip at 50 a second",
  about: `From the instant at which a POST is due until its end is known to the client: \`POST /tasks/{id}/start\`, then
\`GET /runs/{id}?waitSeconds=30\` with its answer, over kept connections. 50 a second, each begun when it is due, however long the ones before
it take (open loop). *A no-op* ends on a simulated worker at once; \`/bin/true\` is a process of a real worker. BullMQ, as a library in the process that also
works: from \`add\` to its \`completed\` event, without HTTP.`,
  async variants(plan) {
    const without = peerMissing(plan.say);
    const noMariadb = mariadbMissing();
    return [
      noop(plan, sqlite(), "aedes", undefined),
      noop(plan, mariadb(), "aedes", noMariadb),
      noop(plan, mariadb(), "mosquitto", noMariadb ?? mosquittoMissing()),
      real(plan, sqlite()),
      ...(["no AOF", "AOF always"] as const).map((durability) => peer(plan, durability, without)),
    ];
  },
};

function noop(plan: Plan, database: Database, broker: "aedes" | "mosquitto", missing: string | undefined): Variant {
  const name = `a no-op, ${database.name}, ${broker === "aedes" ? "aedes" : "Mosquitto"}`;
  return {
    name,
    ...(missing === undefined ? {} : { missing }),
    async round() {
      const system = await System.start({ database, broker, profileDir: plan.profileDir });
      try {
        await system.simulate(10, 10);
        return rows(name, await trips(plan, system), aims, "BullMQ, no-op, Redis AOF always");
      } finally {
        await system.close();
      }
    },
    close: () => database.close(),
  };
}

function real(plan: Plan, database: Database): Variant {
  const name = "/bin/true on a real worker, SQLite, aedes";
  return {
    name,
    async round() {
      const system = await System.start({ database, broker: "aedes", profileDir: plan.profileDir });
      try {
        await system.realWorker("bench-worker");
        return rows(name, await trips(plan, system));
      } finally {
        await system.close();
      }
    },
    close: () => database.close(),
  };
}

async function trips(plan: Plan, system: System): Promise<readonly number[]> {
  const { url, token } = system;
  const { warm, count } = countsOf(plan);
  const taskId = await system.trueTask();
  const ask = { url, token, taskId, perSecond };
  await system.load.ask<RoundTripsDone>("roundTrips", { ...ask, count: warm });
  const { latencies } = await system.load.ask<RoundTripsDone>("roundTrips", { ...ask, count });
  await checkRuns(system.database, warm + count);
  return latencies;
}

function peer(plan: Plan, durability: Durability, missing: string | undefined): Variant {
  const name = `BullMQ, no-op, Redis ${durability}`;
  return {
    name,
    ...(missing === undefined ? {} : { missing }),
    async round() {
      const bullmq = await BullMq.start(durability);
      try {
        const { warm, count } = countsOf(plan);
        await bullmq.latencies({ perSecond, count: warm, concurrency: 50 });
        return rows(name, await bullmq.latencies({ perSecond, count, concurrency: 50 }));
      } finally {
        await bullmq.close();
      }
    },
  };
}

function rows(
  name: string,
  latencies: readonly number[],
  wanted?: { readonly p50: Aim; readonly p99: Aim },
  beside?: string,
): Measure[] {
  return (["p50", "p99"] as const).map((which) => ({
    what: `${name}: ${which}`,
    unit: "ms",
    better: "lower",
    value: percentile(latencies, which === "p50" ? 0.5 : 0.99),
    ...(wanted ? { aim: wanted[which] } : {}),
    ...(beside === undefined ? {} : { peer: `${beside}: ${which}` }),
  }));
}
