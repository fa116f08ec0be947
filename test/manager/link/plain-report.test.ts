import fc from "fast-check";
import { expect, test } from "vitest";
import { plainReport } from "../../../manager/link/plain-report.ts";
import { report, reportKinds } from "../../../schema/messages.ts";

const good = { seq: 7, attempt: "1M7YZPEXxLrbThUQQ4cbmDho", start: 1, kind: "end", at: 1_790_000_000_000 };
const oddTexts = [undefined, null, true, "", "a", "a b", "x".repeat(37)];
const oddNumbers = [0, 1, -1, 1.5, -0, 2 ** 53, 4_294_967_295, 4_294_967_296, Infinity, NaN];
const oddEnds = [
  [],
  {},
  { how: "exited" },
  { how: "exited", code: 0 },
  { how: "exited", code: 0, more: 1 },
  { how: "exited", code: -1 },
  { how: "exited", code: 4_294_967_296 },
  { how: "timedOut" },
  { how: "lost", why: "w" },
  ["exited", 0],
];
const odd = fc.constantFrom<unknown>(...oddTexts, ...oddNumbers, ...oddEnds);

test("the plain ones are taken as they are", () => {
  for (const kind of reportKinds) expect(plainReport({ ...good, kind })).toEqual(report.parse({ ...good, kind }));
  const whole = { ...good, pid: 4_711, startedAt: 1_790_000_000_000.5, end: { how: "exited", code: 3 } };
  expect(plainReport(whole)).toBe(whole);
});

test("whatever is taken by hand the schema takes too, and makes the same of it", () => {
  const field = fc.constantFrom(
    "seq",
    "attempt",
    "start",
    "kind",
    "at",
    "pid",
    "startedAt",
    "end",
    "result",
    "message",
    "__proto__",
    "x",
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(field, odd), { maxLength: 3 }), fc.array(field, { maxLength: 2 }), (changed, left) => {
      const raw: Record<string, unknown> = { ...good, pid: 1, end: { how: "exited", code: 0 } };
      for (const [key, value] of changed) Object.defineProperty(raw, key, { value, enumerable: true, configurable: true });
      for (const key of left) Reflect.deleteProperty(raw, key);
      const plain = plainReport(raw);
      if (plain === undefined) return;
      const judged = report.safeParse(raw);
      expect(judged.success).toBe(true);
      expect(judged.data).toEqual(plain);
    }),
    { numRuns: 5_000, seed: 20_261_121 },
  );
});

test("what is no object is left to the schema", () => {
  for (const raw of [null, undefined, 1, "report", [], [good]]) expect(plainReport(raw)).toBeUndefined();
});
