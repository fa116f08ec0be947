/** What a scenario of load waits for and reports, from the system under test. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../kit/until.ts";
import type { Judgement } from "../checker.ts";
import { readWitnessLine } from "../history.ts";
import type { System } from "../system.ts";

/** The most sentences that a scenario prints: a thousand say no more than the first few and their number. */
const mostSentences = 20;

/** Processes that have written that they began, and that they ended, so far. */
export function witnessed(system: System): { readonly began: number; readonly ended: number } {
  const lines = system.managers.witnessLines().flatMap((text) => readWitnessLine(text) ?? []);
  const began = lines.filter(({ code }) => code === null).length;
  return { began, ended: lines.length - began };
}

/** Waits until no run is left that has not ended, as the database has them; what is stuck the checker names. */
export async function drained(system: System, withinMs: number): Promise<void> {
  await until("all runs to have ended", async () => (await openRuns(system)) === 0, withinMs).catch(() => undefined);
}

/** Runs in the database that have not ended; while it is away nobody knows how many. */
async function openRuns(system: System): Promise<number> {
  try {
    const rows = await system.database.admin("SELECT COUNT(*) AS n FROM runs WHERE ended_at IS NULL", "muster_1");
    return Number(rows[0].n);
  } catch {
    return Number.NaN;
  }
}

/** The checker's word on the whole history, and what the scenario itself has seen. What somebody must look at is kept. */
export async function verdict(
  system: System,
  seen: readonly string[],
): Promise<{ readonly violations: readonly string[]; readonly figures: Judgement["figures"] }> {
  const { violations, figures } = await system.judge();
  const all = [...seen, ...violations.map(({ kind, sentence }) => `${kind}: ${sentence}`)];
  if (all.length === 0) return { figures, violations: [] };
  const kept = system.keep();
  await keepOpenRuns(system, join(kept, "open-runs.json"));
  const more = all.length - mostSentences;
  const told = more > 0 ? [...all.slice(0, mostSentences), `… and ${more} more`] : all;
  return { figures, violations: [...told, `(the history, every log and what was open are in ${kept})`] };
}

/** Runs that have not ended, with their attempts, as the database has them. */
async function keepOpenRuns(system: System, file: string): Promise<void> {
  const database = "muster_1";
  const rows = [
    await system.database.admin("SELECT * FROM leases", database),
    await system.database.admin("SELECT * FROM runs WHERE ended_at IS NULL LIMIT 100", database),
    await system.database.admin(
      "SELECT a.* FROM attempts a JOIN runs r ON r.id = a.run_id WHERE r.ended_at IS NULL LIMIT 200",
      database,
    ),
  ];
  writeFileSync(file, JSON.stringify(rows, null, 1));
}

/** Plays, and keeps what there is when the play itself cannot go on. */
export async function keepingOnFailure<T>(system: System, play: () => Promise<T>): Promise<T> {
  try {
    return await play();
  } catch (error) {
    const kept = system.keep();
    throw new Error(`${error instanceof Error ? error.message : String(error)} (the history and every log are in ${kept})`, {
      cause: error,
    });
  }
}
