import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const tree = mkdtempSync(join(tmpdir(), "muster-lint-"));
afterAll(() => rmSync(tree, { recursive: true, force: true }));
for (const file of [".oxlintrc.json", "tsconfig.json"]) cpSync(join(root, file), join(tree, file));
symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));

/** What lint says of a file with this one line at this place; the last column is a word of the message, or null for nothing. */
const cases: readonly (readonly [string, string, string | null])[] = [
  ["schema/a.ts", 'export type * from "../broker/broker.ts";', "leaf"],
  ["schema/kit/a.ts", 'export type * from "../../manager/plane.ts";', "leaf"],
  ["broker/a.ts", 'export type * from "../worker/shell.ts";', "never meet"],
  ["broker/b.ts", 'export type * from "../schema/worker.ts";', null],
  ["worker/a.ts", 'export type * from "../manager/store/store.ts";', "never meet"],
  ["worker/drivers/a.ts", 'export type * from "../../manager/plane.ts";', "never meet"],
  ["manager/link/a.ts", 'export type * from "../../worker/agent/types.ts";', "never meet"],
  ["manager/b.ts", 'export { connect } from "mqtt";', "only broker/mqtt.ts"],
  ["manager/c.ts", 'export type * from "../test/kit/fleet.ts";', "product"],
  ["manager/control/a.ts", 'export type * from "../store/store.ts";', "a core imports"],
  ["manager/control/b.ts", 'export { join } from "node:path";', "a core imports"],
  ["manager/control/c.ts", 'export type * from "../../schema/kit/log.ts";', "a core imports"],
  ["manager/control/d.ts", 'export type * from "./placement/placement.ts"; export type * from "../../schema/run.ts";', null],
  ["manager/control/queue/a.ts", 'export type * from "../../leader.ts";', "a core imports"],
  ["manager/control/queue/b.ts", 'export type * from "../../engine/turn.ts";', "a core imports"],
  ["manager/control/queue/c.ts", 'export type * from "../state.ts"; export type * from "../fleet/hello.ts";', null],
  ["manager/control/placement/a.ts", 'export type * from "../../store/store.ts";', "a core imports"],
  ["manager/control/placement/b.ts", 'export type * from "../core.ts"; export type * from "../../../schema/run.ts";', null],
  ["worker/agent/a.ts", 'export type * from "../process/host.ts";', "a core imports"],
  ["worker/agent/b.ts", 'export { readFileSync } from "node:fs";', "a core imports"],
  ["worker/c.ts", "export const at = Date.now();", "reads time"],
  ["worker/d.ts", 'export { performance } from "node:perf_hooks";', "reads time"],
  ["worker/e.ts", "export const home = process.env;", "process.env"],
  ["worker/config.ts", "export const home = process.env;", null],
  ["worker/f.ts", "export async function f(): Promise<void> {}\nexport function g(): void { f(); }", "floating"],
  ["worker/g.ts", 'export function f(how: "a" | "b"): number { switch (how) { case "a": return 1; } return 2; }', "exhaustive"],
  ["worker/h.ts", "export function f(): void { try { f(); } catch {} }", "no-empty"],
  ["worker/j.ts", 'export * from "./f.ts";', "no-barrel-file"],
  ["worker/i.ts", `${"// a line\n".repeat(300)}export const x = 1;`, "max-lines"],
  ["test/kit/a.ts", 'import { afterEach } from "vitest";\nafterEach(() => undefined);', "onTestFinished"],
  ["test/kit/b.ts", 'import { onTestFinished } from "vitest";\nonTestFinished(() => undefined);', null],
  ["test/a.test.ts", 'import { afterEach } from "vitest";\nafterEach(() => undefined);', null],
];

test("every rule of the layout is a rule of lint", () => {
  for (const [file, line] of cases) {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), `${line}\n`);
  }
  const done = spawnSync(
    process.execPath,
    [join(root, "node_modules/oxlint/bin/oxlint"), "--format", "json", "schema", "broker", "manager", "worker", "test"],
    { cwd: tree, encoding: "utf8" },
  );
  const found = (
    JSON.parse(done.stdout) as { diagnostics: { filename: string; message: string; code?: string; help?: string }[] }
  ).diagnostics;
  for (const [file, , word] of cases) {
    const said = found.filter((one) => one.filename === file).map((one) => `${one.code ?? ""} ${one.message} ${one.help ?? ""}`);
    // The imports of these cases are written as re-exports, which are a rule of their own.
    if (word === null)
      expect(
        said.filter((one) => !one.includes("no-barrel-file")),
        file,
      ).toEqual([]);
    else expect(said.join("\n"), file).toContain(word);
  }
});
