import { expect, test, vi } from "vitest";
import { peerLimits } from "../../../schema/limits/peers.ts";
import { freePorts } from "../../kit/ports.ts";
import { hello } from "../engine/rig.ts";
import { until } from "../../kit/until.ts";
import { answering, followerRig, leaderRig, leaseOf, pool } from "./rig.ts";

const nothing = { runs: [], workers: [] };

/** All that a test does is done within one instant of it. */
const stillClock = { now: () => ({ mono: 0, wall: 0 }) };

test("a page of runs and workers is one question, and the leader's memory answers it", async () => {
  const leader = await leaderRig();
  leader.engine.post(hello("worker-1"), 100);
  await until("the worker to be known", () => leader.engine.lead?.state.workers.has("worker-1"));
  const { views } = followerRig(leaseOf(leader.name, leader.address, leader.engine.lead?.term));
  const runs = Array.from({ length: 200 }, (_, n) => ({ id: `run-${n}`, state: "queued" as const }));
  const seen = (await views.ask(new Map([[pool, { runs, workers: ["worker-1", "nobody"] }]]))).get(pool);
  expect(seen).toMatchObject({
    kind: "whole",
    broker: "apart",
    leader: { term: leader.engine.lead?.term, holder: { name: leader.name, address: leader.address } },
    view: { alarms: [], trouble: null, workers: { "worker-1": { attempts: 0, used: { slots: 0 } } } },
  });
  expect(seen?.kind === "whole" && Object.keys(seen.view.reasons)).toHaveLength(200);
  expect(seen?.kind === "whole" && Object.keys(seen.view.workers)).toEqual(["worker-1"]);
  expect(leader.heard.map(({ path }) => path)).toEqual(["/peers/view"]);
});

test("a leader that does not answer is said to be silent, and is left alone for a while", async () => {
  const address = await answering(() => undefined);
  const { views, caller } = followerRig(leaseOf("manager-paused", address), { clock: stillClock });
  const asked = vi.spyOn(caller, "call");
  const unknown = {
    kind: "unknown",
    why: `manager-paused at ${address} does not answer: no answer within ${peerLimits.viewMs} ms`,
  };
  expect((await views.ask(new Map([[pool, nothing]]))).get(pool)).toEqual(unknown);
  expect((await views.ask(new Map([[pool, nothing]]))).get(pool)).toEqual(unknown);
  expect(asked).toHaveBeenCalledTimes(1);
});

test("who cannot be asked is said in a sentence", async () => {
  const [port = 0] = await freePorts(1);
  const whyOf = async (lease: Parameters<typeof followerRig>[0]): Promise<string> => {
    const seen = (await followerRig(lease).views.ask(new Map([[pool, nothing]]))).get(pool);
    return seen?.kind === "unknown" ? seen.why : "answered";
  };
  expect(await whyOf(null)).toBe("nobody leads the pool default now");
  expect(await whyOf(leaseOf("manager-old", null))).toMatch(/^manager-old leads the pool default and announces no address/);
  expect(await whyOf(leaseOf("manager-gone", `http://127.0.0.1:${port}`))).toMatch(
    /^manager-gone at .* does not answer: .*ECONNREFUSED/,
  );
  const other = await leaderRig("manager-other");
  expect(await whyOf(leaseOf("manager-leader", other.address))).toMatch(/does not answer: manager-other answers there/);
  await other.engine.stop();
  expect(await whyOf(leaseOf("manager-other", other.address))).toBe(
    "manager-other does not lead the pool default any more, and nobody else does yet",
  );
});

test("many who ask for the health of a pool at once are told by one question", async () => {
  const leader = await leaderRig();
  const { views } = followerRig(leaseOf(leader.name, leader.address, leader.engine.lead?.term), { clock: stillClock });
  const seen = await Promise.all(Array.from({ length: 50 }, () => views.health(pool)));
  expect(new Set(seen.map(({ kind }) => kind))).toEqual(new Set(["whole"]));
  expect(leader.heard).toHaveLength(1);
});
