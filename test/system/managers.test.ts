import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ApiClient, Called } from "../kit/api-client.ts";
import type { BrokerServer } from "../kit/broker-server.ts";
import { eventsIn, follow } from "../kit/follow.ts";
import { mariadbMissing, MariadbServer } from "../kit/mariadb.ts";
import { Managers } from "../kit/managers.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { until } from "../kit/until.ts";

/** Managers as processes, on one real MariaDB and one real Mosquitto. */
const missing = mariadbMissing() ?? mosquittoMissing;
let server: MariadbServer;
let broker: BrokerServer;
beforeAll(async () => {
  if (missing !== undefined) return;
  server = await MariadbServer.start();
  broker = await startMosquitto({ workers: ["a"] });
});
afterAll(async () => {
  await broker?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function ready(client: ApiClient): Promise<void> {
  await until(`${client.url} to be ready`, async () => (await client.call("GET", "/readyz")).status === 200);
}

/** Writes a line every now and then until its gate is there. */
function gated(fleet: Managers): Record<string, unknown> {
  const script =
    `echo "$MUSTER_RUN_ID" >> ${fleet.witness}; n=0;` +
    ' until [ -e "$PARAM_gate" ]; do n=$((n+1)); echo "line $n"; sleep 0.02; done; echo "$n lines"';
  return { params: { gate: "" }, run: { driver: "script", interpreter: "sh", script } };
}

/** Starts a run, again with the same key as often as it takes; every 503 on the way says which of the two it is. */
async function start(client: ApiClient, taskId: string, params: Record<string, string>): Promise<string> {
  let key: string | undefined;
  return await until("a start to be taken", async () => {
    const headers = key === undefined ? {} : { "idempotency-key": key };
    const answer: Called = await client.call("POST", `/tasks/${taskId}/start`, { params }, headers);
    if (answer.status === 202) return answer.body.id as string;
    expect(answer).toMatchObject({ status: 503, body: { code: expect.stringMatching(/^(not-taken|outcome-unknown)$/) } });
    if (answer.body.code === "outcome-unknown") key = answer.body.idempotencyKey as string;
    return undefined;
  });
}

describe("two managers", () => {
  test("a follower writes and shows as the leader does, and goes on when the leader is killed; a log is whole", async (ctx) => {
    if (missing !== undefined) return ctx.skip(missing);
    await using fleet = await Managers.start({ server, broker }, ["m1", "m2"]);
    await fleet.startWorker("a", { MUSTER_WORKER_SLOTS: "2" });
    const [leader, follower] = [await fleet.leader(), await fleet.follower()];
    const [there, here] = [fleet.at(leader), fleet.at(follower)];
    await ready(here);
    const health = (await here.call("GET", "/health")).body;
    expect(health).toMatchObject({ status: "pass" });
    expect(health.checks[0].sentence).toMatch(/^manager-\S+ leads with term 1; requests are forwarded to it$/);

    // Bodies that go over HTTP go to any manager: this start's comes from one, its result is brought to one.
    const script = `#${"x".repeat(60_000)}\nprintf '"%070000d"' 7 > "$MUSTER_RESULT"`;
    const large = await here.task({ name: "large", run: { driver: "script", interpreter: "sh", script } });
    expect((await here.ended(await start(here, large, {}))).result).toHaveLength(70_000);

    const taskId = await here.task({ name: "gated", ...gated(fleet) });
    const gate = `${fleet.folder}/gate`;
    const runs: string[] = [];
    for (let n = 0; n < 3; n += 1) runs.push(await start(here, taskId, { gate }));
    await until("two to run", () => fleet.witnessLines().length === 2);
    // What only the leader's memory has.
    const queued = (await here.call("GET", "/runs?state=queued")).body;
    expect(queued.items).toEqual([expect.objectContaining({ id: runs[2], reason: expect.stringMatching(/^1 worker: 1 /) })]);
    expect((await there.call("GET", "/runs?state=queued")).body).toEqual(queued);
    const worker = (await here.call("GET", "/workers/a")).body;
    expect(worker).toMatchObject({ state: "online", attempts: expect.any(Number), used: { slots: 2 } });
    // The core's refusals come back as they are; and the door is for managers alone.
    const taken = await here.call("POST", "/tasks", { name: "gated", ...gated(fleet) });
    expect(taken).toMatchObject({ status: 409, body: { code: "name-taken" } });
    expect((await here.call("POST", "/peers/ask", {})).status).toBe(403);
    const metrics = (await here.call("GET", "/metrics")).body;
    expect(metrics).toContain('muster_forwarded_requests_total{pool="default",outcome="answered"} 7');
    expect(metrics).toContain('muster_leader{pool="default"} 0');
    expect(metrics).toContain("muster_ready 1");

    const log = await follow(here, `/runs/${runs[0]}/logs?follow=true`);
    await log.until("output", (text) => text.includes("line 5\n"));
    await fleet.kill(leader);
    runs.push(await start(here, taskId, { gate }));
    expect(await fleet.leader()).toBe(follower);
    writeFileSync(gate, "");
    for (const id of runs) expect(await here.ended(id)).toMatchObject({ state: "succeeded" });
    expect(fleet.witnessLines().toSorted()).toEqual(runs.toSorted());
    const followed = await log.ended();
    const stored = await until("the whole log", async () => {
      const text = (await here.call("GET", `/runs/${runs[0]}/logs`, undefined, { accept: "text/plain" })).body as string;
      return text.endsWith(" lines\n") && text;
    });
    const lines = stored.trimEnd().split("\n");
    expect(lines).toEqual([...lines.slice(0, -1).map((_, n) => `line ${n + 1}`), `${lines.length - 1} lines`]);
    expect(followed).toBe(stored);
    // And the one that was killed comes back as a follower.
    await fleet.startManager(leader);
    await ready(there);
    expect((await there.call("POST", `/tasks/${taskId}/start`, { params: { gate } })).status).toBe(202);
  });

  test("a leader that stands still holds nobody: what was on its way is unknown, and is there once when its key is repeated", async (ctx) => {
    if (missing !== undefined) return ctx.skip(missing);
    await using fleet = await Managers.start({ server, broker }, ["m1", "m2"]);
    const [leader, follower] = [await fleet.leader(), await fleet.follower()];
    const here = fleet.at(follower);
    await ready(here);
    const taskId = await here.task({ name: "nothing", run: { driver: "exec", program: "/bin/true" } });
    fleet.pause(leader);
    const unknown = await here.call("POST", `/tasks/${taskId}/start`, {});
    expect(unknown).toMatchObject({
      status: 503,
      body: {
        code: "outcome-unknown",
        idempotencyKey: expect.any(String),
        detail: expect.stringContaining("does not lead any more"),
      },
    });
    expect(unknown.headers.get("retry-after")).toBe("2");
    const run = await until("the run", async () => {
      const again = await here.call("POST", `/tasks/${taskId}/start`, {}, { "idempotency-key": unknown.body.idempotencyKey });
      return again.status === 202 && again.body.id;
    });
    expect(await fleet.leader()).toBe(follower);
    // The old leader wakes with the request in its hands, finds its term gone, and follows.
    fleet.resume(leader);
    await ready(fleet.at(leader));
    await until("the old leader to say who leads", async () => {
      const health = (await fleet.at(leader).call("GET", "/health")).body;
      return health.checks[0].sentence.endsWith(" leads with term 2; requests are forwarded to it");
    });
    const second = await start(fleet.at(leader), taskId, {});
    const all = (await fleet.at(leader).call("GET", `/runs?taskId=${taskId}`)).body.items;
    expect(all.map(({ id }: { id: string }) => id)).toEqual([second, run]);
  });

  test("two pools led by two managers: a reader of either misses no event; when one is killed the other leads both", async (ctx) => {
    if (missing !== undefined) return ctx.skip(missing);
    const pools = { m1: { MUSTER_POOLS: "default" }, m2: { MUSTER_POOLS: "east,default" } };
    await using fleet = await Managers.start({ server, broker }, ["m1", "m2"], pools);
    expect([await fleet.leader("default"), await fleet.leader("east")]).toEqual(["m1", "m2"]);
    const readers = await Promise.all(["m1", "m2"].map((name) => follow(fleet.at(name), "/events", "text/event-stream")));
    for (const reader of readers) await reader.until("the beginning", (text) => text.includes("retry:"));

    // Each manager is asked for both pools, also for one that it does not serve, all at once.
    const make = async (prefix: string, names: readonly string[]): Promise<string[]> =>
      await Promise.all(
        names.flatMap((name) =>
          ["default", "east"].flatMap((pool) =>
            Array.from({ length: 20 }, (_, n) => {
              const task = { name: `${prefix}-${name}-${n}`, pool, run: { driver: "exec", program: "/bin/true" } };
              return until("a task to be made", () => fleet.at(name).task(task).catch(notTaken));
            }),
          ),
        ),
      );
    const first = await make("first", ["m1", "m2"]);
    const told = (text: string): string[] =>
      eventsIn(text).flatMap(({ event, data }) => (event === "taskCreated" ? [data.taskId as string] : []));
    for (const reader of readers) await reader.until("the first", (text) => told(text).length === first.length);
    await fleet.kill("m1");
    expect([await fleet.leader("default"), await fleet.leader("east")]).toEqual(["m2", "m2"]);
    const second = await make("second", ["m2"]);

    // The reader whose manager died goes on at the other, where it was.
    const [gone, stayed] = readers as [(typeof readers)[0], (typeof readers)[0]];
    const last = eventsIn(gone.text).at(-1)?.id ?? "";
    const moved = await follow(fleet.at("m2"), `/events?after=${encodeURIComponent(last)}`, "text/event-stream");
    await stayed.until("all", (text) => told(text).length === first.length + second.length);
    await moved.until("the rest", (text) => told(text).length === second.length);
    for (const reader of [stayed, moved]) reader.close();
    const texts = [stayed.text, gone.text + moved.text];
    for (const text of texts) {
      expect(told(text).toSorted()).toEqual([...first, ...second].toSorted());
      for (const pool of ["default", "east"]) {
        const numbers = eventsIn(text).flatMap(({ data }) => (data.pool === pool ? [data.number as number] : []));
        expect(numbers).toEqual(numbers.map((_, n) => (numbers[0] ?? 0) + n));
      }
    }
  });
});

/** While a lead changes a request may not be taken; anything else is no answer that a test waits for. */
function notTaken(error: unknown): undefined {
  if (!String(error).includes('"not-taken"')) throw error;
}
