import { describe, expect, test } from "vitest";
import type { End } from "../../../schema/end.ts";
import { newEntry } from "../../../worker/agent/ledger.ts";
import { endOf, resultFields, type Gone } from "../../../worker/agent/ends.ts";
import { newTurn } from "../../../worker/agent/turn.ts";
import type { LedgerEntry } from "../../../worker/agent/records.ts";
import { reported, TestAgent } from "./kit.ts";

const agent = new TestAgent();
const entry = newEntry(newTurn(agent.state, agent.now()), "a1", null);
const code = (n: number): Gone["exit"] => ({ read: "code", code: n });
const calm = { termBefore: false, timedOut: false, fenced: false };
const blank: Gone["exit"] = { read: "unreadable", why: "64 blanks" };

describe("how an attempt ended", () => {
  test.each<[string, Partial<LedgerEntry>, Partial<Gone> & Pick<Gone, "exit">, End]>([
    ["exited well", {}, { exit: code(0) }, { how: "exited", code: 0 }],
    ["exited badly", {}, { exit: code(7) }, { how: "exited", code: 7 }],
    ["143 without a signal of ours is a code (rule 24)", {}, { exit: code(143) }, { how: "exited", code: 143 }],
    ["143 after a signal SIGTERM", { signals: ["SIGTERM"] }, { exit: code(143) }, { how: "signalled", signal: "SIGTERM" }],
    [
      "138 after SIGUSR1, not the other signal",
      { signals: ["SIGHUP", "SIGUSR1"] },
      { exit: code(138) },
      { how: "signalled", signal: "SIGUSR1" },
    ],
    ["another code after a signal", { signals: ["SIGUSR1"] }, { exit: code(0) }, { how: "exited", code: 0 }],
    ["the shim was told of a signal", {}, { exit: { read: "signal", signal: "SIGINT" } }, { how: "signalled", signal: "SIGINT" }],
    ["stopped, whatever the code", { stopBy: "ana" }, { exit: code(0), termBefore: true }, { how: "stopped", by: "ana" }],
    ["stopped by KILL, without a record", { stopBy: "ana" }, { exit: blank, termBefore: true }, { how: "stopped", by: "ana" }],
    ["it had exited before our TERM", { stopBy: "ana" }, { exit: code(0) }, { how: "exited", code: 0 }],
    ["timed out", { timedOut: true }, { exit: code(143), termBefore: true }, { how: "timedOut" }],
    ["it had exited before the timeout's TERM", { timedOut: true }, { exit: code(4) }, { how: "exited", code: 4 }],
    ["timed out by the watchdog", {}, { exit: code(143), timedOut: true }, { how: "timedOut" }],
    ["fenced by the watchdog", {}, { exit: blank, fenced: true }, { how: "stopped", by: "fence" }],
    [
      "a stop goes before the watchdog's timeout",
      { stopBy: "ana" },
      { exit: blank, termBefore: true, timedOut: true },
      { how: "stopped", by: "ana" },
    ],
    [
      "an earlier agent sent TERM while its journal was full, and nobody knows why: its code is not the program's (rule 24)",
      {},
      { exit: code(143), termBefore: true },
      { how: "lost", why: "its agent ended it and died before it could write why" },
    ],
    ["an empty record is not 0", {}, { exit: blank }, { how: "lost", why: "unreadable exit: 64 blanks" }],
    ["a client's KILL leaves no record", { signals: ["SIGKILL"] }, { exit: blank }, { how: "signalled", signal: "SIGKILL" }],
    ["an unknown signal name is no number", { signals: ["SIGFOO"] }, { exit: code(128) }, { how: "exited", code: 128 }],
  ])("%s", (_, known, gone, expected) => {
    expect(endOf({ ...entry, ...known }, { ...calm, ...gone })).toEqual(expected);
  });

  test("is written once: a second telling changes nothing", () => {
    const a = new TestAgent().connectAndSync().run("a1");
    a.ended("a1", { exit: code(1) });
    expect(reported(a.ended("a1", { exit: code(0) }))).toEqual([]);
    expect(a.endOf("a1")).toEqual({ how: "exited", code: 1 });
  });

  test("an end of what is not launched, or unknown, is passed over", () => {
    const a = new TestAgent().connectAndSync().run("r1").run("r2");
    a.start("held");
    a.ended("held");
    a.ended("nobody");
    expect(a.entry("held")?.state).toBe("accepted");
  });
});

describe("results", () => {
  test("inline, uploaded, none and bad", () => {
    expect(resultFields({ kind: "none" })).toEqual({});
    expect(resultFields({ kind: "inline", json: '{"a":[1]}' })).toEqual({ result: { a: [1] } });
    expect(resultFields({ kind: "uploaded", sha256: "f".repeat(64), size: 3 })).toEqual({
      body: { sha256: "f".repeat(64), size: 3 },
    });
    expect(resultFields({ kind: "bad", why: "too large" }).message).toContain("too large");
    expect(resultFields({ kind: "inline", json: "{" }).message).toContain("not JSON");
  });

  test("one that grows beyond a message when written anew is left out, and the end says so", () => {
    const a = new TestAgent().connectAndSync().run("a1");
    const json = `[${Array.from({ length: 6_000 }, () => "1e20").join(",")}]`;
    expect(json.length).toBeLessThan(32_768);
    const [end] = reported(a.ended("a1", { result: { kind: "inline", json } }));
    expect(end).toMatchObject({ end: { how: "exited", code: 0 }, message: expect.stringContaining("result was left out") });
    expect(end).not.toHaveProperty("result");
  });
});
