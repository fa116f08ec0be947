import { describe, expect, test } from "vitest";
import { silentLog } from "../../../schema/kit/log.ts";
import type { Request } from "../../../manager/control/inputs.ts";
import { StoreError } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";
import { createTask, hello, makeRig, problemOf, startRig } from "./rig.ts";

const away = new StoreError("transient", true, "the database is away");

describe("stopping", () => {
  test("while the database is away: who waits is told that nobody knows, at once, and it is no failure", async () => {
    const rig = await makeRig();
    rig.fault = async () => await Promise.reject(away);
    const held = problemOf(rig.engine.ask(createTask("held")));
    await until("the trouble to show", () => rig.engine.trouble);
    await rig.engine.stop();
    expect(await held).toBe("outcome-unknown");
    expect(await problemOf(async () => await rig.engine.ask(createTask("late")))).toBe("not-taken");
    expect(await rig.store.task("id-held")).toBeNull();
  });

  test("while the live state cannot be read", async () => {
    const rig = startRig({ readFault: away });
    await until("the trouble to show", () => rig.engine.trouble);
    await rig.engine.stop();
    expect(rig.engine.lead).toBeUndefined();
  });

  test("while what a request needs cannot be read", async () => {
    const rig = await makeRig();
    rig.readFault = away;
    const held = problemOf(rig.engine.ask({ kind: "stopRun", runId: "r", graceSeconds: null, by: "a", byReason: null }));
    await until("the trouble to show", () => rig.engine.trouble);
    await rig.engine.stop();
    expect(await held).toBe("outcome-unknown");
  });
});

describe("a store that cannot be read", () => {
  test("for the time being: the request waits, and the door is closed meanwhile", async () => {
    const rig = await makeRig();
    rig.readFault = away;
    const stop: Request = { kind: "stopRun", runId: "r", graceSeconds: null, by: "a", byReason: null };
    const held = problemOf(rig.engine.ask(stop));
    await until("the trouble to show", () => rig.engine.trouble);
    expect(await problemOf(async () => await rig.engine.ask(stop))).toBe("not-taken");
    rig.readFault = null;
    expect(await held).toBe("not-found");
    expect(rig.engine.trouble).toBeUndefined();
  });

  test("by an error that nobody knows: the one request fails, and the pool goes on", async () => {
    const rig = await makeRig();
    const load = rig.store.load.bind(rig.store);
    let tries = 0;
    Reflect.set(rig.store, "load", async (...args: Parameters<typeof load>) => {
      if (JSON.stringify(args[1]).includes("poison")) {
        tries += 1;
        throw new Error("error 12345");
      }
      return await load(...args);
    });
    expect(await problemOf(rig.engine.ask(createTask("poison")))).toBe("internal");
    expect(tries).toBe(6);
    expect(await rig.engine.ask(createTask("after"))).toMatchObject({ kind: "task" });
  });

  test("when it leads, by an error that stays: the loop ends and says so, instead of standing still", async () => {
    const rig = startRig({ readFault: new TypeError("a bug"), loopFails: true });
    expect(await rig.engine.failed).toMatchObject({ message: "a bug" });
  });
});

test("the store's trouble is logged when it begins and ends, and not at each try", async () => {
  const lines: string[] = [];
  const log = silentLog();
  for (const level of ["error", "warn"] as const)
    Reflect.set(log, level, (_: unknown, message: string) => lines.push(`${level}: ${message}`));
  const rig = await makeRig({ log });
  let tries = 0;
  rig.fault = async (_batch, commit) => {
    tries += 1;
    // Another sentence each time, as an error with an address or a duration in it has.
    if (tries < 5) throw new StoreError("transient", true, `refused by port ${tries}`);
    return await commit();
  };
  await rig.engine.ask(createTask("a"));
  expect(lines).toEqual(["error: the store is in trouble; it is tried again", "warn: the store works again"]);
});

describe("rule 15: nothing is said to a worker without a lease check", () => {
  test("a deposed leader's acknowledgement of output is never sent", async () => {
    const rig = await makeRig({ leaseIsRow: true });
    rig.engine.post(hello("w1"), 500);
    await until("the sync", () => rig.sent.length > 0);
    const ack = { kind: "logsAck", attempt: "a1", stream: "stdout", offset: 5 } as const;
    rig.engine.acknowledgeLogs("w1", ack);
    await until("the first ack", () => rig.sent.at(-1)?.items.some((item) => item.kind === "logsAck"));
    const sent = rig.sent.length;
    await rig.store.takeLease("default", "somebody else", await rig.store.readLease("default"), 0);
    const term = rig.engine.lead?.term ?? 0;
    rig.engine.acknowledgeLogs("w1", ack);
    await until("it to lead again", () => (rig.engine.lead?.term ?? 0) > term);
    expect(rig.sent.slice(sent).flatMap((each) => each.items.filter((item) => item.kind === "logsAck"))).toEqual([]);
  });

  test("nor one that comes while a commit is under way, which began before it", async () => {
    const rig = await makeRig({ leaseIsRow: true });
    rig.engine.post(hello("w1"), 500);
    await until("the sync", () => rig.sent.length > 0);
    const term = rig.engine.lead?.term ?? 0;
    rig.fault = async (_batch, commit) => {
      rig.fault = null;
      const result = await commit();
      await rig.store.takeLease("default", "somebody else", await rig.store.readLease("default"), 0);
      rig.engine.acknowledgeLogs("w1", { kind: "logsAck", attempt: "a1", stream: "stdout", offset: 5 });
      return result;
    };
    await rig.engine.ask(createTask("a"));
    await until("it to lead again", () => (rig.engine.lead?.term ?? 0) > term);
    expect(rig.sent.flatMap((each) => each.items.filter((item) => item.kind === "logsAck"))).toEqual([]);
  });
});
