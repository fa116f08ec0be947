/** (e) Ten thousand workers that do nothing but live. */
import { kindsOf } from "../../manager/store/event-rows.ts";
import { residentMb } from "../kit/cpu.ts";
import { sqlite } from "../kit/database.ts";
import type { Measure } from "../kit/figure.ts";
import { System } from "../kit/system.ts";
import type { Plan, Section, Variant } from "../kit/section.ts";

/** Enough for every worker to beat several times, at the interval that the manager gives to a fleet of this size. */
const windowMs = 60_000;

function fleetSize(plan: Plan): number {
  return plan.quick ? 100 : 10_000;
}

export const heartbeats: Section = {
  letter: "e",
  title: "A large fleet at rest",
  about: `10,000 simulated workers, each with an MQTT connection of its own to the manager's embedded broker, beat for a minute at the interval that
the manager gives them; the rounds are minutes of the same fleet. A worker that is called unreachable or lost, all of them being well, fails
the measurement. CPU is the share of one core; *joining* is from the first connection to the last sync, and is bounded by the
embedded broker's 500 connections a second. *Bare* is the manager's memory before the first of them came.`,
  variants: (plan) => Promise.resolve([variant(plan)]),
};

interface Joined {
  readonly system: System;
  readonly bareMb: number;
  readonly joinSeconds: number;
}

function variant(plan: Plan): Variant {
  const database = sqlite();
  const count = fleetSize(plan);
  let joined: Joined | undefined;
  return {
    name: `${count} workers`,
    async round() {
      joined ??= await join(plan, database, count);
      const { system, bareMb, joinSeconds } = joined;
      const forMs = plan.quick ? 1_000 : windowMs;
      const before = { cpu: system.cpuMs(), tally: await system.tally() };
      await new Promise((done) => setTimeout(done, forMs));
      const after = { cpu: system.cpuMs(), tally: await system.tally() };
      await checkNobodyLost(system, count);
      const share = ((after.cpu["manager"] ?? 0) - (before.cpu["manager"] ?? 0)) / forMs;
      const beats = ((after.tally.heartbeats - before.tally.heartbeats) * 1_000) / forMs;
      const name = `${count.toLocaleString("en-US")} workers`;
      const row = (what: string, unit: string, value: number, better: Measure["better"] = "lower"): Measure => ({
        what: `${name}: ${what}`,
        unit,
        better,
        value,
      });
      return [
        row("heartbeats", "/s", beats, "higher"),
        row("the manager's CPU", "cores", share),
        row("the manager's memory", "MiB", residentMb(system.manager.pid)),
        row("the manager's memory, bare", "MiB", bareMb),
        row("joining", "s", joinSeconds),
        { ...row("called unreachable or lost", "workers", 0), aim: { atMost: 0 } },
      ];
    },
    async close() {
      await joined?.system.close();
      await database.close();
    },
  };
}

async function join(plan: Plan, database: ReturnType<typeof sqlite>, count: number): Promise<Joined> {
  const system = await System.start({ database, broker: "aedes", profileDir: plan.profileDir });
  try {
    const bareMb = residentMb(system.manager.pid);
    const begun = performance.now();
    await system.simulate(count, 10);
    return { system, bareMb, joinSeconds: (performance.now() - begun) / 1_000 };
  } catch (error) {
    await system.close();
    throw error;
  }
}

/** By the history and by what the manager says now. */
async function checkNobodyLost(system: System, count: number): Promise<void> {
  const rows = await system.database.rows("SELECT DISTINCT kind AS k FROM events");
  const kinds = new Set(rows.flatMap((row) => kindsOf(String(row["k"]))));
  for (const kind of ["workerUnreachable", "workerLost"] as const)
    if (kinds.has(kind)) throw new Error(`workers that were well have events ${kind}`);
  const [online] = await system.database.rows("SELECT COUNT(*) AS n FROM workers WHERE state = 'online'");
  if (Number(online?.["n"]) !== count) throw new Error(`${online?.["n"]} of ${count} workers are online`);
}
