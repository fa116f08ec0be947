/** Bugs planted in a copy of the product: the simulation, or a test, must catch each one. A test of the testers. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loadProduct, type Product } from "./product.ts";
import { World } from "./world.ts";

const root = resolve(import.meta.dirname, "../..");

/** Changes of one product file. Each `find` must stand there exactly once, so that a plant never rots unnoticed. */
export interface PlantedChange {
  readonly file: string;
  /** `everywhere`: it stands there more than once, and all of them are changed. */
  readonly edits: readonly { readonly find: string; readonly replace: string; readonly everywhere?: true }[];
}

export interface PlantedBug {
  readonly name: string;
  /** The number of the rule that it breaks, or the promise in words. */
  readonly rule: number | string;
  /** What comes of it. */
  readonly breaks: string;
  readonly changes: readonly PlantedChange[];
  /**
   * Absent: a seed catches it. `scene`: the exploration of it does, where seeds would need too many. `test`: this file does, where
   * the rule lives outside what the simulation holds.
   */
  readonly caughtBy?: { readonly test: string } | { readonly scene: string };
}

/** Copies the product, and `more` folders, into a temporary folder with the bug in it; dispose removes it. */
export function plantTree(bug: PlantedBug, more: readonly string[] = []): { readonly folder: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "muster-planted-"));
  const planted = { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
  try {
    for (const part of ["schema", "broker", "manager", "worker", "package.json", ...more])
      copy(join(root, part), join(folder, part));
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    for (const change of bug.changes) edit(folder, bug, change);
  } catch (error) {
    planted[Symbol.dispose]();
    throw error;
  }
  return planted;
}

/** By reading and writing: the runtime's own copying takes seven times as long for small files, and there are hundreds for each bug. */
function copy(from: string, to: string): void {
  if (!statSync(from).isDirectory()) return writeFileSync(to, readFileSync(from), { mode: statSync(from).mode });
  mkdirSync(to);
  for (const name of readdirSync(from)) copy(join(from, name), join(to, name));
}

/** Throws unless what the bug changes stands in the product as it says; quick, because nothing is copied. */
export function mustStand(bug: PlantedBug): void {
  for (const change of bug.changes) changed(readFileSync(join(root, change.file), "utf8"), bug, change);
}

function edit(folder: string, bug: PlantedBug, change: PlantedChange): void {
  const file = join(folder, change.file);
  writeFileSync(file, changed(readFileSync(file, "utf8"), bug, change));
}

function changed(text: string, bug: PlantedBug, change: PlantedChange): string {
  for (const { find, replace, everywhere } of change.edits) {
    const times = text.split(find).length - 1;
    if (everywhere ? times === 0 : times !== 1)
      throw new Error(`planted bug "${bug.name}": ${JSON.stringify(find)} is in ${change.file} ${times} times`);
    text = text.replaceAll(find, () => replace);
  }
  return text;
}

/** Loads a copy of the product with the bug in it; dispose removes the copy. */
export async function plant(bug: PlantedBug): Promise<{ readonly product: Product } & Disposable> {
  const { folder, [Symbol.dispose]: dispose } = plantTree(bug);
  try {
    return { product: await loadProduct(folder), [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** What the seed sees of the bug; undefined when it sees nothing, or sees the same without it. */
export async function seenBy(seed: number, bugged: Product, sound: Product): Promise<string | undefined> {
  const [violation] = (await new World(seed, bugged).play()).violations;
  if (violation === undefined) return undefined;
  const [anyway] = (await new World(seed, sound).play()).violations;
  return anyway === undefined ? violation : undefined;
}
