/** What is in the database when a benchmark has ended: every run whole, or the benchmark has failed. */
import { kindsOf } from "../../manager/store/event-rows.ts";
import type { Database } from "./database.ts";

/** The events that each run which went well leaves, one of each kind. */
const kindsOfEachRun = ["runQueued", "attemptSent", "attemptEnded", "runEnded"] as const;

/**
 * Rejects unless there are exactly `runs` runs, all succeeded, each with one attempt that has its end, and with its events.
 * Knows the tables by name: it asks the database and not the API, because the API could be wrong in the same way twice.
 */
export async function checkRuns(database: Database, runs: number): Promise<void> {
  const wrong: string[] = [];
  const expect = (what: string, found: number): void => {
    if (found !== runs) wrong.push(`${found} ${what}`);
  };
  const states = await counts(database, "SELECT state AS k, COUNT(*) AS n FROM runs GROUP BY state");
  expect("runs that succeeded", states["succeeded"] ?? 0);
  const others = Object.entries(states).filter(([state]) => state !== "succeeded");
  if (others.length > 0) wrong.push(`runs in other states: ${others.map(([state, n]) => `${n} ${state}`).join(", ")}`);
  const ended = "how_ended IS NOT NULL AND ended_at IS NOT NULL";
  expect("runs with an end", await count(database, `SELECT COUNT(*) AS n FROM runs WHERE ${ended}`));
  expect("attempts with an end", await count(database, `SELECT COUNT(*) AS n FROM attempts WHERE state = 'ended' AND ${ended}`));
  expect("attempts", await count(database, "SELECT COUNT(*) AS n FROM attempts"));
  const rows = await counts(database, "SELECT kind AS k, COUNT(*) AS n FROM events WHERE run_id IS NOT NULL GROUP BY kind");
  const events = new Map<string, number>();
  for (const [text, n] of Object.entries(rows)) for (const kind of kindsOf(text)) events.set(kind, (events.get(kind) ?? 0) + n);
  for (const kind of kindsOfEachRun) expect(`events ${kind}`, events.get(kind) ?? 0);
  if (wrong.length > 0) throw new Error(`${runs} runs were accepted, the database has ${wrong.join("; ")}`);
}

async function count(database: Database, sql: string): Promise<number> {
  return Number((await database.rows(sql))[0]?.["n"]);
}

async function counts(database: Database, sql: string): Promise<Record<string, number>> {
  const rows = await database.rows(sql);
  return Object.fromEntries(rows.map((row) => [String(row["k"]), Number(row["n"])]));
}
