import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { alarmKinds } from "../../schema/alarm.ts";

const page = readFileSync(join(resolve(import.meta.dirname, "../.."), "docs/operations.md"), "utf8");

test("every alarm that can be raised is explained, and no other; the compiler holds the list against the code", () => {
  const headings = [...page.matchAll(/^### Alarm: (\w+)$/gm)].map(([, kind]) => kind ?? "");
  expect(headings.toSorted()).toEqual([...alarmKinds].toSorted());
});

test("every link within the page leads somewhere", () => {
  const places = [...page.matchAll(/^#{2,3} (.+)$/gm)].map(([, text]) =>
    (text as string)
      .toLowerCase()
      .replaceAll(/[^a-z0-9 _-]/g, "")
      .replaceAll(" ", "-"),
  );
  const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, place]) => place);
  expect(links.length).toBeGreaterThan(5);
  for (const link of links) expect(places).toContain(link);
});
