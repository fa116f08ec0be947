import { cpSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fleet, type Member } from "../../kit/fleet.ts";
import { makeGate, type Gate } from "../../kit/gate.ts";
import { until } from "../../kit/until.ts";
import { countsOf, Notes } from "../hosts/findings.ts";
import { linesOf, stateIn } from "../hosts/lone-worker.ts";
import type { Scenario } from "../scenario.ts";

interface Stage {
  readonly fleet: Fleet;
  readonly notes: Notes;
  readonly gate: Gate;
  readonly tasks: Readonly<Record<"waits" | "quick", string>>;
  readonly runs: string[];
}

export const identity: Scenario = {
  name: "identity",
  about:
    "Two agents under one id, a cloned folder, a journal taken back, a journal with broken bytes: refused or recovered in a sentence, and nothing starts twice.",
  async play({ kind }, say) {
    await using stack = new AsyncDisposableStack();
    const fleet = stack.use(await Fleet.start({ MUSTER_HEARTBEAT_MS: "500", MUSTER_WORKER_SLOTS: "100" }));
    const gate = stack.use(makeGate(join(fleet.folder, "gate")));
    const script = (more: string): string => `echo "$MUSTER_RUN_ID $MUSTER_ATTEMPT" >>${fleet.witness}; ${more}exit 6`;
    const task = (name: string, more: string): Promise<string> =>
      fleet.task({ name, run: { driver: "script", interpreter: "sh", script: script(more) }, constraints: ["worker=a"] });
    const tasks = { waits: await task("waits", `${gate.wait}; `), quick: await task("quick", "") };
    const stage: Stage = { fleet, notes: new Notes(), gate, tasks, runs: [] };
    const each = kind === "full" ? 20 : 3;
    let agent = await fleet.startWorker("a");
    await duplicate(stage, agent, each);
    say("a second agent under the same id");
    await clone(stage, agent, each);
    say("a second agent on a copy of the folder");
    agent = await restored(stage, agent, each);
    say("a journal that was taken back");
    for (let round = 0; round < (kind === "full" ? 24 : 1); round += 1) agent = await broken(stage, agent, round);
    checkStarts(stage);
    return stage.notes.findings;
  },
};

async function start(stage: Stage, task: keyof Stage["tasks"], count: number): Promise<readonly string[]> {
  const ids = await stage.fleet.startRuns(stage.tasks[task], count);
  stage.runs.push(...ids);
  return ids;
}

async function running(stage: Stage, ids: readonly string[]): Promise<void> {
  for (const id of ids) await until(`${id} to run`, async () => (await stage.fleet.run(id)).state === "running", 60_000);
}

async function endTruly({ fleet, notes }: Stage, what: string, ids: readonly string[], mayBeLost = false): Promise<void> {
  for (const id of ids) {
    const run = await fleet.ended(id, 120_000).catch(async () => await fleet.run(id));
    if (mayBeLost && run.end?.how === "lost") notes.count("lostBesideClone");
    else notes.same(`the end of ${id} (${what})`, run.end, { how: "exited", code: 6 });
  }
}

const logSince = (member: Member, from: number): string => readFileSync(member.logFile, "utf8").slice(from);

/** A second agent with the same id and password, on a folder of its own. */
async function duplicate(stage: Stage, agent: Member, each: number): Promise<void> {
  const { fleet, notes, gate } = stage;
  const waiting = await start(stage, "waits", each);
  await running(stage, waiting);
  const from = statSync(agent.logFile).size;
  const second = fleet.spawnWorker("a", { MUSTER_DATA_DIR: join(fleet.folder, "second") });
  await until("the second agent to be refused", () => logSince(second, from).includes("the manager refuses this worker"), 60_000);
  const quick = await start(stage, "quick", each);
  await until(
    "the operator to be told",
    async () => JSON.stringify((await fleet.call("GET", "/health")).body.alarms).includes("workerRefused"),
    60_000,
  ).catch(() => notes.violated("/health has no alarm about a worker that was refused"));
  await fleet.kill(second);
  gate.letPass(each);
  await endTruly(stage, "beside a second agent under its worker's id", [...waiting, ...quick]);
  notes.figure("duplicateRefused", 1);
}

/** An agent on a copy of the folder, taken while the first one runs: by its journal it is the first one's successor. */
async function clone(stage: Stage, agent: Member, each: number): Promise<void> {
  const { fleet, notes, gate } = stage;
  const waiting = await start(stage, "waits", each);
  await running(stage, waiting);
  const copy = join(fleet.folder, "clone");
  cpSync(join(fleet.folder, "worker-a"), copy, { recursive: true, filter: (source) => !/\/(shims|lock\.db.*)$/.test(source) });
  const second = fleet.spawnWorker("a", { MUSTER_DATA_DIR: copy });
  const told = async (): Promise<boolean> =>
    /lowerEpoch|workerRefused/.test(JSON.stringify((await fleet.call("GET", "/health")).body.alarms)) &&
    stateIn(join(copy, "worker"))?.pid === second.process.pid;
  await until("the operator to be told of the copy", told, 60_000).catch(() =>
    notes.violated("/health has no alarm about a worker of which there are two"),
  );
  const quick = await start(stage, "quick", each);
  await until(
    "something to come of the new runs",
    async () => (await fleet.run(quick[0] ?? "")).state !== "queued",
    30_000,
  ).catch(() => undefined);
  await fleet.kill(second);
  gate.letPass(each);
  // The copy spoke for them, and took with it what it knew.
  await endTruly(stage, "beside an agent on a copy of its worker's folder", waiting, true);
  await endTruly(stage, "started beside an agent on a copy of its worker's folder", quick, true);
  if (agent.process.exitCode !== null) notes.violated(`the agent ended with ${agent.process.exitCode} beside its copy`);
  rmSync(copy, { recursive: true, force: true });
  notes.figure("cloneNoticed", 1);
}

const journalFiles = ["journal.db", "journal.db-wal"];

/** The journal of yesterday: it has forgotten what ran since, and must not speak for it. */
async function restored(stage: Stage, agent: Member, each: number): Promise<Member> {
  const { fleet, notes } = stage;
  const folder = join(fleet.folder, "worker-a", "worker");
  await fleet.kill(agent);
  for (const name of journalFiles) if (existsSync(join(folder, name))) cpSync(join(folder, name), join(fleet.folder, name));
  const next = await fleet.startWorker("a");
  const forgotten = await start(stage, "quick", each);
  await endTruly(stage, "before the journal was taken back", forgotten);
  await fleet.kill(next);
  for (const name of journalFiles) {
    rmSync(join(folder, name), { force: true });
    if (existsSync(join(fleet.folder, name))) cpSync(join(fleet.folder, name), join(folder, name));
  }
  const from = statSync(next.logFile).size;
  const old = fleet.spawnWorker("a");
  await until("the old journal to be refused", () => /the manager refuses this worker/.test(logSince(old, from)), 60_000).catch(
    () => notes.violated("a journal that was taken back was not refused"),
  );
  notes.figure("restoredRefused", 1);
  await endTruly(stage, "after the journal was taken back", await start(stage, "quick", each));
  return old;
}

/** Breaks the journal of an agent that was killed, somewhere: bytes turned over, or the end cut off. */
async function broken(stage: Stage, agent: Member, round: number): Promise<Member> {
  const { fleet, notes, gate } = stage;
  const waiting = await start(stage, "waits", 2);
  await running(stage, waiting);
  await start(stage, "quick", 3);
  await fleet.kill(agent);
  const folder = join(fleet.folder, "worker-a", "worker");
  const file = join(folder, journalFiles[round % 2] ?? "");
  if (existsSync(file)) damage(file, round);
  const from = statSync(agent.logFile).size;
  const next = await fleet.startWorker("a");
  if (/journal\.db was malformed/.test(logSince(next, from))) notes.count("movedAside");
  else notes.count("takenAsItWas");
  if (/the manager refuses this worker/.test(logSince(next, from))) notes.count("refused");
  gate.letPass(2);
  for (const id of await start(stage, "quick", 2))
    notes.same(`the end of ${id} after the journal broke (round ${round})`, (await fleet.ended(id, 120_000)).end, {
      how: "exited",
      code: 6,
    });
  return next;
}

/** The same for the same round. */
function damage(file: string, round: number): void {
  const bytes = readFileSync(file);
  const at = (i: number): number => Math.floor(bytes.length * ((Math.sin(round * 97 + i * 31) + 1) / 2));
  if (round % 3 === 0) {
    truncateSync(file, Math.max(0, Math.floor(bytes.length - 1 - at(0) / 2)));
    return;
  }
  for (let i = 0; i < 1 + (round % 4); i += 1) {
    const place = Math.min(bytes.length - 1, at(i));
    bytes[place] = (bytes[place] ?? 0) ^ 0x15;
  }
  writeFileSync(file, bytes);
}

/** The one thing that none of this may cause. */
function checkStarts({ fleet, notes, runs }: Stage): void {
  const lines = linesOf(fleet.witness);
  const counts = countsOf(lines);
  notes.figure("runs", runs.length);
  notes.figure("startedTwice", [...counts.values()].filter((count) => count > 1).length);
  for (const [line, count] of counts) if (count > 1) notes.violated(`attempt "${line}" was started ${count} times`);
  for (const [run, count] of countsOf(lines.map((line) => line.split(" ")[0] ?? "")))
    if (count > 1) notes.violated(`run ${run} ran ${count} times, and its task asks for one try`);
}
