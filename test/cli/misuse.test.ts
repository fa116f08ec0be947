/** Wrong use of the `muster` command: a sentence and 2; 1 is for what is wrong with the system. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test.each([[["backup"], "muster backup: missing required argument 'file'; see --help\n"]])("muster %j", (args, said) => {
  const { status, stderr } = spawnSync(process.execPath, ["cli/main.ts", ...args], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 2, stderr: said });
});
