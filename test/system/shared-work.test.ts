import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { triesOf } from "../kit/api-client.ts";
import { Fleet } from "../kit/fleet.ts";
import { pidsThatMention } from "../kit/sweep.ts";
import { until } from "../kit/until.ts";

const noted = (fleet: Fleet, what: string): string => `printf '%s ${what} %s\\n' "$MUSTER_RUN_ID" "$$" >> ${fleet.witness}`;

test("three workers of 100 slots share 300 runs by round robin, and each starts once", async () => {
  await using fleet = await Fleet.start({ MUSTER_WORKER_SLOTS: "100" });
  await Promise.all(["a", "b", "c"].map((id) => fleet.startWorker(id)));
  const taskId = await fleet.task({ name: "share", run: { driver: "script", interpreter: "sh", script: noted(fleet, "start") } });
  const runs = await fleet.startRuns(taskId, 300);
  const ended = await Promise.all(runs.map((id) => fleet.ended(id, 120_000)));
  expect(ended.map((run) => run.state)).toEqual(ended.map(() => "succeeded"));
  const starts = fleet.witnessLines().map((line) => line.split(" ")[0]);
  expect(starts).toHaveLength(300);
  expect(new Set(starts)).toEqual(new Set(runs));
  const perWorker = new Map<string, number>();
  for (const run of ended) perWorker.set(run.workerId, (perWorker.get(run.workerId) ?? 0) + 1);
  expect([...perWorker.keys()].toSorted()).toEqual(["a", "b", "c"]);
  for (const count of perWorker.values()) expect(Math.abs(count - 100)).toBeLessThanOrEqual(1);
});

test("SIGTERM to a worker: its 30 processes go on and are adopted at its return", async () => {
  await using fleet = await Fleet.start({ MUSTER_WORKER_SLOTS: "100" });
  const worker = await fleet.startWorker("a");
  const gate = `${fleet.folder}/gate`;
  const script = `${noted(fleet, "start")}\necho before\nwhile [ ! -e ${gate} ]; do sleep 0.2; done\necho after\nexit 7`;
  const taskId = await fleet.task({ name: "long", run: { driver: "script", interpreter: "sh", script } });
  const runs = await fleet.startRuns(taskId, 30);
  await until("30 processes to have started", () => fleet.witnessLines().length === 30, 60_000);
  const pids = fleet
    .witnessLines()
    .map((line) => Number(line.split(" ")[2]))
    .toSorted((a, b) => a - b);
  expect(await fleet.kill(worker, "SIGTERM")).toBe(0);
  const alive = new Set(pidsThatMention(fleet.folder));
  expect(pids.filter((pid) => alive.has(pid))).toEqual(pids);
  await fleet.startWorker("a");
  await until(
    "the runs to be running again",
    async () => (await fleet.call("GET", "/runs?state=running&limit=200")).body.items.length === 30,
    60_000,
  );
  writeFileSync(gate, "");
  for (const id of runs) {
    const run = await fleet.ended(id, 120_000);
    expect(run).toMatchObject({ state: "failed", end: { how: "exited", code: 7 } });
    expect(triesOf(run)).toHaveLength(1);
    const log = await until(`the whole output of ${id}`, async () => {
      const text = (await fleet.call("GET", `/runs/${id}/logs`, undefined, { accept: "text/plain" })).body as string;
      return text.includes("after") ? text : undefined;
    });
    expect(log).toBe("before\nafter\n");
  }
  expect(fleet.witnessLines()).toHaveLength(30);
});

test("a constraint sends runs only where it holds, and a run that fits nowhere says why", async () => {
  await using fleet = await Fleet.start();
  await fleet.startWorker("a", { MUSTER_WORKER_LABELS: "zone=a" });
  await fleet.startWorker("b", { MUSTER_WORKER_LABELS: "zone=b" });
  const inB = await fleet.task({ name: "in-b", run: { driver: "exec", program: "/bin/true" }, constraints: ["label.zone=b"] });
  const runs = await fleet.startRuns(inB, 20);
  for (const id of runs) expect(await fleet.ended(id)).toMatchObject({ state: "succeeded", workerId: "b" });
  const nowhere = await fleet.task({
    name: "nowhere",
    run: { driver: "exec", program: "/bin/true" },
    constraints: ["label.zone=c"],
  });
  const [stuck] = await fleet.startRuns(nowhere, 1);
  const reason = await until("a reason", async () => {
    const run = await fleet.run(stuck as string);
    return run.state === "queued" && run.reason ? (run.reason as string) : undefined;
  });
  expect(reason).toMatch(/2 workers/);
  expect(reason).toMatch(/zone/);
});
