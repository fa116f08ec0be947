/**
 * `npm run demo`: creates a task from a script file, starts it, follows its output and prints its result, all through the
 * public API: of the system at MUSTER_URL with MUSTER_TOKEN, or of one of its own that it removes afterwards.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configOrExit } from "../schema/kit/config.ts";
import { defaultPool } from "../schema/ids.ts";
import { apiOf, type Api } from "./demo/api.ts";
import { readDemoConfig, type Elsewhere } from "./demo/config.ts";
import { startOwnSystem, type OwnSystem } from "./demo/system.ts";
import { takeNoArguments } from "./no-arguments.ts";

const usage = `Usage: npm run demo

Creates a task from a script file, starts it, follows its output and prints its result, all through the API: of the system at
MUSTER_URL with MUSTER_TOKEN, or else of one of its own in a temporary folder that it removes.

Its own system uses the database at MUSTER_DATABASE_URL and the broker at MUSTER_BROKER_URL, when they are given:

  MUSTER_DATABASE_URL=mysql://user:password@host/database MUSTER_BROKER_URL=mqtt://user:password@host npm run demo

That user of the broker may read and write <prefix>/v1/#; without one the broker must let anybody in. The demo works in a pool with
a name of its own, so what runs there already is not disturbed. Its tables and the pool's rows stay in that database.`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function show(api: Api, pool: string): Promise<void> {
  const script = join(import.meta.dirname, "demo/census.sh");
  const task = await api.json("PUT", pool === defaultPool ? "/tasks/by-name/demo" : `/tasks/by-name/demo?pool=${pool}`, {
    run: { driver: "script", interpreter: "sh", script: "exit 1" },
    params: { lines: "4" },
    timeoutSeconds: 60,
  });
  await api.upload(`/tasks/${String(task["id"])}/script`, readFileSync(script, "utf8"));
  say(`task ${String(task["id"])} made from ${script}`);
  const started = await api.json("POST", `/tasks/${String(task["id"])}/start`, { params: { lines: "6" }, reason: "the demo" });
  const runId = String(started["id"]);
  say(`run ${runId} is ${String(started["state"])}; its output:`);
  let atLineStart = true;
  await api.follow(`/runs/${runId}/logs?follow=true`, (text) => {
    for (const line of text.split(/(?<=\n)/)) {
      process.stdout.write(`${atLineStart && line !== "" ? "  | " : ""}${line}`);
      if (line !== "") atLineStart = line.endsWith("\n");
    }
  });
  const run = await api.json("GET", `/runs/${runId}?waitSeconds=30`);
  say(`run ${runId} ${String(run["state"])}: ${JSON.stringify(run["end"])}, result ${JSON.stringify(run["result"])}`);
  if (run["state"] !== "succeeded") throw new Error(`the run should have succeeded; it is ${String(run["state"])}`);
}

async function main(): Promise<void> {
  takeNoArguments(usage);
  const config = configOrExit(() => readDemoConfig());
  if (config.client) {
    say(`on ${config.client.url}`);
    await show(apiOf(config.client), defaultPool);
    return;
  }
  const { elsewhere } = config;
  say("starting a system of its own (MUSTER_URL and MUSTER_TOKEN would name another)");
  await using system = await startSystem(elsewhere);
  await show(apiOf(system.client), system.pool);
  say(
    elsewhere?.database
      ? `done; its folder is removed, and the rows of the pool ${system.pool} stay in the database`
      : "done; its system and its folder are removed",
  );
}

async function startSystem(elsewhere: Elsewhere | undefined): Promise<OwnSystem> {
  if (!elsewhere) return await startOwnSystem();
  const { broker, database } = elsewhere;
  const user = broker?.username === null ? "" : ` as ${broker?.username}`;
  say(
    `on ${database ? "the database that is given" : "a database of its own"} and ${broker ? `the broker at ${broker.url}${user}` : "a broker of its own"}`,
  );
  // Only now: the code of manager and worker is much, and the other systems run it in processes of their own.
  const { startElsewhere } = await import("./demo/elsewhere.ts");
  return await startElsewhere(elsewhere);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`muster demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
