import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fleet, type Member } from "../../kit/fleet.ts";
import { makeGate, type Gate } from "../../kit/gate.ts";
import { MariadbServer, mariadbMissing } from "../../kit/mariadb.ts";
import { until } from "../../kit/until.ts";
import { countsOf, Notes } from "../hosts/findings.ts";
import { linesOf } from "../hosts/lone-worker.ts";
import type { Scenario } from "../scenario.ts";

/** A disk of its own, so small that it can be filled to the last byte. */
interface SmallDisk extends Disposable {
  readonly folder: string;
  /** Takes all that is left. */
  fill(): void;
  /** Gives it back. */
  free(): void;
}

function smallDisk(folder: string, mebibytes: number): SmallDisk {
  const kept = `${folder}.kept`;
  // With its owners: a database server does not run as the one who tests.
  spawnSync("cp", ["-a", folder, kept]);
  const owner = spawnSync("stat", ["-c", "%u:%g", folder], { encoding: "utf8" }).stdout.trim();
  if (spawnSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", folder]).status !== 0)
    throw new Error("mount failed");
  spawnSync("cp", ["-a", `${kept}/.`, folder]);
  spawnSync("chown", [owner, folder]);
  rmSync(kept, { recursive: true, force: true });
  return {
    folder,
    fill() {
      for (const size of [1_048_576, 4_096, 1])
        spawnSync("sh", ["-c", `while head -c ${size} /dev/zero >>${folder}/ballast 2>/dev/null; do :; done`]);
    },
    free: () => rmSync(join(folder, "ballast"), { force: true }),
    [Symbol.dispose]: () => void spawnSync("umount", ["-l", folder]),
  };
}

function missing(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "muster-mount-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).status === 0;
  if (mounted) spawnSync("umount", ["-l", folder]);
  rmdirSync(folder);
  return mounted ? undefined : "a small file system cannot be mounted here";
}

/** What holds with a lease as well. */
const timing = { MUSTER_HEARTBEAT_MS: "1000", MUSTER_START_TTL_INTERVALS: "6", MUSTER_WORKER_LOST_INTERVALS: "15" };

interface Stage {
  readonly fleet: Fleet;
  readonly notes: Notes;
  readonly gate: Gate;
  readonly each: number;
}

export const disk: Scenario = {
  name: "disk",
  about:
    "The disk of a worker, of a manager and of its database is full to the last byte for a while: ends are not lost, what is not taken is said, all goes on when there is room.",
  missing,
  async play({ kind }, say) {
    const notes = new Notes();
    const each = kind === "full" ? 20 : 3;
    await onFleet(notes, each, {}, async (stage) => await workerFull(stage));
    say("the worker's disk was full");
    await onFleet(notes, each, {}, async (stage) => await agentFull(stage));
    say("an agent started on a full disk");
    await onFleet(notes, each, {}, async (stage) => {
      if (stage.fleet.manager) await stage.fleet.kill(stage.fleet.manager);
      using full = smallDisk(join(stage.fleet.folder, "manager"), 48);
      await stage.fleet.startManager();
      await managerFull(stage, full, "SQLite", () => undefined);
      if (stage.fleet.manager) await stage.fleet.kill(stage.fleet.manager);
    });
    say("the manager's disk was full");
    const why = mariadbMissing();
    if (why === undefined) await onMariadb(notes, each);
    else notes.figure("MariaDB", `skipped: ${why}`);
    return notes.findings;
  },
};

async function onFleet(
  notes: Notes,
  each: number,
  env: Readonly<Record<string, string>>,
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  await using fleet = await Fleet.start({ ...timing, MUSTER_WORKER_SLOTS: "60", ...env });
  using gate = makeGate(join(fleet.folder, "gate"));
  await play({ fleet, notes, gate, each });
}

async function onMariadb(notes: Notes, each: number): Promise<void> {
  await using server = await MariadbServer.start([], tmpdir());
  await server.kill();
  using full = smallDisk(join(server.folder, "data"), 160);
  await server.restart();
  await onFleet(notes, each, { MUSTER_DATABASE_URL: await server.database() }, async (stage) => {
    await managerFull(stage, full, "MariaDB", () => {
      if (server.pid === 0) stage.notes.violated("mariadbd is gone");
    });
  });
  await server.kill();
}

async function taskOf({ fleet, gate }: Stage, name: string, script: string): Promise<string> {
  return await fleet.task({
    name,
    run: {
      driver: "script",
      interpreter: "sh",
      script: `echo "$MUSTER_RUN_ID $MUSTER_ATTEMPT" >>${fleet.witness}; ${script.replace("GATE", gate.wait)}`,
    },
  });
}

async function running({ fleet }: Stage, ids: readonly string[]): Promise<void> {
  for (const id of ids) await until(`${id} to run`, async () => (await fleet.run(id)).state === "running", 60_000);
}

async function workerFull(stage: Stage): Promise<void> {
  const { fleet, notes, gate, each } = stage;
  const folder = mkdtempSync(join(tmpdir(), "muster-disk-"));
  using full = smallDisk(folder, 64);
  const agent = await fleet.startWorker("a", { MUSTER_DATA_DIR: folder });
  const quiet = await fleet.startRuns(await taskOf(stage, "quiet", "GATE; exit 7"), each);
  // Its own output has no room: what becomes of it then is its own business, and its code is told.
  const writes = await fleet.startRuns(await taskOf(stage, "writes", "GATE; echo more || exit 8; exit 7"), each);
  await running(stage, [...quiet, ...writes]);
  full.fill();
  const during = await fleet.startRuns(await taskOf(stage, "during", "exit 5"), each);
  const refused = await until(
    "a start to be refused",
    async () =>
      (await fleet.run(during[0] ?? "")).attempts.find((attempt: any) => attempt.end?.how === "refused")?.end.why as
        | string
        | undefined,
    60_000,
  );
  if (!/disk/.test(refused)) notes.violated(`a start on a full disk was refused with: ${refused}`);
  notes.figure("refusalSentence", refused);
  gate.letPass(2 * each);
  for (const id of quiet) notes.same(`the end of ${id} on a full disk`, (await fleet.ended(id)).end, { how: "exited", code: 7 });
  for (const id of writes) {
    const { end } = await fleet.ended(id);
    if (end.how !== "exited" || ![7, 8].includes(end.code))
      notes.violated(`the end of ${id}, which wrote on a full disk: ${JSON.stringify(end)}`);
  }
  notes.figure("endsOnFullWorker", 2 * each);
  gone(notes, "the agent", agent);
  full.free();
  for (const id of during)
    notes.same(`the end of ${id}, started while the disk was full`, (await fleet.ended(id, 120_000)).end, {
      how: "exited",
      code: 5,
    });
  startsOnce(stage, "worker");
  await fleet.kill(agent);
}

/** An agent that starts when not a byte is left, its own reserve spent: it must be heard, or it is lost with all that it runs. */
async function agentFull(stage: Stage): Promise<void> {
  const { fleet, notes, gate, each } = stage;
  const folder = mkdtempSync(join(tmpdir(), "muster-disk-"));
  using full = smallDisk(folder, 64);
  const env = { MUSTER_DATA_DIR: folder };
  const first = await fleet.startWorker("a", env);
  const task = await taskOf(stage, "quiet", "GATE; exit 7");
  const runs = await fleet.startRuns(task, 2 * each);
  await running(stage, runs);
  const attempts = await Promise.all(runs.map(async (id) => (await fleet.run(id)).attempts.length as number));
  await fleet.kill(first);
  rmSync(join(folder, "worker", "journal.reserve"));
  full.fill();
  // These end while nobody looks, and their ends cannot be written.
  gate.letPass(each);
  await until(
    "the worker to be missed",
    async () => (await fleet.call("GET", "/workers/a")).body.state === "unreachable",
    60_000,
  );
  const agent = fleet.spawnWorker("a", env);
  await until(
    "it to be heard on its full disk",
    async () => (await fleet.call("GET", "/workers/a")).body.state === "online",
    30_000,
  ).catch(() => notes.violated("a worker whose disk was full when its agent started was not heard"));
  // Longer than a silent worker takes to be lost.
  const endAt = Date.now() + 20_000;
  const seen = new Set<string>();
  while (Date.now() < endAt) {
    seen.add((await fleet.call("GET", "/workers/a")).body.state as string);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  notes.same("the states of the worker on its full disk", [...seen], ["online"]);
  gone(notes, "the agent", agent);
  for (const [at, id] of runs.entries()) {
    const run = await fleet.run(id);
    if (run.end !== null && run.end !== undefined)
      notes.violated(`${id} has an end that was not durable: ${JSON.stringify(run.end)}`);
    if (run.attempts.length !== attempts[at]) notes.violated(`${id} got another attempt beside a full disk`);
  }
  full.free();
  gate.letPass(each);
  for (const id of runs) notes.same(`the end of ${id}`, (await fleet.ended(id, 60_000)).end, { how: "exited", code: 7 });
  notes.figure("endsOfAgentOnFullDisk", runs.length);
  startsOnce(stage, "an agent's start");
  await fleet.kill(agent);
}

async function managerFull(stage: Stage, full: SmallDisk, store: string, check: () => void): Promise<void> {
  const { fleet, notes, gate, each } = stage;
  const agent = await fleet.startWorker("a");
  const quick = await taskOf(stage, "quick", "exit 5");
  const waiting = await fleet.startRuns(await taskOf(stage, "waiting", "GATE; exit 7"), each);
  await running(stage, waiting);
  full.fill();
  const taken: string[] = [];
  const answers: Record<string, number> = {};
  const asked: Promise<void>[] = [];
  const ask = async (key: string): Promise<void> => {
    const { status, body } = await fleet.call("POST", `/tasks/${quick}/start`, {}, { "idempotency-key": key });
    const word = status === 503 ? String(body.code) : String(status);
    answers[word] = (answers[word] ?? 0) + 1;
    if (status === 202) taken.push(body.id as string);
  };
  await until(
    "a start to be refused",
    async () => {
      // Pages that the database has already may take a few.
      asked.push(ask(`before-${asked.length}`));
      await Promise.race([asked.at(-1), new Promise((resolve) => setTimeout(resolve, 50))]);
      return (answers["not-taken"] ?? 0) > 0 || asked.length > 20_000;
    },
    120_000,
  ).catch(() => notes.violated(`nothing was refused while the disk of ${store} was full (${asked.length} starts)`));
  gate.letPass(each);
  const health = await fleet.call("GET", "/health");
  const sentence = (health.body.checks as { readonly status?: string; readonly sentence?: string; readonly output?: string }[])
    .map((one) => one.sentence ?? one.output ?? "")
    .find((text) => /full|space|disk/i.test(text));
  notes.figure(`health${store}`, sentence ?? JSON.stringify(health.body).slice(0, 200));
  for (const word of Object.keys(answers))
    if (!["202", "not-taken", "outcome-unknown"].includes(word))
      notes.violated(`a start on a full ${store} was answered ${word}`);
  check();
  full.free();
  await Promise.all(asked);
  notes.figure(`answers${store}`, JSON.stringify(answers));
  for (const id of waiting)
    notes.same(`the end of ${id} that came while ${store} was full`, (await fleet.ended(id, 120_000)).end, {
      how: "exited",
      code: 7,
    });
  for (const id of taken)
    notes.same(`the end of ${id}, acknowledged beside a full disk`, (await fleet.ended(id, 120_000)).end, {
      how: "exited",
      code: 5,
    });
  const [after = ""] = await fleet.startRuns(quick, 1);
  notes.same(`a run after there is room (${store})`, (await fleet.ended(after)).end, { how: "exited", code: 5 });
  notes.figure(`endsKeptBeside${store}`, each);
  gone(notes, "the agent", agent);
  gone(notes, "the manager", fleet.manager);
  const listed = countsOf(linesOf(fleet.witness).map((line) => line.split(" ")[0] ?? ""));
  const known = new Set([...waiting, ...taken, after]);
  for (const id of listed.keys()) {
    if (known.has(id)) continue;
    // One whose outcome was unknown may have been taken: then it is there, and has its end.
    const run = await fleet.call("GET", `/runs/${id}`);
    if (run.status !== 200) notes.violated(`${id} ran, and the manager does not know it`);
  }
  startsOnce(stage, store);
}

function gone(notes: Notes, who: string, member: Member | undefined): void {
  const { exitCode = null, signalCode = null } = member?.process ?? {};
  if (exitCode !== null || signalCode !== null) notes.violated(`${who} ended beside a full disk: ${signalCode ?? exitCode}`);
}

function startsOnce({ fleet, notes }: Stage, where: string): void {
  for (const [line, count] of countsOf(linesOf(fleet.witness)))
    if (count > 1) notes.violated(`attempt "${line}" was started ${count} times beside a full disk (${where})`);
}
