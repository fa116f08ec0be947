import { connect } from "node:net";
import { expect, test, vi } from "vitest";
import { peerLimits } from "../../../schema/limits/peers.ts";
import { ProblemError, type Problem } from "../../../schema/problem.ts";
import { freePorts } from "../../kit/ports.ts";
import { until } from "../../kit/until.ts";
import { createTask } from "../engine/rig.ts";
import { answering, followerRig, leaderRig, leaseOf, pool, type FollowerRig, type LeaderRig } from "./rig.ts";

async function problemOf(work: Promise<unknown>): Promise<Problem> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof ProblemError) return error.problem;
  throw new Error(`no problem came, but ${String(error)}`);
}

function following(leader: LeaderRig): FollowerRig {
  return followerRig(leaseOf(leader.name, leader.address, leader.engine.lead?.term));
}

test("the leader's answer comes back as it is, its problems too, over one connection that stays", async () => {
  const leader = await leaderRig();
  const { forwarder } = following(leader);
  const { outcome } = await forwarder.ask(pool, createTask("one"));
  expect(outcome).toMatchObject({ kind: "task", created: true, task: { name: "one", pool } });
  expect(outcome.kind === "task" && (await leader.store.task(outcome.task.id))).toEqual(outcome.kind === "task" && outcome.task);
  const problem = await problemOf(forwarder.ask(pool, { ...createTask("one"), id: "another" } as never));
  expect(problem).toMatchObject({ code: "name-taken" });
  expect(forwarder.counts.get(pool)).toEqual({ answered: 2, notTaken: 0, outcomeUnknown: 0 });
  expect(forwarder.inFlight).toBe(0);
  expect(leader.connections).toBe(1);
});

test("a start brings along why its run waits, as the leader's memory has it", async () => {
  const leader = await leaderRig();
  const { forwarder } = following(leader);
  const made = await forwarder.ask(pool, createTask("one"));
  const taskId = made.outcome.kind === "task" ? made.outcome.task.id : "";
  const { outcome, reasons } = await forwarder.ask(pool, {
    kind: "startRun",
    item: {
      taskId,
      runId: "run-1",
      mayExist: false,
      params: {},
      workerId: null,
      labels: {},
      idempotencyKey: null,
      bodyHash: "0".repeat(64),
      trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    },
    by: "tester",
    byReason: null,
  });
  expect(outcome).toMatchObject({ kind: "run", run: { id: "run-1", state: "queued" } });
  expect(reasons).toEqual({ "run-1": "there are no workers in this pool" });
});

test("a leader that is gone before it was reached has not taken the request", async () => {
  const [port = 0] = await freePorts(1);
  const { forwarder } = followerRig(leaseOf("manager-gone", `http://127.0.0.1:${port}`));
  expect(await problemOf(forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "not-taken",
    detail: expect.stringMatching(/manager-gone at http:\S+, which leads the pool default, cannot be reached: .*ECONNREFUSED/),
    retryAfterSeconds: 1,
  });
  const nobody = followerRig(null);
  expect(await problemOf(nobody.forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "not-taken",
    detail: "the request was not taken: nobody leads the pool default now; try again",
  });
  const silent = followerRig(leaseOf("manager-old", null));
  expect(await problemOf(silent.forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "not-taken",
    detail: expect.stringContaining("announces no address"),
  });
});

test("a leader that is gone while it has the request leaves the outcome unknown", async () => {
  const address = await answering((request) => void request.on("data", () => request.socket.destroy()));
  const { forwarder } = followerRig(leaseOf("manager-dying", address));
  expect(await problemOf(forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "outcome-unknown",
    detail: expect.stringContaining("manager-dying"),
    retryAfterSeconds: 2,
  });
  expect(forwarder.counts.get(pool)).toEqual({ answered: 0, notTaken: 0, outcomeUnknown: 1 });
});

test("an answer that breaks off, or whose seal does not hold, leaves the outcome unknown", async () => {
  const half = await answering((request, response) => {
    request.resume().on("end", () => {
      response.writeHead(200, { "content-length": 100 }).write("{", () => response.destroy());
    });
  });
  const other = await answering((request, response) => {
    request.resume().on("end", () => response.writeHead(404).end("nothing here"));
  });
  expect(await problemOf(followerRig(leaseOf("manager-a", half)).forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "outcome-unknown",
  });
  expect(await problemOf(followerRig(leaseOf("manager-a", other)).forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "outcome-unknown",
    detail: expect.stringContaining("(status 404) is no manager of this database"),
  });
});

test("a leader that stands still holds nobody for longer than its lead: the request is let go when somebody else leads", async () => {
  const { promise: arrived, resolve: arrives } = Promise.withResolvers<void>();
  const address = await answering(() => arrives());
  const follower = followerRig(leaseOf("manager-paused", address), { answerWithinMs: 3_600_000 });
  const asked = problemOf(follower.forwarder.ask(pool, createTask("one")));
  await arrived;
  follower.lease = leaseOf("manager-next", "http://127.0.0.1:1", 2);
  expect(await asked).toMatchObject({
    code: "outcome-unknown",
    detail: expect.stringContaining("manager-paused does not lead any more"),
  });
  // The time that a request has ends it too.
  const patient = followerRig(leaseOf("manager-paused", address), { answerWithinMs: -peerLimits.answerGraceMs + 50 });
  expect(await problemOf(patient.forwarder.ask(pool, createTask("one")))).toMatchObject({ code: "outcome-unknown" });
});

test("a leader that takes its lease again under a higher term still answers what it was asked under the one before", async () => {
  const leader = await leaderRig();
  const term = leader.engine.lead?.term ?? 0;
  const follower = followerRig(leaseOf(leader.name, leader.address, term));
  const { promise: gate, resolve: letGo } = Promise.withResolvers<void>();
  const { promise: committing, resolve: begun } = Promise.withResolvers<void>();
  leader.fault = async (batch, commit) => {
    if (batch.changes.length === 0) return await commit();
    begun();
    await gate;
    return await commit();
  };
  const asked = follower.forwarder.ask(pool, createTask("one"));
  await committing;
  follower.lease = leaseOf(leader.name, leader.address, term + 1);
  follower.forwarder.look(pool);
  const first = await Promise.race([
    asked.catch(problemOfError),
    new Promise((resolve) => setTimeout(resolve, 3 * peerLimits.lastWordsMs, "waits")),
  ]);
  expect(first).toBe("waits");
  letGo();
  expect((await asked).outcome).toMatchObject({ kind: "task", created: true });
});

function problemOfError(error: unknown): unknown {
  return error instanceof Error ? error.message : error;
}

test("a manager that does not lead says so, asks nobody else, and the request goes to who leads by now", async () => {
  const old = await leaderRig("manager-old");
  const term = old.engine.lead?.term ?? 0;
  const next = await leaderRig("manager-next");
  await old.engine.stop();
  const follower = followerRig(leaseOf(old.name, old.address, term));
  // While nobody else leads it is said that it was not taken.
  expect(await problemOf(follower.forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "not-taken",
    detail: "the request was not taken: the lead of the pool default is changing; try again",
  });
  expect(old.heard.map(({ path }) => path)).toEqual(["/peers/ask", "/peers/ask"]);
  expect(next.heard).toEqual([]);

  // The lease has moved, and this manager has not looked since.
  follower.fresh = leaseOf(next.name, next.address, next.engine.lead?.term);
  expect((await follower.forwarder.ask(pool, createTask("one"))).outcome).toMatchObject({ kind: "task" });
  expect([old.heard.length, next.heard.length]).toEqual([3, 1]);
});

test("a request that was meant for another term is not taken", async () => {
  const leader = await leaderRig();
  const { forwarder } = followerRig(leaseOf(leader.name, leader.address, (leader.engine.lead?.term ?? 0) + 1));
  expect(await problemOf(forwarder.ask(pool, createTask("one")))).toMatchObject({ code: "not-taken" });
  expect(leader.events).toEqual([]);
});

test.each([
  ["manager-other", "manager-other answers there; MUSTER_MANAGER_ADDRESS of each manager must lead to it alone"],
  ["manager-follower", "cannot be reached: that address is this manager's own"],
])("%s at the leader's address is named, and has not taken the request", async (name, says) => {
  const other = await leaderRig(name);
  const { forwarder } = followerRig(leaseOf("manager-leader", other.address));
  expect(await problemOf(forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "not-taken",
    detail: expect.stringContaining(says),
  });
  expect(other.events).toEqual([]);
});

test("who has not the managers' secret is refused before anything is done, and cannot play what was heard", async () => {
  const leader = await leaderRig();
  const stranger = followerRig(leaseOf(leader.name, leader.address, leader.engine.lead?.term), { key: Buffer.alloc(32) });
  expect(await problemOf(stranger.forwarder.ask(pool, createTask("one")))).toMatchObject({ code: "outcome-unknown" });
  const bare = await fetch(`${leader.address}/peers/ask`, { method: "POST", body: "{}" });
  expect([bare.status, await bare.text()]).toEqual([403, ""]);
  expect(leader.events).toEqual([]);
  expect(leader.door.figures).toEqual({ taken: 0, refused: 2 });

  await following(leader).forwarder.ask(pool, createTask("two"));
  const heard = leader.heard.at(-1);
  const events = leader.events.length;
  for (const body of [heard?.body ?? "", heard?.body.replace("two", "six") ?? ""]) {
    const { "content-length": _, ...headers } = heard?.headers ?? {};
    const again = await fetch(`${leader.address}/peers/ask`, { method: "POST", headers, body });
    expect(again.status).toBe(403);
  }
  expect(leader.events).toHaveLength(events);
});

test("a body that is not the one that was sealed is refused", async () => {
  const leader = await leaderRig();
  const { host, port } = { host: "127.0.0.1", port: Number(new URL(leader.address).port) };
  const { caller } = following(leader);
  // Takes the seal from a call that cannot be delivered.
  let seal = "";
  const trap = await answering((request) => {
    seal = String(request.headers["x-muster-peer"]);
    request.socket.destroy();
  });
  await caller.call({ to: { name: leader.name, address: trap }, path: "/peers/ask", body: '{"v":1}', withinMs: 5_000 });
  const socket = connect({ host, port });
  const answer = await new Promise<string>((done) => {
    let text = "";
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => (text += bytes.toString())).on("close", () => done(text));
    socket.write(
      `POST /peers/ask HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-muster-peer: ${seal}\r\ncontent-length: 7\r\n\r\n{"v":2}`,
    );
  });
  expect(answer).toMatch(/^HTTP\/1.1 403/);
  expect(leader.door.figures.refused).toBe(1);
});

test("more requests than may be on their way are not taken, and neither is one that is too large", async () => {
  const { promise: arrived, resolve: arrives } = Promise.withResolvers<void>();
  const address = await answering(() => arrives());
  const follower = followerRig(leaseOf("manager-slow", address), { answerWithinMs: 3_600_000 });
  const asked = Array.from({ length: peerLimits.inFlight }, () => problemOf(follower.forwarder.ask(pool, createTask("one"))));
  await until("all to be on their way", () => follower.forwarder.inFlight === peerLimits.inFlight);
  await arrived;
  expect(await problemOf(follower.forwarder.ask(pool, createTask("one")))).toMatchObject({
    code: "not-taken",
    detail: expect.stringContaining("too many requests are on their way"),
  });
  follower.lease = null;
  const codes = new Set((await Promise.all(asked)).map(({ code }) => code));
  // Those that had no connection yet were never sent.
  expect([...codes].toSorted()).toEqual(["not-taken", "outcome-unknown"]);
  expect(follower.forwarder.inFlight).toBe(0);
  const large = { ...createTask("large"), byReason: "x".repeat(peerLimits.bodyBytes) };
  follower.lease = leaseOf("manager-slow", address);
  expect(await problemOf(follower.forwarder.ask(pool, large))).toMatchObject({ code: "too-large" });
});

test("a manager that is shut down tells whoever waits", async () => {
  const { promise: arrived, resolve: arrives } = Promise.withResolvers<void>();
  const address = await answering(() => arrives());
  const { forwarder } = followerRig(leaseOf("manager-slow", address));
  const asked = problemOf(forwarder.ask(pool, createTask("one")));
  await arrived;
  forwarder.close();
  expect(await asked).toMatchObject({ detail: expect.stringContaining("this manager is being shut down") });
});

test("an address that is none has taken nothing", async () => {
  const { forwarder } = followerRig(leaseOf("manager-odd", "nowhere"));
  expect(await problemOf(forwarder.ask(pool, createTask("one")))).toMatchObject({ code: "not-taken" });
});

test("a forwarded request whose client has gone is let go, and the leader does not step it", async () => {
  const leader = await leaderRig();
  const { forwarder } = following(leader);
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  leader.fault = async (_batch, commit) => {
    reached.resolve();
    await gate.promise;
    return await commit();
  };
  const first = forwarder.ask(pool, createTask("first"));
  await reached.promise;
  const [gone, ask] = [new AbortController(), vi.spyOn(leader.engine, "ask")];
  const left = problemOf(forwarder.ask(pool, createTask("left"), gone.signal));
  await until("the leader to have it", () => ask.mock.calls.length === 1);
  gone.abort();
  expect(await left).toMatchObject({ code: "outcome-unknown" });
  await until("the leader to hear of it", () => ask.mock.calls[0]?.[1]?.aborted);
  gate.resolve();
  expect((await first).outcome).toMatchObject({ created: true });
  await expect(ask.mock.results[0]?.value).rejects.toMatchObject({ problem: { code: "not-taken" } });
  expect(await leader.store.task("id-left")).toBeNull();
});
