import { expect, test } from "vitest";
import type { Found } from "../../../worker/agent/types.ts";
import { launched, only, published, reported, TestAgent } from "./kit.ts";

const process = { bootId: "boot-1", pid: 4_000, startTicks: 99 };
const alive = (attempt: string): Found => ({ attempt, found: "alive", process, startedWall: 5 });
const exited = (attempt: string, code: number): Found => ({
  attempt,
  found: "exited",
  exit: { read: "code", code },
  result: { kind: "inline", json: "7" },
  process,
  startedWall: 5,
  timedOut: false,
  fenced: false,
});

test("those alive are adopted and go on to their own ends", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.start("a2");
  const next = agent.restart();
  next.recover([alive("a1"), alive("a2")]);
  next.connectAndSync();
  expect(reported(next.actions).map((report) => [report.attempt, report.kind])).toEqual([
    ["a1", "accepted"],
    ["a1", "running"],
    ["a2", "accepted"],
    ["a2", "running"],
  ]);
  expect(next.entry("a2")).toMatchObject({ state: "running", process, startedWall: 5 });
  // Their room is theirs.
  expect(launched(next.start("a3"))).toEqual([]);
  next.ended("a1", { exit: { read: "code", code: 9 } });
  expect(next.endOf("a1")).toEqual({ how: "exited", code: 9 });
  expect(launched(next.tick())).toEqual([]);
  expect(next.entry("a3")?.state).toBe("launching");
});

test("one that exited meanwhile ends with its code and its result", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  const next = agent.restart();
  next.recover([exited("a1", 3)]);
  next.connectAndSync();
  expect(reported(next.actions).at(-1)).toMatchObject({
    kind: "end",
    end: { how: "exited", code: 3 },
    result: 7,
    pid: 4_000,
    startedAt: 5,
  });
});

test.each<[string, (agent: TestAgent) => void, Found[], object]>([
  [
    "accepted, not launched: placed again (rule 2)",
    (agent) => agent.run("r1").run("r2").start("x"),
    [alive("r1"), alive("r2")],
    { how: "refused", why: "agent restarted" },
  ],
  [
    "launched, but the shim never made its mark",
    (agent) => agent.start("x"),
    [{ attempt: "x", found: "neverStarted" }],
    { how: "refused", why: "agent restarted" },
  ],
  [
    "the same, and it was to be stopped",
    (agent) => (agent.start("x"), agent.say({ kind: "stop", attempt: "x", by: "ana", graceSeconds: 9 })),
    [{ attempt: "x", found: "neverStarted" }],
    { how: "stopped", by: "ana" },
  ],
  [
    "it ran, and its folder was removed: it is not placed again",
    (agent) => agent.run("x"),
    [{ attempt: "x", found: "neverStarted" }],
    { how: "lost", why: "its folder was removed while it ran" },
  ],
  [
    "the same, while it was being stopped",
    (agent) => (agent.run("x"), agent.say({ kind: "stop", attempt: "x", by: "ana", graceSeconds: 9 })),
    [{ attempt: "x", found: "neverStarted" }],
    { how: "lost", why: "its folder was removed while it ran" },
  ],
  [
    "its program could not be executed, after its shim had made its mark",
    (agent) => agent.run("x"),
    [{ attempt: "x", found: "failedToStart", why: "no such program" }],
    { how: "failedToStart", why: "no such program" },
  ],
  [
    "stopped by the earlier agent, after its exit record was complete",
    (agent) => (agent.run("x"), agent.say({ kind: "stop", attempt: "x", by: "ana", graceSeconds: 9 })),
    [{ ...exited("x", 0), termBefore: false } as Found],
    { how: "exited", code: 0 },
  ],
  [
    "stopped by the earlier agent, before its exit record was complete",
    (agent) => (agent.run("x"), agent.say({ kind: "stop", attempt: "x", by: "ana", graceSeconds: 9 })),
    [{ ...exited("x", 0), termBefore: true } as Found],
    { how: "stopped", by: "ana" },
  ],
  ["launched before a reboot", (agent) => agent.run("x"), [{ attempt: "x", found: "rebooted" }], { how: "lost", why: "reboot" }],
  [
    "accepted before a reboot",
    (agent) => agent.run("r1").run("r2").start("x"),
    [
      { attempt: "r1", found: "rebooted" },
      { attempt: "r2", found: "rebooted" },
    ],
    { how: "refused", why: "agent restarted" },
  ],
  [
    "an unreadable record",
    (agent) => agent.run("x"),
    [{ ...exited("x", 0), exit: { read: "unreadable", why: "blank" } } as Found],
    { how: "lost", why: "unreadable exit: blank" },
  ],
  ["no trace at all", (agent) => agent.run("x"), [], { how: "lost", why: "its process was not found after the agent's restart" }],
  [
    "stopped by the earlier agent",
    (agent) => (agent.run("x"), agent.say({ kind: "stop", attempt: "x", by: "ana", graceSeconds: 9 })),
    [exited("x", 143)],
    { how: "stopped", by: "ana" },
  ],
  [
    "timed out under the earlier agent",
    (agent) => (agent.run("x", { timeoutSeconds: 5 }), agent.pass(6_000)),
    [exited("x", 143)],
    { how: "timedOut" },
  ],
  [
    "signalled by the earlier agent",
    (agent) => (agent.run("x"), agent.say({ kind: "signal", attempt: "x", signal: "SIGUSR1" })),
    [exited("x", 138)],
    { how: "signalled", signal: "SIGUSR1" },
  ],
  [
    "timed out by the watchdog while no agent ran",
    (agent) => agent.run("x", { timeoutSeconds: 5 }),
    [{ ...exited("x", 143), timedOut: true } as Found],
    { how: "timedOut" },
  ],
  [
    "fenced by the watchdog while no agent ran",
    (agent) => agent.run("x", { onLost: "retry", lostAfterSeconds: 50 }),
    [{ ...exited("x", 137), fenced: true } as Found],
    { how: "stopped", by: "fence" },
  ],
])("%s", (_, before, found, end) => {
  const agent = new TestAgent().connectAndSync();
  before(agent);
  const next = agent.restart();
  const actions = next.recover(found);
  expect(next.endOf("x")).toEqual(end);
  expect(launched(actions)).toEqual([]);
});

test("a start of an earlier epoch's attempt is answered, never obeyed", () => {
  const agent = new TestAgent().connectAndSync().run("r1").run("r2");
  agent.start("x");
  const next = agent.restart();
  next.recover([exited("r1", 0), exited("r2", 0)]);
  next.connectAndSync();
  next.ack();
  const actions = next.start("x");
  expect(launched(actions)).toEqual([]);
  expect(reported(actions)).toMatchObject([{ kind: "end", end: { how: "refused", why: "agent restarted" } }]);
});

test("a stop goes on over a restart: TERM again, KILL when it was due, and its end is the stop", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.say({ kind: "stop", attempt: "a1", by: "ana", graceSeconds: 20 });
  const next = agent.restart({ afterMs: 5_000 });
  expect(only(next.recover([alive("a1")]), "terminate")).toHaveLength(1);
  expect(only(next.pass(14_999), "kill")).toEqual([]);
  expect(only(next.pass(1), "kill")).toHaveLength(1);
  next.ended("a1", { exit: { read: "code", code: 143 }, termBefore: true });
  expect(next.endOf("a1")).toEqual({ how: "stopped", by: "ana" });
});

test("a stop that came to nobody, because it ended by itself before the first TERM, is no stop", () => {
  const agent = new TestAgent().connectAndSync().run("a1");
  agent.say({ kind: "stop", attempt: "a1", by: "ana", graceSeconds: 20 });
  const next = agent.restart();
  next.recover([alive("a1")]);
  next.ended("a1", { exit: { read: "code", code: 4 }, termBefore: false });
  expect(next.endOf("a1")).toEqual({ how: "exited", code: 4 });
});

test("one whose shim is still at its first lines is waited for, and may yet say that it never ran", () => {
  const agent = new TestAgent().connectAndSync();
  agent.start("a1");
  agent.start("a2");
  const next = agent.restart();
  next.recover([
    { attempt: "a1", found: "starting" },
    { attempt: "a2", found: "starting" },
  ]);
  next.connectAndSync();
  next.put({ kind: "notStarted", attempt: "a1", how: "refused", why: "its shim died" });
  expect(next.endOf("a1")).toEqual({ how: "refused", why: "its shim died" });
  next.started("a2", 77);
  expect(next.entry("a2")).toMatchObject({ state: "running", process: { pid: 77 } });
});

test("a timeout that passed while no agent ran is carried out at the return", () => {
  const agent = new TestAgent().connectAndSync().run("a1", { timeoutSeconds: 30 });
  const next = agent.restart({ afterMs: 60_000 });
  next.recover([alive("a1")]);
  expect(only(next.tick(), "terminate")).toHaveLength(1);
  next.ended("a1", { exit: { read: "code", code: 143 }, termBefore: true });
  expect(next.endOf("a1")).toEqual({ how: "timedOut" });
});

test("the hello of the next epoch lists what was adopted and what ended unheard", () => {
  const agent = new TestAgent().connectAndSync().run("a1").run("a2");
  const next = agent.restart();
  next.recover([alive("a1"), exited("a2", 0)]);
  const [hello] = published(next.connect(), "hello");
  expect(hello?.epoch).toBe(next.epoch);
  expect(hello?.inventory.items.map((item) => [item.attempt, item.state])).toEqual([
    ["a1", "running"],
    ["a2", "ended"],
  ]);
});
