import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { skipped } from "../kit/reporter.ts";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "muster-reporter-"));
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the runner with our reporter on one test file. */
function runOn(content: string | null): { readonly lines: string[]; readonly status: number | null } {
  const here = mkdtempSync(join(folder, "run-"));
  mkdirSync(join(here, "test"));
  writeFileSync(
    join(here, "vitest.config.ts"),
    `export default { test: { reporters: ["default", ${JSON.stringify(join(root, "test/kit/reporter.ts"))}] } };`,
  );
  if (content !== null)
    writeFileSync(join(here, "test/one.test.ts"), `import { beforeAll, describe, expect, test } from "vitest";\n${content}`);
  const done = spawnSync(process.execPath, [join(root, "node_modules/vitest/vitest.mjs"), "run", "--root", here], {
    cwd: here,
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", CI: "true", NO_COLOR: "1" },
  });
  return { lines: done.stdout.trimEnd().split("\n"), status: done.status };
}

test.each([
  ["all passed", `test("a", () => {}); test("b", () => {});`, "2 passed, 0 failed", 0],
  ["one failed", `test("a", () => {}); test("b", () => expect(1).toBe(2));`, "1 passed, 1 failed", 1],
  ["a file that cannot be loaded", `import "./gone.ts"; test("a", () => {});`, "0 passed, 1 failed", 1],
  [
    "an error that nobody caught",
    `test("a", async () => { await new Promise((late) => setTimeout(() => { late(); throw new Error("late"); })); });`,
    "1 passed, 1 failed",
    1,
  ],
  ["no test file", null, "0 passed, 0 failed", 1],
  ["a runner process that dies", `test("a", () => { process.kill(process.pid, "SIGKILL"); });`, /^0 passed, [12] failed$/, 1],
] as const)("%s", (_name, content, line, status) => {
  const done = runOn(content);
  expect(done.lines.at(-1)).toMatch(line);
  expect(done.status).toBe(status);
});

test("skipped tests are counted, each with its reason before the last line", () => {
  const done = runOn(
    `test("a", () => {}); test.skip("b", () => {}); describe("group", () => { test("c", (ctx) => ctx.skip("no ksh here")); });`,
  );
  expect(done.lines.slice(-3)).toEqual([
    "skipped: test/one.test.ts > b: no reason given",
    "skipped: test/one.test.ts > group > c: no ksh here",
    "1 passed, 0 failed, 2 skipped",
  ]);
  expect(done.status).toBe(0);
});

test("a hook that failed makes the run fail", () => {
  const done = runOn(
    `describe("group", () => { beforeAll(() => { throw new Error("no"); }); test("c", () => {}); }); test("a", () => {});`,
  );
  expect(done.lines.at(-1)).toMatch(/^1 passed, [1-9] failed/);
  expect(done.status).toBe(1);
});

test("a suite that cannot run here says why in its name, and each of its tests says it", () => {
  const reason = "not on this host: mariadbd (apt-get install mariadb-server)";
  expect(skipped(`the store (skipped: ${reason}) > rule 19 > a row`, undefined)).toBe(`the store > rule 19 > a row: ${reason}`);
  expect(skipped("a test", "no root here")).toBe("a test: no root here");
  expect(skipped("a test", undefined)).toBe("a test: no reason given");
});
