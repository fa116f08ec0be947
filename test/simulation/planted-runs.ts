/** Runs planted bugs: through seeds until one sees them, or through the test that is there for them. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { processClock } from "../../schema/kit/clock.ts";
import { WrongUse } from "../kit/flags.ts";
import { bugs } from "./bugs.ts";
import { Explorer } from "./explore/explore.ts";
import { loadParts } from "./explore/parts.ts";
import { scenes } from "./explore/scenes.ts";
import { plant, plantTree, seenBy, type PlantedBug } from "./planted.ts";
import { loadProduct, type Product } from "./product.ts";

const root = resolve(import.meta.dirname, "../..");
const recordFile = join(import.meta.dirname, "planted-seeds.json");

/** Bug → the first seed that catches it, as `--planted --record` found it. */
export function recordedSeeds(): Readonly<Record<string, number>> {
  return JSON.parse(readFileSync(recordFile, "utf8")) as Record<string, number>;
}

/** At once, and beside what others have kept meanwhile: a whole round takes hours, and parts of it may run side by side. */
function keepSeed(name: string, seed: number | undefined): void {
  const { [name]: _before, ...others } = recordedSeeds();
  const kept = seed === undefined ? others : { ...others, [name]: seed };
  const inOrder = bugs.flatMap(({ name: of, caughtBy }) => (kept[of] === undefined || caughtBy ? [] : [[of, kept[of]] as const]));
  writeFileSync(recordFile, `${JSON.stringify(Object.fromEntries(inOrder), null, 2)}\n`);
}

export interface Caught {
  readonly by: string;
  readonly seed?: number;
  /** What was seen. */
  readonly saw: string;
}

/** Plays these seeds in turn until one sees the bug. */
export async function catchBySeeds(bug: PlantedBug, seeds: Iterable<number>, sound: Product): Promise<Caught | undefined> {
  using planted = await plant(bug);
  for (const seed of seeds) {
    const saw = await seenBy(seed, planted.product, sound);
    if (saw !== undefined) return { by: `seed ${seed}`, seed, saw };
  }
  return undefined;
}

/** Runs the bug's test in a copy of the tree with the bug in it: the test must fail there, and say why. */
export function catchByTest(bug: PlantedBug, test: string): Caught | undefined {
  if (!existsSync(join(root, test))) throw new Error(`planted bug "${bug.name}": there is no ${test}`);
  using planted = plantTree(bug, ["test", "cli", "scripts", "vitest.config.ts", "tsconfig.json", "deploy", "docs"]);
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const project = test.startsWith("test/system/") ? "system" : "unit";
  const report = join(planted.folder, "report.json");
  const asked = ["--root", planted.folder, "--project", project, "--reporter", "json", "--outputFile", report, test];
  const run = spawnSync(process.execPath, [vitest, "run", ...asked], {
    cwd: planted.folder,
    encoding: "utf8",
    timeout: 240_000,
    maxBuffer: 64 * 1_024 * 1_024,
  });
  if (!existsSync(report)) throw new Error(`vitest gave no report: ${run.stdout.slice(-500)} ${run.stderr.slice(-500)}`);
  const failed = failuresOf(readFileSync(report, "utf8"));
  return failed.length > 0 ? { by: test, saw: failed[0] ?? "" } : undefined;
}

interface JsonReport {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** Names of the tests that failed. A file that could not even be loaded proves nothing, and neither does a test that was skipped. */
function failuresOf(json: string): string[] {
  const report = JSON.parse(json) as JsonReport;
  return report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === "failed").map(({ fullName }) => fullName),
  );
}

/** Explores the bug's scene, first what is near, until anything is violated. */
export async function catchByScene(bug: PlantedBug, name: string): Promise<Caught | undefined> {
  const scene = scenes.find((one) => one.name === name);
  if (!scene) throw new Error(`planted bug "${bug.name}": there is no scene ${name}`);
  using planted = plantTree(bug);
  const { found } = await new Explorer(await loadParts(planted.folder), scene).explore({ depths: [5, 6, 7, 8, 9, 10] });
  return found && { by: `the exploration of "${name}"`, saw: found.violations[0] ?? "" };
}

/** `npm run simulate -- --planted`: every bug, from seed 1 up to `most`; 1 when one is not caught. `record`: keeps the seeds. */
export async function playPlanted(
  say: (line: string) => void,
  options: { readonly most: number; readonly record: boolean; readonly only?: string | undefined },
): Promise<number> {
  const { only } = options;
  const chosen = bugs.filter(({ name }) => only === undefined || name.includes(only));
  if (chosen.length === 0) throw new WrongUse(`no planted bug has ${JSON.stringify(only)} in its name`);
  const sound = await loadProduct(root);
  let caught = 0;
  for (const bug of chosen) {
    const beganMs = processClock.now().mono;
    const found = await catchIt(bug, numbers(options.most), sound);
    const seconds = ((processClock.now().mono - beganMs) / 1_000).toFixed(1);
    if (found) caught += 1;
    if (options.record && !bug.caughtBy) keepSeed(bug.name, found?.seed);
    const rule = typeof bug.rule === "number" ? `rule ${bug.rule}` : bug.rule;
    say(`${found ? "caught" : "MISSED"}  ${bug.name} (${rule}): ${found ? `by ${found.by}` : "by nobody"}, ${seconds} s`);
    if (found) say(`        ${found.saw.split("\n")[0]?.slice(0, 200)}`);
  }
  say(`${caught} of ${chosen.length} planted bugs caught`);
  return caught === chosen.length ? 0 : 1;
}

async function catchIt(bug: PlantedBug, seeds: Iterable<number>, sound: Product): Promise<Caught | undefined> {
  const { caughtBy } = bug;
  if (!caughtBy) return await catchBySeeds(bug, seeds, sound);
  return "test" in caughtBy ? catchByTest(bug, caughtBy.test) : await catchByScene(bug, caughtBy.scene);
}

function numbers(most: number): Iterable<number> {
  return Array.from({ length: most }, (_, i) => i + 1);
}
