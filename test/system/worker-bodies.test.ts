import { expect, test } from "vitest";
import { Fleet } from "../kit/fleet.ts";
import { until } from "../kit/until.ts";

test("a script that is too large for the wire is fetched, and a result that is too large is uploaded", async () => {
  await using fleet = await Fleet.start();
  await fleet.startWorker("a");
  const filler = `# ${"x".repeat(78)}\n`.repeat(4_000);
  const script = `${filler}echo "large script, $GREETING"; printf '"%s"' "$(head -c 100000 /dev/zero | tr '\\0' r)" > "$MUSTER_RESULT"`;
  const taskId = await fleet.task({
    name: "large",
    env: { GREETING: "hello" },
    run: { driver: "script", interpreter: "sh", script },
  });
  const [id = ""] = await fleet.startRuns(taskId, 1);
  const run = await fleet.ended(id);
  expect(run).toMatchObject({ state: "succeeded", end: { how: "exited", code: 0 } });
  await until(
    "its output",
    async () =>
      (await fleet.call("GET", `/runs/${id}/logs`, undefined, { accept: "text/plain" })).body === "large script, hello\n",
  );
  const result = await until("its result", async () => (await fleet.run(id)).result);
  expect(result).toBe("r".repeat(100_000));
});
