import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { Fleet } from "../kit/fleet.ts";
import { until } from "../kit/until.ts";

const root = resolve(import.meta.dirname, "../..");

/** Always the open worker whose id comes last, and only for runs that carry the label that it looks for. */
const placement = `import type { MakePlacement } from "${root}/manager/control/placement/placement.ts";
const make: MakePlacement = () => ({
  choose: (run, open, fits) => {
    let last;
    for (let i = 0; i < open.size; i += 1) {
      const worker = open.at(i);
      if (fits(worker) && run.labels["team"] === "strangers" && (last === undefined || worker.id > last.id)) last = worker;
    }
    return last;
  },
});
export default make;
`;

/** Runs a greeting in awk, from options of its own. */
const driver = `import type { Driver } from "${root}/worker/drivers/driver.ts";
const awk: Driver = {
  name: "awk",
  prepare: (spec, host) => {
    const program = (spec["options"] as { program?: unknown }).program;
    if (typeof program !== "string") return { why: "options.program must be a text" };
    return {
      program: "/usr/bin/awk",
      args: ["-f", host.folder + "/greeting.awk"],
      files: [{ name: "greeting.awk", bytes: Buffer.from(program), executable: false }],
      env: { GREETER: "stranger" },
    };
  },
};
export default awk;
`;

test("a placement and a driver of a third party, each a file and a setting, run in the real manager and worker", async () => {
  const folder = `/tmp/muster-strangers-${process.pid}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/last.ts`, placement);
  writeFileSync(`${folder}/awk.ts`, driver);
  await using fleet = await Fleet.start({ MUSTER_PLACEMENT: `${folder}/last.ts`, MUSTER_DRIVERS: `${folder}/awk.ts` });
  await Promise.all(["a", "b", "c"].map((id) => fleet.startWorker(id)));
  const greet = { driver: "awk", options: { program: 'BEGIN { print "hello from " ENVIRON["GREETER"] }' } };
  const taskId = await fleet.task({ name: "greet", run: greet, labels: { team: "strangers" } });
  for (const id of await fleet.startRuns(taskId, 6)) {
    expect(await fleet.ended(id)).toMatchObject({ state: "succeeded", workerId: "c" });
    await until(
      "its output",
      async () =>
        (await fleet.call("GET", `/runs/${id}/logs`, undefined, { accept: "text/plain" })).body === "hello from stranger\n",
    );
  }
  const wrong = await fleet.task({
    name: "wrong",
    run: { driver: "awk", options: { program: 3 } },
    labels: { team: "strangers" },
  });
  const [bad] = await fleet.startRuns(wrong, 1);
  expect(await fleet.ended(bad as string)).toMatchObject({
    state: "failed",
    end: { how: "failedToStart", why: "options.program must be a text" },
  });
  const others = await fleet.task({ name: "others", run: { driver: "exec", program: "/bin/true" } });
  const [left] = await fleet.startRuns(others, 1);
  await until("the stranger's placement to have said no", async () => (await fleet.run(left as string)).reason !== null);
  expect((await fleet.run(left as string)).state).toBe("queued");
});
