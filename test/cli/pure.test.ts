import { describe, expect, test } from "vitest";
import { fail, made, pass, someOf, warn } from "../../cli/checks/finding.ts";
import { offBy } from "../../cli/checks/workers.ts";
import { stuckBecause } from "../../cli/checks/runs.ts";
import { asJson, asText } from "../../cli/report.ts";

test("a clock is off by at least what no moment between a send and the news of it explains", () => {
  expect(offBy({ least: -700, most: 200 })).toBe(0);
  expect(offBy({ least: 3_500_000, most: 3_601_000 })).toBe(3_500_000);
  expect(offBy({ least: -61_000, most: -60_000 })).toBe(-60_000);
});

describe("a run is stuck", () => {
  const run = (state: Parameters<typeof stuckBecause>[0]["state"], reason: string | null) => ({
    id: "r",
    state,
    reason,
    workerId: "w",
  });

  test("when it is not terminal, nobody lives who owns it, and nothing says what it waits for", () => {
    expect(stuckBecause(run("queued", null), undefined)).toContain("nobody says");
    expect(stuckBecause(run("retrying", null), "online")).toContain("nobody says");
    expect(stuckBecause(run("running", null), "lost")).toBe("is running on w, which is lost");
    expect(stuckBecause(run("starting", null), undefined)).toContain("is not known");
    expect(stuckBecause(run("stopping", "stop asked by ana"), "removed")).toContain("is removed");
    expect(stuckBecause(run("stopping", null), "lost")).toBe("is stopping on w, which is lost");
    expect(stuckBecause(run("unreachable", "it is waited for"), "removed")).toContain("nothing will end it");
    expect(stuckBecause(run("unreachable", null), "lost")).toBeDefined();
  });

  test("and otherwise is not", () => {
    expect(stuckBecause(run("queued", "there are no workers in this pool"), undefined)).toBeUndefined();
    expect(stuckBecause(run("running", null), "draining")).toBeUndefined();
    // Its silence has just begun: the run becomes unreachable in the same breath, or the worker is back.
    expect(stuckBecause(run("running", null), "unreachable")).toBeUndefined();
    expect(stuckBecause(run("unreachable", "without it the run is called lost in 9 s"), "lost")).toBeUndefined();
    // It was lost before it was to be stopped; as with any loss the reason says until when it is waited for.
    expect(stuckBecause(run("stopping", "stop asked by ana; without it the run is called lost in 9 s"), "lost")).toBeUndefined();
    for (const state of ["succeeded", "failed", "timedOut", "stopped", "lost"] as const)
      expect(stuckBecause(run(state, null), undefined)).toBeUndefined();
  });
});

describe("a check", () => {
  test("that throws is a failure with its sentence", async () => {
    const thrown = { name: "x", run: async () => Promise.reject(new Error("the roof is open")) };
    expect(await made(thrown)).toMatchObject([{ name: "x", status: "fail", sentence: "the roof is open" }]);
  });

  test("that hangs is cut off, and told so", async () => {
    let told = false;
    const hangs = {
      name: "x",
      run: async (signal: AbortSignal) =>
        await new Promise<never>(() => {
          signal.addEventListener("abort", () => (told = true));
        }),
    };
    expect(await made(hangs, 20)).toMatchObject([
      { name: "x", status: "fail", sentence: expect.stringContaining("not finished") },
    ]);
    expect(told).toBe(true);
  });
});

describe("what is printed", () => {
  const found = [
    pass("a", "well"),
    warn("b", "hm", "Do this."),
    fail("c", "the password s3cr3t-w0rd is wrong", 'Not "s3cr3t-w0rd".'),
  ];

  test("has a line for each, what to do, and a count", () => {
    const text = asText(found, []);
    expect(text).toMatch(/^ok {4}a +well\n/);
    expect(text).toContain("→ Do this.");
    expect(text).toContain("1 failed, 1 warning, 1 well.");
  });

  test("stands in columns, however long a name is", () => {
    const text = asText([pass("a", "well"), warn("database:max_allowed_packet", "hm", "Do this.")], []);
    const [first = "", second = "", third = ""] = text.split("\n");
    expect(first.indexOf("well")).toBe(second.indexOf("hm"));
    expect(third.indexOf("→")).toBe(second.indexOf("hm"));
  });

  test("shows no secret, as text or as JSON", () => {
    for (const shown of [asText(found, ["s3cr3t-w0rd"]), asJson(found, ["s3cr3t-w0rd"])]) expect(shown).not.toContain("s3cr3t");
    expect(JSON.parse(asJson(found, ["s3cr3t-w0rd"]))).toMatchObject({
      status: "fail",
      checks: [{ name: "a" }, { name: "b" }, { name: "c" }],
    });
    expect(JSON.parse(asJson([], []))).toEqual({ status: "pass", checks: [] });
  });

  test("names the first few", () => {
    expect(someOf(["a", "b"])).toBe("a, b");
    expect(someOf(Array.from({ length: 13 }, (_, n) => `w${n}`))).toMatch(/w9 and 3 more$/);
  });
});
