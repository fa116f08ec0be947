import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseUplink } from "../../../manager/link/inbox.ts";
import { uplinkKinds } from "../../../schema/topics.ts";

const epoch = "AAAAAAAAAAAA.1.BBBBBBBBBBBB";
const head = { v: 1, epoch, connection: 1, mono: 5, journal: "AAAAAAAAAAAA" };
const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const accepted = (seq: number) => ({ seq, attempt: "a1", start: 1, kind: "accepted", at: 1 });

describe("one unreadable item never takes its neighbours with it", () => {
  test("neighbours are read, the bad one keeps its seq", () => {
    const parsed = parseUplink(
      "w1",
      "reports",
      bytes({
        ...head,
        items: [accepted(1), { seq: 2, attempt: "a2", kind: "end", end: { how: "vanished" } }, accepted(3), "nonsense"],
      }),
    );
    expect(parsed).toMatchObject({ kind: "input", dropped: 1, input: { kind: "reports", workerId: "w1" } });
    if (parsed.kind !== "input" || parsed.input.kind !== "reports") throw new Error("not reports");
    expect(parsed.input.message.items.map((item) => item.seq)).toEqual([1, 3]);
    expect(parsed.input.message.unreadable).toMatchObject([{ seq: 2, attempt: "a2", kind: "end" }]);
    expect(parsed.input.message.unreadable[0]?.why).toMatch(/start|at|end/);
  });

  test("a bad item whose attempt is not an id still keeps its seq", () => {
    const parsed = parseUplink("w1", "reports", bytes({ ...head, items: [{ seq: 9, attempt: "a/b" }] }));
    if (parsed.kind !== "input" || parsed.input.kind !== "reports") throw new Error("not reports");
    expect(parsed.input.message.unreadable).toMatchObject([{ seq: 9 }]);
  });
});

test("half a character in a text becomes U+FFFD, as the databases keep it, and takes nothing else with it", () => {
  const result = { "a\ud800": ["\udc00", "😀", { deep: "x\ud83d" }] };
  const end = { ...accepted(1), kind: "end", end: { how: "exited", code: 0 }, message: "cut \ud83d", result };
  const parsed = parseUplink("w1", "reports", bytes({ ...head, items: [end, accepted(2)] }));
  if (parsed.kind !== "input" || parsed.input.kind !== "reports") throw new Error("not reports");
  expect(parsed.input.message.unreadable).toEqual([]);
  expect(parsed.input.message.items).toEqual([
    { ...end, message: "cut \uFFFD", result: { "a\uFFFD": ["\uFFFD", "😀", { deep: "x\uFFFD" }] } },
    accepted(2),
  ]);
});

describe("JSON that is nested so deep that walking it would exhaust the stack", () => {
  const deep = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
  const reportsWith = (result: string): Uint8Array => {
    const items = [{ ...accepted(1), kind: "end", end: { how: "exited", code: 0 }, result: 0 }, accepted(2)];
    return Buffer.from(JSON.stringify({ ...head, items }).replace('"result":0', `"result":${result}`));
  };

  test("is set aside with its seq, and its neighbour is read", () => {
    const parsed = parseUplink("w1", "reports", reportsWith(deep(30_000)));
    if (parsed.kind !== "input" || parsed.input.kind !== "reports") throw new Error("not reports");
    expect(parsed.input.message.items.map((item) => item.seq)).toEqual([2]);
    expect(parsed.input.message.unreadable).toEqual([
      { seq: 1, attempt: "a1", kind: "end", why: expect.stringContaining("nested deeper than 72 levels"), raw: "" },
    ]);
  });

  test("as deep as a result may be, it is read", () => {
    const parsed = parseUplink("w1", "reports", reportsWith(deep(64)));
    if (parsed.kind !== "input" || parsed.input.kind !== "reports") throw new Error("not reports");
    expect(parsed.input.message.unreadable).toEqual([]);
  });

  test.each(uplinkKinds)("is unreadable as %s, and nothing is thrown", (kind) => {
    expect(parseUplink("w1", kind, Buffer.from(deep(30_000))).kind).toBe("unreadable");
    const object = `{"v":1,"labels":${'{"a":'.repeat(8_000)}1${"}".repeat(8_000)}}`;
    expect(parseUplink("w1", kind, Buffer.from(object)).kind).toBe("unreadable");
  });
});

test("what is not UTF-8 is no JSON", () => {
  const parsed = parseUplink("w1", "heartbeat", Uint8Array.of(0x7b, 0xff, 0x7d));
  expect(parsed).toMatchObject({ kind: "unreadable", why: expect.stringMatching(/not JSON.*utf-8/i) });
});

test("keys of a newer minor version are passed over, another version is named", () => {
  const beat = {
    ...head,
    free: { slots: 1, memoryMb: 1, cpus: 1, gpus: 1 },
    load: { cpu: 0, memoryMb: 0, gpu: 0 },
    settingsVersion: 0,
    draining: false,
    spoolBytes: 0,
    live: { count: 0, hash: "0123456789abcdef" },
    novelty: true,
  };
  const { input } = parseUplink("w1", "heartbeat", bytes(beat)) as { input?: { message: unknown } };
  expect(input?.message).toMatchObject({ free: { slots: 1, memoryMb: 1, cpus: 1 } });
  expect(JSON.stringify(input)).not.toMatch(/gpu|novelty/);
  expect(parseUplink("w1", "heartbeat", bytes({ ...beat, v: 2 }))).toEqual({
    kind: "unreadable",
    why: "it speaks protocol version 2, this manager 1",
  });
});

test("whatever arrives, parsing says what is wrong and never throws", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...uplinkKinds),
      fc.oneof(
        fc.uint8Array(),
        fc.jsonValue().map(bytes),
        fc.record({ v: fc.constant(1), items: fc.array(fc.jsonValue()) }).map(bytes),
      ),
      (kind, payload) => {
        const parsed = parseUplink("w1", kind, payload);
        if (parsed.kind === "unreadable") expect(parsed.why).not.toBe("");
      },
    ),
  );
  expect(parseUplink("w1", "hello", Buffer.from('{"__proto__":{"v":1}}')).kind).toBe("unreadable");
  expect(parseUplink("w1", "hello", Buffer.from([0xff, 0xfe])).kind).toBe("unreadable");
});
