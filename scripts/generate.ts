/**
 * Writes the files that are made from the code: `node scripts/generate.ts`. With `--check` it writes nothing and fails when
 * one of them is not what the code says.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { asyncApi } from "./generate/asyncapi.ts";
import { configuration } from "./generate/configuration.ts";
import type { Generator } from "./generate/generator.ts";
import { metrics } from "./generate/metrics.ts";
import { openApi } from "./generate/openapi.ts";
import { words } from "./generate/words.ts";

const generators: readonly Generator[] = [openApi, asyncApi, configuration, metrics, words];
const root = join(import.meta.dirname, "..");

async function run(check: boolean): Promise<number> {
  const stale: string[] = [];
  for (const generator of generators) {
    const file = join(root, generator.file);
    const before = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const after = await generator.make(before);
    if (after === before) continue;
    if (check) stale.push(generator.file);
    else {
      await writeFile(file, after);
      process.stdout.write(`wrote ${generator.file}\n`);
    }
  }
  if (stale.length === 0) return 0;
  process.stderr.write(`not what the code says: ${stale.join(", ")}; run: npm run generate\n`);
  return 1;
}

process.exitCode = await run(process.argv.includes("--check"));
