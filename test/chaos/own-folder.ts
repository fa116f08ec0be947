/** One folder for everything that a call of `npm run chaos` makes, so that nothing of it is left behind, however it ends. */
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sweep } from "../kit/sweep.ts";

/** Histories that somebody is to look at lie in folders whose names begin so, and stay. */
export const keptPrefix = "muster-chaos-kept-";

/**
 * From now on this process' temporary files are in a folder of its own. What is returned kills every process that has to do with
 * it and removes it, but for what was kept; a signal that ends this process does the same.
 */
export function useOwnFolder(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "muster-chaos-"));
  // A database server is another user's process.
  chmodSync(folder, 0o755);
  process.env["TMPDIR"] = folder;
  const leave = (): void => {
    sweep(folder);
    const names = readdirSync(folder);
    const gone = names.filter((name) => !name.startsWith(keptPrefix));
    for (const name of gone) rmSync(join(folder, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    if (gone.length === names.length) rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => {
      leave();
      process.exit(1);
    });
  return leave;
}
