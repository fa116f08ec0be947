/**
 * The broker has little room for a client that does not read, and drops the rest of what it has acknowledged: first commands for a
 * worker, then reports and output for the manager. All of it arrives in the end.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../kit/until.ts";
import { countAnswers, judgeAnswers } from "../load/answers.ts";
import { Clients } from "../load/clients.ts";
import { residentMb, seconds, sumOf } from "../load/figures.ts";
import { judgeOutput, outputScript, type LogOf } from "../load/output.ts";
import { drained, verdict, witnessed } from "../load/verdict.ts";
import type { Scenario } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

const workers = ["q1", "q2"] as const;
/** Mosquitto's own defaults are 20 and 1,000. */
const room = { inFlight: 2, queued: 8 };

interface Stage {
  readonly system: System;
  readonly taskId: string;
  readonly count: number;
  readonly seen: string[];
  readonly logs: LogOf[];
}

export const overload: Scenario = {
  name: "overload",
  about: "the broker drops what waits for a client that does not read: commands, then reports; all of it arrives in the end",
  missing: systemMissing,
  async play(size, say) {
    const count = size.kind === "full" ? 600 : 60;
    await using system = await System.start({
      managers: ["m1"],
      workers,
      // Slots for all: it is the broker that has no room, not the workers.
      workerEnv: { MUSTER_WORKER_SLOTS: String(count) },
      broker: {
        instead: [
          ["max_inflight_messages 1000", `max_inflight_messages ${room.inFlight}`],
          ["max_queued_messages 50000", `max_queued_messages ${room.queued}`],
        ],
      },
    });
    const taskId = await system.task({ name: "output", script: outputScript, params: { n: "0", gate: "" } });
    const stage: Stage = { system, taskId, count, seen: [], logs: [] };
    say("the workers do not read");
    const commands = await workersDoNotRead(stage);
    say("the manager does not read");
    const reports = await managerDoesNotRead(stage);
    system.healed();
    await drained(system, 120_000);
    const drainedMs = performance.now();
    stage.seen.push(...(await judgeOutput(system.client, stage.logs, 60_000)));
    const logsMs = performance.now() - drainedMs;
    const { violations, figures } = await verdict(system, stage.seen);
    return {
      figures: {
        roomInTheBrokerMessages: room.inFlight + room.queued,
        ...commands,
        ...reports,
        acknowledged: figures.acknowledged,
        processes: figures.processes,
        logsRead: stage.logs.length,
        logsCompleteAfterSeconds: seconds(logsMs),
        managerMemoryMostMb: residentMb(system.managers.member("m1"), "VmHWM"),
      },
      violations,
    };
  },
};

/** Clients that start one run after the other, so that each travels in a message of its own. */
function clientsOf({ system, taskId }: Stage, prefix: string, first: number, gate: string): Clients {
  return new Clients({
    history: system.history,
    token: system.managers.token,
    taskId,
    urls: [...system.edges.clientManager.values()].map(({ port }) => `http://127.0.0.1:${port}`),
    patienceMs: 30_000,
    prefix,
    params: (number) => ({ n: String(first + number), gate }),
  });
}

/** Starts runs, which wait for `gate` if it is not empty, until there are enough and `done`. */
async function startAll(stage: Stage, prefix: string, first: number, gate: string, done = () => true): Promise<void> {
  await using clients = clientsOf(stage, prefix, first, gate);
  clients.begin(100);
  await until("enough starts to be taken", () => clients.accepted >= stage.count, 120_000);
  // A manager that stood still for a moment puts many starts into one message, and then it takes more of them.
  await until("it, or enough of them", () => done() || clients.accepted >= 5 * stage.count, 60_000);
  if (!(await clients.finish(60_000))) stage.seen.push(`${prefix}: clients were not answered within a minute`);
  stage.seen.push(...judgeAnswers(clients.starts));
  if (countAnswers(clients.starts).accepted !== clients.starts.length)
    stage.seen.push(`${prefix}: not every start was accepted once`);
  for (const [number, { told }] of clients.starts.entries()) {
    const run = told.at(-1)?.run;
    if (typeof run === "string") stage.logs.push({ run, number: first + number });
  }
}

/** Commands are published to connections that nobody reads: what is beyond the broker's room is gone, though it was acknowledged. */
async function workersDoNotRead(stage: Stage): Promise<Record<string, number>> {
  const { system, seen } = stage;
  const edges = workers.flatMap((id) => system.edges.workerBroker.get(id) ?? []);
  const before = droppedFor(system, "q");
  const sinceMs = performance.now();
  for (const edge of edges) edge.silence("server");
  const hasDropped = (): boolean => droppedFor(system, "q") > before;
  await startAll(stage, "commands-", 0, "", hasDropped);
  await until("the broker to drop", hasDropped, 30_000).catch(() =>
    seen.push("the broker dropped no command, so that nothing was tried"),
  );
  for (const edge of edges) edge.heal();
  const healedMs = performance.now();
  await drained(system, 300_000);
  return {
    commandsStarts: stage.logs.length,
    commandsSilentSeconds: seconds(healedMs - sinceMs),
    commandsAllEndedAfterSeconds: seconds(performance.now() - healedMs),
  };
}

/** Reports and output are published to a manager that does not read; it goes on sending commands, and the workers on working. */
async function managerDoesNotRead(stage: Stage): Promise<Record<string, number>> {
  const { system, seen, logs } = stage;
  const edge = system.edges.managerBroker.get("m1");
  // A new connection: of one that it has dropped something for before, Mosquitto says it no second time.
  edge?.drop();
  await until(
    "the manager to be connected again",
    async () => (await sumOf(system.client, "muster_broker_connected")) === 1,
    60_000,
  );
  const before = { dropped: droppedFor(system, "manager"), began: witnessed(system).began, logs: logs.length };
  const sinceMs = performance.now();
  // The starts go out first, while the workers are known to be there; they end when nobody hears it any more.
  // Hundreds that look whether they may would leave no processor to whoever starts them: a fifo that nobody writes stops them.
  const gate = join(system.folder, "gate");
  execFileSync("mkfifo", [gate]);
  await startAll(stage, "reports-", before.logs, gate);
  await until("enough of them to run", () => witnessed(system).began >= before.began + stage.count, 60_000);
  edge?.silence("server");
  const open = openSync(gate, constants.O_RDWR);
  await until("some to have ended unheard", () => witnessed(system).ended > before.began + stage.count / 2, 60_000);
  await until("the broker to drop", () => droppedFor(system, "manager") > before.dropped, 30_000).catch(() =>
    seen.push("the broker dropped no report, so that nothing was tried"),
  );
  edge?.heal();
  const healedMs = performance.now();
  await drained(system, 300_000);
  closeSync(open);
  return {
    reportsStarts: logs.length - before.logs,
    reportsSilentSeconds: seconds(healedMs - sinceMs),
    reportsAllEndedAfterSeconds: seconds(performance.now() - healedMs),
    managerMessages: await sumOf(system.client, "muster_messages_total"),
  };
}

/** How often the broker has said that it drops what waits for a client whose id begins so; once for each connection. */
function droppedFor(system: System, client: string): number {
  const said = `Outgoing messages are being dropped for client ${client}`;
  return system.broker.output.split("\n").filter((line) => line.includes(said)).length;
}
