/** The manager's database: reachable, up to date, and whether somebody leads with it. */
import { inspectDatabase, type Inspected } from "../../manager/store/inspect.ts";
import { parseHolder } from "../../manager/peers/holder.ts";
import type { LeaseRow } from "../../manager/store/store.ts";
import { commandOf } from "../../schema/command.ts";
import { pause } from "../../schema/kit/backoff.ts";
import { doctorLimits } from "../../schema/limits/doctor.ts";
import { fail, pass, skip, warn, type Check, type Finding } from "./finding.ts";
import { isHeld } from "./lock.ts";

export interface DatabaseAsked {
  readonly databaseUrl: string;
  readonly pools: readonly string[];
  /** How long a lease that nobody renews stands still, ms. */
  readonly leaseStillMs: number;
}

export function databaseCheck(asked: DatabaseAsked): Check {
  return {
    name: "database",
    run: async (signal) => {
      if (asked.databaseUrl === "memory:") return [skip("database", "the database is memory:, and only its manager sees it")];
      const patience = AbortSignal.any([signal, AbortSignal.timeout(doctorLimits.answerMs)]);
      let inspected: Inspected;
      try {
        inspected = await inspectDatabase(asked.databaseUrl, patience);
      } catch (error) {
        const advice =
          "Does it run, and are MUSTER_DATABASE_URL and MUSTER_DATA_DIR those of the manager? Workers go on meanwhile, and nothing is lost.";
        return [fail("database", error instanceof Error ? error.message : String(error), advice)];
      }
      await using database = inspected;
      return [...settings(database), migrated(database), ...(await leases(database, asked, signal))];
    },
  };
}

function settings({ checks }: Inspected): Finding[] {
  return checks.map(({ name, ok, sentence }) => {
    const full = name === "database" ? name : `database:${name}`;
    if (ok) return pass(full, sentence);
    return name === "database"
      ? fail(full, sentence, "Does the server run? Its own log says more.")
      : warn(full, sentence, "Set it as docs/operations.md says under MariaDB; GET /health says the same.");
  });
}

function migrated({ pending }: Inspected): Finding {
  if (pending.length === 0) return pass("database:migrated", "its tables are those of this release");
  return warn(
    "database:migrated",
    `its tables lack ${pending.join(", ")}`,
    `The next start of a manager of this release (${commandOf("manager")}) makes them.`,
  );
}

async function leases(database: Inspected, asked: DatabaseAsked, signal: AbortSignal): Promise<Finding[]> {
  const before = await database.leases();
  const known = before.map(({ pool }) => pool);
  const never = asked.pools.filter((pool) => !known.includes(pool));
  const findings = never.map((pool) =>
    fail(
      `lease:${pool}`,
      `nobody has ever led the pool ${pool}`,
      `Start a manager that serves it (MUSTER_POOLS): ${commandOf("manager")}.`,
    ),
  );
  if (database.lockFile !== null) return [...findings, ...before.map((lease) => locked(lease, database.lockFile ?? ""))];
  const moving = await movingWithin(database, before, asked.leaseStillMs, signal);
  return [...findings, ...before.map((lease) => renewed(lease, moving.has(lease.pool), asked.leaseStillMs))];
}

function locked(lease: LeaseRow, lockFile: string): Finding {
  const name = `lease:${lease.pool}`;
  if (isHeld(lockFile))
    return pass(name, `a manager has the database for itself and leads the pool ${lease.pool} (term ${lease.term})`);
  return fail(
    name,
    `no manager runs on this database: nobody leads the pool ${lease.pool}`,
    `Start one: ${commandOf("manager")}.`,
  );
}

/** With its address: the name is drawn at each start and tells nobody which host it is. */
function named(holder: string): string {
  const { name, address } = parseHolder(holder) ?? { name: "a manager", address: null };
  return address === null ? name : `${name} at ${address}`;
}

/** A lease is somebody's only while it moves: a restored or forgotten one names its last holder for ever. */
async function movingWithin(
  database: Inspected,
  before: readonly LeaseRow[],
  withinMs: number,
  signal: AbortSignal,
): Promise<Set<string>> {
  const moving = new Set<string>();
  const looks = 6;
  for (let look = 0; look < looks && moving.size < before.length && !signal.aborted; look += 1) {
    await pause(withinMs / looks, signal);
    for (const now of await database.leases()) {
      const then = before.find(({ pool }) => pool === now.pool);
      if (then?.term !== now.term || then.batch !== now.batch || then.beat !== now.beat) moving.add(now.pool);
    }
  }
  return moving;
}

function renewed({ pool, holder, term }: LeaseRow, moves: boolean, withinMs: number): Finding {
  const name = `lease:${pool}`;
  const who = holder === "" ? "a manager" : named(holder);
  if (moves) return pass(name, `${who} leads the pool ${pool} (term ${term}), and its lease moves`);
  return fail(
    name,
    `the lease of the pool ${pool} has not moved for ${withinMs / 1_000} s: ${holder === "" ? "it was given back" : `${who} had it last`}, and nobody leads`,
    `Start a manager that serves it: ${commandOf("manager")}. Requests are answered 503 meanwhile, and nothing is lost.`,
  );
}
