import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Fleet, type Member } from "../kit/fleet.ts";
import { mariadbMissing, MariadbServer } from "../kit/mariadb.ts";
import { until } from "../kit/until.ts";

/** What the manager may need beyond what it needed before, while the database is away and after. */
const mostGrowthMb = 64;
/** A small heap, in which V8 does not put its work off: what grew without end would end the process. */
const smallHeap = "--max-old-space-size=128";
const workers = ["a", "b"] as const;

test("kill -9 of mariadbd while 50 runs are in flight: one start and a true end each, and it says so meanwhile", async (ctx) => {
  const missing = mariadbMissing();
  if (missing !== undefined) ctx.skip(missing);
  await using server = await MariadbServer.start();
  await using fleet = await Fleet.start({
    MUSTER_DATABASE_URL: await server.database(),
    MUSTER_LEASE_RENEW_MS: "500",
    MUSTER_WORKER_SLOTS: "20",
    NODE_OPTIONS: smallHeap,
  });
  for (const id of workers) await fleet.startWorker(id);
  const [gate, ends] = [`${fleet.folder}/gate`, `${fleet.folder}/ends`];
  // Some end at once, some when the database is away; output comes all the time.
  const script =
    `echo "$MUSTER_RUN_ID" >> ${fleet.witness}; head -c 100000 /dev/zero | tr '\\0' x;` +
    ` [ $PARAM_n -lt 10 ] || while [ ! -e ${gate} ]; do sleep 0.1; done; echo "$MUSTER_RUN_ID" >> ${ends}; exit $((PARAM_n % 2))`;
  const taskId = await fleet.task({ name: "busy", params: { n: "0" }, run: { driver: "script", interpreter: "sh", script } });
  const items = Array.from({ length: 50 }, (_, n) => ({ taskId, params: { n: String(n) } }));
  const runs: string[] = (await fleet.call("POST", "/runs", { items })).body.items.map((item: any) => item.run.id);
  await until("most to have started", () => fleet.witnessLines().length >= 25, 60_000);
  const manager = fleet.manager as Member;
  const crowd = async (): Promise<void> => {
    for (let round = 0; round < 10; round += 1)
      await Promise.all(
        Array.from({ length: 50 }, () => fleet.call("POST", `/tasks/${taskId}/start`, { params: { no: "such" } })),
      );
  };
  await crowd();
  const before = residentMb(manager, "VmRSS");

  await server.kill();
  const away = await until("health to say that the database is away", async () => {
    const health = await fleet.call("GET", "/health");
    return health.status === 503 && health.body;
  });
  expect(away.checks).toContainEqual({
    name: "database:default",
    status: "fail",
    sentence: expect.stringMatching(/the last commit does not hold since .*: The database does not answer/),
  });
  expect((await fleet.call("GET", "/readyz")).status).toBe(503);
  // Ends come while nobody can store them.
  writeFileSync(gate, "");
  await until(
    "all that had started to have ended",
    () => lines(ends) >= fleet.witnessLines().length && lines(ends) >= 25,
    60_000,
  );
  for (const [method, path] of [
    ["POST", `/tasks/${taskId}/start`],
    ["GET", `/runs/${runs[0]}`],
    ["GET", "/runs"],
  ] as const) {
    const refused = await fleet.call(method, path, method === "POST" ? {} : undefined);
    expect(refused, path).toMatchObject({
      status: 503,
      body: { code: "not-taken", detail: expect.stringContaining("database") },
    });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  }
  // A crowd that is refused leaves nothing behind.
  await crowd();

  await server.restart();
  for (const [n, id] of runs.entries())
    expect(await fleet.ended(id, 120_000)).toMatchObject({ end: { how: "exited", code: n % 2 } });
  expect(fleet.witnessLines().toSorted()).toEqual(runs.toSorted());
  expect((await fleet.call("GET", `/runs?taskId=${taskId}&limit=200`)).body.items).toHaveLength(50);
  await until("health to pass again", async () => (await fleet.call("GET", "/health")).status === 200);
  const first = runs[0] as string;
  await until("the whole output", async () => {
    const log = await fleet.call("GET", `/runs/${first}/logs?follow=true`, undefined, { accept: "text/plain" });
    return (log.body as string).length === 100_000;
  });
  expect((await server.admin("SELECT COUNT(*) AS n FROM set_aside", "muster_1"))[0].n).toBe(0);
  expect(residentMb(manager, "VmHWM") - before).toBeLessThanOrEqual(mostGrowthMb);
});

function lines(file: string): number {
  try {
    return readFileSync(file, "utf8").split("\n").length - 1;
  } catch {
    return 0; // Nobody has written it yet.
  }
}

/** Resident memory of a process in MB: now (`VmRSS`), or the most that it ever was (`VmHWM`). */
function residentMb(member: Member, what: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${member.process.pid}/status`, "utf8");
  return Number(new RegExp(`^${what}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1_024;
}
