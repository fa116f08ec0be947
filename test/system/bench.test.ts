/** The benchmarks run: a small round of the first section, with everything that a large one has, and its table. */
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import type { Figure } from "../../bench/kit/figure.ts";

const root = resolve(import.meta.dirname, "../..");

test("bench a --quick starts a whole system, counts every run in the database and prints its figures", (context) => {
  if (process.platform !== "linux") context.skip("benchmarks read /proc");
  const args = [join(root, "bench/main.ts"), "a", "--quick", "--rounds", "1", "--only", "SQLite and aedes", "--json"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", cwd: root });
  expect(status, stderr).toBe(0);
  const { figures } = JSON.parse(stdout) as { figures: Figure[] };
  expect(figures.map(({ what, samples, failed }) => ({ what, rounds: samples.length, failed }))).toEqual(
    ["single POSTs, SQLite, aedes", "bulk POSTs, SQLite, aedes"].flatMap((what) =>
      [what, `${what}: in one commit`].map((row) => ({ what: row, rounds: 1, failed: undefined })),
    ),
  );
  for (const { samples, cpu, unit } of figures) {
    expect(samples[0]).toBeGreaterThan(0);
    if (unit === "runs/s") expect(Object.keys(cpu)).toEqual(["manager", "workers", "load"]);
  }
});
