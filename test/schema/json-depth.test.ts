import fc from "fast-check";
import { expect, test } from "vitest";
import { isDeeperThan, mayBeDeeperThan } from "../../schema/json-depth.ts";

const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;

test("depth is told at the limit and one past it", () => {
  for (const levels of [0, 1, 72]) {
    expect(isDeeperThan(levels, JSON.parse(nested(levels) || "1"))).toBe(false);
    expect(isDeeperThan(levels, JSON.parse(nested(levels + 1)))).toBe(true);
    expect(mayBeDeeperThan(levels, nested(levels))).toBe(false);
    expect(mayBeDeeperThan(levels, nested(levels + 1))).toBe(true);
  }
});

test("a text that opens few objects and lists is never of a deeper value", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.nat(6), (text, levels) => {
      if (isDeeperThan(levels, JSON.parse(text))) expect(mayBeDeeperThan(levels, text)).toBe(true);
    }),
  );
});
