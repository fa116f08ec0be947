import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { Fleet } from "../../kit/fleet.ts";
import { makeGate } from "../../kit/gate.ts";
import { OwnHost, ownHostMissing, type Decoy } from "../../kit/own-host.ts";
import { until } from "../../kit/until.ts";
import { countsOf, Notes } from "../hosts/findings.ts";
import { linesOf, stateIn } from "../hosts/lone-worker.ts";
import type { Scenario } from "../scenario.ts";

/** Where an attempt stands when the power goes, or what its task says. */
const parts = ["running", "timed", "retry", "fail", "done", "unsent", "launching", "accepted"] as const;
type Part = (typeof parts)[number];

type Sizes = Readonly<Record<Part, number>>;
const full: Sizes = { running: 40, timed: 5, retry: 5, fail: 5, done: 10, unsent: 10, launching: 5, accepted: 5 };
const small: Sizes = { running: 2, timed: 1, retry: 1, fail: 1, done: 1, unsent: 1, launching: 1, accepted: 1 };

/** A start stays fresh for as long as it takes until the power goes. */
const env = {
  MUSTER_HEARTBEAT_MS: "1000",
  MUSTER_START_TTL_INTERVALS: "60",
  MUSTER_WORKER_LOST_INTERVALS: "120",
  MUSTER_WORKER_SLOTS: "100",
};

/** So large that it is fetched over HTTP; where nobody answers, its start stays accepted. */
const largeScript = `# ${"x".repeat(60_000)}\n`;

interface Stage {
  readonly fleet: Fleet;
  readonly notes: Notes;
  readonly sizes: Sizes;
  readonly gates: Readonly<Record<"done" | "unsent" | "never", { readonly wait: string; letPass(count: number): void }>>;
  readonly runs: Map<Part, readonly string[]>;
}

export const reboot: Scenario = {
  name: "reboot",
  about:
    "A worker's host loses its power and boots with nobody in reach: each attempt gets the end that the rules say, nothing starts, no stranger is signalled.",
  missing: ownHostMissing,
  async play({ kind }, say) {
    await using stack = new AsyncDisposableStack();
    const sizes = kind === "full" ? full : small;
    const fleet = stack.use(await Fleet.startApart(env));
    const host = stack.use(await OwnHost.boot());
    const gate = (name: string) => stack.use(makeGate(join(fleet.folder, name)));
    const gates = { done: gate("gate-done"), unsent: gate("gate-unsent"), never: gate("gate-never") };
    const stage: Stage = { fleet, notes: new Notes(), sizes, gates, runs: new Map() };
    const deaf = createServer().unref();
    await new Promise<void>((resolve) => deaf.listen(0, "127.0.0.1", resolve));
    stack.defer(() => void deaf.close());
    const { port } = deaf.address() as AddressInfo;
    const agent = await fleet.startWorker("a", { MUSTER_MANAGER_URL: `http://127.0.0.1:${port}` }, host.before);
    await begin(stage, host);
    await loseEverybody(stage);
    gates.unsent.letPass(sizes.unsent);
    await until("the unsent ends to be journalled", () => state(stage).unackedReports >= sizes.unsent, 60_000);
    await host.kill(stateIn(folderOf(stage)).pid);
    await agent.exited;
    gates.done.letPass(sizes.done);
    await until(
      "those that end without an agent to have ended",
      () => exitsOf(stage).length === sizes.done + sizes.unsent,
      60_000,
    );
    await host.off();
    say("the power is gone; the host boots with another boot id, and others have the recorded numbers");
    const second = stack.use(await OwnHost.boot());
    const decoys = await takeNumbers(stage, second);
    const before = linesOf(fleet.witness);
    await decideAlone(stage, second, kind === "full" ? 10 : 1);
    stage.notes.same("witness lines while nobody was in reach", linesOf(fleet.witness).slice(before.length), []);
    say("the agent has decided alone; broker and manager come back");
    await fleet.startBroker();
    await fleet.startManager();
    for (const part of parts) await checkPart(stage, part);
    checkWitness(stage);
    const harmed = await second.harmed(decoys);
    stage.notes.figure("decoys", decoys.length);
    stage.notes.figure("decoysHarmed", harmed.length);
    stage.notes.violated(...harmed);
    return stage.notes.findings;
  },
};

const folderOf = ({ fleet }: Stage): string => join(fleet.folder, "worker-a", "worker");
const attemptsOf = (stage: Stage): string => join(folderOf(stage), "attempts");
const state = (stage: Stage): any => stateIn(folderOf(stage))?.view ?? {};

async function begin(stage: Stage, host: OwnHost): Promise<void> {
  const { fleet, gates, sizes } = stage;
  const waits: Readonly<Record<Part, string>> = {
    running: gates.never.wait,
    timed: gates.never.wait,
    retry: `[ "$MUSTER_ATTEMPT" != 1 ] || ${gates.never.wait}`,
    fail: gates.never.wait,
    done: gates.done.wait,
    unsent: gates.unsent.wait,
    launching: ":",
    accepted: ":",
  };
  const start = async (part: Part): Promise<void> => {
    const script = `${part === "accepted" ? largeScript : ""}echo "$MUSTER_RUN_ID $MUSTER_ATTEMPT" >>${fleet.witness}; ${waits[part]}; exit ${part === "done" || part === "unsent" ? 7 : 0}`;
    const taskId = await fleet.task({
      name: part,
      run: { driver: "script", interpreter: "sh", script },
      timeoutSeconds: part === "timed" ? 3_600 : null,
      onLost: part === "retry" || part === "fail" ? part : "wait",
    });
    stage.runs.set(part, await fleet.startRuns(taskId, sizes[part]));
  };
  for (const part of parts) if (part !== "launching" && part !== "accepted") await start(part);
  const begun = parts.slice(0, 6).reduce((sum, part) => sum + sizes[part], 0);
  await until("all to run", () => linesOf(fleet.witness).length === begun, 120_000);
  await until("all of them to be seen running", async () => (await runsIn(stage, "running")) === begun, 60_000);
  // From here on the launcher makes no shims: what is launched now is journalled, and never begins.
  await host.sh(
    `for pid in $(grep -lzF launcher.sh /proc/[0-9]*/cmdline | cut -d/ -f3); do case $(tr '\\0' ' ' <"/proc/$pid/cmdline") in *launcher.sh\\ launch\\ /*) kill -s STOP "$pid" ;; esac; done`,
  );
  for (const part of ["launching", "accepted"] as const) {
    await start(part);
    for (const id of stage.runs.get(part) ?? [])
      await until(`${part} ${id} to be accepted`, async () => (await fleet.run(id)).attempts[0]?.state === "accepted", 60_000);
  }
}

async function runsIn({ fleet }: Stage, runState: string): Promise<number> {
  return (await fleet.call("GET", `/runs?state=${runState}&limit=200`)).body.items.length;
}

async function loseEverybody({ fleet }: Stage): Promise<void> {
  if (!fleet.manager || !fleet.broker) throw new Error("no manager or broker");
  await Promise.all([fleet.kill(fleet.manager), fleet.kill(fleet.broker)]);
}

/** Attempts whose shim has written how they ended. */
function exitsOf(stage: Stage): string[] {
  return readdirSync(attemptsOf(stage)).filter((id) => {
    const file = join(attemptsOf(stage), id, "exit");
    return existsSync(file) && readFileSync(file, "latin1").includes(" end");
  });
}

/** Gives decoys the numbers that stand in the records; every other record even has the decoy's start time. */
async function takeNumbers(stage: Stage, host: OwnHost): Promise<Decoy[]> {
  // A shim may have served several.
  const decoys = new Map<string, Decoy>();
  for (const [i, id] of readdirSync(attemptsOf(stage)).entries()) {
    const file = join(attemptsOf(stage), id, "started");
    const claim = readFileSync(file, "latin1")
      .split("\n")
      .find((line) => line.startsWith(`${id} `) && line.endsWith(" end"));
    if (claim === undefined) continue;
    const [, pid = "", , bootId = ""] = claim.split(" ");
    const decoy = decoys.get(pid) ?? (await host.decoy(Number(pid)));
    decoys.set(pid, decoy);
    if (i % 2 === 0) writeFileSync(file, `\n${id} ${pid} ${decoy.startTicks} ${bootId} ${pid} ${pid} end\n`);
  }
  return [...decoys.values()];
}

/** Starts the agent on the new boot with nobody in reach, and waits until it has decided about all that it had. */
async function decideAlone(stage: Stage, host: OwnHost, aloneSeconds: number): Promise<void> {
  const { fleet, notes, sizes } = stage;
  const oldPid = stateIn(folderOf(stage)).pid as number;
  const agent = fleet.spawnWorker("a", {}, host.before);
  const total = parts.reduce((sum, part) => sum + sizes[part], 0);
  const ends = (): number => (stateIn(folderOf(stage))?.bootId === host.bootId ? (state(stage).unackedReports ?? 0) : 0);
  await until(`${total} ends to be decided (agent ${oldPid} before)`, () => ends() >= total, 60_000);
  // A watchdog that takes old deadlines for its own would act within a few of its ticks.
  await host.sh(`sleep ${aloneSeconds}`);
  notes.figure("endsDecidedAlone", total);
  notes.same("live attempts of the new agent", state(stage).live, []);
  notes.same("the agent is in touch with anybody", state(stage).connected, false);
  if (agent.process.exitCode !== null) notes.violated(`the agent ended with ${agent.process.exitCode} while nobody was in reach`);
}

const rebooted = { how: "lost", why: "reboot" };
const wanted: Readonly<Record<Part, { readonly state: string; readonly ends: readonly unknown[] }>> = {
  running: { state: "lost", ends: [rebooted] },
  timed: { state: "lost", ends: [rebooted] },
  retry: { state: "succeeded", ends: [rebooted, { how: "exited", code: 0 }] },
  fail: { state: "lost", ends: [rebooted] },
  done: { state: "failed", ends: [{ how: "exited", code: 7 }] },
  unsent: { state: "failed", ends: [{ how: "exited", code: 7 }] },
  launching: { state: "lost", ends: [rebooted] },
  accepted: {
    state: "succeeded",
    ends: [
      { how: "refused", why: "agent restarted" },
      { how: "exited", code: 0 },
    ],
  },
};

async function checkPart({ fleet, notes, runs }: Stage, part: Part): Promise<void> {
  for (const id of runs.get(part) ?? []) {
    const run = await fleet.ended(id, 120_000);
    const seen = { state: run.state, ends: run.attempts.map((attempt: any) => attempt.end) };
    notes.same(`a run that was ${part} when the power went (${id})`, seen, wanted[part]);
    const told = (await fleet.call("GET", `/events?runId=${id}&kind=runEnded`)).body.items.length;
    if (told !== 1) notes.violated(`run ${id} (${part}) ended ${told} times`);
    notes.count("trueEnds", JSON.stringify(seen) === JSON.stringify(wanted[part]) ? 1 : 0);
  }
}

function checkWitness({ fleet, notes, runs }: Stage): void {
  const counts = countsOf(linesOf(fleet.witness));
  notes.figure("startedTwice", [...counts.values()].filter((count) => count > 1).length);
  for (const [line, count] of counts) if (count > 1) notes.violated(`attempt "${line}" was started ${count} times`);
  for (const [part, ids] of runs)
    for (const id of ids) {
      const starts = linesOf(fleet.witness).filter((line) => line.startsWith(`${id} `)).length;
      const should = part === "retry" ? 2 : part === "launching" ? 0 : 1;
      if (starts !== should) notes.violated(`run ${id} (${part}) began ${starts} times, and not ${should}`);
    }
}
