import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bugs } from "../simulation/bugs.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/rules.md"), "utf8");

interface Rule {
  readonly number: number;
  readonly title: string;
  readonly text: string;
  readonly bugs: readonly string[];
  readonly tests: readonly { readonly file: string; readonly name: string }[];
}

const rules: readonly Rule[] = page
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const [, number, title] = /^(\d+)\. (.+)$/m.exec(text) ?? [];
    return {
      number: Number(number),
      title: title ?? "",
      text,
      bugs: [...text.matchAll(/^- bug: (.+)$/gm)].map((found) => found[1] ?? ""),
      tests: [...text.matchAll(/^- test: `([^`]+)`: (.+)$/gm)].map((found) => ({ file: found[1] ?? "", name: found[2] ?? "" })),
    };
  });

test("the page has the 28 rules in order, and says of each what breaks without it", () => {
  expect(rules.map(({ number }) => number)).toEqual(Array.from({ length: 28 }, (_, i) => i + 1));
  for (const { text, title } of rules) expect(text, title).toMatch(/^Without it: .+/m);
});

test.for(rules)("rule $number, $title: what shows it exists", ({ number, bugs: named, tests }) => {
  expect(named.length + tests.length).toBeGreaterThan(0);
  const planted = bugs.filter(({ rule }) => rule === number).map(({ name }) => name);
  expect(named.toSorted()).toEqual(planted.toSorted());
  for (const { file, name } of tests) {
    expect(existsSync(join(root, file)), file).toBe(true);
    expect(readFileSync(join(root, file), "utf8"), `${file} has no test of that name`).toContain(`"${name}"`);
  }
});
