import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { Fleet } from "../../kit/fleet.ts";
import { makeGate, type Gate } from "../../kit/gate.ts";
import { TcpProxy } from "../../kit/tcp-proxy.ts";
import { until } from "../../kit/until.ts";
import { Notes } from "../hosts/findings.ts";
import { linesOf } from "../hosts/lone-worker.ts";
import { outputBytes } from "../hosts/output-bytes.ts";
import { living, sign } from "../hosts/processes.ts";
import type { Scenario } from "../scenario.ts";

const parts = ["ends", "goesOn", "retry", "fail", "flood"] as const;
type Part = (typeof parts)[number] | "stale";

interface Stage {
  readonly fleet: Fleet;
  readonly notes: Notes;
  readonly each: number;
  readonly gates: Readonly<Record<"ends" | "goesOn" | "fail", Gate>>;
  /** Where each process signs, and where those of `retry` say again and again that they live. */
  readonly signatures: string;
  readonly pulse: string;
  readonly runs: Map<Part, readonly string[]>;
}

const heartbeatMs = 500;
/** As many heartbeats as an hour has by default. */
const hourMs = 360 * heartbeatMs;
const floodBytes = 200_000_000;
const spoolBytes = 2_000_000;
/** What is freed at once, and what comes between two looks. */
const spoolSlackBytes = 96_000_000;

export const away: Scenario = {
  name: "away",
  about:
    "A worker reaches nobody for an hour of heartbeats: what runs goes on or is stopped as its task says, and when it is back each attempt has one true end.",
  async play({ kind }, say) {
    await using stack = new AsyncDisposableStack();
    const fleet = stack.use(await Fleet.start({ MUSTER_HEARTBEAT_MS: String(heartbeatMs), MUSTER_WORKER_SLOTS: "100" }));
    const proxy = stack.use(await TcpProxy.to(fleet.brokerPort));
    const gate = (name: string): Gate => stack.use(makeGate(join(fleet.folder, name)));
    const stage: Stage = {
      fleet,
      notes: new Notes(),
      each: kind === "full" ? 5 : 1,
      gates: { ends: gate("gate-ends"), goesOn: gate("gate-goes-on"), fail: gate("gate-fail") },
      signatures: join(fleet.folder, "signatures"),
      pulse: join(fleet.folder, "pulse"),
      runs: new Map(),
    };
    const link = { MUSTER_BROKER_URL: `mqtt://127.0.0.1:${proxy.port}`, MUSTER_LOG_SPOOL_BYTES: String(spoolBytes) };
    await fleet.startWorker("a", link);
    await staleStart(stage, proxy);
    for (const part of parts) await start(stage, part);
    await until(
      "all to run",
      async () => (await fleet.call("GET", "/runs?state=running&limit=200")).body.items.length === parts.length * stage.each,
      60_000,
    );
    await fleet.startWorker("b");
    proxy.hold("both");
    const goneMs = performance.now();
    say("the worker reaches nobody");
    stage.gates.ends.letPass(stage.each);
    for (const id of stage.runs.get("retry") ?? []) await fleet.ended(id, 120_000);
    for (const id of stage.runs.get("fail") ?? []) await fleet.ended(id, 120_000);
    if (kind === "full") await after(Math.max(0, hourMs - (performance.now() - goneMs)));
    stage.notes.figure("awaySeconds", Math.round((performance.now() - goneMs) / 1_000));
    const kept = await whileAway(stage);
    proxy.release();
    proxy.cut();
    say("it is back");
    await back(stage, kept);
    return stage.notes.findings;
  },
};

const scripts: Readonly<Record<Part, (stage: Stage) => string>> = {
  ends: ({ gates }) => `${gates.ends.wait}; exit 7`,
  goesOn: ({ gates }) => `${gates.goesOn.wait}; exit 8`,
  fail: ({ gates }) => `${gates.fail.wait}; exit 9`,
  retry: ({ pulse }) =>
    `beat() { read -r up _ </proc/uptime; echo "$MUSTER_RUN_ID $MUSTER_ATTEMPT $up" >>${pulse}; }
beat; [ "$MUSTER_ATTEMPT" = 1 ] || exit 0; while :; do beat; sleep 0.2; done`,
  flood: () => `sleep 3; yes | head -c ${floodBytes}; exit 3`,
  stale: () => "exit 5",
};

async function start(stage: Stage, part: Part): Promise<void> {
  const { fleet, each, signatures } = stage;
  const taskId = await fleet.task({
    name: part,
    run: { driver: "script", interpreter: "sh", script: `${sign(part, signatures)}\n${scripts[part](stage)}` },
    ...(part === "retry" ? {} : { constraints: ["worker=a"] }),
    ...(part === "retry" ? { onLost: "retry", lostAfterSeconds: 5 } : part === "fail" ? { onLost: "fail" } : {}),
    killGraceSeconds: 1,
  });
  stage.runs.set(part, await fleet.startRuns(taskId, each));
}

/** Starts that are on their way for longer than they may be obeyed. */
async function staleStart(stage: Stage, proxy: TcpProxy): Promise<void> {
  const { fleet, notes, signatures } = stage;
  proxy.hold("server");
  await start(stage, "stale");
  const ids = stage.runs.get("stale") ?? [];
  for (const id of ids) await until(`${id} to be sent`, async () => (await fleet.run(id)).attempts.length === 1);
  await until("the starts to be on their way", () => proxy.heldBytes > 0);
  await after(5 * heartbeatMs);
  proxy.release();
  for (const id of ids) {
    const run = await fleet.ended(id);
    const ends = run.attempts.map((attempt: any) => attempt.end);
    // The worker says so, or it was proven first that it never came (rule 7).
    if (ends[0]?.how !== "refused" || !/^(stale|its start never came)/.test(ends[0]?.why))
      notes.violated(`a start that came too late was not refused: ${JSON.stringify(ends)}`);
    notes.same(`the last attempt of ${id}`, ends.at(-1), { how: "exited", code: 5 });
    notes.count("staleStartsRefused");
  }
  const began = linesOf(signatures).filter((line) => line.startsWith("stale ")).length;
  notes.same("processes of runs whose first start came too late", began, ids.length);
}

interface Kept {
  readonly endsOf: Readonly<Record<string, unknown>>;
}

/** What the manager says while the worker is away, and what goes on at the worker. */
async function whileAway({ fleet, notes, runs, each, signatures }: Stage): Promise<Kept> {
  for (const part of ["ends", "goesOn"] as const)
    for (const id of runs.get(part) ?? []) {
      const { state, reason } = await fleet.run(id);
      if (state !== "unreachable" || typeof reason !== "string" || reason === "")
        notes.violated(`run ${id} is ${state} (${reason}) while its worker is away`);
    }
  const alive = living(linesOf(signatures));
  const count = (part: Part): number => alive.filter((line) => line.startsWith(`${part} `)).length;
  notes.same("processes that went on while nobody was in reach", [count("goesOn"), count("fail")], [each, each]);
  notes.same("processes with onLost retry that their host has stopped", count("retry"), 0);
  let onDisk = 0;
  for (const id of runs.get("flood") ?? []) {
    const attempt = (await fleet.run(id)).attempts[0].id;
    onDisk = Math.max(onDisk, statSync(join(fleet.folder, "worker-a/worker/attempts", attempt, "stdout")).blocks * 512);
  }
  notes.figure("largestSpooledBytes", onDisk);
  if (onDisk > spoolBytes + spoolSlackBytes)
    notes.violated(`${onDisk} bytes of one attempt's output are kept, the bound is ${spoolBytes}`);
  const ended = [...(runs.get("retry") ?? []), ...(runs.get("fail") ?? [])];
  return { endsOf: Object.fromEntries(await Promise.all(ended.map(async (id) => [id, summaryOf(await fleet.run(id))]))) };
}

function summaryOf({ state, end, endedAt, attempts }: any): unknown {
  return { state, end, endedAt, attempts: attempts.length };
}

async function back(stage: Stage, kept: Kept): Promise<void> {
  const { fleet, notes, runs, gates, each, pulse, signatures } = stage;
  for (const id of runs.get("ends") ?? []) await endedOnce(stage, id, { how: "exited", code: 7 });
  gates.goesOn.letPass(each);
  gates.fail.letPass(each);
  for (const id of runs.get("goesOn") ?? []) await endedOnce(stage, id, { how: "exited", code: 8 });
  for (const id of runs.get("flood") ?? []) {
    await endedOnce(stage, id, { how: "exited", code: 3 });
    await wholeOutput(stage, id);
  }
  for (const id of runs.get("retry") ?? []) {
    const lines = linesOf(pulse)
      .map((line) => line.split(" "))
      .filter(([run]) => run === id);
    const last = Math.max(...lines.filter(([, number]) => number === "1").map(([, , up]) => Number(up)));
    const others = lines.filter(([, number]) => number !== "1");
    const first = Math.min(...others.map(([, , up]) => Number(up)));
    if (!(first > last))
      notes.violated(`the next attempt of ${id} began at ${first} s of uptime, and attempt 1 lived until ${last} s`);
    notes.figure("secondsBetweenAttempts", (first - last).toFixed(1));
    // One that is refused is no try, and did not run.
    if (new Set(others.map(([, number]) => number)).size !== 1) notes.violated(`run ${id} ran more than once again`);
  }
  for (const [id, before] of Object.entries(kept.endsOf)) {
    const late = await until(
      `the late end of ${id}`,
      async () => (await fleet.call("GET", `/events?runId=${id}&kind=lateEnd`)).body.items.length > 0,
      60_000,
    ).catch(() => false);
    notes.count("lateEndsKept", late ? 1 : 0);
    if (!late)
      notes.violated(
        `the late end of the superseded attempt of ${id} is not in its history: ${JSON.stringify(await fleet.run(id))} ${JSON.stringify((await fleet.call("GET", `/events?runId=${id}`)).body.items.map((e: any) => [e.kind, e.data]))}`,
      );
    notes.same(`run ${id} after the late end of its first attempt`, summaryOf(await fleet.run(id)), before);
  }
  await until("no process to be left", () => living(linesOf(signatures)).length === 0, 60_000).catch(() => undefined);
  for (const line of living(linesOf(signatures))) notes.violated(`a process is left: ${line}`);
}

async function endedOnce({ fleet, notes }: Stage, id: string, end: unknown): Promise<void> {
  const run = await fleet.ended(id, 120_000);
  notes.same(
    `the ends of ${id}`,
    run.attempts.map((attempt: any) => attempt.end),
    [end],
  );
  notes.count("trueEnds");
}

/** Stored bytes and declared gaps together are what was written. */
async function wholeOutput({ fleet, notes }: Stage, id: string): Promise<void> {
  const counted = await outputBytes(fleet, id, floodBytes);
  notes.count("storedBytes", counted.stored);
  notes.count("declaredDroppedBytes", counted.dropped);
  notes.same(`stored and declared bytes of ${id}`, counted.stored + counted.dropped, floodBytes);
}
