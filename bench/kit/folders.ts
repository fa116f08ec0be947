/** Folders of a benchmark's own, gone when it ends, also when it is interrupted. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sweep } from "../../test/kit/sweep.ts";

const made = new Set<string>();

/** Makes a folder where the databases are to lie; whoever makes it removes it with `removeFolder`. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "muster-bench-"));
  made.add(folder);
  return folder;
}

/** Takes a folder that another has made among those that go. */
export function adoptFolder(folder: string): void {
  made.add(folder);
}

/** Ends what still runs in the folder, and removes it. */
export function removeFolder(folder: string): void {
  sweep(folder);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  made.delete(folder);
}

/** For a benchmark that is told to end in the middle. */
export function removeAllFolders(): void {
  for (const folder of made) removeFolder(folder);
}
