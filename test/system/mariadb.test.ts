import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fleet } from "../kit/fleet.ts";
import { MariadbServer, mariadbMissing } from "../kit/mariadb.ts";
import { until } from "../kit/until.ts";

/** A manager on a real MariaDB, with workers and processes as they are. */
const missing = mariadbMissing();
let server: MariadbServer | undefined;
beforeAll(async () => {
  if (missing === undefined) server = await MariadbServer.start();
});
afterAll(async () => await server?.[Symbol.asyncDispose]());

describe("a manager on MariaDB", () => {
  test("runs what it is given, and knows it all after a restart, which waits for no lease", async (ctx) => {
    if (missing !== undefined) return ctx.skip(missing);
    // Long enough that a start which waited for it would not be ready in time.
    const stillMs = "3600000";
    await using fleet = await Fleet.start({
      MUSTER_DATABASE_URL: (await server?.database()) ?? "",
      MUSTER_LEASE_RENEW_MS: "500",
      MUSTER_LEASE_STILL_MS: stillMs,
    });
    await fleet.startWorker("edge-a");
    const script = 'echo "$PARAM_n"; [ "$PARAM_n" -lt 15 ]';
    const taskId = await fleet.task({
      name: "count",
      params: { n: "0" },
      run: { driver: "script", interpreter: "sh", script },
    });
    const items = Array.from({ length: 20 }, (_, n) => ({
      taskId,
      params: { n: String(n) },
      labels: { half: n < 10 ? "first" : "second" },
    }));
    const started = await fleet.call("POST", "/runs", { items });
    const ids: string[] = started.body.items.map((item: { run: { id: string } }) => item.run.id);
    const ended = await Promise.all(ids.map((id) => fleet.ended(id)));
    expect(ended.map((run) => run.state)).toEqual(ids.map((_, n) => (n < 15 ? "succeeded" : "failed")));

    // One request whose rows are many times what the server takes in one text, all for a worker that is not there.
    const labels = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`key${n}`, "v".repeat(250)]));
    const wide = {
      name: "wide",
      labels,
      params: { p: "" },
      constraints: ["worker=nobody"],
      run: { driver: "exec", program: "/bin/true" },
    };
    const wideId = await fleet.task(wide);
    const waiting = await fleet.startRuns(wideId, 1_000, { params: { p: "'\\".repeat(250) } });

    if (fleet.manager) expect(await fleet.kill(fleet.manager, "SIGTERM")).toBe(0);
    await fleet.startManager();
    expect(await Promise.all(ids.map((id) => fleet.run(id)))).toEqual(ended);
    const second = await fleet.call("GET", "/runs?label=half=second&limit=100");
    expect(second.body.items.map((run: { id: string }) => run.id).toSorted()).toEqual(ids.slice(10).toSorted());
    // Output may come after its run's end, and was perhaps on its way when the manager left.
    await until(
      "the output of a run that ended before",
      async () => (await fleet.call("GET", `/runs/${ids[7]}/logs`, undefined, { accept: "text/plain" })).body === "7\n",
    );
    const found: string[] = [];
    for (let path: string | null = `/runs?taskId=${wideId}&state=queued&limit=200`; path !== null;) {
      const page: { items: { id: string }[]; next: string | null } = (await fleet.call("GET", path)).body;
      found.push(...page.items.map((run) => run.id));
      path = page.next === null ? null : `/runs?taskId=${wideId}&state=queued&limit=200&cursor=${page.next}`;
    }
    expect(found.toSorted()).toEqual(waiting.toSorted());
    await until("health to pass", async () => (await fleet.call("GET", "/health")).body.status === "pass");
    // And goes on.
    const [after = ""] = await fleet.startRuns(taskId, 1, { params: { n: "99" } });
    expect(await fleet.ended(after)).toMatchObject({ state: "failed", end: { how: "exited", code: 1 } });
  });
});
