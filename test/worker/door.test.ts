import { describe, expect, test } from "vitest";
import { wireLimits } from "../../schema/limits.ts";
import { readCommands } from "../../worker/door.ts";

const epoch = "aaaaaaaaaaaa.1.bbbbbbbbbbbb";
const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const envelope = (items: readonly unknown[], more: object = {}): Uint8Array =>
  bytes({ v: 1, term: 3, asOf: { epoch, mono: 5 }, items, ...more });

describe("readCommands", () => {
  test("gives the items, typed and in order", () => {
    const read = readCommands(
      envelope([
        { kind: "drain", on: true },
        { kind: "stop", attempt: "a", by: "ana", graceSeconds: 1 },
      ]),
    );
    expect(read).toMatchObject({
      read: "commands",
      unreadable: [],
      message: { term: 3, items: [{ kind: "drain" }, { kind: "stop", attempt: "a" }] },
    });
  });

  test("sets an unreadable item aside, and its neighbours live", () => {
    const items = [
      { kind: "drain", on: "yes" },
      { kind: "fly" },
      null,
      { kind: "stop", attempt: "a/b", by: "x", graceSeconds: 0 },
      { kind: "drain", on: false },
    ];
    const read = readCommands(envelope(items));
    expect(read).toMatchObject({ read: "commands", message: { items: [{ kind: "drain", on: false }] } });
    expect(read.read === "commands" && read.unreadable.map((why) => why.split(":")[0])).toEqual([
      "item 0",
      "item 1",
      "item 2",
      "item 3",
    ]);
  });

  test("an item that is nested thousands of levels deep is set aside", () => {
    const depth = 30_000;
    const deep = `{"kind":"start","spec":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    const text = `{"v":1,"term":1,"asOf":{"epoch":"${epoch}","mono":1},"items":[${deep},{"kind":"drain","on":true}]}`;
    expect(text.length).toBeLessThan(wireLimits.payloadBytes);
    const read = readCommands(bytes(text));
    expect(read).toMatchObject({ read: "commands", message: { items: [{ kind: "drain" }] } });
  });

  test.each([
    ["no JSON", "start everything!"],
    ["JSON that ends too early", '{"v":1,'],
    ["an array", []],
    ["null", null],
    ["no version", { term: 1 }],
    ["a version that is no number", { v: "1" }],
    ["a bad epoch", { v: 1, term: 1, asOf: { epoch: "x", mono: 1 }, items: [] }],
    ["a negative term", { v: 1, term: -1, asOf: { epoch, mono: 1 }, items: [] }],
    ["items that are no list", { v: 1, term: 1, asOf: { epoch, mono: 1 }, items: {} }],
    [
      "too many items",
      { v: 1, term: 1, asOf: { epoch, mono: 1 }, items: Array.from({ length: wireLimits.itemsPerMessage + 1 }, () => 0) },
    ],
  ])("says why it cannot read %s", (_what, value) => {
    const read = readCommands(bytes(value));
    expect(read.read).toBe("unreadable");
    expect(read.read === "unreadable" && read.why).not.toBe("");
  });

  test("invalid UTF-8 and a payload beyond the bound are unreadable", () => {
    expect(readCommands(Buffer.from([0x7b, 0xff, 0x7d]))).toMatchObject({ read: "unreadable" });
    expect(readCommands(Buffer.alloc(wireLimits.payloadBytes + 1, " "))).toMatchObject({
      read: "unreadable",
      why: expect.stringContaining("65537 bytes"),
    });
  });

  test("a later version of the protocol is told apart from rubbish", () => {
    expect(readCommands(bytes({ v: 2, whatever: true }))).toEqual({ read: "future", version: 2 });
  });

  test("unknown keys of the envelope are passed over: a newer manager may add some", () => {
    expect(readCommands(envelope([], { novelty: 1 }))).toMatchObject({ read: "commands" });
  });
});
