import { describe, expect, test } from "vitest";
import { filterMatches, filtersOverlap, whyNotPublish, whyNotSubscribe, type Identity } from "../../broker/access.ts";
import { wireLimits } from "../../schema/limits.ts";
import { uplinkKinds } from "../../schema/topics.ts";

const worker: Identity = { username: "edge-a", pool: "default", role: "worker" };
const manager: Identity = { username: "manager", pool: "default", role: "manager" };
const publish = (who: Identity, topic: string, payloadBytes = 10, retain = false) =>
  whyNotPublish(who, "t", { topic, payloadBytes, retain });

describe("publishing", () => {
  test("a worker publishes each kind of uplink of its own", () => {
    for (const kind of uplinkKinds) expect(publish(worker, `t/v1/default/edge-a/up/${kind}`)).toBeUndefined();
  });

  test.each([
    "t/v1/default/edge-b/up/reports",
    "t/v1/other/edge-a/up/reports",
    "t/v1/default/edge-a/up/unknown",
    "t/v1/default/edge-a/up/reports/more",
    "t/v1/default/edge-a/up/",
    "t/v1/default/edge-a/up",
    "t/v1/default/edge-a/down/commands",
    "t/v1/default/edge-ab/up/reports",
    "t/v1/default//edge-a/up/reports",
    "/t/v1/default/edge-a/up/reports",
    "other/v1/default/edge-a/up/reports",
    "t/v1/default/edge-a/up/+",
    "t/v1/default/edge-a/up/#",
    "$SYS/x/new/clients",
    "denied",
    "",
  ])("a worker does not publish %j", (topic) => {
    expect(publish(worker, topic)).toEqual(expect.any(String));
  });

  test("a manager publishes everything under the prefix and nothing else", () => {
    expect(publish(manager, "t/v1/default/edge-b/down/commands")).toBeUndefined();
    expect(publish(manager, "t/v1/default/edge-b/up/status")).toBeUndefined();
    for (const topic of ["t", "t/v2/x", "tt/v1/x", "$SYS/x", "t/v1/+/x"])
      expect(publish(manager, topic)).toEqual(expect.any(String));
  });

  test("only a status of at most 160 bytes is retained, whoever publishes it", () => {
    for (const who of [worker, manager]) {
      expect(publish(who, "t/v1/default/edge-a/up/status", wireLimits.statusBytes, true)).toBeUndefined();
      expect(publish(who, "t/v1/default/edge-a/up/status", wireLimits.statusBytes + 1, true)).toContain("160");
      expect(publish(who, "t/v1/default/edge-a/up/reports", 1, true)).toContain("retained");
      expect(publish(who, "t/v1/default/edge-a/down/status", 1, true)).toContain("retained");
      expect(publish(who, "t/v1/default/x/edge-a/up/status", 1, true)).toContain("retained");
    }
  });

  test("a payload is at most 64 KiB", () => {
    expect(publish(worker, "t/v1/default/edge-a/up/logs", wireLimits.payloadBytes)).toBeUndefined();
    expect(publish(worker, "t/v1/default/edge-a/up/logs", wireLimits.payloadBytes + 1)).toContain(
      String(wireLimits.payloadBytes),
    );
  });
});

describe("subscribing", () => {
  const subscribe = (who: Identity, filter: string, held: string[] = []) => whyNotSubscribe(who, "t", filter, new Set(held));

  test("a worker holds one filter, on its own downlinks", () => {
    expect(subscribe(worker, "t/v1/default/edge-a/down/+")).toBeUndefined();
    expect(subscribe(worker, "t/v1/default/edge-a/down/+", ["t/v1/default/edge-a/down/+"])).toBeUndefined();
    expect(subscribe(worker, "t/v1/default/edge-a/down/commands", ["t/v1/default/edge-a/down/+"])).toContain("at most 1");
  });

  test.each([
    "#",
    "+/v1/default/edge-a/down/+",
    "t/#",
    "t/v1/default/+/down/+",
    "t/v1/+/edge-a/down/+",
    "t/v1/default/edge-b/down/+",
    "t/v1/default/edge-a/up/+",
    "t/v1/default/edge-a/#",
    "$SYS/#",
    "denied",
    "$share/g/t/v1/default/edge-a/down/+",
  ])("a worker does not hear %j", (filter) => {
    expect(subscribe(worker, filter)).toEqual(expect.any(String));
  });

  test("a manager holds filters that do not overlap, under the prefix", () => {
    expect(subscribe(manager, "t/v1/a/+/up/+", ["t/v1/b/+/up/+"])).toBeUndefined();
    expect(subscribe(manager, "t/v1/a/+/up/status", ["t/v1/a/+/up/+"])).toContain("overlaps");
    for (const filter of ["#", "t/#", "$SYS/#", "denied", "+/v1/a/+/up/+"])
      expect(subscribe(manager, filter)).toContain("not under");
  });
});

describe("filters", () => {
  test.each([
    ["a/b", "a/b", true],
    ["a/+", "a/b", true],
    ["a/#", "a", true],
    ["a/#", "a/b/c", true],
    ["#", "a/b", true],
    ["+/b", "a/+", true],
    ["a/+/c", "a/b/+", true],
    ["a/+", "a/b/c", false],
    ["a/+", "a", false],
    ["a/b", "a/c", false],
    ["a/+/c", "a/b/d", false],
  ])("%s and %s overlap: %s", (one, other, overlap) => {
    expect(filtersOverlap(one, other)).toBe(overlap);
    expect(filtersOverlap(other, one)).toBe(overlap);
  });

  test("a filter that begins with a wildcard sees nothing of the broker's own", () => {
    expect(filterMatches("#", "$SYS/x")).toBe(false);
    expect(filterMatches("+/x", "$SYS/x")).toBe(false);
    expect(filterMatches("$SYS/#", "$SYS/x")).toBe(true);
  });
});
