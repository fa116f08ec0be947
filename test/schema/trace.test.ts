import { expect, test } from "vitest";
import { formatTraceparent, isSampled, parseTraceparent, processSpanId } from "../../schema/trace.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";

test("a traceparent is read, and written as it was", () => {
  const text = `00-${traceId}-${spanId}-01`;
  expect(parseTraceparent(text)).toEqual({ traceId, spanId, sampled: true });
  expect(formatTraceparent({ traceId, spanId, sampled: true })).toBe(text);
  expect(formatTraceparent({ traceId, spanId, sampled: false })).toBe(`00-${traceId}-${spanId}-00`);
});

test.each([
  ["00", false],
  ["01", true],
  // Level 2 adds the flag `random`, and says nothing new of sampling.
  ["02", false],
  ["03", true],
  ["ff", true],
])("of flags %s only the lowest bit says that spans are kept: %s", (flags, sampled) => {
  expect(isSampled(`00-${traceId}-${spanId}-${flags}`)).toBe(sampled);
});

test.each([
  "",
  "nonsense",
  `01-${traceId}-${spanId}-01`,
  `00-${"0".repeat(32)}-${spanId}-01`,
  `00-${traceId}-${"0".repeat(16)}-01`,
])("%j is no context and is passed over", (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
  expect(isSampled(text)).toBe(false);
});

test("an attempt's process has one span id, and no other attempt has it", () => {
  expect(processSpanId("a1")).toMatch(/^[0-9a-f]{16}$/);
  expect(processSpanId("a1")).toBe(processSpanId("a1"));
  expect(processSpanId("a1")).not.toBe(processSpanId("a2"));
});
