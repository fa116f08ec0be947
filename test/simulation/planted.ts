import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { loadProduct, type Product } from "./product.ts";

const root = resolve(import.meta.dirname, "../..");

/** A bug, as changes of a product file. Each `find` must stand there exactly once, so that a plant never rots unnoticed. */
export interface PlantedBug {
  readonly name: string;
  /** The rule or promise that it breaks. */
  readonly breaks: string;
  readonly file: string;
  readonly edits: readonly { readonly find: string; readonly replace: string }[];
}

/** Loads a copy of the product with the bug in it; dispose removes the copy. */
export async function plant(bug: PlantedBug): Promise<{ readonly product: Product } & Disposable> {
  const folder = mkdtempSync(join(tmpdir(), "muster-planted-"));
  for (const part of ["schema", "broker", "manager", "worker"]) cpSync(join(root, part), join(folder, part), { recursive: true });
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const file = join(folder, bug.file);
  let text = readFileSync(file, "utf8");
  for (const { find, replace } of bug.edits) {
    if (text.split(find).length !== 2)
      throw new Error(`planted bug "${bug.name}": ${JSON.stringify(find)} is not in ${bug.file} exactly once`);
    text = text.replace(find, () => replace);
  }
  writeFileSync(file, text);
  return { product: await loadProduct(folder), [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
