import { expect, test } from "vitest";
import { processClock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { makePlane } from "../../../manager/engine/plane.ts";
import type { PoolEngine } from "../../../manager/engine/engine.ts";
import { openPeers } from "../../../manager/peers/peers.ts";
import type { BrokerPlace } from "../../../manager/peers/messages.ts";
import type { ControlPlane } from "../../../manager/plane.ts";
import { StoreError, type LeaseRow } from "../../../manager/store/store.ts";
import { freePorts } from "../../kit/ports.ts";
import { until } from "../../kit/until.ts";
import { answering, key, leaderRig, leaseOf, type LeaderRig } from "../peers/rig.ts";
import { createTask, hello, type Rig } from "./rig.ts";

const nobodyListens = { subscribe: () => () => undefined, hearing: async () => undefined };

/** The plane of a manager that sees this lease for its one pool; `alone`: on a database of its own. */
async function follower(lease: LeaseRow | null, options: { broker?: BrokerPlace; alone?: boolean } = {}): Promise<ControlPlane> {
  const engines = new Map([["default", { lead: undefined, trouble: undefined, lease } as unknown as PoolEngine]]);
  const store = {
    readLease: async (pool: string) => (pool === "elsewhere" && lease ? { ...lease, pool } : null),
    secret: async () => key,
    check: async () => [],
  };
  const peers = await openPeers({
    self: { name: "manager-follower", address: "http://127.0.0.1:1" },
    broker: options.broker ?? "apart",
    engines,
    store,
    clock: processClock,
    log: silentLog(),
    answerWithinMs: 5_000,
    leaseRenewMs: 50,
  });
  const deps = { engines, store, clock: processClock, wire: () => ({ up: true, sentence: "connected" }), warnings: [] };
  return makePlane(options.alone ? deps : { ...deps, peers }, nobodyListens);
}

function planeOver(rig: Rig): ControlPlane {
  const store = { check: async () => [] };
  const engines = new Map([["default", rig.engine]]);
  return makePlane(
    { engines, store, clock: processClock, wire: () => ({ up: true, sentence: "connected" }), warnings: [] },
    nobodyListens,
  );
}

const queued = { id: "run-1", pool: "default", state: "queued" } as const;
const worker = { id: "worker-1", pool: "default" };

function leading(leader: LeaderRig): LeaseRow {
  return leaseOf(leader.name, leader.address, leader.engine.lead?.term);
}

test("a follower shows what the leader shows, and asks nobody of what has no reason", async () => {
  const leader = await leaderRig();
  leader.engine.post(hello("worker-1"), 100);
  await until("the worker to be known", () => leader.engine.lead?.state.workers.has("worker-1"));
  const [here, there] = [await follower(leading(leader)), planeOver(leader)];
  const shown = async (plane: ControlPlane): Promise<unknown> => ({
    reason: (await plane.reasonsOf([queued]))(queued),
    live: { ...(await plane.workersLive([worker]))(worker), lastSeenWall: 0 },
    alarms: await plane.alarms(),
  });
  expect(await shown(here)).toEqual(await shown(there));
  const asked = leader.heard.length;
  const over = [
    { ...queued, state: "running" },
    { ...queued, state: "succeeded" },
  ] as const;
  const reasonOf = await here.reasonsOf(over);
  expect(over.map(reasonOf)).toEqual([null, null]);
  expect(leader.heard).toHaveLength(asked);
});

test("why a started run waits is asked of nobody: it came with the answer", async () => {
  const leader = await leaderRig();
  const here = await follower(leading(leader));
  const made = await here.ask("default", createTask("one"));
  const taskId = made.kind === "task" ? made.task.id : "";
  const item = {
    taskId,
    runId: "run-1",
    mayExist: false,
    params: {},
    workerId: null,
    labels: {},
    idempotencyKey: null,
    bodyHash: "0".repeat(64),
    trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  };
  const started = await here.ask("default", { kind: "startRuns", items: [item], by: "tester", byReason: null });
  const run = started.kind === "runs" && started.items[0]?.ok ? started.items[0].run : undefined;
  expect(run && (await here.reasonsOf([run]))(run)).toBe("there are no workers in this pool");
  expect(leader.heard.map(({ path }) => path)).toEqual(["/peers/ask", "/peers/ask"]);
});

test("health and readiness of a follower say who leads, and that requests are forwarded", async () => {
  const leader = await leaderRig();
  const here = await follower(leading(leader));
  expect(await here.checks()).toContainEqual({
    name: "leader:default",
    status: "pass",
    sentence: `manager-leader leads with term ${leader.engine.lead?.term}; requests are forwarded to it`,
  });
  expect(await here.ready()).toEqual({
    ready: true,
    sentence: "requests are taken; those for default are forwarded to manager-leader, which leads it",
  });
  expect(await planeOver(leader).ready()).toEqual({
    ready: true,
    sentence: "requests are taken; this manager leads default",
  });
});

test("a follower is not ready, and says why, when nobody leads, the leader does not answer, or its database is in trouble", async () => {
  const whyNot = async (lease: LeaseRow | null, options: Parameters<typeof follower>[1] = {}): Promise<string> => {
    const plane = await follower(lease, options);
    const { ready, sentence } = await plane.ready();
    expect(ready).toBe(false);
    expect(await plane.checks()).toContainEqual(expect.objectContaining({ status: "fail" }));
    return sentence;
  };
  const [port = 0] = await freePorts(1);
  expect(await whyNot(null)).toBe("pool default: nobody leads the pool default now");
  expect(await whyNot(null, { alone: true })).toBe("pool default: this manager does not lead it yet");
  expect(await whyNot(leaseOf("manager-gone", `http://127.0.0.1:${port}`))).toMatch(
    /^pool default: manager-gone at .* does not answer/,
  );
  const leader = await leaderRig();
  // Tried until it holds: an error that nobody knows is given up at its third time, and the lead with it.
  const broken = new StoreError("transient", true, "the disk is full");
  leader.fault = () => Promise.reject(broken);
  leader.engine.ask(createTask("one")).catch(() => undefined);
  await until("the leader to be in trouble", () => leader.engine.trouble);
  expect(await whyNot(leading(leader))).toBe("pool default: the database is in trouble there: the disk is full");
});

test("what a follower cannot know is said, not left out", async () => {
  const address = await answering(() => undefined);
  const here = await follower(leaseOf("manager-paused", address));
  const [reasonOf, liveOf] = await Promise.all([here.reasonsOf([queued]), here.workersLive([worker])]);
  expect(reasonOf(queued)).toMatch(/^manager-paused at .* does not answer: .*; why the run waits is not known here$/);
  expect(liveOf(worker)).toEqual({ reason: expect.stringMatching(/^manager-paused at .*; what it does now is not known here$/) });
  const alone = await follower(null, { alone: true });
  expect((await alone.reasonsOf([queued]))(queued)).toBe(
    "this manager does not lead the pool yet; why the run waits is not known here",
  );
});

test("managers with a broker of their own beside others are told so: their workers would not be heard", async () => {
  const leader = await leaderRig();
  const inside = await follower(leading(leader), { broker: "inside" });
  const sentence =
    "this manager has a broker inside, whose workers no other manager hears; give all managers of this database one broker (MUSTER_BROKER_URL)";
  expect(await inside.checks()).toContainEqual({ name: "broker:default", status: "fail", sentence });
  expect(await inside.ready()).toEqual({ ready: false, sentence: `pool default: ${sentence}` });

  const odd = await leaderRig("manager-odd", key, "inside");
  const here = await follower(leading(odd));
  expect(await here.checks()).toContainEqual({
    name: "broker:default",
    status: "fail",
    sentence: expect.stringMatching(/^manager-odd, which leads the pool, has a broker inside/),
  });
});

test("pools that only other managers serve are served too, and pools that nobody has are not", async () => {
  const leader = await leaderRig();
  const here = await follower(leading(leader));
  expect(await Promise.all(["default", "elsewhere", "nowhere"].map((pool) => here.serves(pool)))).toEqual([true, true, false]);
  const alone = await follower(null, { alone: true });
  expect(await alone.serves("elsewhere")).toBe(false);
});
