/**
 * The database goes away while runs end and clients call: killed, stopped, slow, and with connections that break in the middle of a
 * commit. What ended is known afterwards, and each 503 meant what it said.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { until } from "../../kit/until.ts";
import { countAnswers, judgeAnswers } from "../load/answers.ts";
import { Clients } from "../load/clients.ts";
import { residentMb, seconds, sumOf } from "../load/figures.ts";
import { drained, keepingOnFailure, verdict, witnessed } from "../load/verdict.ts";
import type { Findings, Scenario } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

const workers = ["d1", "d2", "d3", "d4"] as const;
/**
 * What the manager may need beyond what it needed in the first fifth of an outage, during the rest of it and after. Not beyond what
 * it needed before: V8 takes all the heap that it may have as soon as requests wait, and keeps it.
 */
const mostGrowthMb = 64;
/** What it may need at all: the heap below, filled, and what a process of Node needs beside it. */
const mostMb = 400;
/** In which V8 does not put its work off: a manager that grows without end ends here. */
const smallHeap = "--max-old-space-size=192";
const quickTask = "quick";

interface Stage {
  readonly system: System;
  readonly isFull: boolean;
  readonly say: (line: string) => void;
  /** All clients so far, and what was told to them. */
  readonly clients: Clients[];
  readonly closing: AsyncDisposableStack;
  readonly seen: string[];
  readonly figures: Record<string, number>;
}

export const database: Scenario = {
  name: "database",
  about:
    "the database is killed, stopped, slow and cut in mid-commit while 200 runs end: 200 ends arrive, each 503 kept its word",
  missing: systemMissing,
  async play(size, say) {
    const isFull = size.kind === "full";
    await using system = await System.start({
      managers: ["m1"],
      workers: isFull ? workers : workers.slice(0, 2),
      managerEnv: { NODE_OPTIONS: smallHeap, ...(isFull ? { MUSTER_HEARTBEAT_MS: "1000" } : {}) },
      workerEnv: { MUSTER_WORKER_SLOTS: "60" },
    });
    return await keepingOnFailure(system, () => playOn(system, isFull, say));
  },
};

async function playOn(system: System, isFull: boolean, say: (line: string) => void): Promise<Findings> {
  await using clients = new AsyncDisposableStack();
  const stage: Stage = { system, isFull, say, clients: [], closing: clients, seen: [], figures: {} };
  const taskId = await system.task({ name: quickTask, script: "exit 0" });
  await warmUp(stage, taskId);
  // A scaled hour: several times the loss of a worker (7.5 s), a lease, and the MQTT keepalive with its grace (45 s).
  await away(stage, taskId, "killed", isFull ? 150_000 : 1_500);
  if (isFull) {
    await away(stage, taskId, "stopped", 60_000);
    await slow(stage, taskId);
  }
  await resets(stage, taskId, isFull ? 30_000 : 2_000);
  system.healed();
  await drained(system, 120_000);
  for (const clients of stage.clients) stage.seen.push(...judgeAnswers(clients.starts));
  const setAside = await sumOf(system.client, "muster_set_aside_total").catch(() => 0);
  if (setAside > 0) stage.seen.push(`${setAside} messages or requests were set aside`);
  const { violations, figures } = await verdict(system, stage.seen);
  const answers = countAnswers(stage.clients.flatMap(({ starts }) => starts));
  return { figures: { ...stage.figures, ...answers, runs: figures.runs, processes: figures.processes }, violations };
}

/** Requests before the first outage, so that what is measured later is growth and not the first use of everything. */
async function warmUp(stage: Stage, taskId: string): Promise<void> {
  const clients = clientsOf(stage, taskId, "warm");
  clients.begin(stage.isFull ? 100 : 50);
  await until("the clients to have been taken", () => clients.accepted >= (stage.isFull ? 500 : 50), 60_000);
  await clients.finish(60_000);
  await drained(stage.system, 60_000);
}

/** Even starts take a `not-taken` at its word, odd ones repeat until they are taken. */
function clientsOf({ system, clients, closing }: Stage, taskId: string, prefix: string): Clients {
  const urls = [...system.edges.clientManager.values()].map(({ port }) => `http://127.0.0.1:${port}`);
  const { history, managers } = system;
  const made = new Clients({
    history,
    token: managers.token,
    taskId,
    urls,
    // Longer than a manager waits for a commit before it says that it does not know.
    patienceMs: 20_000,
    prefix,
    givesUp: (number) => number % 2 === 0,
  });
  clients.push(closing.use(made));
  return made;
}

/** Runs end and clients call while nobody can store anything. */
async function away(stage: Stage, taskId: string, how: "killed" | "stopped", awayMs: number): Promise<void> {
  const { system, isFull, figures, seen, say } = stage;
  const count = isFull ? 200 : 40;
  const gate = join(system.folder, `gate-${how}`);
  const script = `while [ ! -e '${gate}' ]; do sleep 0.2; done; head -c 20000 /dev/zero | tr '\\0' x; exit "$PARAM_code"`;
  const gated = await system.task({ name: how, script, params: { code: "0" } });
  const before = witnessed(system);
  await system.client.startManySurely(
    Array.from({ length: count }, (_, n) => ({ taskId: gated, tag: `${how}-${n}`, params: { code: String(n % 3) } })),
  );
  await until("all to run", () => witnessed(system).began === before.began + count, 120_000);
  const manager = system.managers.member("m1");
  const beforeMb = residentMb(manager, "VmRSS");
  const clients = clientsOf(stage, taskId, `while-${how}-`);
  // Half of them come again and again until they are taken, so that a long outage gathers a crowd at the door.
  clients.begin(isFull ? 6 : 20);

  if (how === "killed") await system.kill("database");
  else await stopInMidCommit(system, clients);
  const sinceMs = performance.now();
  say(`the database is ${how}; ${count} runs end meanwhile`);
  writeFileSync(gate, "");
  await until("all to have ended", () => witnessed(system).ended >= before.ended + count, 60_000);
  await until("a client to be refused", () => countAnswers(clients.starts).notTaken > 0, 60_000);
  const awayUntil = (ms: number): Promise<void> => pause(Math.max(0, ms - (performance.now() - sinceMs)));
  await awayUntil(awayMs / 5);
  const firstMb = residentMb(manager, "VmHWM");
  await awayUntil(awayMs);
  const refused = countAnswers(clients.starts);

  if (how === "killed") await system.restart("database");
  else system.resume("database");
  const backMs = performance.now();
  await until("clients to be taken again", () => countAnswers(clients.starts).accepted > refused.accepted, 60_000);
  figures[`${how}Seconds`] = seconds(backMs - sinceMs);
  figures[`${how}TakenAgainSeconds`] = seconds(performance.now() - backMs);
  if (!(await clients.finish(60_000))) seen.push(`clients were still not answered a minute after the database had been ${how}`);
  await drained(system, 120_000);
  figures[`${how}AllKnownAfterSeconds`] = seconds(performance.now() - backMs);
  const mostSeenMb = residentMb(manager, "VmHWM");
  const growthMb = mostSeenMb - firstMb;
  figures[`${how}EndsWhileAway`] = count;
  figures[`${how}NotTaken`] = refused.notTaken;
  const unknown = countAnswers(clients.starts).outcomeUnknown;
  figures[`${how}OutcomeUnknown`] = unknown;
  if (how === "stopped" && unknown === 0) seen.push("nobody was told outcome-unknown, so that nobody's word on it was tried");
  figures[`${how}ManagerMemoryBeforeMb`] = beforeMb;
  figures[`${how}ManagerMemoryInFirstFifthMb`] = firstMb;
  figures[`${how}ManagerMemoryGrowthMb`] = growthMb;
  if (mostSeenMb > mostMb) seen.push(`the manager took ${mostSeenMb} MB; at most ${mostMb} are borne`);
  if (growthMb > mostGrowthMb)
    seen.push(`the manager grew by ${growthMb} MB while the database was ${how}; at most ${mostGrowthMb} are borne`);
}

/** Stops the server while a crowd waits for a commit: what became of these nobody can tell them in time. */
async function stopInMidCommit(system: System, clients: Clients): Promise<void> {
  const edge = system.edges.managerDatabase.get("m1");
  edge?.delay(200);
  const accepted = clients.accepted;
  await until("a commit over the slow edge", () => clients.accepted > accepted, 60_000);
  for (let more = 0; more < 40; more += 1) clients.start();
  // Their keys are read by then, and their batch is on its way.
  await pause(600);
  system.pause("database");
  edge?.heal();
}

/** Every byte to and from the database is half a second late: slow, and nothing else. */
async function slow(stage: Stage, taskId: string): Promise<void> {
  const { system, figures, seen, say } = stage;
  say("the database is half a second away in each direction");
  const edge = system.edges.managerDatabase.get("m1");
  edge?.delay(500);
  const clients = clientsOf(stage, taskId, "slow-");
  const sinceMs = performance.now();
  clients.begin(20);
  await until("100 starts to be taken", () => clients.accepted >= 100, 120_000);
  figures["slow100StartsSeconds"] = seconds(performance.now() - sinceMs);
  if (!(await clients.finish(120_000))) seen.push("with a slow database clients were not answered within two minutes");
  figures["slowRefused"] = countAnswers(clients.starts).notTaken + countAnswers(clients.starts).outcomeUnknown;
  await drained(system, 120_000);
  figures["slowAllEndedSeconds"] = seconds(performance.now() - sinceMs);
  edge?.heal();
}

/** Connections to the database break all the time: before the server has heard of a commit, and after it, before it could answer. */
async function resets(stage: Stage, taskId: string, forMs: number): Promise<void> {
  const { system, isFull, figures, seen, say } = stage;
  say("connections to the database break again and again");
  const edge = system.edges.managerDatabase.get("m1");
  const clients = clientsOf(stage, taskId, "reset-");
  clients.begin(isFull ? 50 : 25);
  let breaks = 0;
  for (const sinceMs = performance.now(); performance.now() - sinceMs < forMs; breaks += 1) {
    // In turn: at once, or what the server says next is never heard.
    if (breaks % 2 === 1) edge?.silence("server");
    await pause(40);
    edge?.drop();
    edge?.heal();
    await pause(100 + (breaks % 5) * 60);
  }
  if (!(await clients.finish(60_000))) seen.push("clients were still not answered a minute after the last connection broke");
  const answers = countAnswers(clients.starts);
  figures["resets"] = breaks;
  figures["resetsAccepted"] = answers.accepted;
  figures["resetsNotTaken"] = answers.notTaken;
  figures["resetsOutcomeUnknown"] = answers.outcomeUnknown;
}
