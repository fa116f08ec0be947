/**
 * `npm run demo`: creates a task from a script file, starts it, follows its output and prints its result, all through the
 * public API: of the system at MUSTER_URL with MUSTER_TOKEN, or of one of its own that it removes afterwards.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configOrExit } from "../schema/kit/config.ts";
import { readClientConfig } from "./config.ts";
import { apiOf, type Api } from "./demo/api.ts";
import { startOwnSystem } from "./demo/system.ts";
import { takeNoArguments } from "./no-arguments.ts";

const usage = `Usage: npm run demo

Creates a task from a script file, starts it, follows its output and prints its result, all through the API: of the system at
MUSTER_URL with MUSTER_TOKEN, or else of one of its own in a temporary folder that it removes.`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function show(api: Api): Promise<void> {
  const script = join(import.meta.dirname, "demo/census.sh");
  const task = await api.json("PUT", "/tasks/by-name/demo", {
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
  const client = configOrExit(() => readClientConfig("demo"));
  if (client) {
    say(`on ${client.url}`);
    await show(apiOf(client));
    return;
  }
  say("starting a system of its own (MUSTER_URL and MUSTER_TOKEN would name another)");
  await using system = await startOwnSystem();
  await show(apiOf(system.client));
  say("done; its system and its folder are removed");
}

try {
  await main();
} catch (error) {
  process.stderr.write(`muster demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
