import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/architecture.md"), "utf8");

interface Station {
  readonly file: string;
  readonly reached: string;
}

/** The tables of the page whose rows are stations: there, and back. */
const ways: Station[][] = page
  .split(/^(?:\|[- |]+\|)$/m)
  .slice(1)
  .map((text) =>
    text
      .split("\n\n")[0]!
      .split("\n")
      .map((row) => /^\| \d+ \| `([^`]+)` \| (.+?) \| .+ \|$/.exec(row))
      .filter((row) => row !== null)
      .map((row) => ({ file: row[1]!, reached: row[2]! })),
  )
  .filter((way) => way.length > 0);

const textOf = (file: string): string => readFileSync(join(root, file), "utf8");

function imports(from: string, to: string): boolean {
  const found = [...textOf(from).matchAll(/from "(\.[^"]+)"/g)].map((one) => relative(root, join(root, dirname(from), one[1]!)));
  return found.includes(to);
}

const mentions = (file: string, words: readonly string[]): boolean =>
  words.some((word) => new RegExp(`\\b${word}\\b`).test(textOf(file)));

/** `A.x` in `file`, or `A.x` → `B.y` in `file`: what the one before uses, and what this one is or has. */
function seamOf(reached: string): { readonly file: string; readonly used: string[]; readonly offered: string[] } | undefined {
  const words = /^`(\w+)\.(\w+)`(?: → `(\w+)\.(\w+)`)? in `([^`]+)`$/.exec(reached);
  if (!words) return undefined;
  const [, type, member, otherType, otherMember, file] = words;
  return { file: file!, used: [type!, member!], offered: [otherType ?? type!, otherMember ?? member!] };
}

/** Whether a file declares an exported type with this member. */
function declares(file: string, [type, member]: string[]): boolean {
  const body = new RegExp(`export (?:interface|type) ${type}\\b[^]*?\\n}`).exec(textOf(file))?.[0];
  return body !== undefined && new RegExp(`\\b${member}\\b`).test(body);
}

test("the page has the way there and the way back, through at most 15 files", () => {
  expect(ways).toHaveLength(2);
  expect(ways[0]![0]).toEqual({ file: "manager/api/starts.ts", reached: "route" });
  expect(ways[0]!.at(-1)!.file).toMatch(/^worker\/process\//);
  expect(ways[1]![0]!.file).toMatch(/^worker\/process\//);
  expect(ways[1]!.at(-1)!.file).toMatch(/^manager\/control\//);
  const files = new Set(ways.flat().map((station) => station.file));
  expect(files.size).toBeLessThanOrEqual(15);
  expect(page).toContain(`That is ${files.size} files.`);
});

describe.each([
  ["there", ways[0] ?? []],
  ["back", ways[1] ?? []],
] as const)("the way %s", (_name, way) => {
  test.each(way.map((station, i) => [station.file, station.reached, way[i - 1]?.file] as const))(
    "%s is reached by %s",
    (file, reached, before) => {
      expect(existsSync(join(root, file)), file).toBe(true);
      if (before === undefined) return;
      if (reached === "imported") {
        expect(imports(before, file), `${before} imports ${file}`).toBe(true);
        return;
      }
      const seam = seamOf(reached);
      expect(seam, `${reached} names no seam`).toBeDefined();
      for (const part of [seam!.used, seam!.offered])
        expect(declares(seam!.file, part), `${seam!.file} declares ${part.join(".")}`).toBe(true);
      expect(mentions(before, seam!.used), `${before} uses ${seam!.used.join(".")}`).toBe(true);
      expect(mentions(file, seam!.offered), `${file} has ${seam!.offered.join(".")}`).toBe(true);
    },
  );
});

test.each([...page.matchAll(/\]\(([^)]+)\)/g)].map((one) => one[1]!))("the link %s leads somewhere", (link) => {
  expect(existsSync(join(root, "docs", link))).toBe(true);
});

test("the files named beside a station lie beside it", () => {
  const rows = page.split("\n").filter((row) => /^\| \d+ \|/.test(row));
  for (const row of rows) {
    const [station, ...others] = [...row.matchAll(/`([\w./-]+\.(?:ts|sh))`/g)].map((one) => one[1]!);
    for (const other of others) {
      const place = other.includes("/") ? other : join(dirname(station!), other);
      expect(existsSync(join(root, place)), `${other} beside ${station}`).toBe(true);
    }
  }
});

test("every file that the page names is there", () => {
  const named = new Set([...page.matchAll(/`((?:[\w-]+\/)*[\w-]+\.ts)`/g)].map((match) => match[1]!));
  const there = ["schema", "broker", "manager", "worker", "scripts"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((file) => join(folder, file)),
  );
  expect(named.size).toBeGreaterThan(30);
  expect([...named].filter((name) => !there.some((file) => file === name || file.endsWith(`/${name}`)))).toEqual([]);
});
