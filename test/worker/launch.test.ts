import { describe, expect, test } from "vitest";
import type { StartOrder } from "../../worker/agent/records.ts";
import type { Driver } from "../../worker/drivers/driver.ts";
import { prepareLaunch } from "../../worker/launch.ts";

const deadlines = { timeoutMono: null, fenceMono: null, graceMs: 1 };

const order: StartOrder = {
  attempt: "a",
  run: "r",
  number: 1,
  task: "t",
  version: 1,
  driver: "own",
  spec: { driver: "own", stdin: "in", workingDirectory: "/srv", user: "ana" },
  body: null,
  env: { BOTH: "task", TASK: "1" },
  timeoutSeconds: null,
  killGraceSeconds: 1,
  onLost: "wait",
  requires: { slots: 1, memoryMb: 0, cpus: 0 },
  limits: { logStreamBytes: 10, resultBytes: 20 },
  trace: "",
};

function prepared(prepare: Driver["prepare"], more: Partial<StartOrder> = {}): ReturnType<typeof prepareLaunch> {
  const facts = {
    os: "linux",
    osVersion: "",
    arch: "x64",
    hostname: "h",
    cpus: 1,
    memoryMb: 1,
    interpreters: {},
    drivers: [],
    agentVersion: "",
    nodeVersion: "",
    bootId: "b",
  };
  const drivers = new Map<string, Driver>([["own", { name: "own", prepare }]]);
  return prepareLaunch({ ...order, ...more }, deadlines, {
    drivers,
    facts,
    interpreters: new Map([["sh", "/bin/sh"]]),
    folderOf: (attempt) => `/folders/${attempt}`,
  });
}

const fine = { program: "/bin/true", args: ["x"], files: [], env: { BOTH: "driver", DRIVER: "1" } };

describe("prepareLaunch", () => {
  test("lays the task's env over the driver's and adds what is the same for every driver", () => {
    expect(prepared(() => fine)).toEqual({
      attempt: "a",
      run: "r",
      launch: fine,
      env: { BOTH: "task", DRIVER: "1", TASK: "1" },
      stdin: "in",
      workingDirectory: "/srv",
      user: "ana",
      deadlines,
      limits: { logStreamBytes: 10, resultBytes: 20 },
    });
  });

  test("tells the driver of the attempt's folder and the host's interpreters", () => {
    const asked: unknown[] = [];
    prepared((spec, host) => {
      asked.push(spec["driver"], host.folder, host.interpreter("sh"), host.interpreter("ksh"));
      return fine;
    });
    expect(asked).toEqual(["own", "/folders/a", "/bin/sh", undefined]);
  });

  test("a spec without the common fields has none of them", () => {
    expect(prepared(() => fine, { spec: { driver: "own" } })).toMatchObject({ stdin: null, workingDirectory: null, user: null });
  });

  test.each<[string, Driver["prepare"], Partial<StartOrder>, RegExp]>([
    ["a driver that says no", () => ({ why: "not here" }), {}, /^not here$/],
    [
      "a driver that throws",
      () => {
        throw new Error("broken");
      },
      {},
      /driver "own" failed: broken/,
    ],
    ["a driver that returns rubbish", () => ({ program: 3 }) as never, {}, /made no usable command.*program/s],
    ["a driver that returns nothing", () => undefined as never, {}, /driver "own" failed/],
    [
      "a driver whose file would leave the folder",
      () => ({ ...fine, files: [{ name: "../x", bytes: new Uint8Array(), executable: false }] }),
      {},
      /plain file name/,
    ],
    ["a driver that is not there", () => fine, { driver: "other" }, /no driver "other"; it has own/],
    ["a start without its spec", () => fine, { spec: undefined }, /without what to run/],
    ["a spec whose common part is unreadable", () => fine, { spec: { stdin: 3 } }, /unreadable/],
  ])("says why there is nothing to launch: %s", (_what, prepare, more, why) => {
    const result = prepared(prepare, more);
    expect("why" in result && result.why).toMatch(why);
  });

  test("a reason is never longer than the wire allows", () => {
    const result = prepared(() => ({ why: "x".repeat(10_000) }));
    expect("why" in result && result.why).toHaveLength(500);
  });
});
