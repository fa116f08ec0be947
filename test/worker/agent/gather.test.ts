import { expect, test } from "vitest";
import { reported, TestAgent } from "./kit.ts";

const gathering = { gatherMs: 20 };

test("accepted and running gather for a moment; an end goes at once and takes them along, in order", () => {
  const agent = new TestAgent({ options: gathering }).connectAndSync();
  expect(reported(agent.start("a"))).toEqual([]);
  expect(reported(agent.started("a"))).toEqual([]);
  expect(reported(agent.ended("a")).map(({ seq, kind }) => [seq, kind])).toEqual([
    [1, "accepted"],
    [2, "running"],
    [3, "end"],
  ]);
});

test("what gathered leaves after its time, also when nothing else happens, and later news gathers anew", () => {
  const agent = new TestAgent({ options: gathering }).connectAndSync();
  agent.start("a");
  expect(reported(agent.pass(19))).toEqual([]);
  expect(reported(agent.pass(1)).map(({ kind }) => kind)).toEqual(["accepted"]);
  agent.pass(100);
  expect(reported(agent.started("a"))).toEqual([]);
  expect(reported(agent.pass(20)).map(({ kind }) => kind)).toEqual(["running"]);
});

test("nothing gathers while resends go on: a manager that is back hears everything at once", () => {
  const agent = new TestAgent({ options: gathering }).connectAndSync();
  agent.start("a");
  agent.pass(20);
  const again = reported(agent.pass(2_000));
  expect(again.map(({ seq }) => seq)).toContain(1);
});
