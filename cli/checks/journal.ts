/** A worker's folder on this host: looked at without disturbing an agent that runs. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { commandOf } from "../../schema/command.ts";
import { bootClock } from "../../schema/kit/clock.ts";
import { workerLimits } from "../../schema/limits.ts";
import { healthOf } from "../../worker/health.ts";
import { fail, pass, warn, type Check, type Finding } from "./finding.ts";
import { roomIn } from "./folder.ts";
import { isHeld } from "./lock.ts";

/** `folder` is `worker` in the data folder; it is there. */
export function journalCheck(folder: string): Check {
  return {
    name: "worker",
    run: async () => [agentIn(folder), journalIn(folder), ...asideIn(folder), reserveIn(folder), roomIn("worker:disk", folder)],
  };
}

function agentIn(folder: string): Finding {
  const { ok, sentence } = healthOf(folder, bootClock());
  if (ok) return pass("worker:agent", sentence);
  const advice = isHeld(join(folder, "lock.db"))
    ? "It runs: its log says more, and docs/operations.md, Alarms, what to do when it is refused."
    : `Start it (${commandOf("worker")}), or look at its log.`;
  return fail("worker:agent", sentence, `${advice} What it started goes on meanwhile.`);
}

/** A running agent has its journal for itself, and has checked it at its start. */
function journalIn(folder: string): Finding {
  const file = join(folder, "journal.db");
  if (!existsSync(file))
    return warn("worker:journal", `there is no journal in ${folder}`, "The first start of the agent makes one.");
  if (isHeld(join(folder, "lock.db"))) return pass("worker:journal", `an agent runs on ${folder} and has its journal open`);
  try {
    const database = new DatabaseSync(file, { readOnly: true, timeout: 0 });
    try {
      const said = String(Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {})[0]);
      if (said !== "ok") return broken(file, said);
      const counts = database
        .prepare("SELECT (SELECT count(*) FROM ledger) AS attempts, (SELECT count(*) FROM reports) AS reports FROM meta")
        .get() as { attempts: number; reports: number } | undefined;
      if (!counts) return broken(file, "it has no head");
      return pass(
        "worker:journal",
        `the journal is whole: ${counts.attempts} attempts in its ledger, ${counts.reports} reports that nobody has acknowledged`,
      );
    } finally {
      database.close();
    }
  } catch (error) {
    return broken(file, error instanceof Error ? error.message : String(error));
  }
}

function broken(file: string, why: string): Finding {
  return fail(
    "worker:journal",
    `the journal ${file} cannot be read: ${why}`,
    "Do not put an older copy back. The agent moves it aside at its next start and begins anew; what it ran becomes lost.",
  );
}

function asideIn(folder: string): Finding[] {
  const aside = readdirSync(folder).filter((name) => /^journal\.db\.(corrupt|replaced)-\d+$/.test(name));
  if (aside.length === 0) return [];
  return [
    warn(
      "worker:aside",
      `journals were moved aside in ${folder}: ${aside.toSorted().join(", ")}`,
      "What ran under them is not watched any more: look whether something of it still runs, then remove them.",
    ),
  ];
}

function reserveIn(folder: string): Finding {
  const file = join(folder, "journal.reserve");
  const bytes = existsSync(file) ? statSync(file).size : 0;
  if (bytes >= workerLimits.journalReserveBytes) return pass("worker:reserve", "the journal's reserve on the disk is held");
  return fail(
    "worker:reserve",
    `the journal's reserve in ${folder} is not held: the disk was full, and starts are refused`,
    "Free some room on that disk; the agent takes the reserve again by itself.",
  );
}
