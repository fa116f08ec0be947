import { expect, test } from "vitest";
import { id } from "../../schema/ids.ts";
import { systemDice } from "../../schema/kit/random.ts";
import { until } from "../kit/until.ts";

test("ids are never given twice, are lawful, and rise with time in the order of a database", async () => {
  const many = Array.from({ length: 20_000 }, () => systemDice.id());
  expect(new Set(many).size).toBe(many.length);
  for (const each of many.slice(0, 100)) expect(id.safeParse(each).success).toBe(true);
  const first = systemDice.id();
  const later = await until("a later instant", () => {
    const next = systemDice.id();
    return next.slice(0, 8) === first.slice(0, 8) ? undefined : next;
  });
  expect(Buffer.compare(Buffer.from(first), Buffer.from(later))).toBe(-1);
});
