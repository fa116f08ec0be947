import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { triesOf } from "../kit/api-client.ts";
import { Fleet } from "../kit/fleet.ts";
import { until } from "../kit/until.ts";

test("kill -9 of the agent: 20 processes are adopted with their pids, exit codes and complete output", async () => {
  await using fleet = await Fleet.start({ MUSTER_WORKER_SLOTS: "50" });
  const worker = await fleet.startWorker("a");
  const gate = `${fleet.folder}/gate`;
  const script = `echo "$MUSTER_RUN_ID $$ $PARAM_code" >> ${fleet.witness}
echo begin
while [ ! -e ${gate} ]; do sleep 0.2; done
i=0; while [ $i -lt 500 ]; do echo "line $i of $PARAM_code"; i=$((i+1)); done
exit $PARAM_code`;
  const taskId = await fleet.task({
    name: "adopted",
    params: { code: "0" },
    run: { driver: "script", interpreter: "sh", script },
  });
  const items = Array.from({ length: 20 }, (_, code) => ({ taskId, params: { code: String(code) } }));
  const runs: string[] = (await fleet.call("POST", "/runs", { items })).body.items.map((item: any) => item.run.id);
  await until(
    "all to run",
    async () => (await fleet.call("GET", "/runs?state=running&limit=200")).body.items.length === 20,
    60_000,
  );
  const pidsBefore = await Promise.all(runs.map(async (id) => (await fleet.run(id)).attempts.at(-1).pid as number));
  expect(new Set(pidsBefore).size).toBe(20);
  await fleet.kill(worker);
  await fleet.startWorker("a");
  writeFileSync(gate, "");
  for (const [code, id] of runs.entries()) {
    const run = await fleet.ended(id, 120_000);
    expect(run).toMatchObject({ state: code === 0 ? "succeeded" : "failed", end: { how: "exited", code } });
    expect(triesOf(run)).toHaveLength(1);
    expect(run.attempts.at(-1).pid).toBe(pidsBefore[code]);
    const whole = `begin\n${Array.from({ length: 500 }, (_, i) => `line ${i} of ${code}\n`).join("")}`;
    await until(
      `the whole output of run ${code}`,
      async () => (await fleet.call("GET", `/runs/${id}/logs`, undefined, { accept: "text/plain" })).body === whole,
    );
  }
  expect(fleet.witnessLines()).toHaveLength(20);
});

test("kill -9 of the manager and the broker in it while 50 runs are in flight: each starts once and has a true end", async () => {
  await using fleet = await Fleet.start({ MUSTER_WORKER_SLOTS: "20" });
  await Promise.all(["a", "b", "c"].map((id) => fleet.startWorker(id)));
  const script = `echo "$MUSTER_RUN_ID" >> ${fleet.witness}; sleep 1; exit $PARAM_code`;
  const taskId = await fleet.task({
    name: "in-flight",
    params: { code: "0" },
    run: { driver: "script", interpreter: "sh", script },
  });
  const items = Array.from({ length: 50 }, (_, i) => ({ taskId, params: { code: String(i % 3) } }));
  const runs: string[] = (await fleet.call("POST", "/runs", { items })).body.items.map((item: any) => item.run.id);
  await until("some to have started", () => fleet.witnessLines().length >= 10, 60_000);
  if (!fleet.manager) throw new Error("no manager");
  await fleet.kill(fleet.manager);
  await fleet.startManager();
  for (const [i, id] of runs.entries()) {
    const run = await fleet.ended(id, 120_000);
    expect(run).toMatchObject({ state: i % 3 === 0 ? "succeeded" : "failed", end: { how: "exited", code: i % 3 } });
  }
  const starts = fleet.witnessLines();
  expect(starts).toHaveLength(50);
  expect(new Set(starts)).toEqual(new Set(runs));
});
